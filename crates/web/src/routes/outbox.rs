//! Channels, and the messages to them: what was delivered, what waits, what was given up.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use store::LetterState;

use crate::auth::roles::Identity;
use crate::dto::outbox::{ChannelsDto, OutboxDto};
use crate::dto::sink::TestedDto;
use crate::error::{ApiError, ApiResult, Code};
use crate::extract::{Query, Segment};
use crate::limits::{DEFAULT_ROWS, MAX_ROWS, SINK_TEST_TIME};
use crate::masks;
use crate::state::App;

/// Every channel as it is now.
pub async fn channels(State(app): State<App>) -> ApiResult<Json<ChannelsDto>> {
    let all = app.handle.outbox().state().await?;
    Ok(Json(ChannelsDto { channels: all.iter().map(Into::into).collect() }))
}

/// Sends a test message through a channel of the configuration, past the outbox.
pub async fn test(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Segment(name): Segment,
) -> ApiResult<Json<TestedDto>> {
    if !app.handle.settings().borrow().channels.iter().any(|channel| channel.name == name) {
        return Err(ApiError::not_found("channel"));
    }
    let Ok(_place) = app.sink_tests.try_acquire() else {
        return Err(ApiError::new(Code::Busy, "others are being tried; try again in a moment").retry_after(5));
    };
    app.audit(&who.name, "tried a channel", &name, "").await;
    let (ok, words) = match tokio::time::timeout(SINK_TEST_TIME, app.handle.outbox().test(&name)).await {
        Ok(Ok(took)) => (true, format!("a test message was delivered within {} ms", took.as_millis())),
        Ok(Err(failure)) => (false, failure.words),
        Err(_) => (false, format!("no answer within {} s", SINK_TEST_TIME.as_secs())),
    };
    Ok(Json(TestedDto { ok, words: masks::hide_in_words(&words) }))
}

/// Which messages.
#[derive(Deserialize)]
pub struct Which {
    state: Option<String>,
    before: Option<i64>,
    limit: Option<usize>,
}

/// Messages, newest first.
pub async fn messages(State(app): State<App>, Query(which): Query<Which>) -> ApiResult<Json<OutboxDto>> {
    let state = match which.state.as_deref() {
        None => None,
        Some("waiting") => Some(LetterState::Waiting),
        Some("sent") => Some(LetterState::Sent),
        Some("dead") => Some(LetterState::Dead),
        Some(_) => return Err(ApiError::new(Code::BadRequest, "state is waiting, sent or dead")),
    };
    let limit = which.limit.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS);
    let found = app.handle.outbox().messages(state, which.before, limit).await?;
    let next = (found.len() == limit).then(|| found.last().map(|m| m.row.row)).flatten();
    Ok(Json(OutboxDto { messages: found.iter().map(Into::into).collect(), next }))
}

/// Tries a message again that was given up.
pub async fn retry(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Segment(row): Segment,
) -> ApiResult<StatusCode> {
    let known = match row.parse() {
        Ok(number) => app.handle.outbox().put_back(number).await?,
        Err(_) => false,
    };
    if !known {
        return Err(ApiError::not_found("message that was given up"));
    }
    app.audit(&who.name, "tried a message again", &row, "").await;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets a message that was given up.
pub async fn forget(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Segment(row): Segment,
) -> ApiResult<StatusCode> {
    let known = match row.parse() {
        Ok(number) => app.handle.outbox().forget(number).await?,
        Err(_) => false,
    };
    if !known {
        return Err(ApiError::not_found("message that was given up"));
    }
    app.audit(&who.name, "forgot a message", &row, "").await;
    Ok(StatusCode::NO_CONTENT)
}
