//! The event stream.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use tokio::sync::broadcast::error::RecvError;

use crate::auth::gate;
use crate::error::{ApiError, ApiResult, Code};
use crate::hub::Seat;
use crate::limits::EVENT_CLIENTS;
use crate::peer::Peer;
use crate::state::App;

/// The whole board, then every change. A client that falls behind gets the whole board again; one whose session ends is
/// let go at the next sign of life.
pub async fn stream(State(app): State<App>, request: Request) -> ApiResult<Response> {
    let busy = || ApiError::new(Code::Busy, format!("{EVENT_CLIENTS} event streams are open, the most there may be"));
    let permit = Arc::clone(&app.event_clients).try_acquire_owned().map_err(|_| busy().retry_after(10))?;
    let stopping = || ApiError::new(Code::Unavailable, "StreamPulse is stopping");
    let Seat { board, batches } = app.hub.join().await.ok_or_else(stopping)?;
    let client = Client {
        headers: request.headers().clone(),
        peer: Peer::of(&request),
        pieces: first(board),
        batches,
        app,
        _permit: permit,
    };
    let body = stream::unfold(client, |mut client| async move {
        let piece = client.next().await?;
        Some((Ok::<_, Infallible>(piece), client))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies such as nginx would otherwise gather the events.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Size of the pieces in which a client gets the whole board.
const CHUNK_BYTES: usize = 64 * 1024;

struct Client {
    app: App,
    headers: axum::http::HeaderMap,
    peer: Option<Peer>,
    pieces: std::vec::IntoIter<Bytes>,
    batches: tokio::sync::broadcast::Receiver<crate::hub::Batch>,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

/// A browser that is cut off comes back after this time; the whole board makes up for what it missed.
fn first(board: Vec<Bytes>) -> std::vec::IntoIter<Bytes> {
    let mut pieces = vec![Bytes::from_static(b"retry: 2000\n\n")];
    pieces.extend(board);
    pieces.into_iter()
}

impl Client {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(chunk) = self.gather() {
                return Some(chunk);
            }
            let batch = tokio::select! {
                () = self.app.stopping.cancelled() => return None,
                batch = self.batches.recv() => batch,
            };
            match batch {
                Ok(batch) if batch.ping && !self.may_stay() => return None,
                Ok(batch) => return Some(batch.bytes),
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(_)) => {
                    let seat = self.app.hub.join().await?;
                    (self.pieces, self.batches) = (seat.board.into_iter(), seat.batches);
                }
            }
        }
    }

    /// The next pieces of the board together: thousands of small ones would each cost a frame of the connection.
    fn gather(&mut self) -> Option<Bytes> {
        let mut chunk = BytesMut::new();
        while chunk.len() < CHUNK_BYTES
            && let Some(piece) = self.pieces.next()
        {
            chunk.extend_from_slice(&piece);
        }
        (!chunk.is_empty()).then(|| chunk.freeze())
    }

    fn may_stay(&self) -> bool {
        self.peer.is_some_and(|peer| gate::identify_by(&self.app, &self.headers, peer).is_some())
    }
}
