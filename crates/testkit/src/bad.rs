//! Peers that misbehave in one way each, whatever the protocol.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

use crate::peer::{Peer, drain, send};

/// A port that refuses connections for as long as the value lives: bound, so that nobody else gets it, and not listening.
pub struct Refused {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl Refused {
    /// The port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A port that refuses connections.
#[must_use]
pub fn refused() -> Refused {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("the loopback has a free port");
    Refused { address: socket.local_addr().expect("it is bound"), _socket: socket }
}

/// Accepts, reads and never answers.
pub async fn black_hole() -> Peer {
    Peer::start(|mut conn, stats| async move { drain(&mut conn, &stats).await }).await
}

/// Sends `bytes`, one per second, from the moment of the connection on; after the last it is silent.
pub async fn drip(bytes: impl Into<Vec<u8>>) -> Peer {
    let bytes = Arc::new(bytes.into());
    Peer::start(move |conn, stats| {
        let bytes = Arc::clone(&bytes);
        async move {
            let (mut reader, mut writer) = tokio::io::split(conn);
            let dripping = async {
                for byte in bytes.iter() {
                    if !send(&mut writer, &[*byte]).await {
                        return;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = drain(&mut reader, &stats) => {}
                () = dripping => {}
            }
        }
    })
    .await
}

/// Bytes from a seed, all values equally likely (xorshift64*).
#[must_use]
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0]
    })
    .take(length)
    .collect()
}

/// Sends `before` and 64 KiB of noise at once, then the end of the stream.
pub async fn garbage(seed: u64, before: impl Into<Vec<u8>>) -> Peer {
    let mut bytes = before.into();
    bytes.extend(noise(seed, 64 * 1024));
    says(bytes).await
}

/// Sends `bytes` and the end of the stream, whatever it is asked.
pub async fn says(bytes: impl Into<Vec<u8>>) -> Peer {
    let bytes = Arc::new(bytes.into());
    Peer::start(move |conn, stats| {
        let bytes = Arc::clone(&bytes);
        async move {
            let (mut reader, mut writer) = tokio::io::split(conn);
            let speaking = async {
                send(&mut writer, &bytes).await;
                let _ = writer.shutdown().await;
                std::future::pending::<()>().await;
            };
            // Reading goes on: closing with unread bytes would be a reset and no end.
            tokio::select! {
                () = drain(&mut reader, &stats) => {}
                () = speaking => {}
            }
        }
    })
    .await
}

/// Accepts and ends the stream at once.
pub async fn early_close() -> Peer {
    says(Vec::new()).await
}

/// Resets every connection as soon as it has received something.
pub async fn reset() -> Peer {
    Peer::start(|mut conn, _stats| async move {
        use tokio::io::AsyncReadExt;
        // One byte is read and the rest is not: closing then is a reset.
        let _ = conn.read_u8().await;
    })
    .await
}

/// Sends `begin` and then `again` for ever, as fast as it is taken. [`crate::peer::Stats::sent`] tells how much was taken.
pub async fn endless(begin: impl Into<Vec<u8>>, again: impl Into<Vec<u8>>) -> Peer {
    let (begin, mut again) = (begin.into(), again.into());
    // Larger pieces: one system call for each would make the peer the slow part.
    while again.len() < 16 * 1024 {
        again.extend_from_within(..);
    }
    let script = Arc::new((begin, again));
    Peer::start(move |conn, stats| {
        let script = Arc::clone(&script);
        async move {
            let (mut reader, mut writer) = tokio::io::split(conn);
            let sending = async {
                if !send(&mut writer, &script.0).await {
                    return;
                }
                while send(&mut writer, &script.1).await {
                    stats.note_sent(script.1.len());
                }
            };
            tokio::select! {
                () = drain(&mut reader, &stats) => {}
                () = sending => {}
            }
        }
    })
    .await
}

/// Sends back what it receives: whatever secret it is given comes back in clear.
pub async fn echo() -> Peer {
    Peer::start(|conn, _stats| async move {
        use tokio::io::AsyncReadExt;
        let (mut reader, mut writer) = tokio::io::split(conn);
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = reader.read(&mut buffer).await {
            if !send(&mut writer, &buffer[..n]).await {
                return;
            }
        }
    })
    .await
}

/// Sends `begin` at once and then `again`, one byte per second, for ever.
pub async fn endless_drip(begin: impl Into<Vec<u8>>, again: &'static str) -> Peer {
    let begin = Arc::new(begin.into());
    Peer::start(move |conn, stats| {
        let begin = Arc::clone(&begin);
        async move {
            let (mut reader, mut writer) = tokio::io::split(conn);
            let dripping = async {
                send(&mut writer, &begin).await;
                for byte in again.bytes().cycle() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if !send(&mut writer, &[byte]).await {
                        return;
                    }
                }
            };
            tokio::select! {
                () = drain(&mut reader, &stats) => {}
                () = dripping => {}
            }
        }
    })
    .await
}
