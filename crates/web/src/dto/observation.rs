//! A look, its facts and its judgement.

use std::collections::BTreeMap;

use model::address::Address;
use model::fault::Fault;
use model::observation::Observation;
use model::phase::Phases;
use model::reading::{FactValue, Row, Track};
use model::verdict::{Reason, Verdict};
use serde::Serialize;
use store::ObservationRow;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::millis;

/// One reason of a verdict.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReasonDto {
    /// `pass`, `warn` or `fail`.
    pub grade: &'static str,
    /// Which expectation; `fault` for a fault.
    pub check: &'static str,
    /// One sentence with the actual value.
    pub text: String,
}

impl From<&Reason> for ReasonDto {
    fn from(r: &Reason) -> Self {
        Self { grade: r.grade.as_str(), check: r.check, text: r.text.clone() }
    }
}

/// Why a look ended early.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FaultDto {
    /// From the closed list of fault kinds.
    pub kind: &'static str,
    /// Where it happened.
    pub phase: &'static str,
    /// One sentence.
    pub detail: String,
}

impl From<&Fault> for FaultDto {
    fn from(f: &Fault) -> Self {
        Self { kind: f.kind.as_str(), phase: f.phase.as_str(), detail: f.detail.clone() }
    }
}

/// One track; what the protocol did not tell is null.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TrackDto {
    /// `video`, `audio` or `data`.
    pub media: &'static str,
    /// Codec by ffprobe's name.
    pub codec: String,
    /// Profile by ffprobe's name.
    pub profile: Option<String>,
    /// Visible width in pixels.
    pub width: Option<u32>,
    /// Visible height in pixels.
    pub height: Option<u32>,
    /// Declared frames per second.
    pub fps: Option<f64>,
    /// Declared bits per second.
    pub bitrate_bps: Option<u64>,
    /// Samples per second and channel.
    pub sample_rate_hz: Option<u32>,
    /// Audio channels.
    pub channels: Option<u32>,
    /// Whether media of this track was received, and not only announced.
    pub proven: bool,
}

impl From<&Track> for TrackDto {
    fn from(t: &Track) -> Self {
        Self {
            media: t.media.as_str(),
            codec: t.codec.clone(),
            profile: t.profile.clone(),
            width: t.width,
            height: t.height,
            fps: t.fps,
            bitrate_bps: t.bitrate_bps,
            sample_rate_hz: t.sample_rate_hz,
            channels: t.channels,
            proven: t.proven,
        }
    }
}

/// The value of a fact: text, number, truth or rows; times are UTC milliseconds.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum FactDto {
    /// Words.
    Text(String),
    /// A count, a code, or a time in UTC milliseconds.
    Int(i64),
    /// A measure.
    Num(f64),
    /// Yes or no.
    Flag(bool),
    /// Rows: each has `name` and values of its own.
    Rows(Vec<BTreeMap<&'static str, FactDto>>),
}

impl FactDto {
    fn row(row: &Row) -> BTreeMap<&'static str, Self> {
        let cells = row.cells.iter().map(|(key, value)| (*key, value.into()));
        cells.chain([("name", Self::Text(row.name.clone()))]).collect()
    }

    fn redact(&mut self, address: &Address) {
        match self {
            Self::Text(text) => *text = address.redact(text),
            Self::Rows(rows) => rows.iter_mut().flat_map(BTreeMap::values_mut).for_each(|cell| cell.redact(address)),
            Self::Int(_) | Self::Num(_) | Self::Flag(_) => {}
        }
    }
}

impl PartialSchema for FactDto {
    /// One schema of all types: "one of integer and number" would refuse every whole number, which is both.
    fn schema() -> RefOr<Schema> {
        let types = [Type::String, Type::Number, Type::Boolean, Type::Array].into_iter().collect::<SchemaType>();
        let doc = "The value of a fact: text, number, truth, or rows (objects with `name` and values of their own); times are UTC milliseconds.";
        ObjectBuilder::new().schema_type(types).description(Some(doc)).into()
    }
}

impl ToSchema for FactDto {}

impl From<&FactValue> for FactDto {
    fn from(v: &FactValue) -> Self {
        match v {
            FactValue::Text(text) => Self::Text(text.clone()),
            FactValue::Int(n) => Self::Int(*n),
            FactValue::Num(x) => Self::Num(*x),
            FactValue::Flag(b) => Self::Flag(*b),
            FactValue::Time(at) => Self::Int(at.0),
            FactValue::Rows(rows) => Self::Rows(rows.iter().map(Self::row).collect()),
        }
    }
}

/// A look with its judgement.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ObservationDto {
    /// When the (last) attempt began.
    pub at: i64,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// Attempts made in the round.
    pub attempts: u32,
    /// `pass`, `warn` or `fail`; null when it was not judged.
    pub grade: Option<&'static str>,
    /// Reasons, worst first.
    pub reasons: Vec<ReasonDto>,
    /// Why it ended early.
    pub fault: Option<FaultDto>,
    /// Milliseconds by phase.
    pub phases_ms: BTreeMap<&'static str, f64>,
    /// Tracks in the order of the stream.
    pub tracks: Vec<TrackDto>,
    /// Facts by key.
    pub facts: BTreeMap<&'static str, FactDto>,
    /// `reach`, `describe` or `media`: how much was proven.
    pub proven: Option<&'static str>,
}

impl ObservationDto {
    /// A look of the target at `address`, whose secrets are hidden in every text.
    #[must_use]
    pub fn new(seen: &Observation, verdict: Option<&Verdict>, address: &Address) -> Self {
        let mut dto = Self {
            at: seen.at.0,
            took_ms: millis(seen.took),
            attempts: seen.attempts,
            grade: verdict.map(|v| v.grade.as_str()),
            reasons: verdict.map(|v| v.reasons.iter().map(Into::into).collect()).unwrap_or_default(),
            fault: seen.look.fault.as_ref().map(Into::into),
            phases_ms: phases(&seen.look.phases),
            tracks: seen.look.reading.tracks.iter().map(Into::into).collect(),
            facts: seen.look.reading.facts.iter().map(|(k, v)| (*k, v.into())).collect(),
            proven: seen.look.reading.proven.map(|d| d.as_str()),
        };
        dto.reasons.iter_mut().for_each(|r| r.text = address.redact(&r.text));
        dto.fault.iter_mut().for_each(|f| f.detail = address.redact(&f.detail));
        dto.facts.values_mut().for_each(|fact| fact.redact(address));
        dto
    }
}

/// Milliseconds by phase.
pub(crate) fn phases(phases: &Phases) -> BTreeMap<&'static str, f64> {
    phases.iter().map(|(p, d)| (p.as_str(), millis(d))).collect()
}

/// One stored look.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ObservationRowDto {
    /// Cursor for paging.
    pub row: i64,
    /// When it began.
    pub at: i64,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// Attempts made in the round.
    pub attempts: u32,
    /// `pass`, `warn` or `fail`.
    pub grade: &'static str,
    /// Status after it.
    pub status: &'static str,
    /// What failed and where.
    pub fault: Option<RowFaultDto>,
    /// The first reason; empty for a pass.
    pub reason: String,
    /// Milliseconds by phase.
    pub phases_ms: BTreeMap<&'static str, f64>,
}

/// What failed and where; the words are in the reason.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RowFaultDto {
    /// From the closed list of fault kinds.
    pub kind: &'static str,
    /// Where it happened.
    pub phase: &'static str,
}

impl From<&ObservationRow> for ObservationRowDto {
    fn from(r: &ObservationRow) -> Self {
        Self {
            row: r.row,
            at: r.at.0,
            took_ms: millis(r.took),
            attempts: r.attempts,
            grade: r.grade.as_str(),
            status: r.status.as_str(),
            fault: r.fault.map(|(kind, phase)| RowFaultDto { kind: kind.as_str(), phase: phase.as_str() }),
            reason: r.reason.clone(),
            phases_ms: phases(&r.phases),
        }
    }
}

/// A page of stored looks.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ObservationsDto {
    /// The rows in the order asked for.
    pub rows: Vec<ObservationRowDto>,
    /// Value of `before` for the next page; null when this is the last.
    pub next: Option<i64>,
}
