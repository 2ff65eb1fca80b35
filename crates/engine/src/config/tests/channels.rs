//! The list of channels: what is refused, in words, and what it becomes.

use model::alert::Severity;

use super::{check, good};

#[test]
fn slips_are_told_at_their_places() {
    let file = |lines: &str| format!("targets: []\nchannels:\n{lines}");
    for (lines, expected) in [
        ("  - {kind: webhook, url: 'http://h/'}\n", &["line 3, column 5: channels[0].name: name is missing"][..]),
        ("  - {name: a}\n", &["channels[0].kind: kind is missing"]),
        ("  - {name: a, kind: webhok, url: 'http://h/'}\n", &["there is no kind \"webhok\" (did you mean webhook?)"]),
        ("  - {name: a, kind: webhook}\n", &["channels[0].url: url is missing"]),
        ("  - {name: a, kind: webhook, url: 'ftp://h/'}\n", &["channels[0].url: only http:// and https://"]),
        ("  - {name: a, kind: webhook, url: 'http://h/', ulr: 1}\n", &["unknown key ulr (did you mean url?)"]),
        (
            "  - {name: a, kind: webhook, url: 'http://h/', topic_secret: x}\n",
            &["unknown key topic_secret of the kind webhook"],
        ),
        ("  - {name: a, kind: webhook, url: 'http://h/', limit: -1}\n", &["channels[0].limit: -1 is out of range"]),
        (
            "  - {name: a, kind: webhook, url: 'http://h/', template: '{{titel}}'}\n",
            &["channels[0].template: there is no {{titel}}"],
        ),
        (
            "  - {name: a, kind: webhook, url: 'http://h/', headers: {Authorization: x}}\n",
            &["may hold a secret (write it under secret_headers)"],
        ),
        (
            "  - {name: a, kind: webhook, url: 'http://h/'}\n  - {name: a, kind: webhook, url: 'http://i/'}\n",
            &["line 4, column 12: channels[1].name: the name \"a\" is that of channels[0] too"],
        ),
        ("  - a\n", &["a channel is a mapping"]),
        ("  - {name: ' a', kind: webhook, url: 'http://h/'}\n", &["is no name"]),
    ] {
        check(&file(lines), expected);
    }
    check("targets: []\nchannels: a\n", &["channels: expected a list, found a text"]);
    check("targets: []\nbase_url: h\n", &["base_url: this is no address"]);
    check("targets: []\nbase_url: 'https://u:p@h/'\n", &["base_url: the address holds a user name"]);
}

#[test]
fn a_channel_is_what_it_says_and_builds() {
    let config = good(
        "targets: []\nbase_url: https://watch.example/\nchannels:\n  - {name: a, kind: webhook, url: 'http://h/'}\n  - {name: b, kind: webhook, url: 'http://h/', min_severity: critical, limit: 0, enabled: false}\n",
    );
    assert_eq!(config.base_url.as_deref(), Some("https://watch.example"));
    let [a, b] = &config.channels[..] else { panic!("{:?}", config.channels) };
    assert_eq!((a.name.as_str(), a.kind, a.enabled, a.limit), ("a", "webhook", true, Some(60)));
    assert!(a.takes(Severity::Info) && !b.takes(Severity::Critical));
    assert_eq!((b.limit, b.min_severity), (None, Severity::Critical));
    assert!(a.build().is_ok());
    let moved = good("channels:\n\n  # moved\n  - kind: webhook\n    url: http://h/\n    name: a\ntargets: []\n");
    assert_eq!(moved.channels[0], *a, "a place in the file is no difference");
}

#[test]
fn what_a_channel_stands_on_must_be_there() {
    let exec = "targets: []\nchannels:\n  - {name: a, kind: exec, command: sirn, args: {seconds: 5}}\n";
    good(exec); // nothing is said where the commands are not known
    let file = "commands: {siren: {argv: [/bin/echo, '{seconds}'], args: {seconds: {pattern: '[0-9]'}}}}";
    let commands = std::sync::Arc::new(crate::config::commands_of(file, &|_| None).expect("good commands"));
    let overrides = crate::config::Overrides { commands: Some(commands), ..Default::default() };
    let told = |text: &str| match crate::config::load(text, &|_| None, &overrides) {
        Ok(_) => String::new(),
        Err(problems) => super::lines(&problems),
    };
    assert!(
        told(exec)
            .contains("line 3, column 36: channels[0].command: there is no command \"sirn\"; did you mean siren?"),
        "{}",
        told(exec)
    );
    let right = exec.replace("sirn", "siren");
    assert_eq!(told(&right), "");
    assert!(told(&right.replace("5}", "x}")).contains("channels[0].args"), "{}", told(&right.replace("5}", "x}")));
    check(
        "targets: []\nchannels:\n  - {name: a, kind: mqtt}\n",
        &["channels[0].kind: this kind publishes by the connection"],
    );
    check(
        "targets: []\nmqtt: {enabled: true, host: h}\nchannels:\n  - {name: a, kind: mqtt, topic: 'a/#'}\n",
        &["channels[0].topic: \"a/#\" is no topic to publish on"],
    );
}
