//! One encoder, whoever asks for it: targets, a pair's second half and looks that a person starts share what is known of a
//! device. Owns how often it is asked, which protocol it speaks, and whether its counter goes on; judges nothing.

use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use model::address::Address;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Depth, Reading};
use net::attempt::Attempt;
use net::trust::TlsOptions;
use tokio::time::Instant;

use super::rest;
use super::text::Talk;
use super::told::{Details, Secrets, State, Told};

/// Least time between two questions for the state of one device, whoever asks: its counter moves once a second, and its
/// processor has a stream to encode. Whoever asks earlier gets the last answer.
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// How long the name, the platform and the quality of a device are believed.
const DETAILS_EVERY: Duration = Duration::from_secs(60);
/// Most time for them: they are not what the look is for.
const DETAILS_WAIT: Duration = Duration::from_secs(2);
/// A counter that stood for this long stands still: it counts seconds, and devices update it late by one or two.
const STILL_AFTER: Duration = Duration::from_secs(4);
/// Two readings further apart than this do not prove that the counter moves now.
const TWO_READS_WITHIN: Duration = Duration::from_secs(60);
/// Time that must be left for one more question.
const RESERVE: Duration = Duration::from_millis(300);

/// How to ask a device.
#[derive(Clone, PartialEq)]
pub(super) struct Way {
    pub(super) address: Address,
    pub(super) tls: TlsOptions,
    /// `None` tries REST and then text.
    pub(super) protocol: Option<Protocol>,
    pub(super) text_port: u16,
}

/// What the device speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Rest,
    Text,
}

impl Protocol {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Text => "text",
        }
    }
}

/// What is known of the counter of seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Advance {
    /// The device does not stream, so nothing must move.
    NotNeeded,
    /// It was not watched for long enough.
    Unknown,
    /// It moved between two readings.
    Seen,
    /// It has not moved for at least this long.
    Still(Duration),
}

/// What a look at a device saw.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) told: Told,
    pub(super) details: Details,
    pub(super) protocol: Protocol,
    pub(super) advance: Advance,
    /// The stream began anew since the look before.
    pub(super) restarted: bool,
    /// How old the answer is; zero when this look asked for it.
    pub(super) age: Duration,
}

/// A device. Every probe that looks at it holds the same one.
pub(super) struct Device {
    place: (String, Option<u16>),
    /// Locked for the whole of a look: two looks at once are one.
    known: tokio::sync::Mutex<Known>,
}

/// Devices that some probe holds; the others are gone. Bounded by the number of probes.
static DEVICES: LazyLock<Mutex<Vec<Weak<Device>>>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Known {
    asked_at: Option<Instant>,
    last: Option<(Way, Instant, Seen, Reading)>,
    works: Option<Protocol>,
    counter: Option<Counter>,
    details: Option<(Details, Instant)>,
    /// Kept to mask what is told between two readings of the details.
    secrets: Secrets,
}

/// The counter of seconds as it was read last.
#[derive(Clone, Copy)]
struct Counter {
    seconds: u64,
    read_at: Instant,
    /// When this value was read first.
    since: Instant,
}

/// An open line to a device.
enum Line {
    Rest,
    Text(Box<Talk>),
}

impl Device {
    /// The device at the host and port of `address`.
    pub(super) fn at(address: &Address) -> Arc<Self> {
        let place = (address.host().to_owned(), address.port());
        let mut devices = DEVICES.lock().unwrap_or_else(PoisonError::into_inner);
        devices.retain(|device| device.strong_count() > 0);
        if let Some(known) = devices.iter().filter_map(Weak::upgrade).find(|device| device.place == place) {
            return known;
        }
        let device = Arc::new(Self { place, known: tokio::sync::Mutex::default() });
        devices.push(Arc::downgrade(&device));
        device
    }

    /// Looks at the device, as deep as `depth` asks: with media until its counter moved, stands still, or time is short.
    pub(super) async fn look(
        &self,
        at: &mut Attempt<'_>,
        way: &Way,
        depth: Depth,
        reading: &mut Reading,
    ) -> Result<Seen, Fault> {
        let mut known = match self.known.try_lock() {
            Ok(known) => known,
            // Somebody else is asking: their answer is ours, too.
            Err(_) => at.run(Phase::FirstByte, async { Ok(self.known.lock().await) }).await?,
        };
        if let Some((seen, facts)) = known.recent(way, depth) {
            reading.facts.extend(facts.facts);
            return Ok(seen);
        }
        known.turn(at).await?;
        let (mut line, protocol, mut told) = known.open(at, way, reading).await?;
        let details = known.details(at, &line, way, depth).await;
        let (mut advance, mut restarted) = known.count(&told, Instant::now());
        while depth == Depth::Media && advance == Advance::Unknown && told.duration_s.is_some() {
            if at.remaining() < MIN_INTERVAL + RESERVE {
                break;
            }
            known.turn(at).await?;
            told = line.state(at, way, reading).await?;
            let (now, again) = known.count(&told, Instant::now());
            (advance, restarted) = (now, restarted || again);
        }
        // The dump of the text protocol is whole now.
        let details = if let Line::Text(talk) = &line { talk.details.clone() } else { details };
        if let Line::Text(talk) = &mut line {
            known.secrets = std::mem::take(&mut talk.secrets);
        }
        let (told, details) = (told.masked(&known.secrets), details.masked(&known.secrets));
        let seen = Seen { told, details, protocol, advance, restarted, age: Duration::ZERO };
        known.works = Some(protocol);
        known.last = Some((way.clone(), Instant::now(), seen.clone(), reading.clone()));
        Ok(seen)
    }
}

impl Known {
    /// The last answer, where it is young enough, was got in the same way, and tells as much as is wanted.
    fn recent(&self, way: &Way, depth: Depth) -> Option<(Seen, Reading)> {
        let (asked, at, seen, facts) = self.last.as_ref()?;
        let age = at.elapsed();
        let tells = depth != Depth::Media || seen.advance != Advance::Unknown;
        (asked == way && age < MIN_INTERVAL && tells).then(|| (Seen { age, ..seen.clone() }, facts.clone()))
    }

    /// Waits until the device may be asked.
    async fn turn(&mut self, at: &Attempt<'_>) -> Result<(), Fault> {
        if let Some(next) = self.asked_at.map(|asked| asked + MIN_INTERVAL).filter(|next| *next > Instant::now()) {
            if next >= at.deadline() {
                let words =
                    "the device was asked just now, and the timeout is too short to wait until it may be asked again";
                return Err(Fault::new(FaultKind::Internal, Phase::FirstByte, words));
            }
            // Not in a phase: the time is ours and not the device's.
            tokio::time::sleep_until(next).await;
        }
        self.asked_at = Some(Instant::now());
        Ok(())
    }

    /// Asks for the state in the protocol that is configured; without one, in that which worked before, then in the other.
    async fn open(
        &self,
        at: &mut Attempt<'_>,
        way: &Way,
        reading: &mut Reading,
    ) -> Result<(Line, Protocol, Told), Fault> {
        let other = match (way.protocol, self.works) {
            (Some(protocol), _) => return speak(at, way, protocol, reading).await,
            (None, Some(Protocol::Text)) => [Protocol::Text, Protocol::Rest],
            (None, _) => [Protocol::Rest, Protocol::Text],
        };
        let first = match speak(at, way, other[0], reading).await {
            Err(fault) if speaks_otherwise(&fault) => fault,
            ended => return ended,
        };
        speak(at, way, other[1], reading).await.map_err(|second| {
            let (name, second) = (other[1].word(), second.detail);
            Fault { detail: format!("{}; by the {name} protocol: {second}", first.detail), ..first }
        })
    }

    /// Who the device is; asked seldom, and not waited for.
    async fn details(&mut self, at: &mut Attempt<'_>, line: &Line, way: &Way, depth: Depth) -> Details {
        let (Line::Rest, false) = (line, depth == Depth::Reach) else { return Details::default() };
        let fresh = self.details.as_ref().filter(|(_, asked_at)| asked_at.elapsed() < DETAILS_EVERY);
        if let Some((details, _)) = fresh {
            return details.clone();
        }
        let asked = tokio::time::timeout(DETAILS_WAIT, rest::details(at, &way.address, &way.tls)).await;
        if let Ok((details, secrets)) = asked {
            self.secrets = secrets;
            self.details = Some((details.masked(&self.secrets), Instant::now()));
        }
        self.details.as_ref().map(|(details, _)| details.clone()).unwrap_or_default()
    }

    /// Compares the counter with the reading before; also tells whether it went back.
    fn count(&mut self, told: &Told, now: Instant) -> (Advance, bool) {
        if told.state != State::Streaming {
            self.counter = None;
            return (Advance::NotNeeded, false);
        }
        let Some(seconds) = told.duration_s else { return (Advance::Unknown, false) };
        let fresh = Counter { seconds, read_at: now, since: now };
        let Some(before) = self.counter.replace(fresh) else { return (Advance::Unknown, false) };
        let elapsed = now.saturating_duration_since(before.read_at);
        match seconds.checked_sub(before.seconds) {
            None => (Advance::Unknown, true),
            Some(0) => {
                self.counter = Some(Counter { since: before.since, ..fresh });
                let still = now.saturating_duration_since(before.since);
                (if still >= STILL_AFTER { Advance::Still(still) } else { Advance::Unknown }, false)
            }
            Some(moved) => {
                // Standing still in between is not going on.
                let steady = moved.saturating_mul(2).saturating_add(STILL_AFTER.as_secs()) >= elapsed.as_secs();
                let seen = elapsed <= TWO_READS_WITHIN && steady;
                (if seen { Advance::Seen } else { Advance::Unknown }, false)
            }
        }
    }
}

impl Line {
    async fn state(&mut self, at: &mut Attempt<'_>, way: &Way, reading: &mut Reading) -> Result<Told, Fault> {
        match self {
            Self::Rest => rest::state(at, &way.address, &way.tls, reading).await,
            Self::Text(talk) => talk.state(at).await,
        }
    }
}

async fn speak(
    at: &mut Attempt<'_>,
    way: &Way,
    protocol: Protocol,
    reading: &mut Reading,
) -> Result<(Line, Protocol, Told), Fault> {
    let mut line = match protocol {
        Protocol::Rest => Line::Rest,
        Protocol::Text => Line::Text(Box::new(Talk::open(at, way.address.host(), way.text_port, reading).await?)),
    };
    let told = line.state(at, way, reading).await?;
    Ok((line, protocol, told))
}

/// Whether a fault may mean that the device speaks the other protocol.
fn speaks_otherwise(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Refused | FaultKind::NotFound | FaultKind::Protocol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(state: &str, seconds: Option<u64>) -> Told {
        Told::of_json(&json!({ "status": state, "duration": seconds })).expect("it has a status")
    }

    /// Reads counters at times, in seconds from the beginning; answers the last outcome.
    fn count(readings: &[(u64, u64)]) -> (Advance, bool) {
        let (mut known, began) = (Known::default(), Instant::now());
        let mut last = (Advance::NotNeeded, false);
        for (at, seconds) in readings {
            last = known.count(&told("Streaming", Some(*seconds)), began + Duration::from_secs(*at));
        }
        last
    }

    #[test]
    fn a_counter_moves_stands_or_begins_anew() {
        for (readings, expected) in [
            (&[(0, 100)][..], (Advance::Unknown, false)),
            (&[(0, 100), (1, 101)], (Advance::Seen, false)),
            (&[(0, 100), (1, 100)], (Advance::Unknown, false)),
            (&[(0, 100), (1, 100), (3, 100)], (Advance::Unknown, false)),
            (&[(0, 100), (1, 100), (4, 100)], (Advance::Still(Duration::from_secs(4)), false)),
            (&[(0, 100), (30, 130)], (Advance::Seen, false)),
            // It stood for most of the time, or nobody looked for too long: now is not known.
            (&[(0, 100), (30, 105)], (Advance::Unknown, false)),
            (&[(0, 100), (61, 161)], (Advance::Unknown, false)),
            (&[(0, 100), (61, 161), (62, 162)], (Advance::Seen, false)),
            (&[(0, 100), (5, 3)], (Advance::Unknown, true)),
            (&[(0, 100), (5, 3), (6, 4)], (Advance::Seen, false)),
        ] {
            assert_eq!(count(readings), expected, "{readings:?}");
        }
        let (mut known, now) = (Known::default(), Instant::now());
        assert_eq!(known.count(&told("Idle", Some(0)), now), (Advance::NotNeeded, false));
        assert_eq!(known.count(&told("Streaming", None), now), (Advance::Unknown, false));
    }

    #[test]
    fn devices_are_shared_while_somebody_holds_them() {
        let address = |text| Address::parse(text).expect("a good URL");
        let one = Device::at(&address("http://192.0.2.1/"));
        let same = Device::at(&address("http://user:pass@192.0.2.1:80/x"));
        let other = Device::at(&address("http://192.0.2.1:81/"));
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
    }
}
