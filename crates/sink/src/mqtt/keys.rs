//! The section `mqtt` of the configuration: its keys, and what they mean together. Opens nothing.

use std::time::Duration;

use model::conf::{Field, Problem, Section, Type};
use model::secret::MASK;
use net::trust::{TlsOptions, Trust};
use wire::mqtt::{Qos, Version};

use super::settings::{DEFAULT_BASE, Settings};

/// Longest host name, user name and client id, in bytes.
const MAX_NAME_BYTES: usize = 256;
/// Longest topic and longest path, in bytes: brokers take more, people do not read more.
const MAX_TOPIC_BYTES: usize = 256;
/// Longest path of a file, in bytes (Linux PATH_MAX).
const MAX_FILE_BYTES: usize = 4096;
/// Longest keep-alive: seconds in 16 bits (mqtt-v3.1.1 section 3.1.2.10).
const MAX_KEEP_ALIVE: Duration = Duration::from_secs(65_535);

const NAME: Type = Type::Text { max: MAX_NAME_BYTES };
const TOPIC: Type = Type::Text { max: MAX_TOPIC_BYTES };
const FILE: Type = Type::Text { max: MAX_FILE_BYTES };
const PORT: Type = Type::Integer { min: 1, max: 65_535 };

/// Keys of `mqtt`.
pub static FIELDS: &[Field] = &[
    Field::new("enabled", Type::Bool, "Whether anything is published.").default("false"),
    Field::new("host", NAME, "Host name or address of the broker. Needed when `enabled` is true; there is no default."),
    Field::new("port", PORT, "Port for plain connections.").default("1883"),
    Field::new("ws_port", PORT, "Port when `use_websocket` is true and `use_tls` is not.").default("8000"),
    Field::new("tls_port", PORT, "Port when `use_tls` is true and `use_websocket` is not.").default("8883"),
    Field::new("tls_ws_port", PORT, "Port when both are true.").default("8884"),
    Field::new("use_tls", Type::Bool, "Whether the connection is encrypted.").default("false"),
    Field::new("use_websocket", Type::Bool, "Whether MQTT is spoken inside a WebSocket.").default("false"),
    Field::new("ws_path", TOPIC, "Path of the WebSocket.").default("/mqtt"),
    Field::new("protocol", Type::Choice(&["3.1.1", "5"]), "Version of MQTT.").default("3.1.1"),
    Field::new("username", NAME, "User name."),
    Field::new("password", Type::Secret, "Password."),
    Field::new("client_id", NAME, "Name of the client at the broker; two clients of one name throw each other out. A random one when absent."),
    Field::new("ca_file", FILE, "PEM file with the only certificates to believe: authorities, or the broker's own. Without, those the operating system trusts."),
    Field::new("client_cert", FILE, "PEM file with the certificate to present to the broker; needs `client_key`."),
    Field::new("client_key", FILE, "PEM file with the private key of `client_cert`."),
    Field::new("tls_insecure", Type::Bool, "Whether any certificate is believed. Whoever stands between us and the broker can then read the password.").default("false"),
    Field::new("topic", TOPIC, "Topic of the status as a whole, in the shape of `/api/status`.").default("streampulse/status"),
    Field::new("interval_seconds", Type::Integer { min: 5, max: 86_400 }, "From one status as a whole to the next, in seconds.").default("10"),
    Field::new("qos", Type::Integer { min: 0, max: 2 }, "Quality of service of all messages: 0 at most once, 1 at least once, 2 exactly once. Alerts have at least 1.").default("0"),
    Field::new("retain", Type::Bool, "Whether the broker keeps the status as a whole. The topics of single streams are always kept.").default("false"),
    Field::new("keep_alive", Type::Duration { min: Duration::from_secs(5), max: MAX_KEEP_ALIVE }, "A silent broker is asked whether it is there after this time, and given up after half as long again, at most 10 s.").default("30s"),
    Field::new("base_topic", TOPIC, "What all other topics begin with: `stream/ID`, `events`, `alerts`, `availability`, `index`, `test`. Two instances at one broker need two.").default(DEFAULT_BASE),
    Field::new("availability_topic", TOPIC, "Topic of `online` and `offline`, which is also the last will. `availability` below the base topic when absent."),
    Field::new("discovery", Type::Bool, "Whether every stream is announced to Home Assistant as a device.").default("false"),
    Field::new("discovery_prefix", TOPIC, "Where Home Assistant listens for announcements.").default("homeassistant"),
];

/// What is told of keys that are wrong: key, what is wrong, remedy.
type Wrong<'a> = &'a mut dyn FnMut(&str, String, &str);

impl Settings {
    /// Reads a section that was checked against [`FIELDS`]; `None` when it is switched off, or cannot be used (the problems
    /// say why). What is wrong is told of a section that is switched off as well.
    #[must_use]
    pub fn read(section: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let mut wrong = |key: &str, message: String, remedy: &str| {
            problems.push(Problem::new(section.place_of(key), section.path_of(key), message).with_remedy(remedy));
        };
        let flag = |key| section.bool(key).unwrap_or(false);
        let enabled = flag("enabled");
        let host = host(section, enabled, &mut wrong);
        let (use_tls, use_websocket) = (flag("use_tls"), flag("use_websocket"));
        let port = match (use_tls, use_websocket) {
            (false, false) => "port",
            (false, true) => "ws_port",
            (true, false) => "tls_port",
            (true, true) => "tls_ws_port",
        };
        let path = section.text("ws_path").unwrap_or_default();
        if !path.starts_with('/') || !path.bytes().all(|b| b.is_ascii_graphic()) {
            wrong("ws_path", format!("{path:?} is no path"), "begin it with a slash, and write no blanks");
        }
        let tls = tls(section, use_tls, &mut wrong);
        let username = section.text("username").filter(|name| !name.is_empty());
        let password = section.secret("password").filter(|password| !password.is_empty());
        if password.as_ref().is_some_and(|password| password.expose() == MASK) {
            wrong("password", format!("{MASK} is what is shown in place of a password"), "write the password itself");
        }
        let version = if section.text("protocol").as_deref() == Some("5") { Version::V5 } else { Version::V311 };
        if password.is_some() && username.is_none() && version == Version::V311 {
            wrong(
                "password",
                "MQTT 3.1.1 has no password without a user name".to_owned(),
                "add username, or write `protocol: \"5\"`",
            );
        }
        let mut topic = |key: &str| topic(section, key, &mut wrong);
        let (status, base, prefix) = (topic("topic"), topic("base_topic"), topic("discovery_prefix"));
        let availability = section.node("availability_topic").is_some().then(|| topic("availability_topic"));
        let count = |key| section.integer(key).and_then(|n| u16::try_from(n).ok());
        let settings = Self {
            host: host.unwrap_or_default(),
            port: count(port).unwrap_or_default(),
            tls: use_tls.then_some(tls),
            websocket: use_websocket.then_some(path),
            version,
            username,
            password,
            client_id: section.text("client_id").filter(|id| !id.is_empty()),
            keep_alive: Duration::from_secs(section.duration("keep_alive").unwrap_or_default().as_secs()),
            topic: status,
            qos: section.integer("qos").and_then(|n| Qos::of(u8::try_from(n).ok()?)).unwrap_or_default(),
            retain: flag("retain"),
            interval: Duration::from_secs(
                section.integer("interval_seconds").and_then(|n| u64::try_from(n).ok()).unwrap_or(10),
            ),
            base,
            availability,
            discovery: flag("discovery").then_some(prefix),
        };
        (enabled && problems.len() == before && !settings.host.is_empty()).then_some(settings)
    }
}

fn host(section: &Section<'_>, enabled: bool, wrong: Wrong<'_>) -> Option<String> {
    let host = section.text("host").map(|host| host.trim().to_owned()).filter(|host| !host.is_empty());
    match &host {
        None if enabled => {
            wrong(
                "host",
                "host is missing".to_owned(),
                "name your broker, or write `enabled: false`; there is no default, since what is published names your streams",
            );
        }
        Some(host)
            if host.contains(['/', '@', '#', '?', ' '])
                || (host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err()) =>
        {
            wrong(
                "host",
                "this is no host name and no address".to_owned(),
                "write the name alone; port, TLS, user and password have keys of their own",
            );
        }
        _ => {}
    }
    host
}

fn tls(section: &Section<'_>, use_tls: bool, wrong: Wrong<'_>) -> TlsOptions {
    let insecure = section.bool("tls_insecure").unwrap_or(false);
    let trust = match section.text("ca_file") {
        Some(_) if insecure => {
            wrong("ca_file", "ca_file has no effect while tls_insecure is true".to_owned(), "remove one of the two");
            Trust::Insecure
        }
        Some(file) => Trust::CaFile(file.into()),
        None if insecure => Trust::Insecure,
        None => Trust::System,
    };
    let client_cert = match (section.text("client_cert"), section.text("client_key")) {
        (Some(cert), Some(key)) => Some((cert.into(), key.into())),
        (None, None) => None,
        (cert, _) => {
            let (there, missing) =
                if cert.is_some() { ("client_cert", "client_key") } else { ("client_key", "client_cert") };
            wrong(there, format!("{there} is given without {missing}"), "give both, or none");
            None
        }
    };
    if !use_tls {
        for key in ["ca_file", "client_cert", "client_key"].iter().filter(|key| section.node(key).is_some()) {
            wrong(key, format!("{key} has no effect without `use_tls: true`"), "switch use_tls on, or remove the key");
        }
    }
    TlsOptions { trust, client_cert, server_name: None }
}

/// A topic that can be published to (mqtt-v3.1.1 section 4.7): no wildcards, not one of the broker's own.
fn topic(section: &Section<'_>, key: &str, wrong: Wrong<'_>) -> String {
    let text = section.text(key).unwrap_or_default();
    let bad = text.is_empty()
        || text.starts_with(['$', '/'])
        || text.ends_with('/')
        || text.contains(['+', '#'])
        || text.chars().any(char::is_control);
    if bad {
        wrong(
            key,
            format!("{text:?} is no topic to publish to"),
            "write words and single slashes, without + and #, as in cams/status",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use model::conf::{Node, Value};

    use super::*;

    fn read(pairs: &[(&str, Value)]) -> (Option<Settings>, Vec<String>) {
        let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), Node::bare(v.clone()))).collect();
        let node = Node::bare(Value::Map(pairs));
        let mut problems = Vec::new();
        let section = Section::check(&node, FIELDS, "mqtt", &mut problems);
        let settings = Settings::read(&section, &mut problems);
        (settings, problems.iter().map(ToString::to_string).collect())
    }

    fn text(text: &str) -> Value {
        Value::Str(text.to_owned())
    }

    const ON: (&str, Value) = ("enabled", Value::Bool(true));

    #[test]
    fn the_least_is_a_host_and_the_rest_is_as_the_fields_say() {
        let (settings, problems) = read(&[ON, ("host", text("broker.lan"))]);
        assert_eq!((settings, problems), (Some(Settings::plain("broker.lan", 1883)), Vec::new()));
        assert_eq!(read(&[("host", text("broker.lan"))]), (None, Vec::new()), "off unless switched on");
        let nulls = [ON, ("host", text("h")), ("username", Value::Null), ("password", Value::Null)];
        assert_eq!(read(&nulls).0.map(|s| (s.username, s.password)), Some((None, None)));
    }

    #[test]
    fn the_flags_choose_the_port() {
        for (tls, websocket, broker) in [
            (false, false, "mqtt://h:1883"),
            (false, true, "ws://h:8000/mqtt"),
            (true, false, "mqtts://h:8883"),
            (true, true, "wss://h:8884/mqtt"),
        ] {
            let flags =
                [ON, ("host", text("h")), ("use_tls", Value::Bool(tls)), ("use_websocket", Value::Bool(websocket))];
            assert_eq!(read(&flags).0.map(|s| s.broker()).as_deref(), Some(broker));
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_no_password_is_shown() {
        for (pairs, expected) in [
            (vec![ON], "mqtt.host: host is missing"),
            (vec![ON, ("host", text("mqtt://u:planted@h:1883"))], "mqtt.host: this is no host name"),
            (vec![ON, ("host", text("h")), ("password", text("planted"))], "no password without a user name"),
            (
                vec![ON, ("host", text("h")), ("username", text("u")), ("password", text("***"))],
                "in place of a password",
            ),
            (vec![("interval_seconds", Value::Int(4))], "4 is out of range"),
            (vec![("qos", Value::Int(3))], "3 is out of range"),
            (vec![("topic", text("a/#"))], "\"a/#\" is no topic"),
            (vec![("base_topic", text("$SYS"))], "\"$SYS\" is no topic"),
            (
                vec![("client_key", text("k")), ("use_tls", Value::Bool(true))],
                "client_key is given without client_cert",
            ),
            (vec![("ca_file", text("c"))], "no effect without `use_tls: true`"),
            (vec![("ws_path", text("mqtt"))], "\"mqtt\" is no path"),
            (vec![("protocol", text("4"))], "\"4\" is not accepted"),
        ] {
            let (settings, problems) = read(&pairs);
            assert!(problems.len() == 1 && problems[0].contains(expected), "{expected}: {problems:?}");
            assert!(settings.is_none() && !problems[0].contains("planted"));
        }
    }
}
