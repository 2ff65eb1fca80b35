//! CSV, streamed from the history row by row: memory does not grow with the number of rows.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use model::target::TargetId;
use model::time::UtcMs;
use serde::Deserialize;
use store::ObservationRow;
use tokio::sync::mpsc;

use crate::error::{ApiError, ApiResult, Code};
use crate::extract::{Id, Query};
use crate::limits::{EXPORT_CHUNK_BYTES, EXPORT_CHUNKS, EXPORTS};
use crate::query::When;
use crate::state::App;
use crate::zone::{self, Zone};

/// The window of an export; all of the history without bounds.
#[derive(Debug, Default, Deserialize)]
pub struct Bounds {
    from: Option<When>,
    to: Option<When>,
}

impl Bounds {
    fn utc(&self) -> (UtcMs, UtcMs) {
        (UtcMs(self.from.map_or(0, |at| at.0)), UtcMs(self.to.map_or(i64::MAX, |at| at.0)))
    }
}

/// All stored looks of one target, oldest first.
pub async fn target(State(app): State<App>, Id(id): Id, Query(bounds): Query<Bounds>) -> ApiResult<Response> {
    let (_, now) = app.target(&id)?;
    let head = "at,status,grade,took_ms,attempts,fault,phase,reason\n";
    let file = format!("{id}.csv");
    let utc = zone::utc();
    let line = move |out: &mut String, _: &str, r: &ObservationRow| {
        let (kind, phase) = r.fault.map_or(("", ""), |(k, p)| (k.as_str(), p.as_str()));
        let (at, took) = (utc.iso_ms(r.at), r.took.as_millis());
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{at},{},{},{took},{},{kind},{phase},{}",
            r.status.as_str(),
            r.grade.as_str(),
            r.attempts,
            field(&r.reason)
        );
    };
    stream_csv(&app, vec![(id, now.spec.name.clone())], bounds.utc(), &file, head, line)
}

/// All stored looks of all targets, in the form of StreamPulse 2.x.
pub fn all_compat(app: &App, zone: Zone) -> ApiResult<Response> {
    let board = app.handle.now();
    let targets = board.targets.iter().map(|t| (t.spec.id.clone(), t.spec.name.clone())).collect();
    let head = "stream,ts,status,latency_ms,message\n";
    let line = move |out: &mut String, name: &str, r: &ObservationRow| {
        let status = crate::compat::word(r.grade);
        let message = if r.reason.is_empty() { status } else { r.reason.as_str() };
        let (ts, took) = (zone.iso(r.at), r.took.as_millis());
        let _ = writeln!(out, "{},{ts},{status},{took},{}", field(name), field(message));
    };
    stream_csv(app, targets, Bounds::default().utc(), "stream_logs.csv", head, line)
}

fn stream_csv(
    app: &App,
    targets: Vec<(TargetId, String)>,
    (from, to): (UtcMs, UtcMs),
    file: &str,
    head: &'static str,
    line: impl Fn(&mut String, &str, &ObservationRow) + Send + 'static,
) -> ApiResult<Response> {
    let busy = || ApiError::new(Code::Busy, format!("{EXPORTS} exports are under way, the most there may be"));
    let permit = Arc::clone(&app.exports).try_acquire_owned().map_err(|_| busy().retry_after(5))?;
    let (tx, rx) = mpsc::channel::<Bytes>(EXPORT_CHUNKS);
    let store = app.handle.store().clone();
    // It ends with its client: a chunk that nobody takes any more stops the reading.
    let _detached = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let mut chunk = String::from(head);
        for (id, name) in targets {
            let mut each = |row: ObservationRow| {
                line(&mut chunk, &name, &row);
                chunk.len() < EXPORT_CHUNK_BYTES || tx.blocking_send(std::mem::take(&mut chunk).into()).is_ok()
            };
            match store.export(Some(&id), from, to, &mut each) {
                Ok(()) | Err(store::StoreError::NoSuchTarget(_)) => {}
                Err(error) => {
                    tracing::warn!("an export ended early: {error}");
                    return;
                }
            }
            if tx.is_closed() {
                return;
            }
        }
        // The client may have gone; then the rest goes nowhere.
        let _ = tx.blocking_send(chunk.into());
    });
    let body = stream::unfold(rx, |mut rx| async move { rx.recv().await.map(|c| (Ok::<_, Infallible>(c), rx)) });
    let mut response = Response::new(Body::from_stream(body));
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{file}\"")) {
        out.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// One field by RFC 4180, on one line. What a spreadsheet would take for a formula gets an apostrophe in front.
#[must_use]
pub fn field(text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let formula = flat.trim_start().starts_with(['=', '+', '-', '@']);
    let flat = if formula { format!("'{flat}") } else { flat };
    if flat.contains([',', '"', ';']) { format!("\"{}\"", flat.replace('"', "\"\"")) } else { flat }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_harmless() {
        for (text, wanted) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\r\nlines", "two  lines"),
            ("=1+1", "'=1+1"),
            ("+a", "'+a"),
            ("-a", "'-a"),
            ("@a", "'@a"),
            (" =HYPERLINK(\"x\",1)", "\"' =HYPERLINK(\"\"x\"\",1)\""),
            ("\t=1", "' =1"),
            ("", ""),
        ] {
            assert_eq!(field(text), wanted);
        }
    }
}
