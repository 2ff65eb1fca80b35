//! Kind `web_presenter`: Blackmagic's streaming encoders (Web Presenter HD and 4K, Streaming Encoder), by their REST API or by
//! the older text protocol, one device or a pair. A pass proves that the encoder itself says that media flows: it streams, at
//! a bit rate above zero, and its counter of seconds moved between two readings. No media passes through here, so what is
//! proven stays `describe`, and a note says so.
//!
//! Owns the judgement of one device and of a pair; how devices are asked is in the folder. Reads and never changes anything.
//!
//! Quirks met: firmware before 3.4 has no REST API (404, or nobody listens), `system/product` may be 501, bit rate and
//! duration are missing from the text protocol's first dump, stream keys stand in the answers of both protocols.

mod device;
mod rest;
mod text;
mod told;

use std::sync::Arc;

use model::address::Address;
use model::conf::{Field, Problem, Section, Type};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Depth, Reading, Severity, fact};
use model::target::Target;
use net::attempt::Attempt;
use net::trust::{TLS_FIELDS, TlsOptions};

use self::device::{Advance, Device, Protocol, Seen, Way};
use self::told::State;
use crate::kind::{AUTH_FIELDS, BoxFuture, Kind, Probe, address_of, join_fields, options_node};

/// Where the text protocol listens.
const TEXT_PORT: &str = "9977";
/// Beginning of the paths of the REST API.
const API_PATH: &str = "/control/api/";

const OWN_FIELDS: [Field; 5] = [
    Field::new(
        "protocol",
        Type::Choice(&["auto", "rest", "text"]),
        "How the encoder is asked: by its REST API (firmware 3.4 and later), by the older text protocol, or by what answers.",
    )
    .default("auto"),
    Field::new("text_port", Type::Integer { min: 1, max: 65_535 }, "TCP port of the text protocol.").default(TEXT_PORT),
    Field::new(
        "secondary",
        Type::Text { max: model::address::MAX_URL_BYTES },
        "URL of the second encoder of a pair: the target is up while one of the two streams. Only user and password from their \
         own keys are sent to it.",
    ),
    Field::new(
        "idle",
        Type::Choice(&["fault", "allowed"]),
        "What an encoder that is switched off the air means: a fault, or nothing wrong (between events).",
    )
    .default("fault"),
    Field::new(
        "warn_cache",
        Type::Integer { min: 1, max: 100 },
        "Use of the encoder's cache, in percent, from which the stream is degraded: the line is too slow for the bit rate.",
    )
    .default("50"),
];
static FIELDS: [Field; 12] = join_fields(&[&OWN_FIELDS, &AUTH_FIELDS, &TLS_FIELDS]);

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "web_presenter",
    schemes: &["http", "https"],
    summary: "Blackmagic streaming encoder: it says that it streams, and its bit rate and its counter show it",
    example: "\
name: Studio encoders
url: http://10.0.0.20
kind: web_presenter
secondary: http://10.0.0.21
idle: fault
",
    media: true,
    holds: false,
    fields: &FIELDS,
    build: |target| Ok(Box::new(WebPresenter::new(target)?)),
    guess,
};

fn guess(address: &Address) -> u8 {
    let http = matches!(address.scheme(), "http" | "https");
    if http && address.expose_url().path().starts_with(API_PATH) { 9 } else { 0 }
}

/// A device and how it is asked.
struct End {
    device: Arc<Device>,
    way: Way,
}

/// A target of this kind, ready to be looked at.
struct WebPresenter {
    primary: End,
    secondary: Option<End>,
    depth: Depth,
    idle_allowed: bool,
    warn_cache: f64,
}

impl WebPresenter {
    fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        let tls = TlsOptions::read(&options, &mut problems);
        let way = |address: Address| Way {
            address,
            tls: tls.clone(),
            protocol: match options.text("protocol").as_deref() {
                Some("rest") => Some(Protocol::Rest),
                Some("text") => Some(Protocol::Text),
                _ => None,
            },
            text_port: options.integer("text_port").and_then(|port| port.try_into().ok()).unwrap_or_default(),
        };
        let end = |address: Address| End { device: Device::at(&address), way: way(address) };
        let primary = end(address_of(target, &options));
        let second = options.text("secondary").and_then(|text| match second_address(&text, target, &options) {
            Ok(address) => Some(address),
            Err((message, remedy)) => {
                let problem = Problem::new(options.place_of("secondary"), options.path_of("secondary"), message);
                problems.push(problem.with_remedy(remedy));
                None
            }
        });
        let probe = Self {
            primary,
            secondary: second.map(end),
            depth: target.depth,
            idle_allowed: options.text("idle").as_deref() == Some("allowed"),
            #[expect(clippy::cast_precision_loss, reason = "a percentage")]
            warn_cache: options.integer("warn_cache").unwrap_or(100) as f64,
        };
        if problems.is_empty() { Ok(probe) } else { Err(problems) }
    }

    async fn look(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        let Some(secondary) = &self.secondary else {
            let seen = self.primary.look(at, self.depth, reading).await?;
            note(&seen, false, reading);
            self.find("", &seen, reading);
            return self.settle(self.judge(&seen), &[&seen], reading);
        };
        let (mut first, mut second, mut aside) = (at.part(), at.part(), Reading::default());
        let (one, other) = tokio::join!(
            self.primary.look(&mut first, self.depth, reading),
            secondary.look(&mut second, self.depth, &mut aside)
        );
        at.absorb(if one.is_err() && other.is_ok() { second } else { first });
        self.pair(&one, &other, reading)
    }

    /// The judgement of two devices of which one must stream.
    fn pair(&self, one: &Result<Seen, Fault>, other: &Result<Seen, Fault>, reading: &mut Reading) -> Result<(), Fault> {
        let both = [("primary", one), ("secondary", other)];
        for (name, seen) in both {
            match seen {
                Ok(seen) => {
                    note(seen, name == "secondary", reading);
                    self.find(&format!("the {name}: "), seen, reading);
                }
                Err(fault) if name == "secondary" => reading.text(fact::SECONDARY_STATE, fault.kind.as_str()),
                Err(fault) => reading.text(fact::ENCODER_STATE, fault.kind.as_str()),
            }
        }
        let [first, second] = both.map(|(_, seen)| match seen {
            Ok(seen) => self.judge(seen),
            Err(fault) => Err(fault.clone()),
        });
        let lives = |flow: &Result<Flow, Fault>| flow == &Ok(Flow::Live);
        let live = match (lives(&first), lives(&second)) {
            (true, true) => "both",
            (true, false) => "primary",
            (false, true) => "secondary",
            (false, false) => "neither",
        };
        reading.text(fact::LIVE_DEVICE, live);
        let seen: Vec<&Seen> = both.iter().filter_map(|(_, seen)| seen.as_ref().ok()).collect();
        match (first, second) {
            (Err(fault), Err(other)) => {
                let detail = format!("the primary: {}; the secondary: {}", fault.detail, other.detail);
                self.settle(Err(Fault { detail, ..fault }), &seen, reading)
            }
            // Of a standby that rests nobody needs to be told; its state is a fact.
            (Ok(flow), Err(fault)) if flow == Flow::Live && is_idle(other) => {
                reading.find("secondary_idle", Severity::Note, format!("the secondary: {}", fault.detail));
                self.settle(Ok(flow), &seen, reading)
            }
            (Ok(flow), Err(fault)) => {
                reading.find("secondary_unwell", Severity::Warning, format!("the secondary: {}", fault.detail));
                self.settle(Ok(flow), &seen, reading)
            }
            (Err(fault), Ok(flow)) => {
                let name = if flow == Flow::Live { "on_secondary" } else { "primary_unwell" };
                let rest = if flow == Flow::Live { "; the secondary streams" } else { "" };
                reading.find(name, Severity::Warning, format!("the primary: {}{rest}", fault.detail));
                self.settle(Ok(flow), &seen, reading)
            }
            (Ok(Flow::Off), Ok(Flow::Live)) => {
                reading.find("on_secondary", Severity::Warning, "the primary is idle; the secondary streams");
                self.settle(Ok(Flow::Live), &seen, reading)
            }
            (Ok(flow), Ok(_)) => self.settle(Ok(flow), &seen, reading),
        }
    }

    /// Says how much was proven, and what was not.
    fn settle(&self, flow: Result<Flow, Fault>, seen: &[&Seen], reading: &mut Reading) -> Result<(), Fault> {
        if !seen.is_empty() {
            reading.proven = Some(self.depth.min(Depth::Describe));
        }
        if self.depth != Depth::Media {
            return if seen.is_empty() { flow.map(drop) } else { Ok(()) };
        }
        match flow? {
            Flow::Live => {
                let words = "that media flows is what the encoder's own counters say; watch what viewers get as a target of its own";
                reading.find("media_by_report", Severity::Note, words);
            }
            Flow::Off => reading.find("idle", Severity::Note, "the encoder is off the air, which is allowed"),
        }
        Ok(())
    }

    /// What is wrong with a device beside its state.
    fn find(&self, whose: &str, seen: &Seen, reading: &mut Reading) {
        let told = &seen.told;
        if let Some(cache) = told.cache_percent.filter(|cache| *cache >= self.warn_cache) {
            let text = format!("{whose}{cache:.0} % of the cache is in use: the line is slower than the stream");
            reading.find("cache_filling", Severity::Warning, text);
        }
        if seen.restarted {
            let since = told.duration_s.unwrap_or_default();
            reading.find("restarted", Severity::Note, format!("{whose}the stream began anew {since} s ago"));
        }
        if self.depth == Depth::Media && seen.advance == Advance::Unknown && told.bitrate_bps.is_some_and(|b| b > 0) {
            let text = match told.duration_s {
                Some(_) => {
                    format!("{whose}the counter of seconds was not seen to move: the timeout leaves no time for it")
                }
                None => format!("{whose}the device tells no counter of seconds that could be seen to move"),
            };
            reading.find("advance_unproven", Severity::Note, text);
        }
    }

    /// Whether the device says that media flows.
    fn judge(&self, seen: &Seen) -> Result<Flow, Fault> {
        let told = &seen.told;
        let no_media = |words: String| Err(Fault::new(FaultKind::NoMedia, Phase::Media, words));
        let platform = seen.details.platform.as_deref().unwrap_or("its platform");
        match &told.state {
            State::Idle | State::Flushing if self.idle_allowed => Ok(Flow::Off),
            State::Idle => no_media("the encoder is idle: it does not stream".to_owned()),
            State::Flushing => no_media("the encoder was stopped and empties its cache (Flushing)".to_owned()),
            State::Connecting => no_media(format!("the encoder is still connecting to {platform}")),
            State::Interrupted => {
                let cache = told.cache_percent.map_or(String::new(), |p| format!(", {p:.0} % of its cache is in use"));
                no_media(format!("the encoder lost the connection to {platform} (Interrupted){cache}"))
            }
            State::Other(word) => Err(Fault::protocol(
                Phase::Check,
                format!("the encoder says {word:?}, which is no state that is known"),
            )),
            State::Streaming => match (told.bitrate_bps, seen.advance) {
                (None, _) => no_media("the encoder says that it streams and tells no bit rate".to_owned()),
                (Some(0), _) => no_media("the encoder says that it streams, at 0 bit/s".to_owned()),
                (_, Advance::Still(still)) => {
                    let at = told.duration_s.unwrap_or_default();
                    let words = format!(
                        "the encoder says that it streams, and its counter has stood at {at} s for {} s",
                        still.as_secs()
                    );
                    Err(Fault::new(FaultKind::Stale, Phase::Check, words))
                }
                _ => Ok(Flow::Live),
            },
        }
    }
}

/// What a device that is well does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Live,
    /// Off the air, as is allowed.
    Off,
}

fn is_idle(seen: &Result<Seen, Fault>) -> bool {
    seen.as_ref().is_ok_and(|seen| matches!(seen.told.state, State::Idle | State::Flushing))
}

/// Notes what a device told.
fn note(seen: &Seen, second: bool, reading: &mut Reading) {
    seen.told.note(&seen.details, second, reading);
    if !second {
        reading.text(fact::PROTOCOL, seen.protocol.word());
        if !seen.age.is_zero() {
            reading.int(fact::ANSWER_AGE_MS, i64::try_from(seen.age.as_millis()).unwrap_or(i64::MAX));
        }
    }
    // In a pair the pictures of the device that streams are those of the target.
    if seen.told.state == State::Streaming && reading.tracks.is_empty() {
        reading.tracks = seen.told.track().into_iter().collect();
    }
}

impl End {
    async fn look(&self, at: &mut Attempt<'_>, depth: Depth, reading: &mut Reading) -> Result<Seen, Fault> {
        self.device.look(at, &self.way, depth, reading).await
    }
}

/// The address of the second device, with the credentials of the options; else what is wrong with it and a remedy.
fn second_address(text: &str, target: &Target, options: &Section<'_>) -> Result<Address, (String, &'static str)> {
    let address = Address::parse(text).map_err(|words| (words, "write it as http://10.0.0.21"))?;
    if !matches!(address.scheme(), "http" | "https") {
        return Err((format!("the URL is of the scheme {}", address.scheme()), "write it as http://10.0.0.21"));
    }
    if address.credentials().is_some() {
        let remedy = "write user: and password:, which hold for both encoders";
        return Err(("the URL of the second encoder holds a user name or password".to_owned(), remedy));
    }
    if (address.host(), address.port()) == (target.address.host(), target.address.port()) {
        return Err(("it is the first encoder itself".to_owned(), "name the other one of the pair, or remove the key"));
    }
    let mut same = target.clone();
    same.address = address;
    Ok(address_of(&same, options))
}

impl Probe for WebPresenter {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.look(at, reading))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_api() {
        for (url, expected) in [
            ("http://h/control/api/v1/livestreams/0", 9),
            ("https://h/control/api/v1", 9),
            ("http://h/", 0),
            ("rtsp://h/control/api/v1", 0),
        ] {
            assert_eq!(guess(&Address::parse(url).expect(url)), expected, "{url}");
        }
    }
}
