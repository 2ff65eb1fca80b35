//! The line protocol of InfluxDB: one point as one line. Owns escaping and what a line cannot hold; knows nothing of what
//! the points mean. Pure.
//!
//! Versions 1, 2 and 3 and VictoriaMetrics read the same lines as long as nothing stands in them that they read differently:
//! no line ends inside of values, no backslash before a letter that has a meaning, no number that is none.

use std::fmt::Write as _;

/// Longest name of a measurement or key and longest value of a tag, in bytes. Version 1 stops at 64 KiB for all of them together.
const MAX_NAME_BYTES: usize = 256;
/// Longest text in a field, in bytes. The reasons of a fault are shorter; version 1 stops at 64 KiB.
const MAX_TEXT_BYTES: usize = 1024;
/// From here up, and below its inverse, numbers are written with an exponent.
const PLAIN_BELOW: f64 = 1e15;

/// A point that is being written. Tags and fields may come in any order.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    measurement: String,
    tags: Vec<(String, String)>,
    fields: String,
}

impl Line {
    /// A point of a measurement, without tags and fields.
    pub(crate) fn new(measurement: &str) -> Self {
        let mut name = String::with_capacity(measurement.len());
        // A line that begins with # is a comment.
        let measurement = if measurement.is_empty() || measurement.starts_with('#') {
            format!("_{measurement}")
        } else {
            measurement.to_owned()
        };
        escape(&measurement, ", ", &mut name);
        Self { measurement: name, tags: Vec::new(), fields: String::new() }
    }

    /// Adds a tag. One without a value is left out, as the protocol wants it; of two with one key the first stays.
    pub(crate) fn tag(&mut self, key: &str, value: &str) {
        if key.is_empty() || value.is_empty() {
            return;
        }
        let (mut escaped_key, mut escaped) = (String::with_capacity(key.len()), String::with_capacity(value.len()));
        escape(key, ", =", &mut escaped_key);
        escape(value, ", =", &mut escaped);
        if !self.tags.iter().any(|(known, _)| *known == escaped_key) {
            self.tags.push((escaped_key, escaped));
        }
    }

    fn key(&mut self, key: &str) {
        if !self.fields.is_empty() {
            self.fields.push(',');
        }
        escape(key, ", =", &mut self.fields);
        self.fields.push('=');
    }

    /// Adds a number. What is no number (infinite, undefined) is left out: no server takes it.
    pub(crate) fn number(&mut self, key: &str, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.key(key);
        let plain = value == 0.0 || (value.abs() < PLAIN_BELOW && value.abs() > PLAIN_BELOW.recip());
        // Writing to a String cannot fail.
        let _ = if plain { write!(self.fields, "{value}") } else { write!(self.fields, "{value:e}") };
    }

    /// Adds a whole number.
    pub(crate) fn integer(&mut self, key: &str, value: i64) {
        self.key(key);
        let _ = write!(self.fields, "{value}i");
    }

    /// Adds a text. Line ends and other control letters become spaces.
    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.fields.push('"');
        for c in cut(value, MAX_TEXT_BYTES).chars() {
            match c {
                '"' | '\\' => self.fields.extend(['\\', c]),
                c if c.is_control() => self.fields.push(' '),
                c => self.fields.push(c),
            }
        }
        self.fields.push('"');
    }

    /// The line with its line end, at a time in milliseconds. `None` without any field: that is no point.
    pub(crate) fn at(mut self, at_ms: i64) -> Option<Box<str>> {
        if self.fields.is_empty() {
            return None;
        }
        self.tags.sort(); // servers are quicker so
        let mut out = self.measurement;
        for (key, value) in &self.tags {
            let _ = write!(out, ",{key}={value}");
        }
        let _ = writeln!(out, " {} {at_ms}", self.fields);
        Some(out.into())
    }
}

/// The beginning of a text, cut between letters.
fn cut(text: &str, max: usize) -> &str {
    match text.char_indices().find(|(at, c)| at + c.len_utf8() > max) {
        Some((at, _)) => &text[..at],
        None => text,
    }
}

/// Writes a name with a backslash before every letter of `special`. A backslash of its own stays where all servers read it as
/// that; before a letter with a meaning, before another one and at the end none could tell it apart, and it becomes a slash.
fn escape(text: &str, special: &str, out: &mut String) {
    let text = cut(text, MAX_NAME_BYTES);
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '\\' => {
                // Whatever is special anywhere counts, so that a name reads the same in every place.
                let clear = letters.peek().is_some_and(|next| !", =\\\"".contains(*next) && !next.is_control());
                out.push(if clear { '\\' } else { '/' });
            }
            c if special.contains(c) => out.extend(['\\', c]),
            c if c.is_control() => out.push('_'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
