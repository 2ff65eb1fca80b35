//! Signing in and out, and the first run.

use std::net::IpAddr;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::secret::Secret;

use crate::auth::accounts::{NewUser, User};
use crate::auth::roles::{Identity, Proof, Role};
use crate::auth::{csrf, gate, session};
use crate::dto::session::{SessionDto, SetUp, SignIn};
use crate::error::{ApiError, ApiResult, Code};
use crate::extract::Body;
use crate::health::VERSION;
use crate::limits::SIGN_IN_BODY_BYTES;
use crate::peer::Peer;
use crate::state::App;

/// Who asks.
pub async fn show(State(app): State<App>, request: Request) -> Response {
    let identity = gate::identify(&app, &request);
    let peer = Peer::of(&request);
    let secret = peer.and_then(|p| session::secret_of(request.headers(), p.is_secure(request.headers())));
    let csrf = match identity.as_ref().map(|i| &i.by) {
        Some(Proof::Session(_)) => secret.map(csrf::token),
        Some(Proof::NoLogin) => Some(app.open_csrf.clone()),
        Some(Proof::Token(_)) | None => None,
    };
    no_store(Json(describe(&app, identity.map(|i| (i.name, i.role)), csrf)))
}

fn describe(app: &App, who: Option<(String, Role)>, csrf: Option<String>) -> SessionDto {
    let (user, role) = who.unzip();
    SessionDto {
        signed_in: user.is_some(),
        user,
        role,
        csrf,
        setup_needed: app.login && app.crew.needs_setup(),
        login_required: app.login,
        version: VERSION,
        timezone: app.handle.now().timezone.clone(),
        demo: app.demo,
    }
}

/// Signs in.
pub async fn sign_in(
    State(app): State<App>,
    axum::Extension(peer): axum::Extension<Peer>,
    headers: HeaderMap,
    Body(body): Body<SignIn, SIGN_IN_BODY_BYTES>,
) -> ApiResult<Response> {
    if !app.login {
        return Err(ApiError::new(Code::Conflict, "login is switched off on this machine"));
    }
    app.crew.check_read()?;
    let client = peer.client(&headers);
    take_attempt(&app, client, &body.user)?;
    let user = match app.crew.users.sign_in(&body.user, body.password.0).await {
        Ok(user) => user,
        Err(error) => {
            if error.code() == Code::WrongCredentials {
                tracing::warn!(%client, "a sign-in failed: user or password is wrong");
            }
            return Err(error);
        }
    };
    app.limiter.succeeded(client, &body.user, app.handle.clock().mono());
    begin(&app, &user, peer, &headers, "signed in", client).await
}

/// Makes the first administrator and signs in.
pub async fn set_up(
    State(app): State<App>,
    axum::Extension(peer): axum::Extension<Peer>,
    headers: HeaderMap,
    Body(body): Body<SetUp, SIGN_IN_BODY_BYTES>,
) -> ApiResult<Response> {
    if app.login {
        app.crew.check_read()?;
    }
    if !app.login || !app.crew.needs_setup() {
        return Err(ApiError::new(Code::Conflict, "StreamPulse is set up already; sign in"));
    }
    let client = peer.client(&headers);
    // The token cannot be guessed; nobody else's attempts shall keep the owner out.
    let attempt = client.to_string();
    take_attempt(&app, client, &attempt)?;
    if !app.crew.setup.fits(body.token.0.expose()) {
        tracing::warn!(%client, "a set-up failed: the token is wrong");
        return Err(ApiError::new(
            Code::WrongCredentials,
            "the set-up token is wrong; the program printed it when it started",
        ));
    }
    app.limiter.succeeded(client, &attempt, app.handle.clock().mono());
    let new = NewUser { name: body.user, password: body.password.0, role: Role::Administrator, first: true };
    let user = app.crew.users.create(new, app.now()).await?;
    app.crew.setup.used();
    begin(&app, &user, peer, &headers, "made the first administrator", client).await
}

fn take_attempt(app: &App, client: IpAddr, user: &str) -> ApiResult<()> {
    app.limiter.take(client, user, app.handle.clock().mono()).map_err(|wait| {
        tracing::warn!(%client, "too many attempts to sign in");
        let seconds = wait.as_secs() + 1;
        ApiError::new(Code::TooManyRequests, format!("too many attempts, try again in {seconds} s"))
            .retry_after(seconds)
    })
}

/// Begins a new session. The one that came with the request, if any, is over: nobody can plant a session on a visitor.
async fn begin(
    app: &App,
    user: &User,
    peer: Peer,
    headers: &HeaderMap,
    action: &str,
    client: IpAddr,
) -> ApiResult<Response> {
    let secure = peer.is_secure(headers);
    if let Some((key, _)) = session::secret_of(headers, secure).and_then(|old| app.crew.sessions.find(old, app.now())) {
        app.crew.sessions.end(&key).await;
    }
    let secret = app.crew.sessions.begin(&user.name, app.now()).await;
    app.audit(&user.name, action, &user.name, &format!("from {client}")).await;
    let dto = describe(app, Some((user.name.clone(), user.role)), Some(csrf::token(&secret)));
    Ok(with_cookie(no_store(Json(dto)), Some(&Secret::new(secret)), secure))
}

/// Signs out.
pub async fn sign_out(
    State(app): State<App>,
    axum::Extension(identity): axum::Extension<Identity>,
    axum::Extension(peer): axum::Extension<Peer>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    if let Proof::Session(key) = &identity.by {
        app.crew.sessions.end(key).await;
        app.audit(&identity.name, "signed out", &identity.name, "").await;
    }
    Ok(with_cookie(StatusCode::NO_CONTENT.into_response(), None, peer.is_secure(&headers)))
}

fn no_store(body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) fn with_cookie(mut response: Response, secret: Option<&Secret>, secure: bool) -> Response {
    let cookie = session::set_cookie(secret.map(Secret::expose), secure);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}
