//! Services: how they are, what they are, the commands on them and their forms. What may run is what their file says; a
//! request only names a service that stands there.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use engine::units::{UnitCommand, UnitError};
use model::conf::Problem;
use model::unit::UnitId;
use model::unit::board::UnitNow;
use model::unit::form::Value as FormValue;
use model::unit::spec::Unit;

use crate::auth::roles::Identity;
use crate::dto::service::form::{FormDto, FormPatch, from_json};
use crate::dto::service::spec::SpecDto;
use crate::dto::service::{ServiceDto, ServicesDto, TakenDto};
use crate::error::{ApiError, ApiResult, Code};
use crate::extract::{Body, Segment};
use crate::limits::{UNIT_BODY_BYTES, UNIT_TIME};
use crate::state::App;

/// The id of a service in the path.
pub struct ServiceId(pub UnitId);

impl<S: Send + Sync> FromRequestParts<S> for ServiceId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let Segment(text) = Segment::from_request_parts(parts, state).await?;
        UnitId::parse(&text).map(Self).map_err(|_| ApiError::not_found("service"))
    }
}

/// All services.
pub async fn list(State(app): State<App>) -> Json<ServicesDto> {
    Json(all(&app))
}

/// All services of the board.
pub(crate) fn all(app: &App) -> ServicesDto {
    let (board, now) = (app.handle.units().now(), app.now());
    let services = board.units.iter().map(|unit| ServiceDto::new(unit, now)).collect();
    ServicesDto { at: now.0, version: board.version, services }
}

/// A unit of the board.
pub(crate) fn unit(app: &App, id: &UnitId) -> ApiResult<Arc<UnitNow>> {
    app.handle.units().now().get(id).cloned().ok_or_else(|| ApiError::not_found("service"))
}

/// One service.
pub async fn show(State(app): State<App>, ServiceId(id): ServiceId) -> ApiResult<Json<ServiceDto>> {
    Ok(Json(ServiceDto::new(unit(&app, &id)?.as_ref(), app.now())))
}

/// What a service is.
pub async fn spec(State(app): State<App>, ServiceId(id): ServiceId) -> ApiResult<Json<SpecDto>> {
    Ok(Json(SpecDto::new(&unit(&app, &id)?.spec)))
}

/// What a command answers with: it is under way.
type Taken = ApiResult<(StatusCode, Json<TakenDto>)>;

/// Starts a service.
pub async fn start(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    ServiceId(id): ServiceId,
) -> Taken {
    taken(command(&app, &who, &id, UnitCommand::Start).await?)
}

/// Ends a service.
pub async fn stop(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    ServiceId(id): ServiceId,
) -> Taken {
    taken(command(&app, &who, &id, UnitCommand::Stop).await?)
}

/// Ends a service and starts it anew.
pub async fn restart(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    ServiceId(id): ServiceId,
) -> Taken {
    taken(command(&app, &who, &id, UnitCommand::Restart).await?)
}

fn taken(taken: engine::units::Taken) -> Taken {
    let dto = TakenDto { wanted: taken.wanted.as_str(), changed: taken.changed };
    Ok((StatusCode::ACCEPTED, Json(dto)))
}

/// Commands a unit, with a row of the audit log when that changed something.
pub(crate) async fn command(
    app: &App,
    who: &Identity,
    id: &UnitId,
    command: UnitCommand,
) -> ApiResult<engine::units::Taken> {
    let action = match command {
        UnitCommand::Start => "started a service",
        UnitCommand::Stop => "stopped a service",
        UnitCommand::Restart => "restarted a service",
    };
    unit(app, id)?;
    let taken = in_time(app.handle.units().command(id, command, &who.name)).await?;
    if taken.changed {
        app.audit(&who.name, action, id.as_str(), "").await;
    }
    Ok(taken)
}

/// The form of a service with its values.
pub async fn form(State(app): State<App>, ServiceId(id): ServiceId) -> ApiResult<Json<FormDto>> {
    let unit = unit(&app, &id)?;
    let view = in_time(app.handle.units().form(&id)).await?;
    FormDto::new(&unit.spec, &view).map(Json).ok_or_else(|| UnitError::NoForm.into())
}

/// Changes keys of a form; keys that are not named stay.
pub async fn set_form(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    ServiceId(id): ServiceId,
    Body(FormPatch(fields)): Body<FormPatch, UNIT_BODY_BYTES>,
) -> ApiResult<Json<FormDto>> {
    let unit = unit(&app, &id)?;
    let patch = patch(&unit.spec, &fields).map_err(ApiError::from)?;
    let view = change_form(&app, &who, &id, patch).await?;
    FormDto::new(&unit.spec, &view).map(Json).ok_or_else(|| UnitError::NoForm.into())
}

/// Sets keys of a form, with a row of the audit log that names the keys and no value.
pub(crate) async fn change_form(
    app: &App,
    who: &Identity,
    id: &UnitId,
    patch: BTreeMap<String, Option<FormValue>>,
) -> ApiResult<engine::units::FormView> {
    let names = patch.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let view = in_time(app.handle.units().set_form(id, patch, &who.name)).await?;
    app.audit(&who.name, "changed the form of a service", id.as_str(), &names).await;
    Ok(view)
}

/// What the fields of a request mean for the form of this unit.
pub(crate) fn patch(
    spec: &Unit,
    fields: &serde_json::Map<String, serde_json::Value>,
) -> Result<BTreeMap<String, Option<FormValue>>, UnitError> {
    let form = spec.form.as_ref().ok_or(UnitError::NoForm)?;
    let (mut patch, mut problems) = (BTreeMap::new(), Vec::new());
    for (name, value) in fields {
        let key = form.keys.iter().find(|key| key.name == *name);
        match from_json(key, value) {
            Ok(Some(value)) => drop(patch.insert(name.clone(), value)),
            Ok(None) => {}
            Err(why) => problems.push(Problem::new(None, name.as_str(), why)),
        }
    }
    if problems.is_empty() { Ok(patch) } else { Err(UnitError::Invalid(problems)) }
}

/// Asks the engine, for a bounded time: the disk behind it may hang.
pub(crate) async fn in_time<T>(asked: impl Future<Output = Result<T, UnitError>>) -> ApiResult<T> {
    match tokio::time::timeout(UNIT_TIME, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => {
            let why = "this takes longer than it should and may still be done; look again in a while";
            Err(ApiError::new(Code::Busy, why).retry_after(5))
        }
    }
}
