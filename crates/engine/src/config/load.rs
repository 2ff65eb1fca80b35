//! From text to a checked [`Config`]. Collects every problem; one bad key hides no other.

use std::collections::HashSet;

use model::conf::{Problem, Section};

use super::alerts::{self, Known};
use super::env::expand;
use super::fields::{PROBING, STORE, TOP};
use super::tree::Item;
use super::{
    Config, Env, Form, Limits, Overrides, StoreSettings, channels, influxdb, legacy, metrics, mqtt, parse, score,
    server, targets,
};

/// Reads and checks a configuration. Pure: no file is opened, no name resolved.
///
/// # Errors
/// Every problem at once, in the order of the file.
pub fn load(text: &str, env: Env<'_>, overrides: &Overrides) -> Result<Config, Vec<Problem>> {
    if text.trim().is_empty() {
        return Err(vec![empty_file()]);
    }
    let (root, broken) = parse::read(text);
    if root.is_none() && !broken.is_empty() {
        return Err(broken);
    }
    let loaded = match root.as_ref().filter(|root| legacy::is_legacy(root)) {
        Some(root) => legacy::load(root, overrides),
        None => current(root, env, overrides),
    };
    match loaded {
        Ok(config) if broken.is_empty() => Ok(config),
        Ok(_) => Err(broken),
        Err(problems) => Err(in_order(broken.into_iter().chain(problems).collect())),
    }
}

/// An editor that truncates before it writes shows an empty file for a moment; taking that for "watch nothing" would be
/// the worst reading of it.
fn empty_file() -> Problem {
    Problem::new(None, "", "the file is empty; it may be half-written")
        .with_remedy("write at least a comment, or `targets: []` to watch nothing")
}

fn current(root: Option<Item>, env: Env<'_>, overrides: &Overrides) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut root = root.unwrap_or_else(Item::empty_map);
    let expansion = expand(&mut root, env);
    let node = root.node_of(TOP);
    let top = Section::check(&node, TOP, "", &mut problems);

    let timezone = top.text("timezone").unwrap_or_default();
    server::check_timezone(&timezone, top.place_of("timezone"), &mut problems);
    let server = server::server(&section(&root, "server"), overrides, &mut problems);
    let store = store(&section(&root, "store"), &mut problems);
    let limits = limits(&section(&root, "probing"), &mut problems);
    let score = score::score(&section(&root, "score"), &mut problems);
    let influxdb = influxdb::influxdb(&root, &mut problems);
    let metrics = metrics::metrics(&section(&root, "metrics"), &mut problems);
    let mqtt = mqtt::mqtt(&root, &mut problems);
    let mut warnings = Vec::new();
    let targets = targets::targets(&root, overrides.commands.as_deref(), &mut problems, &mut warnings);

    let base_url = channels::base_url(&top, &mut problems);
    let channels = channels::channels(&root, overrides.commands.as_deref(), &mut problems);
    let known = Known::new(&targets, &root, &timezone);
    let mut alerts = alerts::alerts(&root, &known, &mut problems, &mut warnings);
    alerts.limits = channels.iter().map(|channel| (channel.name.clone(), channel.limit)).collect();

    let problems = in_order(expansion.clean(problems, &mut warnings));
    if !problems.is_empty() {
        return Err(problems);
    }
    let Some(server) = server else {
        return Err(vec![Problem::new(None, "server", "the section cannot be used")]);
    };
    let warnings = in_order(warnings);
    Ok(Config {
        targets,
        server,
        store,
        timezone,
        limits,
        base_url,
        channels,
        score,
        alerts,
        influxdb,
        metrics,
        mqtt,
        warnings,
        form: Form::Current,
    })
}

/// A section of the file, or an empty one that takes all defaults.
pub(super) fn section(root: &Item, key: &str) -> Item {
    root.get(key).filter(|item| !item.is_null()).cloned().unwrap_or_else(Item::empty_map)
}

fn store(item: &Item, problems: &mut Vec<Problem>) -> StoreSettings {
    let node = item.node_of(&STORE);
    let section = Section::check(&node, &STORE, "store", problems);
    let keep = |key| section.duration(key).unwrap_or_default();
    StoreSettings {
        keep_observations: keep("keep_observations"),
        keep_minutes: keep("keep_minutes"),
        keep_hours: keep("keep_hours"),
        keep_days: keep("keep_days"),
        keep_changes: keep("keep_changes"),
    }
}

/// How long history is kept when the file does not say.
pub(super) fn default_store() -> StoreSettings {
    store(&Item::empty_map(), &mut Vec::new())
}

fn limits(item: &Item, problems: &mut Vec<Problem>) -> Limits {
    let node = item.node_of(&PROBING);
    let section = Section::check(&node, &PROBING, "probing", problems);
    let count = |key| section.integer(key).and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
    let limits = Limits { probes_at_once: count("at_once"), probes_per_host: count("at_once_per_host") };
    if limits.probes_per_host > limits.probes_at_once && section.node("at_once_per_host").is_some() {
        let message = "at_once_per_host is greater than at_once, so it bounds nothing";
        problems.push(Problem::new(section.place_of("at_once_per_host"), "probing.at_once_per_host", message));
    }
    limits
}

/// Bounds when the file does not say.
pub(super) fn default_limits() -> Limits {
    limits(&Item::empty_map(), &mut Vec::new())
}

/// In the order of the file, each once: a wrong value in a template is seen by every target that takes it.
pub(super) fn in_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    let mut seen = HashSet::new();
    problems.retain(|p| p.place.is_none_or(|at| seen.insert((at.line, at.column, p.message.clone()))));
    problems.sort_by_key(|p| p.place);
    problems
}
