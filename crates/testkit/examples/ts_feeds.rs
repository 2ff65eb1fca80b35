//! Sends one transport stream to many ports in its own time: `ts_feeds FILE PORT COUNT [SECONDS]` sends to COUNT ports of
//! 127.0.0.1 from PORT on, each a little later than the one before it. For benchmarks: counters and clocks begin anew at the end
//! of the file.

#![allow(clippy::print_stderr, reason = "a command line tool for benchmarks")]

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use tokio::time::Instant;
use wire::ts::{PACKET_BYTES, parse_packet};

/// Packets in a datagram.
const PER_DATAGRAM: usize = 7;

/// Datagrams of a file, and when each is due by the program clock.
fn schedule(bytes: &[u8]) -> Vec<(Duration, &[u8])> {
    let (packets, _) = bytes.as_chunks::<PACKET_BYTES>();
    let clocks: Vec<(usize, u64)> =
        packets.iter().enumerate().filter_map(|(at, packet)| Some((at, parse_packet(packet)?.pcr?))).collect();
    let (&(first, begin), &(last, end)) = clocks.first().zip(clocks.last()).expect("a program clock");
    let per_packet = (end - begin) as f64 / 27_000_000.0 / (last - first) as f64;
    let due = |at: usize| {
        let next = clocks.iter().position(|(place, _)| *place >= at).unwrap_or(clocks.len() - 1);
        let (place, ticks) = clocks[next];
        let seconds = (ticks - begin) as f64 / 27_000_000.0 - place.saturating_sub(at) as f64 * per_packet;
        Duration::from_secs_f64(seconds.max(0.0))
    };
    let size = PER_DATAGRAM * PACKET_BYTES;
    let mut latest = Duration::ZERO;
    bytes
        .chunks(size)
        .enumerate()
        .map(|(n, datagram)| {
            latest = latest.max(due(n * PER_DATAGRAM));
            (latest, datagram)
        })
        .collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, port, count, rest @ ..] = args.as_slice() else {
        eprintln!("usage: ts_feeds FILE PORT COUNT [SECONDS]");
        std::process::exit(2);
    };
    let number = |text: &str| text.parse::<u32>().expect("a number");
    let (port, count) = (number(port), number(count));
    let seconds = rest.first().map_or(u64::MAX, |text| number(text).into());
    let bytes = std::fs::read(file).expect("the file is there");
    let datagrams = schedule(&bytes);
    let lap = datagrams.last().expect("it is not empty").0 + Duration::from_millis(10);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let began = Instant::now();
    // Where each port stands: the datagram, and when its lap began.
    let mut places: Vec<(usize, Duration)> =
        (0..count).map(|n| (0, Duration::from_micros(u64::from(n) * 40_000 / u64::from(count)))).collect();
    while began.elapsed().as_secs() < seconds {
        let now = began.elapsed();
        for (to, (at, lap_began)) in (port..).zip(&mut places) {
            while *lap_began + datagrams[*at].0 <= now {
                let to = (Ipv4Addr::LOCALHOST, u16::try_from(to).expect("a port"));
                // Nobody may be listening: the next one will be sent all the same.
                let _ = socket.send_to(datagrams[*at].1, to);
                *at += 1;
                if *at == datagrams.len() {
                    (*at, *lap_began) = (0, *lap_began + lap);
                }
            }
        }
        ticks.tick().await;
    }
}
