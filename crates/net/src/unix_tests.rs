//! Tests of HTTP over a Unix socket: what is sent, what is capped, and what a socket that cannot be opened means.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Takes one connection, answers `reply` and hands back what was asked.
async fn answer(listener: UnixListener, reply: Vec<u8>) -> String {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut asked = vec![0; 4096];
    let read = stream.read(&mut asked).await.expect("a request");
    let _ = stream.write_all(&reply).await;
    String::from_utf8_lossy(&asked[..read]).into_owned()
}

async fn talk(reply: &[u8], request: &Request, max: usize) -> (Result<(u16, Bytes), Fault>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let asking = async {
        let mut response = match send(&socket, request, 5 * SECOND).await {
            Ok(response) => response,
            Err(Failure::Broken(fault)) => return Err(fault),
            Err(other) => panic!("{other}"),
        };
        response.body.collect(max).await.map(|body| (response.status, body))
    };
    tokio::join!(asking, answer(listener, reply.to_vec()))
}

#[tokio::test]
async fn a_request_is_told_and_its_reply_comes_whole_or_not_at_all() {
    let mut request = Request::new(Method::POST, "/v1.41/containers/create?name=a%20b");
    request.json = Some(Bytes::from_static(b"{}"));
    let chunked = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let (reply, asked) = talk(chunked, &request, 5).await;
    assert_eq!(reply, Ok((201, Bytes::from_static(b"abcde"))));
    for part in ["POST /v1.41/containers/create?name=a%20b HTTP/1.1", "application/json", "localhost", "close"] {
        assert!(asked.contains(part), "{part:?} in {asked}");
    }
    let get = Request::new(Method::GET, "/_ping");
    for (bytes, max, kind) in [
        (&chunked[..], 4, FaultKind::TooLarge),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", 99, FaultKind::Protocol),
        (b"SSH-2.0-x\r\n", 99, FaultKind::Protocol),
        (b"", 99, FaultKind::Protocol),
    ] {
        let (reply, _) = talk(bytes, &get, max).await;
        assert_eq!(reply.expect_err("no good reply").kind, kind, "{}", bytes.escape_ascii());
    }
}

#[tokio::test]
async fn why_a_socket_cannot_be_opened_is_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let get = Request::new(Method::GET, "/_ping");
    let at = |name: &str| folder.path().join(name);
    assert_eq!(send(&at("nothing"), &get, SECOND).await.err(), Some(Failure::Absent));
    assert_eq!(send(&at("nothing/s"), &get, SECOND).await.err(), Some(Failure::Absent));
    drop(UnixListener::bind(at("left")).expect("a socket"));
    assert_eq!(send(&at("left"), &get, SECOND).await.err(), Some(Failure::Deaf));
    let _silent = UnixListener::bind(at("silent")).expect("a socket");
    let late = send(&at("silent"), &get, SECOND / 20).await.err();
    assert_eq!(late, Some(Failure::Broken(Fault::timed_out(Phase::FirstByte, SECOND / 20))));
    let forbidden = unopened(&io::Error::from(io::ErrorKind::PermissionDenied));
    assert_eq!(forbidden, Failure::Forbidden);
}
