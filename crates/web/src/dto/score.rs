//! The health score of a target with its parts.

use model::score::{Part, Score};
use serde::Serialize;
use utoipa::ToSchema;

/// One part of a health score.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ScorePartDto {
    /// `status`, `bitrate`, `packet_loss` or `latency`.
    pub part: &'static str,
    /// Its weight.
    pub weight: f64,
    /// What was measured: the value of the status, bits per second, part of the packets lost, milliseconds; null when nothing was.
    pub measured: Option<f64>,
    /// How good that is, 0 to 1.
    pub value: Option<f64>,
}

/// The health score of a target.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ScoreDto {
    /// 0 to 100, of what was measured; 0 while it is down.
    pub value: f64,
    /// The part of all weights that was measured, 0 to 1.
    pub measured_ratio: f64,
    /// Parts with a weight that were not measured: they count neither as good nor as bad.
    pub missing: Vec<&'static str>,
    /// All parts.
    pub parts: Vec<ScorePartDto>,
}

impl From<&Score> for ScoreDto {
    fn from(score: &Score) -> Self {
        let round = |value: f64| (value * 1000.0).round() / 1000.0;
        let part = |p: &model::score::PartScore| ScorePartDto {
            part: p.part.as_str(),
            weight: p.weight,
            measured: p.measured.map(round),
            value: p.value.map(round),
        };
        Self {
            value: (score.value * 10.0).round() / 10.0,
            measured_ratio: round(score.measured_ratio()),
            missing: score.missing().map(Part::as_str).collect(),
            parts: score.parts.iter().map(part).collect(),
        }
    }
}
