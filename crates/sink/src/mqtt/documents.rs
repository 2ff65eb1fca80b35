//! What is published, as JSON: one stream, an event, an alert, the index. The forms are a promise to whoever reads them and
//! stand in the guide; fields are added, never changed. Owns no topic and no connection.

use model::alert::{Notification, Subject};
use model::board::{Board, TargetNow};
use model::event::{Event, What};
use model::incident::Incident;
use model::observation::Observation;
use model::reading::{FactValue, Track, fact};
use model::target::TargetId;
use model::time::UtcMs;
use serde::{Deserialize, Serialize};

/// A time as RFC 3339 in UTC.
pub(super) fn time(at: UtcMs) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| String::new(), |t| t.to_string())
}

/// A document as bytes.
fn bytes(document: &impl Serialize) -> Vec<u8> {
    // Maps with keys that are no text are the one thing that fails, and there are none.
    serde_json::to_vec(document).unwrap_or_default()
}

#[derive(Serialize)]
struct StreamDoc<'a> {
    id: &'a str,
    name: &'a str,
    kind: &'a str,
    group: Option<&'a str>,
    status: &'static str,
    reason: String,
    since: String,
    connected: Option<bool>,
    problem: Option<bool>,
    latency_ms: Option<u64>,
    bitrate_kbps: Option<f64>,
    tracks: Vec<TrackDoc<'a>>,
}

#[derive(Serialize)]
struct TrackDoc<'a> {
    media: &'static str,
    codec: &'a str,
    profile: Option<&'a str>,
    width: Option<u32>,
    height: Option<u32>,
    fps: Option<f64>,
    sample_rate_hz: Option<u32>,
    channels: Option<u32>,
    proven: bool,
}

impl<'a> TrackDoc<'a> {
    fn new(track: &'a Track) -> Self {
        Self {
            media: track.media.as_str(),
            codec: &track.codec,
            profile: track.profile.as_deref(),
            width: track.width,
            height: track.height,
            fps: track.fps,
            sample_rate_hz: track.sample_rate_hz,
            channels: track.channels,
            proven: track.proven,
        }
    }
}

/// Facts that tell a bit rate, the best first; in bits per second.
const BITRATES: [&str; 4] =
    [fact::MEASURED_BITRATE_BPS, fact::SEGMENT_BITRATE_BPS, fact::SOUND_BITRATE_BPS, fact::ENCODER_BITRATE_BPS];

/// Bit rate in kbit/s with one decimal.
fn bitrate(seen: &Observation) -> Option<f64> {
    let facts = &seen.look.reading.facts;
    let bps = BITRATES.iter().find_map(|key| match facts.get(key)? {
        #[allow(clippy::cast_precision_loss)] // no stream has 2^53 bits per second
        FactValue::Int(bps) => Some(*bps as f64),
        FactValue::Num(bps) => Some(*bps),
        _ => None,
    })?;
    bps.is_finite().then(|| (bps / 100.0).round() / 10.0)
}

/// One stream now. The look's figures are left out while it fails: they would be those of the failure.
pub(super) fn stream_json(now: &TargetNow) -> Vec<u8> {
    let (spec, state) = (&now.spec, &now.state);
    let counts = state.status.counts_as();
    let good = now.last.as_deref().filter(|last| last.look.fault.is_none() && counts == Some(true));
    bytes(&StreamDoc {
        id: spec.id.as_str(),
        name: &spec.name,
        kind: spec.kind,
        group: spec.group.as_deref(),
        status: state.status.as_str(),
        reason: spec.address.redact(&state.reason),
        since: time(state.since),
        connected: counts,
        problem: counts.map(|_| state.status.is_trouble()),
        latency_ms: good.and_then(|seen| u64::try_from(seen.took.as_millis()).ok()),
        bitrate_kbps: good.and_then(bitrate),
        tracks: good.map(|seen| seen.look.reading.tracks.iter().map(TrackDoc::new).collect()).unwrap_or_default(),
    })
}

#[derive(Serialize)]
struct EventDoc<'a> {
    at: String,
    event: &'static str,
    stream: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worst: Option<&'static str>,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<String>,
}

/// An event, of those that are published: changes of status and incidents.
pub(super) fn event_json(event: &Event, board: &Board) -> Option<Vec<u8>> {
    let incident = |name, incident: &Incident| Some(of_incident(event.at, name, incident, board));
    match &event.what {
        What::StatusChanged(id, change) => {
            let told = Told::of(id, board);
            Some(bytes(&EventDoc {
                at: time(change.at),
                event: "status_changed",
                stream: id.as_str(),
                name: told.name,
                from: Some(change.from.as_str()),
                to: Some(change.to.as_str()),
                worst: None,
                reason: told.redact(&change.reason),
                opened_at: None,
                closed_at: None,
            }))
        }
        What::IncidentOpened(i) => incident("incident_opened", i),
        What::IncidentChanged(i) => incident("incident_changed", i),
        What::IncidentClosed(i) => incident("incident_closed", i),
        _ => None,
    }
}

fn of_incident(at: UtcMs, event: &'static str, incident: &Incident, board: &Board) -> Vec<u8> {
    let told = Told::of(&incident.target, board);
    bytes(&EventDoc {
        at: time(at),
        event,
        stream: incident.target.as_str(),
        name: told.name,
        from: None,
        to: None,
        worst: Some(incident.worst.as_str()),
        reason: told.redact(&incident.cause),
        opened_at: Some(time(incident.opened_at)),
        closed_at: incident.closed_at.map(time),
    })
}

/// What the Board knows of a stream that an event tells of; it may be gone by now.
struct Told<'a> {
    name: &'a str,
    spec: Option<&'a model::target::Target>,
}

impl<'a> Told<'a> {
    fn of(id: &'a TargetId, board: &'a Board) -> Self {
        let spec = board.get(id).map(|now| &*now.spec);
        Self { name: spec.map_or(id.as_str(), |spec| &spec.name), spec }
    }

    fn redact(&self, text: &str) -> String {
        self.spec.map_or_else(|| text.to_owned(), |spec| spec.address.redact(text))
    }
}

#[derive(Serialize)]
struct SubjectDoc<'a> {
    stream: &'a str,
    name: &'a str,
    group: Option<&'a str>,
    status: &'static str,
    since: String,
    reason: &'a str,
}

impl<'a> SubjectDoc<'a> {
    fn new(subject: &'a Subject) -> Self {
        Self {
            stream: subject.id.as_str(),
            name: &subject.name,
            group: subject.group.as_deref(),
            status: subject.status.as_str(),
            since: time(subject.since),
            reason: &subject.reason,
        }
    }
}

#[derive(Serialize)]
struct AlertDoc<'a> {
    key: &'a str,
    alert: &'a str,
    at: String,
    began_at: String,
    stage: &'static str,
    severity: &'static str,
    rule: &'a str,
    title: &'a str,
    text: &'a str,
    subjects: Vec<SubjectDoc<'a>>,
    explains: Vec<SubjectDoc<'a>>,
    more: usize,
    url: Option<String>,
    note: Option<&'a str>,
}

/// One notification. `base_url` is the address of the dashboard, where one is configured.
#[must_use]
pub fn alert_json(notification: &Notification, base_url: Option<&str>) -> Vec<u8> {
    let n = notification;
    let url = base_url.filter(|_| !n.path.is_empty()).map(|base| format!("{}{}", base.trim_end_matches('/'), n.path));
    bytes(&AlertDoc {
        key: &n.key,
        alert: &n.alert,
        at: time(n.at),
        began_at: time(n.began_at),
        stage: n.stage.as_str(),
        severity: n.severity.as_str(),
        rule: &n.rule,
        title: &n.title,
        text: &n.text,
        subjects: n.subjects.iter().map(SubjectDoc::new).collect(),
        explains: n.explains.iter().map(SubjectDoc::new).collect(),
        more: n.more,
        url,
        note: n.note.as_deref(),
    })
}

/// What is published for which streams: read back after a restart, so that what belongs to streams that are gone by then can
/// be taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    /// Streams with a topic of their own.
    pub(super) streams: Vec<String>,
    /// Prefix under which they are announced to Home Assistant; `None` when they are not.
    pub(super) discovery: Option<String>,
}

impl Index {
    /// As a document.
    pub(super) fn json(&self) -> Vec<u8> {
        bytes(self)
    }

    /// From a document; what is none says nothing.
    pub(super) fn parse(payload: &[u8]) -> Self {
        serde_json::from_slice(payload).unwrap_or_default()
    }
}
