//! Users and the audit log.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use model::secret::Secret;
use serde::Deserialize;

use super::session::with_cookie;
use crate::auth::accounts::{Change, NewUser};
use crate::auth::roles::{Identity, Proof, Role};
use crate::dto::people::{AuditDto, CreateUser, PatchUser, UserDto, UsersDto};
use crate::error::{ApiError, ApiResult, Code};
use crate::extract::{Body, Query, Segment};
use crate::limits::{DEFAULT_ROWS, MAX_ROWS};
use crate::peer::Peer;
use crate::state::App;

/// All users.
pub async fn list(State(app): State<App>) -> Json<UsersDto> {
    Json(UsersDto { users: app.crew.users.list().iter().map(Into::into).collect() })
}

/// Revoking a token must end what it brought: a user that it made, or a password that it set, would outlive it.
fn by_a_person(who: &Identity) -> ApiResult<()> {
    match who.by {
        Proof::Token(_) => Err(ApiError::new(Code::Forbidden, "a token cannot manage users; sign in")),
        Proof::Session(_) | Proof::NoLogin => Ok(()),
    }
}

/// Makes a user.
pub async fn create(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Body(body): Body<CreateUser>,
) -> ApiResult<Response> {
    by_a_person(&who)?;
    let role = body.role;
    let new = NewUser { name: body.name, password: body.password.0, role, first: false };
    let user = app.crew.users.create(new, app.now()).await?;
    app.audit(&who.name, "made a user", &user.name, role.as_str()).await;
    Ok((StatusCode::CREATED, Json(UserDto::from(&user))).into_response())
}

/// Changes a user. Administrators change anybody; the others their own password, with the present one.
pub async fn change(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    axum::Extension(peer): axum::Extension<Peer>,
    headers: HeaderMap,
    Segment(name): Segment,
    Body(body): Body<PatchUser>,
) -> ApiResult<Response> {
    by_a_person(&who)?;
    let own = matches!(who.by, Proof::Session(_)) && who.name.eq_ignore_ascii_case(&name);
    if who.role != Role::Administrator {
        if !own || body.role.is_some() {
            return Err(ApiError::new(Code::Forbidden, "only an administrator changes other users and roles"));
        }
        let Some(present) = body.current_password else {
            return Err(ApiError::new(Code::Invalid, "current_password is missing: the present password"));
        };
        let client = peer.client(&headers);
        let limited = app.limiter.take(client, &name, app.handle.clock().mono());
        limited
            .map_err(|_| ApiError::new(Code::TooManyRequests, "too many attempts, try again later").retry_after(30))?;
        app.crew.users.sign_in(&name, present.0).await?;
        app.limiter.succeeded(client, &name, app.handle.clock().mono());
    }
    let what = [("role", body.role.is_some()), ("password", body.password.is_some())];
    let what: Vec<&str> = what.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect();
    let (new_password, detail) = (body.password.is_some(), what.join(" and "));
    let change = Change { role: body.role, password: body.password.map(|p| p.0) };
    let user = app.crew.users.change(name, change, app.now()).await?;
    app.audit(&who.name, "changed a user", &user.name, &detail).await;
    let response = Json(UserDto::from(&user)).into_response();
    if !(own && new_password) {
        return Ok(response);
    }
    // A new password ends all sessions of the user, this one too: whoever just set it goes on with a new one.
    let secret = Secret::new(app.crew.sessions.begin(&user.name, app.now()).await);
    Ok(with_cookie(response, Some(&secret), peer.is_secure(&headers)))
}

/// Removes a user.
pub async fn remove(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Segment(name): Segment,
) -> ApiResult<StatusCode> {
    by_a_person(&who)?;
    let user = app.crew.users.remove(name).await?;
    app.crew.sessions.end_all_of(&user.name).await;
    app.crew.tokens.refresh().await?;
    app.audit(&who.name, "removed a user", &user.name, user.role.as_str()).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Which page of the audit log.
#[derive(Debug, Deserialize)]
pub struct Page {
    before: Option<i64>,
    limit: Option<usize>,
}

/// The audit log, newest first.
pub async fn audit(State(app): State<App>, Query(page): Query<Page>) -> ApiResult<Json<AuditDto>> {
    let limit = page.limit.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS);
    let rows = app.ask(move |store| store.audit(page.before, limit)).await?;
    let next = (rows.len() == limit).then(|| rows.last().map(|(row, _)| *row)).flatten();
    Ok(Json(AuditDto { rows: rows.iter().map(Into::into).collect(), next }))
}
