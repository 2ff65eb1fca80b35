//! Counts queues: on an SQLite file of others, in JSON by HTTP, of a command or in a file. Owns what such JSON means and that every
//! way is bounded; when it is counted, and by which deadline, is said by [`super::queue`].
//!
//! JSON is an object of counts by state. Beside it, in the object that holds it (or in it, where it is the whole document), may
//! stand `rate_per_hour` (or `processing_rate_per_hour`), `oldest_waiting` in seconds since 1970, and `stuck`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use model::address::Address;
use model::phase::Phase;
use model::reading::Reading;
use model::time::{Clock, UtcMs};
use model::unit::board::QueueNow;
use model::unit::spec::{Queue, QueueQueries, QueueSource};
use net::attempt::Attempt;
use net::http::{HeaderName, HeaderValue, Method, Request};
use net::trust::TlsOptions;
use probe::commands::{Commands, Run};
use serde_json::{Map, Value};
use store::foreign::{Cell, Foreign};
use supervise::backend::BoxFuture;
use tokio::sync::Semaphore;

use super::queue::Counter;

/// Most states of a queue: people and charts know a handful; a query without GROUP BY would answer every row.
const MAX_STATES: usize = 50;
/// Longest name of a state that is kept, in characters.
const MAX_STATE_CHARS: usize = 64;
/// Largest document, in bytes: counts are a few hundred.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;
/// Files that are asked at once: a share that hangs holds this many threads and no more.
const FILES_AT_ONCE: usize = 8;
/// Commands that count at once.
const COMMANDS_AT_ONCE: usize = 4;

/// Names under which other programs say what they completed within an hour.
const RATES: [&str; 2] = ["rate_per_hour", "processing_rate_per_hour"];
const OLDEST: &str = "oldest_waiting";
const STUCK: &str = "stuck";

/// Counts queues of all sorts.
pub(crate) struct Counts {
    commands: Arc<Commands>,
    clock: Arc<dyn Clock>,
    files: Arc<Semaphore>,
    errands: Semaphore,
}

impl Counts {
    /// `commands` are those of the file of commands.
    fn new(commands: Arc<Commands>, clock: Arc<dyn Clock>) -> Self {
        let (files, errands) = (Arc::new(Semaphore::new(FILES_AT_ONCE)), Semaphore::new(COMMANDS_AT_ONCE));
        Self { commands, clock, files, errands }
    }

    /// The same, for whoever asks a counter.
    pub(crate) fn shared(commands: &Arc<Commands>, clock: &Arc<dyn Clock>) -> Arc<dyn Counter> {
        Arc::new(Self::new(Arc::clone(commands), Arc::clone(clock)))
    }

    async fn ask(&self, queue: &Queue) -> Result<QueueNow, String> {
        let limit = queue.timeout;
        match &queue.source {
            QueueSource::Sqlite { file, queries } => self.sqlite(file.clone(), queries.clone(), limit).await,
            QueueSource::Http { address, member } => {
                document(&self.http(address, limit).await?, member).map_err(|words| format!("{address}: {words}"))
            }
            QueueSource::Command(name) => {
                document(&self.command(name, limit).await?, "").map_err(|words| format!("command {name}: {words}"))
            }
            QueueSource::File { file, max_age } => {
                let text = self.file(file.clone(), *max_age).await;
                text.and_then(|text| document(&text, "")).map_err(|words| format!("{}: {words}", file.display()))
            }
        }
    }

    async fn sqlite(&self, file: PathBuf, queries: QueueQueries, limit: Duration) -> Result<QueueNow, String> {
        let clock = Arc::clone(&self.clock);
        let shown = file.display().to_string();
        let counted = self.on_disk(move || count_rows(&file, &queries, limit, clock)).await;
        counted.map_err(|words| if words.contains(&shown) { words } else { format!("{shown}: {words}") })
    }

    async fn http(&self, address: &Address, limit: Duration) -> Result<Vec<u8>, String> {
        let mut at = Attempt::new(&*self.clock, limit);
        let mut request = Request::new(Method::GET, address.clone());
        if let Some(credentials) = address.credentials() {
            let pair = format!("{}:{}", credentials.user, credentials.password.expose());
            let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
            let value = HeaderValue::from_str(&value).map_err(|_| "the credentials cannot be sent".to_owned())?;
            request.headers.push((HeaderName::from_static("authorization"), value));
        }
        let tls = (address.scheme() == "https").then(TlsOptions::default);
        let reply = net::http::send(&mut at, &request, tls.as_ref(), &mut Reading::default()).await;
        let mut reply = reply.map_err(|fault| format!("{address}: {fault}"))?;
        if reply.status != 200 {
            return Err(format!("{address} answers with status {} in place of 200", reply.status));
        }
        let body = at.run(Phase::Transfer, reply.body.collect(MAX_DOCUMENT_BYTES)).await;
        body.map(|body| body.to_vec()).map_err(|fault| format!("{address}: {fault}"))
    }

    async fn command(&self, name: &str, limit: Duration) -> Result<Vec<u8>, String> {
        let _place = self.errands.acquire().await.map_err(|_| "stopping".to_owned())?;
        let run = Run { name, args: &[], secrets: &[], env: &[], input: &[], limit };
        self.commands.ask(&run, &*self.clock).await.map_err(|fault| format!("command {name}: {fault}"))
    }

    async fn file(&self, file: PathBuf, max_age: Duration) -> Result<Vec<u8>, String> {
        let now = self.clock.utc();
        self.on_disk(move || read_file(&file, max_age, now)).await
    }

    /// Runs what waits for a disk on a thread of its own. The thread may outlive the deadline of who waits; its place does too.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let place = Arc::clone(&self.files).acquire_owned().await.map_err(|_| "stopping".to_owned())?;
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        done.await.unwrap_or_else(|_| Err("the question broke down".to_owned()))
    }
}

impl Counter for Counts {
    fn count<'a>(&'a self, queue: &'a Queue) -> BoxFuture<'a, Result<QueueNow, String>> {
        Box::pin(self.ask(queue))
    }
}

/// Asks all queries of a queue in SQLite.
fn count_rows(file: &Path, queries: &QueueQueries, limit: Duration, clock: Arc<dyn Clock>) -> Result<QueueNow, String> {
    let open = Foreign::open(file, limit, clock).map_err(|error| error.to_string())?;
    let mut now = QueueNow::default();
    for row in open.rows(&queries.counts, MAX_STATES).map_err(|error| format!("counts: {error}"))? {
        let [state, count, ..] = row.as_slice() else {
            return Err("counts: the query answers one column; state and count are wanted".to_owned());
        };
        let state = match state {
            Cell::Text(text) => text.clone(),
            Cell::Int(number) => number.to_string(),
            Cell::Real(number) => number.to_string(),
            Cell::Null => "none".to_owned(),
        };
        let count = number(count).and_then(whole).ok_or_else(|| format!("counts: that of {} is none", name(&state)))?;
        now.counts.push((name(&state), count));
    }
    let one = |key: &str, query: &Option<String>| -> Result<Option<f64>, String> {
        let Some(query) = query else { return Ok(None) };
        let rows = open.rows(query, 1).map_err(|error| format!("{key}: {error}"))?;
        match rows.first().and_then(|row| row.first()) {
            None | Some(Cell::Null) => Ok(None),
            Some(cell) => number(cell).map(Some).ok_or_else(|| format!("{key}: the answer is no number")),
        }
    };
    now.rate_per_hour = one("rate_per_hour", &queries.rate_per_hour)?;
    now.oldest_waiting = one(OLDEST, &queries.oldest_waiting)?.and_then(instant);
    now.stuck = one(STUCK, &queries.stuck)?.and_then(whole);
    Ok(now)
}

fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Int(number) => Some(*number as f64),
        Cell::Real(number) => Some(*number),
        Cell::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        Cell::Null => None,
    }
}

/// A count: whole enough, and not below zero.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative, and the cast saturates
fn whole(number: f64) -> Option<u64> {
    (number >= 0.0 && number.is_finite()).then(|| number.round() as u64)
}

/// Seconds since 1970.
#[allow(clippy::cast_possible_truncation)] // the cast saturates
fn instant(seconds: f64) -> Option<UtcMs> {
    (seconds > 0.0 && seconds.is_finite()).then_some(UtcMs((seconds * 1000.0) as i64))
}

/// A state as people read it.
fn name(state: &str) -> String {
    let kept = state.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    kept.take(MAX_STATE_CHARS).collect()
}

/// Reads counts out of a document.
fn document(text: &[u8], member: &str) -> Result<QueueNow, String> {
    let root: Value = serde_json::from_slice(text).map_err(|error| format!("this is no JSON: {error}"))?;
    let (mut around, mut here) = (None, &root);
    for part in member.split('.').filter(|part| !part.is_empty()) {
        around = here.as_object();
        here = here.get(part).ok_or_else(|| format!("the document has no member {member}"))?;
    }
    let counts = here.as_object().ok_or_else(|| match member {
        "" => "the document is no object".to_owned(),
        _ => format!("the member {member} is no object"),
    })?;
    let beside = around.unwrap_or(counts);
    let mut now = QueueNow {
        rate_per_hour: RATES.iter().find_map(|key| beside.get(*key)?.as_f64()).filter(|rate| *rate >= 0.0),
        oldest_waiting: beside.get(OLDEST).and_then(Value::as_f64).and_then(instant),
        stuck: beside.get(STUCK).and_then(Value::as_f64).and_then(whole),
        ..QueueNow::default()
    };
    now.counts = states(counts, around.is_none())?;
    Ok(now)
}

/// Counts by state. A `whole` document may hold other things too.
fn states(counts: &Map<String, Value>, whole_document: bool) -> Result<Vec<(String, u64)>, String> {
    let mut found = Vec::new();
    for (state, value) in counts {
        let known = RATES.contains(&state.as_str()) || [OLDEST, STUCK].contains(&state.as_str());
        if whole_document && (known || !value.is_number()) {
            continue;
        }
        let count = value.as_f64().and_then(whole).ok_or_else(|| format!("{} is no count", name(state)))?;
        found.push((name(state), count));
    }
    match found.len() {
        0 if !counts.is_empty() => Err("it holds no counts by state".to_owned()),
        more if more > MAX_STATES => Err(format!("it holds {more} states, at most {MAX_STATES} are kept")),
        _ => Ok(found),
    }
}

/// Reads a file that is young enough, as far as a document goes.
fn read_file(file: &Path, max_age: Duration, now: UtcMs) -> Result<Vec<u8>, String> {
    let meta = std::fs::metadata(file).map_err(|error| error.to_string())?;
    if !meta.is_file() {
        return Err("this is no file".to_owned());
    }
    let modified =
        meta.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    let modified = UtcMs(i64::try_from(modified.as_millis()).unwrap_or(i64::MAX));
    let age = now.since(modified);
    if age > max_age {
        return Err(format!("it was written {} s ago, allowed are {} s", age.as_secs(), max_age.as_secs()));
    }
    let mut text = Vec::new();
    let file = std::fs::File::open(file).map_err(|error| error.to_string())?;
    file.take(MAX_DOCUMENT_BYTES as u64 + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(format!("it is larger than {} KiB", MAX_DOCUMENT_BYTES / 1024));
    }
    Ok(text)
}

#[cfg(test)]
#[path = "counts_tests.rs"]
mod tests;
