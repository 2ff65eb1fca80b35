//! The session of a target that is watched continuously: what it is doing, and what is measured second by second.

use std::collections::BTreeMap;

use model::board::TargetNow;
use model::live::{Doing, LiveSecond, SessionNow};
use model::observation::Observation;
use model::reading::{FactValue, fact};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::observation::ObservationDto;

/// What a session is doing.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SessionDto {
    /// `connecting`, `live` (media flows), or `waiting` (for the next attempt).
    pub state: &'static str,
    /// Since when.
    pub since: i64,
    /// When the next attempt is made, while it waits.
    pub until: Option<i64>,
    /// When it counts as good, while media flows after sessions that opened and did not last; null otherwise.
    pub believed_at: Option<i64>,
    /// Sessions that were opened again after one had ended, since the target is held.
    pub reconnects: u64,
}

impl From<&SessionNow> for SessionDto {
    fn from(s: &SessionNow) -> Self {
        let (state, until) = match s.doing {
            Doing::Connecting => ("connecting", None),
            Doing::Live => ("live", None),
            Doing::Waiting { until } => ("waiting", Some(until.0)),
        };
        Self { state, since: s.since.0, until, believed_at: s.believed_at.map(|at| at.0), reconnects: s.reconnects }
    }
}

/// One second of a session, as an array.
#[derive(Clone, Copy, Debug)]
pub struct SecondDto(LiveSecond);

impl Serialize for SecondDto {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let LiveSecond { at, second: s } = &self.0;
        let (jitter, step) = (s.jitter_ms.map(rounded), s.timestamp_gap_ms.map(rounded));
        (at.0, s.bits, s.packets, s.frames, s.lost, jitter, step, rounded(s.arrival_gap_ms)).serialize(to)
    }
}

/// Schema of an array of numbers of which some may be null.
fn numbers(count: usize, text: &str) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    use utoipa::openapi::schema::{ArrayBuilder, ArrayItems};
    let items = ArrayItems::RefOrSchema(Box::new(utoipa::openapi::schema::empty().into()));
    ArrayBuilder::new().items(items).min_items(Some(count)).max_items(Some(count)).description(Some(text)).into()
}

impl utoipa::PartialSchema for SecondDto {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        let text = "time (UTC ms), bits of media, packets, pictures, packets lost, jitter in ms, largest step of timestamps in ms, \
                    longest silence in ms; null where the protocol does not tell";
        numbers(8, text)
    }
}

impl ToSchema for SecondDto {}

/// A session with its newest values.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LiveDto {
    /// Identity of the target.
    pub id: String,
    /// When this was true.
    pub at: i64,
    /// The session; null when the target is not watched continuously now.
    pub session: Option<SessionDto>,
    /// What is known and measured now; null unless media flows.
    pub now: Option<ObservationDto>,
    /// The newest seconds, oldest first, at most 60.
    pub seconds: Vec<SecondDto>,
}

impl LiveDto {
    /// The session of a target of the board.
    #[must_use]
    pub fn new(target: &TargetNow, at: i64) -> Self {
        let session = target.session.as_ref();
        let live = session.and_then(|s| s.live.as_deref());
        Self {
            id: target.spec.id.as_str().to_owned(),
            at,
            session: session.map(Into::into),
            now: live.map(|seen| ObservationDto::new(seen, None, &target.spec.address)),
            seconds: session.map(|s| s.seconds.iter().copied().map(SecondDto).collect()).unwrap_or_default(),
        }
    }
}

/// The newest values of one session as the event stream tells them, as an array: time of the observation, the newest second
/// (null with the first values of a session), and the measures of the last seconds: bits per second, pictures per second,
/// part of the packets lost, milliseconds between key frames, seconds since the session was opened.
#[derive(Clone, Copy, Debug)]
pub struct ValuesDto<'a> {
    seen: &'a Observation,
    second: Option<SecondDto>,
}

impl<'a> ValuesDto<'a> {
    /// The values of a target of the board; `None` unless media flows.
    #[must_use]
    pub fn new(target: &'a TargetNow) -> Option<Self> {
        let session = target.session.as_ref()?;
        let seen = session.live.as_deref()?;
        let last = session.seconds.last().filter(|s| s.at >= session.since);
        Some(Self { seen, second: last.copied().map(SecondDto) })
    }
}

impl Serialize for ValuesDto<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let number = |key| number(self.seen, key);
        let measures = (
            number(fact::MEASURED_BITRATE_BPS),
            number(fact::MEASURED_FPS),
            number(fact::LOSS_RATIO),
            number(fact::KEYFRAME_INTERVAL_MS),
            number(fact::HELD_FOR_S),
        );
        (self.seen.at.0, self.second, measures.0, measures.1, measures.2, measures.3, measures.4).serialize(to)
    }
}

/// The event `live`: newest values by id of the target.
#[derive(Debug, Serialize)]
pub struct LiveEvent<'a> {
    /// When this was true.
    pub at: i64,
    /// The values.
    pub targets: BTreeMap<&'a str, ValuesDto<'a>>,
}

impl<'a> LiveEvent<'a> {
    /// The values of those targets in whose session media flows; `None` when there is none.
    #[must_use]
    pub fn of(at: i64, targets: impl IntoIterator<Item = &'a TargetNow>) -> Option<Self> {
        let values = |t: &'a TargetNow| Some((t.spec.id.as_str(), ValuesDto::new(t)?));
        let targets: BTreeMap<_, _> = targets.into_iter().filter_map(values).collect();
        (!targets.is_empty()).then_some(Self { at, targets })
    }
}

/// A fact that is a number.
fn number(seen: &Observation, key: &str) -> Option<f64> {
    match seen.look.reading.facts.get(key)? {
        #[allow(clippy::cast_precision_loss)] // counts far below 2^53
        FactValue::Int(n) => Some(*n as f64),
        FactValue::Num(x) => Some(*x),
        _ => None,
    }
}

/// Two decimals: more would mean nothing.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::observation::Second;
    use model::time::UtcMs;

    #[test]
    fn a_second_is_short_and_says_what_is_not_known() {
        let second =
            Second { bits: 1_500_000, packets: 140, frames: 25, jitter_ms: Some(0.123_456), ..Second::default() };
        let text = serde_json::to_string(&SecondDto(LiveSecond { at: UtcMs(7), second })).expect("json");
        assert_eq!(text, "[7,1500000,140,25,null,0.12,null,0.0]");
    }
}
