//! Everything about the StreamPulse 2.x `config.yaml`: recognising, loading as it is, turning into `streampulse.yaml`.
//!
//! What 2.x did and this does: `heartbeat_seconds` becomes the interval, at least 5 s and at most an hour, as its scheduler
//! and its page had it. Values are taken as they are: `$` has no meaning. What 2.x did and this does not: a 401, a 403 or
//! a 404 is no success, certificates are verified, and one failure alone is not yet "down".

pub(super) mod mqtt;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use model::address::Address;
use model::alert::AlertSettings;
use model::conf::{Node, Place, Problem, Value, words};
use model::score::Scoring;
use model::target::Target;
use probe::kinds;

use super::load::{default_limits, default_store, in_order};
use super::metrics::default_metrics;
use super::target::{Source, target};
use super::tree::{Body, Entry, Item, Origin, Style};
use super::{Config, Form, Overrides, parse, quote, server};

/// Interval of a 2.x file that names none, in seconds.
const DEFAULT_HEARTBEAT: i64 = 10;
/// Shortest and longest heartbeat that 2.x kept, in seconds.
const HEARTBEAT: (i64, i64) = (5, 3600);

const TOP_KEYS: [&str; 4] = ["heartbeat_seconds", "timezone", "streams", "mqtt"];
const IMPORT: &str = "run `streampulse import` to turn the file into the current form";

/// Whether a file is of the 2.x form.
pub(super) fn is_legacy(root: &Item) -> bool {
    root.get("targets").is_none() && (root.get("streams").is_some() || root.get("heartbeat_seconds").is_some())
}

/// Loads a 2.x file as it is.
pub(super) fn load(root: &Item, overrides: &Overrides) -> Result<Config, Vec<Problem>> {
    load_indexed(root, overrides).map(|(config, _)| config)
}

/// Loads a 2.x file; also tells for each target which item of `streams` it is.
pub(super) fn load_indexed(root: &Item, overrides: &Overrides) -> Result<(Config, Vec<usize>), Vec<Problem>> {
    let (mut problems, mut warnings) = (Vec::new(), vec![form_warning(root)]);
    for entry in root.entries().filter(|e| !TOP_KEYS.contains(&e.key.as_str())) {
        let message = format!("{} is no key of StreamPulse 2.x and has no effect", entry.key);
        warnings.push(Problem::new(Some(entry.key_place), &entry.key, message).with_remedy(IMPORT));
    }
    let zone = root.get("timezone").filter(|z| !z.is_null());
    let timezone = zone.map_or("UTC", |z| z.text().unwrap_or_default()).to_owned();
    server::check_timezone(&timezone, zone.map(|z| z.place), &mut problems);
    let seconds = heartbeat(root, &mut problems, &mut warnings);
    let block = mqtt::converted(root, &mut problems, &mut warnings);
    let mqtt = block.as_ref().and_then(|block| super::mqtt::read(block, &mut problems));
    warnings.extend(block.as_ref().filter(|_| mqtt.is_some()).map(mqtt::beyond));
    let (targets, indexes) = streams(root, seconds, &mut problems, &mut warnings);
    let server = server::server(&Item::empty_map(), overrides, &mut problems);
    let problems = in_order(problems);
    let Some(server) = server.filter(|_| problems.is_empty()) else { return Err(problems) };
    let warnings = in_order(warnings);
    let (store, limits) = (default_store(), default_limits());
    let (score, alerts) = (Scoring::default(), AlertSettings::default());
    let config = Config {
        targets,
        server,
        store,
        timezone,
        limits,
        base_url: None,
        channels: Vec::new(),
        score,
        alerts,
        metrics: default_metrics(),
        influxdb: None,
        mqtt,
        warnings,
        form: Form::Legacy2x,
    };
    Ok((config, indexes))
}

fn form_warning(root: &Item) -> Problem {
    let message = "this is a StreamPulse 2.x file; it is used as it is, and most settings need the current form";
    Problem::new(Some(root.place), "", message).with_remedy(IMPORT)
}

fn heartbeat(root: &Item, problems: &mut Vec<Problem>, warnings: &mut Vec<Problem>) -> i64 {
    const KEY: &str = "heartbeat_seconds";
    let Some(item) = root.get(KEY).filter(|i| !i.is_null()) else { return DEFAULT_HEARTBEAT };
    let number = item.text().and_then(|t| t.trim().parse::<f64>().ok()).filter(|x| x.is_finite() && *x > 0.0);
    let Some(number) = number else {
        let problem = Problem::new(Some(item.place), KEY, "the heartbeat is no number of seconds above 0");
        problems.push(problem.with_remedy("write a whole number of seconds, such as 20"));
        return DEFAULT_HEARTBEAT;
    };
    #[allow(clippy::cast_possible_truncation)] // saturates, and is clamped in the next line
    let asked = number as i64;
    let seconds = asked.clamp(HEARTBEAT.0, HEARTBEAT.1);
    if seconds != asked {
        let message = format!("a heartbeat of {asked} s is taken as {seconds} s, as StreamPulse 2.x did");
        warnings.push(Problem::new(Some(item.place), KEY, message));
    }
    seconds
}

fn streams(
    root: &Item,
    seconds: i64,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> (Vec<Target>, Vec<usize>) {
    let none = (Vec::new(), Vec::new());
    let Some(list) = root.get("streams") else {
        warnings.push(
            Problem::new(Some(root.place), "streams", "nothing is watched")
                .with_remedy("add a stream with name and url"),
        );
        return none;
    };
    if !matches!(list.body, Body::List { .. }) {
        let problem = Problem::new(Some(list.place), "streams", "expected a list of streams");
        problems
            .push(problem.with_remedy("write `- name: Gate` and, below it, `url: rtsp://...`; `streams: []` for none"));
        return none;
    }
    let mut taken = HashMap::new();
    let mut ids = HashSet::new();
    let (mut targets, mut indexes) = none;
    for (i, item) in list.items().iter().enumerate() {
        let path = format!("streams[{i}]");
        let Some(prepared) = stream(item, &path, seconds, &mut taken, problems, warnings) else { continue };
        let source = Source { item: &prepared, own: &|_| false, own_expect: None, path: &path, commands: None };
        let Some(mut target) = target(&source, problems, warnings).target else { continue };
        warn_of_kind(&target, item, &path, warnings);
        let plain = target.id.clone();
        let mut copy = 2;
        while !ids.insert(target.id.clone()) {
            target.id = model::target::TargetId::from_name(&format!("{plain}-{copy}"));
            copy += 1;
        }
        targets.push(target);
        indexes.push(i);
    }
    (targets, indexes)
}

/// A stream as a target section of the current form; `None` when it is wrong or cannot be watched.
fn stream(
    item: &Item,
    path: &str,
    seconds: i64,
    taken: &mut HashMap<String, u32>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Option<Item> {
    let before = problems.len();
    let mut get = |key: &str| {
        let found = item.get(key).filter(|i| i.text().is_some_and(|t| !t.trim().is_empty()) && !i.is_null());
        if found.is_none() {
            let place = item.get(key).map_or(item.place, |i| i.place);
            let problem = Problem::new(Some(place), format!("{path}.{key}"), format!("{key} is missing"));
            problems.push(problem.with_remedy("a stream has a name and a url"));
        }
        found
    };
    let (name, url) = (get("name"), get("url"));
    for entry in item.entries().filter(|e| e.key != "name" && e.key != "url") {
        let message = format!("{} is no key of a StreamPulse 2.x stream and has no effect", entry.key);
        warnings
            .push(Problem::new(Some(entry.key_place), format!("{path}.{}", entry.key), message).with_remedy(IMPORT));
    }
    let (name, url) = (name?, url?);
    if problems.len() > before {
        return None;
    }
    let text = url.text().unwrap_or_default();
    if let Some(address) = Address::parse(text).ok().filter(|a| kinds::guess(a).is_none()) {
        let message = format!("not watched: no kind looks at {}:// addresses", address.scheme());
        warnings.push(Problem::new(Some(url.place), format!("{path}.url"), message));
        return None;
    }
    let mut shown = name.text().unwrap_or_default().trim().to_owned();
    let count = taken.entry(shown.clone()).or_default();
    *count += 1;
    if *count > 1 {
        shown = format!("{shown} ({count})");
        let message = format!("a second stream of this name is shown as {shown:?}");
        warnings
            .push(Problem::new(Some(name.place), format!("{path}.name"), message).with_remedy("rename one of them"));
    }
    let pairs = [
        ("name", shown, name.place),
        ("url", text.to_owned(), url.place),
        ("interval", format!("{seconds}s"), item.place),
    ];
    let entries = pairs.map(|(key, text, place)| entry(key, text, place)).to_vec();
    Some(Item { body: Body::Map { entries, flow: false }, ..Item::empty_map() }.at(item))
}

fn entry(key: &str, text: String, place: Place) -> Entry {
    let value = Item { body: Body::Scalar { text, style: Style::Quoted }, place, ..Item::empty_map() };
    Entry { key: key.to_owned(), key_start: 0, key_end: 0, key_place: place, value, origin: Origin::Own }
}

fn warn_of_kind(target: &Target, item: &Item, path: &str, warnings: &mut Vec<Problem>) {
    if target.kind != "http" {
        return;
    }
    let place = item.get("url").map(|u| u.place);
    let certificate = match target.address.scheme() {
        "https" => ", and its certificate is verified",
        _ => "",
    };
    let message = format!("{} is looked at as a page{certificate}", target.address);
    let problem = Problem::new(place, format!("{path}.url"), message);
    warnings.push(problem.with_remedy("import the file and set `kind: mjpeg` where it is a camera's picture"));
}

/// Turns a StreamPulse 2.x `config.yaml` into the text of a `streampulse.yaml` that watches the same streams.
///
/// # Errors
/// The problems of the original; a file that is already in the current form is one.
pub fn import_legacy(text: &str) -> Result<String, Vec<Problem>> {
    let root = parse::parse(text)?.filter(is_legacy);
    let Some(root) = root else {
        let problem = Problem::new(None, "", "this is no StreamPulse 2.x configuration: it has no `streams`");
        return Err(vec![problem.with_remedy("a file with `targets` is in the current form already")]);
    };
    let overrides = Overrides::default();
    let config = load(&root, &overrides)?;
    let out = imported(&root, &config);
    // The proof that nothing changes for what is watched.
    match super::load(&out, &|_| None, &overrides) {
        Ok(again) if same(&again, &config) => Ok(out),
        Ok(_) => Err(vec![Problem::new(None, "", "the import would not watch the same; please report this")]),
        Err(problems) => Err(problems),
    }
}

fn same(again: &Config, config: &Config) -> bool {
    again.targets == config.targets && again.timezone == config.timezone && again.mqtt == config.mqtt
}

fn imported(root: &Item, config: &Config) -> String {
    let mut out = String::from(
        "# Made from a StreamPulse 2.x config.yaml. Every key is explained in docs/reference/configuration.md.\n",
    );
    let interval = config.targets.first().map(|t| t.interval);
    let _ = writeln!(out, "\ntimezone: {}", quote::text(&config.timezone));
    if let Some(interval) = interval {
        let _ =
            writeln!(out, "\n# heartbeat_seconds of 2.x\ndefaults:\n  interval: {}", words::duration_text(interval));
    }
    for warning in
        config.warnings.iter().filter(|w| w.path.starts_with("streams") && w.message.starts_with("not watched"))
    {
        let _ = writeln!(out, "\n# {}: {}", warning.path, warning.message);
    }
    out.push_str(if config.targets.is_empty() { "\ntargets: []\n" } else { "\ntargets:\n" });
    let raw =
        |i: usize| root.get("streams").and_then(|s| s.items().get(i)).and_then(|s| s.get("url")).and_then(Item::text);
    let indexes = load_indexed(root, &Overrides::default()).map(|(_, indexes)| indexes).unwrap_or_default();
    for (target, i) in config.targets.iter().zip(indexes) {
        let value = |text: String| Node::bare(Value::Str(text));
        let pairs = [
            ("id".to_owned(), value(target.id.to_string())),
            ("name".to_owned(), value(escaped(&target.name))),
            ("url".to_owned(), value(escaped(raw(i).unwrap_or_default()))),
            ("kind".to_owned(), value(target.kind.to_owned())),
        ];
        let own_id = model::target::TargetId::from_name(&target.name) != target.id;
        let pairs: Vec<_> = pairs.into_iter().filter(|(key, _)| key != "id" || own_id).collect();
        if target.kind == "http" {
            out.push_str("  # where this is a camera's picture: kind: mjpeg\n");
        }
        let _ = writeln!(out, "  - {}", quote::item(&pairs, 4));
    }
    out.push_str(&mqtt_block(root));
    out
}

/// `$` has a meaning in the current form and none in 2.x.
fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

/// The mqtt block in the current form, with its password: what published goes on publishing.
fn mqtt_block(root: &Item) -> String {
    let Some(block) = mqtt::converted(root, &mut Vec::new(), &mut Vec::new()) else { return String::new() };
    let mut out = String::from("\nmqtt:\n");
    for entry in block.entries() {
        let ty = mqtt::MQTT.iter().find(|f| f.key == entry.key).map(|f| &f.ty);
        let value = match entry.value.node(ty).value {
            Value::Str(text) => Value::Str(escaped(&text)),
            other => other,
        };
        let _ = writeln!(out, "  {}: {}", quote::text(&entry.key), quote::flow(&value));
    }
    out
}
