//! The words of messages: one line, and what is known in sentences. Owns wording alone.

use std::time::Duration;

use model::alert::{About, Condition, Flapping, Rule, Subject};
use model::board::TargetNow;
use model::conf::words::duration_text;
use model::status::Status;
use model::target::TargetId;
use model::time::UtcMs;

use super::entry::{Entry, Face};
use super::machine::NO_NETWORK;
use super::thread::{Backlog, MAX_SUBJECTS, Thread};

/// How an alert ended whose condition is good again.
pub(super) const RECOVERED: &str = "recovered";

/// What people are told of a target.
pub(super) fn face(target: &TargetNow) -> Face {
    Face {
        name: target.spec.name.clone(),
        group: target.spec.group.clone(),
        status: target.state.status,
        since: target.state.since,
    }
}

/// The same of what is no target.
pub(super) fn face_of(about: &About, now: UtcMs) -> Face {
    let name = match about {
        About::Target(id) => id.to_string(),
        About::Sink(name) => name.clone(),
        About::Own(part) if part == "network" => NO_NETWORK.to_owned(),
        About::Own(part) => format!("StreamPulse: {part}"),
        About::Service(id) => format!("service {id}"),
    };
    Face { name, group: None, status: Status::Unknown, since: now }
}

impl Entry {
    /// The target that it is about.
    pub(super) fn target(&self) -> Option<&TargetId> {
        match &self.about {
            About::Target(id) => Some(id),
            About::Sink(_) | About::Own(_) | About::Service(_) => None,
        }
    }
}

/// The subject of an alert; none where it is about StreamPulse itself.
pub(super) fn subject(entry: &Entry) -> Option<Subject> {
    let Face { name, group, status, since } = entry.face.clone();
    Some(Subject { id: entry.target()?.clone(), name, group, status, since, reason: entry.cause.clone() })
}

/// What is so, of one alert.
fn line(rule: &Rule, entry: &Entry) -> String {
    let (name, cause) = (&entry.face.name, &entry.cause);
    if entry.flapping.is_some() {
        return format!("{name} is flapping");
    }
    match (&entry.about, &rule.when) {
        (About::Own(part), _) if part == "network" => NO_NETWORK.to_owned(),
        (About::Own(_), _) => format!("{name} is unwell"),
        (About::Sink(_), _) => format!("{name} does not work"),
        (About::Service(_), _) if cause.is_empty() => format!("{name}: {}", rule.when),
        (About::Service(_), _) => format!("{name}: {cause}"),
        (About::Target(_), Condition::Status(_)) => format!("{name} is {}", entry.face.status),
        (About::Target(_), _) if cause.is_empty() => format!("{name}: {}", rule.when),
        (About::Target(_), _) => format!("{name}: {cause}"),
    }
}

/// The first message of a thread. `below` is how many targets stand below its members.
pub(super) fn raised(rule: &Rule, members: &[&Entry], explained: usize, below: usize) -> (String, String) {
    let title = match members {
        [one] => line(rule, one),
        several => {
            let what = match &rule.when {
                Condition::Status(_) if several.iter().all(|e| e.face.status == Status::Down) => "are down".to_owned(),
                _ => format!("({})", rule.name),
            };
            let things = if several.iter().all(|e| e.target().is_some()) { "targets" } else { "alerts" };
            format!("{} {things} {what}", several.len())
        }
    };
    let mut text = match members {
        [one] if one.cause.is_empty() => String::new(),
        [one] => sentence(&one.cause),
        several => {
            let names: Vec<&str> = several.iter().map(|e| e.face.name.as_str()).take(MAX_SUBJECTS).collect();
            format!("{}.", listed(&names, several.len() - names.len()))
        }
    };
    if let [one] = members
        && one.flapping.is_some()
    {
        text.push_str(" It changes again and again; you are told when that has ended.");
    }
    if explained > 0 {
        text.push_str(&format!(" It explains {}.", counted(explained, "other target", "other targets")));
    }
    if below > explained {
        text.push_str(&format!(" {} behind it.", counted(below, "target is", "targets are")));
    }
    (title, text.trim().to_owned())
}

/// Alerts of a thread are over.
pub(super) fn over(thread: &Thread) -> (String, String) {
    let count = thread.gone.len() + thread.gone_more;
    let title = match (thread.gone.as_slice(), thread.open) {
        ([one], 0) if one.how == RECOVERED && one.name == NO_NETWORK => "StreamPulse has a network again".to_owned(),
        ([one], 0) if one.how == RECOVERED => format!("{} has recovered", one.name),
        ([one], 0) => format!("{}: closed, {}", one.name, one.how),
        (_, 0) => format!("{} are over ({})", counted(thread.total, "alert", "alerts"), thread.rule),
        ([one], open) => format!("{} is over, {open} of {} still last ({})", one.name, thread.total, thread.rule),
        (_, open) => format!("{count} are over, {open} of {} still last ({})", thread.total, thread.rule),
    };
    let each = thread.gone.iter().map(|g| {
        let lasted = Duration::from_secs(u64::try_from(g.lasted_ms / 1000).unwrap_or(0));
        format!("{}: {} after {}", g.name, g.how, spoken(lasted))
    });
    let mut text = each.collect::<Vec<_>>().join("; ");
    if thread.gone_more > 0 {
        text.push_str(&format!("; and {} more", thread.gone_more));
    }
    text.push('.');
    (title, text)
}

/// Flapping began or ended.
pub(super) fn flapping(entry: &Entry, flapping: Flapping, flaps: bool) -> (String, String) {
    let name = &entry.face.name;
    if flaps {
        let text = format!(
            "{} changes within {}. You are told when nothing has changed for {}.",
            flapping.changes,
            duration_text(flapping.within),
            duration_text(flapping.quiet)
        );
        return (format!("{name} is flapping"), text);
    }
    (format!("{name} is no longer flapping, and still bad"), sentence(&entry.cause))
}

/// It still lasts.
pub(super) fn reminder(thread: &Thread, members: &[&Entry]) -> (String, String) {
    let title = match members {
        [one] => format!("Still: {}", one.face.name),
        several => format!("Still: {} of {} alerts ({})", several.len(), thread.total, thread.rule),
    };
    let causes: Vec<String> =
        members.iter().take(MAX_SUBJECTS).map(|e| format!("{}: {}", e.face.name, e.cause)).collect();
    let hidden = members.len() - causes.len();
    (title, format!("{}.", listed(&causes, hidden)))
}

/// What a limit held back.
pub(super) fn digest(held: &[Backlog]) -> (String, String) {
    let (over, open): (Vec<&Backlog>, Vec<&Backlog>) = held.iter().partition(|h| h.over);
    let size = |list: &[&Backlog]| list.iter().map(|h| h.names.len() + h.more).sum::<usize>();
    let title = format!(
        "{} held back: {} last, {} are over",
        counted(held.len(), "message was", "messages were"),
        size(&open),
        size(&over)
    );
    let mut text = "More came than the limit of this channel allows.".to_owned();
    for (list, what) in [(&open, "Bad"), (&over, "Over meanwhile")] {
        let names: Vec<String> =
            list.iter().flat_map(|h| h.names.iter().map(|n| format!("{n} ({})", h.rule))).take(MAX_SUBJECTS).collect();
        if !names.is_empty() {
            let hidden = size(list) - names.len();
            text.push_str(&format!(" {what}: {}.", listed(&names, hidden)));
        }
    }
    (title, text)
}

fn listed<T: AsRef<str>>(names: &[T], hidden: usize) -> String {
    let all = names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if hidden > 0 { format!("{all} and {hidden} more") } else { all }
}

fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// With a capital letter and a stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return String::new() };
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{}{}{stop}", first.to_uppercase(), letters.as_str())
}

/// A duration as people say it: its two greatest units.
fn spoken(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}
