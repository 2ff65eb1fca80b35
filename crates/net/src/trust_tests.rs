//! Tests of trust: every way in which a certificate can be wrong has its sentence, and its facts are known all the same.

use std::time::Duration;

use model::address::Address;
use model::conf::{Node, Value};
use model::reading::{FactValue, Reading, fact};
use model::time::UtcMs;
use testkit::http::{HttpPeer, routes};
use testkit::tls::{Authority, Certificate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::attempt::Attempt;
use crate::clock::SystemClock;
use crate::dial;

/// Connects, sends a request and reads; a client certificate is refused only after the handshake in TLS 1.3.
async fn talk(url: &str, options: &TlsOptions) -> (Result<(), Fault>, Reading) {
    let clock = SystemClock::new();
    let mut at = Attempt::new(&clock, Duration::from_secs(10));
    let mut reading = Reading::default();
    let address = Address::parse(url).expect("a good URL");
    let result = async {
        let mut stream = dial::connect(&mut at, &address, Some(options), &mut reading).await?;
        let fault = |e| dial::io_fault(Phase::FirstByte, &e);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.map_err(fault)?;
        stream.read_u8().await.map_err(fault).map(|_| ())
    }
    .await;
    (result, reading)
}

fn ca(authority: &Authority) -> TlsOptions {
    TlsOptions { trust: Trust::CaFile(authority.file("ca.pem")), ..TlsOptions::default() }
}

#[tokio::test]
async fn certificates_are_judged_in_words_and_their_facts_are_kept() {
    let authority = Authority::new();
    for (certificate, ends, words) in [
        (Certificate::Good, 32_472_144_000_000, None),
        (Certificate::Expired, 1_577_836_800_000, Some("the certificate expired 2")),
        (Certificate::Future, 32_472_144_000_000, Some("not valid yet, only in 3")),
        (
            Certificate::WrongName,
            32_472_144_000_000,
            Some("the certificate is for elsewhere.example and not for localhost"),
        ),
        (Certificate::SelfSigned, 32_472_144_000_000, Some("self-signed by CN=self-signed camera; name it as ca_file")),
    ] {
        let peer = HttpPeer::with_tls(Some(authority.acceptor(certificate)), routes).await;
        let (result, reading) = talk(&peer.url_by_name("/"), &ca(&authority)).await;
        match (words, result) {
            (None, Ok(())) => assert_eq!(reading.facts[fact::TLS_VERSION], FactValue::Text("TLSv1.3".to_owned())),
            (Some(words), Err(fault)) => {
                assert_eq!((fault.kind, fault.phase), (FaultKind::Tls, Phase::Tls));
                assert!(fault.detail.contains(words), "{certificate:?}: {fault}");
            }
            (_, result) => panic!("{certificate:?}: {result:?}"),
        }
        assert_eq!(reading.facts.get(fact::CERT_EXPIRES_AT), Some(&FactValue::Time(UtcMs(ends))), "{certificate:?}");
        assert!(!reading.facts.contains_key(fact::CERT_UNCHECKED));

        let insecure = TlsOptions { trust: Trust::Insecure, ..TlsOptions::default() };
        let (result, reading) = talk(&peer.url_by_name("/"), &insecure).await;
        assert_eq!(result, Ok(()), "{certificate:?} insecurely");
        assert_eq!(reading.facts.get(fact::CERT_EXPIRES_AT), Some(&FactValue::Time(UtcMs(ends))));
        assert_eq!(reading.facts.get(fact::CERT_UNCHECKED), Some(&FactValue::Flag(true)));
    }
}

#[tokio::test]
async fn a_peers_own_certificate_as_ca_file_is_believed_for_its_name_only() {
    let authority = Authority::new();
    let peer = HttpPeer::with_tls(Some(authority.acceptor(Certificate::SelfSigned)), routes).await;
    let own = TlsOptions { trust: Trust::CaFile(authority.file("self-signed.pem")), ..TlsOptions::default() };
    assert_eq!(talk(&peer.url_by_name("/"), &own).await.0, Ok(()));
    assert_eq!(talk(&peer.url("/"), &own).await.0, Ok(()), "by its IP address");
    let nameless = HttpPeer::with_tls(Some(authority.acceptor(Certificate::Nameless)), routes).await;
    let pinned = TlsOptions { trust: Trust::CaFile(authority.file("nameless.pem")), ..TlsOptions::default() };
    assert_eq!(talk(&nameless.url("/"), &pinned).await.0, Ok(()), "without any name");
    let other = TlsOptions { server_name: Some("other.example".into()), ..own };
    let fault = talk(&peer.url_by_name("/"), &other).await.0.expect_err("another name");
    assert!(fault.detail.contains("for localhost, 127.0.0.1 and not for other.example"), "{fault}");
}

#[tokio::test]
async fn unknown_issuers_are_named() {
    let (one, other) = (Authority::new(), Authority::new());
    let peer = HttpPeer::with_tls(Some(one.acceptor(Certificate::Good)), routes).await;
    for options in [ca(&other), TlsOptions::default()] {
        let Err(fault) = talk(&peer.url_by_name("/"), &options).await.0 else { panic!("nobody vouches for it") };
        let words = ["issued by CN=testkit authority, which is not trusted", "has no root certificates", "signature"];
        assert!(words.iter().any(|w| fault.detail.contains(w)), "{fault}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_when_there_is_one_and_missed_in_words() {
    let authority = Authority::new();
    let peer = HttpPeer::with_tls(Some(authority.acceptor(Certificate::DemandsClient)), routes).await;
    let fault = talk(&peer.url_by_name("/"), &ca(&authority)).await.0.expect_err("none is shown");
    assert_eq!((fault.kind, fault.detail.as_str()), (FaultKind::Tls, CLIENT_CERTIFICATE_WANTED));
    let files = (authority.file("client.pem"), authority.file("client.key"));
    let with = TlsOptions { client_cert: Some(files), ..ca(&authority) };
    assert_eq!(talk(&peer.url_by_name("/"), &with).await.0, Ok(()));
}

#[test]
fn files_that_are_wrong_are_named_and_replaced_ones_are_read_again() {
    let authority = Authority::new();
    let file = authority.file("changing.pem");
    let options = TlsOptions { trust: Trust::CaFile(file.clone()), ..TlsOptions::default() };
    let words = |options: &TlsOptions| client_config(options).err().map(|f| f.detail).unwrap_or_default();
    assert!(words(&options).contains("changing.pem cannot be read"), "{}", words(&options));
    for (text, complaint) in [("", "holds no certificate"), ("-----BEGIN CERTIFICATE-----\n%%\n", "no PEM file")] {
        std::fs::write(&file, text).expect("a temporary folder");
        assert!(words(&options).contains(complaint), "{}", words(&options));
    }
    std::fs::copy(authority.file("ca.pem"), &file).expect("a temporary folder");
    let first = client_config(&options).expect("a good file");
    assert!(Arc::ptr_eq(&first, &client_config(&options).expect("cached")));
    std::fs::copy(authority.file("self-signed.pem"), &file).expect("a temporary folder");
    assert!(!Arc::ptr_eq(&first, &client_config(&options).expect("another good file")));

    let pair = (authority.file("client.pem"), authority.file("ca.pem"));
    let no_key = TlsOptions { client_cert: Some(pair), ..ca(&authority) };
    assert!(words(&no_key).contains("ca.pem holds no unencrypted private key"), "{}", words(&no_key));
}

#[test]
fn only_files_of_a_sane_size_are_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let large = folder.path().join("large.pem");
    let make = std::fs::File::create(&large).and_then(|f| f.set_len(MAX_PEM_BYTES + 1));
    make.expect("a temporary folder");
    for (file, complaint) in [
        (std::path::PathBuf::from("/dev/zero"), "/dev/zero is no file"),
        (folder.path().to_owned(), "is no file"),
        (large, "large.pem is larger than 4194304 bytes"),
    ] {
        let options = TlsOptions { trust: Trust::CaFile(file), ..TlsOptions::default() };
        let fault = client_config(&options).expect_err("no certificates");
        assert!(fault.detail.contains(complaint), "{}", fault.detail);
    }
}

#[test]
fn keys_that_contradict_each_other_are_problems() {
    let read = |pairs: &[(&str, &str)]| {
        let map = pairs.iter().map(|(k, v)| ((*k).to_owned(), Node::bare(Value::Str((*v).to_owned())))).collect();
        let node = Node::bare(Value::Map(map));
        let mut problems = Vec::new();
        let section = Section::check(&node, &TLS_FIELDS, "t", &mut problems);
        let options = TlsOptions::read(&section, &mut problems);
        (options, problems.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(read(&[]), (TlsOptions::default(), vec![]));
    let (options, problems) =
        read(&[("ca_file", "/a"), ("server_name", "h"), ("client_cert", "/b"), ("client_key", "/c")]);
    assert_eq!((options.trust, problems), (Trust::CaFile("/a".into()), vec![]));
    assert_eq!((options.server_name.as_deref(), options.client_cert), (Some("h"), Some(("/b".into(), "/c".into()))));
    for (pairs, words) in [
        (&[("client_key", "/c")][..], "t.client_key: client_key is given without client_cert"),
        (&[("client_cert", "/c")], "client_cert is given without client_key"),
        (&[("ca_file", "/a"), ("tls_trust", "insecure")], "ca_file has no effect while tls_trust is insecure"),
        (&[("tls_trust", "insekure")], "did you mean insecure?"),
    ] {
        let (_, problems) = read(pairs);
        assert!(problems.iter().any(|p| p.contains(words)), "{problems:?}");
    }
}
