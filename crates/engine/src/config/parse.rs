//! YAML text to the tree. Refuses what a configuration never needs (several documents, tags, deep nesting, alias bombs) and
//! words every refusal with a place and a remedy. Messages never quote a value.

use std::collections::HashMap;

use model::conf::{Place, Problem};
use model::limits::MAX_CONFIG_BYTES;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::ends;
use super::syntax;
use super::tree::{Body, Entry, Item, Origin, Style};

/// Deepest nesting. The deepest meant thing is `targets: - headers: name: value`, four levels.
const MAX_DEPTH: usize = 32;
/// Most nodes after aliases have been put in: 20,000 targets with 25 keys each.
const MAX_NODES: usize = 500_000;
/// Most keys of one mapping; bounds the search for duplicates. The largest meant mapping is `templates`.
const MAX_KEYS: usize = 1000;
/// The merge key of YAML 1.1, which everybody still uses.
const MERGE: &str = "<<";

/// Reads a document; `None` when the text holds only comments.
///
/// # Errors
/// Duplicate keys and everything else that is wrong up to the first syntax error, which is the last one listed.
pub(super) fn parse(text: &str) -> Result<Option<Item>, Vec<Problem>> {
    match read(text) {
        (root, problems) if problems.is_empty() => Ok(root),
        (_, problems) => Err(problems),
    }
}

/// Reads a document together with what is wrong with it. The tree is there as long as the reading came to the end of the
/// text, as with a duplicate key or a tag, so that what its keys hold can be judged as well.
pub(super) fn read(text: &str) -> (Option<Item>, Vec<Problem>) {
    if text.len() > MAX_CONFIG_BYTES {
        let message = format!("the configuration has {} bytes, at most {MAX_CONFIG_BYTES} are accepted", text.len());
        return (None, vec![Problem::new(None, "", message)]);
    }
    let mut reader = Reader {
        text,
        marks: Marks::new(text),
        stack: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        nodes: 0,
        problems: Vec::new(),
    };
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(pair) => pair,
            Err(error) => {
                reader.problems.push(syntax::problem(text, &error));
                return (None, reader.problems);
            }
        };
        if matches!(event, Event::DocumentStart(_)) {
            documents += 1;
        }
        if documents > 1 {
            let message = "a second document begins here, and one file holds one configuration";
            reader.wrong(reader.place(&span), message, "remove the line with --- and what follows it");
            return (None, reader.problems);
        }
        // Too deep or too many nodes: going on would only repeat it, at the cost it is to avoid.
        if reader.event(event, span).is_none() {
            return (None, reader.problems);
        }
    }
    (reader.root, reader.problems)
}

/// From the parser's markers, which count characters, to bytes of the text. Asked in ascending order.
struct Marks {
    /// Byte offset of every character, only when the text is not ASCII.
    offsets: Option<Vec<u32>>,
    len: usize,
}

impl Marks {
    fn new(text: &str) -> Self {
        let offsets = (!text.is_ascii()).then(|| {
            text.char_indices().map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX)).collect() // MAX_CONFIG_BYTES fits
        });
        Self { offsets, len: text.len() }
    }

    fn byte(&self, index: usize) -> usize {
        match &self.offsets {
            Some(offsets) => offsets.get(index).map_or(self.len, |at| *at as usize),
            None => index.min(self.len),
        }
    }
}

/// A list or mapping that is not complete yet.
struct Open {
    body: Body,
    /// A key that waits for its value.
    key: Option<Key>,
    anchor: usize,
    start: usize,
    place: Place,
    nodes: usize,
}

struct Key {
    text: String,
    start: usize,
    end: usize,
    place: Place,
    /// A bare `<<`; in quotes it is a key like any other.
    merge: bool,
}

struct Reader<'a> {
    text: &'a str,
    marks: Marks,
    stack: Vec<Open>,
    root: Option<Item>,
    /// Anchor number to node; numbers are given by the parser, from 1.
    anchors: HashMap<usize, Item>,
    nodes: usize,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn place(&self, span: &Span) -> Place {
        syntax::place(span.start.line(), span.start.col())
    }

    fn wrong(&mut self, place: Place, message: impl Into<String>, remedy: &str) {
        self.problems.push(Problem::new(Some(place), "", message).with_remedy(remedy));
    }

    /// Takes one event; `None` when reading cannot go on.
    fn event(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let place = self.place(&span);
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                self.tag(tag.as_deref(), place);
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                let body = Body::Scalar { text: value.into_owned(), style };
                let (start, end) = (self.marks.byte(span.start.index()), self.marks.byte(span.end.index()));
                let end = if style == Style::Quoted { ends::quoted(self.text, start) } else { None }.unwrap_or(end);
                let item = Item { body, start, end: self.trimmed(start, end), place, alias: false, nodes: 1 };
                self.add(item, anchor)
            }
            Event::Alias(anchor) => self.alias(anchor, span, place),
            Event::SequenceStart(anchor, tag) => {
                self.tag(tag.as_deref(), place);
                self.open(Body::List { items: Vec::new(), flow: self.begins_with(&span, '[') }, anchor, span)
            }
            Event::MappingStart(anchor, tag) => {
                self.tag(tag.as_deref(), place);
                self.open(Body::Map { entries: Vec::new(), flow: self.begins_with(&span, '{') }, anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Some(())
            }
        }
    }

    fn tag(&mut self, tag: Option<&Tag>, place: Place) {
        if tag.is_some() {
            self.wrong(place, "tags (!name) are not accepted", "remove the tag; quotes make a value a text");
        }
    }

    /// Whether a collection is in flow style. Block collections without an anchor have an empty span.
    fn begins_with(&self, span: &Span, bracket: char) -> bool {
        let start = self.marks.byte(span.start.index());
        !span.is_empty() && self.text[ends::content(self.text, start)..].starts_with(bracket)
    }

    fn trimmed(&self, start: usize, end: usize) -> usize {
        start + self.text.get(start..end).map_or(0, |t| t.trim_end().len())
    }

    fn open(&mut self, body: Body, anchor: usize, span: Span) -> Option<()> {
        let place = self.place(&span);
        if self.stack.len() >= MAX_DEPTH {
            self.wrong(place, format!("nested deeper than {MAX_DEPTH} levels"), "flatten it");
            return None;
        }
        let start = self.marks.byte(span.start.index());
        self.stack.push(Open { body, key: None, anchor, start, place, nodes: 1 });
        Some(())
    }

    fn close(&mut self, span: Span) -> Option<()> {
        let Open { mut body, anchor, start, place, nodes, .. } = self.stack.pop()?;
        let last = match &body {
            Body::List { items, .. } => items.last().map(|i| i.end),
            Body::Map { entries, .. } => entries.last().map(|e| e.value.end.max(e.key_end)),
            Body::Scalar { .. } => None,
        };
        let flow = matches!(body, Body::List { flow: true, .. } | Body::Map { flow: true, .. });
        let end = match flow {
            true => ends::flow(self.text, start, last).unwrap_or_else(|| self.marks.byte(span.end.index())),
            false => last.unwrap_or(start),
        };
        if let Body::Map { entries, .. } = &mut body {
            self.merge(entries);
        }
        let nodes = match &body {
            Body::Map { entries, .. } => nodes + entries.iter().filter(|e| e.origin == Origin::Merged).count(),
            _ => nodes,
        };
        self.add(Item { body, start, end, place, alias: false, nodes }, anchor)
    }

    fn alias(&mut self, anchor: usize, span: Span, place: Place) -> Option<()> {
        let Some(found) = self.anchors.get(&anchor) else {
            self.wrong(
                place,
                "an alias inside of what it names",
                "an anchor can be used only after its value has ended",
            );
            return None;
        };
        if self.nodes.saturating_add(found.nodes) > MAX_NODES {
            let message = format!("the aliases up to here multiply to more than {MAX_NODES} values");
            self.wrong(place, message, "use defaults or templates in place of nested anchors");
            return None;
        }
        let mut item = found.clone();
        (item.start, item.end) = (self.marks.byte(span.start.index()), self.marks.byte(span.end.index()));
        item.alias = true;
        self.add(item, 0)
    }

    /// Puts a complete node where it belongs.
    fn add(&mut self, item: Item, anchor: usize) -> Option<()> {
        if !item.alias && anchor != 0 {
            self.anchors.insert(anchor, item.clone());
        }
        if item.alias || matches!(item.body, Body::Scalar { .. }) {
            self.nodes += item.nodes;
        }
        let Some(parent) = self.stack.last_mut() else {
            self.root = Some(item);
            return Some(());
        };
        parent.nodes += item.nodes;
        match &mut parent.body {
            Body::List { items, .. } => items.push(item),
            Body::Map { .. } if parent.key.is_none() => return self.key(item),
            Body::Map { entries, .. } => {
                let Key { text: key, start: key_start, end: key_end, place: key_place, merge } = parent.key.take()?;
                let origin = if merge { Origin::MergeKey } else { Origin::Own };
                entries.push(Entry { key, key_start, key_end, key_place, value: item, origin });
            }
            Body::Scalar { .. } => {}
        }
        Some(())
    }

    fn key(&mut self, item: Item) -> Option<()> {
        let Body::Scalar { text, style } = &item.body else {
            self.wrong(item.place, "a key must be a word", "quote the key, or remove a stray ? or [");
            return None;
        };
        let parent = self.stack.last_mut()?;
        let Body::Map { entries, .. } = &parent.body else { return None };
        if entries.len() >= MAX_KEYS {
            self.wrong(
                item.place,
                format!("more than {MAX_KEYS} keys in one mapping"),
                "targets are a list, each with a hyphen",
            );
            return None;
        }
        let earlier = entries.iter().find(|e| e.key == *text).map(|e| e.key_place);
        let merge = text == MERGE && *style == Style::Plain;
        parent.key = Some(Key { text: text.clone(), start: item.start, end: item.end, place: item.place, merge });
        if let Some(first) = earlier {
            let message = format!("the key {text} stands here a second time, first in line {}", first.line);
            self.wrong(item.place, message, "remove one of the two");
        }
        Some(())
    }

    /// Brings in what `<<` names: own keys go before, earlier mappings of a list before later ones.
    fn merge(&mut self, entries: &mut Vec<Entry>) {
        let Some(source) = entries.iter().find(|e| e.origin == Origin::MergeKey).map(|e| e.value.clone()) else {
            return;
        };
        let sources = match &source.body {
            Body::List { items, .. } => items.as_slice(),
            _ => std::slice::from_ref(&source),
        };
        for map in sources {
            if !map.is_map() {
                self.wrong(
                    map.place,
                    "<< takes a mapping or a list of mappings",
                    "write << : *name, with &name at a mapping",
                );
                continue;
            }
            for entry in map.entries() {
                if !entries.iter().any(|e| e.key == entry.key) {
                    entries.push(Entry { origin: Origin::Merged, ..entry.clone() });
                }
            }
        }
    }
}
