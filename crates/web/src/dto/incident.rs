//! Incidents.

use model::incident::Incident;
use serde::Serialize;
use store::IncidentRow;
use utoipa::ToSchema;

/// One incident.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IncidentDto {
    /// Cursor for paging; null in events.
    pub row: Option<i64>,
    /// Which target.
    pub target: String,
    /// Its name, as last seen.
    pub name: String,
    /// When the trouble began.
    pub opened_at: i64,
    /// When it ended; null while open.
    pub closed_at: Option<i64>,
    /// The worst status reached.
    pub worst: &'static str,
    /// Why it began, in words.
    pub cause: String,
}

impl IncidentDto {
    /// An incident of the target called `name`.
    #[must_use]
    pub fn new(row: Option<i64>, name: &str, i: &Incident) -> Self {
        Self {
            row,
            target: i.target.as_str().to_owned(),
            name: name.to_owned(),
            opened_at: i.opened_at.0,
            closed_at: i.closed_at.map(|at| at.0),
            worst: i.worst.as_str(),
            cause: i.cause.clone(),
        }
    }
}

impl From<&IncidentRow> for IncidentDto {
    fn from(r: &IncidentRow) -> Self {
        Self::new(Some(r.row), &r.name, &r.incident)
    }
}

/// A page of incidents, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IncidentsDto {
    /// The incidents.
    pub incidents: Vec<IncidentDto>,
    /// Value of `before` for the next page; null when this is the last.
    pub next: Option<i64>,
}
