//! The srt kind against libsrt of the testbed: one row per URL that it offers, and the facts of ffprobe in the same run.

mod support;

use std::process::Command;
use std::time::Duration;

use model::reading::Depth;
use support::{fact, look, outcome, target, testbed, tracks, words};

const OPEN: &str = "srt://127.0.0.1:18890";
const LOCKED: &str = "srt://127.0.0.1:18891";
const SECRET: &str = "correcthorsebattery";

#[tokio::test]
async fn good_streams_are_up_with_the_facts_of_the_link() {
    if testbed().is_none() {
        return;
    }
    let locked = format!("{LOCKED}?passphrase={SECRET}");
    for (url, options, key_bits) in [
        (OPEN, [].as_slice(), "0"),
        (&locked, &[], "128"),
        (LOCKED, &[("passphrase", SECRET)], "128"),
        (LOCKED, &[("passphrase", SECRET), ("pbkeylen", "24")], "192"),
        (LOCKED, &[("passphrase", SECRET), ("pbkeylen", "32"), ("latency", "300ms")], "256"),
    ] {
        let seen = look(&target(url, options)).await;
        assert_eq!(outcome(&seen), "up", "{url} {options:?}: {:?}", seen.look);
        assert_eq!(seen.look.reading.proven, Some(Depth::Media), "{url}");
        assert_eq!((fact(&seen, "srt_version").as_str(), fact(&seen, "srt_key_bits").as_str()), ("1.5.1", key_bits));
        println!("{:?}", seen.look);
        assert!(!format!("{seen:?}").contains(SECRET), "{seen:?}");
    }
}
