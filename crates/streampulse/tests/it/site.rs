//! A small HTTP site on a free port, ended on drop: a target that is there whenever a test wants it to be.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

/// The site. Answers every request with the status that is set.
pub(crate) struct Site {
    pub(crate) at: SocketAddr,
    status: Arc<AtomicU16>,
    requests: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Site {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("bound");
        let (status, requests, stop) =
            (Arc::new(AtomicU16::new(200)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let site = Self { at, status: Arc::clone(&status), requests: Arc::clone(&requests), stop: Arc::clone(&stop) };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                requests.fetch_add(1, Ordering::Relaxed);
                answer(stream, status.load(Ordering::Relaxed));
            }
        });
        site
    }

    /// From now on every request is answered with this status code.
    pub(crate) fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.at)); // wakes the accepting thread
    }
}

fn answer(mut stream: TcpStream, status: u16) {
    let mut head = [0; 2048];
    let read = stream.set_read_timeout(Some(Duration::from_secs(2))).and_then(|()| stream.read(&mut head));
    if read.is_ok_and(|n| n > 0) {
        let text = format!(
            "HTTP/1.1 {status} Because\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"
        );
        let _gone = stream.write_all(text.as_bytes());
    }
}
