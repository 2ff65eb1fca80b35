//! Reading one section against its fields: every unknown key, wrong type and value out of range becomes a problem, and
//! reading goes on. Defaults are applied here, once.

use std::time::Duration;

use super::field::{Field, Type};
use super::node::{Node, Value};
use super::problem::{Place, Problem};
use super::words;
use crate::secret::Secret;

/// A section that was checked against its fields. Getters answer `None` for keys that are absent or were wrong; what was
/// wrong is already among the problems.
pub struct Section<'a> {
    path: String,
    place: Option<Place>,
    fields: &'static [Field],
    pairs: &'a [(String, Node)],
}

impl<'a> Section<'a> {
    /// Checks `node` against `fields`. `path` is the section's own path for messages (`targets[2]`).
    pub fn check(
        node: &'a Node,
        fields: &'static [Field],
        path: impl Into<String>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let path = path.into();
        let pairs: &[(String, Node)] = match &node.value {
            Value::Map(pairs) => pairs,
            Value::Null => &[],
            other => {
                problems.push(Problem::new(
                    node.place,
                    &path,
                    format!("expected a mapping, found {}", other.type_name()),
                ));
                &[]
            }
        };
        let section = Self { path, place: node.place, fields, pairs };
        for (key, value) in pairs {
            match fields.iter().find(|f| f.key == key) {
                Some(field) => check_type(value, &field.ty, &section.path_of(key), problems),
                None => problems.push(section.unknown(key, value.place)),
            }
        }
        for field in fields.iter().filter(|f| f.required) {
            let missing = !pairs.iter().any(|(k, n)| k == field.key && n.value != Value::Null);
            if missing {
                let at = section.path_of(field.key);
                problems
                    .push(Problem::new(section.place, at, format!("{} is missing", field.key)).with_remedy(field.doc));
            }
        }
        section
    }

    fn unknown(&self, key: &str, place: Option<Place>) -> Problem {
        let known = || self.fields.iter().map(|f| f.key);
        let remedy = match words::nearest(key, known()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("known keys: {}", known().collect::<Vec<_>>().join(", ")),
        };
        Problem::new(place, self.path_of(key), format!("unknown key {key}")).with_remedy(remedy)
    }

    /// The path of a key of this section.
    #[must_use]
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where the section begins.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.place
    }

    /// The node of a key, when it is there and not null.
    #[must_use]
    pub fn node(&self, key: &str) -> Option<&'a Node> {
        debug_assert!(self.fields.iter().any(|f| f.key == key), "{key} is no field of {}", self.path);
        self.pairs.iter().find(|(k, n)| k == key && n.value != Value::Null).map(|(_, n)| n)
    }

    /// Where a key's value stands, else where the section begins.
    #[must_use]
    pub fn place_of(&self, key: &str) -> Option<Place> {
        self.node(key).and_then(|n| n.place).or(self.place)
    }

    fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|f| f.key == key)
    }

    /// The value's text, else the default's.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        match self.node(key) {
            Some(node) => scalar(&node.value),
            None => self.field(key)?.default.map(str::to_owned),
        }
    }

    /// A secret.
    #[must_use]
    pub fn secret(&self, key: &str) -> Option<Secret> {
        self.text(key).map(Secret::new)
    }

    /// True or false.
    #[must_use]
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.node(key) {
            Some(Node { value: Value::Bool(b), .. }) => Some(*b),
            Some(_) => None,
            None => self.field(key)?.default?.parse().ok(),
        }
    }

    /// A whole number within its range.
    #[must_use]
    pub fn integer(&self, key: &str) -> Option<i64> {
        let value = match self.node(key) {
            Some(Node { value: Value::Int(i), .. }) => *i,
            Some(_) => return None,
            None => self.field(key)?.default?.parse().ok()?,
        };
        match self.field(key)?.ty {
            Type::Integer { min, max } => (min..=max).contains(&value).then_some(value),
            _ => Some(value),
        }
    }

    /// A number within its range.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<f64> {
        let value = match self.node(key).map(|n| &n.value) {
            Some(Value::Float(x)) => *x,
            #[allow(clippy::cast_precision_loss)] // a configuration holds no integers beyond 2^53
            Some(Value::Int(i)) => *i as f64,
            Some(_) => return None,
            None => self.field(key)?.default?.parse().ok()?,
        };
        match self.field(key)?.ty {
            Type::Number { min, max } => (min..=max).contains(&value).then_some(value),
            _ => Some(value),
        }
    }

    /// A duration within its range.
    #[must_use]
    pub fn duration(&self, key: &str) -> Option<Duration> {
        let value = words::duration(&self.text(key)?).ok()?;
        match self.field(key)?.ty {
            Type::Duration { min, max } => (min..=max).contains(&value).then_some(value),
            _ => Some(value),
        }
    }

    /// A size in bytes within its range.
    #[must_use]
    pub fn size(&self, key: &str) -> Option<u64> {
        let value = words::size(&self.text(key)?).ok()?;
        match self.field(key)?.ty {
            Type::Size { min, max } => (min..=max).contains(&value).then_some(value),
            _ => Some(value),
        }
    }

    /// A list of texts; a single value is a list of one; empty when absent.
    #[must_use]
    pub fn texts(&self, key: &str) -> Vec<String> {
        match self.node(key).map(|n| &n.value) {
            Some(Value::List(items)) => items.iter().filter_map(|n| scalar(&n.value)).collect(),
            Some(single) => scalar(single).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// Pairs of a mapping with free keys; empty when absent.
    #[must_use]
    pub fn pairs(&self, key: &str) -> Vec<(String, String)> {
        match self.node(key).map(|n| &n.value) {
            Some(Value::Map(pairs)) => pairs.iter().filter_map(|(k, n)| Some((k.clone(), scalar(&n.value)?))).collect(),
            _ => Vec::new(),
        }
    }
}

/// The text of a scalar, as the file would write it.
#[must_use]
pub fn scalar(value: &Value) -> Option<String> {
    Some(match value {
        Value::Str(s) => s.clone(),
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Float(x) => x.to_string(),
        Value::Null | Value::List(_) | Value::Map(_) => return None,
    })
}

/// Checks one value against its type; null is "absent" and fits everything.
fn check_type(node: &Node, ty: &Type, path: &str, problems: &mut Vec<Problem>) {
    let mut wrong = |message: String| problems.push(Problem::new(node.place, path, message));
    match (ty, &node.value) {
        (_, Value::Null) | (Type::Any, _) | (Type::Bool, Value::Bool(_)) => {}
        (Type::Text { max }, v) if scalar(v).is_some() => {
            let len = scalar(v).map_or(0, |s| s.len());
            if len > *max {
                wrong(format!("the text has {len} bytes, at most {max} are accepted"));
            }
        }
        (Type::Secret, v) if scalar(v).is_some() => {}
        (Type::Integer { min, max }, Value::Int(i)) => {
            if !(min..=max).contains(&i) {
                wrong(format!("{i} is out of range, accepted: {min} to {max}"));
            }
        }
        (Type::Number { min, max }, Value::Int(_) | Value::Float(_)) => {
            let x = scalar(&node.value).and_then(|s| s.parse::<f64>().ok()).unwrap_or(f64::NAN);
            if !(min..=max).contains(&&x) {
                wrong(format!("{x} is out of range, accepted: {min} to {max}"));
            }
        }
        (Type::Duration { min, max }, v) if scalar(v).is_some() => {
            let text = scalar(v).unwrap_or_default();
            match words::duration(&text) {
                Ok(d) if (min..=max).contains(&&d) => {}
                Ok(_) => wrong(format!(
                    "{text} is out of range, accepted: {} to {}",
                    words::duration_text(*min),
                    words::duration_text(*max)
                )),
                Err(help) => wrong(format!("{text:?} is no duration: {help}")),
            }
        }
        (Type::Size { min, max }, v) if scalar(v).is_some() => {
            let text = scalar(v).unwrap_or_default();
            match words::size(&text) {
                Ok(n) if (min..=max).contains(&&n) => {}
                Ok(n) => wrong(format!("{n} bytes are out of range, accepted: {min} to {max} bytes")),
                Err(help) => wrong(format!("{text:?} is no size: {help}")),
            }
        }
        (Type::Choice(words_), v) if scalar(v).is_some() => {
            let text = scalar(v).unwrap_or_default();
            if !words_.contains(&text.as_str()) {
                let near = words::nearest(&text, words_.iter().copied());
                let hint = near.map_or(String::new(), |n| format!("; did you mean {n}?"));
                wrong(format!("{text:?} is not accepted here, accepted: {}{hint}", words_.join(", ")));
            }
        }
        (Type::List(inner), Value::List(items)) => {
            for (i, item) in items.iter().enumerate() {
                check_type(item, inner, &format!("{path}[{i}]"), problems);
            }
        }
        (Type::List(inner), _) => check_type(node, inner, path, problems),
        (Type::MapOf(inner), Value::Map(pairs)) => {
            for (key, item) in pairs {
                check_type(item, inner, &format!("{path}.{key}"), problems);
            }
        }
        (Type::Section(_), Value::Map(_)) | (Type::Sections(_), Value::List(_)) => {} // checked by its own Section
        (wanted, other) => {
            let message = format!("expected {}, found {}", expected(wanted), other.type_name());
            let problem = Problem::new(node.place, path, message);
            problems.push(if is_quoted(wanted, other) { problem.with_remedy("take the quotes off") } else { problem });
        }
    }
}

/// Whether a text would be what is wanted if it were no text: without quotes it would have been read as that.
fn is_quoted(wanted: &Type, found: &Value) -> bool {
    let Value::Str(text) = found else { return false };
    match wanted {
        Type::Bool => matches!(text.as_str(), "true" | "false"),
        Type::Integer { .. } => text.parse::<i64>().is_ok(),
        Type::Number { .. } => text.parse::<f64>().is_ok_and(f64::is_finite),
        _ => false,
    }
}

fn expected(ty: &Type) -> &'static str {
    match ty {
        Type::Text { .. } | Type::Secret => "a text",
        Type::Bool => "true or false",
        Type::Integer { .. } => "a whole number",
        Type::Number { .. } => "a number",
        Type::Duration { .. } => "a duration such as 10s",
        Type::Size { .. } => "a size such as 4MiB",
        Type::Choice(_) => "one of the accepted words",
        Type::List(_) | Type::Sections(_) => "a list",
        Type::MapOf(_) | Type::Section(_) => "a mapping",
        Type::Any => "a value",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static FIELDS: [Field; 5] = [
        Field::new("url", Type::Text { max: 20 }, "where it is").required(),
        Field::new(
            "interval",
            Type::Duration { min: Duration::from_secs(1), max: Duration::from_secs(60) },
            "how often",
        )
        .default("10s"),
        Field::new("method", Type::Choice(&["GET", "HEAD"]), "request").default("GET"),
        Field::new("status", Type::List(&Type::Integer { min: 100, max: 599 }), "codes"),
        Field::new("secure", Type::Bool, "tls").default("false"),
    ];

    fn map(pairs: &[(&str, Value)]) -> Node {
        Node::bare(Value::Map(pairs.iter().map(|(k, v)| ((*k).to_owned(), Node::bare(v.clone()))).collect()))
    }

    #[test]
    fn defaults_apply_and_values_are_read() {
        let node = map(&[("url", Value::Str("http://h/".into())), ("status", Value::Int(204))]);
        let mut problems = Vec::new();
        let s = Section::check(&node, &FIELDS, "t", &mut problems);
        assert_eq!(problems, []);
        assert_eq!(s.duration("interval"), Some(Duration::from_secs(10)));
        assert_eq!((s.text("method").as_deref(), s.bool("secure")), (Some("GET"), Some(false)));
        assert_eq!(s.texts("status"), ["204"]);
    }

    #[test]
    fn all_problems_come_at_once_with_remedies() {
        let node = map(&[
            ("intervall", Value::Str("10s".into())),
            ("interval", Value::Str("10 parsecs".into())),
            ("method", Value::Str("GTE".into())),
            ("status", Value::List(vec![Node::bare(Value::Int(200)), Node::bare(Value::Int(99))])),
            ("secure", Value::Str("yes".into())),
        ]);
        let mut problems = Vec::new();
        Section::check(&node, &FIELDS, "targets[0]", &mut problems);
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        for (i, part) in [
            "targets[0].intervall: unknown key intervall (did you mean interval?)",
            "targets[0].interval: \"10 parsecs\" is no duration",
            "did you mean GET?",
            "targets[0].status[1]: 99 is out of range",
            "targets[0].secure: expected true or false, found a text",
            "targets[0].url: url is missing (where it is)",
        ]
        .iter()
        .enumerate()
        {
            assert!(lines[i].contains(part), "{i}: {lines:#?}");
        }
        assert_eq!(lines.len(), 6);
    }

    #[test]
    fn a_section_that_is_no_mapping_is_one_problem_and_no_panic() {
        let mut problems = Vec::new();
        Section::check(&Node::bare(Value::Int(3)), &FIELDS, "", &mut problems);
        assert!(problems[0].message.contains("expected a mapping, found a whole number"), "{problems:?}");
    }
}
