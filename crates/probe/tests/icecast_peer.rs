//! The icecast kind against scripted servers: the old status line, titles, chunks, redirects, silence.

mod support;

use std::path::Path;
use std::time::Duration;

use model::conf::Value;
use model::observation::Observation;
use model::target::Target;
use support::{fact, look, outcome, target, tracks, words};
use testkit::http::{HttpPeer, Reply, basic};

fn radio(url: &str, options: &[(&str, &str)]) -> Target {
    let mut target = target(url, options);
    target.kind = "icecast";
    if let Some(value) = target.options.0.get_mut("status") {
        *value = Value::Bool(true);
    }
    target.timeout = Duration::from_secs(2);
    target
}

/// A reply out of the museum of `wire`.
fn recorded(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wire/testdata/icy");
    std::fs::read(folder.join(name)).expect("the recording is there")
}

async fn hear(reply: Reply) -> Observation {
    let peer = HttpPeer::with(move |_| reply.clone()).await;
    look(&radio(&peer.url("/;"), &[])).await
}

#[tokio::test]
async fn old_servers_are_heard_with_their_titles() {
    let seen = hear(Reply::Raw(recorded("handwritten_shoutcast1.bin"))).await;
    assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), ("up", "mp3 44100 Hz 2 ch*"), "{:?}", seen.look);
    assert_eq!(fact(&seen, "stream_title"), "Café - It's late");
    assert_eq!((fact(&seen, "stream_name").as_str(), fact(&seen, "stream_genre").as_str()), ("Café FM", "Jazz"));
    assert_eq!(seen.look.reading.tracks[0].bitrate_bps, Some(128_000));
    let seen = hear(Reply::Raw(recorded("handwritten_shoutcast1_no_source.bin"))).await;
    assert_eq!(outcome(&seen), "no_media (first_byte)");
    assert!(words(&seen).contains("no source"), "{}", words(&seen));
}

#[tokio::test]
async fn chunks_come_off() {
    let seen = hear(Reply::Stall(recorded("handwritten_chunked_aac.bin"))).await;
    assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), ("up", "aac LC 44100 Hz 2 ch*"), "{:?}", seen.look);
}

/// A title that is announced and does not come holds the look up for a second and no longer.
#[tokio::test]
async fn a_title_that_does_not_come_is_no_fault() {
    let mut reply = recorded("handwritten_shoutcast1.bin");
    let text = String::from_utf8_lossy(&reply).into_owned();
    assert!(text.contains("icy-metaint:1000"));
    let at = reply.windows(8).position(|w| w == b"int:1000").expect("it is there");
    reply[at + 4..at + 8].copy_from_slice(b"9999");
    let seen = hear(Reply::Stall(reply)).await;
    assert_eq!(
        (outcome(&seen).as_str(), fact(&seen, "stream_title").as_str()),
        ("no_media (media)", "-"),
        "{:?}",
        seen.look
    );
    // Without the title in the middle the frames follow each other.
    let mut frame = vec![0xff, 0xfb, 0x90, 0x64];
    frame.resize(417, 0);
    let reply = [b"ICY 200 OK\r\nicy-metaint:9999\r\n\r\n".to_vec(), frame.repeat(4)].concat();
    let seen = hear(Reply::Stall(reply)).await;
    assert_eq!((outcome(&seen).as_str(), fact(&seen, "stream_title").as_str()), ("up", "-"), "{:?}", seen.look);
    assert!(seen.took < Duration::from_millis(1500), "{:?}", seen.took);
}

#[tokio::test]
async fn silence_and_noise_are_missing_media() {
    let head = b"ICY 200 OK\r\ncontent-type: audio/mpeg\r\n\r\n".to_vec();
    for (reply, part) in [
        (Reply::Stall(head.clone()), "not one byte of sound came within 2 s"),
        (Reply::Raw(head.clone()), "not one byte of sound came before the server ended the stream"),
        (Reply::Raw([head.clone(), vec![0xff; 900]].concat()), "900 bytes of something"),
        (Reply::Endless(head.clone(), vec![0xff; 4096]), "in the first 256 KiB"),
    ] {
        let seen = hear(reply).await;
        assert_eq!(outcome(&seen), "no_media (media)", "{:?}", seen.look);
        assert!(words(&seen).contains(part), "{}", words(&seen));
    }
    let page = Reply::text(200, "<html>").with("Content-Type", "text/html");
    for (reply, part) in [
        (Reply::Raw(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>".to_vec()), "text/html, a page"),
        (Reply::Raw(b"ICY 200 OK\r\nContent-Type: audio/x-scpls\r\n\r\n".to_vec()), "watch the address that it names"),
        (page, "a page"),
    ] {
        let seen = hear(reply).await;
        assert_eq!(outcome(&seen), "protocol (first_byte)", "{:?}", seen.look);
        assert!(words(&seen).contains(part), "{}", words(&seen));
    }
}

#[tokio::test]
async fn passwords_stay_with_their_server() {
    let there = HttpPeer::with(|_| Reply::text(401, "").with("WWW-Authenticate", "Basic realm=\"there\"")).await;
    let away = there.url("/tone.mp3");
    let here = HttpPeer::with(move |request| {
        let away = away.clone();
        basic(request, Reply::text(302, "").with("Location", away))
    })
    .await;
    let url = here.url("/tone.mp3").replacen("://", "://viewer:s3cret@", 1);
    let seen = look(&radio(&url, &[])).await;
    assert_eq!((outcome(&seen).as_str(), fact(&seen, "redirects").as_str()), ("auth_required (first_byte)", "1"));
    assert_eq!(here.requests().len(), 2, "asked, and answered the challenge");
    assert!(there.requests().iter().all(|r| r.header("Authorization").is_none()), "{:?}", there.requests());
    assert!(there.requests().iter().all(|r| r.header("Icy-MetaData") == Some("1")));
}

#[tokio::test]
async fn a_status_page_that_fails_is_a_hint_and_no_fault() {
    let peer = HttpPeer::with(|request| match request.target.as_str() {
        "/status-json.xsl" => Reply::text(200, "<html>"),
        _ => Reply::Raw(recorded("handwritten_shoutcast1.bin")),
    })
    .await;
    let seen = look(&radio(&peer.url("/tone.mp3"), &[("status", "true")])).await;
    assert_eq!(outcome(&seen), "up");
    assert!(fact(&seen, "hint").ends_with("the status page: it is no JSON"), "{}", fact(&seen, "hint"));
}
