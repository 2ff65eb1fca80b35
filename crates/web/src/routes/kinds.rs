//! What a form for targets needs to know, and the description of this API.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::dto::kinds::KindsDto;

/// Sections, kinds and their keys.
pub async fn show() -> Json<KindsDto> {
    Json(KindsDto::new(&engine::config::describe()))
}

/// JSON Schema of the configuration file.
pub async fn schema() -> Json<serde_json::Value> {
    Json(engine::config::schema())
}

/// The OpenAPI document.
pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], crate::openapi::text()).into_response()
}
