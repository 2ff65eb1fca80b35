//! A YAML document as the tree that the loader makes of it: enough for the documented examples.

use model::conf::{Node, Value};
use saphyr_parser::{Event, Parser, ScalarStyle};

/// Reads one document.
pub(crate) fn read(text: &str) -> Value {
    let mut events = Parser::new_from_str(text).map(|e| e.expect("the example is YAML").0);
    loop {
        match events.next().expect("the example is not empty") {
            Event::StreamStart | Event::DocumentStart(_) => {}
            event => return value(event, &mut events),
        }
    }
}

fn value<'a>(event: Event<'a>, events: &mut dyn Iterator<Item = Event<'a>>) -> Value {
    const CLOSED: &str = "the parser closes what it opens";
    match event {
        Event::Scalar(text, ScalarStyle::Plain, ..) => plain(&text),
        Event::Scalar(text, ..) => Value::Str(text.into_owned()),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match events.next().expect(CLOSED) {
                    Event::SequenceEnd => return Value::List(items),
                    item => items.push(Node::bare(value(item, events))),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut pairs = Vec::new();
            loop {
                match events.next().expect(CLOSED) {
                    Event::MappingEnd => return Value::Map(pairs),
                    Event::Scalar(key, ..) => {
                        let first = events.next().expect(CLOSED);
                        pairs.push((key.into_owned(), Node::bare(value(first, events))));
                    }
                    other => panic!("{other:?} is no key"),
                }
            }
        }
        other => panic!("{other:?} in an example"),
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" | "false" => Value::Bool(text == "true"),
        _ => match (text.parse(), text.parse()) {
            (Ok(i), _) => Value::Int(i),
            (_, Ok(x)) => Value::Float(x),
            _ => Value::Str(text.to_owned()),
        },
    }
}
