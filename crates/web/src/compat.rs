//! The routes of StreamPulse 2.x: same paths, same shapes, real statuses. Streams are known by their names here. Nothing
//! new is ever added to this file. The routes of the DSA-110 streaming control are in [`streaming`].

pub mod streaming;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::board::{Board, TargetNow};
use model::time::UtcMs;
use model::verdict::Grade;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiResult;
use crate::extract::Segment;
use crate::limits::COMPAT_HISTORY_ROWS;
use crate::masks;
use crate::routes::{OnStatus, export, preview};
use crate::state::App;
use crate::zone::{self, Zone};

/// One stream as StreamPulse 2.x showed it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CompatStatus {
    /// When it was last looked at, ISO 8601 with the offset of the configured zone; empty when it was not.
    pub ts: String,
    /// `ok`, `fail`, or empty when it was not looked at.
    pub status: &'static str,
    /// How long the look took, in milliseconds.
    pub latency: Option<u32>,
    /// Why, in words.
    pub message: String,
}

/// The time zone as StreamPulse 2.x showed it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CompatZone {
    /// IANA name.
    pub timezone: String,
    /// `+HH:MM`.
    pub utc_offset: String,
    /// Whether one was chosen.
    pub timezone_set: bool,
}

/// The word of a grade.
#[must_use]
pub const fn word(grade: Grade) -> &'static str {
    match grade {
        Grade::Pass | Grade::Warn => "ok",
        Grade::Fail => "fail",
    }
}

fn zone_of(app: &App) -> Zone {
    zone::named(&app.handle.now().timezone)
}

/// Every stream by name.
pub async fn status(
    State(app): State<App>,
    on_status: Option<axum::Extension<OnStatus>>,
) -> Json<BTreeMap<String, CompatStatus>> {
    let mut all = statuses(&app.handle.now());
    if on_status.is_some() {
        all.values_mut().for_each(|s| s.message = masks::without_places(&s.message));
    }
    Json(all)
}

fn statuses(board: &Board) -> BTreeMap<String, CompatStatus> {
    let zone = zone::named(&board.timezone);
    board.targets.iter().map(|t| (t.spec.name.clone(), one(t, &zone))).collect()
}

/// The body of `GET /api/status` for a Board, which is also what is published by MQTT.
#[must_use]
pub fn status_json(board: &Board) -> Vec<u8> {
    // A map with text for keys cannot fail to be written.
    serde_json::to_vec(&statuses(board)).unwrap_or_default()
}

fn one(target: &TargetNow, zone: &Zone) -> CompatStatus {
    let said =
        |text: &str, grade| if text.is_empty() { word(grade).to_owned() } else { target.spec.address.redact(text) };
    let seen = |at: UtcMs, took_ms, grade, text: &str| CompatStatus {
        ts: zone.iso(at),
        status: word(grade),
        latency: Some(took_ms),
        message: said(text, grade),
    };
    match (&target.last, &target.verdict, target.beats.last()) {
        (Some(last), Some(verdict), _) => {
            let took = u32::try_from(last.took.as_millis()).unwrap_or(u32::MAX);
            seen(last.at, took, verdict.grade, verdict.headline())
        }
        // After a restart, until the first look: what the history has.
        (_, _, Some(beat)) => seen(beat.at, beat.took_ms, beat.grade, ""),
        _ => CompatStatus { ts: String::new(), status: "", latency: None, message: "no data yet".to_owned() },
    }
}

/// The newest looks of a stream, a line each, newest first.
pub async fn history(State(app): State<App>, Segment(name): Segment) -> ApiResult<Response> {
    let zone = zone_of(&app);
    let mut body = String::new();
    if let Some(target) = app.target_named(&name) {
        let id = target.spec.id.clone();
        let question = move |store: &store::Store| {
            store.observations(&id, UtcMs(0), UtcMs(i64::MAX), None, COMPAT_HISTORY_ROWS, true)
        };
        let rows = match app.ask(question).await {
            Err(error) if error.code() == crate::error::Code::NotFound => Vec::new(),
            other => other?,
        };
        for row in rows {
            let message = if row.reason.is_empty() { word(row.grade) } else { row.reason.as_str() };
            let (ts, took) = (zone.iso(row.at), row.took.as_millis());
            // Writing to a String cannot fail.
            let _ = writeln!(body, "{ts} | {} | {took} ms | {}", word(row.grade), html(message));
        }
    }
    if body.is_empty() {
        body.push_str("No history.");
    }
    Ok(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], body).into_response())
}

/// Text inside HTML: what a camera says must not become part of a page.
fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Up to five seconds of motion.
pub async fn moving(State(app): State<App>, Segment(name): Segment) -> Response {
    match app.target_named(&name) {
        Some(target) => preview::moving(app, target.spec.id.clone()),
        None => (StatusCode::NOT_FOUND, "Unknown stream").into_response(),
    }
}

/// Every stored look of every stream.
pub async fn export_all(State(app): State<App>) -> ApiResult<Response> {
    export::all_compat(&app, zone_of(&app))
}

/// The time zone.
pub async fn zone(State(app): State<App>) -> Json<CompatZone> {
    let timezone = app.handle.now().timezone.clone();
    let utc_offset = zone_of(&app).offset(app.now());
    Json(CompatZone { timezone_set: timezone != "UTC", timezone, utc_offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_camera_says_stays_text() {
        assert_eq!(html("<script>alert('x')</script>&\n"), "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp; ");
    }
}
