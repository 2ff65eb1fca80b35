//! Sinks and channels: how each is, and trying one out before it is saved.

use axum::Json;
use axum::extract::State;
use model::conf::Problem;
use serde_json::{Map, Value};
use sink::{influx, mqtt};

use super::sections::editable;
use crate::auth::roles::Identity;
use crate::dto::sink::{SinkDto, SinksDto, TestSink, TestedDto};
use crate::error::{ApiError, ApiResult, Code};
use crate::extract::Body;
use crate::limits::SINK_TEST_TIME;
use crate::masks::{self, Spot};
use crate::state::App;

/// Every sink and channel.
pub async fn list(State(app): State<App>) -> Json<SinksDto> {
    let all = app.sinks.all();
    Json(SinksDto { sinks: all.into_iter().map(|(name, now)| SinkDto::new(name, &now)).collect() })
}

/// Tries the values of a form. Nothing is saved.
pub async fn test(
    State(app): State<App>,
    axum::Extension(who): axum::Extension<Identity>,
    Body(TestSink { section, values }): Body<TestSink>,
) -> ApiResult<Json<TestedDto>> {
    let Some(row) = editable(&section).filter(|row| row.can_be_tried) else {
        return Err(ApiError::not_found("sink that can be tried"));
    };
    let Ok(_place) = app.sink_tests.try_acquire() else {
        return Err(ApiError::new(Code::Busy, "others are being tried; try again in a moment").retry_after(5));
    };
    let spot = Spot { path: row.path, item: row.list };
    let view = app.handle.config().await;
    let values = masks::restore_section(values, spot, &view.text).map_err(ApiError::invalid)?;
    let values = switched_on(row.path, values);
    let config = app
        .handle
        .load(&masks::section_trial(values, spot))
        .map_err(|problems| ApiError::invalid(problems.into_iter().map(|p| Problem { place: None, ..p }).collect()))?;
    app.audit(&who.name, "tried a sink", row.path, "").await;
    let clock = app.handle.clock();
    let tried = async {
        match row.path {
            influx::NAME => match config.influxdb {
                Some(settings) => influx::test((*settings).clone(), clock.as_ref()).await,
                None => Err("nothing is configured".to_owned()),
            },
            mqtt::NAME => match config.mqtt {
                Some(settings) => outcome_of(&mqtt::test(&settings, clock.as_ref()).await),
                None => Err("nothing is configured".to_owned()),
            },
            other => Err(format!("{other} cannot be tried")),
        }
    };
    let outcome = tokio::time::timeout(SINK_TEST_TIME, tried).await;
    let (ok, words) = match outcome {
        Ok(Ok(words)) => (true, words),
        Ok(Err(words)) => (false, words),
        Err(_) => (false, format!("no answer within {} s", SINK_TEST_TIME.as_secs())),
    };
    Ok(Json(TestedDto { ok, words: masks::hide_in_words(&words) }))
}

/// A sink may be tried before it is switched on.
fn switched_on(section: &str, mut values: Map<String, Value>) -> Map<String, Value> {
    if section == mqtt::NAME {
        values.insert("enabled".to_owned(), Value::Bool(true));
    }
    values
}

fn outcome_of(tried: &mqtt::Tried) -> Result<String, String> {
    match &tried.error {
        Some(why) => Err(format!("{}: {why}", tried.broker)),
        None => {
            let ms = tried.took.as_millis();
            Ok(format!("{} took a message on {} in {ms} ms", tried.broker, tried.topic))
        }
    }
}
