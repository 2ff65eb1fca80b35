//! A scripted YouTube: the questions of its Data API that a monitor asks, with the shapes of its answers and refusals, and the
//! renewal of access tokens. The key of the stream stands in its answers where the real one puts it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::http::{HttpPeer, Reply, Request};

/// The API key that it takes.
pub const API_KEY: &str = "AIzaSy-0123456789abcdef";
/// The refresh token that it takes.
pub const REFRESH_TOKEN: &str = "1//refresh-0123456789";
/// Id of the OAuth client.
pub const CLIENT_ID: &str = "client.apps.example";
/// Secret of the OAuth client.
pub const CLIENT_SECRET: &str = "GOCSPX-client-0123456789";
/// The access token that it gives and takes; the number of the renewal follows.
pub const ACCESS_TOKEN: &str = "ya29.access-0123456789-";
/// The stream key that must come out nowhere.
pub const STREAM_KEY: &str = "yt-k3y1-abcd-efgh";
/// The broadcast.
pub const VIDEO: &str = "jfKfPfyJRdk";
/// Its channel.
pub const CHANNEL: &str = "UCSJ4gkVC6NrvII8umztf0Ow";

/// What it says.
#[derive(Clone, Debug)]
pub struct Said {
    /// `liveBroadcastContent` of the video: `live`, `upcoming`, `none`.
    pub content: &'static str,
    /// `lifeCycleStatus` of the broadcast.
    pub life: &'static str,
    /// `streamStatus` of the stream.
    pub stream: &'static str,
    /// `healthStatus.status` of the stream.
    pub health: &'static str,
    /// `configurationIssues` as JSON.
    pub issues: &'static str,
    /// Refuses everything with this status code and reason.
    pub refuses: Option<(u16, &'static str)>,
    /// Renewals so far; only the newest token is good.
    pub renewals: u32,
}

impl Default for Said {
    fn default() -> Self {
        Self {
            content: "live",
            life: "live",
            stream: "active",
            health: "good",
            issues: "[]",
            refuses: None,
            renewals: 0,
        }
    }
}

/// A running YouTube.
pub struct YoutubePeer {
    http: HttpPeer,
    said: Arc<Mutex<Said>>,
}

impl YoutubePeer {
    /// One whose broadcast is live.
    pub async fn start() -> Self {
        Self::with(Said::default()).await
    }

    /// One that says this.
    pub async fn with(said: Said) -> Self {
        let said = Arc::new(Mutex::new(said));
        let own = Arc::clone(&said);
        Self { http: HttpPeer::with(move |request| answer(&own, request)).await, said }
    }

    /// Changes what it says.
    pub fn set(&self, change: impl FnOnce(&mut Said)) {
        change(&mut lock(&self.said));
    }

    /// The address of `path`, such as `/live/ID`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        self.http.url(path)
    }

    /// Requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.http.requests()
    }

    /// Names of the resources that were asked for so far: each costs a unit.
    #[must_use]
    pub fn questions(&self) -> Vec<String> {
        let name = |request: Request| {
            let rest = request.target.strip_prefix("/youtube/v3/")?.to_owned();
            rest.split('?').next().map(str::to_owned)
        };
        self.http.requests().into_iter().filter_map(name).collect()
    }
}

fn lock(said: &Mutex<Said>) -> MutexGuard<'_, Said> {
    said.lock().unwrap_or_else(PoisonError::into_inner)
}

fn json(status: u16, body: String) -> Reply {
    Reply::Whole(status, vec![("Content-Type".into(), "application/json; charset=UTF-8".into())], body.into_bytes())
}

fn refusal(status: u16, reason: &str) -> Reply {
    json(
        status,
        format!(
            r#"{{"error":{{"code":{status},"message":"Something about {reason}.","errors":[{{"message":"m","domain":"youtube.quota","reason":"{reason}"}}]}}}}"#
        ),
    )
}

fn answer(said: &Mutex<Said>, request: &Request) -> Reply {
    if request.target == "/token" {
        return token(said, request);
    }
    let said = lock(said).clone();
    if let Some((status, reason)) = said.refuses {
        return refusal(status, reason);
    }
    let owner = request.header("Authorization") == Some(&format!("Bearer {ACCESS_TOKEN}{}", said.renewals));
    let (path, query) = request.target.split_once('?').unwrap_or((request.target.as_str(), ""));
    let asks = |pair: &str| query.split('&').any(|part| part == pair);
    let items = |list: String| json(200, format!(r#"{{"kind":"youtube#listResponse","items":[{list}]}}"#));
    let resource = path.strip_prefix("/youtube/v3/").unwrap_or_default();
    if !owner && request.header("X-Goog-Api-Key") != Some(API_KEY) {
        return refusal(if request.header("Authorization").is_some() { 401 } else { 400 }, "keyInvalid");
    }
    if matches!(resource, "liveBroadcasts" | "liveStreams") && !owner {
        return refusal(401, "authError");
    }
    match resource {
        "videos" if query.contains(VIDEO) => {
            let Said { content, .. } = said;
            let viewers = if content == "live" { r#","concurrentViewers":"42""# } else { "" };
            items(format!(
                r#"{{"id":"{VIDEO}","snippet":{{"title":"Sunday service","channelId":"{CHANNEL}","liveBroadcastContent":"{content}"}},"liveStreamingDetails":{{"actualStartTime":"2026-01-01T00:00:00Z"{viewers}}}}}"#
            ))
        }
        "liveBroadcasts" if asks(&format!("id={VIDEO}")) || asks("broadcastStatus=active") && said.life == "live" => {
            items(format!(
                r#"{{"id":"{VIDEO}","snippet":{{"title":"Sunday service","channelId":"{CHANNEL}"}},"status":{{"lifeCycleStatus":"{}"}},"contentDetails":{{"boundStreamId":"stream-1"}}}}"#,
                said.life
            ))
        }
        "liveStreams" if asks("id=stream-1") => items(format!(
            r#"{{"id":"stream-1","status":{{"streamStatus":"{}","healthStatus":{{"status":"{}","lastUpdateTimeSeconds":"1700000000","configurationIssues":{}}}}},"cdn":{{"resolution":"1080p","frameRate":"30fps","ingestionInfo":{{"streamName":"{STREAM_KEY}"}}}}}}"#,
            said.stream, said.health, said.issues
        )),
        "channels" if asks(&format!("id={CHANNEL}")) || asks("forHandle=@sunday") => items(format!(
            r#"{{"id":"{CHANNEL}","contentDetails":{{"relatedPlaylists":{{"uploads":"UUSJ4gkVC6NrvII8umztf0Ow"}}}}}}"#
        )),
        "playlistItems" if asks("playlistId=UUSJ4gkVC6NrvII8umztf0Ow") => items(format!(
            r#"{{"contentDetails":{{"videoId":"older_video"}}}},{{"contentDetails":{{"videoId":"{VIDEO}"}}}}"#
        )),
        _ => items(String::new()),
    }
}

/// A new access token for whoever knows the refresh token.
fn token(said: &Mutex<Said>, request: &Request) -> Reply {
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let has = |name: &str, value: &str| {
        let value = value.replace('/', "%2F");
        form.split('&').any(|pair| pair == format!("{name}={value}"))
    };
    if !has("client_id", CLIENT_ID) || !has("client_secret", CLIENT_SECRET) {
        return json(401, r#"{"error":"invalid_client"}"#.to_owned());
    }
    if !has("refresh_token", REFRESH_TOKEN) || !has("grant_type", "refresh_token") {
        return json(
            400,
            r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#.to_owned(),
        );
    }
    let mut said = lock(said);
    said.renewals += 1;
    json(
        200,
        format!(r#"{{"access_token":"{ACCESS_TOKEN}{}","expires_in":3599,"token_type":"Bearer"}}"#, said.renewals),
    )
}
