//! `streampulse probe URL`: one look, told to a person, a program or a Nagios; or, with `--follow`, a session that is held.

mod follow;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use ::probe::gear::Gear;
use engine::config::{Overrides, load};
use model::conf::words::duration;
use model::fault::Fault;
use model::observation::Observation;
use model::phase::Phases;
use model::reading::{FactValue, Reading, Row, Severity, Track, fact};
use model::target::Target;
use model::verdict::{Grade, Verdict, judge};
use net::clock::SystemClock;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::args::ProbeArgs;
use crate::commands::check::commands_of;
use crate::say;

/// Exit code for "unknown or misuse".
pub(crate) const UNKNOWN: u8 = 3;

/// How long the measures of a session that is followed are taken over.
const FOLLOW_WINDOW: &str = "10s";

/// Runs the command.
pub(crate) async fn probe(args: &ProbeArgs) -> anyhow::Result<ExitCode> {
    let overrides = overrides(args);
    let target = match overrides.as_ref().map_err(Clone::clone).and_then(|o| target_of(args, o)) {
        Ok(target) => target,
        Err(problems) => {
            say::out(&nothing_looked_at(args, &problems)?);
            for problem in problems {
                say::err(&format!("streampulse probe: {problem}"));
            }
            return Ok(ExitCode::from(UNKNOWN));
        }
    };
    let gear = Gear::new(overrides.ok().and_then(|o| o.commands).unwrap_or_default());
    let built = probe::kind::equipped(&target, &gear).map_err(|p| anyhow::anyhow!("{}", p[0]))?;
    if args.follow {
        let limit = args.r#for.as_deref().map(duration).transpose().map_err(|e| anyhow::anyhow!("--for: {e}"))?;
        return follow::follow(&target, built.as_ref(), args.json, limit).await;
    }
    let prober = probe::run::Prober::new(Arc::new(SystemClock::new()));
    let cancel = CancellationToken::new();
    let seen = tokio::select! {
        seen = prober.observe(&target, built.as_ref(), &cancel) => seen,
        _ = tokio::signal::ctrl_c() => {
            say::err("streampulse probe: interrupted");
            return Ok(ExitCode::from(UNKNOWN));
        }
    };
    let verdict = judge(&target.expect, &seen);
    let (status, code) = status_of(&seen, &verdict);
    say::out(&if args.json {
        json_text(&target, &seen, &verdict, status)?
    } else {
        human(&target, &seen, &verdict, status)
    });
    Ok(ExitCode::from(code))
}

/// The commands that may be named; other URLs do not care whether their file is in order.
fn overrides(args: &ProbeArgs) -> Result<Overrides, Vec<String>> {
    if !args.url.starts_with("exec:") && args.kind.as_deref() != Some("exec") {
        return Ok(Overrides::default());
    }
    let config = std::env::var_os("STREAMPULSE_CONFIG").map_or_else(|| "streampulse.yaml".into(), PathBuf::from);
    let commands = commands_of(args.commands.as_deref(), &config).map_err(|refused| refused.lines())?;
    Ok(Overrides { commands: Some(Arc::new(commands)), ..Overrides::default() })
}

/// The target that the arguments describe, checked by the loader of configuration files.
fn target_of(args: &ProbeArgs, overrides: &Overrides) -> Result<Target, Vec<String>> {
    let mut fields = Map::new();
    fields.insert("name".into(), json!("probe"));
    fields.insert("url".into(), json!(literal(&args.url)));
    fields.insert("timeout".into(), json!(args.timeout));
    if args.follow {
        fields.insert("watch".into(), json!("continuous"));
        fields.insert("interval".into(), json!(FOLLOW_WINDOW));
    } else {
        fields.insert("interval".into(), json!("1d"));
    }
    for (key, value) in [("kind", &args.kind), ("depth", &args.depth)] {
        if let Some(value) = value {
            fields.insert(key.into(), json!(literal(value)));
        }
    }
    if args.insecure {
        fields.insert("tls_trust".into(), json!("insecure"));
    }
    if let Some(file) = &args.ca_file {
        fields.insert("ca_file".into(), json!(literal(&file.to_string_lossy())));
    }
    for option in &args.options {
        let (key, value) = option.split_once('=').ok_or_else(|| vec![format!("-o {option}: write it as KEY=VALUE")])?;
        insert(&mut fields, key, scalar(value));
    }
    // JSON is YAML: the same loader, the same words, the same problems as for a file.
    let text = json!({ "targets": [fields] }).to_string();
    let mut config = load(&text, &|_| None, overrides).map_err(|problems| {
        // Places of a text that nobody wrote would only confuse.
        problems
            .into_iter()
            .map(|p| {
                p.path.trim_start_matches("targets[0].").to_owned()
                    + ": "
                    + &p.message
                    + &p.remedy.map_or(String::new(), |r| format!(" ({r})"))
            })
            .collect::<Vec<_>>()
    })?;
    Ok(config.targets.remove(0))
}

/// Keeps a text literal: the loader replaces `${VAR}`.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

fn insert(fields: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            fields.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let entry = fields.entry(section.to_owned()).or_insert_with(|| json!({}));
            if let Value::Object(inner) = entry {
                insert(inner, rest, value);
            }
        }
    }
}

/// Numbers and truth values as such, `[a, b]` as a list, everything else as text.
fn scalar(text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => value,
        _ => Value::String(literal(text)),
    }
}

fn status_of(seen: &Observation, verdict: &Verdict) -> (&'static str, u8) {
    let ours = seen.look.fault.as_ref().is_some_and(Fault::is_ours);
    match verdict.grade {
        _ if ours => ("unknown", UNKNOWN),
        Grade::Pass => ("up", 0),
        Grade::Warn => ("degraded", 1),
        Grade::Fail => ("down", 2),
    }
}

fn ms(value: std::time::Duration) -> f64 {
    (value.as_secs_f64() * 1e6).round() / 1e3
}

fn json_text(target: &Target, seen: &Observation, verdict: &Verdict, status: &str) -> anyhow::Result<String> {
    let body = json!({
        "target": target.address.to_string(),
        "kind": target.kind,
        "status": status,
        "fault": seen.look.fault.as_ref().map(|f| json!({ "kind": f.kind.as_str(), "phase": f.phase.as_str(), "detail": f.detail })),
        "reasons": verdict.reasons.iter().map(|r| r.text.as_str()).collect::<Vec<_>>(),
        "took_ms": ms(seen.took),
        "phases_ms": phases_json(&seen.look.phases),
        "tracks": seen.look.reading.tracks.iter().map(track_json).collect::<Vec<_>>(),
        "findings": seen.look.reading.findings.iter().map(|f| json!({ "name": f.name, "severity": f.severity.as_str(), "text": f.text })).collect::<Vec<_>>(),
        "facts": seen.look.reading.facts.iter().map(|(k, v)| ((*k).to_owned(), fact_json(v))).collect::<Map<_, _>>(),
    });
    Ok(serde_json::to_string_pretty(&body)?)
}

/// The same answer where there was nothing to look at: Nagios and programs read standard output alone.
fn nothing_looked_at(args: &ProbeArgs, problems: &[String]) -> anyhow::Result<String> {
    let address = model::address::Address::parse(&args.url).ok().map(|a| a.to_string());
    if !args.json {
        return Ok(format!("UNKNOWN {}: {}", address.as_deref().unwrap_or("probe"), problems.join("; ")));
    }
    let body = json!({
        "target": address, "kind": null, "status": "unknown", "fault": null, "reasons": problems, "took_ms": null,
        "phases_ms": {}, "tracks": [], "facts": {},
    });
    Ok(serde_json::to_string_pretty(&body)?)
}

fn phases_json(phases: &Phases) -> Value {
    Value::Object(phases.iter().map(|(p, d)| (p.as_str().to_owned(), json!(ms(d)))).collect())
}

fn track_json(t: &Track) -> Value {
    json!({
        "media": t.media.as_str(), "codec": t.codec, "profile": t.profile, "width": t.width, "height": t.height, "fps": t.fps,
        "bitrate_bps": t.bitrate_bps, "sample_rate_hz": t.sample_rate_hz, "channels": t.channels,
    })
}

fn fact_json(value: &FactValue) -> Value {
    match value {
        FactValue::Text(t) => json!(t),
        FactValue::Int(i) => json!(i),
        FactValue::Num(x) => json!(x),
        FactValue::Flag(b) => json!(b),
        FactValue::Time(t) => json!(t.0),
        FactValue::Rows(rows) => rows.iter().map(row_json).collect(),
    }
}

fn row_json(row: &Row) -> Value {
    let cells = row.cells.iter().map(|(key, cell)| ((*key).to_owned(), fact_json(cell)));
    Value::Object(cells.chain([("name".to_owned(), json!(row.name))]).collect())
}

/// The first line is what Nagios reads: status, words, `|`, performance data. The lines below are for people.
fn human(target: &Target, seen: &Observation, verdict: &Verdict, status: &str) -> String {
    let what = match (verdict.headline(), seen.look.reading.tracks.as_slice()) {
        ("", []) => answer_text(&seen.look.reading),
        ("", tracks) => tracks.iter().map(track_text).collect::<Vec<_>>().join(", "),
        (headline, _) => headline.to_owned(),
    };
    let mut perf = format!("took={:.1}ms;;;0", ms(seen.took));
    for (phase, took) in seen.look.phases.iter() {
        let _infallible = write!(perf, " {phase}={:.1}ms;;;0", ms(took));
    }
    // A pipe would end the words early for Nagios.
    let mut text = format!("{} {}: {} | {perf}", status.to_uppercase(), target.address, what.replace('|', "/"));
    let reading = &seen.look.reading;
    for reason in verdict.reasons.iter().skip(1) {
        let _infallible = write!(text, "\n  also: {}", reason.text);
    }
    for note in reading.findings.iter().filter(|finding| finding.severity == Severity::Note) {
        let _infallible = write!(text, "\n  note: {}", note.text);
    }
    let proven = reading.proven.map_or(String::new(), |d| format!(", proven: {d}"));
    let _infallible = write!(text, "\n  kind {}, took {:.1} ms{proven}", target.kind, ms(seen.took));
    for track in &reading.tracks {
        let received = if track.proven { "" } else { " (announced, not received)" };
        let _infallible = write!(text, "\n  {}: {}{received}", track.media, track_text(track));
    }
    for (key, value) in &reading.facts {
        let _infallible = write!(text, "\n  {}: {}", key.replace('_', " "), fact_text(value));
    }
    text
}

/// What came back, in short, where there are no tracks to name.
fn answer_text(reading: &Reading) -> String {
    let get = |key: &str| reading.facts.get(key);
    if let (Some(FactValue::Int(answered)), Some(FactValue::Int(sent)), Some(FactValue::Num(rtt))) =
        (get(fact::ECHOES_ANSWERED), get(fact::ECHOES_SENT), get(fact::RTT_MS))
    {
        return format!("{answered} of {sent} echoes answered, round trip {rtt:.2} ms");
    }
    if let (Some(FactValue::Num(cpu)), Some(FactValue::Num(memory))) =
        (get(fact::CPU_USED_RATIO), get(fact::MEMORY_USED_RATIO))
    {
        return format!("CPU {:.0} %, memory {:.0} %", cpu * 100.0, memory * 100.0);
    }
    match get(fact::MESSAGE) {
        Some(FactValue::Text(said)) => said.clone(),
        _ => "answered".to_owned(),
    }
}

fn fact_text(value: &FactValue) -> String {
    match value {
        FactValue::Time(t) => {
            jiff::Timestamp::from_millisecond(t.0).map_or_else(|_| t.0.to_string(), |t| t.to_string())
        }
        FactValue::Flag(b) => (if *b { "yes" } else { "no" }).to_owned(),
        FactValue::Text(t) => t.clone(),
        FactValue::Int(i) => i.to_string(),
        FactValue::Num(x) => format!("{x:.3}"),
        FactValue::Rows(rows) => rows.iter().map(|row| format!("\n    {}", row_text(row))).collect(),
    }
}

fn row_text(row: &Row) -> String {
    let cells = row.cells.iter().map(|(key, cell)| format!("{} {}", key.replace('_', " "), fact_text(cell)));
    format!("{}: {}", row.name, cells.collect::<Vec<_>>().join(", "))
}

fn track_text(t: &Track) -> String {
    let mut text = t.codec.clone();
    if let Some(profile) = &t.profile {
        let _infallible = write!(text, " {profile}");
    }
    if let (Some(w), Some(h)) = (t.width, t.height) {
        let _infallible = write!(text, " {w}x{h}");
    }
    if let Some(fps) = t.fps {
        let _infallible = write!(text, " {} fps", (fps * 100.0).round() / 100.0);
    }
    if let Some(rate) = t.sample_rate_hz {
        let _infallible = write!(text, " {rate} Hz");
    }
    if let Some(channels) = t.channels {
        let _infallible = write!(text, " {channels} ch");
    }
    text
}
