//! Sections good and bad.

use model::conf::{Node, Value};

use super::*;

/// The settings of a section whose values are all texts, or what is wrong with it.
pub(crate) fn read(pairs: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let pair = |(key, text): &(&str, &str)| {
        let value = match *text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            text => Value::Str(text.to_owned()),
        };
        ((*key).to_owned(), Node::bare(value))
    };
    let node = Node::bare(Value::Map(pairs.iter().map(pair).collect()));
    let mut problems = Vec::new();
    let section = Section::check(&node, FIELDS, "influxdb", &mut problems);
    let settings = Settings::read(&section, &mut problems);
    let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
    settings.filter(|_| words.is_empty()).ok_or(words)
}

const URL: (&str, &str) = ("url", "http://h:8086");

#[test]
fn the_version_is_told_by_the_other_keys() {
    let bucket = |org: Option<&str>, token: Option<&str>| Place::Bucket {
        org: org.map(str::to_owned),
        bucket: "b".to_owned(),
        token: token.map(Secret::new),
    };
    for (pairs, wanted) in [
        (
            &[URL, ("database", "d")][..],
            Place::Database { database: "d".to_owned(), retention_policy: None, login: None },
        ),
        (
            &[
                URL,
                ("version", "1"),
                ("database", "d"),
                ("username", "u"),
                ("password", "p"),
                ("retention_policy", "r"),
            ],
            Place::Database {
                database: "d".to_owned(),
                retention_policy: Some("r".to_owned()),
                login: Some(("u".to_owned(), Secret::new("p"))),
            },
        ),
        (&[URL, ("org", "o"), ("bucket", "b"), ("token", "t")], bucket(Some("o"), Some("t"))),
        (&[URL, ("version", "3"), ("database", "b"), ("token", "t")], bucket(None, Some("t"))),
        (&[URL, ("database", "b"), ("token", "t")], bucket(None, Some("t"))),
        (&[URL, ("bucket", "b")], bucket(None, None)),
    ] {
        assert_eq!(read(pairs).map(|s| s.place), Ok(wanted), "{pairs:?}");
    }
}

#[test]
fn what_contradicts_itself_is_told_with_a_remedy() {
    for (pairs, part) in [
        (&[("database", "d")][..], "url is missing"),
        (&[URL], "neither a database nor a bucket is named (give database"),
        (&[URL, ("version", "1"), ("database", "d"), ("token", "t")], "token belongs to version 2 and 3"),
        (&[URL, ("bucket", "b"), ("username", "u")], "username belongs to version 1"),
        (&[URL, ("version", "2"), ("bucket", "b"), ("database", "d")], "both given"),
        (&[URL, ("version", "2"), ("token", "t")], "no bucket is named"),
        (&[URL, ("database", "d"), ("password", "p")], "a password without a username"),
        (&[("url", "udp://h:8089"), ("database", "d")], "not by udp"),
        (&[("url", "http://u:p@h"), ("database", "d")], "use the keys username and password"),
        (&[("url", "http://h/write?db=x"), ("database", "d")], "the URL has a query"),
        (&[URL, ("database", "d"), ("prefix", "a b")], "other letters"),
        (&[URL, ("database", "d"), ("buffer", "1KiB")], "1024 bytes are out of range"),
        (&[URL, ("database", "d"), ("interval", "10ms")], "out of range"),
        (&[URL, ("database", "d"), ("tls_trust", "insecure"), ("ca_file", "x")], "ca_file has no effect"),
    ] {
        let words = read(pairs).expect_err(part);
        assert!(words.iter().any(|w| w.contains(part)), "{part}: {words:?}");
    }
}

#[test]
fn no_secret_is_shown() {
    for pairs in [
        &[URL, ("database", "d"), ("username", "u"), ("password", "hidden-word")][..],
        &[URL, ("bucket", "b"), ("token", "hidden-word")],
    ] {
        let settings = read(pairs).expect("good");
        assert!(!format!("{settings:?}").contains("hidden-word"));
        assert_eq!(settings.redact("not hidden-word here"), "not *** here");
    }
}
