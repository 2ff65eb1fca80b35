//! The eight routes with which the DSA-110 pipeline controlled its streaming converter: same paths, same field names, for one
//! service, the default instance. Nothing new is ever added here.
//!
//! They do what the originals were meant to: an empty body is fine, an update names only the keys that it changes, what went
//! wrong has a status code beside `success: false`, and a start that does not last is told as one that failed.

mod answers;
mod refusal;
mod settle;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use engine::units::UnitCommand;
use model::secret::MASK;
use model::unit::UnitId;
use model::unit::board::{UnitBoard, UnitNow};
use model::unit::spec::Unit;
use serde_json::{Map, Value};

use crate::auth::roles::{Identity, Role};
use crate::dto::service::form;
use crate::error::{ApiError, ApiResult, Code};
use crate::extract::read;
use crate::limits::{BODY_TIME, UNIT_BODY_BYTES};
use crate::routes::services::{change_form, command, in_time, patch};
use crate::state::App;

pub use answers::{Control, Health, Metrics, MosaicQueue, Status};
pub use refusal::Refusal;
use settle::{Outcome, ended, up};

/// Id of the service that these routes are about, where one has it.
const ID: &str = "streaming";
/// Longest wait for the first measurement of a service that has just been started.
const MEASURED_WITHIN: Duration = Duration::from_secs(1);

/// The service that these routes are about: the one with the id `streaming`, else the first with a form, else the first.
fn instance(board: &UnitBoard) -> Option<&Arc<UnitNow>> {
    let named = board.units.iter().find(|unit| unit.spec.id.as_str() == ID);
    named.or_else(|| board.units.iter().find(|unit| unit.spec.form.is_some())).or_else(|| board.units.first())
}

fn found(app: &App) -> Result<Arc<UnitNow>, Refusal> {
    let none = || Refusal::of(ApiError::new(Code::NotFound, "no service is declared; see the guide on services"));
    instance(&app.handle.units().now()).cloned().ok_or_else(none)
}

/// The instance, measured: one that was started this moment is waited for, so that its memory is never unknown.
async fn measured(app: &App) -> Option<Arc<UnitNow>> {
    let unit = instance(&app.handle.units().now()).cloned()?;
    if unit.run.is_none() || unit.usage.is_some() {
        return Some(unit);
    }
    let (mut board, id) = (app.handle.units().board(), unit.spec.id.clone());
    let known = |board: &Arc<UnitBoard>| board.get(&id).is_none_or(|u| u.run.is_none() || u.usage.is_some());
    // When it takes longer, what there is is told.
    let _ = tokio::time::timeout(MEASURED_WITHIN, board.wait_for(known)).await;
    let board = app.handle.units().now();
    board.get(&id).cloned().or(Some(unit))
}

/// Values of the form as one flat object; `None` where there is no form.
async fn values(app: &App, unit: &UnitNow) -> ApiResult<Option<Map<String, Value>>> {
    let Some(form) = &unit.spec.form else { return Ok(None) };
    let view = in_time(app.handle.units().form(&unit.spec.id)).await?;
    let mut all: Map<String, Value> = form.keys.iter().map(|key| (key.name.clone(), Value::Null)).collect();
    for secret in form.keys.iter().filter(|key| key.ty == model::unit::form::KeyType::Secret) {
        let shown = if view.secrets_set.contains(&secret.name) { Value::from(MASK) } else { Value::Null };
        all.insert(secret.name.clone(), shown);
    }
    all.extend(form::values(form, &view));
    Ok(Some(all))
}

/// How it is.
pub async fn status(State(app): State<App>) -> Json<Status> {
    let Some(unit) = measured(&app).await else { return Json(Status::none()) };
    // Without its values it still has a status, and the reason is told where failures are.
    let (config, unread) = match values(&app, &unit).await {
        Ok(config) => (config, None),
        Err(error) => (None, Some(error.to_string())),
    };
    Json(Status::new(&unit, app.now(), config, unread))
}

/// Whether it is well.
pub async fn health(State(app): State<App>) -> Json<Health> {
    let unit = measured(&app).await;
    Json(unit.map_or_else(Health::none, |unit| Health::new(&unit, app.now())))
}

/// What it uses and how its queue is.
pub async fn metrics(State(app): State<App>) -> Json<Metrics> {
    let unit = measured(&app).await;
    Json(unit.map_or_else(Metrics::none, |unit| Metrics::new(&unit, app.now())))
}

/// The counts of its queue in the words of the mosaic stage.
pub async fn mosaic_queue(State(app): State<App>) -> Json<MosaicQueue> {
    Json(instance(&app.handle.units().now()).map_or_else(MosaicQueue::none, |unit| MosaicQueue::new(unit)))
}

/// Its values.
pub async fn config(State(app): State<App>) -> Result<Json<Map<String, Value>>, Refusal> {
    let unit = found(&app)?;
    let values = values(&app, &unit).await.map_err(Refusal::of)?;
    values.map(Json).ok_or_else(|| Refusal::of(engine::units::UnitError::NoForm.into()))
}

/// What a control route answers with.
type Answer = Result<Json<Control>, Refusal>;

/// Sets values; a service that runs is restarted with them.
pub async fn set_config(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    request: Request,
) -> Answer {
    let given = given(request).await?;
    let unit = found(&app)?;
    let ran = unit.run.clone();
    let (ignored, changes) = set(&app, &who, &unit, given).await?;
    if ran.is_none() {
        return Ok(Control::done(format!("configuration updated (service not running){ignored}"), None));
    }
    let id = &unit.spec.id;
    let outcome = match pending(&app, id, ran.as_ref()) {
        true => up(&app, &unit).await,
        // Nothing that it was launched with is another now.
        false => Outcome::Up(ran.map(|run| run.identity.pid)),
    };
    let view = in_time(app.handle.units().form(id)).await.ok();
    let back = view.as_ref().is_some_and(|view| taken_back(&changes, view));
    let note = view.and_then(|view| view.note);
    match outcome {
        // What runs now runs with the values before: they may be back before anybody has seen the failure.
        Outcome::Up(_) if back => Err(Refusal::failed(&note.unwrap_or_else(|| TAKEN_BACK.to_owned()))),
        Outcome::Up(pid) => Ok(Control::done(format!("configuration updated, service restarted{ignored}"), pid)),
        Outcome::Slow(why, pid) => Ok(Control::done(format!("configuration updated; {why}{ignored}"), pid)),
        Outcome::Failed(why) => Err(Refusal::failed(&note.map_or(why.clone(), |note| format!("{why}; {note}")))),
    }
}

/// Whether a run is being replaced by another.
fn pending(app: &App, id: &UnitId, ran: Option<&model::unit::board::RunNow>) -> bool {
    let board = app.handle.units().now();
    board
        .get(id)
        .is_some_and(|unit| unit.pending || unit.run.as_ref() != ran || unit.state == model::unit::State::Stopping)
}

/// Starts it, with values where the body has some.
pub async fn start(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    request: Request,
) -> Answer {
    let given = given(request).await?;
    let unit = found(&app)?;
    let starting = unit.state == model::unit::State::Starting;
    if (unit.run.is_some() || starting) && unit.state != model::unit::State::Stopping {
        let pid = unit.run.as_ref().map(|run| run.identity.pid);
        let word = if starting { "is starting already" } else { "is already running" };
        return Err(Refusal::state(&format!("the service {word}"), pid));
    }
    let (ignored, _) = set(&app, &who, &unit, given).await?;
    command(&app, &who, &unit.spec.id, UnitCommand::Start).await.map_err(Refusal::of)?;
    told("started", ignored, up(&app, &unit).await)
}

/// Ends it.
pub async fn stop(State(app): State<App>, axum::Extension(who): axum::Extension<Identity>) -> Answer {
    use model::unit::State::{Failed, Finished, Stopped};
    let unit = found(&app)?;
    if unit.run.is_none() && matches!(unit.state, Stopped | Failed | Finished) {
        return Err(Refusal::state("the service is not running", None));
    }
    command(&app, &who, &unit.spec.id, UnitCommand::Stop).await.map_err(Refusal::of)?;
    let pid = unit.run.as_ref().map(|run| run.identity.pid);
    match ended(&app, &unit).await {
        true => Ok(Control::done("service stopped".to_owned(), pid)),
        false => Ok(Control::done("the service is stopping; it takes longer than it should".to_owned(), pid)),
    }
}

/// Ends it and starts it anew, with values where the body has some.
pub async fn restart(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    request: Request,
) -> Answer {
    let given = given(request).await?;
    let unit = found(&app)?;
    let (ignored, changes) = set(&app, &who, &unit, given).await?;
    // A change of what it runs with restarts it by itself, with the way back when it does not come up.
    if !(!changes.is_empty() && unit.run.is_some() && pending(&app, &unit.spec.id, unit.run.as_ref())) {
        command(&app, &who, &unit.spec.id, UnitCommand::Restart).await.map_err(Refusal::of)?;
    }
    let outcome = up(&app, &unit).await;
    let view = in_time(app.handle.units().form(&unit.spec.id)).await.ok();
    match view.filter(|view| taken_back(&changes, view)) {
        Some(view) => Err(Refusal::failed(&view.note.unwrap_or_else(|| TAKEN_BACK.to_owned()))),
        None => told("restarted", ignored, outcome),
    }
}

fn told(word: &str, ignored: String, outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Up(pid) => Ok(Control::done(format!("service {word}{ignored}"), pid)),
        Outcome::Slow(why, pid) => Ok(Control::done(format!("{why}{ignored}"), pid)),
        Outcome::Failed(why) => Err(Refusal::failed(&why)),
    }
}

/// The body: nothing, `null` and `{}` are no values.
async fn given(request: Request) -> Result<Map<String, Value>, Refusal> {
    let bytes = read(request, UNIT_BODY_BYTES, BODY_TIME).await.map_err(Refusal::of)?;
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(Refusal::body("must be an object with the keys of the configuration", "dict_type")),
        // The reason of serde may quote what was sent.
        Err(error) => {
            let why = format!("is no JSON (line {}, column {})", error.line(), error.column());
            Err(Refusal::body(&why, "json_invalid"))
        }
    }
}

/// Sets the keys that a body names; says what was left out, and whether anything was set. Keys that this form does not have
/// are left out, as they were: clients of any age send all that they know.
async fn set(
    app: &App,
    who: &Identity,
    unit: &UnitNow,
    given: Map<String, Value>,
) -> Result<(String, Changes), Refusal> {
    let (known, ignored) = split(&unit.spec, given);
    if known.is_empty() {
        return Ok((ignored, Changes::new()));
    }
    if who.role < Role::Administrator {
        let why = format!("changing the configuration needs the role administrator, you are {}", who.role.as_str());
        return Err(Refusal::of(ApiError::new(Code::Forbidden, why)));
    }
    let changes = patch(&unit.spec, &known).map_err(|error| Refusal::of(error.into()))?;
    if !changes.is_empty() {
        change_form(app, who, &unit.spec.id, changes.clone()).await.map_err(Refusal::of)?;
    }
    Ok((ignored, changes))
}

/// Values by key; `None` is the default.
type Changes = BTreeMap<String, Option<model::unit::form::Value>>;

/// Said where nothing better is known.
const TAKEN_BACK: &str = "the service did not come up with these values; the last good ones are back";

/// Whether values that were set are not the ones in effect. Secrets are not shown, so that they tell nothing.
fn taken_back(changes: &Changes, view: &engine::units::FormView) -> bool {
    let shown = |key: &String| view.values.contains_key(key);
    changes.iter().any(|(key, value)| value.is_some() && shown(key) && view.values.get(key) != value.as_ref())
}

/// The keys that the form has, and a remark on the others. A null is no value: the answer to a question after the values has
/// nulls, and clients send it back as it was.
fn split(spec: &Unit, given: Map<String, Value>) -> (Map<String, Value>, String) {
    let has = |name: &str| spec.form.as_ref().is_some_and(|form| form.keys.iter().any(|key| key.name == name));
    let (known, others): (Vec<_>, Vec<_>) = given.into_iter().partition(|(name, _)| has(name));
    let known = known.into_iter().filter(|(_, value)| !value.is_null()).collect();
    let names: Vec<String> = others.iter().take(MOST_NAMED).map(|(name, _)| short(name)).collect();
    let remark =
        if names.is_empty() { String::new() } else { format!("; not known and ignored: {}", names.join(", ")) };
    (known, remark)
}

/// Unknown keys that are named in an answer.
const MOST_NAMED: usize = 5;

/// A name that somebody sent, short and of one line.
fn short(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(40).collect()
}
