//! How StreamPulse itself is, for people and for supervisors.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::OnStatus;
use crate::dto::health::{HealthDto, ReadyDto};
use crate::health;
use crate::state::App;

/// How StreamPulse is. The reasons, which may name files, are for those who signed in.
pub async fn show(State(app): State<App>, on_status: Option<axum::Extension<OnStatus>>) -> Json<HealthDto> {
    let mut dto = health::of(&app.handle, &app.handle.now(), &app.pulse);
    if on_status.is_some() {
        for part in dto.parts.values_mut().filter(|p| !p.ok) {
            part.reason = Some("unwell; the dashboard says why".to_owned());
        }
    }
    Json(dto)
}

/// Whether the loop turns: a supervisor restarts the process when it does not.
pub async fn alive(State(app): State<App>) -> Response {
    match app.pulse.is_felt() {
        true => "alive\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the engine's loop does not turn\n").into_response(),
    }
}

/// Whether engine, store and clock are well.
pub async fn ready(State(app): State<App>) -> Response {
    let mut dto: ReadyDto = health::ready(&health::of(&app.handle, &app.handle.now(), &app.pulse));
    // The reasons go to anybody: parts are named, files are not.
    for reason in &mut dto.reasons {
        *reason = crate::masks::without_places(reason);
    }
    let status = if dto.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(dto)).into_response()
}
