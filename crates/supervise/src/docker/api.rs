//! The Docker Engine API over its Unix socket: each question as one function. Owns paths, deadlines and caps; knows no unit.
//!
//! Podman serves the same questions on its own socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use model::unit::UnitId;
use model::unit::spec::{Create, Stop};
use net::http::{Method, Response};
use net::unix::{self, Failure, Request};
use serde::Deserialize;

use super::answer::{Image, Inspect};
use super::follow::From;
use super::make;
use super::stats::{self, Sample};
use super::trouble::Trouble;

/// Newest version of the API that we know; an older engine is asked in its own. 1.44 is the oldest that the newest engines take.
const NEWEST: Version = Version(1, 48);
/// What is asked of engines that do not say which version they speak: Docker 1.13, and what Podman is like.
const OLDEST: Version = Version(1, 25);
/// First version whose `stop` takes a signal.
const STOP_TAKES_SIGNAL: Version = Version(1, 42);

/// Deadline of a question whose answer the engine knows.
const QUICK: Duration = Duration::from_secs(5);
/// Deadline of what makes the engine work: creating, starting, removing.
const WORK: Duration = Duration::from_secs(30);
/// Deadline of a measurement; engines before API 1.41 take two seconds for one.
const MEASURE: Duration = Duration::from_secs(10);
/// Deadline of pulling an image: a gigabyte over a slow line.
const PULL: Duration = Duration::from_secs(600);
/// Largest answer: an inspection has some 10 KiB, with a thousand variables 100.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// Most that an engine may tell while it pulls; it tells a line ten times a second.
const MAX_PULL_BYTES: u64 = 64 * 1024 * 1024;
/// Longest line of it.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Version of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u16, u16);

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

/// An engine that answered.
#[derive(Clone, Debug)]
pub(super) struct Api {
    socket: PathBuf,
    version: Version,
}

#[derive(Deserialize)]
struct Message {
    #[serde(alias = "cause")]
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Waited {
    status_code: i64,
}

#[derive(Deserialize)]
struct Progress {
    error: Option<String>,
}

impl Api {
    /// Asks whether an engine listens, and in which version it wants to be asked.
    pub(super) async fn find(socket: &Path) -> Result<Self, Failure> {
        let mut reply = unix::send(socket, &Request::new(Method::GET, "/_ping"), QUICK).await?;
        let said = reply.headers.get("api-version").and_then(|value| value.to_str().ok()).and_then(Version::parse);
        if reply.status == 200 {
            return Ok(Self { socket: socket.to_owned(), version: said.unwrap_or(OLDEST).min(NEWEST) });
        }
        let status = reply.status;
        let words = body(&mut reply, QUICK).await.map(|body| words_of(&body)).unwrap_or_default();
        let detail = format!("the engine answers {status} {words}");
        Err(Failure::Broken(model::fault::Fault::protocol(model::phase::Phase::Check, detail.trim_end())))
    }

    /// Whether `stop` takes a signal.
    pub(super) fn stop_takes_signal(&self) -> bool {
        self.version >= STOP_TAKES_SIGNAL
    }

    fn request(&self, method: Method, path: &str) -> Request {
        Request::new(method, format!("/v{}.{}{path}", self.version.0, self.version.1))
    }

    /// Asks and reads the whole answer. Statuses up to 304 are good: 304 says that it is so already.
    async fn ask(&self, request: &Request, limit: Duration) -> Result<Bytes, Trouble> {
        let mut reply = unix::send(&self.socket, request, limit).await?;
        let answer = body(&mut reply, QUICK).await?;
        match reply.status {
            200..=304 => Ok(answer),
            status => Err(Trouble::said(status, &words_of(&answer))),
        }
    }

    async fn post(&self, path: &str, limit: Duration) -> Result<Bytes, Trouble> {
        self.ask(&self.request(Method::POST, path), limit).await
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Trouble> {
        match self.ask(&self.request(Method::GET, path), QUICK).await {
            Ok(answer) => parse(&answer).map(Some),
            Err(Trouble::Said { status: 404, .. }) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// A container; `None` when there is none of this name or id.
    pub(super) async fn inspect(&self, name: &str) -> Result<Option<Inspect>, Trouble> {
        self.get(&format!("/containers/{}/json", escaped(name))).await
    }

    /// Id of an image; `None` when it is not there.
    pub(super) async fn image(&self, name: &str) -> Result<Option<String>, Trouble> {
        // The slashes of its name belong to the path.
        let name = name.split('/').map(escaped).collect::<Vec<_>>().join("/");
        Ok(self.get::<Image>(&format!("/images/{name}/json")).await?.map(|image| image.id))
    }

    /// Pulls an image and waits until it is there.
    pub(super) async fn pull(&self, name: &str) -> Result<(), Trouble> {
        let request = self.request(Method::POST, &format!("/images/create?fromImage={}", escaped(&with_tag(name))));
        let pull = async {
            let mut reply = unix::send(&self.socket, &request, PULL).await?;
            if reply.status != 200 {
                let answer = body(&mut reply, QUICK).await?;
                return Err(Trouble::said(reply.status, &words_of(&answer)));
            }
            follow_pull(&mut reply).await
        };
        match tokio::time::timeout(PULL, pull).await {
            Ok(done) => done,
            Err(_) => Err(Trouble::Late(format!("the image is not there after {} s", PULL.as_secs()))),
        }
    }

    /// Makes a container and answers its id.
    pub(super) async fn create(
        &self,
        name: &str,
        id: &UnitId,
        create: &Create,
        stop: &Stop,
    ) -> Result<String, Trouble> {
        let mut request = self.request(Method::POST, &format!("/containers/create?name={}", escaped(name)));
        request.json = Some(Bytes::from(make::body(id, create, stop).to_string()));
        parse::<Created>(&self.ask(&request, WORK).await?).map(|created| created.id)
    }

    pub(super) async fn start(&self, id: &str) -> Result<(), Trouble> {
        self.post(&format!("/containers/{}/start", escaped(id)), WORK).await.map(|_| ())
    }

    /// Ends it by its signal, and kills it after the grace; comes back when it has ended. `signal` is left to the container's own
    /// where the engine takes none.
    pub(super) async fn stop(&self, id: &str, signal: &str, grace: Duration) -> Result<(), Trouble> {
        let signal = if self.stop_takes_signal() { format!("&signal=SIG{signal}") } else { String::new() };
        let path = format!("/containers/{}/stop?t={}{signal}", escaped(id), grace.as_secs());
        self.post(&path, grace + WORK).await.map(|_| ())
    }

    pub(super) async fn kill(&self, id: &str, signal: &str) -> Result<(), Trouble> {
        match self.post(&format!("/containers/{}/kill?signal=SIG{signal}", escaped(id)), QUICK).await {
            // It runs no more.
            Ok(_) | Err(Trouble::Said { status: 409, .. }) => Ok(()),
            Err(trouble) => Err(trouble),
        }
    }

    pub(super) async fn remove(&self, id: &str) -> Result<(), Trouble> {
        match self.ask(&self.request(Method::DELETE, &format!("/containers/{}?v=1", escaped(id))), WORK).await {
            Ok(_) | Err(Trouble::Said { status: 404, .. }) => Ok(()),
            Err(trouble) => Err(trouble),
        }
    }

    /// Waits until it does not run and answers its status. Has no deadline: containers run for years.
    pub(super) async fn wait(&self, id: &str) -> Result<i64, Trouble> {
        let request = self.request(Method::POST, &format!("/containers/{}/wait", escaped(id)));
        // Engines before API 1.30 hold even the headers back until then.
        let mut reply = unix::send(&self.socket, &request, Duration::from_secs(u64::from(u32::MAX))).await?;
        let answer = reply.body.collect(MAX_ANSWER_BYTES).await?;
        match reply.status {
            200 => parse::<Waited>(&answer).map(|waited| waited.status_code),
            status => Err(Trouble::said(status, &words_of(&answer))),
        }
    }

    pub(super) async fn stats(&self, id: &str) -> Result<Sample, Trouble> {
        let path = format!("/containers/{}/stats?stream=false&one-shot=true", escaped(id));
        let answer = self.ask(&self.request(Method::GET, &path), MEASURE).await?;
        stats::read(&answer).map_err(|error| Trouble::Odd(error.to_string()))
    }

    /// How many processes it has, by the list that the engine makes with `ps`.
    pub(super) async fn processes(&self, id: &str) -> Result<u32, Trouble> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Top {
            processes: Vec<serde::de::IgnoredAny>,
        }
        let top: Option<Top> = self.get(&format!("/containers/{}/top", escaped(id))).await?;
        Ok(top.map_or(0, |top| u32::try_from(top.processes.len()).unwrap_or(u32::MAX)))
    }

    /// The log as it grows. Reading it has no deadline: containers are silent for long.
    pub(super) async fn logs(&self, id: &str, from: &From) -> Result<Response, Trouble> {
        let tail = from.newest.map(|lines| format!("&tail={lines}")).unwrap_or_default();
        let path = format!(
            "/containers/{}/logs?follow=1&stdout=1&stderr=1&timestamps=1&since={}{tail}",
            escaped(id),
            from.since
        );
        // The engine sends headers with the first line only.
        let limit = Duration::from_secs(u64::from(u32::MAX));
        let mut reply = unix::send(&self.socket, &self.request(Method::GET, &path), limit).await?;
        if reply.status == 200 {
            return Ok(reply);
        }
        let answer = body(&mut reply, QUICK).await?;
        Err(Trouble::said(reply.status, &words_of(&answer)))
    }
}

async fn body(reply: &mut Response, limit: Duration) -> Result<Bytes, Trouble> {
    match tokio::time::timeout(limit, reply.body.collect(MAX_ANSWER_BYTES)).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Trouble::Late(format!("its answer is not complete after {} s", limit.as_secs()))),
    }
}

fn parse<T: serde::de::DeserializeOwned>(answer: &[u8]) -> Result<T, Trouble> {
    serde_json::from_slice(answer).map_err(|error| Trouble::Odd(error.to_string()))
}

/// The engine's words for a refusal: `{"message": "..."}`, or what it sent in place of that.
fn words_of(answer: &[u8]) -> String {
    match serde_json::from_slice::<Message>(answer) {
        Ok(Message { message }) => message,
        Err(_) => String::from_utf8_lossy(answer).into_owned(),
    }
}

/// Reads the progress of a pull to its end. That it failed is told in a line of it, after the status 200.
async fn follow_pull(reply: &mut Response) -> Result<(), Trouble> {
    let mut line = Vec::new();
    while let Some(chunk) = reply.body.next_chunk().await? {
        if reply.body.received() > MAX_PULL_BYTES {
            return Err(Trouble::Odd(format!("it told more than {MAX_PULL_BYTES} bytes of a pull")));
        }
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            if line.len() + part.len() > MAX_LINE_BYTES {
                line.clear();
                continue;
            }
            line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                pull_line(&line)?;
                line.clear();
            }
        }
    }
    pull_line(&line)
}

fn pull_line(line: &[u8]) -> Result<(), Trouble> {
    match serde_json::from_slice::<Progress>(line) {
        Ok(Progress { error: Some(error) }) => Err(Trouble::said(0, &error)),
        _ => Ok(()),
    }
}

/// Without a tag the engine would pull them all.
fn with_tag(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains([':', '@']) { image.to_owned() } else { format!("{image}:latest") }
}

/// A text as one part of a path or a value of a query.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_negotiated_downwards() {
        for (said, asked) in [("1.41", Version(1, 41)), ("1.52", NEWEST), ("2.0", NEWEST), (" 1.9 ", Version(1, 9))] {
            assert_eq!(Version::parse(said).expect(said).min(NEWEST), asked, "{said}");
        }
        assert!(["", "1", "1.x", "-1.2"].iter().all(|said| Version::parse(said).is_none()));
        assert!(Version(1, 9) < Version(1, 41));
    }

    #[test]
    fn names_cannot_become_other_questions() {
        assert_eq!(escaped("a/../b?c=d&e#%"), "a%2F..%2Fb%3Fc%3Dd%26e%23%25");
        for (image, asked) in [
            ("busybox", "busybox:latest"),
            ("registry.example:5000/a/b", "registry.example:5000/a/b:latest"),
            ("a/b:1", "a/b:1"),
            ("a@sha256:00", "a@sha256:00"),
        ] {
            assert_eq!(with_tag(image), asked);
        }
    }

    #[test]
    fn a_pull_fails_by_what_it_tells() {
        assert_eq!(pull_line(b"{\"status\":\"Pulling\",\"progressDetail\":{}}\n"), Ok(()));
        let failed = pull_line(b"{\"errorDetail\":{\"message\":\"x\"},\"error\":\"manifest unknown\"}\n");
        assert_eq!(failed, Err(Trouble::said(0, "manifest unknown")));
        assert_eq!(words_of(b"{\"message\":\"No such container: x\"}"), "No such container: x");
        assert_eq!(words_of(b"404 page not found\n"), "404 page not found\n");
    }
}
