//! API tokens.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::time::UtcMs;

use crate::auth::roles::{Identity, Proof};
use crate::auth::token::NewToken;
use crate::dto::people::{CreateToken, NewTokenDto, TokenDto, TokensDto};
use crate::error::{ApiError, ApiResult, Code};
use crate::extract::{Body, Segment};
use crate::state::App;

/// All tokens, without their secrets.
pub async fn list(State(app): State<App>) -> Json<TokensDto> {
    Json(TokensDto { tokens: app.crew.tokens.list().iter().map(|(id, token)| TokenDto::new(id, token)).collect() })
}

/// Makes a token and shows it this once. A token cannot make another one: revoking it must end what it brought.
pub async fn create(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Body(body): Body<CreateToken>,
) -> ApiResult<Response> {
    let owner = match &who.by {
        Proof::Session(_) => Some(who.name.clone()),
        Proof::NoLogin => None,
        Proof::Token(_) => return Err(ApiError::new(Code::Forbidden, "a token cannot make a token; sign in")),
    };
    let expires_at = body.expires_at.map(UtcMs);
    let role = body.role.min(who.role);
    let new = NewToken { name: body.name.clone(), role, read_only: body.read_only, owner, expires_at };
    let (id, token) = app.crew.tokens.create(new, app.now()).await?;
    app.audit(&who.name, "made a token", &body.name, &format!("{id}, {}", role.as_str())).await;
    let dto = NewTokenDto { id, token: token.expose().to_owned() };
    Ok((StatusCode::CREATED, Json(dto)).into_response())
}

/// Revokes a token.
pub async fn revoke(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Segment(id): Segment,
) -> ApiResult<StatusCode> {
    let token = app.crew.tokens.revoke(id.clone()).await?;
    app.audit(&who.name, "revoked a token", &token.name, &id).await;
    Ok(StatusCode::NO_CONTENT)
}
