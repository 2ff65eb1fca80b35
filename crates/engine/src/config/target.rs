//! One target: from its keys in effect to a [`Target`] whose probe can be built.

use std::time::Duration;

use model::address::Address;
use model::conf::{Place, Problem, Section, Type, Value, words};
use model::expect::{BOUNDS, Bound, Expectations, Side};
use model::limits::{DEFAULT_INTERVAL, MAX_TIMEOUT, default_timeout};
use model::reading::Depth;
use model::status::StatusRules;
use model::target::{Options, Target, TargetId, Watch};
use probe::commands::Commands;
use probe::kind::Kind;
use probe::kinds::{self, KINDS};

use super::fields::{EXPECT, MEDIA_EXPECTATIONS, TARGET};
use super::targets::{only, unknown_key};
use super::tree::Item;

/// The kind whose targets are called, and not looked at.
const PUSH: &str = "push";

/// Where a target is read from.
pub(super) struct Source<'a> {
    /// Its keys in effect.
    pub(super) item: &'a Item,
    /// Whether it holds a key itself, not by a template or the defaults.
    pub(super) own: &'a dyn Fn(&str) -> bool,
    /// The expectations that it holds itself.
    pub(super) own_expect: Option<&'a Item>,
    /// Its path for messages, such as `targets[2]`.
    pub(super) path: &'a str,
    /// The commands that it may name, where they are known.
    pub(super) commands: Option<&'a Commands>,
}

/// What was learned about a target, right or wrong.
pub(super) struct Checked {
    /// Its id and name, also when something else is wrong with it: nobody else can have them.
    pub(super) identity: Option<(TargetId, String)>,
    /// The target; `None` when anything is wrong (the problems say what).
    pub(super) target: Option<Target>,
}

/// Checks one target, all of it: one wrong key hides nothing about the others.
pub(super) fn target(source: &Source<'_>, problems: &mut Vec<Problem>, warnings: &mut Vec<Problem>) -> Checked {
    let before = problems.len();
    let node = only(source.item, |key| TARGET.iter().any(|f| f.key == key)).node_of(TARGET);
    let common = Section::check(&node, TARGET, source.path, problems);
    let address = address(&common, problems);
    let kind = kind(&common, address.as_ref(), problems);
    for entry in source.item.entries().filter(|e| !TARGET.iter().any(|f| f.key == e.key)) {
        problems.extend(unknown_key(entry, kind, source.path));
    }
    let name_and_id = name_and_id(&common, problems);
    let expect = expect(source, kind, problems);
    let (interval, timeout) = times(&common, source, warnings);
    let options = kind.map(|kind| options(source, kind, problems)).unwrap_or_default();
    let mut checked = Checked { identity: name_and_id.clone(), target: None };
    let Some(kind) = kind else { return checked };
    // What the kind says of its own keys does not hang on these.
    let Some(known) = address.clone().or_else(|| stand_in(kind)) else { return checked };
    let (id, name) = name_and_id.unwrap_or_else(|| (TargetId::from_name(source.path), source.path.to_owned()));
    if !kind.media && (source.own)("depth") {
        let message = format!("depth has no effect on the kind {}, which carries no media", kind.name);
        warnings.push(Problem::new(common.place_of("depth"), common.path_of("depth"), message));
    }
    warn_of_limits(&expect, timeout, source, warnings);
    let depth = common.text("depth").and_then(|d| Depth::from_word(&d)).unwrap_or(Depth::Media);
    let watch = watch(&common, kind, depth, source, problems, warnings);
    let count = |key| common.integer(key).and_then(|n| u32::try_from(n).ok());
    let defaults = StatusRules::default();
    // A call that is overdue had its grace already; what `defaults` say is meant for looks that may fail by chance.
    let pushed = kind.name == PUSH;
    let fail_after = if pushed { 1 } else { defaults.fail_after };
    let target = Target {
        id,
        name,
        kind: kind.name,
        address: known,
        group: common.text("group").filter(|g| !g.is_empty()),
        tags: common.texts("tags").into_iter().filter(|t| !t.is_empty()).collect(),
        enabled: common.bool("enabled").unwrap_or(true),
        watch,
        interval,
        timeout,
        retries: count("retries").unwrap_or_default(),
        depth,
        rules: StatusRules {
            fail_after: count("fail_after").filter(|_| !pushed || (source.own)("fail_after")).unwrap_or(fail_after),
            recover_after: count("recover_after").unwrap_or(defaults.recover_after),
        },
        expect,
        options,
        parents: parents(&common, source, problems),
    };
    build(&target, source, (before, address.is_some()), problems, warnings);
    checked.target = (problems.len() == before).then_some(target);
    checked
}

/// The ids of its parents; whether they exist is known when all targets are.
fn parents(common: &Section<'_>, source: &Source<'_>, problems: &mut Vec<Problem>) -> Vec<TargetId> {
    let own = common.text("id").or_else(|| common.text("name").map(|n| TargetId::from_name(&n).as_str().to_owned()));
    let mut found: Vec<TargetId> = Vec::new();
    for text in common.texts("parents") {
        match TargetId::parse(&text) {
            // What templates and defaults say of all is not meant for the one they name.
            Ok(id) if own.as_deref() == Some(id.as_str()) && !(source.own)("parents") => {}
            Ok(id) if found.contains(&id) => {}
            Ok(id) => found.push(id),
            Err(message) => {
                let problem = Problem::new(common.place_of("parents"), common.path_of("parents"), message);
                problems.push(problem.with_remedy("write the ids of other targets, such as `parents: [router]`"));
            }
        }
    }
    found
}

/// An address that a kind accepts, in place of one that is wrong and was told.
fn stand_in(kind: &Kind) -> Option<Address> {
    Address::parse(&format!("{}://host:1/", kind.schemes.first()?)).ok()
}

fn address(common: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Address> {
    let text = common.text("url")?;
    match Address::parse(&text) {
        Ok(address) => Some(address),
        Err(message) => {
            let problem = Problem::new(common.place_of("url"), common.path_of("url"), message);
            problems.push(problem.with_remedy(
                "write scheme://user:password@host:port/path, with %23 for # and %2F for / in a password, or write it under password:",
            ));
            None
        }
    }
}

fn kind(common: &Section<'_>, address: Option<&Address>, problems: &mut Vec<Problem>) -> Option<&'static Kind> {
    let Some(name) = common.text("kind") else {
        let address = address?;
        let guess = kinds::guess(address);
        if guess.is_none() {
            let mut schemes: Vec<&str> = KINDS.iter().flat_map(|k| k.schemes.iter().copied()).collect();
            schemes.sort_unstable();
            schemes.dedup();
            let message = format!("no kind looks at {}:// addresses", address.scheme());
            let problem = Problem::new(common.place_of("url"), common.path_of("url"), message);
            problems.push(problem.with_remedy(format!("known schemes: {}", schemes.join(", "))));
        }
        return guess;
    };
    let kind = kinds::by_name(&name);
    if kind.is_none() {
        let names = KINDS.iter().map(|k| k.name);
        let remedy = match words::nearest(&name, names.clone()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("known kinds: {}", names.collect::<Vec<_>>().join(", ")),
        };
        let message = format!("there is no kind {name:?}");
        problems.push(Problem::new(common.place_of("kind"), common.path_of("kind"), message).with_remedy(remedy));
    }
    kind
}

fn name_and_id(common: &Section<'_>, problems: &mut Vec<Problem>) -> Option<(TargetId, String)> {
    let mut wrong = |key: &str, message: String, remedy: &str| {
        problems.push(Problem::new(common.place_of(key), common.path_of(key), message).with_remedy(remedy));
    };
    let name = common.text("name").map(|n| n.trim().to_owned()).filter(|n| !n.is_empty());
    let id = match common.text("id").map(|id| TargetId::parse(&id)) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(message)) => {
            wrong("id", message, "an id such as front-door");
            return None;
        }
    };
    if name.as_ref().is_some_and(|n| n.contains(char::is_control)) {
        wrong("name", "the name has a line break or another control character".to_owned(), "write it in one line");
        return None;
    }
    match (id, name) {
        (Some(id), Some(name)) => Some((id, name)),
        (Some(id), None) => Some((id.clone(), id.as_str().to_owned())),
        (None, Some(name)) => Some((TargetId::from_name(&name), name)),
        (None, None) if common.node("name").is_some_and(|n| !is_scalar(&n.value)) => None, // its type was told
        (None, None) => {
            wrong("name", "name is missing".to_owned(), "name for people, such as `name: Front door`");
            None
        }
    }
}

fn is_scalar(value: &Value) -> bool {
    model::conf::section::scalar(value).is_some()
}

/// Interval and deadline. A look whose deadline is not given is over before the next one is due.
fn times(common: &Section<'_>, source: &Source<'_>, warnings: &mut Vec<Problem>) -> (Duration, Duration) {
    let interval = common.duration("interval").unwrap_or(DEFAULT_INTERVAL);
    if common.node("timeout").is_none() {
        return (interval, default_timeout(interval));
    }
    // A wrong one was told; the longest contradicts nothing else.
    let Some(timeout) = common.duration("timeout") else { return (interval, MAX_TIMEOUT) };
    if timeout > interval && ((source.own)("timeout") || (source.own)("interval")) {
        let message = format!(
            "the timeout of {} is longer than the interval of {}, so a target that does not answer is looked at less often",
            words::duration_text(timeout),
            words::duration_text(interval)
        );
        let problem = Problem::new(common.place_of("timeout"), common.path_of("timeout"), message);
        warnings.push(problem.with_remedy("make the timeout at most as long as the interval"));
    }
    (interval, timeout)
}

/// How it is watched. What the defaults or a template say of holding is meant for the kinds that can.
fn watch(
    common: &Section<'_>,
    kind: &'static Kind,
    depth: Depth,
    source: &Source<'_>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Watch {
    let meant = common.text("watch").and_then(|w| Watch::from_word(&w)).unwrap_or(Watch::Periodic);
    if meant == Watch::Periodic {
        return meant;
    }
    let problem = |key: &str, message: String| Problem::new(common.place_of(key), common.path_of(key), message);
    if !kind.holds {
        if (source.own)("watch") {
            let able = KINDS.iter().filter(|k| k.holds).map(|k| k.name).collect::<Vec<_>>().join(", ");
            let message = format!("the kind {} cannot be watched continuously: it has no session to hold", kind.name);
            let remedy = format!("remove it, or write `watch: periodic`; kinds that can: {able}");
            problems.push(problem("watch", message).with_remedy(remedy));
        }
        return Watch::Periodic;
    }
    if depth != Depth::Media {
        let message = format!("a session that is held receives media, and depth is {depth}");
        problems.push(problem("depth", message).with_remedy("write `depth: media`, or `watch: periodic`"));
    }
    if (source.own)("retries") && common.integer("retries").is_some_and(|n| n > 0) {
        let message =
            "retries has no effect with watch: continuous, where a session that ended is opened again at once";
        warnings.push(problem("retries", message.to_owned()));
    }
    meant
}

fn expect(source: &Source<'_>, kind: Option<&'static Kind>, problems: &mut Vec<Problem>) -> Expectations {
    let path = format!("{}.expect", source.path);
    let none = Item::empty_map();
    let item = source.item.get("expect").filter(|e| e.is_map()).unwrap_or(&none);
    let media = kind.is_none_or(|k| k.media);
    // What a template or the defaults expect of media is not meant for a target that carries none.
    let own = |key: &str| source.own_expect.and_then(|e| e.get(key)).is_some_and(|v| !v.is_null());
    let item = only(item, |key| media || own(key) || !MEDIA_EXPECTATIONS.contains(&key));
    let node = item.node_of(&EXPECT);
    let section = Section::check(&node, &EXPECT, path, problems);
    for key in MEDIA_EXPECTATIONS.iter().filter(|key| !media && section.node(key).is_some()) {
        let name = kind.map_or("", |k| k.name);
        let message = format!("the kind {name} carries no media, so {key} can never be met");
        problems.push(Problem::new(section.place_of(key), section.path_of(key), message).with_remedy("remove it"));
    }
    let pixels = |key| section.integer(key).and_then(|n| u32::try_from(n).ok());
    let codecs = |key| section.texts(key).iter().map(|c| codec(c)).collect();
    Expectations {
        warn_after: section.duration("warn_after"),
        fail_after: section.duration("fail_after"),
        video: section.bool("video"),
        audio: section.bool("audio"),
        video_codec: codecs("video_codec"),
        audio_codec: codecs("audio_codec"),
        min_width: pixels("min_width"),
        min_height: pixels("min_height"),
        min_fps: section.number("min_fps"),
        bounds: bounds(&section),
        warn_cert: section.duration("warn_cert"),
        fail_cert: section.duration("fail_cert"),
    }
}

/// The bounds of measures, in the order of their table: durations in milliseconds.
fn bounds(section: &Section<'_>) -> Vec<Bound> {
    let value = |key: &str| match EXPECT.iter().find(|f| f.key == key).map(|f| &f.ty) {
        Some(Type::Duration { .. }) => section.duration(key).map(|d| d.as_secs_f64() * 1_000.0),
        _ => section.number(key),
    };
    BOUNDS.iter().filter_map(|of| value(of.key).map(|value| Bound { of, value })).collect()
}

/// ffprobe's name of a codec that people know by another.
fn codec(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    match name.as_str() {
        "h265" | "h.265" => "hevc".to_owned(),
        "avc" | "h.264" => "h264".to_owned(),
        _ => name,
    }
}

fn warn_of_limits(expect: &Expectations, timeout: Duration, source: &Source<'_>, warnings: &mut Vec<Problem>) {
    let Some(own) = source.own_expect else { return };
    let mut warn = |key: &str, message: &str| {
        let path = format!("{}.expect.{key}", source.path);
        warnings.push(Problem::new(own.get(key).map(|i| i.place), path, message));
    };
    if expect.warn_after.zip(expect.fail_after).is_some_and(|(warn, fail)| warn >= fail) {
        warn("warn_after", "warn_after is not shorter than fail_after, so it never warns");
    }
    for least in expect.bounds.iter().filter(|b| b.of.side == Side::Least) {
        let over = |most: &&Bound| {
            most.of.measure == least.of.measure && most.of.side == Side::Most && most.value < least.value
        };
        if let Some(most) = expect.bounds.iter().find(over) {
            warn(
                least.of.key,
                &format!("{} is greater than {}, so one of them is never met", least.of.key, most.of.key),
            );
        }
    }
    for (key, limit) in [("warn_after", expect.warn_after), ("fail_after", expect.fail_after)] {
        if limit.is_some_and(|l| l >= timeout) && own.get(key).is_some() {
            warn(key, &format!("{key} is not shorter than the timeout, so it is never reached"));
        }
    }
}

fn options(source: &Source<'_>, kind: &'static Kind, problems: &mut Vec<Problem>) -> Options {
    let item = only(source.item, |key| kind.fields.iter().any(|f| f.key == key));
    let node = item.node_of(kind.fields);
    Section::check(&node, kind.fields, source.path, problems);
    let Value::Map(pairs) = node.value else { return Options::default() };
    let given = pairs.into_iter().filter(|(_, node)| node.value != Value::Null);
    Options(given.map(|(key, node)| (key, without_places(node.value))).collect())
}

/// Options are compared when a file is loaded anew: a target that only moved in the file has not changed.
pub(super) fn without_places(value: Value) -> Value {
    use model::conf::Node;
    match value {
        Value::List(items) => Value::List(items.into_iter().map(|n| Node::bare(without_places(n.value))).collect()),
        Value::Map(pairs) => {
            Value::Map(pairs.into_iter().map(|(k, n)| (k, Node::bare(without_places(n.value)))).collect())
        }
        scalar => scalar,
    }
}

/// Lets the kind say what is wrong beyond its fields, and what is unwise. `before` is where the problems of this target begin.
fn build(
    target: &Target,
    source: &Source<'_>,
    (before, has_address): (usize, bool),
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) {
    let placed = |mut problem: Problem| {
        problem.place = Some(place_of(source.item, &problem.path));
        problem.path = match problem.path.as_str() {
            "" => source.path.to_owned(),
            path => format!("{}.{path}", source.path),
        };
        problem.message = target.address.redact(&problem.message);
        problem
    };
    let found = match probe::kind::build(target) {
        Err(found) => found,
        Ok(probe) => {
            warnings.extend(probe.warnings(target).into_iter().map(placed));
            source.commands.map(|commands| commands.problems(target)).unwrap_or_default()
        }
    };
    for problem in found {
        if problem.path == "url" && !has_address {
            continue; // about the stand-in
        }
        let problem = placed(problem);
        // The kind reads its fields again, and says of them what is known already.
        if !problems[before..].iter().any(|p| p.path == problem.path && p.message == problem.message) {
            problems.push(problem);
        }
    }
}

/// Where `key`, `key[2]` or `key.name` of a target stands: the item itself where it is there, else the key's value.
fn place_of(item: &Item, path: &str) -> Place {
    let at = path.find(['.', '[']).unwrap_or(path.len());
    let (first, rest) = path.split_at(at);
    let Some(value) = item.get(first) else { return item.place };
    let inner = match rest.strip_prefix('.') {
        Some(key) => value.get(key),
        None => rest
            .strip_prefix('[')
            .and_then(|r| r.strip_suffix(']')?.parse().ok())
            .and_then(|i: usize| value.items().get(i)),
    };
    inner.unwrap_or(value).place
}
