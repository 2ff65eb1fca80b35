//! The table of routes: method, path, who may, what goes in and comes out, and the handler. The router, the gate, the
//! OpenAPI document and the tests of both are made from it; there is no other list.

pub mod alerts;
pub mod config;
pub mod events;
pub mod export;
pub mod health;
pub mod history;
pub mod kinds;
pub mod outbox;
pub mod preview;
pub mod push;
pub mod sections;
pub mod service_logs;
pub mod service_past;
pub mod services;
pub mod session;
pub mod sinks;
pub mod table;
pub mod targets;
pub mod tokens;
pub mod users;

use axum::Router;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::auth::gate;
use crate::auth::roles::Access;
use crate::error::{ApiError, Code};
use crate::state::App;

/// Methods that routes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes or does something.
    Post,
    /// Replaces.
    Put,
    /// Changes parts.
    Patch,
    /// Removes or ends.
    Delete,
}

impl Method {
    /// The word in a request line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A JSON shape with its name and those it uses.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Name among the components of the OpenAPI document.
    pub name: fn() -> String,
    /// The schema.
    pub schema: fn() -> RefOr<Schema>,
    /// Schemas that it refers to.
    pub uses: fn(&mut Vec<(String, RefOr<Schema>)>),
}

/// The shape of a type.
#[must_use]
pub const fn shape<T: utoipa::ToSchema>() -> Shape {
    Shape { name: || T::name().into_owned(), schema: T::schema, uses: T::schemas }
}

/// What a route answers with when all is well.
#[derive(Clone, Copy)]
pub enum Answer {
    /// JSON of this shape with this status code.
    Json(u16, Shape),
    /// Nothing, with status 204.
    Nothing,
    /// Bytes of this content type.
    Other(&'static str),
}

/// What a parameter of a query may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// A time: UTC milliseconds or RFC 3339.
    Time,
    /// A whole number.
    Integer,
    /// A whole number from the first to the second, both included.
    Range(i64, i64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text.
    Text,
    /// `true` or `false`.
    Bool,
}

/// One row of the table.
pub struct Route {
    /// Method.
    pub method: Method,
    /// Path; segments may be open, as `{id}`.
    pub path: &'static str,
    /// Who may.
    pub access: Access,
    /// Whether the read-only status listener has it too, without login.
    pub on_status: bool,
    /// One sentence.
    pub summary: &'static str,
    /// Parameters of the query with their meaning.
    pub query: &'static [(&'static str, Param, &'static str)],
    /// The body it takes.
    pub body: Option<Shape>,
    /// What it answers with.
    pub answer: Answer,
    /// The handler.
    pub handler: fn() -> MethodRouter<App>,
}

impl Route {
    /// Whether this is a route of StreamPulse 2.x.
    #[must_use]
    pub fn is_compat(&self) -> bool {
        !self.path.starts_with("/api/v1/") && !self.path.ends_with('z') && !self.is_streaming()
    }

    /// Whether this is a route of the DSA-110 streaming control.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.path.starts_with("/api/streaming/")
    }
}

/// The router of the main listeners.
pub fn main(app: App) -> Router {
    let mut router = Router::new();
    for route in table::ROUTES {
        let guarded = (route.handler)().route_layer(middleware::from_fn_with_state((app.clone(), route), gate::gate));
        router = router.route(route.path, guarded);
    }
    router.method_not_allowed_fallback(not_allowed).fallback(page).with_state(app)
}

/// The router of the read-only status listener: no login, no cookies, no pages, nothing that changes anything.
pub fn status(app: App) -> Router {
    let mut router = Router::new();
    for route in table::ROUTES.iter().filter(|r| r.on_status) {
        router = router.route(route.path, (route.handler)());
    }
    let nothing = || async { ApiError::not_found("page").into_response() };
    router.method_not_allowed_fallback(not_allowed).fallback(nothing).layer(axum::Extension(OnStatus)).with_state(app)
}

/// Marks requests that came to the status listener: answers leave out what only people who signed in may see.
#[derive(Clone, Copy, Debug)]
pub struct OnStatus;

async fn not_allowed() -> Response {
    ApiError::new(Code::MethodNotAllowed, "this path has no such method").into_response()
}

async fn page(request: axum::extract::Request) -> Response {
    crate::assets::serve(request.method(), request.uri().path(), request.headers())
}
