//! Kind `mpegts`: MPEG transport streams (ISO/IEC 13818-1) as datagrams of their own, in RTP (RFC 2250), unicast or multicast,
//! and as the body of an HTTP reply that does not end. Owns the order of a look; where bytes come from is in
//! `mpegts/source.rs`, what they say in `mpegts/analysis.rs` and `mpegts/findings.rs`.
//!
//! A pass proves that access units of every selected stream of the tables came, with the parameters of their codec as long as
//! the deadline allows. The checks are those of ETSI TR 101 290. Quirks met: packets of 192 and 204 bytes, datagrams that end
//! within a packet, RTP where plain datagrams are announced, two encoders that send to one group, servers that send what they
//! have kept at once. A session can be held (`mpegts/hold.rs`).

pub(crate) mod analysis;
mod findings;
mod hold;
mod source;

use std::time::Duration;

use model::address::Address;
use model::conf::{Field, Problem, Section, Type};
use model::fault::Fault;
use model::phase::Phase;
use model::reading::{Depth, Reading, Severity, fact};
use model::target::Target;
use net::attempt::Attempt;
use net::trust::TLS_FIELDS;
use tokio::time::Instant;

use self::analysis::{Analysis, Rules, Selection};
use self::hold::Held;
use self::source::{Piece, Place, Source};
use crate::kind::{AUTH_FIELDS, BoxFuture, HOLD_FIELDS, Kind, Probe, address_of, join_fields, options_node, within};
use crate::live::Live;

/// How long a look listens when nothing else is configured: twice the 500 ms within which tables must come.
const WINDOW: Duration = Duration::from_secs(1);
/// Shortest and longest time for which the datagrams of a look gather: being woken for each of them costs more than all that is
/// done with it.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));
/// How long before its deadline a look stops listening: what came by then is told, and not only that it was too late.
const CLOSING: Duration = Duration::from_millis(20);

const OWN_FIELDS: [Field; 9] = [
    Field::new(
        "program",
        Type::Integer { min: 1, max: 65_535 },
        "Number of the program to look at, where the stream carries several. Without it, all of them.",
    ),
    Field::new(
        "tracks",
        Type::Choice(&["all", "video", "audio"]),
        "Which streams must bring media: all that the tables announce, or those of one sort.",
    )
    .default("all"),
    Field::new(
        "interface",
        Type::Text { max: 64 },
        "Name of the network interface (eth0), or an IP address that it has, on which datagrams arrive. Without it the system \
         chooses by its routes.",
    ),
    Field::new(
        "source",
        Type::Text { max: 64 },
        "IP address of the sender; others are left out. A group is joined for this source alone (source-specific multicast, \
         IPv4). The same as udp://source@group:port.",
    ),
    Field::new(
        "window",
        Type::Duration { min: Duration::from_millis(100), max: Duration::from_secs(60) },
        "How long a look listens; longer where a key frame is still to come. Must be shorter than the timeout.",
    )
    .default("1s"),
    Field::new(
        "continuity_errors",
        Type::Integer { min: 0, max: 1_000_000 },
        "Continuity errors that one look accepts without a finding.",
    )
    .default("0"),
    Field::new(
        "pcr_interval",
        Type::Duration { min: Duration::from_millis(1), max: Duration::from_secs(1) },
        "Longest time between two program clock references (ISO/IEC 13818-1: 100ms; DVB: 40ms).",
    )
    .default("100ms"),
    Field::new(
        "table_interval",
        Type::Duration { min: Duration::from_millis(10), max: Duration::from_secs(10) },
        "Longest time between two tables of a sort (PAT, PMT).",
    )
    .default("500ms"),
    Field::new(
        "pts_jump",
        Type::Duration { min: Duration::from_millis(10), max: Duration::from_secs(3_600) },
        "A step from one time stamp to the next that is longer, or back by more, is a jump.",
    )
    .default("1s"),
];
static FIELDS: [Field; 17] = join_fields(&[&OWN_FIELDS, &HOLD_FIELDS, &AUTH_FIELDS, &TLS_FIELDS]);

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "mpegts",
    schemes: &["http", "https", "rtp", "udp"],
    summary: "MPEG transport streams over UDP, multicast, RTP and HTTP: media of every stream in the tables",
    example: "\
name: Contribution feed
url: udp://239.10.20.30:5000
kind: mpegts
interface: eth1
program: 1
",
    media: true,
    holds: true,
    fields: &FIELDS,
    build: |target| Ok(Box::new(MpegTs::new(target)?)),
    guess,
};

/// Ends of paths that are transport streams.
const ENDS: [&str; 4] = [".ts", ".m2ts", ".mts", ".mpegts"];
/// Beginnings of paths of relays from multicast to HTTP (udpxy and its relatives).
const RELAYS: [&str; 2] = ["/udp/", "/rtp/"];

fn guess(address: &Address) -> u8 {
    if matches!(address.scheme(), "udp" | "rtp") {
        return 10;
    }
    let path = address.expose_url().path().to_ascii_lowercase();
    let is_stream = ENDS.iter().any(|end| path.ends_with(end)) || RELAYS.iter().any(|begin| path.starts_with(begin));
    if matches!(address.scheme(), "http" | "https") && is_stream { 8 } else { 0 }
}

/// A target of this kind, ready to be looked at.
struct MpegTs {
    place: Place,
    rules: Rules,
    window: Duration,
    depth: Depth,
    /// How often a session that is held is judged: findings must be seen then.
    interval: Duration,
}

impl MpegTs {
    fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        let place = Place::new(&target.address, address_of(target, &options), &options, &mut problems);
        let window = options.duration("window").unwrap_or(WINDOW);
        if window >= target.timeout && options.node("window").is_some() {
            let words = "the window must be shorter than the timeout";
            problems.push(Problem::new(options.place_of("window"), "window", words));
        }
        let default = Rules::default();
        let tracks = match options.text("tracks").as_deref() {
            Some("video") => Selection::Video,
            Some("audio") => Selection::Audio,
            _ => Selection::All,
        };
        let accepted = options.integer("continuity_errors").and_then(|count| u64::try_from(count).ok());
        let rules = Rules {
            program: options.integer("program").and_then(|number| u16::try_from(number).ok()),
            tracks,
            continuity_errors: accepted.unwrap_or(default.continuity_errors),
            pcr_interval: options.duration("pcr_interval").unwrap_or(default.pcr_interval),
            table_interval: options.duration("table_interval").unwrap_or(default.table_interval),
            pts_jump: options.duration("pts_jump").unwrap_or(default.pts_jump),
        };
        let probe = Self { place, rules, window, depth: target.depth, interval: target.interval };
        if problems.is_empty() { Ok(probe) } else { Err(problems) }
    }

    async fn look(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        let mut source = self.place.open(at, reading).await?;
        let mut analysis = Analysis::new(self.rules.clone(), self.place.is_live());
        let listening = Listening { window: self.window, depth: self.depth, deadline: at.deadline() };
        let ended = at.run(Phase::Media, listening.listen(&mut source, &mut analysis)).await;
        analysis.note(reading);
        source.note(reading);
        if analysis.bytes() > 0 {
            reading.num(fact::ARRIVAL_GAP_MS, analysis.longest_gap().as_micros() as f64 / 1_000.0);
        }
        let (end, limit) = (ended?, within(at.limit()));
        let why = match end {
            End::Enough => return Ok(()),
            End::Late => format!("{limit}{}", source.thrown_away()),
            End::Full => return Err(Source::too_large()),
            End::Closed => "before the server ended the stream".to_owned(),
        };
        if !self.is_content(&analysis) {
            return Err(analysis.fault(&why));
        }
        if end == End::Closed {
            let text = format!("the server ended the stream after {} bytes: a live one goes on", analysis.bytes());
            reading.find("stream_ended", Severity::Warning, text);
        }
        Ok(())
    }

    /// Holds a session: see [`Probe::hold`].
    async fn hold(&self, at: &mut Attempt<'_>, live: &Live) -> Result<(), Fault> {
        let mut reading = Reading::default();
        let opened = self.place.open(at, &mut reading).await;
        live.reading(|known| known.clone_from(&reading));
        let mut source = opened?;
        let mut analysis = Analysis::new(self.rules.clone(), self.place.is_live());
        let listening = Listening { window: Duration::ZERO, depth: Depth::Media, deadline: at.deadline() };
        let ended = at.run(Phase::Media, listening.listen(&mut source, &mut analysis)).await;
        live.reading(|known| {
            analysis.note(known);
            source.note(known);
        });
        let why = match ended? {
            End::Enough => String::new(),
            End::Late => format!("{}{}", within(at.limit()), source.thrown_away()),
            End::Full => return Err(Source::too_large()),
            End::Closed => "before the server ended the stream".to_owned(),
        };
        if !analysis.is_proven() {
            return Err(analysis.fault(&why));
        }
        live.opened(at);
        source.gather(live.gather())?;
        let mut held = Held::new(live, analysis, self.interval);
        loop {
            let more = source.receive(|| live.now().0, |piece, now| held.take(piece, now)).await?;
            if !more {
                return Err(Fault::protocol(Phase::Media, "the server ended the stream"));
            }
            held.attend(&mut source, live.now().0);
        }
    }

    /// Whether enough is proven for the depth that is asked for.
    fn is_content(&self, analysis: &Analysis) -> bool {
        match self.depth {
            Depth::Reach => analysis.framer.packets() > 0,
            Depth::Describe => analysis.is_described(),
            Depth::Media => analysis.is_proven(),
        }
    }
}

/// Why listening ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Everything is known and the window is over.
    Enough,
    /// The deadline is near.
    Late,
    /// More bytes came than one look may take.
    Full,
    /// The server ended the stream.
    Closed,
}

/// How long to listen.
struct Listening {
    window: Duration,
    depth: Depth,
    deadline: Instant,
}

impl Listening {
    /// How long datagrams may gather: nothing can end the look before its window is over.
    fn pause(&self, analysis: &Analysis) -> Duration {
        self.window.saturating_sub(analysis.covered()).clamp(PAUSE.0, PAUSE.1)
    }

    async fn listen(&self, source: &mut Source, analysis: &mut Analysis) -> Result<End, Fault> {
        let began = Instant::now();
        let last = self.deadline.checked_sub(CLOSING).unwrap_or(began);
        let mut first = None;
        loop {
            let complete = match self.depth {
                Depth::Reach => analysis.framer.packets() > 0,
                Depth::Describe => analysis.is_described(),
                Depth::Media => analysis.is_known(),
            };
            let over = self.depth != Depth::Media || analysis.covered() >= self.window;
            if complete && over {
                return Ok(End::Enough);
            }
            if source.is_full() {
                return Ok(if complete { End::Enough } else { End::Full });
            }
            if analysis.is_hopeless() {
                return Err(analysis.foreign());
            }
            // With everything known, the window ends by the clock even when nothing comes any more.
            let until = first.filter(|_| complete).map_or(last, |first: Instant| last.min(first + self.window));
            let take = |piece: Piece<'_>, now| analysis.take(piece, now, &mut |_, _| {});
            match tokio::time::timeout_at(until, source.receive(|| began.elapsed(), take)).await {
                Ok(Ok(true)) => {
                    first.get_or_insert_with(Instant::now);
                    if self.depth == Depth::Media {
                        source.gather(self.pause(analysis))?;
                    }
                }
                Ok(Ok(false)) => return Ok(End::Closed),
                Ok(Err(fault)) => return Err(fault),
                Err(_over) if complete => return Ok(End::Enough),
                Err(_late) => return Ok(End::Late),
            }
        }
    }
}

impl Probe for MpegTs {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.look(at, reading))
    }

    fn hold<'a>(&'a self, at: &'a mut Attempt<'_>, live: &'a Live) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.hold(at, live))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_transport_streams() {
        for (url, expected) in [
            ("udp://239.1.2.3:5000", 10),
            ("udp://10.1.1.1@232.1.2.3:5000", 10),
            ("rtp://127.0.0.1:5004", 10),
            ("http://h/live/stream.TS", 8),
            ("http://h:4022/udp/239.1.2.3:5000", 8),
            ("https://h/a.m2ts?x=1", 8),
            ("http://h/a.m3u8", 0),
            ("http://h/", 0),
        ] {
            assert_eq!(guess(&Address::parse(url).expect(url)), expected, "{url}");
        }
    }
}
