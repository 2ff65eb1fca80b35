//! The route `/metrics`: who may read it at the status listener, which format is wanted, and that many readers at once cost
//! as much as two.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use model::time::Mono;
use tokio::sync::Mutex;

use super::{Format, Seen, write};
use crate::auth::gate::identify_by;
use crate::auth::roles::{Access, Proof, Role};
use crate::error::{ApiError, ApiResult};
use crate::health;
use crate::peer::Peer;
use crate::routes::OnStatus;
use crate::state::App;

/// The newest answer.
struct Answer {
    /// When its writing began.
    begun: Mono,
    format: Format,
    pieces: Arc<[Bytes]>,
    took_s: f64,
    /// Size of each family, in bytes.
    sizes: Vec<usize>,
}

/// Where answers are written, one at a time.
#[derive(Default)]
pub struct Press(Mutex<Option<Answer>>);

impl Press {
    /// An answer no older than this request. Whoever waited while one was begun and written shares it.
    async fn answer(&self, app: &App, format: Format) -> ApiResult<Arc<[Bytes]>> {
        let clock = Arc::clone(app.handle.clock());
        let asked = clock.mono();
        let mut newest = self.0.lock().await;
        if let Some(answer) = newest.as_ref().filter(|a| a.begun >= asked && a.format == format) {
            return Ok(Arc::clone(&answer.pieces));
        }
        // What nobody is being sent any more makes room for what comes.
        let before = newest.take();
        let (last_took_s, mut sizes) = before.map(|a| (a.took_s, a.sizes)).unzip();
        let begun = clock.mono();
        let app = app.clone();
        // Ten thousand targets are some megabytes of text: that is no work for the tasks that look.
        let work = move || {
            let sizes = sizes.get_or_insert_default();
            let written = write(&seen(&app, last_took_s), format, sizes);
            (written, std::mem::take(sizes))
        };
        let (written, sizes) = tokio::task::spawn_blocking(work).await?;
        let pieces: Arc<[Bytes]> = written.into_iter().map(Bytes::from).collect();
        let took_s = clock.mono().0.saturating_sub(begun.0).as_secs_f64();
        *newest = Some(Answer { begun, format, pieces: Arc::clone(&pieces), took_s, sizes });
        Ok(pieces)
    }
}

/// Everything that an answer is made of, as it is now.
fn seen(app: &App, last_took_s: Option<f64>) -> Seen {
    let board = app.handle.now();
    Seen {
        now: app.now(),
        health: health::of(&app.handle, &board, &app.pulse),
        settings: Arc::clone(&app.handle.settings().borrow()),
        availability: app.availability.table(),
        samples: app.window.newest(),
        store: app.handle.store().health(),
        punctuality: app.pulse.punctuality(),
        units: app.handle.units().now(),
        sinks: app.sinks.clone(),
        last_took_s,
        board,
    }
}

/// Whether somebody at the status listener may read it: who shows a token, and who asks from an address that the
/// configuration names.
fn may(app: &App, headers: &HeaderMap, peer: Option<Peer>) -> bool {
    let Some(peer) = peer else { return false };
    let remote = peer.remote.ip();
    if app.handle.settings().borrow().metrics.open_to.iter().any(|network| network.holds(remote)) {
        return true;
    }
    let who = identify_by(app, headers, peer);
    who.is_some_and(|who| matches!(who.by, Proof::Token(_)) && who.may(Access::Role(Role::Viewer), true))
}

/// Everything that is known, as metrics.
///
/// # Errors
/// `unauthorized` at the status listener without a token, unless the address is among those that need none.
pub async fn show(
    State(app): State<App>,
    on_status: Option<axum::Extension<OnStatus>>,
    request: Request,
) -> ApiResult<Response> {
    let headers = request.headers();
    if on_status.is_some() && !may(&app, headers, Peer::of(&request)) {
        let words = "metrics need a token, or an address among metrics.open_to\n";
        return Ok((StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], words).into_response());
    }
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(accept);
    let pieces = app.press.answer(&app, format).await.map_err(|e: ApiError| e)?;
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let stream = futures_util::stream::iter((0..pieces.len()).map(move |i| Ok::<_, Infallible>(pieces[i].clone())));
    let headers = [
        (header::CONTENT_TYPE, format.content_type().to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::VARY, "accept".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}
