//! Calls of targets of the kind `push`: whoever knows the URL may call, without signing in, by GET, HEAD or POST. Owns the words
//! that callers use; those of Uptime Kuma and of healthchecks.io are understood.
//!
//! The token is the whole proof. It stands in no log, no answer but that to administrators, and no audit entry; who has a
//! wrong one learns nothing.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::Uri;
use engine::push::{Call, Says, token_of};
use serde::Deserialize;

use crate::dto::push::{CalledDto, PushUrlDto};
use crate::error::{ApiError, ApiResult, Code};
use crate::extract::Id;
use crate::peer::Peer;
use crate::state::App;

/// Where calls go; the token follows.
pub const PATH: &str = "/api/push/";
/// Longest a run may have taken by the caller's own measure, in milliseconds: a year.
const MAX_PING_MS: f64 = 366.0 * 86_400_000.0;

/// What a caller may add. Everything is a text: an empty or foolish one is as good as absent, since a call that is refused
/// for a slip in its decoration would be a false alarm.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Words {
    status: String,
    msg: String,
    ping: String,
}

/// A call: all is well, unless `status` says otherwise.
///
/// # Errors
/// `not_found` for a token of nobody, `too_many_requests` for too many calls, `bad_request` for an unknown status.
pub async fn call(State(app): State<App>, Path(token): Path<String>, request: Request) -> ApiResult<Json<CalledDto>> {
    took(&app, &token, None, &request)
}

/// A call whose path says what it is.
///
/// # Errors
/// As [`call`].
pub async fn call_with(
    State(app): State<App>,
    Path((token, what)): Path<(String, String)>,
    request: Request,
) -> ApiResult<Json<CalledDto>> {
    took(&app, &token, Some(&what), &request)
}

fn took(app: &App, token: &str, what: Option<&str>, request: &Request) -> ApiResult<Json<CalledDto>> {
    let now = app.handle.clock().mono();
    let Some(target) = app.handle.target_of_token(token) else {
        let client = Peer::of(request).map(|peer| peer.client(request.headers()));
        if let Some(wait) = client.and_then(|client| app.calls.wrong(client, now).err()) {
            return Err(too_many(wait));
        }
        return Err(ApiError::not_found("token"));
    };
    app.calls.right(&target, now).map_err(too_many)?;
    let call = meant(what, &words(request.uri()))?;
    app.handle.push(&target, call);
    Ok(Json(CalledDto { ok: true }))
}

fn too_many(wait: std::time::Duration) -> ApiError {
    ApiError::new(Code::TooManyRequests, "too many calls").retry_after(wait.as_secs() + 1)
}

fn words(uri: &Uri) -> Words {
    axum::extract::Query::try_from_uri(uri).map(|query| query.0).unwrap_or_default()
}

/// The call that path and parameters mean.
fn meant(what: Option<&str>, words: &Words) -> ApiResult<Call> {
    let bad = |words: &str| ApiError::new(Code::BadRequest, words.to_owned());
    let mut call = match what {
        None | Some("") => Call::new(match words.status.as_str() {
            "" | "up" => Says::Up,
            "warn" => Says::Warn,
            "down" => Says::Down,
            _ => return Err(bad("the status must be up, warn or down")),
        }),
        Some("start") => Call::new(Says::Start),
        Some("fail") => Call::new(Says::Down),
        Some(code) => {
            let code =
                code.parse::<u8>().map_err(|_| bad("the path may end in start, fail or an exit code, 0 to 255"))?;
            Call { exit_code: Some(code), ..Call::new(if code == 0 { Says::Up } else { Says::Down }) }
        }
    };
    // Uptime Kuma's clients send these two words with every good call.
    call.message = if words.msg == "OK" { String::new() } else { words.msg.clone() };
    call.ping_ms = words.ping.parse().ok().filter(|ms| (0.0..=MAX_PING_MS).contains(ms));
    Ok(call)
}

/// Where a target's calls go.
///
/// # Errors
/// `not_found` for no target, or one of another kind.
pub async fn url(State(app): State<App>, Id(id): Id) -> ApiResult<Json<PushUrlDto>> {
    let (_, target) = app.target(&id)?;
    let token = token_of(&target.spec).ok_or_else(|| ApiError::not_found("push URL"))?;
    Ok(Json(PushUrlDto { path: format!("{PATH}{}", token.expose()) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(path: Option<&str>, query: &str) -> Result<Call, String> {
        let uri: Uri = format!("/api/push/x?{query}").parse().expect("a URI");
        meant(path, &words(&uri)).map_err(|e| e.to_string())
    }

    #[test]
    fn the_words_of_callers() {
        let plain = Call::new;
        for (path, query, wanted) in [
            (None, "", plain(Says::Up)),
            (None, "status=up&msg=OK&ping=", plain(Says::Up)),
            (None, "status=down&msg=disk%20full", Call { message: "disk full".into(), ..plain(Says::Down) }),
            (None, "status=warn&ping=12.5", Call { ping_ms: Some(12.5), ..plain(Says::Warn) }),
            (None, "ping=-1&other=x&msg=a+b", Call { message: "a b".into(), ..plain(Says::Up) }),
            (None, "ping=NaN", plain(Says::Up)),
            (Some("start"), "", plain(Says::Start)),
            (Some("fail"), "msg=x", Call { message: "x".into(), ..plain(Says::Down) }),
            (Some("0"), "", Call { exit_code: Some(0), ..plain(Says::Up) }),
            (Some("7"), "", Call { exit_code: Some(7), ..plain(Says::Down) }),
        ] {
            assert_eq!(says(path, query), Ok(wanted), "{path:?} {query}");
        }
        assert!(
            says(None, "status=sideways").is_err() && says(Some("256"), "").is_err() && says(Some("stop"), "").is_err()
        );
    }
}
