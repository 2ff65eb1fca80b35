//! A scripted Vimeo: the API's two answers about an event or a video, with rate headers, and the signed HLS stream that they
//! lead to. The playlist goes on with each request, so that no test waits for a clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::http::{HttpPeer, Reply, Request};

/// The access token that it wants.
pub const TOKEN: &str = "v1me0-t0ken-abcdef";
/// The part of the playlist's address that is a signature; the number of the signature follows.
pub const SIGNATURE: &str = "exp=1700000000~hmac=0123456789abcdef";

/// A segment of one second.
const SEGMENT: &[u8] = include_bytes!("../../wire/testdata/ts/ffmpeg_h264_aac.bin");

/// What it says.
#[derive(Clone, Debug)]
pub struct Said {
    /// The word of the state; with none, no member holds one.
    pub state: Option<&'static str>,
    /// Whether it offers a playlist.
    pub playlist: bool,
    /// Which signature is good; older ones are refused (403).
    pub signature: u32,
    /// What every answer of the API says of requests left, of 100.
    pub remaining: u64,
    /// Status code of the API's answers.
    pub status: u16,
    /// How far the playlist is.
    pub newest: u64,
    /// How far it goes on with each request.
    pub step: u64,
}

impl Default for Said {
    fn default() -> Self {
        Self {
            state: Some("streaming"),
            playlist: true,
            signature: 1,
            remaining: 90,
            status: 200,
            newest: 100,
            step: 1,
        }
    }
}

/// A running Vimeo.
pub struct VimeoPeer {
    http: HttpPeer,
    said: Arc<Mutex<Said>>,
}

impl VimeoPeer {
    /// One whose event is live.
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

    /// The address of `path`, such as `/live_events/1`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        self.http.url(path)
    }

    /// Requests so far that went to the API and not to the stream.
    #[must_use]
    pub fn api_requests(&self) -> Vec<Request> {
        self.http.requests().into_iter().filter(|request| !request.target.starts_with("/hls/")).collect()
    }

    /// Requests so far that went to the stream.
    #[must_use]
    pub fn stream_requests(&self) -> Vec<Request> {
        self.http.requests().into_iter().filter(|request| request.target.starts_with("/hls/")).collect()
    }
}

fn lock(said: &Mutex<Said>) -> MutexGuard<'_, Said> {
    said.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(said: &Mutex<Said>, request: &Request) -> Reply {
    let path = request.target.split('?').next().unwrap_or_default();
    if let Some(rest) = path.strip_prefix("/hls/") {
        return stream(said, rest);
    }
    let said = lock(said).clone();
    let json = |status: u16, body: String| {
        let kind = ("Content-Type".to_owned(), "application/vnd.vimeo.live.event+json".to_owned());
        Reply::Whole(status, vec![kind], body.into_bytes())
            .with("X-RateLimit-Limit", "100")
            .with("X-RateLimit-Remaining", said.remaining.to_string())
            .with("X-RateLimit-Reset", "2099-01-01T00:00:00+00:00")
    };
    if request.header("Authorization") != Some(&format!("Bearer {TOKEN}")) {
        return json(401, r#"{"error":"The user credentials are invalid.","error_code":8000}"#.to_owned());
    }
    if said.status != 200 {
        return json(said.status, r#"{"error":"Something is wrong.","error_code":1}"#.to_owned())
            .with("Retry-After", "30");
    }
    match path {
        "/live_events/1" => {
            let live = said.state.map_or("null".to_owned(), |word| format!(r#"{{"status":"{word}"}}"#));
            json(200, format!(r#"{{"title":"Sunday service","streamable_clip":{{"live":{live}}}}}"#))
        }
        "/videos/2" => {
            let live = said.state.map_or("null".to_owned(), |word| format!(r#"{{"status":"{word}"}}"#));
            json(200, format!(r#"{{"name":"One time","live":{live}}}"#))
        }
        "/me/live_events/1/m3u8_playback" | "/me/videos/2/m3u8_playback" if said.playlist => {
            let host = request.header("Host").unwrap_or_default();
            let number = said.signature;
            json(
                200,
                format!(
                    r#"{{"m3u8_playback_url":"http://{host}/hls/{SIGNATURE}{number}/live.m3u8?sig=fedcba98{number}"}}"#
                ),
            )
        }
        _ => json(404, r#"{"error":"The requested resource couldn't be found.","error_code":5460}"#.to_owned()),
    }
}

/// The playlist and its segments; `rest` begins with the signature.
fn stream(said: &Mutex<Said>, rest: &str) -> Reply {
    let mut said = lock(said);
    let good = format!("{SIGNATURE}{}/", said.signature);
    match rest.strip_prefix(&good) {
        Some("live.m3u8") => {
            let first = said.newest.saturating_sub(2);
            let segments: String = (first..=said.newest).map(|n| format!("#EXTINF:1.0,\ns{n}.ts\n")).collect();
            said.newest += said.step;
            let list = format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n{segments}");
            Reply::Whole(200, vec![("Content-Type".into(), "application/vnd.apple.mpegurl".into())], list.into_bytes())
        }
        Some(name) if name.ends_with(".ts") => {
            Reply::Whole(200, vec![("Content-Type".into(), "video/mp2t".into())], SEGMENT.to_vec())
        }
        _ => Reply::text(403, "the signature is not good"),
    }
}
