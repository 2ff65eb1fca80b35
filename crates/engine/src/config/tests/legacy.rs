//! StreamPulse 2.x files: loaded as they are, refused with words, turned into the current form.

use std::time::Duration;

use super::{check, check_warnings, env, good, lines};
use model::conf::Value;

use crate::config::{Edit, Form, Overrides, edit, import_legacy, load};

/// The shape of a file as 2.2 wrote it.
const FULL: &str = "heartbeat_seconds: 15
timezone: Asia/Calcutta
streams:
- name: Gate
  url: rtsp://u:pa$word@10.0.0.5:554/s1
- name: Lab
  url: http://10.0.0.6:9081
- name: Yard
  url: http://10.0.0.7/mjpg/video.mjpg
mqtt:
  enabled: true
  host: broker.lan
  port: 1883
  username: null
  password: hunter2
  topic: cams/status
  interval_seconds: 10
  api_status_url: http://localhost:7000/api/status
";

#[test]
fn a_file_of_2_x_loads_as_it_is() {
    let config = check_warnings(
        FULL,
        &[
            "line 1, column 1: this is a StreamPulse 2.x file",
            "line 7, column 8: streams[1].url: http://10.0.0.6:9081/ is looked at as a page",
            "line 11, column 3: mqtt: besides the topic of 2.x",
            "line 15, column 13: mqtt.password: a password without a user name has no effect",
            "line 18, column 19: mqtt.api_status_url: api_status_url has no effect",
        ],
    );
    let mqtt = config.mqtt.as_ref().expect("it is published");
    assert_eq!((mqtt.broker().as_str(), mqtt.topic.as_str()), ("mqtt://broker.lan:1883", "cams/status"));
    assert_eq!((&mqtt.username, &mqtt.password, mqtt.interval), (&None, &None, Duration::from_secs(10)));
    assert_eq!((config.form, config.timezone.as_str()), (Form::Legacy2x, "Asia/Calcutta"));
    let seen: Vec<_> =
        config.targets.iter().map(|t| (t.id.as_str(), t.name.as_str(), t.kind, t.interval.as_secs())).collect();
    assert_eq!(seen, [("gate", "Gate", "rtsp", 15), ("lab", "Lab", "http", 15), ("yard", "Yard", "mjpeg", 15)]);
    assert_eq!(config.targets[0].address.credentials().expect("given").password.expose(), "pa$word");
    assert!(!format!("{config:?}").contains("pa$word"));
}

#[test]
fn the_mqtt_block_of_2_x_publishes() {
    let block = |rest: &str| format!("streams: [{{name: a, url: 'rtsp://h/'}}]\nmqtt: {{{rest}}}\n");
    let full = block(
        "enabled: true, host: h, use_tls: true, tls_port: 999, username: u, password: 'p$w', qos: 7, interval_seconds: 2.5, tls_insecure: true, retain: true",
    );
    let config = check_warnings(&full, &["2.x file", "besides the topic of 2.x"]);
    let mqtt = config.mqtt.clone().expect("it is published");
    assert_eq!((mqtt.broker().as_str(), mqtt.topic.as_str()), ("mqtts://h:999", "stream_monitor/status"));
    assert_eq!((mqtt.qos.number(), mqtt.interval.as_secs(), mqtt.retain), (2, 5, true));
    assert_eq!(mqtt.password.as_ref().map(model::secret::Secret::expose), Some("p$w"));
    assert_eq!(mqtt.tls.as_ref().map(|tls| &tls.trust), Some(&net::trust::Trust::Insecure));
    assert!(!format!("{config:?}").contains("p$w"));
    let out = import_legacy(&full).unwrap_or_else(|p| panic!("{}", lines(&p)));
    assert_eq!(good(&out).mqtt, config.mqtt, "{out}");
    // The page of 2.x wrote None for nothing, and without a host there was a public broker.
    let none = check_warnings(
        &block("enabled: true, host: h, username: None, password: None"),
        &["2.x file", "besides the topic", "\"None\" is taken as nothing", "\"None\" is taken as nothing"],
    );
    assert_eq!(none.mqtt.map(|m| (m.username.clone(), m.password.clone())), Some((None, None)));
    let nowhere = check_warnings(&block("enabled: true"), &["2.x file", "would have told a public broker"]);
    assert_eq!(nowhere.mqtt, None);
    assert_eq!(check_warnings(&block("enabled: false, host: h"), &["2.x file"]).mqtt, None);
}

#[test]
fn what_2_x_took_is_taken() {
    for (heartbeat, seconds) in [("2", 5), ("'20'", 20), ("7.9", 7), ("99999", 3600), ("~", 10)] {
        let config = good(&format!("heartbeat_seconds: {heartbeat}\nstreams: [{{name: a, url: 'rtsp://h/'}}]\n"));
        assert_eq!(config.targets[0].interval, Duration::from_secs(seconds), "{heartbeat}");
        assert!(config.targets[0].timeout <= config.targets[0].interval);
    }
    check_warnings("heartbeat_seconds: 20\n", &["2.x file", "nothing is watched"]);
    check_warnings(
        "streams: [{name: a, url: 'rtsp://h/', note: x}, {name: a, url: 'rtsp://i/'}, {name: s, url: 'whep://h:1/'}]\ntheme: dark\n",
        &[
            "2.x file",
            "note is no key",
            "a second stream of this name is shown as \"a (2)\"",
            "not watched: no kind looks at whep://",
            "theme is no key",
        ],
    );
}

#[test]
fn what_is_wrong_is_told_and_nothing_panics() {
    check("streams: ~\n", &["line 1, column 10: streams: expected a list of streams"]);
    check(
        "heartbeat_seconds: soon\nstreams: {}\n",
        &["heartbeat_seconds: the heartbeat is no number", "streams: expected a list"],
    );
    check(
        "streams:\n  - name: a\n  - url: rtsp://h/\n  - ~\n  - 3\n  - {name: [x], url: 'rtsp://h/'}\n  - {name: b, url: 'rtsp://u:hunter2@:x/'}\n",
        &[
            "streams[0].url: url is missing",
            "streams[1].name: name is missing",
            "streams[2].name",
            "streams[2].url",
            "streams[3].name",
            "streams[3].url",
            "streams[4].name",
            "streams[5].url: not a URL",
        ],
    );
    check(
        "streams: []\ntimezone: Mars/Base\nmqtt: {port: x, qos: 7}\n",
        &["there is no time zone", "mqtt.port: expected a whole number"],
    );
    check("streams: []\nmqtt: broker\n", &["mqtt: expected a mapping"]);
}

#[test]
fn importing_watches_the_same() {
    let out = import_legacy(FULL).unwrap_or_else(|p| panic!("{}", lines(&p)));
    assert!(!out.contains("hunter2"), "{out}");
    for part in
        ["timezone: Asia/Calcutta", "interval: 15s", "name: Gate", "pa$$word", "kind: mjpeg", "  host: broker.lan"]
    {
        assert!(out.contains(part), "{part}\n{out}");
    }
    let (old, new) = (good(FULL), load(&out, &env, &Overrides::default()).expect("loads"));
    assert_eq!((old.targets, old.mqtt, new.form), (new.targets, new.mqtt, Form::Current));
    assert_eq!(lines(&new.warnings), "");
    let twins = "streams: [{name: 'a: b', url: 'rtsp://h/'}, {name: 'a: b', url: 'http://h/?a=#x'}, {name: A B, url: 'rtsp://h/'}]";
    let out = import_legacy(twins).unwrap_or_else(|p| panic!("{}", lines(&p)));
    assert_eq!(good(twins).targets, good(&out).targets, "{out}");
}

#[test]
fn only_a_file_of_2_x_is_imported() {
    for text in ["targets: []\n", "# nothing\n", "timezone: UTC\n"] {
        assert!(lines(&import_legacy(text).expect_err(text)).contains("this is no StreamPulse 2.x configuration"));
    }
    assert!(import_legacy("streams: [").is_err());
    good(&import_legacy("streams: []\nheartbeat_seconds: 30\n").expect("imports"));
}

#[test]
fn the_mqtt_block_of_2_x_is_edited_in_its_own_form() {
    let set = |fields: &[(&str, Option<Value>)]| {
        let fields = fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        edit(FULL, &[Edit::SetSection { path: "mqtt".to_owned(), fields }], &env)
    };
    let changed =
        set(&[("port", Some(Value::Int(1884))), ("api_status_url", None)]).unwrap_or_else(|p| panic!("{}", lines(&p)));
    assert!(changed.contains("port: 1884") && !changed.contains("api_status_url"), "{changed}");
    let refused = set(&[("discovery", Some(Value::Bool(true)))]).expect_err("2.x has no such key");
    assert!(lines(&refused).contains("cannot hold mqtt.discovery"));
}
