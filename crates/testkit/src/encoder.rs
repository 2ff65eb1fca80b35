//! A scripted streaming encoder that speaks both protocols of Blackmagic's devices: REST over HTTP, and blocks of text. Its
//! counter of seconds moves with each question, so that no test waits for a clock. Its stream key stands where real devices
//! put it: in the answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::AsyncReadExt;

use crate::http::{HttpPeer, Reply, Request};
use crate::peer::{Conn, Peer, send};

/// The stream key that must come out nowhere.
pub const STREAM_KEY: &str = "k3y1-abcd-efgh-ijkl";

/// What the encoder says when it is asked.
#[derive(Clone, Debug)]
pub struct Said {
    /// `Idle`, `Connecting`, `Streaming`, `Flushing`, `Interrupted`.
    pub state: &'static str,
    /// Bits per second.
    pub bitrate_bps: u64,
    /// The counter of seconds.
    pub seconds: u64,
    /// How far the counter moves with each question.
    pub step: u64,
    /// Use of the cache in percent.
    pub cache: u64,
    /// Whether the REST API is there; without it every path is 404, as with old firmware.
    pub rest: bool,
    /// Questions for the state so far, by either protocol.
    pub questions: usize,
}

impl Default for Said {
    fn default() -> Self {
        Self {
            state: "Streaming",
            bitrate_bps: 5_984_256,
            seconds: 93_784,
            step: 1,
            cache: 3,
            rest: true,
            questions: 0,
        }
    }
}

/// A running encoder.
pub struct Encoder {
    said: Arc<Mutex<Said>>,
    http: HttpPeer,
    text: Peer,
}

impl Encoder {
    /// An encoder that streams.
    pub async fn start() -> Self {
        Self::with(Said::default()).await
    }

    /// An encoder that says this.
    pub async fn with(said: Said) -> Self {
        let said = Arc::new(Mutex::new(said));
        let (rest, blocks) = (Arc::clone(&said), Arc::clone(&said));
        let http = HttpPeer::with(move |request| answer(&rest, request)).await;
        let text = Peer::start(move |conn, _stats| {
            let said = Arc::clone(&blocks);
            async move { talk(conn, &said).await }
        });
        Self { said, http, text: text.await }
    }

    /// Changes what it says.
    pub fn set(&self, change: impl FnOnce(&mut Said)) {
        change(&mut lock(&self.said));
    }

    /// Where its REST API is.
    #[must_use]
    pub fn url(&self) -> String {
        self.http.url("")
    }

    /// Port of its text protocol, on the same host.
    #[must_use]
    pub fn text_port(&self) -> u16 {
        self.text.address().port()
    }

    /// Questions for its state so far.
    #[must_use]
    pub fn questions(&self) -> usize {
        lock(&self.said).questions
    }

    /// Requests of its REST API so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.http.requests()
    }
}

fn lock(said: &Mutex<Said>) -> MutexGuard<'_, Said> {
    said.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What it says to a question, after which the counter moves.
fn asked(said: &Mutex<Said>) -> Said {
    let mut said = lock(said);
    said.questions += 1;
    let told = said.clone();
    said.seconds += said.step;
    told
}

fn json(body: String) -> Reply {
    Reply::Whole(200, vec![("Content-Type".into(), "application/json".into())], body.into_bytes())
}

fn answer(said: &Mutex<Said>, request: &Request) -> Reply {
    let path = request.target.strip_prefix("/control/api/v1").unwrap_or_default();
    if !lock(said).rest || request.method != "GET" {
        return Reply::text(404, "no such thing");
    }
    match path {
        "/livestreams/0" => {
            let Said { state, bitrate_bps, seconds, cache, .. } = asked(said);
            let (bitrate_bps, seconds) = if state == "Idle" { (0, 0) } else { (bitrate_bps, seconds) };
            json(format!(
                r#"{{"status":"{state}","bitrate":{bitrate_bps},"effectiveVideoFormat":"1920x1080p29.97","duration":{seconds},"cache":{cache}}}"#
            ))
        }
        "/livestreams/0/activePlatform" => json(format!(
            r#"{{"platform":"YouTube","server":"Primary","key":"{STREAM_KEY}","quality":"Streaming High","url":"rtmp://a.example/live2/{STREAM_KEY}"}}"#
        )),
        "/system/product" => json(format!(
            r#"{{"deviceName":"Studio A {STREAM_KEY}","productName":"Blackmagic Web Presenter 4K","softwareVersion":"3.4"}}"#
        )),
        _ => Reply::text(404, "no such thing"),
    }
}

/// The dump, then an answer to each question for the state; anything else is refused.
async fn talk(mut conn: Conn, said: &Mutex<Said>) {
    let state = lock(said).state;
    let dump = format!(
        "PROTOCOL PREAMBLE:\nVersion: 1.2\n\nIDENTITY:\nModel: Blackmagic Web Presenter HD\nLabel: Studio B\nUnique ID: 00\n\n\
         VERSION:\nSoftware Release: 2.1\n\nSTREAM SETTINGS:\nVideo Mode: 1080p29.97\nCurrent Platform: Twitch {STREAM_KEY}\n\
         Current Server: Primary\nCurrent Quality Level: Streaming Medium\nStream Key: {STREAM_KEY}\n\n\
         STREAM STATE:\nStatus: {state}\n\n"
    );
    if !send(&mut conn, dump.as_bytes()).await {
        return;
    }
    let (mut pending, mut buffer) = (String::new(), [0; 1024]);
    while let Ok(count @ 1..) = conn.read(&mut buffer).await {
        pending.push_str(&String::from_utf8_lossy(&buffer[..count]));
        while let Some(end) = pending.find("\n\n") {
            let question: String = pending.drain(..end + 2).collect();
            let reply = if question.trim() == "STREAM STATE:" {
                let Said { state, bitrate_bps, seconds, cache, .. } = asked(said);
                let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
                let seconds = seconds % 60;
                format!(
                    "ACK\n\nSTREAM STATE:\nStatus: {state}\nDuration: {days:02}:{hours:02}:{minutes:02}:{seconds:02}\n\
                     Bitrate: {bitrate_bps}\nCache Used: {cache}\n\n"
                )
            } else {
                "NACK\n\n".to_owned()
            };
            if !send(&mut conn, reply.as_bytes()).await {
                return;
            }
        }
    }
}
