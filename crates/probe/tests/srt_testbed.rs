//! The srt kind against libsrt: one row per URL that the testbed offers, the facts of ffprobe in the same run, and senders of our
//! own that are started as callers, stopped and killed.

mod support;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use model::observation::Observation;
use model::reading::Depth;
use net::clock::SystemClock;
use probe::run::Prober;
use support::{fact, ffprobe, look, outcome, target, testbed, tracks, words};
use testkit::datagram::closed;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const OPEN: &str = "srt://127.0.0.1:18890";
const LOCKED: &str = "srt://127.0.0.1:18891";
const SECRET: &str = "correcthorsebattery";
/// What ffprobe says of the clip that the testbed sends.
const BOTH: &str = "h264 High 640x360 25 fps* + aac LC 48000 Hz 2 ch*";
/// The sender of the locked stream has one caller at a time, and takes a moment to wait for the next.
const TURN: Duration = Duration::from_secs(15);

/// One look; at a sender with one caller at a time again until it is our turn.
async fn look_in_turn(url: &str, options: &[(&str, &str)]) -> Observation {
    let (target, deadline) = (target(url, options), Instant::now() + TURN);
    loop {
        let seen = look(&target).await;
        if !["timed_out", "refused"].iter().any(|kind| outcome(&seen).starts_with(kind)) || Instant::now() > deadline {
            return seen;
        }
    }
}

/// A program that ends with the test.
struct Sender(Child);

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Sender {
    /// `ffmpeg` that sends a picture of 320x240 and a tone to a URL.
    fn ffmpeg(url: &str) -> Self {
        let source =
            ["-f", "lavfi", "-i", "testsrc=size=320x240:rate=20", "-f", "lavfi", "-i", "sine=sample_rate=44100"];
        let coded = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10", "-c:a", "aac"];
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-re"]).args(source).args(coded).args(["-f", "mpegts", url]);
        Self(command.stdin(Stdio::null()).spawn().expect("ffmpeg is installed with the testbed"))
    }

    fn signal(&self, name: &str) {
        let ran = Command::new("kill").args([name, &self.0.id().to_string()]).status().expect("kill is there");
        assert!(ran.success());
    }
}

/// What [`Sender::ffmpeg`] sends.
const SENT: &str = "h264 High 4:4:4 Predictive 320x240 20 fps* + aac LC 44100 Hz 1 ch*";

#[tokio::test]
async fn good_streams_are_up_with_the_facts_of_the_link() {
    if testbed().is_none() {
        return;
    }
    let locked = format!("{LOCKED}?passphrase={SECRET}");
    for (url, options, key_bits) in [
        (OPEN, [].as_slice(), "0"),
        (OPEN, &[("streamid", "#!::r=cam,m=request")], "0"),
        (&locked, &[], "128"),
        (LOCKED, &[("passphrase", SECRET)], "128"),
        (LOCKED, &[("passphrase", SECRET), ("pbkeylen", "24")], "192"),
        (LOCKED, &[("passphrase", SECRET), ("pbkeylen", "32"), ("latency", "300ms")], "256"),
    ] {
        let seen = look_in_turn(url, options).await;
        assert_eq!(outcome(&seen), "up", "{url} {options:?}: {:?}", seen.look);
        assert_eq!(tracks(&seen), BOTH, "{url} {options:?}");
        assert_eq!(seen.look.reading.proven, Some(Depth::Media), "{url}");
        assert_eq!((fact(&seen, "srt_version").as_str(), fact(&seen, "srt_key_bits").as_str()), ("1.5.1", key_bits));
        let latency = if options.len() == 3 { "300" } else { "120" };
        assert_eq!(fact(&seen, "srt_latency_ms"), latency);
        for key in ["srt_dropped", "srt_undecrypted", "srt_belated"] {
            assert_eq!(fact(&seen, key), "0", "{key}: {:?}", seen.look);
        }
        assert!(!format!("{seen:?}").contains(SECRET), "{seen:?}");
    }
}

/// Every fact of ffprobe, from the same URLs in the same run.
#[tokio::test]
async fn ffprobe_says_the_same() {
    if testbed().is_none() {
        return;
    }
    let seen = look_in_turn(OPEN, &[]).await;
    ffprobe::agrees(&seen, OPEN, || ffprobe::tracks_of(OPEN, &[]));
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_phase() {
    if testbed().is_none() {
        return;
    }
    for (url, options, expected, part) in [
        (
            LOCKED,
            [("passphrase", "wronghorsebattery")].as_slice(),
            "auth_required (handshake)",
            "the passphrase is wrong",
        ),
        (LOCKED, &[], "auth_required (handshake)", "wants a passphrase, and none is configured"),
        (OPEN, &[("passphrase", SECRET)], "auth_required (handshake)", "has no passphrase, and one is configured"),
        ("srt://127.0.0.1:18599", &[], "refused (connect)", "nothing listens on UDP 127.0.0.1:18599"),
        ("srt://nosuch.invalid:18890", &[], "unresolved (resolve)", "nosuch.invalid"),
    ] {
        let seen = look_in_turn(url, options).await;
        assert_eq!(outcome(&seen), expected, "{url} {options:?}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{url}: {}", words(&seen));
        assert!(!format!("{seen:?}").contains("horsebattery"), "{seen:?}");
    }
}

/// A caller of libsrt comes to us, plain and encrypted, and one with another passphrase is turned away.
#[tokio::test]
async fn callers_of_libsrt_come_in() {
    if testbed().is_none() {
        return;
    }
    for (query, options, expected) in [
        ("", [].as_slice(), "up"),
        (
            "&passphrase=correcthorsebattery&pbkeylen=32&streamid=live/cam",
            &[("passphrase", SECRET), ("streamid", "live/cam")],
            "up",
        ),
        ("&passphrase=wronghorsebattery", &[("passphrase", SECRET)], "auth_required (handshake)"),
    ] {
        let port = closed();
        let _sender = Sender::ffmpeg(&format!("srt://{port}?mode=caller{query}"));
        let mut target = target(&format!("srt://{port}?mode=listener"), options);
        target.timeout = if expected == "up" { TURN } else { Duration::from_secs(5) };
        let seen = look(&target).await;
        assert_eq!(outcome(&seen), expected, "{query}: {:?}", seen.look);
        if expected == "up" {
            assert_eq!(tracks(&seen), SENT, "{query}");
            let bits = if options.is_empty() { "0" } else { "256" };
            assert_eq!((fact(&seen, "srt_version").as_str(), fact(&seen, "srt_key_bits").as_str()), ("1.5.1", bits));
        }
    }
}

/// A held sender of libsrt that is stopped is noticed within 2 s, and one that is killed as soon as it says goodbye or falls
/// silent.
#[tokio::test]
async fn a_stopped_sender_is_noticed() {
    if testbed().is_none() {
        return;
    }
    for name in ["-STOP", "-TERM"] {
        let port = closed();
        let sender = Sender::ffmpeg(&format!("srt://{port}?mode=caller"));
        let mut target = target(&format!("srt://{port}?mode=listener"), &[]);
        target.timeout = TURN;
        let probe = probe::kind::build(&target).expect("good options");
        let (mut stopped, mut live) = (None, Vec::new());
        let mut each = |seen: Observation, _| {
            live.push(seen);
            // The beginning of a session is given more time than what has gone on for a while.
            if live.len() == 6 {
                sender.signal(name);
                stopped = Some(Instant::now());
            }
        };
        let never = CancellationToken::new();
        let ended = Prober::new(Arc::new(SystemClock::new())).hold(&target, &*probe, &never, &mut each).await;
        let after = stopped.expect("it was held for a while").elapsed();
        let expected = if name == "-STOP" { "stale (media)" } else { "no_media (media)" };
        assert_eq!(outcome(&ended), expected, "{name}: {:?}", ended.look);
        assert!(after < Duration::from_secs(2), "{name}: {after:?}");
        sender.signal("-CONT");
        let last = live.last().expect("live observations");
        assert_eq!(tracks(last), SENT);
        for key in
            ["measured_bitrate_bps", "measured_fps", "srt_receive_bps", "rtt_ms", "keyframe_interval_ms", "jitter_ms"]
        {
            assert_ne!(fact(last, key), "-", "{key}: {:?}", last.look);
        }
        assert_eq!(fact(last, "srt_dropped"), "0", "{:?}", last.look);
    }
}
