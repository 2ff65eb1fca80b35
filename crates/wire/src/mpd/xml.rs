//! A small tree of XML elements for manifests: names without prefix, attributes, text. Owns what is refused: document type
//! declarations and with them every entity that is not built in, nesting, and too many elements.
//!
//! Never knows what an element means. Namespaces are not resolved: manifests with a wrong one are played by everybody.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};

use super::{MAX_REASON_CHARS, MpdError};
use crate::text::excerpt;

/// Most elements of one document: a day of segments of two seconds for picture and sound, each an element of its own.
pub const MAX_ELEMENTS: usize = 100_000;
/// Deepest nesting; manifests have about eight levels.
const MAX_DEPTH: usize = 32;
/// Most attributes of one element; the richest one of the standard has about 30.
const MAX_ATTRIBUTES: usize = 64;

/// An element with what is inside.
#[derive(Debug)]
pub(super) struct Element<'a> {
    /// The tag as written; its attributes were checked.
    tag: BytesStart<'a>,
    pub(super) children: Vec<Element<'a>>,
    /// All text directly inside.
    pub(super) text: String,
}

impl<'a> Element<'a> {
    /// Its name without prefix.
    pub(super) fn name(&self) -> &str {
        let name = self.tag.name().into_inner();
        name.rsplit_once(':').map_or(name, |(_, local)| local)
    }

    /// The value of an attribute of this name, without prefix and without blanks around it.
    pub(super) fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut attributes = self.tag.attributes();
        let found = attributes.with_checks(false).flatten().find(|attribute| {
            let key = attribute.key.into_inner();
            key.rsplit_once(':').map_or(key, |(_, local)| local) == name && !key.starts_with("xmlns")
        })?;
        match found.value {
            Cow::Borrowed(value) => unescape(value.trim()).ok(),
            Cow::Owned(value) => unescape(value.trim()).ok().map(|value| Cow::Owned(value.into_owned())),
        }
    }

    /// Children of this name.
    pub(super) fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b Element<'a>> {
        self.children.iter().filter(move |child| child.name() == name)
    }

    /// The first child of this name.
    pub(super) fn child<'b>(&'b self, name: &'b str) -> Option<&'b Element<'a>> {
        self.children.iter().find(|child| child.name() == name)
    }
}

/// Reads a document; its outermost element.
pub(super) fn read(text: &str) -> Result<Element<'_>, MpdError> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element<'_>> = Vec::new();
    let (mut root, mut count) = (None, 0usize);
    loop {
        let event = reader.read_event().map_err(|error| malformed(&reader, error))?;
        let closed = match event {
            Event::Eof => break,
            Event::DocType(_) => return Err(MpdError::Refused("a document type declaration")),
            Event::Start(start) => {
                count += 1;
                limits(count, open.len())?;
                open.push(element(start, &reader)?);
                None
            }
            Event::Empty(start) => {
                count += 1;
                limits(count, open.len())?;
                Some(element(start, &reader)?)
            }
            // That names match, the reader checks.
            Event::End(_) => open.pop(),
            Event::Text(text) => {
                add(&mut open, &text.xml10_content());
                None
            }
            Event::CData(text) => {
                add(&mut open, &text.xml10_content());
                None
            }
            Event::GeneralRef(reference) => {
                let escaped = format!("&{};", reference.xml10_content());
                let text = unescape(&escaped).map_err(|_| MpdError::Refused("an entity that is not built in"))?;
                add(&mut open, &text);
                None
            }
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => None,
        };
        let Some(closed) = closed else { continue };
        match open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None if root.is_none() => root = Some(closed),
            None => return Err(MpdError::Malformed { at: reader.buffer_position(), what: "a second root".to_owned() }),
        }
    }
    if let Some(left) = open.last() {
        return Err(MpdError::Cut(super::shown(left.name())));
    }
    root.ok_or(MpdError::Empty)
}

fn limits(count: usize, depth: usize) -> Result<(), MpdError> {
    if count > MAX_ELEMENTS {
        return Err(MpdError::TooMany { what: "elements", limit: MAX_ELEMENTS });
    }
    if depth >= MAX_DEPTH {
        return Err(MpdError::TooMany { what: "levels of elements", limit: MAX_DEPTH });
    }
    Ok(())
}

fn malformed(reader: &Reader<&[u8]>, error: impl std::fmt::Display) -> MpdError {
    MpdError::Malformed { at: reader.buffer_position(), what: excerpt(error.to_string().as_bytes(), MAX_REASON_CHARS) }
}

fn element<'a>(tag: BytesStart<'a>, reader: &Reader<&[u8]>) -> Result<Element<'a>, MpdError> {
    for (index, attribute) in tag.attributes().enumerate() {
        let attribute = attribute.map_err(|error| malformed(reader, error))?;
        if index == MAX_ATTRIBUTES {
            return Err(MpdError::TooMany { what: "attributes of an element", limit: MAX_ATTRIBUTES });
        }
        unescape(&attribute.value).map_err(|_| MpdError::Refused("an entity that is not built in"))?;
    }
    Ok(Element { tag, children: Vec::new(), text: String::new() })
}

fn add(open: &mut [Element<'_>], text: &str) {
    if let Some(element) = open.last_mut()
        && !(element.text.is_empty() && text.trim().is_empty())
    {
        element.text.push_str(text);
    }
}
