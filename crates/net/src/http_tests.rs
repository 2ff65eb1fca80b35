//! Tests of the HTTP client against a scripted server: what is sent, what is capped, and the words when a reply is none.

use std::time::Duration;

use testkit::bad;
use testkit::http::HttpPeer;
use testkit::wait::wait_for;

use super::*;
use crate::clock::SystemClock;

const SECOND: Duration = Duration::from_secs(1);

fn get(url: &str) -> Request {
    Request::new(Method::GET, Address::parse(url).expect("a good URL"))
}

async fn ask(request: &Request, limit: Duration, max: usize) -> Result<(u16, Bytes), Fault> {
    let clock = SystemClock::new();
    let mut at = Attempt::new(&clock, limit);
    let mut reply = send(&mut at, request, None, &mut Reading::default()).await?;
    let body = at.run(Phase::Transfer, reply.body.collect(max)).await?;
    Ok((reply.status, body))
}

#[tokio::test]
async fn a_request_says_who_asks_and_the_body_comes_whole() {
    let peer = HttpPeer::start().await;
    let mut request = get(&peer.url("/echo?x=1"));
    request.method = Method::POST;
    request.headers = vec![(HeaderName::from_static("accept"), HeaderValue::from_static("text/plain"))];
    request.body = Some(Bytes::from_static(b"some body"));
    let (status, body) = ask(&request, 5 * SECOND, 10_000).await.expect("a good server");
    let text = String::from_utf8_lossy(&body).to_lowercase();
    assert_eq!(status, 200);
    for part in [
        "post /echo?x=1\n",
        &format!("host: {}\n", peer.address()),
        &format!("user-agent: {}\n", USER_AGENT.to_lowercase()),
        "accept: text/plain\n",
        "connection: close\n",
        "content-length: 9\n",
        "\nsome body",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    assert_eq!(text.matches("accept:").count(), 1);
    let (_, big) = ask(&get(&peer.url("/big/300000")), 5 * SECOND, 300_000).await.expect("just fits");
    assert_eq!(big.len(), 300_000);
    assert!(wait_for(5 * SECOND, || peer.stats().open() == 0).await, "every connection is closed");
}

#[tokio::test]
async fn limits_hold_against_endless_replies() {
    let peer = HttpPeer::start().await;
    for path in ["/endless", "/endless-headers"] {
        let fault = ask(&get(&peer.url(path)), 5 * SECOND, 1000).await.expect_err("too much");
        assert_eq!(fault.kind, FaultKind::TooLarge, "{path}: {fault}");
    }
    let many = b"HTTP/1.1 200 OK\r\n".to_vec();
    let peer = bad::endless(many, b"A: b\r\n".to_vec()).await;
    let fault = ask(&get(&peer.url("http", "/")), 5 * SECOND, 1000).await.expect_err("too many headers");
    assert_eq!((fault.kind, fault.phase), (FaultKind::TooLarge, Phase::FirstByte), "{fault}");
    // What was taken is what fits into our cap and the buffers of two sockets on the way.
    assert!(peer.stats().sent() < 16 * 1024 * 1024, "{}", peer.stats().sent());
}

#[tokio::test]
async fn replies_that_are_none_are_told_in_words() {
    for (bytes, kind, phase, words) in [
        (&b""[..], FaultKind::Protocol, Phase::FirstByte, "closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nA: b", FaultKind::Protocol, Phase::FirstByte, "in the headers of the reply"),
        (
            b"HTTP/1.1 twohundred OK\r\n\r\n",
            FaultKind::Protocol,
            Phase::FirstByte,
            "headers of the reply are malformed",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", FaultKind::Protocol, Phase::FirstByte, "speaks SSH"),
        (b"RTSP/1.0 400 Bad\r\n\r\n", FaultKind::Protocol, Phase::FirstByte, "speaks RTSP"),
        (&[0x15, 3, 3, 0, 2, 2, 10], FaultKind::Protocol, Phase::FirstByte, "speaks TLS on this port"),
        (b"\x01hello\r\n", FaultKind::Protocol, Phase::FirstByte, "begins with \"\\x01hello\""),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            FaultKind::Protocol,
            Phase::Transfer,
            "closed the connection in the body",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            FaultKind::Protocol,
            Phase::Transfer,
            "the body cannot be read",
        ),
    ] {
        let peer = bad::says(bytes).await;
        let fault = ask(&get(&peer.url("http", "/")), 5 * SECOND, 1000).await.expect_err("no reply");
        assert_eq!((fault.kind, fault.phase), (kind, phase), "{}: {fault}", bytes.escape_ascii());
        assert!(fault.detail.contains(words), "{}: {fault}", bytes.escape_ascii());
    }
}

#[tokio::test]
async fn sloppy_replies_are_understood() {
    for bytes in [
        &b"HTTP/1.0 200 OK\r\n\r\nbody"[..],
        b"HTTP/1.1 200\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nServer : cam\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nthis is no header\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
    ] {
        let peer = bad::says(bytes).await;
        let reply = ask(&get(&peer.url("http", "/")), 5 * SECOND, 1000).await;
        assert_eq!(reply, Ok((200, Bytes::from_static(b"body"))), "{}", bytes.escape_ascii());
    }
}

#[tokio::test]
async fn a_reset_is_told_before_and_after_the_first_byte() {
    let peer = bad::reset().await;
    let fault = ask(&get(&peer.url("http", "/")), 5 * SECOND, 1000).await.expect_err("reset");
    assert_eq!((fault.kind, fault.phase), (FaultKind::Unreachable, Phase::FirstByte));
    assert_eq!(fault.detail, "the peer reset the connection before any byte of the reply");
}

#[tokio::test]
async fn silence_and_dripping_end_at_the_deadline_in_their_phase() {
    let hole = bad::black_hole().await;
    let drip = bad::drip("HTTP/1.1 200 OK\r\n\r\n").await;
    let stall = HttpPeer::start().await;
    for (url, phase) in [
        (hole.url("http", "/"), Phase::FirstByte),
        (drip.url("http", "/"), Phase::FirstByte),
        (stall.url("/stall"), Phase::Transfer),
    ] {
        let fault = ask(&get(&url), SECOND / 4, 1000).await.expect_err("too slow");
        assert_eq!((fault.kind, fault.phase), (FaultKind::TimedOut, phase), "{fault}");
    }
    let all_closed = || hole.stats().open() + drip.stats().open() + stall.stats().open() == 0;
    assert!(wait_for(5 * SECOND, all_closed).await, "giving up closes the socket");
}

#[test]
fn host_headers_carry_the_port_only_when_it_is_unusual() {
    for (url, host) in [
        ("http://h/", "h"),
        ("http://h:80/", "h"),
        ("https://h/", "h"),
        ("http://h:8080/", "h:8080"),
        ("https://h:80/", "h:80"),
        ("http://[::1]:8080/", "[::1]:8080"),
    ] {
        assert_eq!(host_header(&Address::parse(url).expect("a good URL")), host);
    }
}
