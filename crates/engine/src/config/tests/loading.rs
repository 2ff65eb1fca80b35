//! Text to configuration: what is accepted, and every rule's refusal with its place and words.

use std::time::Duration;

use model::conf::Value;
use model::reading::Depth;

use super::{check, check_warnings, env, good, lines, load};
use crate::config::fields::EXPECT;
use crate::config::{Form, Overrides};

const SEC: Duration = Duration::from_secs(1);

#[test]
fn a_full_file_is_read() {
    let config = check_warnings(
        r#"
timezone: Europe/Zurich
server:
  listen: ["127.0.0.1:8000", "[::1]:8000"]
  status_listen: 0.0.0.0:7000
  login: false
  session: 2h
store:
  keep_observations: 3d
probing:
  at_once_per_host: 2
defaults:
  interval: 20s
  group: All
  expect: {warn_after: 3s, audio: true}
templates:
  slow: {timeout: 20s, interval: 60s}
  quiet:
    tags: [night, yard]
    expect: {audio: false}
targets:
  - name: Front Door
    url: rtsp://viewer:${CAM_PASSWORD}@10.0.0.5/s1
    template: [slow, quiet]
    expect: {video_codec: [H.265, h264], min_fps: 12.5}
  - id: page
    url: https://example.org/?q=1
    enabled: false
    group: ~
    retries: 3
  - {name: "Cam: two", url: "http://10.0.0.6:9081/video.mjpg", depth: describe, tags: one}
"#,
        &[],
    );
    assert_eq!(config.form, Form::Current);
    assert_eq!(config.timezone, "Europe/Zurich");
    assert_eq!((config.server.listen.len(), config.server.login), (2, false));
    assert_eq!(config.server.session, 7200 * SEC);
    assert_eq!(config.store.keep_observations, 3 * 86_400 * SEC);
    assert_eq!((config.limits.probes_at_once, config.limits.probes_per_host), (1024, 2));
    let [door, page, cam] = &config.targets[..] else { panic!("{:?}", config.targets) };
    assert_eq!((door.id.as_str(), door.kind), ("front-door", "rtsp"));
    assert_eq!(door.address.credentials().expect("given").password.expose(), "s3cr3t-pass");
    assert_eq!((door.interval, door.timeout), (60 * SEC, 20 * SEC));
    assert_eq!((door.group.as_deref(), door.tags.len()), (Some("All"), 2));
    assert_eq!((door.expect.audio, door.expect.warn_after), (Some(false), Some(3 * SEC)));
    assert_eq!(door.expect.video_codec, ["hevc", "h264"]);
    assert_eq!((door.expect.min_fps, door.expect.warn_cert), (Some(12.5), Some(14 * 86_400 * SEC)));
    assert_eq!((page.name.as_str(), page.kind, page.enabled, page.retries), ("page", "http", false, 3));
    assert_eq!((page.group.as_deref(), page.expect.audio), (None, None));
    assert_eq!((cam.kind, cam.depth, cam.tags.as_slice()), ("mjpeg", Depth::Describe, &["one".to_owned()][..]));
    let shown = format!("{config:?}");
    assert!(!shown.contains("s3cr3t"), "{shown}");
}

#[test]
fn a_deadline_that_is_not_given_fits_the_interval() {
    let timeout = |keys: &str| good(&format!("targets: [{{name: a, url: 'http://h/'{keys}}}]")).targets[0].timeout;
    for (keys, ms) in [
        ("", 7000),
        (", interval: 5s", 3500),
        (", interval: 2s", 1400),
        (", interval: 1s", 1000),
        (", interval: 11s", 7700),
        (", interval: 12s", 8000),
        (", interval: 1d", 8000),
        (", interval: 5s, timeout: 5s", 5000),
    ] {
        assert_eq!(timeout(keys).as_millis(), ms, "{keys}");
    }
    check_warnings(
        "targets: [{name: a, url: 'http://h/', interval: 5s, timeout: 6s}]",
        &["line 1, column 62: targets[0].timeout: the timeout of 6s is longer than the interval of 5s"],
    );
}

#[test]
fn nothing_to_watch_is_a_warning_and_an_empty_file_a_problem() {
    for text in ["# only a comment\n", "targets: []\n", "targets:\n", "timezone: UTC\n"] {
        check_warnings(text, &["nothing is watched"]);
    }
    for text in ["", "  \n\n\t\n"] {
        check(text, &["the file is empty; it may be half-written"]);
    }
}

#[test]
fn every_problem_of_a_file_comes_at_once_in_its_order() {
    check(
        "timezone: Europe/Zurick
server: {login: no, listen: 8000, sesion: 1h, tls_cert: a.pem}
defaults: {interval: 10}
targets:
  - name: A
    url: rtsp://u:hunter2@h:port/
    intervall: 5s
  - name: A2
    url: gopher://h/
    kind: rstp
  - name: B
    url: http://h/
    retries: 99
    template: nope
",
        &[
            "line 1, column 11: timezone: there is no time zone \"Europe/Zurick\" (did you mean Europe/Zurich?)",
            "line 2, column 17: server.login: expected true or false, found a text",
            "line 2, column 29: server.listen: \"8000\" is no address with port",
            "line 2, column 35: server.sesion: unknown key sesion (did you mean session?)",
            "tls_cert is there and tls_key is not",
            "line 3, column 22: defaults.interval: \"10\" is no duration",
            "line 6, column 10: targets[0].url: not a URL",
            "line 7, column 5: targets[0].intervall: unknown key intervall (did you mean interval?)",
            "line 10, column 11: targets[1].kind: there is no kind \"rstp\" (did you mean rtsp?)",
            "line 13, column 14: targets[2].retries: 99 is out of range, accepted: 0 to 5",
            "line 14, column 15: targets[2].template: there is no template \"nope\"",
        ],
    );
}

#[test]
fn a_wrong_key_hides_neither_what_the_kind_says_nor_a_name_that_is_taken() {
    check(
        "timezone: UTC
timezone: UTC
templates:
  t: {interval: 5s, zzz: 4}
targets:
  - name: A
    url: http://h/
    intervall: 5s
    expect_status: [99, abc, 204, 700]
    body_regex: \"(\"
    json_pointer: status/ready
    headers: {x-api-key: hunter2, \"b c\": d}
  - name: A
    url: rtsp://h/
    kind: http
    json_equals: [1]
    timeout: 30m
  - name: A
    url: rtsp://h:port/
    kind: rtsp
    client_cert: a.pem
  - name: [A]
    url: rtsp://h/
    expect_status: 99
    flow: 20s
    timeout: 1x
",
        &[
            "line 2, column 1: the key timezone stands here a second time",
            "line 4, column 21: templates.t.zzz: unknown key zzz",
            "line 8, column 5: targets[0].intervall: unknown key",
            "line 9, column 21: targets[0].expect_status[0]: \"99\" is no status code",
            "line 9, column 25: targets[0].expect_status[1]: \"abc\" is no status code",
            "line 9, column 35: targets[0].expect_status[3]: \"700\" is no status code",
            "line 10, column 17: targets[0].body_regex: is no regular expression",
            "line 11, column 19: targets[0].json_pointer: a JSON pointer begins with a slash",
            "line 12, column 26: targets[0].headers.x-api-key: may hold a secret",
            "line 12, column 42: targets[0].headers.b c: is no header name",
            "line 13, column 11: targets[1].name: the name \"A\" is that of targets[0] too",
            "line 14, column 10: targets[1].url: the kind http cannot look at rtsp:// addresses",
            "line 16, column 18: targets[1].json_equals: is a list",
            "line 17, column 14: targets[1].timeout: 30m is out of range",
            "line 18, column 11: targets[2].name: the name \"A\" is that of targets[0] too",
            "line 19, column 10: targets[2].url: not a URL",
            "line 21, column 18: targets[2].client_cert: client_cert is given without client_key",
            "line 22, column 11: targets[3].name: expected a text, found a list",
            "line 24, column 5: targets[3].expect_status: expect_status is a key of the kind http",
            "line 26, column 14: targets[3].timeout: \"1x\" is no duration",
        ],
    );
}

#[test]
fn each_rule_of_a_target_refuses_with_a_remedy() {
    for (target, problem) in [
        ("{url: 'http://h/'}", "targets[0].name: name is missing"),
        ("{name: a}", "targets[0].url: url is missing"),
        ("{name: '', url: 'http://h/'}", "targets[0].name: name is missing"),
        ("{name: \"a\\nb\", url: 'http://h/'}", "control character"),
        ("{id: Big, url: 'http://h/'}", "targets[0].id: an id consists of a-z"),
        ("{name: a, url: h}", "it needs a scheme"),
        ("{name: a, url: 'gopher://h/'}", "no kind looks at gopher:// addresses (known schemes:"),
        ("{name: a, url: 'rtsp://h/', kind: http}", "targets[0].url: the kind http cannot look at rtsp:// addresses"),
        ("{name: a, url: 'rtsp://h/', method: GET}", "method is a key of the kind http, and this is of the kind rtsp"),
        (
            "{name: a, url: 'tcp://h:1/', expect: {video: true}}",
            "the kind tcp carries no media, so video can never be met",
        ),
        ("{name: a, url: 'http://h/', expect: {audoi: true}}", "unknown key audoi (did you mean audio?)"),
        ("{name: a, url: 'http://h/', expect: 3}", "targets[0].expect: expected a mapping, found a whole number"),
        ("{name: a, url: 'http://h/', interval: 500ms}", "500ms is out of range, accepted: 1s to 1d"),
        ("{name: a, url: 'http://h/', enabled: yes}", "expected true or false, found a text"),
        (
            "{name: a, url: 'http://h/', retries: '3'}",
            "targets[0].retries: expected a whole number, found a text (take the quotes off)",
        ),
        ("{name: a, url: 'http://h/', enabled: 'false'}", "expected true or false, found a text (take the quotes off)"),
        (
            "{name: a, url: 'rtsp://h/', expect: {min_fps: '2.5'}}",
            "expected a number, found a text (take the quotes off)",
        ),
        ("{name: a, url: 'http://h/', fail_after: 0}", "0 is out of range"),
        ("{name: a, url: 'rtsp://h/', depth: deep}", "accepted: reach, describe, media"),
        (
            "{name: a, url: 'http://h/', watch: continuous}",
            "targets[0].watch: the kind http cannot be watched continuously: it has no session to hold (remove it, or",
        ),
        (
            "{name: a, url: 'rtsp://h/', watch: continuous, depth: describe}",
            "targets[0].depth: a session that is held receives media, and depth is describe (write `depth: media`",
        ),
        ("{name: a, url: 'rtsp://h/', watch: always}", "accepted: periodic, continuous"),
        ("just words", "a target is a mapping with at least a name and a url"),
        ("[a]", "a target is a mapping"),
    ] {
        check(&format!("targets:\n  - {target}\n"), &[problem]);
    }
}

#[test]
fn what_is_held_by_default_is_held_where_it_can_be() {
    let config = good(
        "defaults: {watch: continuous}
templates: {calm: {watch: periodic}}
targets:
  - {name: a, url: 'rtsp://h/'}
  - {name: b, url: 'http://h/'}
  - {name: c, url: 'rtsp://h/', template: calm}
  - {name: d, url: 'rtsp://h/', watch: periodic}
  - {name: e, url: 'rtsp://h/', watch: ~}
",
    );
    let watched: Vec<_> = config.targets.iter().map(|t| t.watch.as_str()).collect();
    assert_eq!(watched, ["continuous", "periodic", "periodic", "periodic", "periodic"]);
    check_warnings(
        "targets: [{name: a, url: 'rtsp://h/', watch: continuous, retries: 2}]",
        &["targets[0].retries: retries has no effect with watch: continuous"],
    );
}

#[test]
fn ids_and_names_are_unique() {
    let two = |a: &str, b: &str| format!("targets:\n  - {a}\n  - {b}\n");
    let at = "url: 'http://h/'";
    check(
        &two(&format!("{{name: A, {at}}}"), &format!("{{name: A, {at}}}")),
        &["line 3, column 12: targets[1].name: the name \"A\" is that of targets[0] too"],
    );
    check(
        &two(&format!("{{name: A b, {at}}}"), &format!("{{name: a-b, {at}}}")),
        &["targets[1].id: the id a-b is that of targets[0] too (ids are made from names: add an `id`"],
    );
    check(
        &two(&format!("{{id: x, {at}}}"), &format!("{{id: x, name: y, {at}}}")),
        &["the id x is that of targets[0] too"],
    );
}

#[test]
fn each_rule_of_the_server_refuses() {
    for (server, problem) in [
        (
            "login: false, listen: '0.0.0.0:8000'",
            "login may be off only on loopback addresses, and 0.0.0.0:8000 is none",
        ),
        ("tls_key: k.pem", "tls_key is there and tls_cert is not"),
        ("status_listen: '127.0.0.1:8000'", "127.0.0.1:8000 is in listen too"),
        ("status_listen: 'host:1'", "\"host:1\" is no address with port"),
        ("listen: []", "nothing to listen on"),
        ("listen: ['127.0.0.1:1', '127.0.0.1:1']", "127.0.0.1:1 twice"),
        ("session: 1s", "out of range"),
    ] {
        check(&format!("server: {{{server}}}"), &[problem]);
    }
    good("server: {listen: 'localhost:9000', login: false}");
    let overrides =
        |demo| Overrides { listen: Some(vec!["0.0.0.0:1".parse().expect("valid")]), demo, ..Overrides::default() };
    let load = |demo| crate::config::load("server: {login: false}", &env, &overrides(demo));
    assert!(lines(&load(false).expect_err("refused")).contains("loopback"));
    assert_eq!(load(true).expect("accepted").server.listen.len(), 1);
}

#[test]
fn the_structure_of_the_file_is_checked() {
    for (text, problem) in [
        ("- a\n", "expected a mapping, found a list"),
        ("words\n", "expected a mapping, found a text"),
        ("targets: {a: 1}\n", "targets: expected a list, found a mapping"),
        ("targets: 3\n", "targets: expected a list"),
        ("templates: [a]\n", "templates: expected a mapping from names"),
        ("templates: {a: 3}\n", "templates.a: expected a mapping"),
        ("templates: {a: {url: x}}\n", "templates.a.url: url cannot come from a template"),
        ("templates: {a: {nam: x}}\n", "templates.a.nam: unknown key"),
        ("templates: {a: {interval: x}}\n", "templates.a.interval: \"x\" is no duration"),
        ("defaults: {url: x}\n", "defaults.url: unknown key url"),
        ("defaults: {expect: {audio: 3}}\n", "defaults.expect.audio: expected true or false"),
        ("target: []\n", "line 1, column 1: target: unknown key target (did you mean targets?)"),
        ("store:\n  keep_day: 5d\n", "line 2, column 3: store.keep_day: unknown key keep_day"),
        ("defaults: {expect: {audoi: true}}\n", "line 1, column 21: defaults.expect.audoi: unknown key audoi"),
        ("probing: {at_once: 2, at_once_per_host: 3}\n", "bounds nothing"),
        ("store: {keep_days: 5}\n", "store.keep_days: \"5\" is no duration: a unit is missing"),
    ] {
        check(text, &[problem]);
    }
}

#[test]
fn a_problem_of_a_template_is_told_once_and_where_it_stands() {
    check(
        "templates: {t: {method: HEAD}}\ntargets:\n  - {name: a, url: 'rtsp://h/', template: t}\n  - {name: b, url: 'rtsp://h/', template: t}\n",
        &["line 1, column 17: targets[0].method: method is a key of the kind http"],
    );
    check(
        "defaults: {interval: 9}\ntargets: [{name: a, url: 'http://h/'}, {name: b, url: 'http://h/'}]\n",
        &["line 1, column 22: defaults.interval: \"9\" is no duration"],
    );
}

#[test]
fn yaml_that_is_refused() {
    for (text, problem) in [
        (
            "timezone: UTC\ntimezone: UTC\n",
            "line 2, column 1: the key timezone stands here a second time, first in line 1",
        ),
        ("timezone: UTC\n---\ntargets: []\n", "line 2, column 1: a second document begins here"),
        ("targets:\n\t- name: a\n", "line 2, column 1: a tab in the indentation (indent with spaces only)"),
        ("timezone: UTC\n\tx: y\n", "line 2, column 1: a tab in the indentation"),
        ("timezone: !!str UTC\n", "tags (!name) are not accepted"),
        ("timezone: *zone\n", "line 1, column 11: an alias names an anchor that is not there"),
        ("targets: &t [*t]\n", "an alias"),
        ("timezone: \"UTC\n", "line 1, column 11: a quoted text that begins here does not end well"),
        ("targets: [\n  {name: a\n", "line"),
        ("timezone: UTC: x\n", "line 1, column 14: a colon stands where no key can be"),
        ("timezone: UTC\n server: {}\n", "a colon stands where no key can be"),
        ("targets: - name: a\n", "line 1, column 10: a hyphen stands where no list can begin"),
        ("timezone: UTC\nwords\n", "line"),
        ("targets: @a\n", "line 1, column 10: a character that cannot begin a value"),
        ("{a: b}: c\n", "a key must be a word"),
        ("a: <<\nb:\n  <<: 3\n", "<< takes a mapping"),
        ("a: 1\u{0}\n", "line 1, column 5: an unprintable character"),
    ] {
        let problems = load(text).expect_err(text);
        let told = problems.iter().find(|p| p.to_string().contains(problem));
        assert!(told.is_some_and(|p| p.place.is_some()), "{text:?}: {}", lines(&problems));
    }
    let deep = format!("a: {}", "[".repeat(200));
    assert!(lines(&load(&deep).expect_err("refused")).contains("nested deeper than 32 levels"));
    let huge = format!("a: {}\n", "x".repeat(model::limits::MAX_CONFIG_BYTES));
    assert!(lines(&load(&huge).expect_err("refused")).contains("at most 8388608 are accepted"));
}

#[test]
fn an_alias_bomb_is_refused_quickly() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..25 {
        let inner = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb.push_str(&format!("a{i}: &a{i} [{inner}]\n"));
    }
    assert!(lines(&load(&bomb).expect_err("refused")).contains("multiply to more than"));
}

#[test]
fn aliases_and_merge_keys_work() {
    let config = good(
        "templates:\n  base: &base {interval: 30s, tags: [x]}\ntargets:\n  - {<<: *base, name: a, url: 'http://h/'}\n  - <<: [*base]\n    name: b\n    url: http://h/\n    interval: 40s\n",
    );
    assert_eq!((config.targets[0].interval, config.targets[1].interval), (30 * SEC, 40 * SEC));
    assert_eq!(config.targets[1].tags, ["x"]);
}

#[test]
fn variables_are_values_and_never_structure() {
    let config = good("targets:\n  - {name: '${EMPTY:-a}: {b}', url: '${CAM_URL}', interval: '${PERIOD}'}\n");
    assert_eq!((config.targets[0].name.as_str(), config.targets[0].interval), ("a: {b}", 7 * SEC));
    check(
        "targets: [{name: a, url: '${CAM_ULR}'}]\n",
        &[
            "line 1, column 26: targets[0].url: the environment variable CAM_ULR is not set (set it, or write ${CAM_ULR:-default})",
        ],
    );
    check(
        "targets: [{name: a, url: 'http://h/', interval: '${WORDS}'}]\n",
        &["targets[0].interval: \"${WORDS}\" is no duration"],
    );
    check("targets: [{name: a, url: '${CAM_PASSWORD}'}]\n", &["targets[0].url: not a URL"]);
    check("targets: [{name: a, url: 'http://h/${'}]\n", &["a ${ without its }"]);
    assert_eq!(good("targets: [{name: 'a $$5 $', url: 'http://h/'}]").targets[0].name, "a $5 $");
}

#[test]
fn a_variable_in_quotes_has_the_type_of_its_value() {
    let config = good(
        "targets:
  - {name: '${N:-007}', url: 'http://h/', retries: \"${R:-2}\", enabled: '${E:-false}', tags: ['${T:-true}', \"${EMPTY}\"]}
  - {name: b, url: 'rtsp://h/', retries: \"${A:-}1${B:-}\", expect: {min_fps: \"${F:-12.5}\"}}
",
    );
    let [a, b] = &config.targets[..] else { panic!("{:?}", config.targets) };
    assert_eq!((a.name.as_str(), a.retries, a.enabled, a.tags[0].as_str()), ("007", 2, false, "true"));
    assert_eq!((b.retries, b.expect.min_fps), (1, Some(12.5)));
    let wrong = |value: &str| format!("targets: [{{name: a, url: 'http://h/', retries: \"{value}\"}}]");
    check(&wrong("${WORDS}"), &["targets[0].retries: expected a whole number, found a text"]);
    check(&wrong("${EMPTY}"), &["targets[0].retries: expected a whole number, found a text"]);
    check(&wrong("${R:-9}"), &["targets[0].retries: 9 is out of range"]);
    check(&wrong("$$2"), &["targets[0].retries: expected a whole number, found a text"]);
}

#[test]
fn a_password_from_the_environment_may_hold_any_sign() {
    let config = good(
        "targets:
  - {name: a, url: 'rtsp://viewer:${HARD}@10.0.0.5/stream1'}
  - {<<: {url: 'http://${HARD}:x@h/'}, name: b}
  - {name: c, url: 'rtsp://h/', user: u, password: '${HARD}'}
",
    );
    let [a, b, c] = &config.targets[..] else { panic!("{:?}", config.targets) };
    let credentials = a.address.credentials().expect("given");
    assert_eq!((credentials.user.as_str(), credentials.password.expose()), ("viewer", "p#a/s3cr3t?s@w:o%rd"));
    assert_eq!((a.address.host(), a.address.path_and_query().as_str()), ("10.0.0.5", "/stream1"));
    assert_eq!(b.address.credentials().expect("given").user, "p#a/s3cr3t?s@w:o%rd");
    assert_eq!(c.options.0.get("password"), Some(&Value::Str("p#a/s3cr3t?s@w:o%rd".to_owned())));
    assert!(!format!("{a:?}").contains("s3cr3t"), "{a:?}");
    check(
        "targets: [{name: a, url: 'rtsp://u:${HARD}@h:port/'}]\n",
        &["targets[0].url: not a URL: invalid port number"],
    );
}

#[test]
fn scalars_keep_their_text() {
    let config = good("targets: [{name: 007, url: 'http://h/', group: 1.10, tags: [true, 0x1F]}]\n");
    let target = &config.targets[0];
    assert_eq!((target.name.as_str(), target.group.as_deref()), ("007", Some("1.10")));
    assert_eq!(target.tags, ["true", "0x1F"]);
}

#[test]
fn a_target_that_only_moves_in_the_file_stays_equal() {
    let text = "targets:\n  - {name: a, url: 'http://h/', headers: {X-A: b}}\n";
    let moved = format!("# a comment\n\n{text}");
    assert_eq!(good(text).targets, good(&moved).targets);
    let options = &good(text).targets[0].options;
    assert!(matches!(options.0.get("headers"), Some(Value::Map(_))), "{options:?}");
    assert_eq!(good(text), good(&text.replace('\n', "\r\n")));
}

#[test]
fn what_can_never_happen_is_a_warning() {
    check_warnings(
        "targets:\n  - {name: a, url: 'http://h/', depth: reach, expect: {warn_after: 9s, fail_after: 5s}}\n",
        &[
            "depth has no effect on the kind http",
            "warn_after is not shorter than fail_after",
            "warn_after is not shorter than the timeout",
        ],
    );
}

#[test]
fn bounds_of_measures_come_in_their_own_units() {
    let config = good(
        "targets:\n  - {name: a, url: 'rtsp://h/', expect: {warn_max_latency: 1.5s, min_bitrate_kbps: 500, max_loss_percent: 0.5, max_keyframe_interval: 4s}}\n  - {name: b, url: 'tcp://h:1', expect: {max_latency: 20ms}}\ndefaults: {expect: {max_playlist_age: 1m}}\n",
    );
    let bounds = |i: usize| -> Vec<(&str, f64)> {
        config.targets[i].expect.bounds.iter().map(|b| (b.of.key, b.value)).collect()
    };
    let first = [
        ("min_bitrate_kbps", 500.0),
        ("max_loss_percent", 0.5),
        ("warn_max_latency", 1500.0),
        ("max_keyframe_interval", 4000.0),
        ("max_playlist_age", 60_000.0),
    ];
    assert_eq!(bounds(0), first);
    assert_eq!(bounds(1), [("max_latency", 20.0)], "a default for media is not meant for a kind without");
    check_warnings(
        "targets:\n  - {name: a, url: 'rtsp://h/', expect: {min_bitrate_kbps: 900, warn_max_bitrate_kbps: 800}}\n",
        &["min_bitrate_kbps is greater than warn_max_bitrate_kbps"],
    );
}

#[test]
fn every_bound_is_a_key_and_every_key_of_a_bound_is_known() {
    for bound in &model::expect::BOUNDS {
        assert!(EXPECT.iter().any(|f| f.key == bound.key), "{} is no key of expect", bound.key);
    }
    let suffixes = ["_kbps", "_percent", "_latency", "_jitter", "_interval", "_age", "measured_fps"];
    for field in EXPECT.iter().filter(|f| suffixes.iter().any(|s| f.key.ends_with(s))) {
        assert!(model::expect::BOUNDS.iter().any(|b| b.key == field.key), "nothing judges {}", field.key);
    }
}
