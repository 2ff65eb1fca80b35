//! Reading requests: bodies, queries and path segments, each with its bounds and its error in the one form.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use model::target::TargetId;
use serde::de::DeserializeOwned;

use crate::error::{ApiError, ApiResult, Code};
use crate::limits::{BODY_BYTES, BODY_TIME};

/// A JSON body of at most `MAX` bytes.
pub struct Body<T, const MAX: usize = BODY_BYTES>(pub T);

impl<S: Send + Sync, T: DeserializeOwned, const MAX: usize> FromRequest<S> for Body<T, MAX> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> ApiResult<Self> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("application/json")) {
            return Err(ApiError::new(Code::WrongType, "the body must be application/json"));
        }
        let bytes = read(request, MAX, BODY_TIME).await?;
        // The reason of serde may quote what was sent, which may be a password: only the place is told.
        let value = serde_json::from_slice(&bytes).map_err(|e| {
            let what = if e.is_data() { "does not have the expected keys and types" } else { "is no JSON" };
            ApiError::new(Code::BadRequest, format!("the body {what} (line {}, column {})", e.line(), e.column()))
        })?;
        Ok(Self(value))
    }
}

/// A whole body of at most `max` bytes that arrives within `time`.
pub(crate) async fn read(request: Request, max: usize, time: Duration) -> ApiResult<Bytes> {
    let too_large = || ApiError::new(Code::TooLarge, format!("the body is larger than {max} bytes"));
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|n| n > max as u64) {
        return Err(too_large());
    }
    let body = Limited::new(request.into_body(), max).collect();
    match tokio::time::timeout(time, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(ApiError::new(Code::BadRequest, "the body ended early")),
        Err(_) => Err(ApiError::new(Code::TimedOut, "the body did not arrive in time")),
    }
}

/// The query of a request.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let parsed = axum::extract::Query::try_from_uri(&parts.uri);
        let bad = |_| ApiError::new(Code::BadRequest, "the query has a parameter of the wrong form");
        Ok(Self(parsed.map_err(bad)?.0))
    }
}

/// The one segment of the path that a route leaves open.
pub struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let found = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(found.map_err(|_| ApiError::new(Code::BadRequest, "the path is not understood"))?.0))
    }
}

/// The two segments of the path that a route leaves open.
pub struct Segments(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let found = axum::extract::Path::<(String, String)>::from_request_parts(parts, state).await;
        let (first, second) = found.map_err(|_| ApiError::new(Code::BadRequest, "the path is not understood"))?.0;
        Ok(Self(first, second))
    }
}

/// The id of a target in the path.
pub struct Id(pub TargetId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let Segment(text) = Segment::from_request_parts(parts, state).await?;
        TargetId::parse(&text).map(Self).map_err(|_| ApiError::not_found("target"))
    }
}
