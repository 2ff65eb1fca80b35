//! A scripted RTMP server that plays a still picture in H.264, for ever. Remembers every command, so that a test can see
//! what a client asked for.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use wire::rtmp::{self, Command, Content, Decoder, HELLO_BYTES, Message, Value, kind, user};

use crate::peer::{Conn, Peer, Stats};

/// The IDR slice of the picture, 64x48.
const SLICE: &[u8] = include_bytes!("../testdata/h264_64x48_idr.nal");
/// Its parameter sets in an `avcC` record.
const AVCC: &str = "0142c00affe100176742c00ad9047b011000000300100000030140f122648001000568cb80c4b2";
/// Pictures between two pings.
const PING_EVERY: u32 = 10;
/// Time between pictures.
const PICTURE_TIME: Duration = Duration::from_millis(100);

/// What the server does next.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sends a message.
    Send(Message),
    /// Sends a picture every 100 ms from now on.
    Pictures,
    /// Sends so many pictures from now on, then this message where there is one, then nothing.
    Few(u32, Option<Message>),
    /// Ends the connection.
    Close,
}

type Script = dyn Fn(&Command) -> Vec<Act> + Send + Sync;

/// A running server.
pub struct RtmpPeer {
    peer: Peer,
    commands: Arc<Mutex<Vec<Command>>>,
    heard: Arc<Heard>,
    scheme: &'static str,
}

/// What clients sent beside commands.
#[derive(Debug, Default)]
struct Heard {
    acknowledged: AtomicU32,
    pongs: AtomicU32,
}

impl RtmpPeer {
    /// A server that plays for everybody.
    pub async fn start() -> Self {
        Self::with(good, None).await
    }

    /// A server that answers commands by script, behind TLS where an acceptor is given. [`good`] is the script to fall back
    /// on.
    pub async fn with(script: impl Fn(&Command) -> Vec<Act> + Send + Sync + 'static, tls: Option<TlsAcceptor>) -> Self {
        let commands = Arc::new(Mutex::new(Vec::new()));
        let (shared, script) = (Arc::clone(&commands), Arc::new(script));
        let heard = Arc::new(Heard::default());
        let hearing = Arc::clone(&heard);
        let scheme = if tls.is_some() { "rtmps" } else { "rtmp" };
        let peer = Peer::start_with(tls, move |conn, _stats| {
            let (commands, script, heard) = (Arc::clone(&shared), Arc::clone(&script), Arc::clone(&hearing));
            async move {
                let _ended = converse(conn, &*script, &commands, &heard).await;
            }
        })
        .await;
        Self { peer, commands, heard, scheme }
    }

    /// URL of the server with a path, which begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        self.peer.url(self.scheme, path)
    }

    /// Connections.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        self.peer.stats()
    }

    /// Bytes that the last acknowledgement told of.
    #[must_use]
    pub fn acknowledged(&self) -> u32 {
        self.heard.acknowledged.load(Ordering::SeqCst)
    }

    /// Answers to pings.
    #[must_use]
    pub fn pongs(&self) -> u32 {
        self.heard.pongs.load(Ordering::SeqCst)
    }

    /// All commands so far, of all connections.
    #[must_use]
    pub fn commands(&self) -> Vec<Command> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn converse(
    mut conn: Conn,
    script: &Script,
    commands: &Mutex<Vec<Command>>,
    heard: &Heard,
) -> std::io::Result<()> {
    let mut hello = [0; HELLO_BYTES];
    conn.read_exact(&mut hello).await?;
    conn.write_all(&rtmp::hello(1)).await?;
    conn.write_all(rtmp::echo(&hello)).await?;
    conn.flush().await?;
    conn.read_exact(&mut hello[1..]).await?;
    let (mut decoder, mut inbox) = (Decoder::new(), BytesMut::new());
    let mut pictures: Option<u32> = None;
    let mut few: Option<(u32, Option<Message>)> = None;
    // When the next picture is due, whatever the client says meanwhile.
    let mut due = Instant::now() + PICTURE_TIME;
    loop {
        let until = if pictures.is_some() { due } else { Instant::now() + Duration::from_secs(600) };
        match tokio::time::timeout_at(until, conn.read_buf(&mut inbox)).await {
            Ok(Ok(0)) => return Ok(()),
            Ok(read) => {
                read?;
            }
            Err(_due) => {
                due += PICTURE_TIME;
                if let Some(count) = &mut pictures {
                    *count += 1;
                    match &mut few {
                        Some((most, last)) if *count >= *most => {
                            if let Some(message) = last.take() {
                                send(&mut conn, &message).await?;
                            }
                        }
                        _ => send(&mut conn, &picture(100 * *count)).await?,
                    }
                    if *count % PING_EVERY == 0 {
                        send(&mut conn, &Message::user(user::PING, &[*count])).await?;
                    }
                }
            }
        }
        while let Ok(Some(message)) = decoder.decode(&mut inbox) {
            let command = match message.content() {
                Ok(Content::Command(command)) => command,
                Ok(Content::User(user::PONG, _)) => {
                    heard.pongs.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                _ if message.kind == kind::ACKNOWLEDGEMENT => {
                    let sum = message.payload.first_chunk().map_or(0, |octets| u32::from_be_bytes(*octets));
                    heard.acknowledged.store(sum, Ordering::SeqCst);
                    continue;
                }
                _ => continue,
            };
            commands.lock().unwrap_or_else(PoisonError::into_inner).push(command.clone());
            for act in script(&command) {
                match act {
                    Act::Send(message) => send(&mut conn, &message).await?,
                    Act::Pictures => {
                        (pictures, due) = (Some(0), Instant::now() + PICTURE_TIME);
                        send(&mut conn, &picture(0)).await?;
                    }
                    Act::Few(most, last) => {
                        (pictures, due) = (Some(0), Instant::now() + PICTURE_TIME);
                        few = Some((most, last));
                        send(&mut conn, &picture(0)).await?;
                    }
                    Act::Close => return conn.shutdown().await,
                }
            }
        }
    }
}

async fn send(conn: &mut Conn, message: &Message) -> std::io::Result<()> {
    let mut out = BytesMut::new();
    rtmp::encode(message, &mut out);
    conn.write_all(&out).await?;
    conn.flush().await
}

/// What a good server answers: a ping on the way, metadata and the configuration before the pictures.
#[must_use]
pub fn good(command: &Command) -> Vec<Act> {
    match command.name.as_str() {
        "connect" => {
            let about = object(&[("fmsVer", "testkit".into()), ("capabilities", Value::Number(31.0))]);
            let status = status_object("status", "NetConnection.Connect.Success", "");
            let result = Command::new("_result", command.transaction, vec![about, status]);
            vec![
                Act::Send(Message::control(kind::WINDOW_SIZE, 1000)),
                Act::Send(Message::user(user::PING, &[7])),
                Act::Send(Message::command(0, &result)),
            ]
        }
        "createStream" => {
            let result = Command::new("_result", command.transaction, vec![Value::Null, Value::Number(1.0)]);
            vec![Act::Send(Message::command(0, &result))]
        }
        "play" => vec![
            Act::Send(on_status("status", "NetStream.Play.Start", "")),
            Act::Send(metadata(&[("videocodecid", Value::Number(7.0)), ("encoder", "testkit".into())])),
            Act::Send(config()),
            Act::Pictures,
        ],
        _ => Vec::new(),
    }
}

/// An `onStatus` message.
#[must_use]
pub fn on_status(level: &str, code: &str, description: &str) -> Message {
    let values = vec![Value::Null, status_object(level, code, description)];
    Message::command(1, &Command::new("onStatus", 0.0, values))
}

/// A refusal of a command, with more that its status says.
#[must_use]
pub fn refuse(command: &Command, code: &str, description: &str, more: &[(&str, Value)]) -> Message {
    let Value::Object(mut pairs) = status_object("error", code, description) else { unreachable!("it is an object") };
    pairs.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let values = vec![Value::Null, Value::Object(pairs)];
    Message::command(0, &Command::new("_error", command.transaction, values))
}

/// An `onMetaData` message.
#[must_use]
pub fn metadata(pairs: &[(&str, Value)]) -> Message {
    let mut payload = BytesMut::new();
    rtmp::encode_values(&["onMetaData".into(), object(pairs)], &mut payload);
    media(kind::DATA, 0, payload.freeze())
}

/// The configuration of the video.
#[must_use]
pub fn config() -> Message {
    let record = wire::text::from_hex(AVCC, 256).expect("the record is hexadecimal");
    media(kind::VIDEO, 0, [b"\x17\0\0\0\0".as_slice(), &record].concat())
}

/// A picture.
#[must_use]
pub fn picture(timestamp: u32) -> Message {
    let mut body = BytesMut::from(&b"\x17\x01\0\0\0"[..]);
    body.put_u32(u32::try_from(SLICE.len()).expect("a small picture"));
    body.put_slice(SLICE);
    media(kind::VIDEO, timestamp, body.freeze())
}

/// A message of the stream.
#[must_use]
pub fn media(kind: u8, timestamp: u32, payload: impl Into<Bytes>) -> Message {
    Message { chunk_stream: 6, timestamp, kind, stream: 1, payload: payload.into() }
}

fn status_object(level: &str, code: &str, description: &str) -> Value {
    object(&[("level", level.into()), ("code", code.into()), ("description", description.into())])
}

fn object(pairs: &[(&str, Value)]) -> Value {
    Value::Object(pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}
