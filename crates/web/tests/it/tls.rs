//! HTTPS: the headers and the cookie that only make sense there, renewal of the certificate, and who is cut off.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::config::Tls;
use net::trust::{TlsOptions, Trust, client_config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use web::tls::Certificate;

use crate::rig::{PASSWORD, PATIENCE, Rig};

fn write_certificate(folder: &Path) -> Tls {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    Tls { cert, key }
}

async fn rig(folder: &Path) -> Rig {
    let Tls { cert, key } = write_certificate(folder);
    let (cert, key) = (cert.display(), key.display());
    let text = format!(
        "server: {{listen: [\"127.0.0.1:0\"], tls_cert: {cert}, tls_key: {key}}}\ntargets:\n  - {{name: A, url: 'http://127.0.0.1:9/', interval: 1h}}\n"
    );
    Rig::with(&text, true).await
}

async fn connect(rig: &Rig) -> TlsStream<TcpStream> {
    let options = TlsOptions { trust: Trust::Insecure, ..TlsOptions::default() };
    let config = client_config(&options).expect("a client");
    let stream = TcpStream::connect(rig.listening.addrs[0]).await.expect("connects");
    let name = "localhost".try_into().expect("a name");
    tokio_rustls::TlsConnector::from(config).connect(name, stream).await.expect("a handshake")
}

#[tokio::test]
async fn over_tls_the_cookie_is_bound_to_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = rig(folder.path()).await;
    assert_eq!(rig.listening.scheme, "https");
    let token = rig.listening.setup_token().expect("first run");
    let body = serde_json::json!({ "token": token, "user": "root", "password": PASSWORD }).to_string();
    let mut stream = connect(&rig).await;
    let head = format!(
        "POST /api/v1/setup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // A server that closes without a TLS goodbye is none of our concern here.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("in time");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age="), "{answer}");
    let cookie = answer.lines().find(|l| l.starts_with("set-cookie:")).expect("a session");
    assert!(cookie.contains("__Host-streampulse_session=") && cookie.ends_with("; Secure"), "{cookie}");
    rig.stop().await;
}

#[tokio::test]
async fn plain_http_and_silence_do_not_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = rig(folder.path()).await;
    let mut plain = TcpStream::connect(rig.listening.addrs[0]).await.expect("connects");
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut answer)).await.expect("it ends");
    assert!(!answer.starts_with(b"HTTP/"), "no page without TLS");
    let mut silent = TcpStream::connect(rig.listening.addrs[0]).await.expect("connects");
    let _ = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut answer)).await.expect("silence is cut off");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = write_certificate(folder.path());
    let certificate = Certificate::load(files.clone()).expect("loads");
    let first = certificate.current();
    let later = || tokio::time::advance(Duration::from_secs(11));
    later().await;
    assert!(Arc::ptr_eq(&first, &certificate.current()), "nothing changed");
    std::fs::write(&files.cert, "half a certificate").expect("written");
    later().await;
    assert!(Arc::ptr_eq(&first, &certificate.current()), "the old one stays");
    write_certificate(folder.path());
    later().await;
    assert!(!Arc::ptr_eq(&first, &certificate.current()), "the new one is used");
    let missing = Tls { cert: folder.path().join("none.pem"), key: files.key };
    assert!(Certificate::load(missing).err().is_some_and(|why| why.contains("none.pem")));
}
