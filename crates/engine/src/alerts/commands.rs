//! What people say of alerts: acknowledged, muted, planned work begun by hand. Changes what the machine remembers; what
//! follows comes with the next evaluation.

use model::alert::{Ack, Mute, Scope};
use model::time::UtcMs;

use super::machine::Machine;
use super::windows::AdHoc;
use crate::input::Now;

/// Most mutes, and most windows begun by hand.
const MAX_SAID: usize = 1_000;
/// Longest note or name, in bytes.
const MAX_NOTE_BYTES: usize = 2_000;

/// Largest document of mutes, and of windows begun by hand, in bytes: half of what the store takes.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// What somebody says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Saying {
    Acknowledge { key: String, by: String, note: String },
    Unacknowledge { key: String },
    Mute(Mute),
    Unmute { target: Option<model::target::TargetId>, rule: Option<String> },
    Maintain { name: String, scope: Scope, from: UtcMs, until: UtcMs, by: String },
    EndMaintenance { name: String },
}

/// Why something that was said has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlertError {
    /// No alert has this key, or it is over.
    #[error("there is no such alert, or it is over")]
    NoSuchAlert,
    /// Nothing of this name is muted, or begun by hand.
    #[error("there is nothing of this name to end")]
    NothingToEnd,
    /// A mute without target and rule, or a window that ends before it begins.
    #[error("it would be about nothing")]
    Empty,
    /// Too many of them, or a text that is too long.
    #[error("too many or too long")]
    TooMuch,
    /// It could not be written down.
    #[error("it could not be written down; try again")]
    NotKept,
    /// The process is ending.
    #[error("stopping")]
    Stopping,
}

impl Machine {
    /// Takes what somebody says; what must be remembered of it comes with the next batch.
    pub(crate) fn say(&mut self, saying: Saying, now: Now) -> Result<(), AlertError> {
        self.begin(now);
        self.wake = Some(self.t); // what follows is to be found out at once
        self.changed = true;
        match saying {
            Saying::Acknowledge { key, by, note } => {
                if note.len() > MAX_NOTE_BYTES || by.len() > MAX_NOTE_BYTES {
                    return Err(AlertError::TooMuch);
                }
                let at = self.utc;
                self.acknowledge(&key, Some(Ack { by, at, note }))
            }
            Saying::Unacknowledge { key } => self.acknowledge(&key, None),
            Saying::Mute(mute) => self.mute(mute),
            Saying::Unmute { target, rule } => {
                let before = self.mutes.len();
                self.mutes.retain(|m| m.target != target || m.rule != rule);
                self.stale.insert("mutes".to_owned());
                if self.mutes.len() == before { Err(AlertError::NothingToEnd) } else { Ok(()) }
            }
            Saying::Maintain { name, scope, from, until, by } => self.maintain(AdHoc { name, scope, from, until, by }),
            Saying::EndMaintenance { name } => {
                let before = self.ad_hoc.len();
                self.ad_hoc.retain(|w| w.name != name);
                self.windows.forget();
                self.stale.insert("windows".to_owned());
                if self.ad_hoc.len() == before { Err(AlertError::NothingToEnd) } else { Ok(()) }
            }
        }
    }

    fn acknowledge(&mut self, key: &str, ack: Option<Ack>) -> Result<(), AlertError> {
        let entry = self.entries.get_mut(key).filter(|e| e.is_alert()).ok_or(AlertError::NoSuchAlert)?;
        entry.ack = ack;
        entry.dirty = true;
        let note = entry.ack.as_ref().map(|ack| ack.note.clone());
        if let Some(thread) = entry.thread.as_ref().and_then(|id| self.threads.get_mut(id)) {
            thread.note = note;
            thread.dirty = true;
        }
        self.note(key, None);
        Ok(())
    }

    fn mute(&mut self, mute: Mute) -> Result<(), AlertError> {
        let nothing = mute.target.is_none() && mute.rule.is_none();
        if nothing || mute.until.is_some_and(|until| until <= self.utc) {
            return Err(AlertError::Empty);
        }
        let long = mute.note.len() > MAX_NOTE_BYTES || mute.rule.as_ref().is_some_and(|r| r.len() > MAX_NOTE_BYTES);
        self.mutes.retain(|m| m.target != mute.target || m.rule != mute.rule);
        if long || self.mutes.len() >= MAX_SAID {
            return Err(AlertError::TooMuch);
        }
        self.mutes.push(mute);
        if self.is_too_much("mutes") {
            self.mutes.pop();
            return Err(AlertError::TooMuch);
        }
        self.stale.insert("mutes".to_owned());
        Ok(())
    }

    /// Whether a document would be larger than what is meant to be remembered.
    fn is_too_much(&mut self, name: &str) -> bool {
        self.document(name).is_some_and(|value| value.to_string().len() > MAX_DOCUMENT_BYTES)
    }

    fn maintain(&mut self, window: AdHoc) -> Result<(), AlertError> {
        if window.until <= window.from.max(self.utc) || window.name.trim().is_empty() {
            return Err(AlertError::Empty);
        }
        self.ad_hoc.retain(|w| w.name != window.name);
        if window.name.len() > MAX_NOTE_BYTES || self.ad_hoc.len() >= MAX_SAID {
            return Err(AlertError::TooMuch);
        }
        self.ad_hoc.push(window);
        if self.is_too_much("windows") {
            self.ad_hoc.pop();
            return Err(AlertError::TooMuch);
        }
        self.windows.forget();
        self.stale.insert("windows".to_owned());
        Ok(())
    }
}
