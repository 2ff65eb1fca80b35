//! What was not done, in the shape of these routes: a status code, `success: false`, words, and the `detail` that every error
//! of the original had.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::masks::hide_in_words;

/// A refusal on its way out.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    body: Value,
}

impl Refusal {
    fn new(status: StatusCode, message: &str, pid: Option<u32>, detail: Value) -> Self {
        let message = hide_in_words(message);
        Self { status, body: json!({ "success": false, "message": message, "pid": pid, "detail": detail }) }
    }

    /// An error of the API. What is wrong with values is a list of places.
    #[must_use]
    pub fn of(error: ApiError) -> Self {
        let (status, message) = (error.code().parts().0, error.to_string());
        let detail = match error.problems() {
            [] => Value::from(hide_in_words(&message)),
            many => many.iter().map(|p| place(&["body", &p.path], &hide_in_words(&p.message), "value_error")).collect(),
        };
        if let Some(log) = error.log() {
            tracing::info!("{}", hide_in_words(log));
        }
        Self::new(status, &message, None, detail)
    }

    /// The service is not in the state for this.
    pub(super) fn state(message: &str, pid: Option<u32>) -> Self {
        Self::new(StatusCode::CONFLICT, message, pid, Value::from(message))
    }

    /// It was tried and came to nothing.
    pub(super) fn failed(message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message, None, Value::from(message))
    }

    /// The body as a whole is wrong.
    pub(super) fn body(why: &str, sort: &str) -> Self {
        let detail = Value::Array(vec![place(&["body"], why, sort)]);
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, &format!("the body {why}"), None, detail)
    }
}

/// One place in a list of what is wrong.
fn place(at: &[&str], message: &str, sort: &str) -> Value {
    json!({ "loc": at, "msg": message, "type": sort })
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
