//! The list `channels` and the address for links: who is told of alerts, and by which way. Keys of a kind are declared by the
//! kind; what a notification looks like is the kind's too.

use std::collections::HashMap;
use std::fmt;

use model::alert::Severity;
use model::conf::{Field, Node, Problem, Section, Type, Value, words};
use model::secret::Secret;
use model::target::Options;
use probe::commands::Commands;
use sink::channel::{Built, ChannelKind};
use sink::channels::{CHANNELS, by_name};

use super::target::without_places;
use super::targets::only;
use super::tree::{Entry, Item};

/// Longest name of a channel, in bytes: it stands in rules, tables and metrics.
const MAX_NAME_BYTES: usize = 64;
/// Most channels: each is written by hand and has a worker of its own.
const MAX_CHANNELS: usize = 100;
/// Most messages in an hour that a limit may allow.
const MAX_LIMIT: i64 = 10_000;
/// Longest address of the dashboard, in bytes: it stands in every message.
const MAX_BASE_BYTES: usize = 500;

/// Words for `min_severity`, as in [`Severity`].
const SEVERITIES: &[&str] = &["info", "warning", "critical"];

/// What `base_url` holds.
pub(super) const BASE_URL: Field = Field::new(
    "base_url",
    Type::Text { max: MAX_BASE_BYTES },
    "Address by which people reach the dashboard, such as https://streams.example.com: messages link to it. Without it they hold no links.",
);

/// Keys of a channel, whatever its kind.
pub(super) static CHANNEL: &[Field] = &[
    Field::new("name", Type::Text { max: MAX_NAME_BYTES }, "Name by which rules and pages speak of it. Unique.")
        .required(),
    Field::new("kind", Type::Text { max: MAX_NAME_BYTES }, "By which way people are told.").required(),
    Field::new("enabled", Type::Bool, "`false` keeps the channel and sends nothing through it.").default("true"),
    Field::new(
        "min_severity",
        Type::Choice(SEVERITIES),
        "Only alerts that are at least so grave are told here; `critical` is the gravest.",
    )
    .default("info"),
    Field::new(
        "limit",
        Type::Integer { min: 0, max: MAX_LIMIT },
        "Most messages in an hour. What is beyond is held back and told in one digest. 0 is no limit.",
    )
    .default("60"),
];

/// A channel as it is configured. `Debug` shows no value of its options.
#[derive(Clone, PartialEq)]
pub struct ChannelSpec {
    /// Its name; unique.
    pub name: String,
    /// Name of its kind.
    pub kind: &'static str,
    /// Whether it is used.
    pub enabled: bool,
    /// Alerts that are less grave are not told.
    pub min_severity: Severity,
    /// Most messages in an hour; `None` is no limit.
    pub limit: Option<u32>,
    /// The keys of its kind.
    pub options: Options,
}

impl fmt::Debug for ChannelSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, kind) = (&self.name, &self.kind);
        f.debug_struct("ChannelSpec")
            .field("name", name)
            .field("kind", kind)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl ChannelSpec {
    /// Makes the channel.
    ///
    /// # Errors
    /// Everything that is wrong with its options; nothing of a specification that was loaded.
    pub fn build(&self) -> Built {
        let Some(kind) = by_name(self.kind) else {
            return Err(vec![Problem::new(None, "kind", format!("there is no kind {}", self.kind))]);
        };
        let pairs = self.options.0.iter().map(|(key, value)| (key.clone(), Node::bare(value.clone())));
        let node = Node::bare(Value::Map(pairs.collect()));
        let mut problems = Vec::new();
        let section = Section::check(&node, kind.fields, "", &mut problems);
        if problems.is_empty() { (kind.build)(&section) } else { Err(problems) }
    }

    /// Whether an alert that is so grave is told here.
    #[must_use]
    pub fn takes(&self, severity: Severity) -> bool {
        self.enabled && severity >= self.min_severity
    }
}

/// Checks the list. Those that are wrong are left out; the problems say why.
pub(super) fn channels(root: &Item, commands: Option<&Commands>, problems: &mut Vec<Problem>) -> Vec<ChannelSpec> {
    let Some(list) = root.get("channels").filter(|item| !item.is_null()) else { return Vec::new() };
    if list.items().len() > MAX_CHANNELS {
        let message = format!("{} channels, at most {MAX_CHANNELS} are accepted", list.items().len());
        problems.push(Problem::new(Some(list.place), "channels", message));
        return Vec::new();
    }
    let mut taken: HashMap<String, String> = HashMap::new();
    let mut found = Vec::new();
    for (i, item) in list.items().iter().enumerate() {
        let path = format!("channels[{i}]");
        if !item.is_map() {
            let problem =
                Problem::new(Some(item.place), path, "a channel is a mapping with at least a name and a kind");
            problems.push(problem.with_remedy("write `- name: mail` and, below it, `kind: email`"));
            continue;
        }
        let spec = channel(item, &path, (root, commands), problems);
        let Some(name) = item.get("name").and_then(Item::text) else { continue };
        match taken.get(name) {
            Some(first) => {
                let place = item.get("name").map(|n| n.place);
                let message = format!("the name {name:?} is that of {first} too");
                let problem = Problem::new(place, format!("{path}.name"), message);
                problems.push(problem.with_remedy("give each channel a name of its own"));
            }
            None => {
                taken.insert(name.to_owned(), path);
                found.extend(spec);
            }
        }
    }
    found
}

fn channel(
    item: &Item,
    path: &str,
    (root, commands): (&Item, Option<&Commands>),
    problems: &mut Vec<Problem>,
) -> Option<ChannelSpec> {
    let before = problems.len();
    let node = only(item, |key| CHANNEL.iter().any(|f| f.key == key)).node_of(CHANNEL);
    let common = Section::check(&node, CHANNEL, path, problems);
    let name = common.text("name").unwrap_or_default();
    if common.node("name").is_some() && (name.trim() != name || name.is_empty() || name.contains(char::is_control)) {
        let problem = Problem::new(common.place_of("name"), common.path_of("name"), format!("{name:?} is no name"));
        problems.push(problem.with_remedy("one line without blanks around it"));
    }
    let kind = kind(&common, problems);
    for entry in item.entries().filter(|e| !CHANNEL.iter().any(|f| f.key == e.key)) {
        problems.extend(unknown_key(entry, kind, path));
    }
    let kind = kind?;
    let node = only(item, |key| kind.fields.iter().any(|f| f.key == key)).node_of(kind.fields);
    let slips = problems.len();
    let section = Section::check(&node, kind.fields, path, problems);
    if let Err(found) = (kind.build)(&section) {
        // The kind reads its fields again, and says of them what is known already.
        let known = |p: &Problem| problems[slips..].iter().any(|k| k.path == p.path);
        let new: Vec<Problem> = found.into_iter().filter(|p| !known(p)).collect();
        problems.extend(new);
    }
    if kind.name == "exec" && problems.len() == slips {
        problems.extend(commands.map(|commands| command_problems(&section, commands)).unwrap_or_default());
    }
    let published = root.get("mqtt").and_then(|mqtt| mqtt.get("enabled")).and_then(Item::text);
    if kind.name == "mqtt" && published != Some("true") {
        let message = "this kind publishes by the connection of the section mqtt, and that is not enabled";
        let problem = Problem::new(common.place_of("kind"), common.path_of("kind"), message);
        problems.push(problem.with_remedy("add the section mqtt with `enabled: true`"));
    }
    let Value::Map(pairs) = node.value else { return None };
    let given = pairs.into_iter().filter(|(_, node)| node.value != Value::Null);
    let spec = ChannelSpec {
        name,
        kind: kind.name,
        enabled: common.bool("enabled").unwrap_or(true),
        min_severity: common.text("min_severity").and_then(|s| Severity::from_word(&s)).unwrap_or(Severity::Info),
        limit: common.integer("limit").and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0),
        options: Options(given.map(|(key, node)| (key, without_places(node.value))).collect()),
    };
    (problems.len() == before).then_some(spec)
}

/// What is wrong with how a channel names a command and fills it in.
fn command_problems(section: &Section<'_>, commands: &Commands) -> Vec<Problem> {
    let problem = |key: &str, message: String| Problem::new(section.place_of(key), section.path_of(key), message);
    let name = section.text("command").unwrap_or_default();
    let command = match commands.get(&name) {
        Ok(command) => command,
        Err(message) => {
            return vec![problem("command", message).with_remedy("only the file of commands can define one")];
        }
    };
    let secrets: Vec<_> =
        section.pairs("secrets").into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
    let wrong = command.fill(&section.pairs("args"), &secrets).err().unwrap_or_default();
    // A path such as args.path stands where its key does.
    let place = |path: &str| path.split(['.', '[']).next().unwrap_or_default().to_owned();
    let told = |(path, message): (String, String)| {
        let key = place(&path);
        let known = ["args", "secrets"].contains(&key.as_str());
        Problem::new(section.place_of(if known { &key } else { "command" }), section.path_of(&path), message)
    };
    wrong.into_iter().map(told).collect()
}

fn kind(common: &Section<'_>, problems: &mut Vec<Problem>) -> Option<&'static ChannelKind> {
    let name = common.text("kind")?;
    let kind = by_name(&name);
    if kind.is_none() {
        let names = CHANNELS.iter().map(|k| k.name);
        let remedy = match words::nearest(&name, names.clone()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("known kinds: {}", names.collect::<Vec<_>>().join(", ")),
        };
        let message = format!("there is no kind {name:?}");
        problems.push(Problem::new(common.place_of("kind"), common.path_of("kind"), message).with_remedy(remedy));
    }
    kind
}

/// A key that neither all channels nor its kind know; without a kind, a key of any kind will do.
fn unknown_key(entry: &Entry, kind: Option<&ChannelKind>, path: &str) -> Option<Problem> {
    let key = entry.key.as_str();
    let knows = |kind: &ChannelKind| kind.fields.iter().any(|f| f.key == key);
    let known_somewhere = CHANNELS.iter().any(|kind| knows(kind));
    if kind.is_some_and(knows) || (kind.is_none() && known_somewhere) {
        return None;
    }
    let known = CHANNEL.iter().chain(kind.map_or(&[][..], |k| k.fields)).map(|f| f.key);
    let remedy = match words::nearest(key, known.clone()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known keys: {}", known.collect::<Vec<_>>().join(", ")),
    };
    let whose = kind.filter(|_| known_somewhere).map_or_else(String::new, |kind| format!(" of the kind {}", kind.name));
    let problem = Problem::new(Some(entry.key_place), format!("{path}.{key}"), format!("unknown key {key}{whose}"));
    Some(problem.with_remedy(remedy))
}

/// Checks the address for links; `None` when there is none or it cannot be used.
pub(super) fn base_url(top: &Section<'_>, problems: &mut Vec<Problem>) -> Option<String> {
    let text = top.text(BASE_URL.key)?;
    let wrong = |message: &str| {
        let problem = Problem::new(top.place_of(BASE_URL.key), BASE_URL.key, message);
        problem.with_remedy("write it as in https://streams.example.com")
    };
    let parsed = url::Url::parse(text.trim());
    let problem = match &parsed {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() => {
            wrong("the address begins with http:// or https:// and a host")
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => wrong("the address has a ? or a # in it"),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            wrong("the address holds a user name or a password, and it stands in every message")
        }
        Ok(url) => return Some(url.as_str().trim_end_matches('/').to_owned()),
        Err(_) => wrong("this is no address"),
    };
    problems.push(problem);
    None
}
