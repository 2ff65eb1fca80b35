//! Sessions of the rtmp, mjpeg and icecast kinds that are held, against peers that stop, end, and want answers.

mod support;

use std::time::Duration;

use model::reading::{FactValue, fact as key};
use model::target::Target;
use support::held::{Session, hold};
use support::{fact, outcome, target, testbed, tracks, words};
use testkit::http::{HttpPeer, Reply};
use testkit::mjpeg::{Camera, camera};
use testkit::peer::{Peer, drain, send};
use testkit::rtmp::{Act, RtmpPeer, good, on_status};
use testkit::wait::wait_for;
use tokio::io::AsyncReadExt as _;

/// Longest wait for something that takes a second or two.
const PATIENCE: Duration = Duration::from_secs(15);
/// Within which silence is to be noticed.
const NOTICED: Duration = Duration::from_secs(2);

fn of_kind(kind: &'static str, url: &str) -> Target {
    Target { kind, ..target(url, &[]) }
}

/// Ends a session and sees that the peer is rid of it.
async fn leave(session: Session, open: impl Fn() -> usize) {
    assert_eq!(words(&session.cancel().await), "cancelled");
    assert!(wait_for(PATIENCE, || open() == 0).await, "the connection is left open");
}

/// A server that plays in its own way.
async fn playing(act: impl Fn() -> Act + Send + Sync + 'static) -> RtmpPeer {
    let script = move |command: &wire::rtmp::Command| {
        let acts = good(command).into_iter();
        acts.map(|next| if matches!(next, Act::Pictures) { act() } else { next }).collect()
    };
    RtmpPeer::with(script, None).await
}

#[tokio::test]
async fn rtmp_is_measured_acknowledged_and_answered() {
    let peer = RtmpPeer::start().await;
    let mut session = Session::start(&target(&peer.url("/live/cam"), &[]));
    let (seen, second) = session.after(4).await;
    assert_eq!(outcome(&seen), "up");
    assert!(tracks(&seen).starts_with("h264 ") && tracks(&seen).contains("64x48"), "{}", tracks(&seen));
    let fps = match seen.look.reading.facts.get(key::MEASURED_FPS) {
        Some(FactValue::Num(fps)) => *fps,
        other => panic!("{other:?}"),
    };
    assert!((fps - 10.0).abs() < 0.1, "{fps}");
    assert!((8..=12).contains(&second.frames) && second.lost.is_none(), "{second:?}");
    assert_eq!((fact(&seen, "keyframe_interval_ms").as_str(), fact(&seen, "packets_lost").as_str()), ("100", "-"));
    let before = peer.acknowledged();
    session.after(1).await;
    assert!(before > 4000 && peer.acknowledged() > before, "{before} {}", peer.acknowledged());
    // One while connecting, then one a second.
    assert!(peer.pongs() >= 4, "{}", peer.pongs());
    leave(session, || peer.stats().open()).await;
}

#[tokio::test]
async fn rtmp_that_stops_is_noticed_and_the_end_of_a_stream_has_its_words() {
    let silent = playing(|| Act::Few(25, None)).await;
    let ending = playing(|| Act::Few(3, Some(on_status("status", "NetStream.Play.UnpublishNotify", "")))).await;
    let (of_silent, of_ending) = (target(&silent.url("/live/cam"), &[]), target(&ending.url("/live/cam"), &[]));
    let (silence, end) = tokio::join!(hold(&of_silent), hold(&of_ending));
    assert_eq!(outcome(&silence.last), "stale (media)");
    let since_last = silence.ended.saturating_duration_since(silence.last_packet());
    assert!(since_last < NOTICED, "{since_last:?}");
    assert_eq!(outcome(&end.last), "no_media (media)");
    assert_eq!(words(&end.last), "live/cam ended (NetStream.Play.UnpublishNotify)");
    assert!(wait_for(PATIENCE, || silent.stats().open() == 0).await, "the connection is left open");
}

#[tokio::test]
async fn mjpeg_is_measured_and_its_end_noticed() {
    let good = camera(Camera::Good).await;
    let mut session = Session::start(&of_kind("mjpeg", &good.url("http", "/")));
    let (seen, second) = session.after(4).await;
    assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), ("up", "mjpeg Baseline 64x48*"));
    assert!((20..=55).contains(&second.frames) && second.jitter_ms.is_none(), "{second:?}");
    assert_eq!(fact(&seen, "frame_bytes"), testkit::mjpeg::PICTURE.len().to_string());
    leave(session, || good.stats().open()).await;
    let (stalls, ends) = (camera(Camera::StallsAfter(130)).await, camera(Camera::EndsAfter(30)).await);
    let (of_stalls, of_ends) = (of_kind("mjpeg", &stalls.url("http", "/")), of_kind("mjpeg", &ends.url("http", "/")));
    let (silence, end) = tokio::join!(hold(&of_stalls), hold(&of_ends));
    assert_eq!((outcome(&silence.last).as_str(), fact(&silence.last, "packets").as_str()), ("stale (media)", "129"));
    let since_last = silence.ended.saturating_duration_since(silence.last_packet());
    assert!(since_last < NOTICED, "{since_last:?}");
    assert_eq!(
        format!("{}: {}", outcome(&end.last), words(&end.last)),
        "no_media (media): the stream of pictures ended"
    );
}

/// A radio of MPEG frames (128 kbit/s, 417 bytes each) ten times a second, two at a time, with another title a second; stops
/// after so many of them, or speaks words for ever.
async fn radio(stops: u32, words: bool) -> Peer {
    Peer::start(move |conn, stats| async move {
        let (mut reader, mut writer) = tokio::io::split(conn);
        if reader.read(&mut [0; 2048]).await.unwrap_or(0) == 0 {
            return;
        }
        let playing = async {
            let head = b"ICY 200 OK\r\ncontent-type: audio/mpeg\r\nicy-metaint:834\r\n\r\n";
            send(&mut writer, head).await;
            let mut frame = vec![0xff, 0xfb, 0x90, 0x64];
            frame.resize(417, 0);
            for number in 0.. {
                if number == stops && !words {
                    std::future::pending::<()>().await;
                }
                while number == stops && send(&mut writer, &[b'w'; 8192]).await {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                let mut title = format!("StreamTitle='song {}';", number / 10).into_bytes();
                title.resize(32, 0);
                let sent = [frame.repeat(2), vec![2], title].concat();
                if !send(&mut writer, &sent).await {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            () = drain(&mut reader, &stats) => {}
            () = playing => {}
        }
    })
    .await
}

#[tokio::test]
async fn radio_is_measured_with_its_titles_and_silence_noticed() {
    let peer = radio(u32::MAX, false).await;
    let mut session = Session::start(&of_kind("icecast", &peer.url("http", "/;")));
    let (before, _) = session.after(1).await;
    let (after, second) = session.after(3).await;
    assert_eq!((outcome(&after).as_str(), tracks(&after).as_str()), ("up", "mp3 44100 Hz 2 ch*"));
    let (before, title) = (fact(&before, "stream_title"), fact(&after, "stream_title"));
    assert!(before.starts_with("song ") && title.starts_with("song ") && before != title, "{before} {title}");
    let rate: f64 = fact(&after, "measured_bitrate_bps").parse().expect("a number");
    assert!((rate - 66_720.0).abs() < 10_000.0, "{rate}");
    assert!(second.packets >= 5, "{second:?}");
    leave(session, || peer.stats().open()).await;
    let peer = radio(30, false).await;
    let seen = hold(&of_kind("icecast", &peer.url("http", "/;"))).await;
    assert_eq!(outcome(&seen.last), "stale (media)");
    assert!(words(&seen.last).starts_with("the audio track has been silent for 1."), "{}", words(&seen.last));
    let since_last = seen.ended.saturating_duration_since(seen.last_packet());
    assert!(since_last < NOTICED, "{since_last:?}");
}

#[tokio::test]
async fn radio_that_turns_into_words_or_ends_is_told_of() {
    let mut frame = vec![0xff, 0xfb, 0x90, 0x64];
    frame.resize(417, 0);
    let sound = [b"ICY 200 OK\r\ncontent-type: audio/mpeg\r\n\r\n".to_vec(), frame.repeat(8)].concat();
    let ends = HttpPeer::with(move |_| Reply::Raw(sound.clone())).await;
    let seen = hold(&of_kind("icecast", &ends.url("/;"))).await;
    assert_eq!(
        format!("{}: {}", outcome(&seen.last), words(&seen.last)),
        "no_media (media): the server ended the stream"
    );
    let turning = radio(5, true).await;
    let seen = hold(&of_kind("icecast", &turning.url("http", "/;"))).await;
    assert_eq!(outcome(&seen.last), "no_media (media)");
    assert!(words(&seen.last).starts_with("the sound turned into something else"), "{}", words(&seen.last));
}

#[tokio::test]
async fn streams_of_the_testbed_are_held() {
    let Some(folder) = testbed() else { return };
    let ca = folder.join("ca/ca.pem").display().to_string();
    let targets = [
        target("rtmp://127.0.0.1:11935/live/cam", &[]),
        target("rtmps://localhost:11936/live/cam", &[("ca_file", &ca)]),
        of_kind("mjpeg", "http://127.0.0.1:18081/"),
        of_kind("icecast", "http://127.0.0.1:18000/tone.mp3"),
        of_kind("icecast", "http://127.0.0.1:18000/tone.ogg"),
    ];
    let mut sessions: Vec<_> = targets.iter().map(Session::start).collect();
    for (session, target) in sessions.iter_mut().zip(&targets) {
        let (seen, _) = session.after(6).await;
        let url = target.address.to_string();
        assert_eq!(outcome(&seen), "up", "{url}");
        assert!(fact(&seen, "measured_bitrate_bps").parse::<u64>().is_ok_and(|rate| rate > 50_000), "{url}: {seen:?}");
        if target.kind == "rtmp" {
            let fps = fact(&seen, "measured_fps");
            let fps: f64 = fps.trim_start_matches("Num(").trim_end_matches(')').parse().expect("a number");
            assert!((fps - 25.0).abs() <= 0.25, "{url}: {fps}");
        }
    }
    for session in sessions {
        assert_eq!(words(&session.cancel().await), "cancelled");
    }
}
