//! Alerts: how they are, what people say of them, and planned work.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use engine::alerts::AlertError;
use model::alert::{Mute, Scope};
use model::target::TargetId;
use model::time::UtcMs;
use serde::Deserialize;

use crate::auth::roles::Identity;
use crate::dto::alert::{
    Acknowledge, AlertHistoryDto, AlertsDto, BeginMaintenance, MaintenanceDto, MuteAlerts, Unacknowledge, UnmuteAlerts,
};
use crate::error::{ApiError, ApiResult, Code};
use crate::extract::{Body, Query, Segment};
use crate::limits::{DEFAULT_ROWS, MAX_ROWS, MAX_TIMES};
use crate::query::When;
use crate::state::App;

/// Longest part of a calendar that is asked for at once: what a page of months shows, and room.
const CALENDAR: Duration = Duration::from_secs(100 * 86_400);

impl From<AlertError> for ApiError {
    fn from(error: AlertError) -> Self {
        let code = match error {
            AlertError::NoSuchAlert | AlertError::NothingToEnd => Code::NotFound,
            AlertError::Empty | AlertError::TooMuch => Code::BadRequest,
            AlertError::NotKept | AlertError::Stopping => Code::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

/// All alerts that are not over.
pub async fn list(State(app): State<App>) -> Json<AlertsDto> {
    Json(app.handle.alerts().now().as_ref().into())
}

/// Which part of the history.
#[derive(Deserialize)]
pub struct Window {
    target: Option<String>,
    from: Option<When>,
    to: Option<When>,
    before: Option<i64>,
    limit: Option<usize>,
}

impl Window {
    fn range(&self, from: UtcMs, to: UtcMs) -> ApiResult<(UtcMs, UtcMs)> {
        let (from, to) = (self.from.map_or(from, |at| UtcMs(at.0)), self.to.map_or(to, |at| UtcMs(at.0)));
        if from > to {
            return Err(ApiError::new(Code::BadRequest, "from is later than to"));
        }
        Ok((from, to))
    }
}

/// Alerts of the history, newest first.
pub async fn history(State(app): State<App>, Query(window): Query<Window>) -> ApiResult<Json<AlertHistoryDto>> {
    let range = window.range(UtcMs(0), app.now().plus(Duration::from_millis(1)))?;
    let limit = window.limit.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS);
    let target = window.target.as_deref().filter(|t| !t.is_empty()).map(target).transpose()?;
    let rows = app.handle.alerts().history(target, range, window.before, limit).await?;
    let next = (rows.len() == limit).then(|| rows.last().map(|r| r.row)).flatten();
    Ok(Json(AlertHistoryDto { alerts: rows.iter().map(Into::into).collect(), next }))
}

fn target(text: &str) -> ApiResult<TargetId> {
    TargetId::parse(text).map_err(|_| ApiError::not_found("target"))
}

/// Somebody knows of an alert.
pub async fn acknowledge(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Body(Acknowledge { key, note }): Body<Acknowledge>,
) -> ApiResult<StatusCode> {
    app.handle.alerts().acknowledge(&key, &who.name, note.trim()).await?;
    app.audit(&who.name, "acknowledged an alert", &key, note.trim()).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes that back.
pub async fn unacknowledge(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Body(Unacknowledge { key }): Body<Unacknowledge>,
) -> ApiResult<StatusCode> {
    app.handle.alerts().unacknowledge(&key).await?;
    app.audit(&who.name, "took an acknowledgement back", &key, "").await;
    Ok(StatusCode::NO_CONTENT)
}

/// Tells nobody.
pub async fn mute(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Body(MuteAlerts { target: id, rule, until, note }): Body<MuteAlerts>,
) -> ApiResult<StatusCode> {
    let target = id.as_deref().map(target).transpose()?;
    let subject = subject(target.as_ref(), rule.as_deref());
    let note = note.trim().to_owned();
    let mute = Mute { target, rule, until: until.map(UtcMs), by: who.name.clone(), note: note.clone() };
    app.handle.alerts().mute(mute).await?;
    app.audit(&who.name, "muted alerts", &subject, &note).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Tells people again.
pub async fn unmute(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Body(UnmuteAlerts { target: id, rule }): Body<UnmuteAlerts>,
) -> ApiResult<StatusCode> {
    let target = id.as_deref().map(target).transpose()?;
    let subject = subject(target.as_ref(), rule.as_deref());
    app.handle.alerts().unmute(target, rule).await?;
    app.audit(&who.name, "ended a mute", &subject, "").await;
    Ok(StatusCode::NO_CONTENT)
}

fn subject(target: Option<&TargetId>, rule: Option<&str>) -> String {
    match (target, rule) {
        (Some(target), Some(rule)) => format!("{rule} about {target}"),
        (Some(target), None) => target.to_string(),
        (None, Some(rule)) => rule.to_owned(),
        (None, None) => String::new(),
    }
}

/// Planned work: every window, and its times within a part of the calendar.
pub async fn maintenance(State(app): State<App>, Query(window): Query<Window>) -> ApiResult<Json<MaintenanceDto>> {
    let now = app.now();
    let (from, to) = window.range(now, now.plus(Duration::from_secs(31 * 86_400)))?;
    let to = to.min(from.plus(CALENDAR));
    let (alerts, board) = (app.handle.alerts().clone(), app.handle.alerts().now());
    // Cron lines of many windows are some work.
    let times = tokio::task::spawn_blocking(move || alerts.calendar(from, to, MAX_TIMES)).await?;
    let config = app.handle.settings().borrow().clone();
    let zones = config.alerts.maintenance.iter().map(|w| (w.name.clone(), w.zone.clone())).collect();
    let targets = board.in_maintenance.iter().map(|(id, name)| (id.to_string(), name.clone())).collect();
    Ok(Json(MaintenanceDto {
        windows: board.windows.iter().map(Into::into).collect(),
        zones,
        times: times.iter().map(Into::into).collect(),
        targets,
    }))
}

/// Begins planned work by hand, now or later.
pub async fn begin_maintenance(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Body(body): Body<BeginMaintenance>,
) -> ApiResult<StatusCode> {
    let targets = body.targets.iter().map(|id| target(id)).collect::<ApiResult<Vec<_>>>()?;
    for id in &targets {
        app.target(id)?;
    }
    let scope = Scope { targets, groups: body.groups, tags: body.tags, ..Scope::default() };
    let from = body.from.map_or_else(|| app.now(), UtcMs);
    let name = body.name.trim();
    app.handle.alerts().maintain(name, scope, (from, UtcMs(body.until)), &who.name).await?;
    app.audit(&who.name, "began planned work", name, "").await;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends planned work that was begun by hand.
pub async fn end_maintenance(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Segment(name): Segment,
) -> ApiResult<StatusCode> {
    app.handle.alerts().end_maintenance(&name).await?;
    app.audit(&who.name, "ended planned work", &name, "").await;
    Ok(StatusCode::NO_CONTENT)
}
