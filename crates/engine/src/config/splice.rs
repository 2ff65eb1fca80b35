//! Changes of a YAML text on top of the byte ranges of its tree: set a key, remove a key, add to a list, remove from a list.
//! Every byte that is not meant stays. Knows nothing of what the keys mean; whoever calls loads the result again.

use model::conf::{Node, Value};

use super::quote;
use super::tree::{Body, Entry, Item, Origin, Style};

/// A text under change.
pub(super) struct Sheet<'a> {
    text: &'a str,
    eol: &'static str,
}

/// Why a change cannot be made by machine, with a remedy.
pub(super) type Refusal = (String, &'static str);

const BY_HAND: &str = "edit the file by hand";

impl<'a> Sheet<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, eol: if text.contains("\r\n") { "\r\n" } else { "\n" } }
    }

    /// The text with `range` replaced by `new`, whose line ends become the file's.
    fn splice(&self, range: std::ops::Range<usize>, new: &str) -> String {
        let new = new.replace('\n', self.eol);
        format!("{}{new}{}", &self.text[..range.start], &self.text[range.end..])
    }

    /// First byte of the line.
    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |i| i + 1)
    }

    /// Behind the last byte of the line, before its line end.
    fn line_end(&self, at: usize) -> usize {
        let end = self.text[at..].find('\n').map_or(self.text.len(), |i| at + i);
        if self.text[..end].ends_with('\r') { end - 1 } else { end }
    }

    /// First byte of the next line; the end of the text when there is none.
    fn next_line(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |i| at + i + 1)
    }

    /// Columns before a byte, in characters, not counting a byte order mark.
    fn column(&self, at: usize) -> usize {
        self.text[self.line_start(at)..at].trim_start_matches('\u{feff}').chars().count()
    }

    /// Behind the colon of a key.
    fn behind_colon(&self, entry: &Entry) -> usize {
        self.text[entry.key_end..].find(':').map_or(entry.key_end, |i| entry.key_end + i + 1)
    }

    /// Sets a key, given by its path below `map`; sections on the way are made.
    pub(super) fn set(&self, map: &Item, path: &[&str], value: &Value) -> Result<String, Refusal> {
        let Some((first, rest)) = path.split_first() else { return Err(("no key is named".to_owned(), BY_HAND)) };
        if map.alias {
            return Err(("the section is an alias (*name)".to_owned(), "write its keys out in the file"));
        }
        let Body::Map { entries, flow } = &map.body else {
            return Err(("the section is no mapping".to_owned(), BY_HAND));
        };
        match entries.iter().find(|e| e.key == **first && e.origin == Origin::Own) {
            Some(entry) if !rest.is_empty() && entry.value.is_map() => self.set(&entry.value, rest, value),
            Some(entry) if !rest.is_empty() && !entry.value.is_null() => {
                Err((format!("{first} is no section"), BY_HAND))
            }
            Some(entry) => self.replace(entry, &nested(rest, value), *flow),
            None => Ok(self.insert(map, entries, *flow, first, &nested(rest, value))),
        }
    }

    /// Puts another value behind a key. A comment in the key's line stays.
    fn replace(&self, entry: &Entry, value: &Value, in_flow: bool) -> Result<String, Refusal> {
        let colon = self.behind_colon(entry);
        let old = &entry.value;
        let indent = self.column(entry.key_start);
        let new = if in_flow { format!(" {}", quote::flow(value)) } else { quote::block(value, indent) };
        let below = new.starts_with('\n');
        let is_block = match &old.body {
            Body::Scalar { style, .. } => *style == Style::Block,
            Body::List { flow, .. } | Body::Map { flow, .. } => !flow,
        };
        if old.start == old.end {
            // Nothing stands behind the colon but perhaps a comment.
            let at = if below { self.line_end(colon) } else { colon };
            return Ok(self.splice(at..at, &new));
        }
        if is_block && !old.alias {
            let head_end = self.line_end(colon);
            if matches!(old.body, Body::Scalar { .. }) {
                return Ok(self.splice(colon..old.end, &new));
            }
            let head = if below { String::new() } else { new.clone() };
            let tail = if below { new } else { String::new() };
            let comment = &self.text[colon..head_end];
            return Ok(self.splice(colon..old.end, &format!("{head}{comment}{tail}")));
        }
        if !self.text[colon..old.start].trim().is_empty() {
            return Err((format!("a comment stands between {} and its value", entry.key), BY_HAND));
        }
        if below {
            let comment = self.text[old.end..self.line_end(old.end)].to_owned();
            return Ok(self.splice(colon..self.line_end(old.end), &format!("{}{new}", with_space(comment.trim()))));
        }
        // An anchor in front of the value may be used elsewhere.
        let anchored = &self.text[old.start..old.end];
        let skip = match anchored.starts_with('&') && !old.alias {
            true => anchored.find(char::is_whitespace).map_or(anchored.len(), |i| i + 1),
            false => 0,
        };
        Ok(self.splice(old.start + skip..old.end, new.trim_start()))
    }

    /// Adds a key behind the last one.
    fn insert(&self, map: &Item, entries: &[Entry], flow: bool, key: &str, value: &Value) -> String {
        let own: Vec<&Entry> = entries.iter().filter(|e| e.origin != Origin::Merged).collect();
        let end_of = |e: &Entry| e.value.end.max(e.key_end);
        if flow {
            let pair = format!("{}: {}", quote::text(key), quote::flow(value));
            return match own.last() {
                Some(last) => {
                    let at = end_of(last).max(self.behind_colon(last));
                    self.splice(at..at, &format!(", {pair}"))
                }
                None => {
                    let at = self.text[map.start..map.end].find('{').map_or(map.end, |i| map.start + i + 1);
                    self.splice(at..at, &pair)
                }
            };
        }
        let indent = own.first().map_or(0, |first| self.column(first.key_start));
        let at = own.last().map_or(map.end, |last| self.line_end(end_of(last).max(self.behind_colon(last))));
        let line = format!("\n{}{}:{}", " ".repeat(indent), quote::text(key), quote::block(value, indent));
        self.splice(at..at, &line)
    }

    /// Adds a key to a text without any.
    pub(super) fn append(&self, path: &str, value: &Value) -> String {
        let keys: Vec<&str> = path.split('.').collect();
        let gap = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { "\n" };
        let line = format!("{gap}{}:{}\n", quote::text(keys[0]), quote::block(&nested(&keys[1..], value), 0));
        self.splice(self.text.len()..self.text.len(), &line)
    }

    /// Removes a key, given by its path below `map`; a section that would be left empty goes with it. `None` when the
    /// key is not there.
    pub(super) fn remove(&self, map: &Item, path: &[&str]) -> Result<Option<String>, Refusal> {
        let Some((first, rest)) = path.split_first() else { return Ok(None) };
        let Body::Map { entries, flow } = &map.body else { return Ok(None) };
        let own: Vec<&Entry> = entries.iter().filter(|e| e.origin != Origin::Merged).collect();
        let Some(at) = own.iter().position(|e| e.key == **first && e.origin == Origin::Own) else { return Ok(None) };
        if map.alias {
            return Err(("the section is an alias (*name)".to_owned(), "write its keys out in the file"));
        }
        let section = &own[at].value;
        if !rest.is_empty() {
            let keys = section.entries().count();
            let last_key = keys == 1 && rest.len() == 1 && section.get(rest[0]).is_some() && !section.alias;
            if !last_key {
                return self.remove(section, rest);
            }
        }
        self.remove_at(&own, at, *flow).map(Some)
    }

    fn remove_at(&self, own: &[&Entry], at: usize, flow: bool) -> Result<String, Refusal> {
        let entry = own[at];
        let end = entry.value.end.max(self.behind_colon(entry));
        if flow {
            let range = match (at.checked_sub(1).map(|i| own[i]), own.get(at + 1)) {
                (_, Some(next)) => entry.key_start..next.key_start,
                (Some(before), None) => before.value.end.max(self.behind_colon(before))..end,
                (None, None) => entry.key_start..end,
            };
            return Ok(self.splice(range, ""));
        }
        if own.len() == 1 {
            return Err((format!("{} is the only key here", entry.key), BY_HAND));
        }
        let line = self.line_start(entry.key_start);
        let alone = self.text[line..entry.key_start].trim_start_matches('\u{feff}').trim().is_empty();
        if alone {
            return Ok(self.splice(line..self.next_line(end), ""));
        }
        // Behind the hyphen of a list: the next key moves up to it.
        match own.get(at + 1) {
            Some(next) => Ok(self.splice(entry.key_start..next.key_start, "")),
            None => Err((format!("{} cannot be removed alone", entry.key), BY_HAND)),
        }
    }

    /// Adds a mapping at the end of the list `key` of `root`; the list is made where it is missing.
    pub(super) fn push(&self, root: Option<&Item>, key: &str, pairs: &[(String, Node)]) -> Result<String, Refusal> {
        let fresh = format!("{key}:\n  - {}\n", quote::item(pairs, 4));
        let Some(root) = root else {
            let gap = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { "\n" };
            return Ok(self.splice(self.text.len()..self.text.len(), &format!("{gap}{fresh}")));
        };
        let Body::Map { entries, flow } = &root.body else {
            return Err(("the file is no mapping".to_owned(), BY_HAND));
        };
        let map = || Value::Map(pairs.to_vec());
        let Some(entry) = entries.iter().find(|e| e.key == key && e.origin == Origin::Own) else {
            let value = Value::List(vec![Node::bare(map())]);
            return Ok(self.insert(root, entries, *flow, key, &value));
        };
        let list = &entry.value;
        match &list.body {
            _ if list.alias => Err((format!("{key} is an alias (*name)"), BY_HAND)),
            Body::List { items, flow: true } if *flow || !items.is_empty() => {
                let (at, comma) = match items.last() {
                    Some(last) => (last.end, ", "),
                    None => (self.text[list.start..list.end].find('[').map_or(list.end, |i| list.start + i + 1), ""),
                };
                Ok(self.splice(at..at, &format!("{comma}{}", quote::flow(&map()))))
            }
            Body::List { items, .. } if !items.is_empty() => Ok(self.push_below(items, pairs)),
            _ if list.is_null() || matches!(list.body, Body::List { .. }) => {
                self.replace(entry, &Value::List(vec![Node::bare(map())]), *flow)
            }
            _ => Err((format!("{key} is no list"), BY_HAND)),
        }
    }

    /// Adds an item below the last one, with its indentation, and a blank line where the others have one.
    fn push_below(&self, items: &[Item], pairs: &[(String, Node)]) -> String {
        let last = &items[items.len() - 1];
        let hyphen = self.hyphen(last);
        let column = self.column(hyphen);
        let gap = items.iter().map(|i| i.start - self.hyphen(i)).find(|gap| (2..=8).contains(gap)).unwrap_or(2);
        let spaced = items.len() > 1 && {
            let above = self.line_start(self.item_top(items, items.len() - 1));
            self.text[..above].trim_end_matches(['\r', '\n']).len() + self.eol.len() < above
        };
        let at = self.line_end(last.end.max(hyphen));
        let blank = if spaced { "\n" } else { "" };
        let same_line = self.text[hyphen..hyphen + gap.min(self.text.len() - hyphen)].find('\n').is_none();
        let gap = if same_line { gap } else { 2 };
        let (lead, behind) = (" ".repeat(column), " ".repeat(gap - 1));
        self.splice(at..at, &format!("\n{blank}{lead}-{behind}{}", quote::item(pairs, column + gap)))
    }

    /// The hyphen of an item of a block list.
    fn hyphen(&self, item: &Item) -> usize {
        let line = self.line_start(item.start);
        if let Some(at) = self.text[line..item.start].rfind('-') {
            return line + at;
        }
        // On a line of its own above, perhaps with comments between.
        let mut end = line;
        while end > 0 {
            let start = self.line_start(end - 1);
            let trimmed = self.text[start..end].trim_start();
            if trimmed.starts_with('-') {
                return start + (end - start - trimmed.len());
            }
            end = start;
        }
        item.start
    }

    /// First byte of an item with the comments directly above it, which belong to it.
    fn item_top(&self, items: &[Item], at: usize) -> usize {
        let floor = if at == 0 { 0 } else { self.next_line(items[at - 1].end) };
        let mut top = self.line_start(self.hyphen(&items[at]));
        while top > floor {
            let above = self.line_start(top - 1);
            if above < floor || !self.text[above..top].trim_start().starts_with('#') {
                break;
            }
            top = above;
        }
        top
    }

    /// Removes an item of the list `key` of `root`, with the comments directly above it.
    pub(super) fn take(&self, root: &Item, key: &str, at: usize) -> Result<String, Refusal> {
        let Some(list) = root.get(key).filter(|list| !list.alias) else {
            return Err((format!("{key} is no list of its own"), BY_HAND));
        };
        let Body::List { items, flow } = &list.body else { return Err((format!("{key} is no list"), BY_HAND)) };
        let Some(item) = items.get(at) else { return Err(("there is no such item".to_owned(), BY_HAND)) };
        if *flow {
            let range = match (at.checked_sub(1).map(|i| &items[i]), items.get(at + 1)) {
                (_, Some(next)) => item.start..next.start,
                (Some(before), None) => before.end..item.end,
                (None, None) => item.start..item.end,
            };
            return Ok(self.splice(range, ""));
        }
        let mut top = self.item_top(items, at);
        let mut end = self.next_line(item.end.max(self.hyphen(item)));
        // One blank line separated it from each side; one is enough for those that are left.
        let blank_above = self.text[..top].ends_with("\n\n") || self.text[..top].ends_with("\r\n\r\n");
        if at > 0 && at + 1 == items.len() {
            top -= if blank_above { self.eol.len() } else { 0 };
        } else if blank_above || at == 0 {
            let below = &self.text[end..];
            end += if below.starts_with("\r\n") { 2 } else { usize::from(below.starts_with('\n')) };
        }
        Ok(self.splice(top..end, ""))
    }
}

/// The value below the keys of `path`.
fn nested(path: &[&str], value: &Value) -> Value {
    path.iter().rev().fold(value.clone(), |inner, key| Value::Map(vec![((*key).to_owned(), Node::bare(inner))]))
}

fn with_space(comment: &str) -> String {
    if comment.is_empty() { String::new() } else { format!(" {comment}") }
}
