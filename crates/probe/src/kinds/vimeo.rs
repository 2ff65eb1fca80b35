//! Kind `vimeo`: a live event or a video of Vimeo, by its API (3.4): first its state, then the playlist that viewers get, which
//! is looked at as the kind `hls` does it. A pass proves what a pass of `hls` proves: the newest segment holds pictures and
//! sound, and the playlist goes on.
//!
//! Owns the order of a look and what is remembered between looks: the state for [`MIN_INTERVAL`], the signed address of the
//! playlist for [`PLAYBACK_LASTS`]. When the rate limit leaves no request the last state is used as long as [`STATE_LASTS`],
//! and its age is told. The playlist itself comes from another server and is looked at every time.
//!
//! Quirks met: an event whose encoder is away has no playlist (404) and an event that does not exist neither, so the state is
//! asked for first; the state stands in several places; signed addresses hold tokens in their paths as well as in their query.

mod place;
mod state;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::address::Address;
use model::conf::{Field, Problem, Section, Type};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Depth, Reading, Severity, fact};
use model::secret::Secret;
use model::target::Target;
use net::attempt::Attempt;
use net::http::{HeaderName, HeaderValue, Method};
use net::trust::{TLS_FIELDS, TlsOptions};
use serde_json::Value;
use tokio::time::Instant;

use self::place::Place;
use self::state::{Meaning, Told, playback, refusal};
use crate::api;
use crate::budget::Budget;
use crate::kind::{BoxFuture, Kind, Probe, join_fields, options_node};
use crate::kinds::hls::{Hls, PLAYER_FIELDS};
use crate::kinds::http::fetch::Ask;

/// Least time between two questions for a state: looks that come earlier use the last answer and look at the playlist alone.
const MIN_INTERVAL: Duration = Duration::from_secs(5);
/// How long a state is used when the rate limit forbids to ask again.
const STATE_LASTS: Duration = Duration::from_secs(600);
/// How long the address of the playlist is used: signatures last for longer.
const PLAYBACK_LASTS: Duration = Duration::from_secs(300);
/// Parts of a signed address that are at least this long are masked wherever they come up.
const LONG_PART_BYTES: usize = 16;

const AUTHORIZATION: HeaderName = HeaderName::from_static("authorization");
const ACCEPT: HeaderName = HeaderName::from_static("accept");
/// The version of the API whose words are known here.
const API_VERSION: HeaderValue = HeaderValue::from_static("application/vnd.vimeo.*+json;version=3.4");

const OWN_FIELDS: [Field; 2] = [
    Field::new(
        "token",
        Type::Secret,
        "Access token of the Vimeo app, with the scopes public and private. Sent to the API alone.",
    ),
    Field::new(
        "idle",
        Type::Choice(&["fault", "allowed"]),
        "What an event that is not live means: a fault, or nothing wrong (between events).",
    )
    .default("fault"),
];
static FIELDS: [Field; 11] = join_fields(&[&OWN_FIELDS, &PLAYER_FIELDS, &TLS_FIELDS]);

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "vimeo",
    schemes: &["http", "https"],
    summary: "Vimeo live event or video: the API says that it is live, and its HLS stream goes on and holds pictures and sound",
    example: "\
name: Sunday service
url: https://vimeo.com/event/4797083
kind: vimeo
token: 0123456789abcdef0123456789abcdef
",
    media: true,
    holds: false,
    fields: &FIELDS,
    build: |target| Ok(Box::new(Vimeo::new(target)?)),
    guess: |address| if address.host() == "api.vimeo.com" && Place::of(address).is_some() { 9 } else { 0 },
};

/// A target of this kind, ready to be looked at.
struct Vimeo {
    place: Place,
    headers: Vec<(HeaderName, HeaderValue)>,
    tls: TlsOptions,
    depth: Depth,
    idle_allowed: bool,
    budget: Arc<Budget>,
    player: Hls,
    memory: Mutex<Memory>,
}

/// What the last looks learned.
#[derive(Default)]
struct Memory {
    state: Option<(Told, Instant)>,
    playback: Option<(Address, Instant)>,
}

impl Vimeo {
    fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        let tls = TlsOptions::read(&options, &mut problems);
        let player = Hls::player(target);
        let token = options.secret("token").unwrap_or_default();
        if token.is_empty() {
            let problem = Problem::new(options.place(), options.path_of("token"), "token is missing");
            problems.push(
                problem.with_remedy("make one for your app on developer.vimeo.com, with the scopes public and private"),
            );
        }
        let header = HeaderValue::from_str(&format!("Bearer {}", token.expose().trim())).map(|mut value| {
            value.set_sensitive(true);
            value
        });
        if header.is_err() {
            let words = "the token holds letters that no header can carry";
            problems.push(Problem::new(options.place_of("token"), options.path_of("token"), words));
        }
        let place = Place::of(&target.address);
        if place.is_none() {
            let words = "the path of the URL names no event and no video of Vimeo";
            problems.push(Problem::new(None, "url", words).with_remedy("write it as https://vimeo.com/event/4797083"));
        }
        match (place, header, player) {
            (Some(place), Ok(header), Ok(player)) if problems.is_empty() => Ok(Self {
                budget: Budget::of(&place.state, &token),
                place,
                headers: vec![(AUTHORIZATION, header), (ACCEPT, API_VERSION)],
                tls,
                depth: target.depth,
                idle_allowed: options.text("idle").as_deref() == Some("allowed"),
                player,
                memory: Mutex::default(),
            }),
            (_, _, Err(found)) => {
                // What it says of keys that are also ours was said.
                problems.extend(found.into_iter().filter(|p| PLAYER_FIELDS.iter().any(|f| p.path.starts_with(f.key))));
                problems.dedup();
                Err(problems)
            }
            _ => Err(problems),
        }
    }

    async fn look(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        let mut secrets = Vec::new();
        let mut ended = self.examine(at, &mut secrets, reading).await;
        api::wash(&secrets, reading, &mut ended);
        ended
    }

    async fn examine(
        &self,
        at: &mut Attempt<'_>,
        secrets: &mut Vec<Secret>,
        reading: &mut Reading,
    ) -> Result<(), Fault> {
        let told = self.state(at, reading).await?;
        reading.proven = Some(Depth::Reach);
        if let Some(title) = &told.title {
            reading.text(fact::STREAM_TITLE, title.as_str());
        }
        reading.text(fact::EVENT_STATE, told.word.as_deref().unwrap_or("unknown"));
        if self.depth == Depth::Reach {
            return Ok(());
        }
        reading.proven = Some(Depth::Describe);
        let (meaning, words) = told.meaning();
        let no_media = |words: &str| Err(Fault::new(FaultKind::NoMedia, Phase::Check, words));
        match meaning {
            Meaning::Off if self.idle_allowed => {
                reading.find("idle", Severity::Note, format!("{words}, which is allowed"));
                return Ok(());
            }
            Meaning::Off | Meaning::Broken => return no_media(words),
            Meaning::Live | Meaning::Open => {}
        }
        if self.depth == Depth::Describe && meaning == Meaning::Live {
            return Ok(());
        }
        let Some((address, fresh)) = self.playback(at, false).await? else {
            return match (meaning, self.idle_allowed) {
                (Meaning::Live, _) => no_media("Vimeo says that it is streaming and offers no playlist"),
                (_, true) => {
                    reading.find(
                        "idle",
                        Severity::Note,
                        "Vimeo offers no playlist, so it is not live, which is allowed",
                    );
                    Ok(())
                }
                (_, false) => no_media("Vimeo offers no playlist, so it is not live"),
            };
        };
        secrets.extend(signed(&address));
        if self.depth == Depth::Describe {
            return Ok(());
        }
        let findings = reading.findings.len();
        let played = self.player.play(at, &address, reading).await;
        let refused = played.as_ref().is_err_and(|fault| {
            matches!(fault.kind, FaultKind::AuthRequired | FaultKind::Forbidden | FaultKind::NotFound)
        });
        if fresh || !refused {
            return played;
        }
        // The signature of the address that was remembered has run out.
        let Some((address, _)) = self.playback(at, true).await? else { return played };
        secrets.extend(signed(&address));
        reading.findings.truncate(findings);
        self.player.play(at, &address, reading).await
    }

    /// The state, asked for or remembered.
    async fn state(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<Told, Fault> {
        let known = self.memory.lock().unwrap_or_else(PoisonError::into_inner).state.clone();
        let known = known.map(|(told, asked_at)| (told, asked_at.elapsed()));
        if let Some((told, _)) = known.as_ref().filter(|(_, age)| *age < MIN_INTERVAL) {
            return Ok(told.clone());
        }
        let remembered = |reading: &mut Reading| -> Result<Told, Fault> {
            let (left, why) = self.budget.resting().unwrap_or_default();
            let Some((told, age)) = known.clone().filter(|(_, age)| *age < STATE_LASTS) else {
                return Err(Budget::fault(left, &why));
            };
            reading.int(fact::ANSWER_AGE_MS, i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
            let text = format!("{why}: the state is {} s old", age.as_secs());
            reading.find("from_memory", Severity::Note, text);
            Ok(told)
        };
        if self.budget.resting().is_some() {
            return remembered(reading);
        }
        let answer = self.ask(at, &self.place.state, reading).await?;
        if answer.status == 429 {
            return remembered(reading);
        }
        if let Some(fault) = answer.fault {
            return Err(refusal(answer.status, fault, answer.value.as_ref()));
        }
        let value = answer.value.unwrap_or_default();
        if !value.is_object() {
            return Err(Fault::protocol(Phase::Check, "the answer describes no event and no video"));
        }
        let told = Told::of(&value);
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).state = Some((told.clone(), Instant::now()));
        Ok(told)
    }

    /// The address of the playlist and whether this look asked for it; none when there is none.
    async fn playback(&self, at: &mut Attempt<'_>, anew: bool) -> Result<Option<(Address, bool)>, Fault> {
        let known = self.memory.lock().unwrap_or_else(PoisonError::into_inner).playback.clone();
        let resting = self.budget.resting();
        if let Some((address, asked_at)) = known.filter(|_| !anew) {
            // While nobody may ask, an old address may still be good.
            if asked_at.elapsed() < PLAYBACK_LASTS || resting.is_some() {
                return Ok(Some((address, false)));
            }
        }
        if let Some((left, why)) = resting {
            return Err(Budget::fault(left, &why));
        }
        let answer = self.ask(at, &self.place.playback, &mut Reading::default()).await?;
        let found = match (answer.status, answer.fault) {
            (404, _) => None,
            (429, _) => {
                let (left, why) = self.budget.resting().unwrap_or_default();
                return Err(Budget::fault(left, &why));
            }
            (status, Some(fault)) => return Err(refusal(status, fault, answer.value.as_ref())),
            (_, None) => playback(answer.value.as_ref().unwrap_or(&Value::Null)).map(address_of).transpose()?,
        };
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.playback = found.clone().map(|address| (address, Instant::now()));
        Ok(found.map(|address| (address, true)))
    }

    async fn ask(&self, at: &mut Attempt<'_>, address: &Address, reading: &mut Reading) -> Result<api::Answer, Fault> {
        let ask = Ask {
            method: Method::GET,
            address,
            headers: &self.headers,
            body: None,
            tls: &self.tls,
            redirects: 0,
            // A refused token is told in the API's words.
            accepts: &|status| status == 401,
        };
        let answer = api::ask(at, &ask, reading).await?;
        self.budget.read(&answer, at.utc());
        Ok(answer)
    }
}

/// The place that an answer names; its words are not told.
fn address_of(text: &str) -> Result<Address, Fault> {
    let wrong = |words| Fault::protocol(Phase::Check, words);
    let address = Address::parse(text).map_err(|_| wrong("the address of the playlist is no URL"))?;
    match address.scheme() {
        "http" | "https" => Ok(address),
        _ => Err(wrong("the address of the playlist is not of the scheme https")),
    }
}

/// What must not be told of a signed address: its query, and the parts of its path that look like signatures.
fn signed(address: &Address) -> Vec<Secret> {
    let url = address.expose_url();
    let query = url.query().unwrap_or_default();
    let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    let parts = url.path().split('/').filter(|part| part.len() >= LONG_PART_BYTES || part.contains(['=', '~', ',']));
    let decoded = url.query_pairs().map(|(_, value)| value.into_owned()).collect::<Vec<_>>();
    let all = std::iter::once(query).chain(values).chain(parts).chain(decoded.iter().map(String::as_str));
    let mut all: Vec<Secret> = all.filter(|text| text.len() >= LONG_PART_BYTES / 2).map(Secret::new).collect();
    all.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
    all
}

impl Probe for Vimeo {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.look(at, reading))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_secrets() {
        let url = "https://cdn.example/exp=17~hmac=abc/live/master.m3u8?signature=0123456789&x=1";
        let secrets = signed(&Address::parse(url).expect("a good URL"));
        let found: Vec<&str> = secrets.iter().map(Secret::expose).collect();
        assert_eq!(found, ["signature=0123456789&x=1", "exp=17~hmac=abc", "0123456789", "0123456789"]);
    }
}
