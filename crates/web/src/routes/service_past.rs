//! What was of services: their timelines, and what they used.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use model::time::UtcMs;
use model::unit::board::{QueueNow, Usage};
use serde::Deserialize;
use store::UnitSample;

use super::services::{ServiceId, unit};
use crate::dto::service::past::{SampleDto, SamplesDto, TimelineDto, UnitChangeDto};
use crate::error::{ApiError, ApiResult, Code};
use crate::extract::Query;
use crate::limits::{DEFAULT_ROWS, MAX_ROLLUPS};
use crate::query::When;
use crate::state::App;

/// Window of samples without bounds.
const HOUR: Duration = Duration::from_secs(3_600);
/// Milliseconds of a minute, the finest step that is on the disk.
const MINUTE_MS: i64 = 60_000;

/// A window of time.
#[derive(Debug, Default, Deserialize)]
pub struct Window {
    from: Option<When>,
    to: Option<When>,
    limit: Option<usize>,
    step: Option<i64>,
}

impl Window {
    /// Its bounds; without a beginning as long as `length`, or all of the past.
    fn bounds(&self, now: UtcMs, length: Option<Duration>) -> ApiResult<(UtcMs, UtcMs)> {
        let to = self.to.map_or(now.plus(Duration::from_millis(1)), |at| UtcMs(at.0));
        let begin = length.map_or(UtcMs(0), |length| to.minus(length));
        let from = self.from.map_or(begin, |at| UtcMs(at.0));
        if from > to {
            return Err(ApiError::new(Code::BadRequest, "from is later than to"));
        }
        Ok((from, to))
    }
}

/// The timeline, newest first.
pub async fn timeline(
    State(app): State<App>,
    ServiceId(id): ServiceId,
    Query(window): Query<Window>,
) -> ApiResult<Json<TimelineDto>> {
    let unit = unit(&app, &id)?;
    let (range, limit) = (window.bounds(app.now(), None)?, window.limit.unwrap_or(DEFAULT_ROWS));
    let rows = app.ask(move |store| store.unit_changes(&id, range, limit)).await?;
    Ok(Json(TimelineDto { rows: rows.iter().map(|row| UnitChangeDto::new(&unit.spec, row)).collect() }))
}

/// What it used: without a step every measurement of the last hour, else means and peaks of steps.
pub async fn samples(
    State(app): State<App>,
    ServiceId(id): ServiceId,
    Query(window): Query<Window>,
) -> ApiResult<Json<SamplesDto>> {
    let unit = unit(&app, &id)?;
    let range = window.bounds(app.now(), Some(HOUR))?;
    let step = window.step.unwrap_or(MINUTE_MS).max(MINUTE_MS);
    if (range.1.0.saturating_sub(range.0.0)) / step > MAX_ROLLUPS {
        let why = format!("the window has more than {MAX_ROLLUPS} steps; ask for a longer step");
        return Err(ApiError::new(Code::BadRequest, why));
    }
    let of = id.clone();
    let rows = app.ask(move |store| store.unit_samples(&of, range, step)).await?;
    if window.step.is_some() {
        return Ok(Json(SamplesDto { step_ms: Some(step), rows: rows.iter().map(Into::into).collect() }));
    }
    let recent = app.handle.units().recent(&id);
    let recent = recent.iter().filter(|usage| usage.at >= range.0 && usage.at < range.1);
    Ok(Json(SamplesDto { step_ms: None, rows: every(recent, &rows, unit.queue.as_ref()) }))
}

/// Minutes before the first measurement that is still in memory, then every measurement. The queue is counted less often than
/// the rest is measured: the count of its minute stands beside each.
fn every<'a>(
    recent: impl Iterator<Item = &'a Usage>,
    minutes: &[UnitSample],
    queue: Option<&QueueNow>,
) -> Vec<SampleDto> {
    let mut recent = recent.peekable();
    let first = recent.peek().map_or(i64::MAX, |usage| usage.at.0);
    let older = minutes.iter().take_while(|minute| minute.at.0 + MINUTE_MS <= first);
    let mut rows: Vec<SampleDto> = older.map(Into::into).collect();
    let mut minute = 0;
    rows.extend(recent.map(|usage| {
        while minute < minutes.len() && minutes[minute].at.0 + MINUTE_MS <= usage.at.0 {
            minute += 1;
        }
        let of_minute = minutes.get(minute).filter(|m| m.at <= usage.at);
        SampleDto::measured(usage, of_minute, queue.filter(|queue| queue.at <= usage.at))
    }));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_follow_the_minutes_before_them_and_bring_the_count_of_their_own() {
        let minute = |n: i64| UnitSample {
            at: UtcMs(n * MINUTE_MS),
            memory_max: 1,
            queue: vec![("pending".into(), u64::try_from(n).expect("small"))],
            ..UnitSample::default()
        };
        let usage = |at: i64| Usage { at: UtcMs(at), cpu_percent: Some(5.0), ..Usage::default() };
        let recent = [usage(125_000), usage(130_000), usage(185_000), usage(190_000)];
        let queue = QueueNow { at: UtcMs(188_000), counts: vec![("pending".into(), 99)], ..QueueNow::default() };
        let rows = every(recent.iter(), &[minute(0), minute(1), minute(2)], Some(&queue));
        let seen: Vec<_> = rows.iter().map(|r| (r.at, r.queue.as_ref().map(|q| q[0].count))).collect();
        let wanted = [
            (0, Some(0)),
            (60_000, Some(1)),
            (125_000, Some(2)),
            (130_000, Some(2)),
            (185_000, None),
            (190_000, Some(99)),
        ];
        assert_eq!(seen, wanted);
        assert_eq!((rows[2].cpu_avg, rows[2].cpu_max), (Some(5.0), Some(5.0)));
    }
}
