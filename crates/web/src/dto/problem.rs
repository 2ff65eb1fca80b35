//! What is wrong with a configuration.

use model::conf::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use crate::masks::hide_in_words;

/// One problem with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProblemDto {
    /// Line in the file, from 1.
    pub line: Option<u32>,
    /// Column in the line, from 1.
    pub column: Option<u32>,
    /// Which key, as `targets[2].interval`; empty for the whole file.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl From<&Problem> for ProblemDto {
    fn from(p: &Problem) -> Self {
        Self {
            line: p.place.map(|at| at.line),
            column: p.place.map(|at| at.column),
            path: p.path.clone(),
            message: hide_in_words(&p.message),
            remedy: p.remedy.clone(),
        }
    }
}
