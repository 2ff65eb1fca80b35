//! The output of services: its newest lines, what comes, and all of it.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use model::unit::UnitId;
use model::unit::board::UnitNow;
use serde::Deserialize;
use supervise::logs::{Cursor, Logs, Wanted};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::services::{ServiceId, unit};
use crate::auth::gate;
use crate::dto::service::hide;
use crate::dto::service::past::{LogDto, LogLineDto};
use crate::error::{ApiError, ApiResult, Code};
use crate::extract::Query;
use crate::limits::{
    EXPORT_CHUNK_BYTES, EXPORT_CHUNKS, EXPORTS, LOG_BYTES, LOG_EVERY, LOG_FOLLOWERS, LOG_LINE_BYTES, LOG_LINES,
    LOG_READS, LOG_SEARCH_BYTES, PING_EVERY,
};
use crate::peer::Peer;
use crate::state::App;

/// Which lines are asked for.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    lines: Option<usize>,
    search: Option<String>,
    stream: Option<String>,
    cursor: Option<String>,
}

impl Asked {
    fn wanted(&self) -> ApiResult<Wanted> {
        let stderr = self.stream.as_deref().map(|stream| stream == "stderr");
        let text = self.search.clone().unwrap_or_default();
        if text.len() > LOG_SEARCH_BYTES {
            return Err(ApiError::new(Code::BadRequest, format!("search has at most {LOG_SEARCH_BYTES} bytes")));
        }
        Ok(Wanted { text, stderr })
    }

    fn place(&self) -> ApiResult<Option<Cursor>> {
        let bad = || ApiError::new(Code::BadRequest, "the parameter cursor is none of ours");
        match self.cursor.as_deref() {
            None | Some("") => Ok(None),
            Some(text) => Cursor::parse(text).map(Some).ok_or_else(bad),
        }
    }
}

/// A moment of one unit's output.
struct Reading {
    unit: Arc<UnitNow>,
    logs: Logs,
}

impl Reading {
    fn of(app: &App, id: &UnitId) -> ApiResult<Self> {
        Ok(Self { unit: unit(app, id)?, logs: Logs::new(app.handle.units().folder(id)) })
    }

    /// Lines on their way out: without secrets, the newest that have room.
    fn answer(&self, lines: Vec<supervise::logs::Line>, more: bool, place: Option<Cursor>) -> LogDto {
        let cursor = place.map(Cursor::to_text).unwrap_or_default();
        let (mut room, mut shown) = (LOG_BYTES, Vec::with_capacity(lines.len()));
        let count = lines.len();
        for line in lines.into_iter().rev() {
            let line = self.line(line);
            if line.text.len() > room {
                break;
            }
            room -= line.text.len();
            shown.push(line);
        }
        shown.reverse();
        LogDto { more: more || shown.len() < count, lines: shown, cursor }
    }

    fn line(&self, line: supervise::logs::Line) -> LogLineDto {
        let mut text = hide(&self.unit.spec, &line.text);
        let partial = text.len() > LOG_LINE_BYTES;
        text.truncate(text.floor_char_boundary(LOG_LINE_BYTES));
        let at = line.at.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond);
        let stream = if line.stderr { "stderr" } else { "stdout" };
        LogLineDto { at, stream, text, partial, cursor: line.cursor.to_text() }
    }
}

fn unreadable(error: &std::io::Error) -> ApiError {
    let why = format!("the output cannot be read: {}", error.kind());
    ApiError::new(Code::Unavailable, why).logged(error.to_string())
}

/// The newest lines.
pub async fn newest(
    State(app): State<App>,
    ServiceId(id): ServiceId,
    Query(asked): Query<Asked>,
) -> ApiResult<Json<LogDto>> {
    let reading = Reading::of(&app, &id)?;
    let busy = || ApiError::new(Code::Busy, format!("{LOG_READS} logs are being read, the most there may be"));
    let permit = Arc::clone(&app.log_reads).try_acquire_owned().map_err(|_| busy().retry_after(1))?;
    let (wanted, most) = (asked.wanted()?, asked.lines.unwrap_or(LOG_LINES));
    let answer = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        // Where following begins is asked first: what comes meanwhile may be told twice, and is never missed. Where there is no
        // output yet, all that comes is new.
        let (_, end) = reading.logs.since(None, &Wanted::default(), 0)?;
        let mut lines = reading.logs.newest(&wanted, most + 1)?;
        let more = lines.len() > most;
        lines.drain(..lines.len().saturating_sub(most));
        let end = lines.last().map(|line| line.cursor).or(end).or(Some(Cursor::before_all()));
        Ok(reading.answer(lines, more, end))
    });
    answer.await?.map(Json).map_err(|error: std::io::Error| unreadable(&error))
}

/// What comes, as events `lines`, until the client goes or its session ends.
pub async fn follow(
    State(app): State<App>,
    ServiceId(id): ServiceId,
    Query(asked): Query<Asked>,
    request: Request,
) -> ApiResult<Response> {
    let reading = Reading::of(&app, &id)?;
    let busy = || ApiError::new(Code::Busy, format!("{LOG_FOLLOWERS} logs are being followed, the most there may be"));
    let permit = Arc::clone(&app.log_followers).try_acquire_owned().map_err(|_| busy().retry_after(10))?;
    let follower = Follower {
        place: asked.place()?,
        wanted: asked.wanted()?,
        reading: Arc::new(reading),
        headers: request.headers().clone(),
        peer: Peer::of(&request),
        told: Instant::now(),
        begun: false,
        app,
        _permit: permit,
    };
    let body = stream::unfold(follower, |mut follower| async move {
        let piece = follower.next().await?;
        Some((Ok::<_, Infallible>(piece), follower))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies such as nginx would otherwise gather the events.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

struct Follower {
    app: App,
    reading: Arc<Reading>,
    wanted: Wanted,
    place: Option<Cursor>,
    headers: HeaderMap,
    peer: Option<Peer>,
    /// When something was last sent.
    told: Instant,
    begun: bool,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    /// The next piece: lines, or a sign of life; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.begun, true) {
            return Some(Bytes::from_static(b"retry: 2000\n\n"));
        }
        let mut every = tokio::time::interval(LOG_EVERY);
        loop {
            tokio::select! {
                () = self.app.stopping.cancelled() => return None,
                _ = every.tick() => {}
            }
            // A service that was taken out of its file has no output any more.
            self.app.handle.units().now().get(&self.reading.unit.spec.id)?;
            let answer = self.read().await?;
            if !answer.lines.is_empty() {
                self.told = Instant::now();
                return Some(event("lines", &answer));
            }
            if self.told.elapsed() >= PING_EVERY {
                if self.peer.is_none_or(|peer| gate::identify_by(&self.app, &self.headers, peer).is_none()) {
                    return None;
                }
                self.told = Instant::now();
                return Some(event("ping", &serde_json::json!({ "at": self.app.now().0 })));
            }
        }
    }

    async fn read(&mut self) -> Option<LogDto> {
        let (reading, wanted, place) = (Arc::clone(&self.reading), self.wanted.clone(), self.place);
        let read = tokio::task::spawn_blocking(move || {
            let (lines, next) = reading.logs.since(place, &wanted, LOG_LINES)?;
            Ok::<_, std::io::Error>((reading.answer(lines, false, next), next))
        });
        match read.await.ok()? {
            Ok((answer, next)) => {
                self.place = next.or(Some(Cursor::before_all()));
                Some(answer)
            }
            Err(error) => {
                tracing::info!("a log is followed no longer: {error}");
                None
            }
        }
    }
}

fn event(name: &str, data: &impl serde::Serialize) -> Bytes {
    let data = serde_json::to_string(data).expect("our shapes have text keys and finite numbers or null");
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// All of the output that is kept, oldest first, as its files have it but for secrets.
pub async fn download(State(app): State<App>, ServiceId(id): ServiceId) -> ApiResult<Response> {
    let reading = Reading::of(&app, &id)?;
    let busy = || ApiError::new(Code::Busy, format!("{EXPORTS} exports are under way, the most there may be"));
    let permit = Arc::clone(&app.exports).try_acquire_owned().map_err(|_| busy().retry_after(5))?;
    let (tx, rx) = mpsc::channel::<Bytes>(EXPORT_CHUNKS);
    // It ends with its client: a chunk that nobody takes any more stops the reading.
    let _detached = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        if let Err(error) = copy(&reading, &tx) {
            tracing::warn!("a download of a log ended early: {error}");
        }
    });
    let body = stream::unfold(rx, |mut rx| async move { rx.recv().await.map(|c| (Ok::<_, Infallible>(c), rx)) });
    let mut response = Response::new(Body::from_stream(body));
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{id}.log\"")) {
        out.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

fn copy(reading: &Reading, tx: &mpsc::Sender<Bytes>) -> std::io::Result<()> {
    let (mut chunk, mut line) = (String::new(), Vec::new());
    // Opened together: what is rotated while the client takes its time stays readable.
    let opened: Vec<_> = reading.logs.files().iter().filter_map(|path| std::fs::File::open(path).ok()).collect();
    for file in opened {
        // What is written meanwhile is not waited for: a program that floods its output would never end this.
        let size = file.metadata()?.len();
        let mut file = BufReader::new(file.take(size));
        loop {
            line.clear();
            // The parts of a long line are lines of the file, so this takes a whole one but of a damaged file.
            if (&mut file).take(EXPORT_CHUNK_BYTES as u64).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            chunk.push_str(&hide(&reading.unit.spec, &String::from_utf8_lossy(&line)));
            if chunk.len() >= EXPORT_CHUNK_BYTES && tx.blocking_send(std::mem::take(&mut chunk).into()).is_err() {
                return Ok(());
            }
        }
    }
    // The client may have gone; then the rest goes nowhere.
    let _ = tx.blocking_send(chunk.into());
    Ok(())
}
