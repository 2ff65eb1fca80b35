//! The `targets`, `defaults` and `templates` of a file: which keys a target has in effect, and that they fit together.

use std::collections::HashMap;

use model::conf::{Field, Problem, Section, words};
use model::limits::MAX_TARGETS;
use model::secret::Secret;
use model::target::{Target, TargetId};
use probe::commands::Commands;
use probe::kind::Kind;
use probe::kinds::{self, KINDS};

use super::family::Family;
use super::fields::{DEFAULTS, EXPECT, TARGET};
use super::target;
use super::tree::{Body, Entry, Item, Origin};

/// Keys of a target that no template can bring: they name one target, or would nest templates.
const NOT_IN_TEMPLATES: [&str; 4] = ["id", "name", "url", "template"];

/// Checks all targets. Those that are wrong are left out; the problems say why.
pub(super) fn targets(
    root: &Item,
    commands: Option<&Commands>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Vec<Target> {
    let defaults = root.get("defaults");
    if let Some(defaults) = defaults {
        check_common(defaults, &DEFAULTS, "defaults", problems);
    }
    let templates = templates(root, problems);
    let items = root.get("targets").map(Item::items).unwrap_or_default();
    if items.is_empty() {
        let problem = Problem::new(root.get("targets").map(|t| t.place), "targets", "nothing is watched");
        warnings.push(problem.with_remedy("add a target, or paste a URL on the dashboard"));
    }
    if items.len() > MAX_TARGETS {
        let message = format!("{} targets, at most {MAX_TARGETS} are accepted", items.len());
        problems.push(Problem::new(root.get("targets").map(|t| t.place), "targets", message));
        return Vec::new();
    }
    let mut taken = Taken::default();
    let mut family = Family::default();
    let mut found = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let path = format!("targets[{i}]");
        if !item.is_map() {
            let problem = Problem::new(Some(item.place), path, "a target is a mapping with at least a name and a url");
            problems.push(problem.with_remedy("write `- name: Door` and, below it, `url: rtsp://...`"));
            continue;
        }
        let layers = layers(item, &templates, defaults, &path, problems);
        let effective = effective(&layers);
        let own = |key: &str| item.get(key).is_some();
        let own_expect = item.get("expect");
        let part = target::Source { item: &effective, own: &own, own_expect, path: &path, commands };
        let target::Checked { identity, target } = target::target(&part, problems, warnings);
        if let Some((id, name)) = identity {
            taken.check(id, name, item, &path, problems);
        }
        if let Some(token) = target.as_ref().and_then(probe::push::token_of) {
            taken.check_token(&token, &effective, &path, problems);
        }
        if let Some(target) = &target {
            family.add(target, &effective, &path);
        }
        found.extend(target);
    }
    family.check(|id| taken.ids.contains_key(id), problems);
    found
}

/// Ids and names that are in use, with the path of their target.
#[derive(Default)]
struct Taken {
    ids: HashMap<TargetId, String>,
    names: HashMap<String, String>,
    tokens: HashMap<String, String>,
}

impl Taken {
    fn check(&mut self, id: TargetId, name: String, item: &Item, path: &str, problems: &mut Vec<Problem>) {
        let place = |key: &str| item.get(key).map_or(Some(item.place), |i| Some(i.place));
        if let Some(first) = self.names.get(&name) {
            let message = format!("the name {name:?} is that of {first} too");
            let problem = Problem::new(place("name"), format!("{path}.name"), message);
            problems.push(problem.with_remedy("give each target a name of its own"));
            return; // two equal names make two equal ids: one slip, one problem
        }
        self.names.insert(name, path.to_owned());
        if let Some(first) = self.ids.get(&id) {
            let message = format!("the id {id} is that of {first} too");
            let remedy = match item.get("id") {
                Some(_) => "give each target an id of its own",
                None => "ids are made from names: add an `id` to one of the two",
            };
            problems.push(Problem::new(place("id"), format!("{path}.id"), message).with_remedy(remedy));
            return;
        }
        self.ids.insert(id, path.to_owned());
    }
}

impl Taken {
    /// Two targets with one token could not be told apart by a call.
    fn check_token(&mut self, token: &Secret, item: &Item, path: &str, problems: &mut Vec<Problem>) {
        if let Some(first) = self.tokens.get(token.expose()) {
            let place = item.get("token").map_or(item.place, |i| i.place);
            let message = format!("the token is that of {first} too");
            let problem = Problem::new(Some(place), format!("{path}.token"), message);
            problems.push(problem.with_remedy("`streampulse push-token` prints another"));
            return;
        }
        self.tokens.insert(token.expose().to_owned(), path.to_owned());
    }
}

/// Checks the keys that have the same meaning for every kind.
fn check_common(item: &Item, fields: &'static [Field], path: &str, problems: &mut Vec<Problem>) {
    let node = item.node_of(fields);
    let section = Section::check(&node, fields, path, problems);
    if let Some(expect) = item.get("expect").filter(|_| section.node("expect").is_some()) {
        let node = expect.node_of(&EXPECT);
        Section::check(&node, &EXPECT, section.path_of("expect"), problems);
    }
}

/// The templates by name, checked as far as that is possible without knowing who takes them.
fn templates<'a>(root: &'a Item, problems: &mut Vec<Problem>) -> HashMap<&'a str, &'a Item> {
    let Some(all) = root.get("templates").filter(|item| !item.is_null()) else { return HashMap::new() };
    if !all.is_map() {
        let problem = Problem::new(Some(all.place), "templates", "expected a mapping from names to keys of targets");
        problems.push(problem.with_remedy("write `templates:` and, below it, `name:` and, below that, the keys"));
    }
    let mut found = HashMap::new();
    for entry in all.entries() {
        let path = format!("templates.{}", entry.key);
        check_template(&entry.value, &path, problems);
        found.insert(entry.key.as_str(), &entry.value);
    }
    found
}

fn check_template(item: &Item, path: &str, problems: &mut Vec<Problem>) {
    if !item.is_map() && !item.is_null() {
        problems.push(Problem::new(Some(item.place), path, "expected a mapping with keys of targets"));
        return;
    }
    let kind = item.get("kind").and_then(Item::text).and_then(kinds::by_name);
    for entry in item.entries() {
        if NOT_IN_TEMPLATES.contains(&entry.key.as_str()) {
            let message = format!("{} cannot come from a template", entry.key);
            let problem = Problem::new(Some(entry.key_place), format!("{path}.{}", entry.key), message);
            problems.push(problem.with_remedy("write it at each target"));
        } else if !TARGET.iter().any(|f| f.key == entry.key) {
            problems.extend(unknown_key(entry, kind, path));
        }
    }
    check_common(&only(item, |key| DEFAULTS.iter().any(|f| f.key == key)), &DEFAULTS, path, problems);
    if let Some(kind) = kind {
        let node = only(item, |key| kind.fields.iter().any(|f| f.key == key)).node_of(kind.fields);
        // A template may leave to its targets what the kind requires.
        problems.extend({
            let mut found = Vec::new();
            Section::check(&node, kind.fields, path, &mut found);
            found.into_iter().filter(|p| !p.message.ends_with("is missing"))
        });
    }
}

/// The mapping with some of its keys.
pub(super) fn only(item: &Item, keep: impl Fn(&str) -> bool) -> Item {
    let entries = item.entries().filter(|e| keep(&e.key)).cloned().collect();
    Item { body: Body::Map { entries, flow: false }, ..Item::empty_map() }.at(item)
}

/// A key of a target that neither all targets nor its kind know; without a kind, a key of any kind will do.
pub(super) fn unknown_key(entry: &Entry, kind: Option<&Kind>, path: &str) -> Option<Problem> {
    let key = entry.key.as_str();
    let knows = |kind: &Kind| kind.fields.iter().any(|f| f.key == key);
    let owners: Vec<&str> = KINDS.iter().filter(|k| knows(k)).map(|k| k.name).collect();
    let problem = |message| Problem::new(Some(entry.key_place), format!("{path}.{key}"), message);
    match kind {
        Some(kind) if knows(kind) => None,
        None if !owners.is_empty() => None,
        Some(kind) if !owners.is_empty() => {
            let owners = owners.join(" and ");
            let message = format!("{key} is a key of the kind {owners}, and this is of the kind {}", kind.name);
            Some(problem(message).with_remedy("remove it, or set `kind`"))
        }
        _ => {
            let known = TARGET.iter().chain(kind.map_or(&[][..], |k| k.fields)).map(|f| f.key);
            let remedy = match words::nearest(key, known.clone()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("known keys: {}", known.collect::<Vec<_>>().join(", ")),
            };
            Some(problem(format!("unknown key {key}")).with_remedy(remedy))
        }
    }
}

/// Where a target's keys come from, the strongest first.
fn layers<'a>(
    item: &'a Item,
    templates: &HashMap<&'a str, &'a Item>,
    defaults: Option<&'a Item>,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Vec<&'a Item> {
    let mut layers = vec![item];
    let named = item.get("template").filter(|t| !t.is_null());
    let names = named.map_or(&[][..], |t| if t.items().is_empty() { std::slice::from_ref(t) } else { t.items() });
    for name in names.iter().rev() {
        let Some(text) = name.text() else { continue }; // its type is checked with the other keys
        match templates.get(text) {
            Some(template) => layers.push(template),
            None => {
                let message = format!("there is no template {text:?}");
                let near = words::nearest(text, templates.keys().copied());
                let remedy = near.map_or("define it under templates".to_owned(), |n| format!("did you mean {n}?"));
                let problem = Problem::new(Some(name.place), format!("{path}.template"), message);
                problems.push(problem.with_remedy(remedy));
            }
        }
    }
    layers.extend(defaults);
    layers
}

/// The keys in effect: the strongest layer that has a key gives it; `expect` is put together key by key.
fn effective(layers: &[&Item]) -> Item {
    let mut entries: Vec<Entry> = Vec::new();
    for layer in layers {
        for entry in layer.entries() {
            match entries.iter_mut().find(|e| e.key == entry.key) {
                None => entries.push(Entry { origin: Origin::Own, ..entry.clone() }),
                Some(stronger) if entry.key == "expect" => add_missing(&mut stronger.value, &entry.value),
                Some(_) => {}
            }
        }
    }
    Item { body: Body::Map { entries, flow: false }, ..Item::empty_map() }.at(layers[0])
}

fn add_missing(to: &mut Item, from: &Item) {
    let Body::Map { entries, .. } = &mut to.body else { return };
    for entry in from.entries() {
        if !entries.iter().any(|e| e.key == entry.key) {
            entries.push(entry.clone());
        }
    }
}
