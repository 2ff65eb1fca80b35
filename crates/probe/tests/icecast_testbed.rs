//! The icecast kind against Icecast of the testbed: one row per mount, and the facts of ffprobe in the same run.

mod support;

use std::process::Command;

use model::conf::Value;
use model::reading::Depth;
use model::target::Target;
use support::{fact, look, outcome, target, testbed, tracks, words};

const SERVER: &str = "http://127.0.0.1:18000";

/// A target of this kind with a status page asked for.
fn radio(url: &str, options: &[(&str, &str)]) -> Target {
    let mut target = target(url, options);
    target.kind = "icecast";
    if let Some(value) = target.options.0.get_mut("status") {
        *value = Value::Bool(true);
    }
    target
}

#[tokio::test]
async fn mounts_are_up_with_the_facts_that_ffprobe_prints() {
    if testbed().is_none() {
        return;
    }
    for (mount, user) in [("tone.mp3", ""), ("tone.ogg", ""), ("members.mp3", "viewer:s3cret@")] {
        let url = format!("http://{user}127.0.0.1:18000/{mount}");
        let seen = look(&radio(&url, &[("status", "true")])).await;
        assert_eq!(outcome(&seen), "up", "{url}: {:?}", seen.look);
        assert_eq!(seen.look.reading.proven, Some(Depth::Media));
        assert_eq!(fact(&seen, "server"), "Icecast 2.4.4");
        let entries = "stream=codec_name,sample_rate,channels";
        let ran = Command::new("ffprobe").args(["-v", "error", "-of", "json", "-show_entries", entries, &url]).output();
        let json = ran.expect("ffprobe is installed with the testbed").stdout;
        let told: serde_json::Value = serde_json::from_slice(&json).expect("ffprobe prints JSON");
        let told = &told["streams"][0];
        let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
        let line = format!("{} {} Hz {} ch*", text("codec_name"), text("sample_rate"), told["channels"]);
        assert_eq!(tracks(&seen), line, "{url}");
        let bitrate: u64 = fact(&seen, "sound_bitrate_bps").parse().expect("a measured bit rate");
        assert!((30_000..200_000).contains(&bitrate), "{url}: {bitrate}");
        assert!(fact(&seen, "listeners").parse::<u32>().is_ok(), "{url}: {:?}", seen.look.reading);
        assert!(!format!("{seen:?}").contains("s3cret"));
    }
    let seen = look(&target(&format!("{SERVER}/tone.mp3"), &[])).await;
    assert_eq!(
        (outcome(&seen).as_str(), fact(&seen, "stream_name").as_str()),
        ("up", "Tone FM"),
        "guessed by its name"
    );
    assert_eq!((fact(&seen, "stream_genre").as_str(), fact(&seen, "listeners").as_str()), ("test", "-"));
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_phase() {
    if testbed().is_none() {
        return;
    }
    for (url, expected, part) in [
        (format!("{SERVER}/nosuch.mp3"), "not_found (first_byte)", "404"),
        (format!("{SERVER}/members.mp3"), "auth_required (first_byte)", "none is configured"),
        ("http://viewer:wrong1@127.0.0.1:18000/members.mp3".to_owned(), "auth_required (first_byte)", "refuses"),
        (format!("{SERVER}/status-json.xsl"), "protocol (first_byte)", "application/json"),
        ("http://127.0.0.1:18080/redirect-loop".to_owned(), "protocol (first_byte)", "more than 5 redirects"),
        ("http://127.0.0.1:18080/media/h264_360p.mp4".to_owned(), "no_media (media)", ""),
        ("http://127.0.0.1:18599/tone.mp3".to_owned(), "refused (connect)", ""),
        ("https://localhost:18443/tone.mp3".to_owned(), "tls (tls)", ""),
    ] {
        let seen = look(&radio(&url, &[])).await;
        assert_eq!(outcome(&seen), expected, "{url}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{url}: {}", words(&seen));
        assert!(!format!("{seen:?}").contains("wrong1"), "{seen:?}");
    }
}

#[tokio::test]
async fn a_file_behind_tls_is_sound_too_and_depth_decides_what_is_proven() {
    let Some(folder) = testbed() else { return };
    let ca = folder.join("ca/ca.pem").display().to_string();
    let seen = look(&radio("https://localhost:18443/media/tone.mp3", &[("ca_file", &ca)])).await;
    assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
    for (depth, shown) in [(Depth::Describe, "mp3"), (Depth::Reach, "")] {
        let mut shallow = radio(&format!("{SERVER}/tone.mp3"), &[]);
        shallow.depth = depth;
        let seen = look(&shallow).await;
        assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), ("up", shown), "{depth}");
        assert_eq!(seen.look.reading.proven, Some(depth));
    }
}
