//! Puts secrets back where `***` stands. A secret returns only to its own place and its own host: a mask must not be a
//! way to send somebody's password elsewhere.

use std::collections::{BTreeMap, VecDeque};

use model::conf::{Place, Problem};
use serde_json::Value;

use super::find::{SECOND, Slot, apply, both_hosts, quote, slots};
use super::{MASK, urls};

/// Puts the secrets of `old` in place of the masks in `new`.
///
/// # Errors
/// A problem for each mask that stands for no known secret.
pub fn restore(new: &str, old: &str) -> Result<String, Vec<Problem>> {
    if !new.contains(MASK) {
        return Ok(new.to_owned());
    }
    let known = slots(old);
    let mut edits = Vec::new();
    let mut problems = Vec::new();
    let wanted: Vec<Slot> = slots(new).into_iter().filter(|s| s.secret == MASK).collect();
    let mut scalars: BTreeMap<usize, Vec<(Slot, Option<String>)>> = BTreeMap::new();
    for slot in wanted {
        let found = lookup(&known, &slot);
        if found.is_none() {
            problems.push(unknown(place(new, slot.scalar.start), slot.path.trim_start_matches('.')));
        }
        scalars.entry(slot.scalar.start).or_default().push((slot, found));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    for group in scalars.into_values() {
        edits.extend(edits_of(group));
    }
    edits.sort_by_key(|(range, _): &(std::ops::Range<usize>, String)| range.start);
    Ok(restore_comments(&apply(new, &edits), old))
}

/// Replacements for the masks of one scalar: in place when the secret may be written there as it is, else the whole
/// scalar is written anew in quotes.
fn edits_of(group: Vec<(Slot, Option<String>)>) -> Vec<(std::ops::Range<usize>, String)> {
    let simple = group.iter().all(|(slot, found)| slot.spelled.is_some() && found.as_deref().is_some_and(is_simple));
    if simple {
        return group.into_iter().filter_map(|(slot, found)| Some((slot.spelled?, found?))).collect();
    }
    let Some((first, _)) = group.first() else { return Vec::new() };
    let (range, value) = (first.scalar.clone(), first.value.clone());
    let inner: Vec<_> = group.into_iter().filter_map(|(slot, found)| Some((slot.within, found?))).collect();
    vec![(range, quote(&apply(&value, &inner)))]
}

/// Letters that mean the same in plain, single-quoted and double-quoted scalars.
fn is_simple(secret: &str) -> bool {
    secret.bytes().all(|b| b.is_ascii_alphanumeric() || b"%._~!$()+-={}".contains(&b))
}

/// The secret that a mask stands for: at the same path, else (a target that was renamed or moved) the only secret of
/// the same shape and the same shown value. The host must be the same in any case.
fn lookup(known: &[Slot], mask: &Slot) -> Option<String> {
    let fits = |s: &&Slot| s.part == mask.part && s.host == mask.host;
    if let Some(slot) = known.iter().filter(fits).find(|s| s.path == mask.path) {
        return Some(slot.secret.clone());
    }
    let mut like = known.iter().filter(fits).filter(|s| s.shape == mask.shape && s.shown == mask.shown);
    let first = like.next()?;
    like.all(|s| s.secret == first.secret).then(|| first.secret.clone())
}

fn unknown(place: Option<Place>, path: &str) -> Problem {
    Problem::new(place, path, format!("{MASK} stands for no secret that is known for this place and this host"))
        .with_remedy("write the secret itself, or a reference such as ${NAME} to the environment")
}

fn place(text: &str, byte: usize) -> Option<Place> {
    let before = text.get(..byte)?;
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Some(Place { line: u32::try_from(line).ok()?, column: u32::try_from(column).ok()? })
}

/// Comment lines that still carry a mask get their old text back, when such a line was there before. Lines that look the
/// same when hidden come back in their order.
fn restore_comments(new: &str, old: &str) -> String {
    if !new.contains(MASK) {
        return new.to_owned();
    }
    let mut before: BTreeMap<String, VecDeque<&str>> = BTreeMap::new();
    for (hidden, line) in super::hide(old).split_inclusive('\n').zip(old.split_inclusive('\n')) {
        if hidden != line {
            before.entry(hidden.trim_end().to_owned()).or_default().push_back(line.trim_end());
        }
    }
    let mut back = |line: &str| {
        let known = before.get_mut(line.trim_end()).filter(|_| line.contains(MASK));
        let old = known.and_then(|lines| if lines.len() > 1 { lines.pop_front() } else { lines.front().copied() });
        old.map_or(line.to_owned(), |old| format!("{old}{}", &line[line.trim_end().len()..]))
    };
    let back: String = new.split_inclusive('\n').map(&mut back).collect();
    // What changes a value is no comment, it only looks like one: no secret moves into it.
    let values = |text: &str| super::tree::parse(text).as_ref().map(super::tree::to_json);
    if values(&back) == values(new) { back } else { new.to_owned() }
}

/// Names a target of the file, which may have an id, else a name, else only its place in the list.
#[derive(Clone, Copy, Debug)]
pub struct Which<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its place in the list, from 0.
    pub position: usize,
}

/// Puts secrets back into the fields of one target, as they come from a form. `target` is the one in `old` that is meant;
/// without it (a new target) every mask is a problem.
///
/// # Errors
/// A problem for each mask that stands for no known secret.
pub fn restore_fields(
    fields: &mut serde_json::Map<String, Value>,
    old: &str,
    target: Option<Which<'_>>,
) -> Result<(), Vec<Problem>> {
    let known = slots(old);
    let own: Vec<&Slot> = match target {
        Some(Which { id, name, position }) => {
            let of = |identity: String| known.iter().filter(|s| s.path.contains(&identity)).collect::<Vec<_>>();
            let spellings = [format!("[id={id}]"), format!("[name={name}]"), format!("s[{position}]")];
            spellings.into_iter().map(of).find(|found| !found.is_empty()).unwrap_or_default()
        }
        None => Vec::new(),
    };
    let new_host = hosts_after(fields, &own);
    let mut problems = Vec::new();
    for (key, value) in fields.iter_mut() {
        restore_value(value, &format!("].{key}"), new_host.as_deref(), &own, &mut problems);
    }
    // Secrets that stay in the file beside URLs that now lead elsewhere would go there too.
    for slot in own.iter().filter(|s| s.part.is_empty() && new_host.as_ref().is_some_and(|host| *host != s.host)) {
        let key = slot.path.rsplit("].").next().unwrap_or_default();
        if !fields.contains_key(key.split('.').next().unwrap_or_default()) {
            problems.push(unknown(None, key));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Where the secrets of a target will go once `fields` are written; `None` when that does not change.
fn hosts_after(fields: &serde_json::Map<String, Value>, own: &[&Slot]) -> Option<String> {
    if !fields.contains_key("url") && !fields.contains_key(SECOND) {
        return None;
    }
    let old = own.iter().find(|s| s.part.is_empty()).map_or("", |s| s.host.as_str());
    let (old_first, old_second) = old.split_once(' ').map_or((old, None), |(first, second)| (first, Some(second)));
    let first = fields.get("url").and_then(Value::as_str).map_or_else(|| old_first.to_owned(), urls::host);
    let second = match fields.get(SECOND) {
        Some(value) => value.as_str().map(urls::host),
        None => old_second.map(str::to_owned),
    };
    Some(both_hosts(&first, second.as_deref()))
}

fn restore_value(value: &mut Value, path: &str, host: Option<&str>, own: &[&Slot], problems: &mut Vec<Problem>) {
    match value {
        Value::String(text) if text.contains(MASK) => {
            let shown_path = path.trim_start_matches("].").to_owned();
            let mine = || own.iter().filter(|s| s.path.ends_with(path));
            if text == MASK {
                let found = mine().find(|s| s.part.is_empty() && host.is_none_or(|h| s.host == h));
                match found {
                    Some(slot) => text.clone_from(&slot.secret),
                    None => problems.push(unknown(None, &shown_path)),
                }
                return;
            }
            let masked: Vec<_> =
                urls::secrets_of_value(text).into_iter().filter(|s| text[s.range.clone()] == *MASK).collect();
            let new_host = urls::host(text);
            let mut edits = Vec::new();
            for secret in masked {
                match mine().find(|s| s.part == secret.part && s.host == new_host) {
                    Some(slot) => edits.push((secret.range, slot.secret.clone())),
                    None => problems.push(unknown(None, &shown_path)),
                }
            }
            *text = apply(text, &edits);
        }
        Value::Array(items) => {
            for (i, item) in items.iter_mut().enumerate() {
                restore_value(item, &format!("{path}[{i}]"), host, own, problems);
            }
        }
        Value::Object(map) => {
            for (key, item) in map.iter_mut() {
                restore_value(item, &format!("{path}.{key}"), host, own, problems);
            }
        }
        _ => {}
    }
}
