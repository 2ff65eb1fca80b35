//! Surfaces made from the tables: schema, reference page, forms, starter file, the examples of the kinds. Golden files are
//! written anew with `UPDATE=1`.

use std::path::PathBuf;

use model::conf::{Field, Type};
use serde_json::{Value, json};

use super::{check_warnings, good};
use crate::config::{
    Overrides, default_text, describe, load, reference_md, schema, services_reference_md, services_schema,
};

/// The text equals the file in the repository.
#[track_caller]
fn golden(path: &str, text: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().expect("in a folder")).expect("a folder");
        std::fs::write(&file, text).expect("written");
    }
    let wanted = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        wanted == text,
        "{path} is not what the tables say: run `UPDATE=1 cargo test -p engine` and review the change"
    );
}

#[test]
fn the_reference_page_is_what_the_tables_say() {
    golden("../../docs/reference/configuration.md", &reference_md());
}

#[test]
fn the_schema_is_what_the_tables_say() {
    let text = serde_json::to_string_pretty(&schema()).expect("JSON") + "\n";
    golden("../../docs/reference/streampulse.schema.json", &text);
}

#[test]
fn the_reference_and_the_schema_of_services_are_what_the_tables_say() {
    golden("../../docs/reference/services.md", &services_reference_md());
    let text = serde_json::to_string_pretty(&services_schema()).expect("JSON") + "\n";
    golden("../../docs/reference/services.schema.json", &text);
}

#[test]
fn the_schema_takes_a_key_without_a_value_where_the_loader_does() {
    let schema = schema();
    let takes_null = |property: &Value| {
        let any = property["anyOf"].as_array().into_iter().flatten();
        let holds = |list: &Value, what: Value| list.as_array().is_some_and(|l| l.contains(&what));
        let untyped = ["type", "anyOf", "enum"].iter().all(|word| property.get(word).is_none());
        untyped
            || holds(&property["type"], json!("null"))
            || holds(&property["enum"], Value::Null)
            || any.into_iter().any(|s| s["type"] == "null")
    };
    let mut seen = 0;
    let mut all = |properties: &Value, at: &str| {
        for (key, property) in properties.as_object().expect("a mapping") {
            assert_eq!(takes_null(property), key != "url", "{at}.{key}: {property}");
            seen += 1;
        }
    };
    all(&schema["properties"], "top");
    for section in ["server", "store", "probing", "defaults"] {
        all(&schema["properties"][section]["properties"], section);
    }
    let target = &schema["$defs"]["target"];
    all(&target["properties"], "target");
    all(&target["properties"]["expect"]["properties"], "expect");
    for kind in target["allOf"].as_array().expect("a list") {
        all(&kind["then"]["properties"], "kind");
    }
    assert!(seen > 60, "{seen}");
    // The loader agrees, also for what has a choice, a list or a mapping.
    let text = "timezone:\nserver:\nstore: {keep_days: }\nprobing:\ndefaults:\ntemplates:\ntargets:\n  - name: a\n    id:\n    url: http://h/\n    kind:\n    group:\n    tags:\n    retries:\n    method:\n    headers:\n    expect_status:\n    expect:\n";
    check_warnings(text, &[]);
    good("targets: [{name: ~, id: a, url: 'http://h/'}]");
}

#[test]
fn the_starter_file_loads() {
    check_warnings(&default_text(), &["nothing is watched"]);
    let all = default_text().replace("\ntargets: []\n", "\n");
    let uncommented = all
        .replace("# targets:", "targets:")
        .replace("#   ", "  ")
        .replace("# server:", "server:")
        .replace("# defaults:", "defaults:");
    let filled = uncommented.replace("CAMERA_PASSWORD", "CAM_PASSWORD");
    assert_eq!(good(&filled).targets.len(), 2);
}

/// Every example of the guide that shows targets is one that loads.
#[test]
fn the_examples_of_the_guide_load() {
    examples_load("configuration.md", 6);
    examples_load("alerts.md", 4);
}

fn examples_load(page: &str, least: usize) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide").join(page);
    let guide = std::fs::read_to_string(path).expect("the guide");
    let set = |name: &str| match name {
        "TOPIC" => Some("alarms-7f3".to_owned()),
        name => name.ends_with("PASSWORD").then(|| "p#a/s?s@w:o%rd".to_owned()),
    };
    let mut seen = 0;
    for block in guide.split("```yaml\n").skip(1) {
        let text = block.split("```").next().unwrap_or_default();
        if text.starts_with('#') {
            continue; // a comment for editors
        }
        let loaded = load(text, &set, &Overrides::default());
        assert!(loaded.is_ok(), "{text}\n{}", super::lines(&loaded.err().unwrap_or_default()));
        seen += 1;
    }
    assert!(seen >= least, "{page}: {seen}");
}

#[test]
fn the_example_of_every_kind_loads_as_that_kind() {
    let mut seen = 0;
    for doc in describe() {
        let (Some(kind), Some(example)) = (doc.name.strip_prefix("kind:"), doc.example) else { continue };
        let config = good(&as_file(example));
        assert!(config.targets.iter().all(|t| t.kind == kind) && !config.targets.is_empty(), "{kind}\n{example}");
        seen += 1;
    }
    assert_eq!(seen, probe::kinds::KINDS.len());
}

#[test]
fn the_examples_of_the_guide_to_channels_load() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/channels.md");
    let guide = std::fs::read_to_string(path).expect("the guide");
    let set = |name: &str| match name {
        name if name.ends_with("_URL") => Some("https://hooks.example.com/services/T0/B0/s3cret".to_owned()),
        _ => Some("s3cret".to_owned()),
    };
    let mut kinds = std::collections::BTreeSet::new();
    for block in guide.split("```yaml\n").skip(1) {
        let text = format!("targets: []\n{}", block.split("```").next().unwrap_or_default());
        let config = load(&text, &set, &Overrides::default())
            .unwrap_or_else(|problems| panic!("{text}\n{}", super::lines(&problems)));
        kinds.extend(config.channels.iter().map(|channel| channel.kind));
    }
    assert_eq!(kinds.len(), sink::channels::CHANNELS.len(), "every kind has an example: {kinds:?}");
}

#[test]
fn the_example_of_every_channel_loads_as_that_kind() {
    let variables = |name: &str| {
        name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_').then(|| match name {
            name if name.ends_with("_URL") => "https://hooks.example.com/services/T0/B0/s3cret".to_owned(),
            _ => "s3cret".to_owned(),
        })
    };
    let mut seen = 0;
    for doc in describe() {
        let (Some(kind), Some(example)) = (doc.name.strip_prefix("channel:"), doc.example) else { continue };
        let indented = example.trim_end().lines().map(|line| format!("    {line}\n")).collect::<String>();
        let text = format!("targets: []\nmqtt: {{enabled: true, host: h}}\nchannels:\n  -\n{indented}");
        let config = load(&text, &variables, &Overrides::default())
            .unwrap_or_else(|problems| panic!("{kind}\n{text}\n{}", super::lines(&problems)));
        assert!(config.channels.len() == 1 && config.channels[0].kind == kind, "{kind}\n{example}");
        assert!(!format!("{:?}", config.channels).contains("s3cret"), "{kind}");
        seen += 1;
    }
    assert_eq!(seen, sink::channels::CHANNELS.len());
}

#[test]
fn no_kind_of_channel_takes_a_key_of_every_channel() {
    let docs = describe();
    let common: Vec<&str> =
        docs.iter().find(|d| d.name == "channel").expect("there").fields.iter().map(|f| f.key).collect();
    for doc in docs.iter().filter(|d| d.name.starts_with("channel:")) {
        for field in &doc.fields {
            assert!(!common.contains(&field.key), "{}: {}", doc.name, field.key);
        }
    }
}

/// An example may be a whole file, a list of targets, or the keys of one.
fn as_file(example: &str) -> String {
    let example = example.trim_end();
    if example.starts_with("targets:") {
        return example.to_owned();
    }
    let indented = example.lines().map(|line| format!("    {line}\n")).collect::<String>();
    if example.starts_with("- ") { format!("targets:\n{indented}") } else { format!("targets:\n  -\n{indented}") }
}

#[test]
fn every_declared_key_is_documented_and_its_default_is_accepted() {
    for doc in describe() {
        for field in &doc.fields {
            check_field(&doc.name, field);
        }
    }
}

fn check_field(section: &str, field: &Field) {
    assert!(field.doc.ends_with(['.', ')']) && field.doc.len() > 8, "{section}.{}: {:?}", field.key, field.doc);
    if let (Some(default), Type::Duration { min, max }) = (field.default, field.ty) {
        let value = model::conf::words::duration(default).expect("a duration");
        assert!((min..=max).contains(&value), "{section}.{}", field.key);
    }
}

#[test]
fn no_kind_takes_a_key_of_every_target() {
    let docs = describe();
    let common: Vec<&str> =
        docs.iter().find(|d| d.name == "target").expect("there").fields.iter().map(|f| f.key).collect();
    for doc in docs.iter().filter(|d| d.name.starts_with("kind:")) {
        for field in &doc.fields {
            assert!(!common.contains(&field.key), "{}: {}", doc.name, field.key);
        }
    }
    for key in common {
        assert!(probe::kind::COMMON_KEYS.contains(&key), "{key}");
    }
}

/// What a kind finds unwise is a warning at its key, and the target is watched all the same.
#[test]
fn a_kind_warns_of_what_is_unwise() {
    let text =
        "targets:\n  - {name: a, url: 'https://youtu.be/jfKfPfyJRdk', kind: youtube, api_key: k3y, interval: 2s}\n";
    let expected = "line 2, column 91: targets[0].interval: this costs 43200 units";
    let config = check_warnings(text, &[expected]);
    assert_eq!(config.targets.len(), 1);
    check_warnings(&text.replace("2s", "10s"), &[]);
}
