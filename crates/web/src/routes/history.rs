//! What was: looks, roll-ups, availability, status changes, incidents.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use model::target::TargetId;
use model::time::UtcMs;
use serde::Deserialize;
use store::Resolution;

use crate::dto::history::{AvailabilityDto, ChangesDto, RollupsDto};
use crate::dto::incident::IncidentsDto;
use crate::dto::observation::ObservationsDto;
use crate::error::{ApiError, ApiResult, Code};
use crate::extract::{Id, Query};
use crate::limits::{DEFAULT_ROWS, MAX_CHANGES, MAX_ROLLUPS, MAX_ROWS};
use crate::query::When;
use crate::state::App;

/// A window of time without bounds reaches this far back.
const DEFAULT_WINDOW: Duration = Duration::from_secs(86_400);

/// A window of time and a page in it.
#[derive(Debug, Default, Deserialize)]
pub struct Window {
    from: Option<When>,
    to: Option<When>,
    before: Option<i64>,
    limit: Option<usize>,
    order: Option<String>,
    resolution: Option<String>,
    target: Option<String>,
    open: Option<bool>,
}

impl Window {
    /// Its bounds; without them the last day.
    fn bounds(&self, now: UtcMs) -> ApiResult<(UtcMs, UtcMs)> {
        let to = self.to.map_or(now.plus(Duration::from_millis(1)), |at| UtcMs(at.0));
        let from = self.from.map_or(to.minus(DEFAULT_WINDOW), |at| UtcMs(at.0));
        if from > to {
            return Err(ApiError::new(Code::BadRequest, "from is later than to"));
        }
        Ok((from, to))
    }

    fn limit(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS)
    }
}

/// Stored looks of one target, newest first unless `order=asc`.
pub async fn observations(
    State(app): State<App>,
    Id(id): Id,
    Query(window): Query<Window>,
) -> ApiResult<Json<ObservationsDto>> {
    let ((from, to), limit) = (window.bounds(app.now())?, window.limit());
    let newest_first = match window.order.as_deref() {
        None | Some("desc") => true,
        Some("asc") => false,
        Some(_) => return Err(ApiError::new(Code::BadRequest, "order is asc or desc")),
    };
    let before = window.before;
    let rows = app.ask(move |store| store.observations(&id, from, to, before, limit, newest_first)).await?;
    let next = (rows.len() == limit).then(|| rows.last().map(|r| r.row)).flatten();
    Ok(Json(ObservationsDto { rows: rows.iter().map(Into::into).collect(), next }))
}

/// Roll-ups of one target.
pub async fn rollups(State(app): State<App>, Id(id): Id, Query(window): Query<Window>) -> ApiResult<Json<RollupsDto>> {
    let (from, to) = window.bounds(app.now())?;
    let word = window.resolution.as_deref().unwrap_or("minute");
    let unknown = || ApiError::new(Code::BadRequest, "resolution is minute, hour or day");
    let resolution = Resolution::from_word(word).ok_or_else(unknown)?;
    if (to.0.saturating_sub(from.0)) / resolution.millis() > MAX_ROLLUPS {
        let why =
            format!("more than {MAX_ROLLUPS} {word}s lie between from and to; ask for less or a greater resolution");
        return Err(ApiError::new(Code::BadRequest, why));
    }
    let rows = app.ask(move |store| store.rollups(&id, resolution, from, to)).await?;
    Ok(Json(RollupsDto { resolution: resolution.as_str(), rows: rows.iter().map(Into::into).collect() }))
}

/// How one target spent a window.
pub async fn availability(
    State(app): State<App>,
    Id(id): Id,
    Query(window): Query<Window>,
) -> ApiResult<Json<AvailabilityDto>> {
    let now = app.now();
    let (from, to) = window.bounds(now)?;
    let to = to.min(now).max(from);
    let spent = app.ask(move |store| store.availability(&id, from, to)).await?;
    Ok(Json(AvailabilityDto::new(from.0, to.0, &spent)))
}

/// Status changes of one target, newest first.
pub async fn changes(State(app): State<App>, Id(id): Id, Query(window): Query<Window>) -> ApiResult<Json<ChangesDto>> {
    let (from, to) = window.bounds(app.now())?;
    let limit = window.limit.unwrap_or(MAX_CHANGES).clamp(1, MAX_CHANGES);
    let rows = app.ask(move |store| store.changes(&id, from, to, limit)).await?;
    Ok(Json(ChangesDto { rows: rows.iter().map(Into::into).collect() }))
}

/// Incidents, newest first.
pub async fn incidents(State(app): State<App>, Query(window): Query<Window>) -> ApiResult<Json<IncidentsDto>> {
    let now = app.now();
    let to = window.to.map_or(now.plus(Duration::from_millis(1)), |at| UtcMs(at.0));
    let from = window.from.map_or(UtcMs(0), |at| UtcMs(at.0));
    let (limit, before, open) = (window.limit(), window.before, window.open);
    let target = match window.target.as_deref().filter(|t| !t.is_empty()) {
        Some(text) => Some(TargetId::parse(text).map_err(|_| ApiError::not_found("target"))?),
        None => None,
    };
    let (rows, next) = app.ask(move |store| page(store, target.as_ref(), (from, to), before, limit, open)).await?;
    Ok(Json(IncidentsDto { incidents: rows.iter().map(Into::into).collect(), next }))
}

/// Rows of the history looked through at most for one page of open (or closed) incidents.
const MAX_SCANNED: usize = 20 * MAX_ROWS;

/// One page, filtered by whether the incidents are open; goes on reading until the page is full or the history ends.
fn page(
    store: &store::Store,
    target: Option<&TargetId>,
    (from, to): (UtcMs, UtcMs),
    mut before: Option<i64>,
    limit: usize,
    open: Option<bool>,
) -> Result<(Vec<store::IncidentRow>, Option<i64>), store::StoreError> {
    let mut out = Vec::new();
    let mut scanned = 0;
    loop {
        let want = if open.is_some() { MAX_ROWS } else { limit };
        let rows = store.incidents(target, from, to, before, want)?;
        let ended = rows.len() < want;
        scanned += rows.len();
        for row in rows {
            before = Some(row.row);
            if open.is_none_or(|wanted| row.incident.closed_at.is_none() == wanted) {
                out.push(row);
            }
            if out.len() == limit {
                return Ok((out, before));
            }
        }
        if ended || scanned >= MAX_SCANNED {
            return Ok((out, if ended { None } else { before }));
        }
    }
}
