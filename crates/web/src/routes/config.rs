//! The configuration file: reading without secrets, checking, replacing, and single settings.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use engine::config::Edit;

use super::targets::{edit, shown};
use crate::auth::roles::Identity;
use crate::dto::config::{AppliedDto, ConfigDto, PatchSettings, PutConfig, ValidateConfig, ValidatedDto};
use crate::error::{ApiError, ApiResult, Code};
use crate::extract::Body;
use crate::fields;
use crate::limits::CONFIG_BODY_BYTES;
use crate::masks;
use crate::state::App;

/// The file. No role sees its secrets: they are shown as `***`, and a `***` that comes back stands for them.
pub async fn show(State(app): State<App>) -> ApiResult<Json<ConfigDto>> {
    let view = app.handle.config().await;
    let text = view.text;
    let text = tokio::task::spawn_blocking(move || masks::hide(&text)).await?;
    Ok(Json(ConfigDto {
        text,
        hash: view.hash,
        in_effect_hash: view.in_effect_hash,
        problems: view.problems.iter().map(Into::into).collect(),
        warnings: view.warnings.iter().map(Into::into).collect(),
    }))
}

/// Replaces the file, when it is still the one that was read and the new text has no problems.
pub async fn put(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Body(body): Body<PutConfig, CONFIG_BODY_BYTES>,
) -> ApiResult<Json<AppliedDto>> {
    let text = restored(&app, body.text, Some(&body.expected_hash)).await?;
    let hash = app.handle.apply_config(text, &body.expected_hash).await?;
    shown(&app, &hash).await;
    app.audit(&who.name, "replaced the configuration", hash.get(..12).unwrap_or(&hash), "").await;
    Ok(Json(applied(&app, hash).await?))
}

/// Says what would be wrong with a text.
pub async fn validate(
    State(app): State<App>,
    Body(body): Body<ValidateConfig, CONFIG_BODY_BYTES>,
) -> ApiResult<Json<ValidatedDto>> {
    let found = match restored_or_problems(&app, body.text, None).await? {
        Ok(text) => {
            let handle = app.handle.clone();
            tokio::task::spawn_blocking(move || handle.validate(&text)).await?
        }
        Err(problems) => Err(problems),
    };
    let (problems, warnings) = match found {
        Ok(warnings) => (Vec::new(), warnings),
        Err(problems) => (problems, Vec::new()),
    };
    let dto = |list: &[model::conf::Problem]| list.iter().map(Into::into).collect();
    Ok(Json(ValidatedDto { problems: dto(&problems), warnings: dto(&warnings) }))
}

/// Sets keys outside of the targets (`timezone`, `server.session`); null removes a key.
pub async fn settings(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    headers: HeaderMap,
    Body(PatchSettings(changes)): Body<PatchSettings>,
) -> ApiResult<Json<AppliedDto>> {
    let mut edits = Vec::new();
    for (path, json) in &changes {
        if path.is_empty() || path.starts_with("targets") || json.is_object() {
            let why = format!("{path:?} is no single setting; targets are changed by their own routes");
            return Err(ApiError::new(Code::BadRequest, why));
        }
        edits.push(Edit::Set { path: path.clone(), value: fields::optional(json)? });
    }
    if edits.is_empty() {
        return Err(ApiError::new(Code::BadRequest, "no setting is given"));
    }
    let board = edit(&app, edits, &headers).await?;
    let names: Vec<&str> = changes.keys().map(String::as_str).collect();
    app.audit(&who.name, "changed settings", &names.join(", "), "").await;
    Ok(Json(applied(&app, board.config_hash.clone()).await?))
}

/// The answer to a change that was applied. Much of the file takes effect at once; what does not is said.
pub(super) async fn applied(app: &App, hash: String) -> ApiResult<AppliedDto> {
    let (handle, text) = (app.handle.clone(), app.handle.config().await.text);
    let notes = tokio::task::spawn_blocking(move || handle.restart_notes(&text)).await?;
    Ok(AppliedDto { hash, notes: notes.iter().map(|note| masks::hide_in_words(&note.to_string())).collect() })
}

async fn restored(app: &App, text: String, expected_hash: Option<&str>) -> ApiResult<String> {
    restored_or_problems(app, text, expected_hash).await?.map_err(ApiError::invalid)
}

/// The text with its secrets put back from the file. A file that is another by now is refused before the masks are
/// looked at: its secrets belong to other places.
async fn restored_or_problems(
    app: &App,
    text: String,
    expected_hash: Option<&str>,
) -> ApiResult<Result<String, Vec<model::conf::Problem>>> {
    let view = app.handle.config().await;
    if expected_hash.is_some_and(|hash| hash != view.hash) {
        return Err(engine::handle::ApplyError::Changed { found: view.hash }.into());
    }
    Ok(tokio::task::spawn_blocking(move || masks::restore(&text, &view.text)).await?)
}
