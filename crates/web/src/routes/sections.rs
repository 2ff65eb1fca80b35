//! Sections of the configuration beside the targets, as forms read and write them. The file stays the truth: every change is
//! an edit of its text that keeps comments and order.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use engine::config::{Edit, SectionDoc, describe};
use model::conf::{Field, Type};
use serde_json::{Map, Value};

use super::config::applied;
use super::targets::edit;
use crate::auth::roles::Identity;
use crate::dto::config::AppliedDto;
use crate::dto::kinds::KindDto;
use crate::dto::section::{SectionDto, SectionValues, SectionsDto};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Body, Segment, Segments};
use crate::fields;
use crate::masks::{self, Spot};
use crate::state::App;

/// A section that forms edit.
pub struct Editable {
    /// Keys from the top, joined by dots.
    pub path: &'static str,
    /// Its name in the description of the configuration.
    pub described: &'static str,
    /// Whether it is a list of items that have names.
    pub list: bool,
    /// Whether its values can be tried out before they are saved.
    pub can_be_tried: bool,
}

const fn row(path: &'static str, described: &'static str, list: bool, can_be_tried: bool) -> Editable {
    Editable { path, described, list, can_be_tried }
}

/// All of them.
pub static EDITABLE: &[Editable] = &[
    row("influxdb", "influxdb", false, true),
    row("mqtt", "mqtt", false, true),
    row("metrics", "metrics", false, false),
    row("channels", "channel", true, false),
    row("alerts", "alerts", false, false),
    row("alerts.rules", "rule", true, false),
    row("maintenance", "window", true, false),
    row("connectivity", "connectivity", false, false),
];

/// The row of a path.
#[must_use]
pub fn editable(path: &str) -> Option<&'static Editable> {
    EDITABLE.iter().find(|row| row.path == path)
}

fn known(path: &str, list: Option<bool>) -> ApiResult<&'static Editable> {
    let fits = |row: &&Editable| list.is_none_or(|list| row.list == list);
    editable(path).filter(fits).ok_or_else(|| ApiError::not_found("section"))
}

fn doc(row: &Editable, all: &[SectionDoc]) -> Option<SectionDto> {
    let doc = all.iter().find(|doc| doc.name == row.described)?;
    // Lists within a section have a form of their own.
    let fields = doc.fields.iter().filter(|f| !matches!(f.ty, Type::Sections(_))).map(Into::into).collect();
    Some(SectionDto {
        name: row.path,
        summary: doc.summary.clone(),
        list: row.list,
        fields,
        kinds: if row.path == "channels" { kinds(all) } else { Vec::new() },
        values: None,
        hash: None,
    })
}

/// The kinds of channels, each with the keys that it has beyond those of all.
fn kinds(all: &[SectionDoc]) -> Vec<KindDto> {
    let kind = |doc: &SectionDoc| {
        Some(KindDto {
            name: doc.name.strip_prefix("channel:")?.to_owned(),
            summary: doc.summary.clone(),
            schemes: Vec::new(),
            media: false,
            holds: false,
            example: doc.example,
            fields: doc.fields.iter().map(Into::into).collect(),
        })
    };
    all.iter().filter_map(kind).collect()
}

/// What forms need to know.
pub async fn list() -> Json<SectionsDto> {
    let all = describe();
    Json(SectionsDto { sections: EDITABLE.iter().filter_map(|row| doc(row, &all)).collect() })
}

/// One section with what the file has.
pub async fn show(State(app): State<App>, Segment(path): Segment) -> ApiResult<Json<SectionDto>> {
    let row = known(&path, None)?;
    let view = app.handle.config().await;
    let (text, hash) = (view.text, Some(view.hash));
    let values = tokio::task::spawn_blocking(move || masks::section_of(&text, row.path)).await?;
    let dto = doc(row, &describe()).ok_or_else(|| ApiError::internal("a section that forms edit is not described"))?;
    Ok(Json(SectionDto { values, hash, ..dto }))
}

/// Writes a section.
pub async fn write(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    headers: HeaderMap,
    Segment(path): Segment,
    Body(SectionValues(values)): Body<SectionValues>,
) -> ApiResult<Json<AppliedDto>> {
    let row = known(&path, Some(false))?;
    let text = app.handle.config().await.text;
    let old = masks::section_of(&text, row.path);
    let values = restored(values, row, &text)?;
    let fields = changes(row, &values, old.as_ref())?;
    let change = Edit::SetSection { path, fields };
    finish(&app, &who, change, &headers, "changed a section", row.path, &names(&values)).await
}

/// Takes a section out.
pub async fn remove(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    headers: HeaderMap,
    Segment(path): Segment,
) -> ApiResult<Json<AppliedDto>> {
    let row = known(&path, Some(false))?;
    finish(&app, &who, Edit::Set { path, value: None }, &headers, "removed a section", row.path, "").await
}

/// Adds an item to a list.
pub async fn add_item(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    headers: HeaderMap,
    Segment(list): Segment,
    Body(SectionValues(values)): Body<SectionValues>,
) -> ApiResult<Json<AppliedDto>> {
    let row = known(&list, Some(true))?;
    let values = restored(values, row, &app.handle.config().await.text)?;
    let mut fields = Vec::new();
    for (key, value) in values.iter().filter(|(_, value)| !value.is_null()) {
        fields.push((key.clone(), fields::value(value)?));
    }
    in_order(row, &describe(), &mut fields);
    let name = values.get("name").and_then(Value::as_str).unwrap_or_default();
    let subject = format!("{}: {name}", row.path);
    finish(&app, &who, Edit::AddItem { list, fields }, &headers, "added an item", &subject, &names(&values)).await
}

/// Writes an item of a list.
pub async fn write_item(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    headers: HeaderMap,
    Segments(list, name): Segments,
    Body(SectionValues(values)): Body<SectionValues>,
) -> ApiResult<Json<AppliedDto>> {
    let row = known(&list, Some(true))?;
    let text = app.handle.config().await.text;
    let old = item(&text, row, &name)?;
    let values = restored(values, row, &text)?;
    let fields = changes(row, &values, Some(&old))?;
    let subject = format!("{}: {name}", row.path);
    let change = Edit::SetItem { list, name, fields };
    finish(&app, &who, change, &headers, "changed an item", &subject, &names(&values)).await
}

/// Takes an item out of a list.
pub async fn remove_item(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    headers: HeaderMap,
    Segments(list, name): Segments,
) -> ApiResult<Json<AppliedDto>> {
    let row = known(&list, Some(true))?;
    item(&app.handle.config().await.text, row, &name)?;
    let subject = format!("{}: {name}", row.path);
    finish(&app, &who, Edit::RemoveItem { list, name }, &headers, "removed an item", &subject, "").await
}

async fn finish(
    app: &App,
    who: &Identity,
    change: Edit,
    headers: &HeaderMap,
    action: &str,
    subject: &str,
    detail: &str,
) -> ApiResult<Json<AppliedDto>> {
    let board = edit(app, vec![change], headers).await?;
    app.audit(&who.name, action, subject, detail).await;
    Ok(Json(applied(app, board.config_hash.clone()).await?))
}

fn restored(values: Map<String, Value>, row: &Editable, text: &str) -> ApiResult<Map<String, Value>> {
    let spot = Spot { path: row.path, item: row.list };
    masks::restore_section(values, spot, text).map_err(ApiError::invalid)
}

/// What a form changes: the keys it gives, and of those it does not give, the ones that the file has and a form shows.
fn changes(
    row: &Editable,
    values: &Map<String, Value>,
    old: Option<&Value>,
) -> ApiResult<Vec<(String, Option<model::conf::Value>)>> {
    let all = describe();
    let kept: BTreeSet<&str> = all
        .iter()
        .filter(|doc| doc.name == row.described)
        .flat_map(|doc| &doc.fields)
        .filter(|field: &&Field| matches!(field.ty, Type::Sections(_)))
        .map(|field| field.key)
        .collect();
    let mut fields = Vec::new();
    for key in old.and_then(Value::as_object).into_iter().flat_map(Map::keys) {
        if !values.contains_key(key) && !kept.contains(key.as_str()) {
            fields.push((key.clone(), None));
        }
    }
    for (key, value) in values {
        fields.push((key.clone(), fields::optional(value)?));
    }
    in_order(row, &all, &mut fields);
    Ok(fields)
}

/// Keys in the order of the description, in which people expect to read them; those that it does not know at the end.
fn in_order<T>(row: &Editable, all: &[SectionDoc], fields: &mut [(String, T)]) {
    let kinds = format!("{}:", row.described);
    let docs = all.iter().filter(|doc| doc.name == row.described || doc.name.starts_with(&kinds));
    let keys: Vec<&str> = docs.flat_map(|doc| &doc.fields).map(|field| field.key).collect();
    fields.sort_by_key(|(key, _)| keys.iter().position(|known| known == key).unwrap_or(usize::MAX));
}

/// An item of a list by its name, secrets hidden.
fn item(text: &str, row: &Editable, name: &str) -> ApiResult<Value> {
    let items = masks::section_of(text, row.path);
    let items = items.as_ref().and_then(Value::as_array).into_iter().flatten();
    let named = |item: &&Value| match item.get("name") {
        Some(Value::String(text)) => text.trim() == name,
        other => other.map(Value::to_string).as_deref() == Some(name),
    };
    items.into_iter().find(named).cloned().ok_or_else(|| ApiError::not_found("item"))
}

/// Names of keys for the audit log; never their values.
fn names(values: &Map<String, Value>) -> String {
    values.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}
