//! What is to be said next, and what was said. Owns the line of streams that changed, the events that wait, and what must be
//! taken back; makes each document when its turn comes, so that the newest state wins and memory is bounded. Pure: the caller
//! brings Board, events and time, and sends what it is given.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use model::board::{Board, TargetNow};
use model::event::Event;
use model::limits::MAX_TARGETS;
use model::target::TargetId;
use model::time::Mono;
use tokio::sync::oneshot;
use wire::mqtt::Qos;

use super::discovery;
use super::documents::{self, Index};
use super::settings::Settings;
use crate::channel::Failure;

/// A state is said anew after this time also when it is the same, so that who reads it knows that it still holds.
pub(super) const REFRESH: Duration = Duration::from_secs(60);
/// Events that wait while the broker is away: the last minutes of a bad day. The oldest give way.
const EVENTS_KEPT: usize = 1000;

/// Makes the status as a whole from a Board.
pub type StatusJson = Arc<dyn Fn(&Board) -> Vec<u8> + Send + Sync>;

/// A message to send.
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: Qos,
    pub(super) retain: bool,
    pub(super) what: Sort,
}

/// What a message is, for when it does not arrive.
pub(super) enum Sort {
    /// Made anew after the next connection.
    Again,
    /// An event: it goes back to the front of those that wait.
    Event,
    /// An alert: somebody waits for the outcome.
    Alert(oneshot::Sender<Result<(), Failure>>),
}

struct Slot {
    now: Arc<TargetNow>,
    in_line: bool,
    announce: bool,
    /// Whether it is said also when it is the same.
    force: bool,
    said: Option<u64>,
    said_at: Mono,
}

/// See the module.
pub(super) struct Desk {
    settings: Arc<Settings>,
    status: StatusJson,
    board: Arc<Board>,
    slots: HashMap<TargetId, Slot>,
    /// Streams of which something is to be said, each once.
    line: VecDeque<TargetId>,
    /// Announcements of the stream whose turn it is.
    announcing: VecDeque<(String, Vec<u8>)>,
    /// Topics to empty.
    clears: VecDeque<String>,
    events: VecDeque<Vec<u8>>,
    /// Streams that are gone and whose topics were not emptied yet.
    gone: BTreeSet<String>,
    status_due: bool,
    index_due: bool,
    /// Whether the index that the broker keeps is still awaited.
    holding: bool,
    /// What gave way to something newer since it was last asked for.
    dropped: u64,
}

impl Desk {
    /// A desk for one broker. Nothing was said yet.
    pub(super) fn new(settings: Arc<Settings>, status: StatusJson, board: Arc<Board>) -> Self {
        let slots = board.targets.iter().map(|now| (now.spec.id.clone(), slot(now))).collect();
        Self {
            settings,
            status,
            board,
            slots,
            line: VecDeque::new(),
            announcing: VecDeque::new(),
            clears: VecDeque::new(),
            events: VecDeque::new(),
            gone: BTreeSet::new(),
            status_due: false,
            index_due: false,
            holding: true,
            dropped: 0,
        }
    }

    /// The settings.
    pub(super) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// A new connection: the broker may have forgotten everything, so everything is said again once the index is read.
    pub(super) fn renew(&mut self) {
        self.announcing.clear();
        self.line.clear();
        for target in self.board.targets.iter() {
            let Some(slot) = self.slots.get_mut(&target.spec.id) else { continue };
            (slot.in_line, slot.announce, slot.force) = (true, true, true);
            self.line.push_back(target.spec.id.clone());
        }
        (self.status_due, self.index_due, self.holding) = (true, true, true);
    }

    /// What the broker keeps as our index, or nothing: what is in it and not on the Board is taken back.
    pub(super) fn index(&mut self, known: &Index) {
        self.holding = false;
        let present: BTreeSet<&str> = self.board.targets.iter().map(|now| now.spec.id.as_str()).collect();
        // Others may write to the broker: what they name is bounded.
        for id in known.streams.iter().take(MAX_TARGETS) {
            let id = TargetId::parse(id).ok();
            let Some(id) = id else { continue };
            let here = present.contains(id.as_str());
            if !here {
                self.clears.push_back(self.settings.stream_topic(&id));
                self.gone.insert(id.to_string());
            }
            let old = known.discovery.as_ref().filter(|old| !here || Some(*old) != self.settings.discovery.as_ref());
            if let Some(prefix) = old.filter(|prefix| is_prefix(prefix)) {
                self.clears.extend(discovery::topics(&self.settings.base, prefix, id.as_str()));
            }
        }
    }

    /// A newer Board.
    pub(super) fn update(&mut self, board: Arc<Board>) {
        let before = std::mem::replace(&mut self.board, board);
        let board = Arc::clone(&self.board);
        if Arc::ptr_eq(&before.index, &board.index) && before.targets.len() == board.targets.len() {
            for (old, new) in before.targets.iter().zip(board.targets.iter()) {
                if !Arc::ptr_eq(old, new) {
                    self.changed(new);
                }
            }
            return;
        }
        for target in board.targets.iter() {
            if self.slots.contains_key(&target.spec.id) {
                self.changed(target);
            } else {
                self.slots.insert(target.spec.id.clone(), slot(target));
                self.enter(&target.spec.id, true);
                self.index_due = true;
            }
        }
        let gone: Vec<TargetId> = self.slots.keys().filter(|id| board.get(id).is_none()).cloned().collect();
        for id in gone {
            self.slots.remove(&id);
            self.clears.push_back(self.settings.stream_topic(&id));
            if let Some(prefix) = &self.settings.discovery {
                self.clears.extend(discovery::topics(&self.settings.base, prefix, id.as_str()));
            }
            self.gone.insert(id.to_string());
            self.index_due = true;
        }
    }

    fn changed(&mut self, now: &Arc<TargetNow>) {
        let Some(slot) = self.slots.get_mut(&now.spec.id) else { return };
        let (old, new) = (&slot.now.spec, &now.spec);
        let renamed = !Arc::ptr_eq(old, new) && (&old.name, old.kind) != (&new.name, new.kind);
        let differs = slot.now.revision != now.revision || slot.now.state != now.state || !Arc::ptr_eq(old, new);
        slot.now = Arc::clone(now);
        if differs {
            self.enter(&now.spec.id, renamed);
        }
    }

    fn enter(&mut self, id: &TargetId, announce: bool) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        slot.announce |= announce;
        if slot.in_line {
            self.dropped += 1;
        } else {
            slot.in_line = true;
            self.line.push_back(id.clone());
        }
    }

    /// Something happened.
    pub(super) fn event(&mut self, event: &Event) {
        let Some(payload) = documents::event_json(event, &self.board) else { return };
        if self.events.len() >= EVENTS_KEPT {
            self.events.pop_front();
            self.dropped += 1;
        }
        self.events.push_back(payload);
    }

    /// Events that were missed, because more came than could be noted.
    pub(super) fn missed(&mut self, events: u64) {
        self.dropped += events;
    }

    /// Time passed: what was not said for a while is said again.
    pub(super) fn refresh(&mut self, now: Mono) {
        for (id, slot) in &mut self.slots {
            let old = slot.said.is_some() && now.0.saturating_sub(slot.said_at.0) >= REFRESH;
            if old && !slot.in_line {
                (slot.in_line, slot.force) = (true, true);
                self.line.push_back(id.clone());
            }
        }
    }

    /// The status as a whole is due.
    pub(super) fn status_is_due(&mut self) {
        self.status_due = true;
    }

    /// A message that did not arrive comes back. States are made anew after the next connection.
    pub(super) fn take_back(&mut self, payload: Vec<u8>) {
        if self.events.len() >= EVENTS_KEPT {
            self.dropped += 1;
        } else {
            self.events.push_front(payload);
        }
    }

    /// How many messages wait.
    pub(super) fn waiting(&self) -> usize {
        self.line.len() + self.announcing.len() + self.clears.len() + self.events.len()
    }

    /// What gave way to something newer since the last call.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// The next message, if there is one. What is made here is sent or comes back by [`Desk::take_back`].
    pub(super) fn next(&mut self, now: Mono) -> Option<Message> {
        if self.status_due {
            self.status_due = false;
            let payload = (self.status)(&self.board);
            let (topic, retain) = (self.settings.topic.clone(), self.settings.retain);
            return Some(Message { topic, payload, qos: self.settings.qos, retain, what: Sort::Again });
        }
        if let Some(payload) = self.events.pop_front() {
            let topic = self.settings.below("events");
            return Some(Message { topic, payload, qos: self.settings.qos, retain: false, what: Sort::Event });
        }
        if self.holding {
            return None;
        }
        // The index names at any time at least what is published: it is written before anything is, and what is gone
        // leaves it after its topics were emptied.
        if self.index_due {
            self.index_due = false;
            return Some(self.upkeep(self.settings.below("index"), self.index_now().json()));
        }
        if let Some(topic) = self.clears.pop_front() {
            if self.clears.is_empty() {
                self.gone.clear();
                self.index_due = true;
            }
            return Some(self.upkeep(topic, Vec::new()));
        }
        if let Some((topic, payload)) = self.announcing.pop_front() {
            return Some(self.upkeep(topic, payload));
        }
        self.of_line(now)
    }

    fn of_line(&mut self, now: Mono) -> Option<Message> {
        while let Some(id) = self.line.front() {
            // Streams that are gone leave the line when their turn comes.
            let Some(slot) = self.slots.get_mut(id) else {
                self.line.pop_front();
                continue;
            };
            if std::mem::take(&mut slot.announce)
                && let Some(prefix) = &self.settings.discovery
            {
                self.announcing.extend(discovery::messages(&self.settings, prefix, &slot.now.spec));
                let (topic, payload) = self.announcing.pop_front()?;
                return Some(self.upkeep(topic, payload));
            }
            slot.in_line = false;
            let topic = self.settings.stream_topic(id);
            self.line.pop_front();
            let payload = documents::stream_json(&slot.now);
            let said = hash(&payload);
            if slot.said == Some(said) && !slot.force {
                continue;
            }
            (slot.said, slot.said_at, slot.force) = (Some(said), now, false);
            return Some(Message { topic, payload, qos: self.settings.qos, retain: true, what: Sort::Again });
        }
        None
    }

    /// A retained message that must arrive: nobody says it again for a long time.
    fn upkeep(&self, topic: String, payload: Vec<u8>) -> Message {
        Message { topic, payload, qos: Qos::AtLeastOnce.max(self.settings.qos), retain: true, what: Sort::Again }
    }

    fn index_now(&self) -> Index {
        let present = self.board.targets.iter().map(|now| now.spec.id.to_string());
        let gone = self.gone.iter().filter(|id| TargetId::parse(id).is_ok_and(|id| self.board.get(&id).is_none()));
        Index { streams: present.chain(gone.cloned()).collect(), discovery: self.settings.discovery.clone() }
    }
}

fn slot(now: &Arc<TargetNow>) -> Slot {
    Slot { now: Arc::clone(now), in_line: false, announce: false, force: false, said: None, said_at: Mono::default() }
}

fn hash(payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    payload.hash(&mut hasher);
    hasher.finish()
}

/// Whether a text of the index can be the prefix of topics: others may write to the broker.
fn is_prefix(text: &str) -> bool {
    !text.is_empty() && text.len() <= 200 && !text.contains(['+', '#', '\0'])
}
