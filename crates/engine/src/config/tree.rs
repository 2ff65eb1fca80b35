//! The tree of a YAML file with the byte range of every node, which edits need, and the way from there to typed values.
//! Knows nothing of what the keys mean.

use model::conf::{Field, Node, Place, Type, Value};

/// A node of the file.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) body: Body,
    /// First byte, of the node's anchor when it has one.
    pub(super) start: usize,
    /// Behind the last byte; white space and comments after the node are not part of it.
    pub(super) end: usize,
    pub(super) place: Place,
    /// An alias: `start..end` is the `*name`, what is inside stands elsewhere.
    pub(super) alias: bool,
    /// How many nodes this is, aliases counted as often as they are used.
    pub(super) nodes: usize,
}

#[derive(Clone)]
pub(super) enum Body {
    Scalar { text: String, style: Style },
    List { items: Vec<Item>, flow: bool },
    Map { entries: Vec<Entry>, flow: bool },
}

/// How a scalar is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Style {
    /// Bare words, which may be a number or a boolean.
    Plain,
    /// In quotes: always text.
    Quoted,
    /// In quotes, and made of variables: a number or a boolean where the key wants one, else text. Only the variable's
    /// value has a type of its own, whatever quotes YAML asks for around a reference.
    Filled,
    /// `|` or `>`: always text. The range begins behind the indicator.
    Block,
}

/// A key and its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_start: usize,
    pub(super) key_end: usize,
    pub(super) key_place: Place,
    pub(super) value: Item,
    pub(super) origin: Origin,
}

/// Where an entry comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// Written in this mapping.
    Own,
    /// The `<<` itself: no key of the configuration.
    MergeKey,
    /// Brought by a `<<`.
    Merged,
}

impl Item {
    /// A mapping without keys that stands nowhere.
    pub(super) fn empty_map() -> Self {
        let body = Body::Map { entries: Vec::new(), flow: false };
        Self { body, start: 0, end: 0, place: Place { line: 1, column: 1 }, alias: false, nodes: 1 }
    }

    /// The same, standing where `other` stands.
    pub(super) fn at(self, other: &Item) -> Self {
        Self { start: other.start, end: other.end, place: other.place, alias: other.alias, ..self }
    }

    /// Keys with their values, own ones and merged ones; empty for anything but a mapping.
    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        let entries: &[Entry] = match &self.body {
            Body::Map { entries, .. } => entries,
            _ => &[],
        };
        entries.iter().filter(|e| e.origin != Origin::MergeKey)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Item> {
        self.entries().find(|e| e.key == key).map(|e| &e.value)
    }

    /// The items of a list; empty for anything else.
    pub(super) fn items(&self) -> &[Item] {
        match &self.body {
            Body::List { items, .. } => items,
            _ => &[],
        }
    }

    /// Whether it is a mapping.
    pub(super) fn is_map(&self) -> bool {
        matches!(self.body, Body::Map { .. })
    }

    /// Whether it says "nothing".
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.body, Body::Scalar { text, style: Style::Plain } if is_null(text))
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.body {
            Body::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The value as the type wants to see it: `name: 007` is the text `007`, `retries: 2` a number. Without a type a
    /// plain scalar is a number only when writing the number gives the same text.
    pub(super) fn node(&self, ty: Option<&Type>) -> Node {
        let value = match &self.body {
            Body::Scalar { text, style: Style::Plain } => plain(text, ty),
            Body::Scalar { text, style: Style::Filled } if ty.is_some_and(has_words) && !is_null(text) => {
                plain(text, ty)
            }
            Body::Scalar { text, .. } => Value::Str(text.clone()),
            Body::List { items, .. } => {
                let inner = match ty {
                    Some(Type::List(inner)) => Some(*inner),
                    _ => None,
                };
                Value::List(items.iter().map(|i| i.node_in(inner, ty)).collect())
            }
            Body::Map { .. } => {
                Value::Map(self.entries().map(|e| (e.key.clone(), e.value.node(key_type(ty, &e.key)))).collect())
            }
        };
        Node { value, place: Some(self.place) }
    }

    /// An item of a list of `ty`.
    fn node_in(&self, inner: Option<&Type>, ty: Option<&Type>) -> Node {
        match ty {
            Some(Type::Sections(fields)) => self.node_of(fields),
            _ => self.node(inner),
        }
    }

    /// The value as a section of these fields.
    pub(super) fn node_of(&self, fields: &[Field]) -> Node {
        if !self.is_map() {
            return self.node(None);
        }
        let pairs = self.entries().map(|e| {
            let ty = type_in(fields, &e.key);
            let mut node = e.value.node(ty);
            if ty.is_none() {
                // What is wrong with an unknown key is the key, not its value.
                node.place = Some(e.key_place);
            }
            (e.key.clone(), node)
        });
        let pairs = pairs.collect();
        Node { value: Value::Map(pairs), place: Some(self.place) }
    }
}

fn key_type<'a>(ty: Option<&'a Type>, key: &str) -> Option<&'a Type> {
    match ty? {
        Type::MapOf(inner) => Some(inner),
        Type::Section(fields) => type_in(fields, key),
        _ => None,
    }
}

fn type_in<'a>(fields: &'a [Field], key: &str) -> Option<&'a Type> {
    fields.iter().find(|f| f.key == key).map(|f| &f.ty)
}

/// Whether the type wants something that is written without quotes.
fn has_words(ty: &Type) -> bool {
    match ty {
        Type::Bool | Type::Integer { .. } | Type::Number { .. } => true,
        Type::List(inner) => has_words(inner),
        _ => false,
    }
}

/// YAML 1.2 core schema: what says "nothing".
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// YAML 1.2 core schema: `true` and `false` and nothing else; `yes` and `on` are texts.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<f64> {
    let digits = text.trim_start_matches(['+', '-']);
    let looks = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && text.len() - digits.len() <= 1;
    text.parse::<f64>().ok().filter(|x| looks && x.is_finite())
}

fn plain(text: &str, ty: Option<&Type>) -> Value {
    let text_value = || Value::Str(text.to_owned());
    let boolean = || boolean(text).map(Value::Bool);
    let integer = || text.parse::<i64>().ok().map(Value::Int);
    let float = || number(text).map(Value::Float);
    if is_null(text) {
        return Value::Null;
    }
    match ty {
        Some(Type::Text { .. } | Type::Secret | Type::Duration { .. } | Type::Size { .. } | Type::Choice(_)) => {
            text_value()
        }
        Some(Type::List(inner)) => plain(text, Some(inner)),
        Some(Type::Bool) => boolean().unwrap_or_else(text_value),
        Some(Type::Integer { .. }) => integer().unwrap_or_else(text_value),
        Some(Type::Number { .. }) => integer().or_else(float).unwrap_or_else(text_value),
        _ => boolean()
            .or_else(integer)
            .or_else(float)
            .filter(|v| model::conf::section::scalar(v).as_deref() == Some(text))
            .unwrap_or_else(text_value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_what_their_key_wants() {
        let text = Type::Text { max: 100 };
        let (int, num) = (Type::Integer { min: 0, max: 9 }, Type::Number { min: 0.0, max: 9.0 });
        let s = |t: &str| Value::Str(t.to_owned());
        for (raw, ty, value) in [
            ("007", Some(&text), s("007")),
            ("007", None, s("007")),
            ("7", None, Value::Int(7)),
            ("1.10", None, s("1.10")),
            ("1.5", None, Value::Float(1.5)),
            ("true", Some(&text), s("true")),
            ("true", None, Value::Bool(true)),
            ("yes", Some(&Type::Bool), s("yes")),
            ("3", Some(&int), Value::Int(3)),
            ("+3", Some(&int), Value::Int(3)),
            ("3.0", Some(&int), s("3.0")),
            ("3.50", Some(&num), Value::Float(3.5)),
            ("inf", Some(&num), s("inf")),
            ("nan", None, s("nan")),
            ("1e999", Some(&num), s("1e999")),
            ("~", Some(&text), Value::Null),
            ("", None, Value::Null),
        ] {
            assert_eq!(plain(raw, ty), value, "{raw} as {ty:?}");
        }
    }
}
