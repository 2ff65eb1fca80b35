//! A fast HTTP site for benchmarks: `bench_site ADDRESSES [SEGMENT SECONDS]`. Listens on one free port of 127.0.0.1, 127.0.0.2, ... (as many
//! as asked for, so that the bound on looks per host is not what is measured), prints the port, and answers every request
//! with 200 and three bytes until it is ended. With a segment, every path that ends with `.m3u8` is a live playlist whose segments
//! last so many seconds each and advance by the clock, and every path that ends with `.ts` is that segment. One thread per
//! address, no framework: it has to cost less than what it serves.

#![allow(clippy::print_stdout, reason = "its port is its result")]
#![allow(clippy::disallowed_methods, reason = "its threads live as long as the process")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";
/// Longest wait for a request: one client that says nothing does not hold an address for ever.
const PATIENCE: Duration = Duration::from_secs(2);
/// Addresses are 127.0.0.1 to 127.0.0.250.
const MOST: u8 = 250;

/// Segments that a playlist lists.
const WINDOW: u64 = 5;

/// What all channels of the site show.
struct Channel {
    segment: Vec<u8>,
    seconds: u64,
}

impl Channel {
    /// The playlist as it is now.
    fn playlist(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
        let newest = now / self.seconds;
        let first = newest.saturating_sub(WINDOW);
        let mut text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{first}\n", self.seconds);
        for number in first..newest {
            text.push_str(&format!("#EXTINF:{},\ns{number}.ts\n", self.seconds));
        }
        text
    }

    fn answer(&self, head: &[u8]) -> Option<Vec<u8>> {
        let path = head.split(|&b| b == b' ').nth(1)?;
        let (kind, body) = if path.ends_with(b".m3u8") {
            ("application/vnd.apple.mpegurl", self.playlist().into_bytes())
        } else if path.ends_with(b".ts") {
            ("video/mp2t", self.segment.clone())
        } else {
            return None;
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        Some([head.into_bytes(), body].concat())
    }
}

fn channel() -> std::io::Result<Option<Channel>> {
    let Some(path) = std::env::args().nth(2) else { return Ok(None) };
    let seconds = std::env::args().nth(3).and_then(|n| n.parse().ok()).unwrap_or(2).max(1);
    Ok(Some(Channel { segment: std::fs::read(path)?, seconds }))
}

fn main() -> std::io::Result<()> {
    let channel = Arc::new(channel()?);
    let wanted = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1).clamp(1, MOST);
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = first.local_addr()?.port();
    let rest = (2..=wanted).map(|last| TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port)));
    let listeners = std::iter::once(Ok(first)).chain(rest).collect::<std::io::Result<Vec<_>>>()?;
    println!("{port}");
    let threads = listeners.into_iter().map(|l| {
        let channel = Arc::clone(&channel);
        std::thread::spawn(move || serve(&l, channel.as_ref().as_ref()))
    });
    let threads: Vec<_> = threads.collect();
    for thread in threads {
        let _ended = thread.join();
    }
    Ok(())
}

fn serve(listener: &TcpListener, channel: Option<&Channel>) {
    for stream in listener.incoming().flatten() {
        // A client that went away is no concern of the next one.
        let _gone = answer(stream, channel);
    }
}

fn answer(mut stream: TcpStream, channel: Option<&Channel>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = [0; 2048];
    let mut have = 0;
    while !head[..have].ends_with(b"\r\n\r\n") {
        match stream.read(&mut head[have..])? {
            0 => return Ok(()),
            n => have += n,
        }
    }
    match channel.and_then(|channel| channel.answer(&head[..have])) {
        Some(answer) => stream.write_all(&answer),
        None => stream.write_all(ANSWER),
    }
}
