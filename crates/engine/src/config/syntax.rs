//! The parser's complaints in words for people: where, what is probably meant, what to do. Quotes no value.

use model::conf::{Place, Problem};
use saphyr_parser::ScanError;

/// A place from the parser's line (from 1) and column (from 0).
pub(super) fn place(line: usize, column: usize) -> Place {
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { line: small(line.max(1)), column: small(column.saturating_add(1)) }
}

/// Part of a complaint of the parser, what it means, what to do.
const WORDS: &[(&str, &str, &str)] = &[
    (
        "mapping values are not allowed",
        "a colon stands where no key can be",
        "quote a value that holds \": \", and check the indentation of this line and the one above",
    ),
    (
        "illegal placement of ':'",
        "a colon stands where no key can be",
        "a bracket may be left open above; close it, or quote the value",
    ),
    (
        "block sequence entries are not allowed",
        "a hyphen stands where no list can begin",
        "begin the list on a line of its own, below its key",
    ),
    (
        "did not find expected '-'",
        "this line stands in a list but does not begin with a hyphen",
        "check the indentation of this line and the ones above",
    ),
    (
        "did not find expected key",
        "the indentation fits no mapping above",
        "check the indentation of this line and the ones above",
    ),
    (
        "quoted scalar",
        "a quoted text that begins here does not end well",
        "check for a missing or stray quotation mark",
    ),
    (
        "trailing content after",
        "something stands behind the closing quotation mark",
        "double the quotation mark inside the text, or quote the whole value",
    ),
    (
        "unknown anchor",
        "an alias names an anchor that is not there",
        "write &name at the value it means, above; a text that begins with * must be quoted",
    ),
    (
        "unknown escape",
        "an unknown escape in a text in double quotes",
        "write \\\\ for a backslash, or use single quotes",
    ),
    ("recursion limit", "too many brackets are open", "close them"),
    ("unprintable character", "an unprintable character", "save the file as UTF-8 text"),
    ("simple key expect", "a key without a colon", "write key: value, with a space behind the colon"),
    ("expected ':'", "a key without a colon", "write key: value, with a space behind the colon"),
    (
        "did not find expected node content",
        "a value is missing, or a bracket or brace stands too much",
        "check the commas and brackets of this line",
    ),
    ("byte order mark", "a byte order mark in the middle of the text", "save the file as UTF-8 without it"),
    ("block scalar", "a text after | or > is not indented well", "indent all its lines by the same number of spaces"),
    ("indentation", "the indentation does not fit", "check the indentation of this line and the ones above"),
    ("misplaced bracket", "a closing bracket without an opening one", "remove it, or quote the value"),
    (
        "comment intercepting",
        "a comment stands in the middle of a text of several lines",
        "put the comment above the key",
    ),
    (
        "mapping keys are not allowed",
        "a key stands where none can be",
        "check the indentation of this line and the ones above",
    ),
    ("document", "a line with --- or ... or % where none can be", "remove it"),
    ("tag", "tags (!name) are not accepted", "remove the tag; quotes make a value a text"),
    ("flow", "a bracket is not closed, or a comma is missing", "check [ ] and { } and the commas between"),
    ("unexpected character", "a character that cannot begin a value", "quote the value"),
    ("directive", "a directive that is not understood", "remove the line that begins with %"),
];

/// The problem of a text that is no YAML.
pub(super) fn problem(text: &str, error: &ScanError) -> Problem {
    let (line, column) = (error.marker().line(), error.marker().col());
    let info = error.info();
    if let Some(tab) = tab_near(text, line).filter(|_| info.contains("tab")) {
        return Problem::new(Some(tab), "", "a tab in the indentation").with_remedy("indent with spaces only");
    }
    let at = Some(place(line, column));
    match WORDS.iter().find(|(part, _, _)| info.contains(part)) {
        Some((_, message, remedy)) => Problem::new(at, "", *message).with_remedy(*remedy),
        None => Problem::new(at, "", format!("this is no YAML: {info}")),
    }
}

/// The first tab in the indentation of the line (from 1) or one of the two after it: a scalar that goes wrong at a tab
/// is reported where the scalar begins.
fn tab_near(text: &str, line: usize) -> Option<Place> {
    let lines = text.lines().enumerate().skip(line.saturating_sub(1)).take(3);
    lines
        .filter_map(|(number, line)| {
            let indent = line.len() - line.trim_start().len();
            line[..indent].find('\t').map(|column| place(number + 1, line[..column].chars().count()))
        })
        .next()
}
