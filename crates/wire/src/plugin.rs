//! What a monitoring plugin prints: one line of words, performance data behind a bar, and longer text below (the
//! conventions of the Monitoring Plugins project, sections "Plugin Output" and "Performance data", and of Nagios Core 3).
//!
//! Never runs anything and never judges: the exit code is the plugin's verdict, the ranges are only told.

use std::fmt;

/// Most values that are read; plugins for large switches print a few hundred, and nobody reads more.
pub const MAX_VALUES: usize = 256;
/// Longest label, in bytes. RRDtool knows 19; plugins for file systems print whole paths.
pub const MAX_LABEL_BYTES: usize = 128;
/// Longest unit, in bytes: `s`, `ms`, `%`, `B`, `KiB`, `c` and whatever authors make up.
pub const MAX_UNIT_BYTES: usize = 16;
/// Longest message or longer text that is kept, in bytes.
pub const MAX_TEXT_BYTES: usize = 8 * 1024;

/// Output of a plugin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// The first line, without what follows its bar.
    pub message: String,
    /// The lines below it, without performance data.
    pub long: String,
    /// Performance data of all lines, in order.
    pub values: Vec<Value>,
    /// Words among the performance data that are none, or are too many.
    pub left_out: usize,
}

/// One value of the performance data.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Its name, without quotes; unique only if the plugin took care of it.
    pub label: String,
    /// The number; `None` when the plugin printed `U`, "could not be determined".
    pub value: Option<f64>,
    /// The unit of measurement as printed; empty for plain numbers.
    pub unit: String,
    /// Range beyond which the plugin warns.
    pub warn: Option<Range>,
    /// Range beyond which the plugin is critical.
    pub crit: Option<Range>,
    /// Least possible value.
    pub min: Option<f64>,
    /// Greatest possible value.
    pub max: Option<f64>,
}

/// A range as plugins write thresholds: `10`, `10:`, `~:10`, `10:20`, `@10:20`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Lower end; minus infinity for `~`.
    pub start: f64,
    /// Upper end; infinity when left out.
    pub end: f64,
    /// Whether the inside is bad (`@`), and not the outside.
    pub inside: bool,
}

impl Range {
    /// Reads a range; `None` for anything else, ends in the wrong order included.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (inside, text) = text.strip_prefix('@').map_or((false, text), |rest| (true, rest));
        let (start, end) = match text.split_once(':') {
            Some((start, "")) => (lower(start)?, f64::INFINITY),
            Some((start, end)) => (lower(start)?, number(end)?),
            None => (0.0, number(text)?),
        };
        (start <= end).then_some(Self { start, end, inside })
    }

    /// Whether a value is one that the range is to report.
    #[must_use]
    pub fn reports(&self, value: f64) -> bool {
        (self.start..=self.end).contains(&value) == self.inside
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.inside {
            f.write_str("@")?;
        }
        if self.start == f64::NEG_INFINITY {
            f.write_str("~:")?;
        } else if self.start != 0.0 || self.end == f64::INFINITY {
            write!(f, "{}:", self.start)?;
        }
        if self.end == f64::INFINITY { Ok(()) } else { write!(f, "{}", self.end) }
    }
}

fn lower(text: &str) -> Option<f64> {
    if text == "~" { Some(f64::NEG_INFINITY) } else { number(text) }
}

/// A finite number of digits, sign, point and exponent: neither `inf` nor `nan`, which Rust would read.
fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    text.parse::<f64>().ok().filter(|n| plain && n.is_finite())
}

/// Reads what a plugin printed. Bytes that are no UTF-8 and control characters become visible replacements; nothing is
/// refused as a whole.
#[must_use]
pub fn parse(bytes: &[u8]) -> Output {
    let text = String::from_utf8_lossy(bytes);
    let mut out = Output::default();
    let mut lines = text.lines();
    let (message, values) = split(lines.next().unwrap_or_default());
    clean(message).trim().clone_into(&mut out.message);
    cut(&mut out.message);
    read_values(values.unwrap_or_default(), &mut out);
    // Below the first line there may be text, and behind the first bar in it all lines are performance data.
    let mut in_values = false;
    for line in lines {
        if in_values {
            read_values(line, &mut out);
            continue;
        }
        let (words, values) = split(line);
        if out.long.len() < MAX_TEXT_BYTES {
            out.long.push_str(clean(words).trim_end());
            out.long.push('\n');
        }
        if let Some(values) = values {
            in_values = true;
            read_values(values, &mut out);
        }
    }
    out.long.truncate(out.long.trim_end().len());
    cut(&mut out.long);
    out
}

/// Words, and what follows the first bar.
fn split(line: &str) -> (&str, Option<&str>) {
    line.split_once('|').map_or((line, None), |(words, values)| (words, Some(values)))
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()).collect()
}

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
}

fn read_values(mut rest: &str, out: &mut Output) {
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return;
        }
        let (label, after) = label(rest);
        let Some((label, after)) = label.zip(after.strip_prefix('=')) else {
            out.left_out += 1;
            rest = after.find(char::is_whitespace).map_or("", |at| &after[at..]);
            continue;
        };
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        // Old plugins put commas between their values.
        match value(label, after[..end].trim_end_matches(',')) {
            Some(value) if out.values.len() < MAX_VALUES => out.values.push(value),
            _ => out.left_out += 1,
        }
        rest = &after[end..];
    }
}

/// A label and what follows it. In single quotes it may hold anything, two of them in a row meaning one.
fn label(text: &str) -> (Option<String>, &str) {
    let Some(quoted) = text.strip_prefix('\'') else {
        let end = text.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(text.len());
        return (accepted(&text[..end]), &text[end..]);
    };
    let mut found = String::new();
    let mut rest = quoted;
    while let Some(at) = rest.find('\'') {
        found.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('\'') {
            Some(more) => {
                found.push('\'');
                rest = more;
            }
            None => return (accepted(&found), rest),
        }
    }
    (None, "")
}

fn accepted(label: &str) -> Option<String> {
    let label = clean(label);
    let label = label.trim();
    (!label.is_empty() && label.len() <= MAX_LABEL_BYTES).then(|| label.to_owned())
}

/// `value[unit];[warn];[crit];[min];[max]`; trailing parts may be missing.
fn value(label: String, text: &str) -> Option<Value> {
    let mut parts = text.split(';');
    let first = parts.next().unwrap_or_default();
    let is_digit = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.');
    let mut end = first.find(|c: char| !is_digit(c)).unwrap_or(first.len());
    // An exponent, unless it is a unit that begins with e.
    if let Some(exponent) = first[end..].strip_prefix(['e', 'E']) {
        let signed = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let digits = signed.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            end += 1 + (exponent.len() - signed.len()) + digits;
        }
    }
    let (digits, unit) = first.split_at(end);
    let (value, unit) = match (digits, unit) {
        ("", "U") => (None, ""),
        _ => (Some(number(digits)?), unit),
    };
    let unit = clean(unit);
    if unit.len() > MAX_UNIT_BYTES {
        return None;
    }
    let mut next = || parts.next().unwrap_or_default();
    let (warn, crit, min, max) = (next(), next(), next(), next());
    let plain = |text: &str| number(text.strip_suffix(unit.as_str()).unwrap_or(text));
    let range = |text: &str| Range::parse(text.strip_suffix(unit.as_str()).unwrap_or(text));
    Some(Value { value, warn: range(warn), crit: range(crit), min: plain(min), max: plain(max), label, unit })
}

#[cfg(test)]
mod tests;
