//! What the integration tests share: targets, one look, and where the testbed is.

#![allow(dead_code, reason = "every test binary uses its own part")]
#![allow(clippy::print_stderr, reason = "a skipped test must be seen")]

pub(crate) mod ffprobe;
pub(crate) mod held;
pub(crate) mod peer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::address::Address;
use model::conf::Value;
use model::expect::Expectations;
use model::observation::Observation;
use model::reading::{Depth, FactValue};
use model::status::StatusRules;
use model::target::{Options, Target, TargetId, Watch};
use net::clock::SystemClock;
use probe::kinds;
use probe::run::Prober;
use tokio_util::sync::CancellationToken;

/// A target of the guessed kind with a deadline of 5 s.
pub(crate) fn target(url: &str, options: &[(&str, &str)]) -> Target {
    let address = Address::parse(url).expect("a good URL");
    let kind = kinds::guess(&address).expect("a known scheme").name;
    Target {
        id: TargetId::parse("t").expect("a good id"),
        name: "t".to_owned(),
        kind,
        address,
        group: None,
        tags: Vec::new(),
        enabled: true,
        watch: Watch::Periodic,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
        retries: 0,
        depth: Depth::Media,
        rules: StatusRules::default(),
        expect: Expectations::default(),
        options: Options(options.iter().map(|(k, v)| ((*k).to_owned(), Value::Str((*v).to_owned()))).collect()),
        parents: Vec::new(),
    }
}

/// One look.
pub(crate) async fn look(target: &Target) -> Observation {
    look_until(target, &CancellationToken::new()).await
}

/// One look that may be cancelled.
pub(crate) async fn look_until(target: &Target, cancel: &CancellationToken) -> Observation {
    let probe = probe::kind::build(target).expect("good options");
    Prober::new(Arc::new(SystemClock::new())).observe(target, &*probe, cancel).await
}

/// `up`, or the fault as `kind (phase)`.
pub(crate) fn outcome(seen: &Observation) -> String {
    seen.look.fault.as_ref().map_or("up".to_owned(), |f| format!("{} ({})", f.kind, f.phase))
}

/// The words of the fault; empty when there is none.
pub(crate) fn words(seen: &Observation) -> String {
    seen.look.fault.as_ref().map(|f| f.detail.clone()).unwrap_or_default()
}

/// A fact as text.
pub(crate) fn fact(seen: &Observation, key: &str) -> String {
    match seen.look.reading.facts.get(key) {
        Some(FactValue::Text(text)) => text.clone(),
        Some(FactValue::Int(n)) => n.to_string(),
        Some(FactValue::Flag(flag)) => flag.to_string(),
        Some(other) => format!("{other:?}"),
        None => "-".to_owned(),
    }
}

/// Tracks in one line: `h264 Constrained Baseline 320x240 10 fps* + aac LC 48000 Hz 1 ch*`; a star means proven.
pub(crate) fn tracks(seen: &Observation) -> String {
    let line = seen.look.reading.tracks.iter().map(|t| {
        let mut text = t.codec.clone();
        let mut add = |part: Option<String>| {
            if let Some(part) = part {
                text.push(' ');
                text.push_str(&part);
            }
        };
        add(t.profile.clone());
        add(t.width.zip(t.height).map(|(w, h)| format!("{w}x{h}")));
        add(t.fps.map(|fps| format!("{fps} fps")));
        add(t.sample_rate_hz.map(|hz| format!("{hz} Hz")));
        add(t.channels.map(|n| format!("{n} ch")));
        if t.proven { text + "*" } else { text }
    });
    line.collect::<Vec<_>>().join(" + ")
}

/// The folder of the running testbed; says loudly when there is none.
pub(crate) fn testbed() -> Option<PathBuf> {
    if std::env::var_os("STREAMPULSE_TESTBED").is_none() {
        eprintln!("SKIPPED: no testbed (set STREAMPULSE_TESTBED=1 and TESTBED_DIR; see testbed/README.md)");
        return None;
    }
    let folder = std::env::var_os("TESTBED_DIR").expect("TESTBED_DIR names the folder of the running testbed");
    Some(folder.into())
}
