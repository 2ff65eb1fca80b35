//! The gate before every route: who asks, whether they may, and whether it was really they who asked. One place; the
//! table of routes says what each asks for.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::csrf;
use super::local;
use super::roles::{Access, Identity, Proof, Role};
use super::session;
use crate::error::{ApiError, ApiResult, Code};
use crate::peer::Peer;
use crate::query;
use crate::routes::Route;
use crate::state::App;

/// Name of whoever uses the page while login is switched off.
pub const NOBODY: &str = "local";

/// Lets a request through to its handler, with its [`Identity`] as an extension, or answers it here.
pub async fn gate(State((app, route)): State<(App, &'static Route)>, mut request: Request, next: Next) -> Response {
    let compat = route.is_compat();
    match check(&app, route, &request).and_then(|who| query::check(route, request.uri()).map(|()| who)) {
        Ok(identity) => {
            if let Some(identity) = identity {
                request.extensions_mut().insert(identity);
            }
            let mut response = next.run(request).await;
            let no_store = HeaderValue::from_static("no-store");
            response.headers_mut().entry(header::CACHE_CONTROL).or_insert(no_store);
            response
        }
        // The routes of StreamPulse 2.x answer those who are not signed in with an empty body.
        Err(error) if route.is_streaming() => crate::compat::streaming::Refusal::of(error).into_response(),
        Err(error) if compat => error.code().parts().0.into_response(),
        Err(error) => error.into_response(),
    }
}

fn check(app: &App, route: &Route, request: &Request) -> ApiResult<Option<Identity>> {
    let headers = request.headers();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let identity = identify(app, request);
    if !reads {
        check_origin(app, headers, request, identity.as_ref(), route.access)?;
    }
    let Access::Role(least) = route.access else { return Ok(identity) };
    let Some(identity) = identity else {
        // While nobody is known, "sign in first" would make browsers and programs drop what is still good.
        app.crew.check_read()?;
        return Err(ApiError::new(Code::Unauthorized, "sign in first"));
    };
    if identity.may(route.access, reads) {
        return Ok(Some(identity));
    }
    let why = match identity.read_only && identity.role >= least {
        true => "this token may only read".to_owned(),
        false => format!("this needs the role {}, you are {}", least.as_str(), identity.role.as_str()),
    };
    Err(ApiError::new(Code::Forbidden, why))
}

/// Requests that change something must come from our own page, or from a program that shows a token.
fn check_origin(
    app: &App,
    headers: &HeaderMap,
    request: &Request,
    identity: Option<&Identity>,
    access: Access,
) -> ApiResult<()> {
    match identity.map(|i| &i.by) {
        Some(Proof::Token(_)) => Ok(()),
        Some(Proof::Session(_)) if access != Access::Public => {
            let peer = Peer::of(request);
            let secret = peer.and_then(|p| session::secret_of(headers, p.is_secure(headers))).unwrap_or_default();
            csrf::check(headers, &csrf::token(secret))
        }
        Some(Proof::NoLogin) if csrf::is_browser(headers) => csrf::check(headers, &app.open_csrf),
        _ => csrf::check_site(headers),
    }
}

/// Who makes a request: by bearer token, else by cookie, else, while login is switched off, anybody.
#[must_use]
pub fn identify(app: &App, request: &Request) -> Option<Identity> {
    identify_by(app, request.headers(), Peer::of(request)?)
}

/// The same from the parts of a request.
#[must_use]
pub fn identify_by(app: &App, headers: &HeaderMap, peer: Peer) -> Option<Identity> {
    let now = app.now();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let text = value.to_str().ok()?;
        let (scheme, token) = text.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        if app.local_key.as_ref().is_some_and(|key| key.is(token.trim())) {
            let (name, by) = (local::ACTOR.to_owned(), Proof::Token(local::FILE.to_owned()));
            return Some(Identity { name, role: Role::Administrator, read_only: false, by });
        }
        let (id, token) = app.crew.tokens.find(token.trim(), now)?;
        let owner = match &token.owner {
            Some(name) => app.crew.users.get(name)?.role,
            None => Role::Administrator,
        };
        let role = token.role.min(owner);
        return Some(Identity {
            name: format!("token:{}", token.name),
            role,
            read_only: token.read_only,
            by: Proof::Token(id),
        });
    }
    if !app.login {
        let role = Role::Administrator;
        return Some(Identity { name: NOBODY.to_owned(), role, read_only: false, by: Proof::NoLogin });
    }
    let secret = session::secret_of(headers, peer.is_secure(headers))?;
    let (key, session) = app.crew.sessions.find(secret, now)?;
    let user = app.crew.users.get(&session.user)?;
    if session.created_at < user.password_at {
        return None; // the password was set anew since
    }
    Some(Identity { name: user.name, role: user.role, read_only: false, by: Proof::Session(key) })
}
