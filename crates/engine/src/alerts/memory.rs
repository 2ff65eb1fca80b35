//! What is remembered over a restart: documents out of the machine's state and back, and the rows of the history. Times are
//! written by the wall clock as it is when they are written, and read back as ages. Reads and writes no file.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::alert::{About, Ack, AlertPast, AlertPhase, Mute, Scope, Severity};
use model::status::Status;
use model::target::TargetId;
use model::time::UtcMs;
use serde_json::{Value, json};
use store::{AlertChange, AlertRecord};

use super::entry::{Entry, Face, Grace, Tick};
use super::family::GRACE_MS;
use super::machine::Machine;
use super::thread::{Backlog, Thread};
use super::windows::AdHoc;
use super::words;

/// Most messages that a digest remembers; older ones that are over are given up first.
pub(super) const MAX_BACKLOG: usize = 300;

impl Machine {
    /// Writes an alert into the history, as it is now; `how` says how it ended.
    pub(super) fn note(&mut self, key: &str, how: Option<&str>) {
        let utc = self.utc;
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.noted = true;
        let mut flags: Vec<&str> = Vec::new();
        if entry.flapping.is_some() {
            flags.push("flapping");
        }
        if entry.told_at.is_none() && how.is_some() {
            flags.push("untold");
        }
        let cause = match how.filter(|how| *how != words::RECOVERED) {
            Some(how) if entry.cause.is_empty() => format!("closed: {how}"),
            Some(how) => format!("{} (closed: {how})", entry.cause),
            None => entry.cause.clone(),
        };
        let record = AlertRecord {
            alert: entry.key.clone(),
            rule: entry.rule.clone(),
            target: entry.target().cloned(),
            severity: entry.severity,
            began_at: entry.began_at,
            ended_at: how.map(|_| utc),
            cause,
            acked_by: entry.ack.as_ref().map(|ack| ack.by.clone()),
            note: entry.ack.as_ref().map(|ack| ack.note.clone()),
            flags: flags.join(" "),
        };
        self.out.changes.push(AlertChange::History(record));
    }

    /// Puts into the batch what must be remembered and what must no longer be.
    pub(super) fn remember(&mut self) {
        let (t, utc) = (self.t, self.utc);
        let wall = move |at: Tick| utc.0.saturating_sub(t.saturating_sub(at));
        let mut keep: BTreeMap<String, Value> = BTreeMap::new();
        for entry in self.entries.values_mut().filter(|e| e.dirty) {
            entry.dirty = false;
            keep.insert(format!("a:{}", entry.key), of_entry(entry, wall));
        }
        for thread in self.threads.values_mut().filter(|t| t.dirty) {
            thread.dirty = false;
            keep.insert(format!("t:{}", thread.id), of_thread(thread, wall));
        }
        let mut gone: Vec<String> = Vec::new();
        for name in std::mem::take(&mut self.stale) {
            match self.document(&name) {
                Some(value) => drop(keep.insert(name, value)),
                None => gone.push(name),
            }
        }
        let lost = self.kept.iter().filter(|key| match key.split_once(':') {
            Some(("a", key)) => !self.entries.contains_key(key),
            Some(("t", id)) => !self.threads.contains_key(id),
            _ => false,
        });
        gone.extend(lost.cloned());
        for key in gone {
            if self.kept.remove(&key) {
                self.out.changes.push(AlertChange::Forget { key });
            }
        }
        for (key, value) in keep {
            self.kept.insert(key.clone());
            self.out.changes.push(AlertChange::Keep { key, json: value.to_string() });
        }
    }

    /// A document that is about no single alert; `None` where there is nothing to remember.
    pub(super) fn document(&mut self, name: &str) -> Option<Value> {
        match name {
            "serial" => Some(json!({ "serial": self.serial })),
            "mutes" => (!self.mutes.is_empty()).then(|| Value::Array(self.mutes.iter().map(of_mute).collect())),
            "windows" => (!self.ad_hoc.is_empty()).then(|| Value::Array(self.ad_hoc.iter().map(of_window).collect())),
            name => {
                let held = self.backlog.get_mut(name.strip_prefix("backlog:")?)?;
                if held.len() > MAX_BACKLOG {
                    held.retain(|h| !h.over);
                    let more = held.len().saturating_sub(MAX_BACKLOG);
                    held.drain(..more);
                }
                (!held.is_empty()).then(|| Value::Array(held.iter().map(of_backlog).collect()))
            }
        }
    }

    /// Takes back what was remembered. What cannot be read is left out, and named.
    pub(crate) fn restore(&mut self, documents: Vec<(String, String)>) -> Vec<String> {
        let mut unread = Vec::new();
        for (key, text) in documents {
            let taken = serde_json::from_str(&text).ok().and_then(|value: Value| self.take(&key, &value));
            if taken.is_none() {
                unread.push(key.clone());
            }
            self.kept.insert(key);
        }
        for entry in self.entries.values_mut() {
            if let Some(grace) = &mut entry.grace {
                grace.until = self.t + GRACE_MS;
            }
            if let Some(thread) = entry.thread.as_ref().and_then(|id| self.threads.get_mut(id)) {
                thread.open += 1;
            }
        }
        unread
    }

    /// Takes back alerts that ended, newest first.
    pub(crate) fn remember_past(&mut self, past: Vec<Arc<AlertPast>>) {
        self.past = past.into();
        self.past.truncate(model::alert::MAX_PAST);
    }

    fn take(&mut self, key: &str, value: &Value) -> Option<()> {
        let (t, utc) = (self.t, self.utc);
        // A time that was written before the clock was set back is no later than now.
        let tick = move |v: &Value| Some(t.saturating_sub(utc.0.saturating_sub(v.as_i64()?).max(0)));
        match key.split_once(':') {
            Some(("a", key)) => drop(self.entries.insert(key.to_owned(), to_entry(key, value, &tick)?)),
            Some(("t", id)) => drop(self.threads.insert(id.to_owned(), to_thread(id, value, &tick)?)),
            Some(("backlog", channel)) => {
                let held = value.as_array()?.iter().map(to_backlog).collect::<Option<Vec<_>>>()?;
                self.backlog.insert(channel.to_owned(), held);
            }
            _ if key == "serial" => self.serial = value["serial"].as_u64()?,
            _ if key == "mutes" => self.mutes = value.as_array()?.iter().map(to_mute).collect::<Option<_>>()?,
            _ if key == "windows" => self.ad_hoc = value.as_array()?.iter().map(to_window).collect::<Option<_>>()?,
            _ => return None,
        }
        Some(())
    }
}

fn of_entry(e: &Entry, wall: impl Fn(Tick) -> i64) -> Value {
    let ack = e.ack.as_ref().map(|a| json!({ "by": a.by, "at": a.at.0, "note": a.note }));
    let grace = e.grace.map(|g| json!({ "looks": g.looks_left, "seen_at": g.seen_at.0, "until": wall(g.until) }));
    let (about, what) = match &e.about {
        About::Target(id) => ("target", id.as_str()),
        About::Sink(name) => ("sink", name.as_str()),
        About::Own(name) => ("own", name.as_str()),
        About::Service(id) => ("service", id.as_str()),
    };
    json!({
        "rule": e.rule, "severity": e.severity.as_str(), "recovery": e.recovery, "about": about, "what": what,
        "name": e.face.name, "group": e.face.group, "phase": e.phase.as_str(), "bad_since": wall(e.bad_since),
        "began_at": e.began_at.0, "good_since": wall(e.good_since), "bad": e.bad, "cause": e.cause,
        "changes": e.changes.iter().map(|at| wall(*at)).collect::<Vec<_>>(), "flapping": e.flapping.map(wall),
        "ack": ack, "thread": e.thread, "told_at": e.told_at.map(|at| at.0), "grace": grace,
        "explained": matches!(e.held, Some(model::alert::Held::Explained(_) | model::alert::Held::NoNetwork)),
        "noted": e.noted,
    })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn to_entry(key: &str, v: &Value, tick: &impl Fn(&Value) -> Option<Tick>) -> Option<Entry> {
    let what = text(&v["what"])?;
    let about = match v["about"].as_str()? {
        "target" => About::Target(TargetId::parse(&what).ok()?),
        "sink" => About::Sink(what),
        "own" => About::Own(what),
        "service" => About::Service(TargetId::parse(&what).ok()?),
        _ => return None,
    };
    let began_at = UtcMs(v["began_at"].as_i64()?);
    let ack = &v["ack"];
    let ack = ack
        .is_object()
        .then(|| Some(Ack { by: text(&ack["by"])?, at: UtcMs(ack["at"].as_i64()?), note: text(&ack["note"])? }));
    let explained =
        v["explained"].as_bool()?.then_some(Grace { looks_left: 3, seen_at: UtcMs(0), until: Tick::MAX / 4 });
    let face = Face { name: text(&v["name"])?, group: text(&v["group"]), status: Status::Unknown, since: began_at };
    Some(Entry {
        key: key.to_owned(),
        hash: key.split(':').next()?.to_owned(),
        rule: text(&v["rule"])?,
        severity: Severity::from_word(v["severity"].as_str()?)?,
        recovery: v["recovery"].as_bool()?,
        about,
        face,
        phase: AlertPhase::from_word(v["phase"].as_str()?)?,
        bad_since: tick(&v["bad_since"])?,
        began_at,
        good_since: tick(&v["good_since"])?,
        bad: v["bad"].as_bool()?,
        truth: None,
        cause: text(&v["cause"])?,
        changes: v["changes"].as_array()?.iter().map(tick).collect::<Option<_>>()?,
        flapping: tick(&v["flapping"]),
        ack: ack.flatten(),
        thread: text(&v["thread"]),
        told_at: v["told_at"].as_i64().map(UtcMs),
        ready: None,
        asking: None,
        // What was explained, or had its grace, has a few looks again before people are told of it.
        grace: explained.or_else(|| {
            let looks_left = u32::try_from(v["grace"]["looks"].as_u64()?).ok()?;
            Some(Grace { looks_left, seen_at: UtcMs(v["grace"]["seen_at"].as_i64()?), until: Tick::MAX / 4 })
        }),
        held: None,
        noted: v["noted"].as_bool()?,
        dirty: false,
    })
}

fn of_thread(t: &Thread, wall: impl Fn(Tick) -> i64) -> Value {
    let one = t.one.as_ref().and_then(|(about, name)| match about {
        About::Target(id) => Some(json!([id.as_str(), name])),
        About::Sink(_) | About::Own(_) | About::Service(_) => None,
    });
    let gone: Vec<Value> = t
        .gone
        .iter()
        .map(|g| {
            let subject =
                g.subject.as_ref().map(|s| json!([s.id.as_str(), s.group, s.status.as_str(), s.since.0, s.reason]));
            json!([g.name, g.how, g.lasted_ms, subject])
        })
        .collect();
    json!({
        "hash": t.hash, "rule": t.rule, "severity": t.severity.as_str(), "recovery": t.recovery, "began_at": t.began_at.0,
        "channels": t.channels, "digest": t.digest, "seq": t.seq, "told": wall(t.told), "total": t.total, "gone": gone,
        "gone_more": t.gone_more, "gone_since": t.gone_since.map(wall), "one": one, "note": t.note,
    })
}

fn to_thread(id: &str, v: &Value, tick: &impl Fn(&Value) -> Option<Tick>) -> Option<Thread> {
    let one = v["one"]
        .as_array()
        .and_then(|one| Some((About::Target(TargetId::parse(one.first()?.as_str()?).ok()?), text(one.get(1)?)?)));
    Some(Thread {
        id: id.to_owned(),
        hash: text(&v["hash"])?,
        rule: text(&v["rule"])?,
        severity: Severity::from_word(v["severity"].as_str()?)?,
        recovery: v["recovery"].as_bool()?,
        began_at: UtcMs(v["began_at"].as_i64()?),
        channels: texts(&v["channels"])?,
        digest: texts(&v["digest"])?,
        seq: u32::try_from(v["seq"].as_u64()?).ok()?,
        told: tick(&v["told"])?,
        total: usize::try_from(v["total"].as_u64()?).ok()?,
        open: 0,
        gone: v["gone"].as_array()?.iter().map(to_gone).collect::<Option<_>>()?,
        gone_more: usize::try_from(v["gone_more"].as_u64()?).ok()?,
        gone_since: tick(&v["gone_since"]),
        one,
        note: text(&v["note"]),
        dirty: false,
    })
}

fn to_gone(v: &Value) -> Option<super::thread::Gone> {
    let name = text(&v[0])?;
    let subject = v[3].as_array().and_then(|s| {
        Some(model::alert::Subject {
            id: TargetId::parse(s.first()?.as_str()?).ok()?,
            name: name.clone(),
            group: text(s.get(1)?),
            status: Status::from_word(s.get(2)?.as_str()?)?,
            since: UtcMs(s.get(3)?.as_i64()?),
            reason: text(s.get(4)?)?,
        })
    });
    Some(super::thread::Gone { subject, name, how: text(&v[1])?, lasted_ms: v[2].as_i64()? })
}

fn texts(v: &Value) -> Option<Vec<String>> {
    v.as_array()?.iter().map(text).collect()
}

fn of_backlog(h: &Backlog) -> Value {
    json!([h.thread, h.rule, h.severity.as_str(), h.names, h.more, h.over])
}

fn to_backlog(v: &Value) -> Option<Backlog> {
    Some(Backlog {
        thread: text(&v[0])?,
        rule: text(&v[1])?,
        severity: Severity::from_word(v[2].as_str()?)?,
        names: texts(&v[3])?,
        more: usize::try_from(v[4].as_u64()?).ok()?,
        over: v[5].as_bool()?,
    })
}

fn of_mute(m: &Mute) -> Value {
    let (target, until) = (m.target.as_ref().map(TargetId::as_str), m.until.map(|at| at.0));
    json!({ "target": target, "rule": m.rule, "until": until, "by": m.by, "note": m.note })
}

fn to_mute(v: &Value) -> Option<Mute> {
    let target = v["target"].as_str().map(TargetId::parse).transpose().ok()?;
    let until = v["until"].as_i64().map(UtcMs);
    Some(Mute { target, rule: text(&v["rule"]), until, by: text(&v["by"])?, note: text(&v["note"])? })
}

fn of_window(w: &AdHoc) -> Value {
    let ids = |ids: &[TargetId]| ids.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
    let s = &w.scope;
    json!({
        "name": w.name, "from": w.from.0, "until": w.until.0, "by": w.by,
        "targets": ids(&s.targets), "groups": s.groups, "tags": s.tags,
        "except_targets": ids(&s.except_targets), "except_groups": s.except_groups, "except_tags": s.except_tags,
    })
}

fn to_window(v: &Value) -> Option<AdHoc> {
    let ids = |v: &Value| texts(v)?.iter().map(|id| TargetId::parse(id).ok()).collect::<Option<Vec<_>>>();
    let scope = Scope {
        targets: ids(&v["targets"])?,
        groups: texts(&v["groups"])?,
        tags: texts(&v["tags"])?,
        except_targets: ids(&v["except_targets"])?,
        except_groups: texts(&v["except_groups"])?,
        except_tags: texts(&v["except_tags"])?,
    };
    let (from, until) = (UtcMs(v["from"].as_i64()?), UtcMs(v["until"].as_i64()?));
    Some(AdHoc { name: text(&v["name"])?, scope, from, until, by: text(&v["by"])? })
}
