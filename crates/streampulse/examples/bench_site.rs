//! A fast HTTP site for benchmarks: `bench_site ADDRESSES`. Listens on one free port of 127.0.0.1, 127.0.0.2, ... (as many
//! as asked for, so that the bound on looks per host is not what is measured), prints the port, and answers every request
//! with 200 and three bytes until it is ended. One thread per address, no framework: it has to cost less than what it serves.

#![allow(clippy::print_stdout, reason = "its port is its result")]
#![allow(clippy::disallowed_methods, reason = "its threads live as long as the process")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";
/// Longest wait for a request: one client that says nothing does not hold an address for ever.
const PATIENCE: Duration = Duration::from_secs(2);
/// Addresses are 127.0.0.1 to 127.0.0.250.
const MOST: u8 = 250;

fn main() -> std::io::Result<()> {
    let wanted = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1).clamp(1, MOST);
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = first.local_addr()?.port();
    let rest = (2..=wanted).map(|last| TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port)));
    let listeners = std::iter::once(Ok(first)).chain(rest).collect::<std::io::Result<Vec<_>>>()?;
    println!("{port}");
    let threads: Vec<_> = listeners.into_iter().map(|l| std::thread::spawn(move || serve(&l))).collect();
    for thread in threads {
        let _ended = thread.join();
    }
    Ok(())
}

fn serve(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        // A client that went away is no concern of the next one.
        let _gone = answer(stream);
    }
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = [0; 2048];
    let mut have = 0;
    while !head[..have].ends_with(b"\r\n\r\n") {
        match stream.read(&mut head[have..])? {
            0 => return Ok(()),
            n => have += n,
        }
    }
    stream.write_all(ANSWER)
}
