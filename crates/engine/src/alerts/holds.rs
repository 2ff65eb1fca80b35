//! Why people are not told of an alert, or not told yet: planned work, a mute, who acknowledged it, somebody else who is to
//! blame. Decides for one alert at a time; the messages are made elsewhere.

use model::alert::{About, AlertPhase, Held, Mute};
use model::status::Status;

use super::entry::{Entry, ticks};
use super::machine::Machine;

impl Machine {
    /// Finds out for every alert that nobody was told of whether people may be told.
    pub(super) fn hold_entries(&mut self) {
        let untold = |e: &&Entry| e.is_alert() && e.thread.is_none();
        let keys: Vec<String> = self.entries.values().filter(untold).map(|e| e.key.clone()).collect();
        for key in keys {
            let Some(mut entry) = self.entries.remove(&key) else { continue };
            let before = entry.held.clone();
            self.hold(&mut entry);
            self.changed |= entry.held != before;
            self.entries.insert(key, entry);
        }
    }

    fn hold(&mut self, entry: &mut Entry) {
        let was_explained = matches!(entry.held, Some(Held::Explained(_) | Held::NoNetwork));
        let mut held = self.planned(entry);
        if held.is_none() && entry.is_certain() {
            held = self.blame(entry);
            if !matches!(held, Some(Held::Asking(_))) && entry.asking.is_some() && held.is_some() {
                entry.asking = None;
            }
            let explained = matches!(held, Some(Held::Explained(_) | Held::NoNetwork));
            if explained {
                entry.grace = None;
            } else if was_explained {
                entry.grace = self.grace(entry);
                entry.dirty = true;
            }
            entry.dirty |= explained != was_explained;
            if let Some(grace) = entry.grace.filter(|_| !explained) {
                entry.grace = self.in_grace(&entry.about.clone(), grace);
                if entry.grace.is_some() {
                    held = Some(Held::Grace);
                }
            }
        } else if held.is_none() && was_explained {
            held.clone_from(&entry.held); // nothing is known of it now; what explained it still does
        }
        entry.ready = match (&held, entry.is_certain()) {
            (None, true) => {
                let since = *entry.ready.get_or_insert(self.t);
                self.due(since + ticks(self.settings.group_window));
                held = Some(Held::Grouping);
                Some(since)
            }
            _ => None,
        };
        entry.held = held;
    }

    /// What somebody has said: planned work, a mute, an acknowledgement.
    pub(super) fn planned(&self, entry: &Entry) -> Option<Held> {
        if let About::Target(id) = &entry.about {
            if let Some(window) = self.windows.of(id) {
                return Some(Held::Maintenance(window.to_owned()));
            }
            let status = self.board.as_ref().and_then(|b| b.get(id)).map(|t| t.state.status);
            if status == Some(Status::Maintenance) {
                return Some(Held::Maintenance(String::new()));
            }
        }
        if let Some(mute) = self.mutes.iter().find(|m| mutes(m, entry)) {
            return Some(Held::Muted(mute.until));
        }
        entry.ack.is_some().then_some(Held::Acknowledged)
    }

    /// Whether somebody is to be reminded of an alert that was told.
    pub(super) fn reminds(&self, entry: &Entry) -> bool {
        let explained = || {
            let About::Target(id) = &entry.about else { return false };
            let down = |p: &model::target::TargetId| {
                let target = self.board.as_ref().and_then(|b| b.get(p));
                target.is_some_and(|t| t.state.status == Status::Down)
            };
            self.no_network_since.is_some() || self.ancestors.get(id).is_some_and(|above| above.iter().any(down))
        };
        entry.phase == AlertPhase::Active && self.planned(entry).is_none() && !explained()
    }
}

/// Whether a mute is about an alert.
fn mutes(mute: &Mute, entry: &Entry) -> bool {
    let target = mute.target.as_ref().is_none_or(|id| matches!(&entry.about, About::Target(about) if about == id));
    let rule = mute.rule.as_ref().is_none_or(|name| *name == entry.rule);
    target && rule && (mute.target.is_some() || mute.rule.is_some())
}
