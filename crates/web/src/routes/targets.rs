//! Targets: reading, adding, changing, removing, and the commands on them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::config::Edit;
use model::board::{Board, TargetNow};
use model::conf::Problem;
use model::target::{Target, TargetId};
use model::verdict::judge;
use serde_json::{Map, Value};

use crate::auth::random;
use crate::auth::roles::Identity;
use crate::dto::config::TargetFields;
use crate::dto::live::LiveDto;
use crate::dto::observation::ObservationDto;
use crate::dto::target::{TargetDto, TargetsDto};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Body, Id};
use crate::fields;
use crate::limits::APPLY_TIME;
use crate::masks::{self, Which};
use crate::state::App;

/// All targets.
pub async fn list(State(app): State<App>) -> Json<TargetsDto> {
    let board = app.handle.now();
    let table = app.availability.table();
    let scoring = app.handle.settings().borrow().score;
    let dto = |t: &Arc<TargetNow>| TargetDto::new(t, table.get(&t.spec.id).copied().unwrap_or_default(), &scoring);
    Json(TargetsDto { at: app.now().0, version: board.version, targets: board.targets.iter().map(dto).collect() })
}

/// One target, with its keys in the file.
pub async fn show(State(app): State<App>, Id(id): Id) -> ApiResult<Json<TargetDto>> {
    Ok(Json(one(&app, &id).await?))
}

/// The session of one target and its newest values.
pub async fn live(State(app): State<App>, Id(id): Id) -> ApiResult<Json<LiveDto>> {
    let (_, target) = app.target(&id)?;
    Ok(Json(LiveDto::new(&target, app.now().0)))
}

async fn one(app: &App, id: &TargetId) -> ApiResult<TargetDto> {
    let (board, now) = app.target(id)?;
    let text = app.handle.config().await.text;
    let position = position(&board, id);
    let (id, name) = (id.clone(), now.spec.name.clone());
    // Finding the place in a file of megabytes takes a while.
    let which = move || masks::fields_of(&text, Which { id: id.as_str(), name: &name, position });
    let config = tokio::task::spawn_blocking(which).await?;
    let availability = app.availability.table().get(&now.spec.id).copied().unwrap_or_default();
    let scoring = app.handle.settings().borrow().score;
    Ok(TargetDto { config, ..TargetDto::new(&now, availability, &scoring) })
}

fn position(board: &Board, id: &TargetId) -> usize {
    board.index.get(id).copied().unwrap_or(usize::MAX)
}

/// Adds a target to the configuration.
pub async fn add(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    headers: HeaderMap,
    Body(TargetFields(mut new)): Body<TargetFields>,
) -> ApiResult<Response> {
    let before = app.handle.now();
    masks::restore_fields(&mut new, "", None).map_err(ApiError::invalid)?;
    give_token(&mut new);
    let board = edit(&app, vec![fields::add(&new)?], &headers).await?;
    // The new target is the one whose id was not there before.
    let added = board.targets.iter().rev().find(|t| before.get(&t.spec.id).is_none());
    let added = added.ok_or_else(|| ApiError::internal("a target was added and is not on the board"))?;
    app.audit(&who.name, "added a target", added.spec.id.as_str(), &names(&new)).await;
    let dto = one(&app, &added.spec.id).await?;
    Ok((StatusCode::CREATED, Json(dto)).into_response())
}

/// Changes keys of a target in the configuration.
pub async fn change(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    headers: HeaderMap,
    Id(id): Id,
    Body(TargetFields(mut changes)): Body<TargetFields>,
) -> ApiResult<Json<TargetDto>> {
    let (board, now) = app.target(&id)?;
    let which = Which { id: id.as_str(), name: &now.spec.name, position: position(&board, &id) };
    masks::restore_fields(&mut changes, &app.handle.config().await.text, Some(which)).map_err(ApiError::invalid)?;
    let (at, name) = (position(&board, &id), changes.get("name").and_then(Value::as_str).map(str::to_owned));
    let board = edit(&app, vec![fields::set(id.clone(), &changes)?], &headers).await?;
    app.audit(&who.name, "changed a target", id.as_str(), &names(&changes)).await;
    // A new name may have given it a new id.
    let renamed = || board.targets.iter().find(|t| Some(&t.spec.name) == name.as_ref()).or(board.targets.get(at));
    let found = board.get(&id).or_else(renamed).ok_or_else(|| ApiError::not_found("target"))?;
    Ok(Json(one(&app, &found.spec.id).await?))
}

/// Takes a target out of the configuration; its history stays until retention ends.
pub async fn remove(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    headers: HeaderMap,
    Id(id): Id,
) -> ApiResult<StatusCode> {
    app.target(&id)?;
    edit(&app, vec![Edit::RemoveTarget { id: id.clone() }], &headers).await?;
    app.audit(&who.name, "removed a target", id.as_str(), "").await;
    Ok(StatusCode::NO_CONTENT)
}

/// Edits the file and waits until the board shows it, so that whoever asks next sees the change.
pub(super) async fn edit(app: &App, edits: Vec<Edit>, headers: &HeaderMap) -> ApiResult<Arc<Board>> {
    let expected = headers.get(header::IF_MATCH).and_then(|v| v.to_str().ok()).map(|v| v.trim_matches('"'));
    let hash = app.handle.edit_config(edits, expected).await?;
    Ok(shown(app, &hash).await)
}

/// The board once it shows the configuration with this hash, or the newest after a while.
pub(super) async fn shown(app: &App, hash: &str) -> Arc<Board> {
    let mut boards = app.handle.board();
    // When it takes longer, what follows answers with what there is.
    let _ = tokio::time::timeout(APPLY_TIME, boards.wait_for(|b| b.config_hash == hash)).await;
    app.handle.now()
}

/// Names of keys for the audit log; never their values.
fn names(fields: &Map<String, Value>) -> String {
    fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// A push target is called by a secret URL: without a token of its own it gets one here, so that nobody has to think one up.
fn give_token(fields: &mut Map<String, Value>) {
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
    let push = text("kind") == "push" || text("url").trim_start().to_ascii_lowercase().starts_with("push:");
    if push && text("token").is_empty() {
        fields.insert("token".to_owned(), Value::from(random::secret()));
    }
}

/// Looks at a target now, outside its cadence.
pub async fn test(State(app): State<App>, Id(id): Id) -> ApiResult<Json<ObservationDto>> {
    let (_, target) = app.target(&id)?;
    let seen = app.handle.test_now(&id).await?;
    let verdict = judge(&target.spec.expect, &seen);
    Ok(Json(ObservationDto::new(&seen, Some(&verdict), &target.spec.address)))
}

/// Stops watching a target until it is resumed.
pub async fn pause(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Id(id): Id,
) -> ApiResult<StatusCode> {
    app.handle.pause(&id).await?;
    app.audit(&who.name, "paused a target", id.as_str(), "").await;
    Ok(StatusCode::NO_CONTENT)
}

/// Watches a target again.
pub async fn resume(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Id(id): Id,
) -> ApiResult<StatusCode> {
    app.handle.resume(&id).await?;
    app.audit(&who.name, "resumed a target", id.as_str(), "").await;
    Ok(StatusCode::NO_CONTENT)
}

/// Looks once at a target that is not saved.
pub async fn try_out(
    State(app): State<App>,
    Body(TargetFields(mut fields)): Body<TargetFields>,
) -> ApiResult<Json<ObservationDto>> {
    let text = app.handle.config().await.text;
    let board = app.handle.now();
    let known = fields.get("id").and_then(Value::as_str).and_then(|id| TargetId::parse(id).ok());
    let known = known.and_then(|id| board.get(&id).map(|t| (position(&board, &id), Arc::clone(t))));
    let which =
        known.as_ref().map(|(position, t)| Which { id: t.spec.id.as_str(), name: &t.spec.name, position: *position });
    masks::restore_fields(&mut fields, &text, which).map_err(ApiError::invalid)?;
    give_token(&mut fields);
    let target = meant(&app, &text, fields)?;
    let address = target.address.clone();
    let (seen, verdict) = app.handle.try_target(target).await?;
    Ok(Json(ObservationDto::new(&seen, Some(&verdict), &address)))
}

/// The target that fields mean under the defaults and templates of the file. It needs no name yet.
fn meant(app: &App, text: &str, mut fields: Map<String, Value>) -> ApiResult<Target> {
    if !fields.get("name").is_some_and(Value::is_string) {
        fields.insert("name".to_owned(), Value::from("trial"));
    }
    fields::value(&Value::Object(fields.clone()))?; // bounds the nesting
    let file = masks::trial(text, fields);
    let config = app.handle.load(&file).map_err(|problems| {
        let own = |p: Problem| Problem { place: None, path: p.path.replacen("targets[0].", "", 1), ..p };
        ApiError::invalid(problems.into_iter().map(own).collect())
    })?;
    config.targets.into_iter().next().ok_or_else(|| ApiError::internal("a trial configuration has no target"))
}
