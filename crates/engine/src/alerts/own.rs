//! Alerts that are about no target: sinks and channels, and the parts of StreamPulse. Reads how they are; judges by `ok`.

use std::collections::BTreeMap;

use model::alert::{About, Condition};
use model::board::Board;
use model::event::Part;
use sink::registry::SinkNow;

use super::entry::Tick;
use super::machine::Machine;

/// After this long since the start a sink that is not there is gone, and not late.
const SETTLED_MS: Tick = 60_000;

impl Machine {
    pub(super) fn see_sinks(&mut self, sinks: &BTreeMap<String, SinkNow>) {
        if sinks.keys().any(|name| !self.seen_sinks.contains(name)) {
            self.seen_sinks.extend(sinks.keys().cloned());
        }
        for i in 0..self.rules.len() {
            let Condition::Sink(names) = self.rules[i].rule.when.clone() else { continue };
            for (name, sink) in sinks.iter().filter(|(name, _)| names.is_empty() || is_named(&names, name)) {
                let cause = sink.error.as_deref().unwrap_or("it does not work");
                self.see_other(Some(i), About::Sink(name.clone()), sink.ok.map(|ok| !ok), cause);
            }
            let hash = &self.rules[i].hash;
            let late = self.t > self.started + SETTLED_MS;
            let was_there = |name: &String| late || self.seen_sinks.contains(name);
            let gone = self.entries.values().filter(|e| e.hash == *hash);
            let gone =
                gone.filter(|e| matches!(&e.about, About::Sink(name) if !sinks.contains_key(name) && was_there(name)));
            for key in gone.map(|e| e.key.clone()).collect::<Vec<_>>() {
                self.close(&key, "it is no longer configured", true);
            }
        }
    }

    pub(super) fn see_own(&mut self, board: &Board) {
        for i in 0..self.rules.len() {
            let Condition::Own(parts) = self.rules[i].rule.when.clone() else { continue };
            for part in Part::ALL.into_iter().filter(|part| parts.is_empty() || parts.contains(part)) {
                let unwell = board.health.unwell.get(&part);
                let cause = unwell.map_or("", |(reason, _)| reason.as_str());
                self.see_other(Some(i), About::Own(part.as_str().to_owned()), Some(unwell.is_some()), cause);
            }
        }
    }
}

/// Channels stand in the registry beside sinks, under names of their own; people name them as in the configuration.
fn is_named(names: &[String], name: &str) -> bool {
    names.iter().any(|n| n == name || name.strip_prefix("channel:") == Some(n))
}
