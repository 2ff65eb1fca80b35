//! The one error of the API: a stable code, a message for outside, and a message for the log. Owns the mapping of every
//! error below to a status code. Never shows a secret, a path or an internal text to the outside.

use std::fmt;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::handle::{ApplyError, CommandError};
use engine::units::UnitError;
use model::conf::Problem;
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;

use crate::dto::problem::ProblemDto;
use crate::masks::{hide_in_words, without_places};

/// What went wrong, in the words of the API. The closed list of codes; clients branch on these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request is not understood.
    BadRequest,
    /// No valid session or token.
    Unauthorized,
    /// User or password is wrong; does not say which.
    WrongCredentials,
    /// Signed in, but the role does not allow this.
    Forbidden,
    /// The CSRF token is missing or wrong, or the request comes from another site.
    CsrfFailed,
    /// The `Host` header names a host that is not ours.
    WrongHost,
    /// There is no such thing.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The state does not allow this (already set up, name taken, last administrator).
    Conflict,
    /// The configuration changed since it was read.
    ConfigChanged,
    /// The body is larger than allowed.
    TooLarge,
    /// The body is no JSON by its type.
    WrongType,
    /// The values are understood and wrong; see `problems`.
    Invalid,
    /// Too many attempts; see `Retry-After`.
    TooManyRequests,
    /// The request took too long to arrive.
    TimedOut,
    /// Busy with as many of these as are allowed at once.
    Busy,
    /// A part of StreamPulse is unwell.
    Unavailable,
    /// The picture could not be had from the target.
    NoPicture,
    /// A mistake of ours.
    Internal,
}

impl Code {
    /// Status code and stable word.
    #[must_use]
    pub const fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::WrongCredentials => (StatusCode::UNAUTHORIZED, "wrong_credentials"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            Self::CsrfFailed => (StatusCode::FORBIDDEN, "csrf_failed"),
            Self::WrongHost => (StatusCode::MISDIRECTED_REQUEST, "wrong_host"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Conflict => (StatusCode::CONFLICT, "conflict"),
            Self::ConfigChanged => (StatusCode::CONFLICT, "config_changed"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::WrongType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_type"),
            Self::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
            Self::TimedOut => (StatusCode::REQUEST_TIMEOUT, "timed_out"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::NoPicture => (StatusCode::BAD_GATEWAY, "no_picture"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

/// An error on its way out.
#[derive(Debug)]
pub struct ApiError {
    code: Code,
    message: String,
    problems: Vec<Problem>,
    log: Option<String>,
    retry_after_s: Option<u64>,
}

/// What every handler answers with.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// An error with its message for outside: one sentence, lower case, no final stop.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), problems: Vec::new(), log: None, retry_after_s: None }
    }

    /// The same with a message for the log alone.
    #[must_use]
    pub fn logged(mut self, log: impl Into<String>) -> Self {
        self.log = Some(log.into());
        self
    }

    /// The same with the seconds after which to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Values that are wrong, with their places.
    #[must_use]
    pub fn invalid(problems: Vec<Problem>) -> Self {
        let message = match problems.as_slice() {
            [one] => one.to_string(),
            many => format!("{} problems", many.len()),
        };
        Self { problems, ..Self::new(Code::Invalid, message) }
    }

    /// There is no such `what`.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no such {what}"))
    }

    /// A mistake of ours; the text goes to the log alone.
    #[must_use]
    pub fn internal(log: impl Into<String>) -> Self {
        Self::new(Code::Internal, "an internal error; the log of the server says more").logged(log)
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// What is wrong with the values of a request, with places.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What the log of the program should say of it.
    #[must_use]
    pub fn log(&self) -> Option<&str> {
        self.log.as_deref()
    }
}

/// The message for outside.
impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDto,
}

/// One error.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorDto {
    /// Stable word to branch on.
    pub code: &'static str,
    /// One sentence for people.
    pub message: String,
    /// What is wrong where, for errors of the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ProblemDto>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.code.parts();
        let message = hide_in_words(&self.message);
        match &self.log {
            Some(log) if status.is_server_error() => tracing::error!(code, "{}", hide_in_words(log)),
            Some(log) => tracing::info!(code, "{}", hide_in_words(log)),
            None => tracing::debug!(code, "{message}"),
        }
        let problems = self.problems.iter().map(ProblemDto::from).collect();
        let body = ErrorBody { error: ErrorDto { code, message, problems } };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let log = error.to_string();
        match error {
            StoreError::NoSuchTarget(_) => Self::not_found("target"),
            StoreError::Busy(_) => Self::new(Code::Busy, "the history is busy, try again").logged(log).retry_after(1),
            StoreError::Closed | StoreError::Unavailable(_) | StoreError::Damaged(_) => {
                Self::new(Code::Unavailable, "the history cannot be used now; see the health page").logged(log)
            }
            _ => Self::internal(log),
        }
    }
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::NoSuchTarget => Self::not_found("target"),
            CommandError::Busy => {
                Self::new(Code::Busy, "busy with as many of these as are allowed at once").retry_after(2)
            }
            CommandError::Stopping => Self::new(Code::Unavailable, "StreamPulse is stopping"),
        }
    }
}

impl From<UnitError> for ApiError {
    fn from(error: UnitError) -> Self {
        let words = error.to_string();
        match error {
            UnitError::NoSuchUnit => Self::not_found("service"),
            UnitError::NoForm => Self::new(Code::NotFound, words),
            UnitError::Refused(_) => Self::new(Code::Conflict, words),
            UnitError::Invalid(problems) => Self::invalid(problems),
            UnitError::Io(why) => Self::new(Code::Unavailable, without_places(&why)).logged(why),
            UnitError::Stopping => Self::new(Code::Unavailable, "StreamPulse is stopping"),
        }
    }
}

impl From<ApplyError> for ApiError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Changed { .. } => Self::new(
                Code::ConfigChanged,
                "the configuration file was changed by somebody else since it was read; read it again",
            ),
            ApplyError::Problems(problems) => Self::invalid(problems),
            ApplyError::Io(why) => {
                Self::new(Code::Unavailable, "the configuration file could not be written; the log says why")
                    .logged(why)
            }
        }
    }
}

impl From<tokio::task::JoinError> for ApiError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal(format!("a blocking task failed: {error}"))
    }
}
