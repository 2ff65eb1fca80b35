//! The route `/probe`: one look at an address that a scraper names, in the manner of blackbox_exporter. Only what a module of
//! the configuration allows is looked at, few at once, and within the time that the scraper has. Keeps nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use engine::config::ProbeModule;
use model::expect::{BITRATE, FRAME_RATE, JITTER, KEYFRAMES, LATENCY, LIVE_LATENCY, LOSS, Measure, PLAYLIST_AGE};
use model::limits::MIN_TIMEOUT;
use model::observation::Observation;
use model::phase::Phase;
use model::reading::{FactValue, Media, fact};
use model::verdict::{Grade, Verdict};
use net::reach::{Guard, guarded};
use serde::Deserialize;
use tokio::time::Instant;

use super::family::Id;
use super::sheet::{Format, Sheet};
use super::targets::{MAX_TRACKS, codec, round};
use crate::error::{ApiError, ApiResult, Code};
use crate::state::App;

/// How long a scraper is willing to wait.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";
/// What of that is left for the way of the answer, as blackbox_exporter does.
const FOR_THE_WAY: Duration = Duration::from_millis(500);
/// The kind whose phases have names of their own in blackbox_exporter.
const PING: &str = "ping";

/// Measures with their families, as for targets.
const MEASURES: &[(Id, &Measure, f64)] = &[
    (Id::ProbeBitrate, &BITRATE, 1.0 / 8.0),
    (Id::ProbeFrames, &FRAME_RATE, 1.0),
    (Id::ProbeLoss, &LOSS, 1.0),
    (Id::ProbeRtt, &LATENCY, 0.001),
    (Id::ProbeJitter, &JITTER, 0.001),
    (Id::ProbeKeyframes, &KEYFRAMES, 0.001),
    (Id::ProbePlaylist, &PLAYLIST_AGE, 0.001),
    (Id::ProbeLatency, &LIVE_LATENCY, 0.001),
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    target: String,
    module: String,
}

/// Looks once at what the query names.
///
/// # Errors
/// `not_found` where the configuration has no module; `bad_request` for an unknown one or no target; `forbidden` for a target
/// that the module does not allow; `busy` when too many others look.
pub async fn show(State(app): State<App>, request: Request) -> ApiResult<Response> {
    let query = axum::extract::Query::<Asked>::try_from_uri(request.uri());
    let asked = query.map(|query| query.0).map_err(|_| bad("the query is not understood"))?;
    let module = module(&app, &asked)?;
    let mut target = module.target(&asked.target).map_err(|why| ApiError::new(Code::Forbidden, why))?;
    let (began, limit) = (Instant::now(), limit(request.headers(), target.timeout));
    let place = tokio::time::timeout(limit, app.probe_calls.acquire()).await;
    let Ok(Ok(_place)) = place else {
        return Err(ApiError::new(Code::Busy, "too many others look; scrape less often").retry_after(1));
    };
    target.timeout = limit.saturating_sub(began.elapsed()).max(MIN_TIMEOUT);
    let kind = target.kind;
    let allowed = Arc::clone(&module);
    let guard: Guard = Arc::new(move |host, address| allowed.may_reach(host, address));
    let (seen, verdict) = guarded(guard, app.handle.try_target(target)).await?;
    let accept = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(accept);
    let text = write(kind, &seen, &verdict, format);
    Ok(([(header::CONTENT_TYPE, format.content_type())], Body::from(text)).into_response())
}

fn bad(words: &str) -> ApiError {
    ApiError::new(Code::BadRequest, words.to_owned())
}

fn module(app: &App, asked: &Asked) -> ApiResult<Arc<ProbeModule>> {
    let settings = app.handle.settings();
    let settings = settings.borrow();
    let modules = &settings.metrics.probe_modules;
    if modules.is_empty() {
        return Err(ApiError::not_found("module: metrics.probe_modules has none"));
    }
    if asked.target.is_empty() || asked.module.is_empty() {
        return Err(bad("target and module are needed: /probe?target=URL&module=NAME"));
    }
    let found = modules.iter().find(|module| module.name == asked.module).cloned();
    found.ok_or_else(|| bad("there is no module of this name"))
}

/// How long a look may take: the module's time, or what the scraper leaves of its own.
fn limit(headers: &HeaderMap, own: Duration) -> Duration {
    let text = headers.get(SCRAPE_TIMEOUT).and_then(|value| value.to_str().ok());
    let theirs = text.and_then(|text| Duration::try_from_secs_f64(text.trim().parse().ok()?).ok());
    let theirs = theirs.filter(|time| !time.is_zero()).map(|time| time.saturating_sub(FOR_THE_WAY));
    theirs.map_or(own, |theirs| theirs.min(own)).max(MIN_TIMEOUT)
}

fn write(kind: &str, seen: &Observation, verdict: &Verdict, format: Format) -> String {
    let mut sheet = Sheet::new(1, &[]); // no name of a window is written
    let reading = &seen.look.reading;
    sheet.put(Id::ProbeSuccess, &[], verdict.grade != Grade::Fail);
    sheet.put(Id::ProbeDegraded, &[], verdict.grade == Grade::Warn);
    sheet.put(Id::ProbeDuration, &[], seen.took);
    if let Some(fault) = &seen.look.fault {
        sheet.put(Id::ProbeFault, &[("fault", fault.kind.as_str()), ("phase", fault.phase.as_str())], true);
    }
    let resolved = seen.look.phases.get(Phase::Resolve).unwrap_or_default();
    sheet.put(Id::ProbeDns, &[], resolved);
    for (phase, took) in seen.look.phases.iter() {
        sheet.put(Id::ProbePhase, &[("phase", phase.as_str())], took);
    }
    if kind == PING {
        sheet.put(Id::ProbeIcmp, &[("phase", "resolve")], resolved);
        sheet.maybe(Id::ProbeIcmp, &[("phase", "rtt")], LATENCY.read(reading).map(|ms| ms * 0.001));
    } else if let Some(FactValue::Int(code)) = reading.facts.get(fact::STATUS_CODE) {
        http(&mut sheet, seen, u64::try_from(*code).ok());
    }
    if let Some(FactValue::Time(ends)) = reading.facts.get(fact::CERT_EXPIRES_AT) {
        sheet.put(Id::ProbeCertificate, &[], *ends);
    }
    for (family, measure, factor) in MEASURES {
        sheet.maybe(*family, &[], measure.read(reading).map(|value| round(value * factor)));
    }
    for (place, track) in reading.tracks.iter().take(MAX_TRACKS).enumerate() {
        let (number, received) = (place.to_string(), if track.proven { "true" } else { "false" });
        let labels = [
            ("track", number.as_str()),
            ("media", track.media.as_str()),
            ("codec", codec(track)),
            ("received", received),
        ];
        sheet.put(Id::ProbeTrack, &labels, true);
    }
    if let Some(video) = reading.track(Media::Video) {
        sheet.maybe(Id::ProbeWidth, &[], video.width.map(u64::from));
        sheet.maybe(Id::ProbeHeight, &[], video.height.map(u64::from));
    }
    sheet.finish(format).concat()
}

/// The names of blackbox_exporter for what spoke HTTP, or RTSP, whose codes are the same.
fn http(sheet: &mut Sheet, seen: &Observation, code: Option<u64>) {
    sheet.maybe(Id::ProbeStatusCode, &[], code);
    let phases = [
        (Phase::Resolve, "resolve"),
        (Phase::Connect, "connect"),
        (Phase::Tls, "tls"),
        (Phase::FirstByte, "processing"),
        (Phase::Transfer, "transfer"),
    ];
    for (phase, name) in phases {
        let took = seen.look.phases.get(phase).unwrap_or_default();
        sheet.put(Id::ProbeHttp, &[("phase", name)], took);
    }
    if let Some(FactValue::Int(count)) = seen.look.reading.facts.get(fact::REDIRECTS) {
        sheet.maybe(Id::ProbeRedirects, &[], u64::try_from(*count).ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_has_the_time_that_the_scraper_leaves() {
        let own = Duration::from_secs(8);
        for (header, ms) in [
            (None, 8000),
            (Some("10"), 8000),
            (Some("5"), 4500),
            (Some("1.25"), 750),
            (Some("0.5"), 100),
            (Some("0"), 8000),
            (Some("-3"), 8000),
            (Some("NaN"), 8000),
            (Some("soon"), 8000),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = header {
                headers.insert(SCRAPE_TIMEOUT, value.parse().expect("a header"));
            }
            assert_eq!(limit(&headers, own).as_millis(), ms, "{header:?}");
        }
    }
}
