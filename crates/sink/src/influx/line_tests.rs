//! Lines against a reader of our own, written from the documented grammar and not from the writer.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(f64),
    Integer(i64),
    Text(String),
}

/// What a server understands of one line.
#[derive(Debug, PartialEq)]
struct Point {
    measurement: String,
    tags: BTreeMap<String, String>,
    fields: BTreeMap<String, Value>,
    at_ms: i64,
}

/// Takes letters up to one of `ends` that no backslash stands before; a backslash goes with an end or an equals sign only.
fn name(rest: &mut &str, ends: &str) -> String {
    let mut out = String::new();
    let mut letters = rest.char_indices().peekable();
    while let Some((at, c)) = letters.next() {
        if ends.contains(c) {
            *rest = &rest[at..];
            return out;
        }
        match (c, letters.peek()) {
            ('\\', Some((_, next))) if ", =".contains(*next) => {
                out.push(*next);
                letters.next();
            }
            _ => out.push(c),
        }
    }
    *rest = "";
    out
}

fn expect(rest: &mut &str, c: char) {
    *rest = rest.strip_prefix(c).unwrap_or_else(|| panic!("{c:?} is wanted before {rest:?}"));
}

fn value(rest: &mut &str) -> Value {
    let Some(mut inner) = rest.strip_prefix('"') else {
        let word = name(rest, ", ");
        return match word.strip_suffix('i') {
            Some(whole) => Value::Integer(whole.parse().expect("a whole number")),
            None => Value::Number(word.parse().expect("a number")),
        };
    };
    let mut text = String::new();
    loop {
        let c = inner.chars().next().expect("the text ends");
        inner = &inner[c.len_utf8()..];
        match c {
            '"' => break,
            '\\' if inner.starts_with(['"', '\\']) => {
                text.extend(inner.chars().next());
                inner = &inner[1..];
            }
            c => text.push(c),
        }
    }
    *rest = inner;
    Value::Text(text)
}

fn read(line: &str) -> Point {
    let mut rest = line.strip_suffix('\n').expect("a line end");
    assert!(!rest.contains('\n') && !rest.starts_with('#'), "{line:?}");
    let measurement = name(&mut rest, ", ");
    let (mut tags, mut fields) = (BTreeMap::new(), BTreeMap::new());
    while rest.starts_with(',') {
        expect(&mut rest, ',');
        let key = name(&mut rest, "=");
        expect(&mut rest, '=');
        let value = name(&mut rest, ", ");
        assert!(!value.is_empty() && tags.insert(key, value).is_none(), "{line:?}");
    }
    expect(&mut rest, ' ');
    loop {
        let key = name(&mut rest, "=");
        expect(&mut rest, '=');
        fields.insert(key, value(&mut rest));
        if !rest.starts_with(',') {
            break;
        }
        expect(&mut rest, ',');
    }
    expect(&mut rest, ' ');
    Point { measurement, tags, fields, at_ms: rest.parse().expect("a time") }
}

#[test]
fn a_point_as_it_is_documented() {
    let mut line = Line::new("air temp,inside");
    line.tag("room name", "a=b, c");
    line.tag("group", "");
    line.tag("building", "Haus \"9\"");
    line.tag("building", "second");
    line.integer("people", 3);
    line.number("warm", 21.5);
    line.number("nothing", f64::NAN);
    line.text("said", "5\" of \\n\nsnow");
    let text = line.at(1_700_000_000_123).expect("it has fields");
    assert_eq!(
        &*text,
        "air\\ temp\\,inside,building=Haus\\ \"9\",room\\ name=a\\=b\\,\\ c people=3i,warm=21.5,said=\"5\\\" of \\\\n snow\" 1700000000123\n"
    );
    assert_eq!(Line::new("empty").at(1), None);
}

#[test]
fn backslashes_that_servers_read_differently_become_slashes() {
    for (text, wanted) in [
        (r"C:\cam", r"C:\cam"),
        (r"end\", "end/"),
        (r"a\,b", r"a/\,b"),
        (r"a\ b", r"a/\ b"),
        (r"a\\b", r"a/\b"),
        ("a\nb\tc", "a_b_c"),
    ] {
        let mut line = Line::new("m");
        line.tag("t", text);
        line.integer("f", 1);
        assert_eq!(line.at(0).as_deref(), Some(format!("m,t={wanted} f=1i 0\n").as_str()), "{text:?}");
    }
}

#[test]
fn numbers_keep_their_value() {
    for x in [0.0, -0.5, 1e-7, 1e-20, 123_456_789.25, 1e15, 1.5e300, f64::MIN_POSITIVE, f64::MAX, -1.0 / 3.0] {
        let mut line = Line::new("m");
        line.number("x", x);
        let text = line.at(0).expect("a field");
        assert_eq!(read(&text).fields["x"], Value::Number(x), "{text}");
        assert!(text.len() < 60, "{text}");
    }
    for x in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        let mut line = Line::new("m");
        line.number("x", x);
        assert_eq!(line.at(0), None);
    }
}

/// What stays of a name.
fn kept(text: &str) -> String {
    let mut out = String::new();
    let letters: Vec<char> = cut(text, MAX_NAME_BYTES).chars().collect();
    for (i, c) in letters.iter().enumerate() {
        let next = letters.get(i + 1);
        out.push(match c {
            '\\' if next.is_none_or(|n| ", =\\\"".contains(*n) || n.is_control()) => '/',
            c if c.is_control() => '_',
            c => *c,
        });
    }
    out
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        measurement in "[^#]\\PC{0,20}",
        tags in prop::collection::vec(("[a-z \\\\,=\"]{1,6}", "[ -~\\n\\täß]{1,12}"), 0..5),
        number in prop::num::f64::NORMAL,
        whole in any::<i64>(),
        said in ".{0,40}",
        at_ms in any::<i64>(),
    ) {
        let mut line = Line::new(&measurement);
        let mut wanted = BTreeMap::new();
        for (key, value) in &tags {
            line.tag(key, value);
            wanted.entry(kept(key)).or_insert_with(|| kept(value));
        }
        line.number("a number", number);
        line.integer("whole=", whole);
        line.text("said", &said);
        let point = read(&line.at(at_ms).expect("fields"));
        prop_assert_eq!(&point.measurement, &kept(&measurement));
        prop_assert_eq!(&point.tags, &wanted);
        let words: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        prop_assert_eq!(&point.fields["a number"], &Value::Number(number));
        prop_assert_eq!(&point.fields["whole="], &Value::Integer(whole));
        prop_assert_eq!(&point.fields["said"], &Value::Text(words));
        prop_assert_eq!((point.at_ms, point.fields.len()), (at_ms, 3));
    }
}
