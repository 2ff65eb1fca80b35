//! The table of kinds: every row is complete, and what it documents is true.

use std::collections::BTreeMap;
use std::time::Duration;

use model::address::Address;
use model::conf::{Node, Section, Value};
use model::expect::Expectations;
use model::reading::Depth;
use model::status::StatusRules;
use model::target::{Options, Target, TargetId, Watch};
use probe::kind::{self, COMMON_KEYS, Kind};
use probe::kinds::{KINDS, by_name, guess};
use saphyr_parser::{Event, Parser};

/// Reads the YAML of an example: one mapping, of scalars, lists and mappings.
fn yaml(text: &str) -> Vec<(String, Value)> {
    let mut events = Parser::new_from_str(text).map(|e| e.expect("good YAML").0);
    let value = loop {
        match events.next().expect("a document") {
            Event::StreamStart | Event::DocumentStart(_) => {}
            event => break value(event, &mut events),
        }
    };
    let Value::Map(pairs) = value else { panic!("an example is a mapping") };
    pairs.into_iter().map(|(key, node)| (key, node.value)).collect()
}

fn value<'i>(event: Event<'i>, events: &mut impl Iterator<Item = Event<'i>>) -> Value {
    match event {
        Event::Scalar(text, ..) => match text.parse() {
            Ok(number) => Value::Int(number),
            Err(_) if text == "true" || text == "false" => Value::Bool(text == "true"),
            Err(_) => Value::Str(text.into_owned()),
        },
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match events.next().expect("the list ends") {
                    Event::SequenceEnd => break Value::List(items),
                    event => items.push(Node::bare(value(event, events))),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut pairs = Vec::new();
            loop {
                match events.next().expect("the mapping ends") {
                    Event::MappingEnd => break Value::Map(pairs),
                    Event::Scalar(key, ..) => {
                        let event = events.next().expect("a value");
                        pairs.push((key.into_owned(), Node::bare(value(event, events))));
                    }
                    other => panic!("a key is a word, not {other:?}"),
                }
            }
        }
        other => panic!("not in an example: {other:?}"),
    }
}

/// The target of a kind's example; keys of the loader other than `url` do not matter here.
fn example(kind: &'static Kind) -> Target {
    let pairs = yaml(kind.example);
    let text = |key: &str| match pairs.iter().find(|(k, _)| k == key) {
        Some((_, Value::Str(text))) => text.clone(),
        _ => panic!("the example of {} has no {key}", kind.name),
    };
    let own: BTreeMap<_, _> = pairs.iter().filter(|(k, _)| !COMMON_KEYS.contains(&k.as_str())).cloned().collect();
    Target {
        id: TargetId::from_name(&text("name")),
        name: text("name"),
        kind: kind.name,
        address: Address::parse(&text("url")).expect("a good URL"),
        group: None,
        tags: Vec::new(),
        enabled: true,
        watch: Watch::Periodic,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(8),
        retries: 0,
        depth: Depth::Media,
        rules: StatusRules::default(),
        expect: Expectations::default(),
        options: Options(own),
        parents: Vec::new(),
    }
}

#[test]
fn every_documented_example_builds() {
    for kind in KINDS {
        let target = example(kind);
        if let Err(problems) = kind::build(&target) {
            panic!("{}: {problems:?}", kind.name);
        }
        assert!(!target.options.0.is_empty(), "the example of {} shows none of its keys", kind.name);
    }
}

#[test]
fn keys_are_complete_and_collide_with_nothing() {
    for kind in KINDS {
        let mut keys: Vec<_> = kind.fields.iter().map(|f| f.key).collect();
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "{}: {keys:?}", kind.name);
        for field in kind.fields {
            assert!(!COMMON_KEYS.contains(&field.key), "{}: {} belongs to every target", kind.name, field.key);
            assert!(field.doc.ends_with('.') && field.doc.len() > 10, "{}: {} says too little", kind.name, field.key);
        }
        // The defaults, as documented, must be what the fields accept.
        let mut problems = Vec::new();
        Section::check(&Node::bare(Value::Map(Vec::new())), kind.fields, "", &mut problems);
        assert_eq!(problems, [], "{}: a key without a default is required", kind.name);
    }
}

#[test]
fn rows_are_in_order_and_found() {
    assert!(KINDS.windows(2).all(|pair| pair[0].name < pair[1].name), "alphabetical");
    for kind in KINDS {
        assert!(by_name(kind.name).is_some_and(|found| std::ptr::eq(found, *kind)));
        assert!(!kind.schemes.is_empty() && kind.summary.len() > 10, "{}", kind.name);
    }
    assert!(by_name("gopher").is_none());
}

#[test]
fn an_address_finds_its_kind() {
    for (url, kind) in [
        ("rtsp://192.0.2.1/x", Some("rtsp")),
        ("rtsps://192.0.2.1/x", Some("rtsp")),
        ("http://192.0.2.1/", Some("http")),
        ("https://192.0.2.1/live/index.html", Some("http")),
        ("http://192.0.2.1/mjpg/video.mjpg", Some("mjpeg")),
        ("http://192.0.2.1:8080/?action=stream", Some("mjpeg")),
        ("host://local", Some("host")),
        ("ping://192.0.2.1", Some("ping")),
        ("icmp://[2001:db8::1]", Some("ping")),
        ("tcp://192.0.2.1:22", Some("tcp")),
        ("gopher://192.0.2.1/", None),
    ] {
        let found = guess(&Address::parse(url).expect(url)).map(|kind| kind.name);
        assert_eq!(found, kind, "{url}");
    }
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let rtsp = by_name("rtsp").expect("it is in the table");
    let mut wrong = example(rtsp);
    wrong.options.0.insert("transprot".to_owned(), Value::Str("tcp".to_owned()));
    wrong.options.0.insert("tracks".to_owned(), Value::Str("smell".to_owned()));
    let problems = kind::build(&wrong).err().expect("two problems");
    let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(problems.len() == 2 && text.contains("did you mean transport?") && text.contains("smell"), "{text}");

    let mut strange = example(rtsp);
    strange.address = Address::parse("ftp://192.0.2.1/x").expect("a good URL");
    let problems = kind::build(&strange).err().expect("a problem");
    assert!(problems[0].to_string().contains("cannot look at ftp://"), "{problems:?}");
}
