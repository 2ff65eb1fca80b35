//! A target as it is now.

use model::board::{Beat, TargetNow};
use model::score::{self, Scoring};
use model::status::Status;
use model::verdict::Grade;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::live::SessionDto;
use super::observation::ObservationDto;
use super::score::ScoreDto;

/// Shares of time that a target was available, 0 to 1; null when no time counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Availabilities {
    /// The last 24 hours.
    pub h24: Option<f64>,
    /// The last 7 days.
    pub d7: Option<f64>,
    /// The last 30 days.
    pub d30: Option<f64>,
}

/// One beat: time, grade, status after it, and duration, as an array.
#[derive(Clone, Copy, Debug)]
pub struct BeatDto(Beat);

impl Serialize for BeatDto {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (self.0.at.0, grade_letter(self.0.grade), status_letter(self.0.status), self.0.took_ms).serialize(to)
    }
}

impl utoipa::PartialSchema for BeatDto {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ArrayBuilder, ArrayItems};
        let text = "time (UTC ms), grade (p, w, f), status after it (u, g, d, ?, p, m), duration in ms";
        let items = ArrayItems::RefOrSchema(Box::new(utoipa::openapi::schema::empty().into()));
        ArrayBuilder::new().items(items).min_items(Some(4)).max_items(Some(4)).description(Some(text)).into()
    }
}

impl ToSchema for BeatDto {}

/// The letter of a grade.
#[must_use]
pub const fn grade_letter(grade: Grade) -> &'static str {
    match grade {
        Grade::Pass => "p",
        Grade::Warn => "w",
        Grade::Fail => "f",
    }
}

/// The letter of a status: u(p), g for degraded, d(own), ? for unknown, p(aused), m(aintenance).
#[must_use]
pub const fn status_letter(status: Status) -> &'static str {
    match status {
        Status::Up => "u",
        Status::Degraded => "g",
        Status::Down => "d",
        Status::Unknown => "?",
        Status::Paused => "p",
        Status::Maintenance => "m",
    }
}

/// One target now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TargetDto {
    /// Identity.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Kind of probe.
    pub kind: &'static str,
    /// Whether its kind carries media: tracks, depth, pictures.
    pub media: bool,
    /// Where it is, secrets hidden.
    pub url: String,
    /// Group for people.
    pub group: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Whether the configuration has it watched.
    pub enabled: bool,
    /// Whether an operator paused it.
    pub paused: bool,
    /// `periodic`, or `continuous`: a session is held.
    pub watch: &'static str,
    /// From the start of one look to the next, in milliseconds.
    pub interval_ms: u64,
    /// Deadline of a look, in milliseconds.
    pub timeout_ms: u64,
    /// Further attempts within a round.
    pub retries: u32,
    /// How deep it is looked at.
    pub depth: &'static str,
    /// Bad looks in a row until down.
    pub fail_after: u32,
    /// Good looks in a row until up.
    pub recover_after: u32,
    /// `up`, `degraded`, `down`, `unknown`, `paused` or `maintenance`.
    pub status: &'static str,
    /// Since when.
    pub since: i64,
    /// Why, in words; empty when up.
    pub reason: String,
    /// Failed looks in a row.
    pub fails: u32,
    /// When the next look is due.
    pub next_due: Option<i64>,
    /// When the open incident began.
    pub incident_since: Option<i64>,
    /// The session; null unless the target is watched continuously now.
    pub session: Option<SessionDto>,
    /// The newest look that was judged.
    pub last: Option<ObservationDto>,
    /// Newest beats, oldest first.
    pub beats: Vec<BeatDto>,
    /// Availability; refreshed twice a minute.
    pub availability: Availabilities,
    /// Health score of what was seen last; null while the target is not judged.
    pub score: Option<ScoreDto>,
    /// The keys of the target as in the file, secrets hidden; only when one target is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<serde_json::Value>,
}

impl TargetDto {
    /// A target of the board.
    #[must_use]
    pub fn new(now: &TargetNow, availability: Availabilities, scoring: &Scoring) -> Self {
        let spec = &now.spec;
        let ms = |d: std::time::Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        Self {
            id: spec.id.as_str().to_owned(),
            name: spec.name.clone(),
            kind: spec.kind,
            media: probe::kinds::by_name(spec.kind).is_some_and(|kind| kind.media),
            url: spec.address.to_string(),
            group: spec.group.clone(),
            tags: spec.tags.clone(),
            enabled: spec.enabled,
            paused: now.paused,
            watch: spec.watch.as_str(),
            interval_ms: ms(spec.interval),
            timeout_ms: ms(spec.timeout),
            retries: spec.retries,
            depth: spec.depth.as_str(),
            fail_after: spec.rules.fail_after,
            recover_after: spec.rules.recover_after,
            status: now.state.status.as_str(),
            since: now.state.since.0,
            reason: spec.address.redact(&now.state.reason),
            fails: now.state.fails,
            next_due: now.next_due.map(|at| at.0),
            incident_since: now.incident.as_ref().map(|i| i.opened_at.0),
            session: now.session.as_ref().map(Into::into),
            last: now.last.as_ref().map(|o| ObservationDto::new(o, now.verdict.as_deref(), &spec.address)),
            beats: now.beats.iter().copied().map(BeatDto).collect(),
            availability,
            score: score::of(scoring, now).as_ref().map(Into::into),
            config: None,
        }
    }
}

/// All targets.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TargetsDto {
    /// When this was true.
    pub at: i64,
    /// Version of the board.
    pub version: u64,
    /// The targets in the order of the configuration.
    pub targets: Vec<TargetDto>,
}
