//! What the configuration and the URL say of a connection. Owns the URL's query, which srt-live-transmit and others write, and
//! what can be wrong with it. Shows no passphrase and no stream id.

use std::time::Duration;

use model::address::Address;
use model::conf::{Problem, Section};
use model::secret::Secret;
use wire::srt::{MAX_STREAM_ID_BYTES, PASSPHRASE_BYTES, Passphrase, access_fields};

/// How long lost packets are waited for unless somebody wants more (draft, 4.5: four round trips on a continent).
const LATENCY: Duration = Duration::from_millis(120);
/// Longest latency that a handshake can say is 65 s; more than this is a mistake of the unit.
const MAX_LATENCY_MS: u64 = 30_000;

/// Who begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// We call.
    Caller,
    /// We wait for a call.
    Listener,
}

/// A connection as configured.
pub(super) struct Plan {
    pub(super) mode: Mode,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) stream_id: Secret,
    pub(super) passphrase: Option<Passphrase>,
    pub(super) key_bytes: Option<usize>,
    pub(super) latency: Duration,
}

impl Plan {
    /// Reads URL and options, the latter first; what is wrong goes to `problems`.
    pub(super) fn read(address: &Address, options: &Section<'_>, problems: &mut Vec<Problem>) -> Self {
        let query = |name: &str| {
            let pairs = address.expose_url().query_pairs();
            pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).last()
        };
        let mut wrong = |key: &'static str, words: &str, remedy: &str| {
            let written = !key.is_empty() && options.node(key).is_some();
            let problem = if written {
                Problem::new(options.place_of(key), key, words)
            } else {
                Problem::new(None, "url", words)
            };
            problems.push(problem.with_remedy(remedy.to_owned()));
        };
        if address.port().is_none() {
            wrong("", "the URL names no port", "as in srt://192.0.2.10:9000: SRT has no port of its own");
        }
        // Defaults stand behind the URL.
        let text = |key: &str| options.node(key).and_then(|_| options.text(key)).or_else(|| query(key));
        let mode = match text("mode").as_deref() {
            None | Some("caller" | "client") => Mode::Caller,
            Some("listener" | "server") => Mode::Listener,
            Some("rendezvous") => {
                wrong("mode", "rendezvous is not supported", "set one side to listener and the other to caller");
                Mode::Caller
            }
            Some(_) => {
                wrong("mode", "the mode of the URL is unknown", "mode=caller or mode=listener");
                Mode::Caller
            }
        };
        let secret = |key: &str| options.secret(key).or_else(|| query(key).map(Secret::new));
        let stream_id = secret("streamid").unwrap_or_default();
        if let Some((words, remedy)) = stream_id_trouble(stream_id.expose(), mode) {
            wrong("streamid", &words, remedy);
        }
        let passphrase = secret("passphrase").filter(|text| !text.is_empty());
        if passphrase.as_ref().is_some_and(|text| !PASSPHRASE_BYTES.contains(&text.expose().len())) {
            wrong("passphrase", "a passphrase of SRT has 10 to 79 bytes", "the peer has the same rule");
        }
        let key_bytes = match text("pbkeylen").as_deref() {
            None | Some("0" | "") => None,
            Some(text) => text.parse().ok().filter(|bytes| matches!(bytes, 16 | 24 | 32)).or_else(|| {
                wrong("pbkeylen", "pbkeylen is none of 16, 24 and 32", "leave it out: the peer's wish is taken");
                None
            }),
        };
        let asked = ["latency", "rcvlatency"].into_iter().find_map(query);
        let asked = asked.map(|text| text.parse().ok().filter(|&ms| ms <= MAX_LATENCY_MS).map(Duration::from_millis));
        if asked == Some(None) {
            wrong(
                "",
                "the latency of the URL is not between 0 and 30000 ms",
                "it is written in milliseconds, as latency=200",
            );
        }
        Self {
            mode,
            host: address.host().to_owned(),
            port: address.port().unwrap_or_default(),
            stream_id,
            passphrase: passphrase.and_then(|text| Passphrase::new(text.expose())),
            key_bytes,
            latency: options
                .node("latency")
                .and_then(|_| options.duration("latency"))
                .or(asked.flatten())
                .unwrap_or(LATENCY),
        }
    }
}

/// What is wrong with a stream id, and what to do.
fn stream_id_trouble(text: &str, mode: Mode) -> Option<(String, &'static str)> {
    if text.len() > MAX_STREAM_ID_BYTES {
        let words = format!("the stream id is {} bytes long; SRT allows {MAX_STREAM_ID_BYTES}", text.len());
        return Some((words, "ask the server's owner for a shorter one"));
    }
    match access_fields(text) {
        Err(error) => Some((format!("the stream id is malformed: {error}"), "as in #!::r=camera1,m=request")),
        Ok(Some(fields)) if mode == Mode::Caller && fields.contains(&("m", "publish")) => {
            let words = "the stream id asks to publish (m=publish), and a monitor only receives".to_owned();
            Some((words, "write m=request"))
        }
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::conf::{Node, Value};

    fn read(url: &str, options: &[(&str, &str)]) -> Result<Plan, String> {
        let pairs = options.iter().map(|(k, v)| ((*k).to_owned(), Node::bare(Value::Str((*v).to_owned()))));
        let node = Node::bare(Value::Map(pairs.collect()));
        let mut problems = Vec::new();
        let section = Section::check(&node, &super::super::FIELDS, "", &mut problems);
        let plan = Plan::read(&Address::parse(url).expect(url), &section, &mut problems);
        let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
        if words.is_empty() { Ok(plan) } else { Err(words.join("; ")) }
    }

    #[test]
    fn url_and_options_say_the_same() {
        let url = "srt://h:9000?mode=listener&streamid=#!::r=cam,m=request&passphrase=correct%20horse&pbkeylen=32&latency=300";
        let options = [
            ("mode", "listener"),
            ("streamid", "#!::r=cam,m=request"),
            ("passphrase", "correct horse"),
            ("pbkeylen", "32"),
            ("latency", "300ms"),
        ];
        for plan in [read(url, &[]), read("srt://h:9000", &options)] {
            let plan = plan.expect("it is right");
            assert_eq!((plan.mode, plan.host.as_str(), plan.port), (Mode::Listener, "h", 9000));
            assert_eq!(plan.stream_id.expose(), "#!::r=cam,m=request");
            assert_eq!((plan.passphrase, plan.key_bytes), (Passphrase::new("correct horse"), Some(32)));
            assert_eq!(plan.latency, Duration::from_millis(300));
        }
        let plan = read("srt://[::1]:9000?latency=300", &[("latency", "50ms")]).expect("it is right");
        assert_eq!((plan.mode, plan.host.as_str(), plan.latency), (Mode::Caller, "::1", Duration::from_millis(50)));
        assert!(plan.passphrase.is_none() && plan.key_bytes.is_none() && plan.stream_id.is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_remedy_and_without_secrets() {
        for (url, options, words) in [
            ("srt://h", [].as_slice(), "the URL names no port"),
            ("srt://h:1?mode=rendezvous", &[], "set one side to listener"),
            ("srt://h:1?mode=x", &[], "mode=caller or mode=listener"),
            ("srt://h:1", &[("streamid", "#!:r=hunter2")], "the stream id is malformed"),
            ("srt://h:1", &[("streamid", "#!::r=hunter2,m=publish")], "write m=request"),
            ("srt://h:1?passphrase=hunter2", &[], "10 to 79 bytes"),
            ("srt://h:1?pbkeylen=17", &[], "16, 24 and 32"),
            ("srt://h:1?latency=200000", &[], "in milliseconds"),
        ] {
            let told = read(url, options).err().unwrap_or_default();
            assert!(told.contains(words) && !told.contains("hunter2"), "{url} {options:?}: {told}");
        }
        assert!(read("srt://h:1?mode=listener", &[("streamid", "#!::r=cam,m=publish")]).is_ok());
    }
}
