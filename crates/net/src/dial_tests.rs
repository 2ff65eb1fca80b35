//! Tests of dialling: what the operating system answers becomes the right fault in the right phase.

use model::time::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::clock::SystemClock;
use testkit::{bad, wait::wait_for};

const SECOND: Duration = Duration::from_secs(1);

fn address(url: impl AsRef<str>) -> Address {
    Address::parse(url.as_ref()).expect("a good URL")
}

#[tokio::test]
async fn a_connection_notes_its_peer_and_closes_when_dropped() {
    let peer = bad::black_hole().await;
    let clock = SystemClock::new();
    let mut at = Attempt::new(&clock, 5 * SECOND);
    let mut reading = Reading::default();
    let url = address(peer.url("tcp", ""));
    let mut stream = connect(&mut at, &url, None, &mut reading).await.expect("it accepts");
    stream.write_all(b"hello").await.expect("it reads");
    assert!(stream.tcp().nodelay().expect("a live socket"));
    assert!(wait_for(5 * SECOND, || peer.stats().received() == 5).await);
    assert_eq!(reading.facts[fact::PEER], model::reading::FactValue::Text(peer.address().to_string()));
    drop(stream);
    assert!(wait_for(5 * SECOND, || peer.stats().open() == 0).await);
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let port = bad::refused();
    let clock = SystemClock::new();
    let mut at = Attempt::new(&clock, 5 * SECOND);
    let url = address(format!("tcp://{}", port.address()));
    let fault = connect(&mut at, &url, None, &mut Reading::default()).await.err().expect("nobody listens");
    assert_eq!((fault.kind, fault.phase), (FaultKind::Refused, Phase::Connect));
    assert_eq!(fault.detail, format!("{} refuses connections", port.address()));
    assert!(at.remaining() > 4 * SECOND && clock.utc().0 > 0);
}

#[tokio::test]
async fn of_several_addresses_the_living_one_is_found_and_a_definite_answer_is_told() {
    let (peer, port) = (bad::black_hole().await, bad::refused());
    let later = || Instant::now() + 5 * SECOND;
    let found = connect_any(&[port.address(), peer.address()], later()).await.expect("the second accepts");
    assert_eq!(found.peer_addr().expect("connected"), peer.address());

    // 192.0.2.0/24 is set aside for documentation: silence or no route, and either way no definite "refused".
    let silent = SocketAddr::from(([192, 0, 2, 1], 9));
    let fault = connect_any(&[silent, port.address()], later()).await.expect_err("nobody listens");
    assert!(matches!(fault.kind, FaultKind::Refused | FaultKind::Unreachable), "{fault}");
    assert!(fault.detail.contains("none of 2 addresses"), "{fault}");
}

#[tokio::test]
async fn tls_that_is_never_answered_times_out_in_its_phase() {
    let peer = bad::black_hole().await;
    let clock = SystemClock::new();
    let mut at = Attempt::new(&clock, SECOND / 4);
    let url = address(peer.url("https", "/"));
    let options = TlsOptions { trust: crate::trust::Trust::Insecure, ..TlsOptions::default() };
    let fault = connect(&mut at, &url, Some(&options), &mut Reading::default()).await.err().expect("silence");
    assert_eq!((fault.kind, fault.phase), (FaultKind::TimedOut, Phase::Tls));
    let phases: Vec<_> = at.into_phases().iter().map(|(p, _)| p).collect();
    assert_eq!(phases, [Phase::Connect, Phase::Tls]);
    assert!(wait_for(5 * SECOND, || peer.stats().open() == 0).await);
}

#[tokio::test]
async fn a_port_that_does_not_speak_tls_is_told_as_such() {
    for (bytes, kind, words) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], FaultKind::Tls, "does not speak TLS"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", FaultKind::Tls, "does not speak TLS"),
        (b"", FaultKind::Protocol, "closed the connection during the TLS handshake"),
        (&[0x15, 3, 1, 0, 2, 2, 70], FaultKind::Tls, "no TLS version that is accepted"),
    ] {
        let peer = bad::says(bytes).await;
        let clock = SystemClock::new();
        let mut at = Attempt::new(&clock, 5 * SECOND);
        let options = TlsOptions { trust: crate::trust::Trust::Insecure, ..TlsOptions::default() };
        let url = address(peer.url("https", "/"));
        let fault = connect(&mut at, &url, Some(&options), &mut Reading::default()).await.err().expect("no TLS");
        assert_eq!((fault.kind, fault.phase), (kind, Phase::Tls), "{fault}");
        assert!(fault.detail.contains(words), "{fault}");
    }
}

#[tokio::test]
async fn a_reset_is_unreachable_and_an_early_end_breaks_the_protocol() {
    let peer = bad::reset().await;
    let clock = SystemClock::new();
    let mut at = Attempt::new(&clock, 5 * SECOND);
    let url = address(peer.url("tcp", ""));
    let mut stream = connect(&mut at, &url, None, &mut Reading::default()).await.expect("it accepts");
    stream.write_all(b"two bytes at least").await.expect("it is open");
    let error = stream.read_u8().await.expect_err("it is reset");
    assert_eq!(io_fault(Phase::Transfer, &error).kind, FaultKind::Unreachable);
    let end = io::Error::from(io::ErrorKind::UnexpectedEof);
    assert_eq!(io_fault(Phase::Transfer, &end).kind, FaultKind::Protocol);
    let full = io::Error::from_raw_os_error(EMFILE);
    assert_eq!(io_fault(Phase::Connect, &full).kind, FaultKind::Internal);
}
