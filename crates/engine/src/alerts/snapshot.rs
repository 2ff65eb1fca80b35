//! The AlertBoard, made of the machine's state. Reads it, changes nothing but the version.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::alert::{AlertBoard, AlertNow, AlertPhase, Held};
use model::target::TargetId;

use super::entry::Entry;
use super::machine::Machine;

impl Machine {
    /// The snapshot of now.
    pub(crate) fn board(&mut self) -> AlertBoard {
        self.version += 1;
        self.changed = false;
        let mut explained: BTreeMap<&TargetId, Vec<TargetId>> = BTreeMap::new();
        let mut without_network = Vec::new();
        for entry in self.entries.values().filter(|e| e.is_alert()) {
            let Some(id) = entry.target() else { continue };
            match &entry.held {
                Some(Held::Explained(cause)) => explained.entry(cause).or_default().push(id.clone()),
                Some(Held::NoNetwork) => without_network.push(id.clone()),
                _ => {}
            }
        }
        let mut alerts: Vec<Arc<AlertNow>> = Vec::new();
        for entry in self.entries.values().filter(|e| e.phase != AlertPhase::Over) {
            let told = entry.thread.as_ref().and_then(|id| self.threads.get(id)).map(|t| t.channels.clone());
            let mut explains = match entry.target() {
                Some(id) => explained.get(id).cloned().unwrap_or_default(),
                None if entry.key.ends_with(":o:network") => without_network.clone(),
                None => Vec::new(),
            };
            explains.sort();
            explains.dedup();
            alerts.push(Arc::new(alert(entry, told.unwrap_or_default(), explains)));
        }
        let rank = |a: &AlertNow| (std::cmp::Reverse(a.severity), std::cmp::Reverse(a.began_at));
        alerts.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.key.cmp(&b.key)));
        let held_back = self.backlog.iter().filter(|(_, held)| !held.is_empty());
        AlertBoard {
            at: self.utc,
            version: self.version,
            alerts: alerts.into(),
            past: self.past.iter().cloned().collect(),
            held_back: held_back.map(|(channel, held)| (channel.clone(), held.len())).collect(),
            no_network_since: self.no_network_since,
            mutes: self.mutes.clone(),
            windows: self.windows.shown().to_vec(),
            in_maintenance: self.windows.members().clone(),
        }
    }
}

/// One alert as it is shown.
pub(super) fn alert(entry: &Entry, told: Vec<String>, explains: Vec<TargetId>) -> AlertNow {
    AlertNow {
        key: entry.key.clone(),
        rule: entry.rule.clone(),
        severity: entry.severity,
        about: entry.about.clone(),
        name: entry.face.name.clone(),
        group: entry.face.group.clone(),
        phase: entry.phase,
        began_at: entry.began_at,
        cause: entry.cause.clone(),
        told_at: entry.told_at,
        told,
        held: entry.held.clone(),
        ack: entry.ack.clone(),
        flapping: entry.flapping.is_some(),
        explains,
    }
}
