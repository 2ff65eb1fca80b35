//! The state of the engine and the snapshot made of it. Owns the data; every change to it is in [`crate::step`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use model::board::{Beat, Board, Health, TargetNow};
use model::event::{Event, Part, What};
use model::incident::Incident;
use model::live::{Doing, SessionNow};
use model::observation::Observation;
use model::status::StatusState;
use model::tally::{Counts, Tally};
use model::target::{Target, TargetId, Watch};
use model::time::{Mono, UtcMs};
use model::verdict::Verdict;
use store::Write;

use crate::cadence::Punctuality;
use crate::held::Held;
use crate::input::{Effect, Kept, LookId, Now, Ticket};
use crate::permits::{HostKey, Lane, Permits, Place};
use crate::step::media::Shape;

/// What a target is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// Nothing; its timer names the next look or session, unless it is not watched.
    Idle,
    /// Wants to look and waits for a permit.
    Waiting(Place),
    /// Wants to look; a cancelled look of the same target has not come back yet.
    Blocked,
    /// A look is under way, or a session is being opened.
    Looking(LookId),
    /// Media flows in a session; its timer names the next judgement.
    Holding(LookId),
    /// Between two attempts of a round; its timer names the next one.
    Resting,
}

/// What wakes the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A target wants to look: its round begins, or its next attempt; or its session is to be judged.
    Slot(usize),
    /// A look that should have been answered.
    Hangs(LookId),
    /// A part is believed well again.
    Well(Part),
}

/// One target.
pub(crate) struct Entry {
    pub(crate) spec: Arc<Target>,
    pub(crate) host: HostKey,
    pub(crate) state: StatusState,
    pub(crate) paused: bool,
    pub(crate) last: Option<(Arc<Observation>, Arc<Verdict>)>,
    pub(crate) beats: Arc<[Beat]>,
    pub(crate) incident: Option<Incident>,
    /// Beginning of the newest incident: the next one must begin later, also when the wall clock was set back.
    pub(crate) last_opened: UtcMs,
    /// What was counted of it.
    pub(crate) counts: Counts,
    /// Codec, size and tracks of the newest passing look.
    pub(crate) shape: Option<Shape>,
    pub(crate) run: Run,
    /// Key of this target in the timers.
    pub(crate) timer: Option<Mono>,
    /// When the round under way was due; `None` when somebody asked for it.
    pub(crate) due: Option<Mono>,
    /// When its first look was due. That one is not on the grid; the next one is at the grid's next point, however near, so that
    /// who fails right after its first look is not found later than others.
    pub(crate) first: Mono,
    /// Attempt of the round under way, from 1.
    pub(crate) attempt: u32,
    /// The newest attempt ran into its deadline.
    pub(crate) hangs: bool,
    /// Who waits for the result of the round under way.
    pub(crate) askers: Vec<Ticket>,
    /// What is remembered of its session, of a target that is watched continuously.
    pub(crate) held: Held,
    /// Number of its newest change other than in live values.
    pub(crate) revision: u64,
    /// The entry as on the Board; `None` when it has to be made again.
    pub(crate) shown: Option<Arc<TargetNow>>,
}

impl Entry {
    /// Whether it is to be looked at by the cadence.
    pub(crate) fn watched(&self) -> bool {
        self.spec.enabled && !self.paused
    }

    /// Whether it is to be watched by a session. A look at one that is paused is a look.
    pub(crate) fn holds(&self) -> bool {
        self.spec.watch == Watch::Continuous && self.watched()
    }

    fn show(&self, now: Now) -> Arc<TargetNow> {
        let due = self.timer.filter(|_| matches!(self.run, Run::Idle | Run::Resting | Run::Holding(_)));
        let next_due = due.map(|at| now.utc.plus(at.0.saturating_sub(now.mono.0)));
        Arc::new(TargetNow {
            spec: Arc::clone(&self.spec),
            state: self.state.clone(),
            paused: self.paused,
            last: self.last.as_ref().map(|(o, _)| Arc::clone(o)),
            verdict: self.last.as_ref().map(|(_, v)| Arc::clone(v)),
            beats: Arc::clone(&self.beats),
            incident: self.incident.clone(),
            next_due,
            session: self.session(next_due),
            counts: self.counts,
            revision: self.revision,
        })
    }

    /// The session as it is now; `until` is when the next one is opened, where there is none.
    fn session(&self, until: Option<UtcMs>) -> Option<SessionNow> {
        let doing = match self.run {
            _ if !self.holds() => return None,
            Run::Holding(_) => Doing::Live,
            Run::Looking(_) | Run::Waiting(_) | Run::Blocked => Doing::Connecting,
            Run::Idle | Run::Resting => Doing::Waiting { until: until? },
        };
        Some(SessionNow {
            doing,
            since: self.held.since,
            believed_at: self.held.believed_at(),
            reconnects: self.held.reconnects(),
            live: self.held.live.clone(),
            seconds: self.held.seconds.iter().copied().collect(),
        })
    }
}

/// A look under way, or a session.
pub(crate) struct UnderWay {
    pub(crate) target: TargetId,
    pub(crate) host: HostKey,
    /// The permit that it holds; a session in which media flows holds none.
    pub(crate) lane: Option<Lane>,
    /// It is a session.
    pub(crate) session: bool,
    /// Its result is wanted. False once it was cancelled.
    pub(crate) wanted: bool,
    /// Key in the timers while it may still be found to hang.
    pub(crate) hangs_at: Option<Mono>,
}

/// Everything the engine knows. One owner; [`crate::step::step`] is the only way to change it.
pub struct State {
    pub(crate) entries: Vec<Option<Entry>>,
    pub(crate) free: Vec<usize>,
    pub(crate) by_id: HashMap<TargetId, usize>,
    /// Slots in the order of the configuration.
    pub(crate) order: Vec<usize>,
    pub(crate) timers: BTreeSet<(Mono, Timer)>,
    pub(crate) permits: Permits,
    pub(crate) looks: HashMap<LookId, UnderWay>,
    /// The look under way of each target, wanted or not: at most one.
    pub(crate) busy: HashMap<TargetId, LookId>,
    pub(crate) last_look: u64,
    /// Targets known from before that the configuration has not claimed yet.
    pub(crate) kept: BTreeMap<TargetId, Kept>,
    pub(crate) health: Health,
    /// Parts that are believed well at a time, with their key in the timers.
    pub(crate) well_at: BTreeMap<Part, Mono>,
    pub(crate) lost_rows: u64,
    pub(crate) clocks: Now,
    pub(crate) started_at: UtcMs,
    pub(crate) hash: String,
    pub(crate) timezone: String,
    /// Targets in planned work.
    pub(crate) planned: Arc<BTreeSet<TargetId>>,
    pub(crate) stopping: bool,
    pub(crate) punctuality: Punctuality,
    /// What was counted; shared with the Board made last, and copied when it changes after that.
    pub(crate) tally: Arc<Tally>,
    pub(crate) out: Vec<Effect>,
    version: u64,
    revision: u64,
    dirty: bool,
    /// Live values differ from those on the Board.
    lives: bool,
    shown: Arc<[Arc<TargetNow>]>,
    index: Arc<BTreeMap<TargetId, usize>>,
    reordered: bool,
}

impl State {
    /// Nothing is watched yet. `kept` is what is known from before.
    #[must_use]
    pub fn new(now: Now, started_at: UtcMs, kept: BTreeMap<TargetId, Kept>) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            order: Vec::new(),
            timers: BTreeSet::new(),
            permits: Permits::new(model::limits::PROBES_AT_ONCE, model::limits::PROBES_AT_ONCE_PER_HOST),
            looks: HashMap::new(),
            busy: HashMap::new(),
            last_look: 0,
            kept,
            health: Health::default(),
            well_at: BTreeMap::new(),
            lost_rows: 0,
            clocks: now,
            started_at,
            hash: String::new(),
            timezone: "UTC".to_owned(),
            planned: Arc::default(),
            stopping: false,
            punctuality: Punctuality::default(),
            tally: Arc::default(),
            out: Vec::new(),
            version: 0,
            revision: 0,
            dirty: true,
            lives: false,
            shown: Arc::from([]),
            index: Arc::default(),
            reordered: false,
        }
    }

    /// Takes the place of a state that published `board` last: numbers of looks and boards are not used twice, and the
    /// configuration in effect is not told again.
    pub fn continue_from(&mut self, last_look: LookId, board: &Board) {
        self.last_look = self.last_look.max(last_look.0);
        self.version = self.version.max(board.version);
        let newest = board.targets.iter().map(|t| t.revision).max();
        self.revision = self.revision.max(newest.unwrap_or_default());
        self.hash.clone_from(&board.config_hash);
        self.tally = Arc::clone(&board.tally);
    }

    /// The number of the newest look.
    #[must_use]
    pub fn last_look(&self) -> LookId {
        LookId(self.last_look)
    }

    /// When the next [`crate::input::Input::Tick`] has something to do.
    #[must_use]
    pub fn next_wake(&self) -> Option<Mono> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Whether the Board differs from the one made last in more than live values.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether live values differ from those on the Board made last.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.lives
    }

    /// Looks under way, cancelled ones included.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.looks.len()
    }

    /// How punctual the looks are.
    #[must_use]
    pub fn punctuality(&self) -> &Punctuality {
        &self.punctuality
    }

    /// The snapshot of now. Costs one pointer per target and one new entry per target that changed.
    pub fn board(&mut self, now: Now) -> Arc<Board> {
        let mut shown: Vec<Arc<TargetNow>> = Vec::with_capacity(self.order.len());
        for slot in &self.order {
            if let Some(entry) = self.entries.get_mut(*slot).and_then(Option::as_mut) {
                let made = entry.shown.take().unwrap_or_else(|| entry.show(now));
                shown.push(Arc::clone(entry.shown.insert(made)));
            }
        }
        if self.reordered {
            let index = shown.iter().enumerate().map(|(i, t)| (t.spec.id.clone(), i)).collect();
            self.index = Arc::new(index);
            self.reordered = false;
        }
        self.shown = shown.into();
        (self.dirty, self.lives) = (false, false);
        self.version += 1;
        Arc::new(Board {
            at: now.utc,
            started_at: self.started_at,
            version: self.version,
            targets: Arc::clone(&self.shown),
            index: Arc::clone(&self.index),
            health: self.health.clone(),
            tally: Arc::clone(&self.tally),
            config_hash: self.hash.clone(),
            timezone: self.timezone.clone(),
        })
    }

    /// Panics unless everything fits together. For tests: to be called between steps.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        self.permits.check();
        assert_eq!(self.permits.in_use(), self.looks.values().filter(|l| l.lane.is_some()).count());
        assert_eq!(self.busy.len(), self.looks.len());
        assert_eq!(self.order.len(), self.by_id.len());
        let slots = self.timers.iter().filter(|(_, t)| matches!(t, Timer::Slot(_))).count();
        assert_eq!(slots, self.entries.iter().flatten().filter(|e| e.timer.is_some()).count());
        for entry in self.entries.iter().flatten() {
            let id = &entry.spec.id;
            let fits = match entry.run {
                Run::Idle => entry.timer.is_some() == (entry.watched() && !self.stopping) && entry.askers.is_empty(),
                Run::Waiting(_) => entry.timer.is_none() && !self.busy.contains_key(id),
                Run::Blocked => entry.timer.is_none() && self.busy.get(id).is_some_and(|l| !self.looks[l].wanted),
                Run::Looking(look) => {
                    entry.timer.is_none() && self.busy.get(id) == Some(&look) && self.looks[&look].wanted
                }
                Run::Holding(look) => {
                    let under_way = &self.looks[&look];
                    let held = under_way.session && under_way.wanted && under_way.lane.is_none();
                    held && self.busy.get(id) == Some(&look) && entry.timer.is_some() && entry.holds()
                }
                Run::Resting => entry.timer.is_some(),
            };
            assert!(fits, "{id}: {:?} with timer {:?}", entry.run, entry.timer);
            assert_eq!(entry.held.live.is_some(), matches!(entry.run, Run::Holding(_)), "{id}: {:?}", entry.run);
            assert!(entry.shown.as_ref().is_none_or(|s| s.spec == entry.spec && s.state == entry.state), "{id}: stale");
        }
    }

    pub(crate) fn entry(&mut self, slot: usize) -> Option<&mut Entry> {
        self.entries.get_mut(slot).and_then(Option::as_mut)
    }

    /// Marks a target for the next Board.
    pub(crate) fn touch(&mut self, slot: usize) {
        self.dirty = true;
        self.revision += 1;
        let revision = self.revision;
        if let Some(entry) = self.entry(slot) {
            (entry.shown, entry.revision) = (None, revision);
        }
    }

    /// Marks the live values of a target for a Board soon.
    pub(crate) fn lives(&mut self, slot: usize) {
        self.lives = true;
        if let Some(entry) = self.entry(slot) {
            entry.shown = None;
        }
    }

    /// Marks what is not a target (health, hash) for the next Board.
    pub(crate) fn touch_all(&mut self) {
        self.dirty = true;
    }

    /// The list of targets is another one.
    pub(crate) fn reorder(&mut self, order: Vec<usize>) {
        self.order = order;
        self.reordered = true;
        self.dirty = true;
    }

    pub(crate) fn emit(&mut self, at: UtcMs, what: What) {
        self.out.push(Effect::Emit(Arc::new(Event { at, what })));
    }

    pub(crate) fn write(&mut self, write: Write) {
        self.out.push(Effect::Store(write));
    }

    /// Sets or clears the timer of a target.
    pub(crate) fn set_timer(&mut self, slot: usize, at: Option<Mono>) {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        if let Some(old) = std::mem::replace(&mut entry.timer, at) {
            self.timers.remove(&(old, Timer::Slot(slot)));
        }
        if let Some(at) = at {
            self.timers.insert((at, Timer::Slot(slot)));
        }
    }
}

/// Host and port of a target, as the key of its permits.
pub(crate) fn host_key(target: &Target) -> HostKey {
    let port = target.address.port().map_or(String::new(), |p| p.to_string());
    Arc::from(format!("{}:{port}", target.address.host()))
}

/// Kind and redacted address: what recognises a target when its id changes. Holds no secret.
#[must_use]
pub fn fingerprint(target: &Target) -> String {
    format!("{} {}", target.kind, target.address)
}

/// After how long without an end a look is taken to hang: a quarter of its deadline, at least a second. Answers usually
/// take milliseconds; a hanging look gives its quick permit up long before its deadline.
pub(crate) fn hangs_after(target: &Target) -> Duration {
    (target.timeout / 4).max(Duration::from_secs(1))
}
