//! The sections `alerts` and `connectivity`: fields, and from there to rules that can be watched. Judges nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use model::alert::{
    AlertSettings, Condition, FIGURES, Figure, Flapping, Level, MEASURES, Measure, Rule, Scope, ServiceLevel,
    ServiceTrouble, Severity, Side, default_rules,
};
use model::conf::{Field, Problem, Section, Type, words};
use model::event::Part;
use model::fault::FaultKind;
use model::status::Status;
use model::target::{MAX_ID_BYTES, Target, TargetId};
use model::unit::UnitId;

use super::fields::{TAG, TEXT};
use super::load::section;
use super::maintenance;
use super::tree::Item;

const DAY: Duration = Duration::from_secs(86_400);
/// Longest time that a rule may wait, remind or look back.
const LONG: Duration = Duration::from_secs(366 * 86_400);
/// Most rules: each is looked at for every target that changed.
const MAX_RULES: usize = 1_000;
/// Most references of the network: each is looked at when something fails.
const MAX_REFERENCES: usize = 16;

const SPAN: Type = Type::Duration { min: Duration::ZERO, max: LONG };
const ID: Type = Type::Text { max: MAX_ID_BYTES };
/// Bounds of measures; wide enough for a bit rate in bits.
const BOUND: Type = Type::Number { min: -1e12, max: 1e12 };

const STATUSES: &[&str] = &["down", "degraded", "unknown"];
const FAULTS: &[&str] = &[
    "unresolved",
    "refused",
    "unreachable",
    "timed_out",
    "tls",
    "auth_required",
    "forbidden",
    "not_found",
    "protocol",
    "no_media",
    "stale",
    "too_large",
    "reported",
    "unclear",
    "tool_missing",
    "internal",
];
const PARTS: &[&str] = &["any", "store", "engine", "clock", "config", "services"];
/// Words for `service`, as in `model::alert::ServiceTrouble`.
const TROUBLES: &[&str] = &["failed", "unhealthy", "backing_off"];
const SEVERITIES: &[&str] = &["info", "warning", "critical"];

/// Keys of `alerts`.
pub(super) static ALERTS: [Field; 6] = [
    Field::new(
        "channels",
        Type::List(&TEXT),
        "Names of the channels of rules that name none. Without this key it is all of them.",
    ),
    Field::new(
        "group_window",
        Type::Duration { min: Duration::ZERO, max: Duration::from_secs(600) },
        "How long a message waits for others of the same rule, so that what fails together is told together.",
    )
    .default("1s"),
    Field::new(
        "flap_changes",
        Type::Integer { min: 0, max: 1000 },
        "So many times that an alert begins or ends within `flap_within` are flapping, which is told once. 0 is never.",
    )
    .default("6"),
    Field::new(
        "flap_within",
        Type::Duration { min: Duration::from_secs(1), max: DAY },
        "The time in which changes are counted.",
    )
    .default("30m"),
    Field::new(
        "flap_quiet",
        Type::Duration { min: Duration::from_secs(1), max: DAY },
        "Flapping has ended when nothing changed for this long.",
    )
    .default("15m"),
    Field::new(
        "rules",
        Type::Sections(RULE),
        "The rules. Without any, and with channels, these are in effect: a target is down (critical), a certificate ends within 14 days (warning), a service was given up or is unhealthy (critical), a part of StreamPulse is unwell (critical).",
    ),
];

/// Keys of a rule.
pub(super) static RULE: &[Field] = &[
    Field::new("name", TEXT, "Its name; unique, and part of every message.").required(),
    Field::new(
        "status",
        Type::List(&Type::Choice(STATUSES)),
        "Bad while the status of a target is one of these. An alert on `degraded` does not end when the target goes down.",
    ),
    Field::new(
        "fault",
        Type::List(&Type::Choice(FAULTS)),
        "Bad while a target is down or degraded and its newest look ended in one of these faults.",
    ),
    Field::new(
        "reading",
        TEXT,
        "Bad while this measure is beyond `above` or `below`; looks that did not measure it change nothing. Its name ends with its unit: bitrate_kbps, loss_percent, fps, jitter_ms, rtt_ms, took_ms, playlist_age_ms, live_latency_ms, score, ... (the guide lists all).",
    ),
    Field::new("above", BOUND, "Values of `reading` above this are bad."),
    Field::new("below", BOUND, "Values of `reading` below this are bad."),
    Field::new(
        "clear",
        BOUND,
        "At this value, or on its good side, `reading` is good again. Without this key it is the bound itself.",
    ),
    Field::new(
        "certificate",
        Type::Duration { min: Duration::from_secs(1), max: Duration::from_secs(10 * 366 * 86_400) },
        "Bad while the certificate of a target ends within this time.",
    ),
    Field::new(
        "sink",
        Type::List(&TEXT),
        "Bad while one of these sinks or channels does not work; `any` is all of them.",
    ),
    Field::new(
        "own",
        Type::List(&Type::Choice(PARTS)),
        "Bad while one of these parts of StreamPulse is unwell; `any` is all of them.",
    ),
    Field::new(
        "service",
        Type::List(&Type::Choice(TROUBLES)),
        "Bad while a service is in one of these troubles: `failed` (given up, or cannot be started), `unhealthy`, `backing_off` (waits for its next start).",
    ),
    Field::new(
        "service_reading",
        TEXT,
        "Bad while this figure of a service is beyond `above` or `below`: restarts_per_hour, cpu_percent, memory_mib, queue_per_hour, queue_wait_s, queue_stuck, or queue_STATE for the count of a state of its queue.",
    ),
    Field::new(
        "services",
        Type::List(&ID),
        "With `service` and `service_reading`: only these services, by id. Without this key it is all.",
    ),
    Field::new("targets", Type::List(&ID), "Only these targets, by id."),
    Field::new("groups", Type::List(&TEXT), "Only targets of these groups."),
    Field::new(
        "tags",
        Type::List(&TAG),
        "Only targets with one of these tags. Of `targets`, `groups` and `tags`, one is enough.",
    ),
    Field::new("except_targets", Type::List(&ID), "Not these targets."),
    Field::new("except_groups", Type::List(&TEXT), "Not targets of these groups."),
    Field::new("except_tags", Type::List(&TAG), "Not targets with one of these tags."),
    Field::new("for", SPAN, "How long it must be bad before the alert begins.").default("0s"),
    Field::new("clear_for", SPAN, "How long it must be good again before the alert ends.").default("0s"),
    Field::new("severity", Type::Choice(SEVERITIES), "How grave it is.").default("warning"),
    Field::new(
        "remind",
        Type::Duration { min: Duration::from_secs(60), max: LONG },
        "How often people are reminded while it lasts and nobody has acknowledged it. Never without this key.",
    ),
    Field::new("recovery", Type::Bool, "Whether people are told when it is over.").default("true"),
    Field::new(
        "channels",
        Type::List(&TEXT),
        "Names of the channels that are told. Without this key it is those of `alerts.channels`.",
    ),
];

/// Keys of `connectivity`.
pub(super) static CONNECTIVITY: [Field; 1] = [Field::new(
    "references",
    Type::List(&ID),
    "Ids of targets far away from each other that are nearly always up, such as pings of a gateway and of two public servers. While all of them are down, StreamPulse says once that it has no network, and blames no target that is not on this machine.",
)];

/// What names of the file may refer to.
pub(super) struct Known<'a> {
    /// Ids of all targets, right or wrong ones.
    ids: BTreeSet<String>,
    groups: BTreeSet<&'a str>,
    tags: BTreeSet<&'a str>,
    /// Names of all channels, right or wrong ones, in the order of the file.
    channels: Vec<String>,
    /// The zone of times that name none.
    pub(super) timezone: &'a str,
}

impl<'a> Known<'a> {
    /// What a file knows. Ids of targets that have problems of their own are taken from the tree.
    pub(super) fn new(targets: &'a [Target], root: &Item, timezone: &'a str) -> Self {
        let mut ids: BTreeSet<String> = targets.iter().map(|t| t.id.as_str().to_owned()).collect();
        for item in root.get("targets").map(Item::items).unwrap_or_default() {
            let text = |key| item.get(key).and_then(Item::text);
            let name = || text("name").map(|n| TargetId::from_name(n.trim()).as_str().to_owned());
            ids.extend(text("id").map(str::to_owned).or_else(name));
        }
        let named = |item: &Item| item.get("name").and_then(Item::text).map(|name| name.trim().to_owned());
        let channels = root.get("channels").map(Item::items).unwrap_or_default().iter().filter_map(named).collect();
        Self {
            ids,
            channels,
            groups: targets.iter().filter_map(|t| t.group.as_deref()).collect(),
            tags: targets.iter().flat_map(|t| t.tags.iter().map(String::as_str)).collect(),
            timezone,
        }
    }
}

/// Reads everything that is said of alerts.
pub(super) fn alerts(
    root: &Item,
    known: &Known<'_>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> AlertSettings {
    let item = section(root, "alerts");
    let node = item.node_of(&ALERTS);
    let alerts = Section::check(&node, &ALERTS, "alerts", problems);
    let named = channels(&alerts, known, problems);
    let channels = named.unwrap_or_else(|| known.channels.clone());
    let mut rules: Vec<Rule> = Vec::new();
    let items = item.get("rules").map(Item::items).unwrap_or_default();
    if items.len() > MAX_RULES {
        let message = format!("{} rules, at most {MAX_RULES} are accepted", items.len());
        problems.push(Problem::new(alerts.place_of("rules"), alerts.path_of("rules"), message));
    }
    for (i, item) in items.iter().enumerate().take(MAX_RULES) {
        let Some(rule) = rule(item, &format!("alerts.rules[{i}]"), &channels, known, problems, warnings) else {
            continue;
        };
        if rules.iter().any(|other| other.name == rule.name) {
            let place = item.get("name").map_or(item.place, |n| n.place);
            let message = format!("the name {:?} is that of another rule too", rule.name);
            let problem = Problem::new(Some(place), format!("alerts.rules[{i}].name"), message);
            problems.push(problem.with_remedy("give each rule a name of its own"));
        }
        rules.push(rule);
    }
    if items.is_empty() && !channels.is_empty() {
        rules = default_rules(&channels);
    }
    let count = |key| alerts.integer(key).and_then(|n| u32::try_from(n).ok());
    let span = |key| alerts.duration(key).unwrap_or_default();
    let defaults = AlertSettings::default();
    AlertSettings {
        rules,
        channels,
        group_window: span("group_window"),
        flapping: Flapping {
            changes: count("flap_changes").unwrap_or(defaults.flapping.changes),
            within: span("flap_within"),
            quiet: span("flap_quiet"),
        },
        limits: defaults.limits,
        maintenance: maintenance::windows(root, known, problems, warnings),
        references: references(root, known, problems),
    }
}

fn rule(
    item: &Item,
    path: &str,
    default_channels: &[String],
    known: &Known<'_>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Option<Rule> {
    let before = problems.len();
    let node = item.node_of(RULE);
    let section = Section::check(&node, RULE, path, problems);
    let name = section.text("name").map(|n| n.trim().to_owned()).unwrap_or_default();
    if section.node("name").is_some() && (name.is_empty() || name.contains(char::is_control)) {
        let problem = Problem::new(section.place_of("name"), section.path_of("name"), "a rule has a name in one line");
        problems.push(problem.with_remedy("such as `name: Camera down`"));
    }
    let when = condition(&section, problems);
    let scope = scope(&section, known, problems, warnings);
    if let Some(when) = when.as_ref().filter(|when| !when.of_targets() && scope != Scope::default()) {
        let message = format!("a rule about StreamPulse itself ({when}) has no targets");
        let problem = Problem::new(section.place(), path, message);
        problems.push(problem.with_remedy("remove targets, groups, tags and their exceptions"));
    }
    let channels = channels(&section, known, problems).unwrap_or_else(|| default_channels.to_vec());
    let rule = Rule {
        name,
        when: when?,
        scope,
        lasts: section.duration("for").unwrap_or_default(),
        clear_for: section.duration("clear_for").unwrap_or_default(),
        severity: section.text("severity").and_then(|s| Severity::from_word(&s)).unwrap_or(Severity::Warning),
        remind: section.duration("remind"),
        recovery: section.bool("recovery").unwrap_or(true),
        channels,
    };
    (problems.len() == before).then_some(rule)
}

/// The one thing that the rule watches for.
fn condition(section: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Condition> {
    const KEYS: [&str; 8] = ["status", "fault", "reading", "certificate", "sink", "own", "service", "service_reading"];
    let given: Vec<&str> = KEYS.into_iter().filter(|key| section.node(key).is_some()).collect();
    let [key] = given.as_slice() else {
        let message = match given.as_slice() {
            [] => "the rule does not say what it watches for".to_owned(),
            several => format!("the rule watches for several things: {}", several.join(", ")),
        };
        let problem = Problem::new(section.place(), section.path_of("status"), message);
        problems.push(problem.with_remedy(format!("write one of {}", KEYS.join(", "))));
        return None;
    };
    let of_reading =
        ["above", "below", "clear"].into_iter().find(|k| !key.ends_with("reading") && section.node(k).is_some());
    if let Some(extra) = of_reading {
        let message = format!("{extra} is for `reading`, and this rule watches {key}");
        problems.push(Problem::new(section.place_of(extra), section.path_of(extra), message).with_remedy("remove it"));
    }
    if section.node("services").is_some() && !key.starts_with("service") {
        let message = format!("services is for `service` and `service_reading`, and this rule watches {key}");
        let problem = Problem::new(section.place_of("services"), section.path_of("services"), message);
        problems.push(problem.with_remedy("remove it"));
    }
    let words = || section.texts(key);
    let named = |any: &str| if words().iter().any(|w| w == any) { Vec::new() } else { words() };
    Some(match *key {
        "status" => Condition::Status(words().iter().filter_map(|w| Status::from_word(w)).collect()),
        "fault" => Condition::Fault(words().iter().filter_map(|w| FaultKind::from_word(w)).collect()),
        "reading" => Condition::Reading(level(section, problems)?),
        "certificate" => Condition::Certificate(section.duration("certificate")?),
        "sink" => Condition::Sink(named("any")),
        "service" => {
            let words = words().iter().filter_map(|w| ServiceTrouble::from_word(w)).collect();
            Condition::Service(words, services(section, problems)?)
        }
        "service_reading" => {
            let services = services(section, problems);
            Condition::ServiceReading(service_level(section, problems)?, services?)
        }
        _ => Condition::Own(named("any").iter().filter_map(|w| part(w)).collect()),
    })
}

fn part(word: &str) -> Option<Part> {
    Part::ALL.into_iter().find(|part| part.as_str() == word)
}

fn level(section: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Level> {
    let mut wrong = |key: &str, message: String, remedy: String| {
        problems.push(Problem::new(section.place_of(key), section.path_of(key), message).with_remedy(remedy));
    };
    let name = section.text("reading")?;
    let measure = Measure::by_name(&name);
    if measure.is_none() {
        let names = || MEASURES.iter().map(|m| m.name);
        let remedy = match words::nearest(&name, names()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("known measures: {}", names().collect::<Vec<_>>().join(", ")),
        };
        wrong("reading", format!("there is no measure {name:?}"), remedy);
    }
    let (side, raise, clear) = bounds(section, "reading", problems)?;
    Some(Level { measure: measure?, side, raise, clear })
}

/// The services of a rule.
fn services(section: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Vec<UnitId>> {
    let mut ids = Vec::new();
    for text in section.texts("services") {
        match UnitId::parse(&text) {
            Ok(id) => ids.push(id),
            Err(why) => {
                let problem = Problem::new(section.place_of("services"), section.path_of("services"), why);
                problems.push(problem.with_remedy("services are named by their ids"));
                return None;
            }
        }
    }
    Some(ids)
}

fn service_level(section: &Section<'_>, problems: &mut Vec<Problem>) -> Option<ServiceLevel> {
    let name = section.text("service_reading")?;
    let figure = Figure::by_name(&name);
    if figure.is_none() {
        let key = "service_reading";
        let remedy = match words::nearest(&name, FIGURES) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("known figures: {}, and queue_STATE", FIGURES.join(", ")),
        };
        let message = format!("there is no figure {name:?}");
        problems.push(Problem::new(section.place_of(key), section.path_of(key), message).with_remedy(remedy));
    }
    let (side, raise, clear) = bounds(section, "service_reading", problems)?;
    Some(ServiceLevel { figure: figure?, side, raise, clear })
}

/// The bound of a rule, and where it is good again.
fn bounds(section: &Section<'_>, of: &str, problems: &mut Vec<Problem>) -> Option<(Side, f64, f64)> {
    let mut wrong = |key: &str, message: String, remedy: String| {
        problems.push(Problem::new(section.place_of(key), section.path_of(key), message).with_remedy(remedy));
    };
    let (side, raise) = match (section.number("above"), section.number("below")) {
        (Some(above), None) => (Side::Above, above),
        (None, Some(below)) => (Side::Below, below),
        (above, _) => {
            let how = if above.is_some() { "both above and below" } else { "neither above nor below" };
            wrong(of, format!("the rule has {how}"), "write one of `above: number` and `below: number`".to_owned());
            return None;
        }
    };
    let clear = section.number("clear").unwrap_or(raise);
    let beyond = match side {
        Side::Above => clear > raise,
        Side::Below => clear < raise,
    };
    if beyond {
        let message = format!("at {clear} it would be good again and still {side} {raise}");
        wrong("clear", message, format!("with `{side}`, clear is on the other side of {raise}"));
    }
    Some((side, raise, clear))
}

/// For whom a rule or a window is.
pub(super) fn scope(
    section: &Section<'_>,
    known: &Known<'_>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Scope {
    let mut warn = |key: &str, texts: &[String], there: &BTreeSet<&str>, what: &str| {
        for text in texts.iter().filter(|t| !there.contains(t.as_str())) {
            let message = format!("no target has the {what} {text:?}");
            warnings.push(Problem::new(section.place_of(key), section.path_of(key), message));
        }
    };
    let (groups, tags) = (section.texts("groups"), section.texts("tags"));
    warn("groups", &groups, &known.groups, "group");
    warn("tags", &tags, &known.tags, "tag");
    Scope {
        targets: ids(section, "targets", known, problems),
        groups,
        tags,
        except_targets: ids(section, "except_targets", known, problems),
        except_groups: section.texts("except_groups"),
        except_tags: section.texts("except_tags"),
    }
}

/// Ids of targets that exist.
fn ids(section: &Section<'_>, key: &str, known: &Known<'_>, problems: &mut Vec<Problem>) -> Vec<TargetId> {
    let mut found = Vec::new();
    for text in section.texts(key) {
        match TargetId::parse(&text) {
            Ok(id) if known.ids.contains(&text) => found.push(id),
            _ => {
                let message = format!("there is no target with the id {text:?}");
                let near = words::nearest(&text, known.ids.iter().map(String::as_str));
                let remedy = near.map_or("targets are named by their ids".to_owned(), |n| format!("did you mean {n}?"));
                problems.push(Problem::new(section.place_of(key), section.path_of(key), message).with_remedy(remedy));
            }
        }
    }
    found
}

/// Names of channels that exist; `None` when the key is absent.
fn channels(section: &Section<'_>, known: &Known<'_>, problems: &mut Vec<Problem>) -> Option<Vec<String>> {
    section.node("channels")?;
    let mut found: Vec<String> = Vec::new();
    for name in section.texts("channels") {
        if !known.channels.contains(&name) {
            let message = format!("there is no channel {name:?}");
            let remedy = match words::nearest(&name, known.channels.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None => "define it under channels".to_owned(),
            };
            let problem = Problem::new(section.place_of("channels"), section.path_of("channels"), message);
            problems.push(problem.with_remedy(remedy));
        } else if !found.contains(&name) {
            found.push(name);
        }
    }
    Some(found)
}

fn references(root: &Item, known: &Known<'_>, problems: &mut Vec<Problem>) -> Vec<TargetId> {
    let Some(item) = root.get("connectivity").filter(|item| !item.is_null()) else { return Vec::new() };
    let node = item.node_of(&CONNECTIVITY);
    let section = Section::check(&node, &CONNECTIVITY, "connectivity", problems);
    let found = ids(&section, "references", known, problems);
    if found.len() > MAX_REFERENCES {
        let message = format!("{} references, at most {MAX_REFERENCES} are accepted", found.len());
        problems.push(Problem::new(section.place_of("references"), section.path_of("references"), message));
    }
    found
}
