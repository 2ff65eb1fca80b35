//! Properties over generated input: any text survives an edit, no input panics, no message shows a secret.

use model::conf::{Node, Value};
use model::target::TargetId;
use proptest::prelude::*;

use super::{env, good, lines, load};
use crate::config::{Edit, edit, import_legacy, parse, quote};

/// Texts that YAML readers stumble over.
const NASTY: &[&str] = &[
    "",
    " ",
    "~",
    "null",
    "true",
    "No",
    "on",
    "0x1F",
    "0o17",
    "1e3",
    "1_000",
    "08",
    "-",
    "- a",
    "-a",
    "?",
    "? a",
    ":",
    ": ",
    "a: b",
    "a:",
    ":a",
    "a :b",
    "#",
    "a #b",
    "a#b",
    "#a",
    "*a",
    "&a",
    "!a",
    "!!str",
    "@a",
    "`a",
    "%a",
    "|",
    ">",
    "|-",
    ">+",
    "{",
    "}",
    "[",
    "]",
    ",",
    "a, b",
    "{a: b}",
    "[a]",
    "'",
    "''",
    "'a'",
    "\"",
    "\\",
    "\\n",
    "a\\",
    "a'b\"c",
    "---",
    "...",
    "--- a",
    "<<",
    "=",
    "a\nb",
    "\n",
    "a\n",
    "\na",
    "\r",
    "a\r\nb",
    "\t",
    "a\tb",
    "\ta",
    " a",
    "a ",
    "\u{0}",
    "\u{7}",
    "\u{1b}[0m",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\u{fffd}",
    "ü",
    "門",
    "🎥",
    "e\u{301}",
    "12:30:45",
    "2026-01-01",
    "1.",
    ".5",
    ".inf",
    ".NaN",
    "+1",
    "-1",
    "1,000",
    "y",
    "N",
    "a b",
    "http://h/?a=b&c=d#e",
    "rtsp://u:p@h/",
    "C:\\dir",
    "50%",
    "$",
    "$$",
    "a$b",
    "(a)",
    "a|b",
];

/// A text that reads the same in a name: one short line, no blanks around it, no variable.
fn any_name() -> impl Strategy<Value = String> {
    any_text().prop_map(|text| {
        let kept: String = text.chars().filter(|c| !c.is_control() && *c != '$').take(20).collect();
        let kept = kept.trim();
        if kept.is_empty() || kept == "B" { "x".to_owned() } else { kept.to_owned() }
    })
}

fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::sample::select(NASTY).prop_map(str::to_owned),
        2 => "[a-zA-Z0-9 :#'\"{}\\[\\],&*!|>%@`\\\\.-]{0,6}",
        1 => "\\PC{0,3}",
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

const FILES: &[&str] = &[
    "targets:\n  - name: A\n    url: http://h/\n    group: g # why\n  - {name: B, url: 'http://i/'}\n",
    "# c\r\ntargets:\r\n- url: \"http://h/\"\r\n  name: A\r\n\r\n- name: B\r\n  url: http://i/ # ü\r\n  tags:\r\n  - x\r\n# end",
    "{targets: [{name: A, url: http://h/, group: 'x' }, {name: B, url: http://i/}]}",
    "targets:\n  -   name: |-\n        A\n      url: >-\n        http://h/\n\n  -   name: 'B'\n      url: http://i/\n      expect: {warn_after: 1s}\n",
];

#[test]
fn every_nasty_text_is_quoted_so_that_it_reads_back() {
    for text in NASTY {
        reads_back(text);
    }
}

#[track_caller]
fn reads_back(text: &str) {
    let scalar = quote::text(text);
    for file in [
        format!("k: {scalar}\n"),
        format!("k: {scalar} # c\n"),
        format!("{{k: {scalar}}}"),
        format!("k: [{scalar}, x]"),
        format!("- k: {scalar}\n  l: x\n"),
    ] {
        let root = parse::parse(&file).unwrap_or_else(|p| panic!("{file:?}: {}", lines(&p))).expect("a value");
        let item = root.items().first().unwrap_or(&root).get("k").expect("the key");
        let item = item.items().first().unwrap_or(item);
        assert_eq!(item.node(None).value, Value::Str(text.to_owned()), "{file:?}");
    }
    let as_key = format!("{scalar}: 1\n");
    let root = parse::parse(&as_key).unwrap_or_else(|p| panic!("{as_key:?}: {}", lines(&p))).expect("a value");
    assert!(root.get(text).is_some(), "{as_key:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_quoted_so_that_it_reads_back(text in any_text()) {
        reads_back(&text);
    }

    #[test]
    fn any_text_survives_an_edit_and_nothing_else_moves(file in proptest::sample::select(FILES), text in any_name(), key in "(group|name|tags)") {
        let id = TargetId::parse("a").expect("valid");
        let value = match key.as_str() {
            "tags" => Value::List(vec![Node::bare(Value::Str(text.clone())), Node::bare(Value::Str("z".to_owned()))]),
            _ => Value::Str(text.clone()),
        };
        let change = Edit::SetTarget { id: id.clone(), fields: vec![(key.clone(), Some(value))] };
        let edited = edit(file, &[change], &env).map_err(|p| TestCaseError::fail(lines(&p)))?;
        let (before, after) = (good(file), good(&edited));
        let changed = &after.targets[0];
        let got = match key.as_str() {
            "name" => &changed.name,
            "tags" => &changed.tags[0],
            _ => changed.group.as_ref().expect("set"),
        };
        prop_assert_eq!(got, &text);
        prop_assert_eq!(&changed.id, &id);
        prop_assert_eq!(&after.targets[1], &before.targets[1]);
        // Added and removed again, the file is what it was.
        let new = Edit::AddTarget { fields: vec![("name".to_owned(), Value::Str(format!("n {text}"))), ("url".to_owned(), Value::Str("http://n/".to_owned()))] };
        let added = edit(file, &[new], &env).map_err(|p| TestCaseError::fail(lines(&p)))?;
        let newest = good(&added).targets.pop().expect("added");
        prop_assert_eq!(&newest.name, &format!("n {text}"));
        let removed = edit(&added, &[Edit::RemoveTarget { id: newest.id }], &env).map_err(|p| TestCaseError::fail(lines(&p)))?;
        prop_assert_eq!(removed.trim_end(), file.trim_end());
    }

    #[test]
    fn no_text_makes_anything_panic(file in proptest::sample::select(FILES), cuts in proptest::collection::vec((any::<prop::sample::Index>(), any_text()), 1..4)) {
        let mut text: String = file.to_owned();
        for (at, piece) in cuts {
            let at = text.floor_char_boundary(at.index(text.len() + 1));
            let end = text.floor_char_boundary((at + piece.len() / 2).min(text.len()));
            text.replace_range(at..end, &piece);
        }
        let id = TargetId::parse("a").expect("valid");
        let _ = load(&text);
        let _ = import_legacy(&text.replace("targets", "streams"));
        let set = |key: &str, value| Edit::SetTarget { id: id.clone(), fields: vec![(key.to_owned(), value)] };
        let text_value = || Some(Value::Str("x: y".to_owned()));
        for change in [set("name", text_value()), set("group", None), set("url", None), set("expect.warn_after", text_value()), set("tags", text_value()),
            Edit::RemoveTarget { id: id.clone() },
            Edit::AddTarget { fields: vec![("id".to_owned(), Value::Str("q".to_owned())), ("url".to_owned(), Value::Str("http://q/".to_owned()))] },
            Edit::Set { path: "timezone".to_owned(), value: Some(Value::Str("Europe/Paris".to_owned())) },
            Edit::Set { path: "server.session".to_owned(), value: Some(Value::Str("3h".to_owned())) },
            Edit::Set { path: "targets".to_owned(), value: None }] {
            if let Ok(edited) = edit(&text, std::slice::from_ref(&change), &env) {
                prop_assert!(load(&edited).is_ok(), "{:?}\n{}", change, edited);
            }
        }
    }
}

#[test]
fn a_file_that_is_cut_anywhere_shows_no_secret() {
    let text = "# rtsp://u:hunter2@old/\ndefaults: {interval: 10s}\ntargets:\n  - name: a\n    url: rtsp://u:hunter2@h:554/x?token=hunter2\n    password: hunter2\n    user: u\n  - {name: b, url: 'http://h/?key=hunter2', secret_headers: {X-A: hunter2}}\n  - name: ${CAM_PASSWORD}\n    url: 'http://${WORDS}@h/'\n    interval: ${WORDS}\n    retries: ${CAM_PASSWORD}\n    depth: ${CAM_PASSWORD}\n    kind: ${WORDS}\n    template: ${WORDS}\n    id: ${WORDS}!\n    expect: {min_fps: '${WORDS}'}\n    ${WORDS}: 1\n";
    for end in 0..=text.len() {
        let cut = &text[..end];
        let said = match load(cut) {
            Ok(config) => {
                // A name from the environment is a name all the same, and is shown as one; not so in warnings.
                assert!(!format!("{config:?}").contains("hunter2"), "{cut}");
                lines(&config.warnings)
            }
            Err(problems) => lines(&problems),
        };
        for secret in ["hunter2", "s3cr3t-pass", "hush-hush"] {
            assert!(!said.contains(secret), "{cut}\n---\n{said}");
        }
    }
}
