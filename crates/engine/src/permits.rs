//! Who may look now: a bound for the whole process and one per host and port, and a queue in order of asking where a bound
//! is reached. Owns no timing and knows no targets, only their slots.
//!
//! Each host has two lanes. Looks at peers that answer go through the quick lane, whose bound is the configured one: cameras
//! allow few sessions. Looks that hang (a black hole holds its permit until the deadline) are moved to the slow lane, with a
//! wider bound of its own. Without it, four black holes would keep every other target of that host waiting, and a server with
//! a hundred streams that stops answering would be noticed stream by stream over minutes.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// Slow looks at one host, as a multiple of the quick ones: a hung recorder of 16 channels is still sampled at its
/// cadence when its quick bound is 1.
pub(crate) const SLOW_PER_QUICK: usize = 16;
/// Part of all permits that slow looks may hold, in quarters: the last quarter is always for peers that answer.
pub(crate) const SLOW_QUARTERS: usize = 3;

/// Host and port.
pub(crate) type HostKey = Arc<str>;

/// Which bound a look counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The peer is thought to answer.
    Quick = 0,
    /// The peer is thought to hang.
    Slow = 1,
}

/// A place in a queue. Places are given out in order of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u64);

/// What became of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Go ahead; give the permit back in this lane.
    Granted(Lane),
    /// Wait; [`Permits::next`] will name the slot.
    Queued(Place),
}

#[derive(Default)]
struct Host {
    /// Looks under way, by lane.
    under_way: [usize; 2],
    /// Waiting slots in order of asking, by lane.
    waiting: [BTreeMap<Place, usize>; 2],
    /// Whether the host stands in `ready`, by lane.
    listed: [bool; 2],
    /// Looks that began to hang since the last one that was answered.
    unanswered: usize,
}

/// All permits.
pub(crate) struct Permits {
    at_once: usize,
    per_host: usize,
    /// Looks under way in all, by lane.
    under_way: [usize; 2],
    hosts: HashMap<HostKey, Host>,
    /// Hosts with somebody waiting and, perhaps, room; each takes its turn.
    ready: [VecDeque<HostKey>; 2],
    places: u64,
    /// The widest bounds so far: what is under way when they are narrowed goes on.
    #[cfg(test)]
    widest: (usize, usize),
}

impl Permits {
    pub(crate) fn new(at_once: usize, per_host: usize) -> Self {
        let mut permits = Self {
            at_once: 1,
            per_host: 1,
            under_way: [0; 2],
            hosts: HashMap::new(),
            ready: [VecDeque::new(), VecDeque::new()],
            places: 0,
            #[cfg(test)]
            widest: (1, 1),
        };
        permits.set_bounds(at_once, per_host);
        permits
    }

    /// Other bounds. What is under way goes on.
    pub(crate) fn set_bounds(&mut self, at_once: usize, per_host: usize) {
        (self.at_once, self.per_host) = (at_once.max(1), per_host.max(1));
        #[cfg(test)]
        {
            self.widest = (self.widest.0.max(self.at_once), self.widest.1.max(self.per_host));
        }
        let mut keys: Vec<HostKey> = self.hosts.keys().map(Arc::clone).collect();
        keys.sort();
        for key in keys {
            self.list(&key, Lane::Quick);
            self.list(&key, Lane::Slow);
        }
    }

    /// Bound of one host in one lane.
    fn bound(&self, lane: Lane) -> usize {
        match lane {
            Lane::Quick => self.per_host,
            Lane::Slow => self.per_host.saturating_mul(SLOW_PER_QUICK),
        }
    }

    /// Whether the process as a whole has room in a lane. A single permit serves both.
    fn room(&self, lane: Lane) -> bool {
        let all = self.under_way[0] + self.under_way[1];
        let slow = (self.at_once * SLOW_QUARTERS / 4).max(1);
        all < self.at_once && (lane == Lane::Quick || self.under_way[1] < slow)
    }

    /// Asks for a permit towards `host`. `hangs`: the last look of this slot got no answer.
    pub(crate) fn ask(&mut self, host: &HostKey, slot: usize, hangs: bool) -> Asked {
        let per_host = self.per_host;
        let entry = self.hosts.entry(Arc::clone(host)).or_default();
        let lane = if hangs || entry.unanswered >= per_host { Lane::Slow } else { Lane::Quick };
        let nobody_before = entry.waiting[lane as usize].is_empty();
        if nobody_before && entry.under_way[lane as usize] < self.bound(lane) && self.room(lane) {
            self.take(host, lane);
            return Asked::Granted(lane);
        }
        self.places += 1;
        let place = Place(self.places);
        if let Some(entry) = self.hosts.get_mut(host) {
            entry.waiting[lane as usize].insert(place, slot);
        }
        self.list(host, lane);
        Asked::Queued(place)
    }

    fn take(&mut self, host: &HostKey, lane: Lane) {
        self.under_way[lane as usize] += 1;
        if let Some(entry) = self.hosts.get_mut(host) {
            entry.under_way[lane as usize] += 1;
        }
    }

    /// Puts a host with somebody waiting and room on the list of its lane.
    fn list(&mut self, host: &HostKey, lane: Lane) {
        let bound = self.bound(lane);
        let Some(entry) = self.hosts.get_mut(host) else { return };
        let i = lane as usize;
        if !entry.listed[i] && !entry.waiting[i].is_empty() && entry.under_way[i] < bound {
            entry.listed[i] = true;
            self.ready[i].push_back(Arc::clone(host));
        }
    }

    /// The next slot that may go ahead, with its lane. To be called until it answers `None` after permits came back.
    pub(crate) fn next(&mut self) -> Option<(usize, Lane)> {
        for lane in [Lane::Quick, Lane::Slow] {
            let i = lane as usize;
            while self.room(lane) {
                let Some(host) = self.ready[i].pop_front() else { break };
                let bound = self.bound(lane);
                let Some(entry) = self.hosts.get_mut(&host) else { continue };
                entry.listed[i] = false;
                if entry.under_way[i] >= bound {
                    continue; // listed again when a permit of this host comes back
                }
                let Some((_, slot)) = entry.waiting[i].pop_first() else { continue };
                self.take(&host, lane);
                self.list(&host, lane);
                return Some((slot, lane));
            }
        }
        None
    }

    /// Gives a permit back. `answered`: whether the peer answered at all.
    pub(crate) fn give_back(&mut self, host: &HostKey, lane: Lane, answered: bool) {
        let i = lane as usize;
        debug_assert!(self.under_way[i] > 0);
        self.under_way[i] = self.under_way[i].saturating_sub(1);
        let Some(entry) = self.hosts.get_mut(host) else { return };
        entry.under_way[i] = entry.under_way[i].saturating_sub(1);
        if answered {
            entry.unanswered = 0;
        }
        let over = entry.under_way == [0, 0] && entry.waiting.iter().all(BTreeMap::is_empty) && entry.unanswered == 0;
        if over && entry.listed == [false, false] {
            self.hosts.remove(host);
        } else {
            self.list(host, lane);
        }
    }

    /// A look hangs: it counts as slow from now on, when there is room, and its quick permit is free. Answers whether it
    /// was moved.
    pub(crate) fn hangs(&mut self, host: &HostKey) -> bool {
        let (slow, per_host) = (self.bound(Lane::Slow), self.per_host);
        let slow_in_all = (self.at_once * SLOW_QUARTERS / 4).max(1);
        let Some(entry) = self.hosts.get_mut(host) else { return false };
        entry.unanswered = entry.unanswered.saturating_add(1);
        if entry.unanswered >= per_host {
            // The host as a whole is silent: who waits for it waits among the slow.
            let mut quick = std::mem::take(&mut entry.waiting[0]);
            entry.waiting[1].append(&mut quick);
        }
        let moves = entry.under_way[0] > 0 && entry.under_way[1] < slow && self.under_way[1] < slow_in_all;
        if moves {
            entry.under_way[0] -= 1;
            entry.under_way[1] += 1;
            self.under_way[0] -= 1;
            self.under_way[1] += 1;
        }
        self.list(host, Lane::Quick);
        self.list(host, Lane::Slow);
        moves
    }

    /// A waiting slot no longer wants to look.
    pub(crate) fn forget(&mut self, host: &HostKey, place: Place) {
        if let Some(entry) = self.hosts.get_mut(host) {
            for waiting in &mut entry.waiting {
                waiting.remove(&place);
            }
        }
    }

    /// Drops what is remembered of idle hosts that `wanted` does not name.
    pub(crate) fn prune(&mut self, wanted: impl Fn(&HostKey) -> bool) {
        self.hosts.retain(|key, entry| {
            let idle = entry.under_way == [0, 0] && entry.waiting.iter().all(BTreeMap::is_empty);
            !idle || entry.listed != [false, false] || wanted(key)
        });
    }

    /// Looks under way in all. For tests.
    #[cfg(test)]
    pub(crate) fn in_use(&self) -> usize {
        self.under_way[0] + self.under_way[1]
    }

    /// Panics unless every figure adds up and stays within its bound. For tests.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        let mut sum = [0, 0];
        for (key, host) in &self.hosts {
            for lane in [Lane::Quick, Lane::Slow] {
                let i = lane as usize;
                sum[i] += host.under_way[i];
                let most = self.bound(lane) / self.per_host * self.widest.1;
                assert!(host.under_way[i] <= most, "{key}: {:?}", host.under_way);
                let stuck = !host.waiting[i].is_empty() && host.under_way[i] < self.bound(lane) && !host.listed[i];
                assert!(!stuck, "{key}: somebody waits in lane {lane:?} and nobody will call");
            }
        }
        assert_eq!(sum, self.under_way);
        assert!(self.in_use() <= self.widest.0);
        for lane in [Lane::Quick, Lane::Slow] {
            assert!(self.ready[lane as usize].is_empty() || !self.room(lane), "room in lane {lane:?} is not used");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> HostKey {
        Arc::from(text)
    }

    fn all(permits: &mut Permits) -> Vec<usize> {
        std::iter::from_fn(|| permits.next().map(|(slot, _)| slot)).collect()
    }

    #[test]
    fn a_host_has_its_own_bound_and_its_own_queue() {
        let mut p = Permits::new(10, 2);
        let (a, b) = (key("a:1"), key("b:1"));
        let asked: Vec<_> = (0..4).map(|i| matches!(p.ask(&a, i, false), Asked::Granted(Lane::Quick))).collect();
        assert_eq!(asked, [true, true, false, false]);
        assert_eq!(p.ask(&b, 9, false), Asked::Granted(Lane::Quick));
        assert_eq!(all(&mut p), [0; 0]);
        p.give_back(&a, Lane::Quick, true);
        assert_eq!(all(&mut p), [2]);
        p.give_back(&a, Lane::Quick, true);
        p.give_back(&a, Lane::Quick, true);
        assert_eq!(all(&mut p), [3]);
        p.check();
    }

    #[test]
    fn the_process_has_a_bound_and_hosts_take_turns() {
        let mut p = Permits::new(2, 9);
        let (a, b) = (key("a:1"), key("b:1"));
        for slot in 0..4 {
            p.ask(&a, slot, false);
        }
        p.ask(&b, 10, false);
        p.give_back(&a, Lane::Quick, true);
        p.give_back(&a, Lane::Quick, true);
        assert_eq!(all(&mut p), [2, 10]);
        p.check();
    }

    #[test]
    fn hanging_looks_free_the_quick_lane_and_a_silent_host_is_slow_as_a_whole() {
        let mut p = Permits::new(100, 2);
        let a = key("a:1");
        for slot in 0..6 {
            p.ask(&a, slot, false);
        }
        assert!(p.hangs(&a));
        assert_eq!(all(&mut p), [2], "one quick permit became free");
        assert!(p.hangs(&a));
        assert_eq!(all(&mut p), [3, 4, 5], "two hang and none answered: the rest goes slow");
        assert_eq!(p.ask(&a, 6, false), Asked::Granted(Lane::Slow));
        p.give_back(&a, Lane::Slow, true);
        assert_eq!(p.ask(&a, 7, true), Asked::Granted(Lane::Slow), "a target that hung stays slow");
        p.check();
    }

    #[test]
    fn slow_looks_never_take_the_last_quarter() {
        let mut p = Permits::new(8, 2);
        for slot in 0..20 {
            p.ask(&key(&format!("dead{slot}:1")), slot, true);
        }
        assert_eq!(p.in_use(), 6);
        assert_eq!(p.ask(&key("good:1"), 99, false), Asked::Granted(Lane::Quick));
        p.check();
    }

    #[test]
    fn who_leaves_the_queue_is_not_called() {
        let mut p = Permits::new(1, 1);
        let a = key("a:1");
        p.ask(&a, 0, false);
        let Asked::Queued(place) = p.ask(&a, 1, false) else { panic!("granted") };
        p.ask(&a, 2, false);
        p.forget(&a, place);
        p.give_back(&a, Lane::Quick, true);
        assert_eq!(all(&mut p), [2]);
        p.give_back(&a, Lane::Quick, true);
        assert!(p.hosts.is_empty(), "an idle host is forgotten");
    }
}
