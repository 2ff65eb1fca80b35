//! Edits: what they mean happens, and every other byte stays.

use model::conf::{Node, Value};
use model::target::TargetId;

use super::{check_list, env, good, lines};
use crate::config::{Edit, edit, target_of};

const FILE: &str = "# Cameras of the house
timezone: Europe/Zurich # where we live

targets:
  # the one at the gate
  - name: Gate
    url: rtsp://u:p@10.0.0.5/s1   # do not touch
    interval: 20s
    expect:
      audio: true # has a microphone
      video_codec: [h264]

  # flaky since May
  - name: 'Yard: north'
    url: \"http://10.0.0.6/\"
    tags: [a, b]

  - {name: Page, url: 'http://h/', interval: 30s}
# the end
";

fn s(text: &str) -> Value {
    Value::Str(text.to_owned())
}

fn list(items: &[&str]) -> Value {
    Value::List(items.iter().map(|i| Node::bare(s(i))).collect())
}

fn set(id: &str, fields: &[(&str, Option<Value>)]) -> Edit {
    let fields = fields.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    Edit::SetTarget { id: TargetId::parse(id).expect("valid"), fields }
}

fn add(fields: &[(&str, Value)]) -> Edit {
    Edit::AddTarget { fields: fields.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect() }
}

fn remove(id: &str) -> Edit {
    Edit::RemoveTarget { id: TargetId::parse(id).expect("valid") }
}

fn top(path: &str, value: Option<Value>) -> Edit {
    Edit::Set { path: path.to_owned(), value }
}

/// The edit turns the text, with `from` replaced by `to`, into exactly that; also with the line ends of Windows.
#[track_caller]
fn check(text: &str, change: &Edit, from: &str, to: &str) {
    assert_eq!(text.matches(from).count(), 1, "{from:?} is not unique");
    let wanted = text.replace(from, to);
    for (text, wanted) in
        [(text.to_owned(), wanted.clone()), (text.replace('\n', "\r\n"), wanted.replace('\n', "\r\n"))]
    {
        let got = edit(&text, std::slice::from_ref(change), &env).unwrap_or_else(|p| panic!("{}", lines(&p)));
        assert_eq!(got, wanted);
    }
}

#[track_caller]
fn refused(text: &str, change: &Edit, words: &[&str]) {
    let problems = edit(text, std::slice::from_ref(change), &env).expect_err("refused");
    check_list(text, &problems, words);
}

#[test]
fn values_are_set_in_place() {
    check(FILE, &set("gate", &[("interval", Some(s("25s")))]), "interval: 20s", "interval: 25s");
    check(FILE, &set("gate", &[("url", Some(s("rtsp://h/x")))]), "rtsp://u:p@10.0.0.5/s1   #", "rtsp://h/x   #");
    check(FILE, &set("gate", &[("expect.audio", Some(Value::Bool(false)))]), "audio: true #", "audio: false #");
    check(FILE, &set("gate", &[("expect.video_codec", Some(list(&["hevc", "h264"])))]), "[h264]", "[hevc, h264]");
    check(FILE, &set("page", &[("interval", Some(s("5m")))]), "interval: 30s}", "interval: 5m}");
    check(FILE, &top("timezone", Some(s("UTC"))), "Europe/Zurich #", "UTC #");
    check(FILE, &set("gate", &[("interval", Some(s("20s")))]), "# the end", "# the end");
}

#[test]
fn missing_keys_are_added_where_they_belong() {
    check(FILE, &set("gate", &[("retries", Some(Value::Int(3)))]), "[h264]\n", "[h264]\n    retries: 3\n");
    check(
        FILE,
        &set("gate", &[("expect.min_fps", Some(Value::Float(12.5)))]),
        "[h264]\n",
        "[h264]\n      min_fps: 12.5\n",
    );
    check(FILE, &set("page", &[("group", Some(s("a, b")))]), "30s}", "30s, group: 'a, b'}");
    check(FILE, &set("page", &[("expect.warn_after", Some(s("2s")))]), "30s}", "30s, expect: {warn_after: 2s}}");
    let expect = "tags: [a, b]\n    expect:\n      warn_after: 2s\n";
    check(FILE, &set("yard-north", &[("expect.warn_after", Some(s("2s")))]), "tags: [a, b]\n", expect);
    check(FILE, &top("server.session", Some(s("2h"))), "30s}\n", "30s}\nserver:\n  session: 2h\n");
}

#[test]
fn keys_are_removed() {
    check(FILE, &set("gate", &[("interval", None)]), "    interval: 20s\n", "");
    check(FILE, &set("gate", &[("expect.audio", None)]), "      audio: true # has a microphone\n", "");
    check(FILE, &set("page", &[("interval", None)]), ", interval: 30s}", "}");
    check(FILE, &set("gate", &[("retries", None), ("expect.video", None)]), "# the end", "# the end");
    check(FILE, &top("timezone", None), "timezone: Europe/Zurich # where we live\n", "");
    let text = "targets:\n  - interval: 5s\n    name: a\n    url: http://h/\n    expect:\n      audio: ~\n";
    check(text, &set("a", &[("interval", None)]), "interval: 5s\n    name", "name");
    check(text, &set("a", &[("expect.audio", None)]), "    expect:\n      audio: ~\n", "");
    refused(FILE, &set("gate", &[("url", None)]), &["url is missing"]);
}

#[test]
fn targets_are_added_in_the_style_of_the_file() {
    let new = add(&[("name", s("New")), ("url", s("http://n/")), ("expect.warn_after", s("1s"))]);
    check(FILE, &new, "30s}\n", "30s}\n\n  - name: New\n    url: http://n/\n    expect:\n      warn_after: 1s\n");
    let plain = add(&[("name", s("b")), ("url", s("http://h/"))]);
    let block = "- name: b\n    url: http://h/\n";
    for (text, from, to) in [
        ("targets:\n  - name: a\n    url: http://h/\n", "h/\n", format!("h/\n  {block}")),
        ("targets: # all\n", "all\n", format!("all\n  {block}")),
        ("targets: [] # none\n", "[] # none\n", format!("# none\n  {block}")),
        ("timezone: UTC\n", "UTC\n", format!("UTC\ntargets:\n  {block}")),
        ("# only a comment\n", "comment\n", format!("comment\ntargets:\n  {block}")),
    ] {
        check(text, &plain, from, &to);
    }
    let old = "targets:\n-   url: http://h/\n    name: a\n\n# end\n";
    check(old, &plain, "name: a\n", "name: a\n-   name: b\n    url: http://h/\n");
    check("targets:\n-\n  url: http://h/\n  name: a\n", &plain, "name: a\n", "name: a\n- name: b\n  url: http://h/\n");
    check("{targets: [{name: a, url: 'http://h/'}]}\n", &plain, "'}]", "'}, {name: b, url: http://h/}]");
    check("{targets: []}\n", &plain, "[]", "[{name: b, url: http://h/}]");
    let got = edit("targets:\n  - name: a\n    url: http://h/", &[plain], &env).expect("edited");
    assert_eq!(got, "targets:\n  - name: a\n    url: http://h/\n  - name: b\n    url: http://h/");
}

#[test]
fn targets_are_removed_with_their_comments() {
    check(
        FILE,
        &remove("yard-north"),
        "  # flaky since May\n  - name: 'Yard: north'\n    url: \"http://10.0.0.6/\"\n    tags: [a, b]\n\n",
        "",
    );
    check(FILE, &remove("page"), "\n  - {name: Page, url: 'http://h/', interval: 30s}\n", "");
    let flow = "targets: [{name: a, url: 'http://h/'}, {name: b, url: 'http://i/'}] # two\n";
    check(flow, &remove("a"), "{name: a, url: 'http://h/'}, ", "");
    check(flow, &remove("b"), ", {name: b, url: 'http://i/'}", "");
    let both = edit(FILE, &[remove("gate"), remove("page"), remove("yard-north")], &env).expect("edited");
    assert_eq!(good(&both).targets, []);
    assert!(
        both.starts_with("# Cameras of the house\ntimezone: Europe/Zurich # where we live\n\ntargets:\n"),
        "{both}"
    );
    assert!(both.ends_with("# the end\n"), "{both}");
    refused(FILE, &remove("nobody"), &["there is no target nobody"]);
}

#[test]
fn odd_styles_survive() {
    let text = "targets:\n  - name: |\n      Gate\n    url: >-\n      http://h/\n    # below\n    tags: # words\n      - a\n      - b # second\n    group:   # none\n";
    let quoted = "targets:\n  - {name: 'it''s' , url: &u \"http://h/\" , tags: [ 'a', ] , } # all\n  - url: \"http://\\\"h\" # why\n    name: 'b' # short\n    tags: [a] # x\n";
    check(
        quoted,
        &set("it-s", &[("name", Some(s("c"))), ("id", Some(s("it-s")))]),
        "{name: 'it''s' , url: &u \"http://h/\" , tags: [ 'a', ] , }",
        "{name: c , url: &u \"http://h/\" , tags: [ 'a', ], id: it-s , }",
    );
    check(quoted, &set("it-s", &[("url", Some(s("http://i/")))]), "\"http://h/\"", "http://i/");
    check(quoted, &set("it-s", &[("tags", None)]), " , tags: [ 'a', ] ,", " ,");
    check(
        quoted,
        &set("b", &[("name", Some(s("b c"))), ("id", Some(s("b")))]),
        "'b' # short\n    tags: [a] # x\n",
        "b c # short\n    tags: [a] # x\n    id: b\n",
    );
    check(quoted, &set("b", &[("url", Some(s("http://i/")))]), "\"http://\\\"h\" # why", "http://i/ # why");
    check(quoted, &set("b", &[("tags", Some(list(&["c"])))]), "[a] # x", "[c] # x");
    check(text, &set("gate", &[("url", Some(s("http://i/")))]), ">-\n      http://h/", "http://i/");
    check(text, &set("gate", &[("group", Some(s("G")))]), "group:   #", "group: G   #");
    check(
        text,
        &set("gate", &[("tags", Some(list(&["c"])))]),
        "tags: # words\n      - a\n      - b # second",
        "tags: [c] # words # second",
    );
    check(
        text,
        &set("gate", &[("retries", Some(Value::Int(2)))]),
        "group:   # none\n",
        "group:   # none\n    retries: 2\n",
    );
    let anchored = "templates:\n  t: &t\n    interval: &i 20s\ntargets:\n  - <<: *t\n    name: a\n    url: http://h/\n  - {name: b, url: 'http://h/', interval: *i}\n";
    check(anchored, &set("b", &[("interval", Some(s("5s")))]), "interval: *i", "interval: 5s");
    check(anchored, &set("a", &[("interval", Some(s("5s")))]), "http://h/\n", "http://h/\n    interval: 5s\n");
    refused(anchored, &top("templates.t.interval", None), &["is the only key here"]);
    let shared = "templates: {}\ntargets:\n  - &a {name: a, url: 'http://h/', expect: &e {audio: ~}}\n  - {name: b, url: 'http://i/', expect: *e}\n";
    refused(shared, &remove("a"), &["an alias names an anchor that is not there"]);
    refused(shared, &set("b", &[("expect.warn_after", Some(s("1s")))]), &["the section is an alias"]);
}

#[test]
fn an_edit_that_means_more_than_it_says_is_refused() {
    let shared = "targets:\n  - {name: a, url: 'http://h/', expect: &e {warn_after: 1s}}\n  - {name: b, url: 'http://i/', expect: *e}\n";
    refused(shared, &set("a", &[("expect.warn_after", Some(s("2s")))]), &["the edit would change more than it should"]);
    refused(FILE, &top("targets", None), &["targets are edited one by one"]);
    refused(
        FILE,
        &add(&[("name", s("Gate")), ("url", s("http://h/"))]),
        &["the name \"Gate\" is that of targets[0] too"],
    );
    refused(FILE, &add(&[("name", s("x")), ("url", s("rtsp://u:hunter2@:9z/"))]), &["not a URL"]);
    refused("targets: [", &remove("a"), &["line 2"]);
}

#[test]
fn a_renamed_target_keeps_its_id() {
    check(
        FILE,
        &set("page", &[("name", Some(s("Home")))]),
        "{name: Page, url: 'http://h/', interval: 30s}",
        "{name: Home, url: 'http://h/', interval: 30s, id: page}",
    );
    check(FILE, &set("page", &[("name", Some(s("PAGE")))]), "name: Page", "name: PAGE");
}

#[test]
fn a_mask_is_never_written() {
    let text = "targets:\n  - name: a\n    url: http://u:${CAM_PASSWORD}@h/x?token=hunter2&b=1\n    password: hunter2\n    headers: {X-A: b}\n";
    good(text);
    let pairs = Value::Map(vec![("Authorization".to_owned(), Node::bare(s("***")))]);
    for (change, path) in [
        (set("a", &[("password", Some(s("***")))]), "targets[0].password: *** stands here in place of a secret"),
        (set("a", &[("url", Some(s("http://u:***@h/x?token=hunter2&b=1")))]), "targets[0].url: *** "),
        (set("a", &[("url", Some(s("http://h/x?token=***&b=1")))]), "targets[0].url: *** "),
        (set("a", &[("headers", Some(pairs.clone()))]), "targets[0].headers.Authorization: *** "),
        (add(&[("name", s("n")), ("url", s("http://u:***@h/"))]), "url: *** "),
        (
            add(&[("name", s("n")), ("url", s("http://h/")), ("secret_headers", pairs)]),
            "secret_headers.Authorization: ",
        ),
        (top("defaults.password", Some(s("***"))), "defaults.password: *** "),
    ] {
        refused(text, &change, &[path]);
    }
}

#[test]
fn a_2_x_file_is_edited_in_its_own_form() {
    let text = "heartbeat_seconds: 20 # slow\nstreams:\n- name: Gate\n  url: rtsp://h/\n- name: Old\n  url: srt://h:1/\n- name: Lab\n  url: http://h/\n";
    check(text, &set("lab", &[("url", Some(s("http://i/")))]), "url: http://h/", "url: http://i/");
    check(text, &set("lab", &[("name", Some(s("Lab 2")))]), "name: Lab", "name: Lab 2");
    check(text, &remove("lab"), "- name: Lab\n  url: http://h/\n", "");
    check(
        text,
        &add(&[("name", s("New")), ("url", s("rtsp://n/"))]),
        "http://h/\n",
        "http://h/\n- name: New\n  url: rtsp://n/\n",
    );
    check(text, &top("timezone", Some(s("UTC"))), "http://h/\n", "http://h/\ntimezone: UTC\n");
    refused(
        text,
        &set("lab", &[("interval", Some(s("5s")))]),
        &["a StreamPulse 2.x file cannot hold interval (run `streampulse import`"],
    );
    refused(text, &top("server.session", Some(s("5h"))), &["a StreamPulse 2.x file cannot hold server.session"]);
}

#[test]
fn a_target_can_be_tried_before_it_is_saved() {
    let field = |k: &str, v: &str| (k.to_owned(), Some(s(v)));
    let new = target_of(FILE, None, &[field("url", "rtsp://h/new")], &env).expect("a target");
    assert_eq!((new.kind, new.address.to_string().as_str()), ("rtsp", "rtsp://h/new"));
    let gate = TargetId::parse("gate").expect("valid");
    let changed = target_of(FILE, Some(&gate), &[field("interval", "9s"), ("expect.audio".to_owned(), None)], &env);
    let changed = changed.expect("a target");
    assert_eq!((changed.id, changed.interval.as_secs(), changed.expect.audio), (gate, 9, None));
    assert!(target_of(FILE, None, &[field("url", "nothing")], &env).is_err());
}

fn section(path: &str, fields: &[(&str, Option<Value>)]) -> Edit {
    Edit::SetSection {
        path: path.to_owned(),
        fields: fields.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
    }
}

#[test]
fn a_section_is_changed_all_at_once() {
    let text = "influxdb:\n  url: http://h:8086 # the old one\n  database: d # of all sites\n  # nobody else\n  username: u\n  password: p\ntargets: []\n";
    // One by one each of these would make a section that nobody understands.
    check(
        text,
        &section(
            "influxdb",
            &[
                ("database", None),
                ("username", None),
                ("password", None),
                ("bucket", Some(s("b"))),
                ("token", Some(s("t"))),
                ("url", Some(s("http://h:8086"))),
            ],
        ),
        "  database: d # of all sites\n  # nobody else\n  username: u\n  password: p\n",
        "  bucket: b\n  token: t\n  # nobody else\n",
    );
    let new = section("influxdb", &[("url", Some(s("http://h"))), ("database", Some(s("d"))), ("token", None)]);
    check(FILE, &new, "30s}\n", "30s}\ninfluxdb:\n  url: http://h\n  database: d\n");
    check("# nothing yet\n", &new, "yet\n", "yet\ninfluxdb:\n  url: http://h\n  database: d\n");
    check(text, &top("influxdb", None), &text[..text.len() - "targets: []\n".len()], "");
    refused(text, &section("influxdb", &[("password", Some(s("***")))]), &["influxdb.password: *** stands here"]);
    refused(text, &section("influxdb", &[("url", None)]), &["url is missing"]);
}

const RULES: &str = "alerts:\n  group_window: 2s\n  rules: # ours\n    # at night too\n    - name: Gate down\n      status: down # not degraded\n    - {name: Slow, reading: took_ms, above: 500}\ntargets:\n  - {name: a, url: 'http://h/'}\n";

#[test]
fn items_of_lists_are_added_changed_and_removed_by_name() {
    let item = |name: &str, fields: &[(&str, Option<Value>)]| Edit::SetItem {
        list: "alerts.rules".to_owned(),
        name: name.to_owned(),
        fields: fields.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
    };
    let gone = |name: &str| Edit::RemoveItem { list: "alerts.rules".to_owned(), name: name.to_owned() };
    check(
        RULES,
        &item("Gate down", &[("for", Some(s("10s")))]),
        "# not degraded\n",
        "# not degraded\n      for: 10s\n",
    );
    check(RULES, &item("Slow", &[("above", Some(Value::Int(700)))]), "above: 500", "above: 700");
    check(
        RULES,
        &item("Slow", &[("reading", None), ("above", None), ("status", Some(list(&["down"])))]),
        ", reading: took_ms, above: 500}",
        ", status: [down]}",
    );
    check(RULES, &gone("Slow"), "    - {name: Slow, reading: took_ms, above: 500}\n", "");
    check(
        RULES,
        &gone("Gate down"),
        "    # at night too\n    - name: Gate down\n      status: down # not degraded\n",
        "",
    );
    refused(RULES, &gone("Nobody"), &["there is no \"Nobody\" in alerts.rules"]);
    refused(RULES, &item("Slow", &[("status", Some(list(&["down"])))]), &["alerts.rules[1]"]);
    let new = |list: &str| Edit::AddItem {
        list: list.to_owned(),
        fields: vec![("name".to_owned(), s("New")), ("status".to_owned(), list_of_one())],
    };
    let block = "    - name: New\n      status: [down]\n";
    check(RULES, &new("alerts.rules"), "above: 500}\n", &format!("above: 500}}\n{block}"));
    for (text, from, to) in [
        ("timezone: UTC\n", "UTC\n", format!("UTC\nalerts:\n  rules:\n{block}")),
        ("alerts:\n  flap_changes: 5\n", "5\n", format!("5\n  rules:\n{block}")),
        ("# none\n", "none\n", format!("none\nalerts:\n  rules:\n{block}")),
    ] {
        check(text, &new("alerts.rules"), from, &to);
    }
    let window = Edit::AddItem {
        list: "maintenance".to_owned(),
        fields: vec![
            ("name".to_owned(), s("Updates")),
            ("cron".to_owned(), s("0 3 * * 1")),
            ("duration".to_owned(), s("1h")),
        ],
    };
    let written = "maintenance:\n  - name: Updates\n    cron: 0 3 * * 1\n    duration: 1h\n";
    check(RULES, &window, "'http://h/'}\n", &format!("'http://h/'}}\n{written}"));
}

fn list_of_one() -> Value {
    list(&["down"])
}
