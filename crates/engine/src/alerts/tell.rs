//! From alerts to messages: what is told together, to whom, when it is told again, and what a limit holds back. Owns threads
//! and digests; decides nothing about what is an alert.

use std::collections::{BTreeMap, BTreeSet};

use model::alert::{About, Held, Notification, Severity, Stage, Subject};
use model::target::TargetId;

use super::entry::{Entry, ticks};
use super::machine::{Compiled, Machine, Outgoing};
use super::thread::{Backlog, MAX_NAMES, MAX_SUBJECTS, Thread};
use super::words;

impl Machine {
    /// Tells what is to be told for the first time: all of a rule that came within one window is one message.
    pub(super) fn tell_raised(&mut self) {
        let mut groups: BTreeMap<String, (i64, Vec<String>)> = BTreeMap::new();
        for entry in self.entries.values() {
            let Some(ready) = entry.ready else { continue };
            let group = groups.entry(entry.hash.clone()).or_insert((ready, Vec::new()));
            group.0 = group.0.min(ready);
            group.1.push(entry.key.clone());
        }
        for (hash, (first, keys)) in groups {
            if self.due(first + ticks(self.settings.group_window)) {
                self.raise(&hash, &keys);
            }
        }
    }

    fn raise(&mut self, hash: &str, keys: &[String]) {
        let Some(Compiled { rule, .. }) = self.rule_of(hash).cloned() else { return };
        let Some(first) = keys.first() else { return };
        let id = self.new_id(first);
        let (mut told, mut digest) = (Vec::new(), Vec::new());
        for channel in self.audience(&rule.channels, keys) {
            if self.within_limit(&channel) { told.push(channel) } else { digest.push(channel) }
        }
        let members: Vec<&Entry> = keys.iter().filter_map(|key| self.entries.get(key)).collect();
        let began_at = members.iter().map(|e| e.began_at).min().unwrap_or(self.utc);
        let subjects: Vec<Subject> = members.iter().filter_map(|e| words::subject(e)).take(MAX_SUBJECTS).collect();
        let (explains, hidden) = self.explained_by(&members);
        let (title, text) = words::raised(&rule, &members, explains.len() + hidden, self.descendants(&members));
        let one = members.first().filter(|_| members.len() == 1).map(|e| (e.about.clone(), e.face.name.clone()));
        let names: Vec<String> = members.iter().map(|e| e.face.name.clone()).take(MAX_NAMES).collect();
        let total = members.len();
        let more = total.saturating_sub(subjects.len().max(1)) + hidden;
        let mut thread = Thread {
            id: id.clone(),
            hash: hash.to_owned(),
            rule: rule.name.clone(),
            severity: rule.severity,
            recovery: rule.recovery,
            began_at,
            channels: told.clone(),
            digest: digest.clone(),
            seq: 0,
            told: self.t,
            total,
            open: total,
            gone: Vec::new(),
            gone_more: 0,
            gone_since: None,
            one,
            note: None,
            dirty: true,
        };
        let key = thread.next_key();
        let notification = Notification {
            key,
            at: self.utc,
            stage: Stage::Raised,
            title,
            text,
            subjects,
            explains,
            more,
            ..about_thread(&thread)
        };
        for channel in digest {
            let (rule, severity, names, thread) = (rule.name.clone(), rule.severity, names.clone(), id.clone());
            let held = Backlog { thread, rule, severity, more: total - names.len(), names, over: false };
            self.stale.insert(format!("backlog:{channel}"));
            self.backlog.entry(channel).or_default().push(held);
        }
        self.send(notification, told);
        self.threads.insert(id.clone(), thread);
        for key in keys {
            let Some(entry) = self.entries.get_mut(key) else { continue };
            (entry.thread, entry.told_at, entry.ready) = (Some(id.clone()), Some(self.utc), None);
            (entry.held, entry.asking, entry.grace, entry.dirty) = (None, None, None, true);
        }
        self.changed = true;
    }

    pub(super) fn send(&mut self, notification: Notification, channels: Vec<String>) {
        if !channels.is_empty() {
            self.out.send.push(Outgoing { notification, channels });
        }
    }

    /// Channels of a rule. One that does not work is not told of that where others are.
    fn audience(&self, channels: &[String], keys: &[String]) -> Vec<String> {
        let broken: BTreeSet<&str> = keys
            .iter()
            .filter_map(|key| match &self.entries.get(key)?.about {
                About::Sink(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        let name = |channel: &&String| {
            !broken.contains(channel.as_str()) && !broken.contains(format!("channel:{channel}").as_str())
        };
        let working: Vec<String> = channels.iter().filter(name).cloned().collect();
        if working.is_empty() { channels.to_vec() } else { working }
    }

    /// Targets of which nobody is told because these are to blame, and how many more there are.
    fn explained_by(&self, members: &[&Entry]) -> (Vec<Subject>, usize) {
        let causes: BTreeSet<&TargetId> = members.iter().filter_map(|e| e.target()).collect();
        let network = members.iter().any(|e| matches!(&e.about, About::Own(name) if name == "network"));
        let mut seen = BTreeSet::new();
        let mut listed = Vec::new();
        for entry in self.entries.values().filter(|e| e.is_alert()) {
            let explained = match &entry.held {
                Some(Held::Explained(id)) => causes.contains(id),
                Some(Held::NoNetwork) => network,
                _ => false,
            };
            let Some(id) = entry.target().filter(|id| explained && !causes.contains(id)) else { continue };
            if seen.insert(id.clone()) && listed.len() < MAX_SUBJECTS {
                listed.extend(words::subject(entry));
            }
        }
        let hidden = seen.len() - listed.len();
        (listed, hidden)
    }

    /// How many targets stand below these.
    fn descendants(&self, members: &[&Entry]) -> usize {
        let causes: BTreeSet<&TargetId> = members.iter().filter_map(|e| e.target()).collect();
        self.ancestors.values().filter(|above| above.iter().any(|id| causes.contains(id))).count()
    }

    /// Tells what is over. An alert that is over while others of its thread are not changes the thread; the last one ends it.
    pub(super) fn tell_gone(&mut self) {
        let window = ticks(self.settings.group_window);
        let waiting = self.threads.values().filter_map(|t| Some((t.id.clone(), t.gone_since?)));
        for (id, since) in waiting.collect::<Vec<_>>() {
            if !self.due(since + window) {
                continue;
            }
            let Some(mut thread) = self.threads.remove(&id) else { continue };
            let over = thread.open == 0;
            let key = thread.next_key();
            let (title, text) = words::over(&thread);
            let gone = std::mem::take(&mut thread.gone);
            let count = gone.len() + std::mem::take(&mut thread.gone_more);
            let subjects: Vec<Subject> = gone.into_iter().filter_map(|g| g.subject).collect();
            let more = count.saturating_sub(subjects.len().max(1));
            let stage = if over { Stage::Recovered } else { Stage::Changed };
            let shell = about_thread(&thread);
            let notification = Notification { key, at: self.utc, stage, title, text, subjects, more, ..shell };
            if thread.recovery {
                self.send(notification, thread.channels.clone());
            }
            thread.gone_since = None;
            if over {
                self.backlog_over(&thread);
            } else {
                self.threads.insert(id, thread);
            }
            self.changed = true;
        }
    }

    /// A thread has ended before a digest told of it.
    fn backlog_over(&mut self, thread: &Thread) {
        for channel in &thread.digest {
            let held = self.backlog.get_mut(channel).into_iter().flatten();
            held.filter(|h| h.thread == thread.id).for_each(|h| h.over = true);
            self.stale.insert(format!("backlog:{channel}"));
        }
    }

    /// An alert that was told changes again and again, or no longer does.
    pub(super) fn tell_flapping(&mut self, key: &str, flaps: bool) {
        let Some(entry) = self.entries.get(key) else { return };
        let (title, text) = words::flapping(entry, self.settings.flapping, flaps);
        let subjects = words::subject(entry).into_iter().collect();
        let Some(mut thread) = entry.thread.clone().and_then(|id| self.threads.remove(&id)) else { return };
        let silent = self.entries.get(key).is_none_or(|e| self.planned(e).is_some());
        if !silent {
            let key = thread.next_key();
            let shell = about_thread(&thread);
            let stage = Stage::Changed;
            let notification = Notification { key, at: self.utc, stage, title, text, subjects, ..shell };
            self.send(notification, thread.channels.clone());
            thread.told = self.t;
        }
        self.threads.insert(thread.id.clone(), thread);
        self.note(key, None);
    }

    /// Reminds of what lasts and nobody has acknowledged.
    pub(super) fn remind(&mut self) {
        let due: Vec<(String, i64)> = self
            .threads
            .values()
            .filter(|t| t.open > 0)
            .filter_map(|t| Some((t.id.clone(), t.told + ticks(self.rule_of(&t.hash)?.rule.remind?))))
            .collect();
        for (id, at) in due {
            if !self.due(at) {
                continue;
            }
            let of_thread = |e: &&Entry| e.thread.as_deref() == Some(id.as_str()) && self.reminds(e);
            let members: Vec<&Entry> = self.entries.values().filter(of_thread).collect();
            let count = members.len();
            let subjects: Vec<Subject> = members.iter().filter_map(|e| words::subject(e)).take(MAX_SUBJECTS).collect();
            let words = self.threads.get(&id).map(|thread| words::reminder(thread, &members));
            let Some(mut thread) = self.threads.remove(&id) else { continue };
            (thread.told, thread.dirty) = (self.t, true);
            let channels: Vec<String> = thread.channels.clone();
            let channels = channels.into_iter().filter(|c| count > 0 && self.within_limit(c)).collect::<Vec<_>>();
            if let Some((title, text)) = words.filter(|_| !channels.is_empty()) {
                let key = thread.next_key();
                let more = count.saturating_sub(subjects.len().max(1));
                let (shell, stage) = (about_thread(&thread), Stage::Reminder);
                let notification = Notification { key, at: self.utc, stage, title, text, subjects, more, ..shell };
                self.send(notification, channels);
            }
            if let Some(every) = self.rule_of(&thread.hash).and_then(|c| c.rule.remind) {
                self.due(self.t + ticks(every));
            }
            self.threads.insert(id, thread);
        }
    }

    /// Tells in one message what a limit held back, as soon as there is room for one.
    pub(super) fn tell_digests(&mut self) {
        for channel in self.backlog.keys().cloned().collect::<Vec<_>>() {
            if !self.within_limit(&channel) {
                continue;
            }
            let Some(held) = self.backlog.remove(&channel).filter(|held| !held.is_empty()) else { continue };
            self.stale.insert(format!("backlog:{channel}"));
            let (title, text) = words::digest(&held);
            let alert = format!("digest-{channel}");
            let key = self.new_id(&alert);
            let began_at = self.utc;
            let severity = held.iter().map(|h| h.severity).max().unwrap_or(Severity::Info);
            let notification = Notification {
                key,
                alert,
                at: self.utc,
                began_at,
                stage: Stage::Digest,
                severity,
                rule: String::new(),
                title,
                text,
                subjects: Vec::new(),
                explains: Vec::new(),
                more: 0,
                path: "/alerts".to_owned(),
                note: None,
            };
            self.send(notification, vec![channel.clone()]);
            // From here on the channel is told of these like any other, so it will hear of their ends.
            for thread in held.iter().filter(|h| !h.over).map(|h| &h.thread) {
                let Some(thread) = self.threads.get_mut(thread) else { continue };
                thread.digest.retain(|c| *c != channel);
                thread.channels.push(channel.clone());
                thread.dirty = true;
            }
            self.changed = true;
        }
    }
}

/// What all messages of a thread have in common.
fn about_thread(thread: &Thread) -> Notification {
    let path = match &thread.one {
        Some((About::Target(id), _)) => format!("/stream/{id}"),
        _ => "/alerts".to_owned(),
    };
    Notification {
        key: String::new(),
        alert: thread.id.clone(),
        at: thread.began_at,
        began_at: thread.began_at,
        stage: Stage::Changed,
        severity: thread.severity,
        rule: thread.rule.clone(),
        title: String::new(),
        text: String::new(),
        subjects: Vec::new(),
        explains: Vec::new(),
        more: 0,
        path,
        note: thread.note.clone().filter(|note| !note.is_empty()),
    }
}
