//! Pictures: one key frame, and a few seconds of motion.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use model::target::TargetId;
use probe::preview::Picture;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::auth::random;
use crate::error::{ApiError, ApiResult, Code};
use crate::extract::{Id, Query};
use crate::limits::{MAX_PICTURE_AGE, PICTURE_AGE, PREVIEW_FRAMES, PREVIEW_TIME};
use crate::state::App;

/// How old a picture may be.
#[derive(Debug, Deserialize)]
pub struct Age {
    max_age_ms: Option<u64>,
}

/// The newest picture of a target, decoded from a key frame.
pub async fn snapshot(
    State(app): State<App>,
    Id(id): Id,
    Query(age): Query<Age>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let (_, target) = app.target(&id)?;
    let age = age.max_age_ms.map_or(PICTURE_AGE, Duration::from_millis).min(MAX_PICTURE_AGE);
    let picture = app.handle.snapshot(&id, age).await.map_err(|fault| {
        let why = target.spec.address.redact(&fault.detail);
        ApiError::new(Code::NoPicture, why)
    })?;
    let Picture::Jpeg { bytes, .. } = picture;
    let tag = format!("\"{}\"", random::digest(&bytes).get(..32).unwrap_or_default());
    let known = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    let mut response = match known == Some(tag.as_str()) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Response::new(Body::from(bytes)),
    };
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        out.insert(header::ETAG, tag);
    }
    Ok(response)
}

/// Up to five seconds of motion as `multipart/x-mixed-replace`. It ends when the viewer leaves: then nobody takes the
/// frames, and the session to the camera is closed.
pub fn moving(app: App, id: TargetId) -> Response {
    let (tx, rx) = mpsc::channel(PREVIEW_FRAMES);
    let source = async move {
        let frames = app.handle.frames(&id, tx);
        tokio::select! {
            () = app.stopping.cancelled() => {}
            () = tokio::time::sleep(PREVIEW_TIME) => {}
            _ = frames => {}
        }
    };
    // The frames are fetched by the answer itself: whoever drops it ends the fetching.
    let state = (Box::pin(source), rx, false);
    let body = stream::unfold(state, |(mut source, mut rx, mut over)| async move {
        loop {
            let frame = tokio::select! {
                frame = rx.recv() => frame,
                () = &mut source, if !over => {
                    over = true;
                    continue;
                }
            };
            return frame.map(|f| (Ok::<_, Infallible>(part(&f)), (source, rx, over)));
        }
    });
    let mut response = Response::new(Body::from_stream(body));
    let kind = HeaderValue::from_static("multipart/x-mixed-replace; boundary=frame");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn part(picture: &Picture) -> Bytes {
    let Picture::Jpeg { bytes, .. } = picture;
    let head = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", bytes.len());
    let mut out = BytesMut::with_capacity(head.len() + bytes.len() + 2);
    out.put_slice(head.as_bytes());
    out.put_slice(bytes);
    out.put_slice(b"\r\n");
    out.freeze()
}
