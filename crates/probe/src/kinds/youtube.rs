//! Kind `youtube`: a live broadcast of YouTube by its Data API (v3), by video or channel. With an API key a pass proves that
//! YouTube lists the video as live; with the owner's access (OAuth, scope `youtube.readonly`) also that YouTube receives the
//! stream and calls it healthy. No media passes through here and YouTube offers no playlist by official ways, so what is
//! proven stays `describe`, and a note says so.
//!
//! Every question costs a unit of the project's quota, 10,000 a day unless Google grants more: [`Youtube::cost`]. When it is used
//! up the look fails for a reason of ours (the target becomes unknown): a monitor without quota knows nothing. Nobody asks
//! again for [`QUOTA_PAUSE`] then.
//!
//! Owns the order of the questions and what is remembered between looks: which channel, and which of its videos is live.
//!
//! Quirks met: the resource that tells the health of a stream also holds its key (it is not asked for), a search for a channel's
//! live video costs a hundred units (its uploads are looked through instead), ended broadcasts say `none`.

mod access;
mod place;
mod told;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::conf::{Field, Problem, Section, Type, words};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Depth, Reading, Severity, fact};
use model::secret::Secret;
use model::target::Target;
use net::attempt::Attempt;
use net::http::Method;
use net::trust::{TLS_FIELDS, TlsOptions};
use serde_json::Value;

use self::access::Access;
use self::place::{Place, What};
use self::told::{Meaning, Refusal, Told, items, refusal};
use crate::api;
use crate::budget::Budget;
use crate::kind::{BoxFuture, Kind, Probe, join_fields, options_node};
use crate::kinds::http::fetch::Ask;

/// Units of quota that a project has for a day unless it was granted more.
const DAILY_UNITS: f64 = 10_000.0;
/// Seconds of a day.
const DAY_S: f64 = 86_400.0;
/// How long nobody asks when the quota is used up: it comes back at midnight in California, or when it is raised.
const QUOTA_PAUSE: Duration = Duration::from_secs(900);
/// How long nobody asks when there were too many questions in a minute.
const RATE_PAUSE: Duration = Duration::from_secs(60);

const OWN_FIELDS: [Field; 6] = [
    Field::new(
        "api_key",
        Type::Secret,
        "API key of a Google project, for what is public. Sent in a header, never in an address.",
    ),
    Field::new(
        "access_token",
        Type::Secret,
        "OAuth access token of the channel's owner. It ends after an hour: refresh_token is for watching.",
    ),
    Field::new(
        "refresh_token",
        Type::Secret,
        "OAuth refresh token of the channel's owner with the scope youtube.readonly; needs client_id and client_secret.",
    ),
    Field::new("client_id", Type::Text { max: 256 }, "Id of the OAuth client that refresh_token was made for."),
    Field::new("client_secret", Type::Secret, "Secret of that client."),
    Field::new(
        "idle",
        Type::Choice(&["fault", "allowed"]),
        "What a broadcast that is not live means: a fault, or nothing wrong (between events).",
    )
    .default("fault"),
];
static FIELDS: [Field; 11] = join_fields(&[&OWN_FIELDS, &TLS_FIELDS]);

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "youtube",
    schemes: &["http", "https"],
    summary: "YouTube broadcast: YouTube says that it is live and, to its owner, that it receives a healthy stream",
    example: "\
name: Sunday service on YouTube
url: https://www.youtube.com/watch?v=jfKfPfyJRdk
kind: youtube
interval: 30s
api_key: AIzaSy0123456789abcdef0123456789abcdef0
",
    media: true,
    holds: false,
    fields: &FIELDS,
    build: |target| Ok(Box::new(Youtube::new(target)?)),
    // The page of a video is a page until somebody gives a key.
    guess: |_| 0,
};

/// A target of this kind, ready to be looked at.
struct Youtube {
    place: Place,
    access: Access,
    tls: TlsOptions,
    depth: Depth,
    idle_allowed: bool,
    budget: Arc<Budget>,
    memory: Mutex<Memory>,
}

/// What the last looks learned.
#[derive(Clone, Default)]
struct Memory {
    channel: Option<Channel>,
    /// The video of the channel that was live.
    live: Option<String>,
}

#[derive(Clone)]
struct Channel {
    id: String,
    uploads: Option<String>,
}

/// One look under way.
struct Visit<'a, 'b> {
    at: &'a mut Attempt<'b>,
    reading: &'a mut Reading,
    /// What the answers must not be told with.
    secrets: Vec<Secret>,
}

impl Youtube {
    fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        let tls = TlsOptions::read(&options, &mut problems);
        let access = Access::read(&options, &mut problems);
        let place = Place::of(&target.address);
        if place.is_none() {
            let problem = Problem::new(None, "url", "the URL names no video and no channel of YouTube");
            let remedy = "write it as https://www.youtube.com/watch?v=ID or https://www.youtube.com/channel/UC...";
            problems.push(problem.with_remedy(remedy));
        }
        match (place, access) {
            (Some(place), Some(access)) if problems.is_empty() => Ok(Self {
                budget: Budget::of(&place.api, access.account()),
                place,
                access,
                tls,
                depth: target.depth,
                idle_allowed: options.text("idle").as_deref() == Some("allowed"),
                memory: Mutex::default(),
            }),
            _ => Err(problems),
        }
    }

    /// Units of quota that a look costs at most, once the channel is known: as owner the broadcast, its stream and its viewers;
    /// with a key the video, and of a channel that is not live its uploads and their state.
    fn cost(&self) -> u32 {
        match (self.access.is_owner(), &self.place.what) {
            (true, _) => 3,
            (false, What::Video(_)) => 1,
            (false, What::Channel(_) | What::Handle(_)) => 2,
        }
    }

    async fn look(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        let mut visit = Visit { at, reading, secrets: Vec::new() };
        let mut ended = self.examine(&mut visit).await;
        let secrets = std::mem::take(&mut visit.secrets);
        api::wash(&secrets, reading, &mut ended);
        ended
    }

    async fn examine(&self, visit: &mut Visit<'_, '_>) -> Result<(), Fault> {
        let found = if self.access.is_owner() { self.broadcast(visit).await? } else { self.video(visit).await? };
        visit.reading.proven = Some(Depth::Reach);
        let no_media = |words: String| Err(Fault::new(FaultKind::NoMedia, Phase::Check, words));
        let Some(told) = found else {
            visit.reading.proven = Some(self.depth.min(Depth::Describe));
            visit.reading.text(fact::EVENT_STATE, "none");
            let words = "the channel has no broadcast that is live";
            return if self.idle_allowed || self.depth != Depth::Media {
                self.rests(visit, words);
                Ok(())
            } else {
                no_media(words.to_owned())
            };
        };
        if let Some(title) = &told.title {
            visit.reading.text(fact::STREAM_TITLE, title.as_str());
        }
        visit.reading.text(fact::EVENT_STATE, told.word.as_str());
        if self.depth == Depth::Reach {
            return Ok(());
        }
        visit.reading.proven = Some(Depth::Describe);
        match told.meaning() {
            (Meaning::Off, words) if self.idle_allowed => {
                self.rests(visit, &words);
                return Ok(());
            }
            (Meaning::Off | Meaning::Broken, words) => return no_media(words),
            (Meaning::Live, _) => {}
        }
        let streams = self.stream(visit, &told).await;
        self.viewers(visit, &told).await?;
        streams?;
        let words = "that media flows is what YouTube says; no media was received here";
        visit.reading.find("media_by_report", Severity::Note, words);
        Ok(())
    }

    fn rests(&self, visit: &mut Visit<'_, '_>, words: &str) {
        visit.reading.find("idle", Severity::Note, format!("{words}, which is allowed"));
    }

    /// The broadcast, as its owner sees it; none when the channel has none on the air.
    async fn broadcast(&self, visit: &mut Visit<'_, '_>) -> Result<Option<Told>, Fault> {
        if let What::Video(id) = &self.place.what {
            let value = self.ask(visit, &self.place.broadcast(id)).await?;
            let none = || Fault::new(FaultKind::NotFound, Phase::Check, "the account has no broadcast with this id");
            let item = items(&value).first().ok_or_else(none)?;
            return Told::broadcast(item).map(Some).ok_or_else(|| wrong("the broadcast has no state"));
        }
        let channel = self.channel(visit).await?;
        let value = self.ask(visit, &self.place.broadcasts()).await?;
        let mut all = items(&value).iter().filter_map(Told::broadcast);
        Ok(all.find(|told| told.channel.as_ref() == Some(&channel.id)))
    }

    /// The video, as everybody sees it; none when the channel has none that is live.
    async fn video(&self, visit: &mut Visit<'_, '_>) -> Result<Option<Told>, Fault> {
        if let What::Video(id) = &self.place.what {
            let value = self.ask(visit, &self.place.videos(id)).await?;
            let none = || Fault::new(FaultKind::NotFound, Phase::Check, "there is no such video, or it is private");
            let item = items(&value).first().ok_or_else(none)?;
            return Told::video(item).map(Some).ok_or_else(|| wrong("the video does not say whether it is live"));
        }
        let known = self.memory.lock().unwrap_or_else(PoisonError::into_inner).live.clone();
        if let Some(id) = known {
            let value = self.ask(visit, &self.place.videos(&id)).await?;
            let told = items(&value).first().and_then(Told::video);
            if let Some(told) = told.filter(|told| told.meaning().0 == Meaning::Live) {
                return Ok(Some(told));
            }
        }
        let channel = self.channel(visit).await?;
        let Some(list) = &channel.uploads else { return Ok(None) };
        let value = self.ask(visit, &self.place.uploads(list)).await?;
        let details = items(&value).iter().filter_map(|item| told::id(item.get("contentDetails")?, "videoId"));
        let ids = details.collect::<Vec<_>>().join(",");
        let live = if ids.is_empty() {
            None
        } else {
            let value = self.ask(visit, &self.place.videos(&ids)).await?;
            items(&value).iter().filter_map(Told::video).find(|told| told.meaning().0 == Meaning::Live)
        };
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.live = live.as_ref().and_then(|told| told.id.clone());
        Ok(live)
    }

    /// The channel, asked for once.
    async fn channel(&self, visit: &mut Visit<'_, '_>) -> Result<Channel, Fault> {
        let known = self.memory.lock().unwrap_or_else(PoisonError::into_inner).channel.clone();
        if let Some(channel) = known {
            return Ok(channel);
        }
        let question = self.place.channel().unwrap_or_default();
        let value = self.ask(visit, &question).await?;
        let none = || Fault::new(FaultKind::NotFound, Phase::Check, "there is no such channel");
        let item = items(&value).first().ok_or_else(none)?;
        let uploads = item.pointer("/contentDetails/relatedPlaylists").and_then(|lists| told::id(lists, "uploads"));
        let id = told::id(item, "id").ok_or_else(|| wrong("the channel has no id"))?;
        let channel = Channel { id, uploads };
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).channel = Some(channel.clone());
        Ok(channel)
    }

    /// What YouTube receives, where the owner asks.
    async fn stream(&self, visit: &mut Visit<'_, '_>, told: &Told) -> Result<(), Fault> {
        let unknown = |visit: &mut Visit<'_, '_>, words: &str| {
            visit.reading.find("health_unknown", Severity::Note, words);
            Ok(())
        };
        if !self.access.is_owner() {
            return unknown(
                visit,
                "whether YouTube receives a stream is told to the owner alone: an API key does not show it",
            );
        }
        let Some(id) = &told.stream else {
            return unknown(visit, "the broadcast names no stream, so its health is not known");
        };
        let value = self.ask(visit, &self.place.stream(id)).await?;
        let now = visit.at.utc();
        match items(&value).first() {
            Some(item) => told::stream(item, now, visit.reading),
            None => unknown(visit, "YouTube does not tell of the broadcast's stream, so its health is not known"),
        }
    }

    /// How many watch.
    async fn viewers(&self, visit: &mut Visit<'_, '_>, told: &Told) -> Result<(), Fault> {
        let mut viewers = told.viewers;
        if let Some(id) = told.id.as_ref().filter(|_| self.access.is_owner()) {
            let value = self.ask(visit, &self.place.videos(id)).await?;
            viewers = items(&value).first().and_then(Told::video).and_then(|told| told.viewers);
        }
        if let Some(viewers) = viewers.and_then(|n| i64::try_from(n).ok()) {
            visit.reading.int(fact::VIEWERS, viewers);
        }
        Ok(())
    }

    /// Asks one question and reads a refusal.
    async fn ask(&self, visit: &mut Visit<'_, '_>, question: &str) -> Result<Value, Fault> {
        if let Some((left, why)) = self.budget.resting() {
            return Err(Budget::fault(left, &why));
        }
        let (header, secret) = self.access.header(visit.at, &self.place.tokens, &self.tls, visit.reading).await?;
        visit.secrets.push(secret);
        let address = self.place.api.join(&format!("/youtube/v3/{question}"));
        let address = address.map_err(|words| Fault::new(FaultKind::Internal, Phase::FirstByte, words))?;
        let headers = [header];
        let ask = Ask {
            method: Method::GET,
            address: &address,
            headers: &headers,
            body: None,
            tls: &self.tls,
            redirects: 0,
            // A refusal is told in the API's words.
            accepts: &|status| status == 401,
        };
        let answer = api::ask(visit.at, &ask, visit.reading).await?;
        self.budget.read(&answer, visit.at.utc());
        let (status, Some(fault)) = (answer.status, answer.fault) else {
            return match answer.value.unwrap_or_default() {
                value @ Value::Object(_) => Ok(value),
                _ => Err(wrong("the answer is not one of the API")),
            };
        };
        if status == 401 {
            self.access.forget();
        }
        let (pause, why) = match refusal(status, fault, answer.value.as_ref()) {
            Refusal::Fault(fault) => return Err(fault),
            Refusal::Quota => (QUOTA_PAUSE, "the quota of the Google project is used up until midnight in California"),
            Refusal::Rate => (RATE_PAUSE, "YouTube refuses more questions within this minute"),
        };
        if self.budget.resting().is_none() {
            self.budget.rest(pause, why);
        }
        let (left, why) = self.budget.resting().unwrap_or((pause, why.to_owned()));
        Err(Budget::fault(left, &why))
    }
}

fn wrong(words: &str) -> Fault {
    Fault::protocol(Phase::Check, words)
}

impl Probe for Youtube {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.look(at, reading))
    }

    fn warnings(&self, target: &Target) -> Vec<Problem> {
        let cost = f64::from(self.cost());
        let units = DAY_S / target.interval.as_secs_f64() * cost;
        if units <= DAILY_UNITS {
            return Vec::new();
        }
        let needed = Duration::from_secs((DAY_S * cost / DAILY_UNITS).ceil() as u64);
        let message = format!(
            "this costs {units:.0} units of YouTube's quota a day ({cost} a look); a project has {DAILY_UNITS:.0} unless it was granted more"
        );
        let remedy = format!("make the interval at least {}", words::duration_text(needed));
        vec![Problem::new(None, "interval", message).with_remedy(remedy)]
    }
}
