//! What was of a service: its timeline, its samples and its output.

use model::unit::board::UnitChange;
use model::unit::spec::Unit;
use serde::Serialize;
use utoipa::ToSchema;

use super::{RunEndDto, hide};

/// One entry of a timeline.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UnitChangeDto {
    /// When.
    pub at: i64,
    /// State after it.
    pub state: &'static str,
    /// What caused it.
    pub cause: &'static str,
    /// Why, in one sentence.
    pub reason: String,
    /// Who asked for it, where somebody did.
    pub actor: Option<String>,
    /// How a run ended with it, where one did.
    pub end: Option<RunEndDto>,
}

impl UnitChangeDto {
    /// A change of this unit.
    #[must_use]
    pub fn new(spec: &Unit, change: &UnitChange) -> Self {
        Self {
            at: change.at.0,
            state: change.state.as_str(),
            cause: change.cause.as_str(),
            reason: hide(spec, &change.reason),
            actor: change.actor.clone(),
            end: change.end.as_ref().map(|end| RunEndDto::new(spec, end)),
        }
    }
}

/// A timeline.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TimelineDto {
    /// Changes, newest first.
    pub rows: Vec<UnitChangeDto>,
}

/// One line of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LogLineDto {
    /// When it was written.
    pub at: i64,
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    /// The text. Bytes that are no UTF-8 are shown as U+FFFD.
    pub text: String,
    /// Whether this is only a part of a line that was too long to be kept as one.
    pub partial: bool,
    /// Its place: following from here begins with the line after it.
    pub cursor: String,
}

/// Lines of output.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LogDto {
    /// The lines, oldest first.
    pub lines: Vec<LogLineDto>,
    /// Whether older lines are left out that would have been in the answer.
    pub more: bool,
    /// Where following begins with what came after these lines.
    pub cursor: String,
}
