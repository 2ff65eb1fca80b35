//! The status of a target: a pure machine with thresholds. No other code sets a status.

use crate::phase::words;
use crate::time::UtcMs;
use crate::verdict::{Grade, Verdict};

words! {
    /// What is known of a target now.
    Status {
        /// Works as expected.
        Up = "up",
        /// Works, with something to look at.
        Degraded = "degraded",
        /// Does not work.
        Down = "down",
        /// Not known: not looked at yet, or nobody was looking.
        Unknown = "unknown",
        /// Not watched because somebody said so.
        Paused = "paused",
        /// Not judged because of planned work.
        Maintenance = "maintenance",
    }
}

impl Status {
    /// Whether time in this status counts as available (`Some(true)`), unavailable, or not at all (`None`).
    #[must_use]
    pub const fn counts_as(self) -> Option<bool> {
        match self {
            Self::Up | Self::Degraded => Some(true),
            Self::Down => Some(false),
            Self::Unknown | Self::Paused | Self::Maintenance => None,
        }
    }

    /// Whether an incident is open while in this status.
    #[must_use]
    pub const fn is_trouble(self) -> bool {
        matches!(self, Self::Down | Self::Degraded)
    }
}

/// Thresholds against flapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRules {
    /// Bad looks in a row until up becomes down (or degraded). At least 1.
    pub fail_after: u32,
    /// Good looks in a row until down (or degraded) becomes up. At least 1.
    pub recover_after: u32,
}

impl Default for StatusRules {
    /// One bad look may be chance, two in a row are not; the first good one is believed.
    fn default() -> Self {
        Self { fail_after: 2, recover_after: 1 }
    }
}

/// The machine's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusState {
    /// Now.
    pub status: Status,
    /// Since when.
    pub since: UtcMs,
    /// Why, in words; empty when up.
    pub reason: String,
    /// Looks in a row whose verdict was fail.
    pub fails: u32,
    /// Looks in a row whose verdict was warn or fail.
    pub troubles: u32,
    /// Looks in a row whose verdict was not fail.
    pub works: u32,
    /// Looks in a row whose verdict was pass.
    pub passes: u32,
}

impl StatusState {
    /// The beginning: nothing is known.
    #[must_use]
    pub fn unknown(since: UtcMs) -> Self {
        let reason = "not looked at yet".to_owned();
        Self { status: Status::Unknown, since, reason, fails: 0, troubles: 0, works: 0, passes: 0 }
    }
}

/// What moves the machine.
#[derive(Clone, Debug)]
pub enum StatusInput<'a> {
    /// A look was judged.
    Judged(&'a Verdict),
    /// A session was judged that was watched all the while and fell silent: it was not bad at one moment, it has been bad for a
    /// time. So it counts as many bad looks as a threshold asks for.
    Lasting(&'a Verdict),
    /// Somebody paused the target (or disabled it).
    Pause,
    /// Somebody resumed it.
    Resume,
    /// Planned work begins.
    MaintenanceBegins,
    /// Planned work ends.
    MaintenanceEnds,
    /// Nobody was looking (the process was not running).
    Blind,
}

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChange {
    /// Before.
    pub from: Status,
    /// After.
    pub to: Status,
    /// When.
    pub at: UtcMs,
    /// Why, in words.
    pub reason: String,
}

/// Moves `state` by one input at time `at`. `Some` exactly when the status changed.
///
/// From unknown the first look decides at once: there is nothing yet to protect from flapping.
pub fn advance(
    state: &mut StatusState,
    rules: StatusRules,
    input: &StatusInput<'_>,
    at: UtcMs,
) -> Option<StatusChange> {
    let (to, reason) = match input {
        StatusInput::Judged(verdict) | StatusInput::Lasting(verdict) => {
            if matches!(state.status, Status::Paused | Status::Maintenance) {
                return None; // A look that was under way when it was paused changes nothing.
            }
            if verdict.is_blind() {
                (Status::Unknown, verdict.headline().to_owned()) // We failed: a target is not down because of that.
            } else {
                count(state, verdict.grade);
                if matches!(input, StatusInput::Lasting(_)) {
                    last(state, rules);
                }
                (judged(state, rules, verdict.grade), verdict.headline().to_owned())
            }
        }
        StatusInput::Pause => (Status::Paused, "paused by the operator".to_owned()),
        StatusInput::MaintenanceBegins if state.status != Status::Paused => {
            (Status::Maintenance, "planned maintenance".to_owned())
        }
        StatusInput::Resume if state.status == Status::Paused => {
            (Status::Unknown, "resumed, not looked at yet".to_owned())
        }
        StatusInput::MaintenanceEnds if state.status == Status::Maintenance => {
            (Status::Unknown, "maintenance ended, not looked at yet".to_owned())
        }
        StatusInput::Blind if state.status.counts_as().is_some() => {
            (Status::Unknown, "StreamPulse was not running".to_owned())
        }
        _ => return None,
    };
    if to == state.status {
        if matches!(input, StatusInput::Judged(_) | StatusInput::Lasting(_)) {
            state.reason = reason;
        }
        return None;
    }
    let change = StatusChange { from: state.status, to, at, reason: reason.clone() };
    state.status = to;
    state.since = at;
    state.reason = reason;
    if to.counts_as().is_none() {
        (state.fails, state.troubles, state.works, state.passes) = (0, 0, 0, 0);
    }
    Some(change)
}

fn count(state: &mut StatusState, grade: Grade) {
    let next = |run: u32, goes_on: bool| if goes_on { run.saturating_add(1) } else { 0 };
    state.fails = next(state.fails, grade == Grade::Fail);
    state.troubles = next(state.troubles, grade != Grade::Pass);
    state.works = next(state.works, grade != Grade::Fail);
    state.passes = next(state.passes, grade == Grade::Pass);
}

/// What began to be bad just now has been so for as long as the threshold asks for.
fn last(state: &mut StatusState, rules: StatusRules) {
    for run in [&mut state.fails, &mut state.troubles].into_iter().filter(|run| **run > 0) {
        *run = (*run).max(rules.fail_after);
    }
}

fn judged(state: &StatusState, rules: StatusRules, grade: Grade) -> Status {
    let (bad, good) = (rules.fail_after.max(1), rules.recover_after.max(1));
    match state.status {
        Status::Down if state.passes >= good => Status::Up,
        Status::Down if state.works >= good => Status::Degraded,
        Status::Degraded if state.fails >= bad => Status::Down,
        Status::Degraded if state.passes >= good => Status::Up,
        Status::Up if state.fails >= bad => Status::Down,
        Status::Up if state.troubles >= bad && state.works > 0 => Status::Degraded,
        Status::Up | Status::Down | Status::Degraded => state.status,
        Status::Unknown | Status::Paused | Status::Maintenance => match grade {
            Grade::Pass => Status::Up,
            Grade::Warn => Status::Degraded,
            Grade::Fail => Status::Down,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Reason;

    fn verdict(grade: Grade) -> Verdict {
        let reasons =
            if grade == Grade::Pass { vec![] } else { vec![Reason { grade, check: "x", text: "why".into() }] };
        Verdict { grade, reasons }
    }

    fn internal() -> Verdict {
        let reasons = vec![Reason { grade: Grade::Fail, check: "internal", text: "out of files".into() }];
        Verdict { grade: Grade::Fail, reasons }
    }

    /// Letters: p(ass) w(arn) f(ail) i(nternal) s(ilent for a time), P(ause) R(esume), B(lind), m/M maintenance ends/begins. Answer: status after each.
    fn run(rules: StatusRules, inputs: &str) -> String {
        let mut s = StatusState::unknown(UtcMs(0));
        let mut out = String::new();
        for (i, c) in inputs.chars().enumerate() {
            let v = match c {
                'w' => verdict(Grade::Warn),
                'f' | 's' => verdict(Grade::Fail),
                'i' => internal(),
                _ => verdict(Grade::Pass),
            };
            let input = match c {
                'P' => StatusInput::Pause,
                'R' => StatusInput::Resume,
                'B' => StatusInput::Blind,
                'M' => StatusInput::MaintenanceBegins,
                'm' => StatusInput::MaintenanceEnds,
                's' => StatusInput::Lasting(&v),
                _ => StatusInput::Judged(&v),
            };
            let before = s.status;
            let at = UtcMs(i64::try_from(i).expect("small") + 1);
            let change = advance(&mut s, rules, &input, at);
            assert_eq!(change.is_some(), before != s.status);
            assert!(change.is_none_or(|c| c.at == s.since && c.to == s.status));
            out.push(match s.status {
                Status::Up => 'U',
                Status::Degraded => 'G',
                Status::Down => 'D',
                Status::Unknown => '?',
                Status::Paused => 'P',
                Status::Maintenance => 'M',
            });
        }
        out
    }

    #[test]
    fn thresholds_decide() {
        let rules = |fail_after, recover_after| StatusRules { fail_after, recover_after };
        for (r, inputs, wanted) in [
            (rules(2, 1), "pfpffp", "UUUUDU"),
            (rules(1, 1), "pfp", "UDU"),
            (rules(3, 2), "pffffpfpp", "UUUDDDDDU"),
            (rules(2, 1), "f", "D"),
            (rules(2, 1), "w", "G"),
            (rules(2, 1), "pwwp", "UUGU"),
            (rules(2, 2), "pwwpp", "UUGGU"),
            (rules(2, 1), "pffw", "UUDG"),
            (rules(2, 1), "wff", "GGD"),
            (rules(2, 1), "pwf", "UUU"),
            (rules(2, 1), "pfw", "UUG"),
            (rules(2, 1), "pPfRf", "UPP?D"),
            (rules(2, 1), "pBf", "U?D"),
            (rules(2, 1), "pMfmp", "UMM?U"),
            (rules(2, 1), "PMm", "PPP"),
            (rules(0, 0), "pfp", "UDU"),
            (rules(2, 1), "piip", "U??U"),
            (rules(2, 1), "ffif", "DD?D"),
            (rules(2, 1), "iPi", "?PP"),
            (rules(2, 1), "psp", "UDU"),
            (rules(5, 2), "psspp", "UDDDU"),
            (rules(3, 1), "pfs", "UUD"),
            (rules(3, 1), "wsw", "GDG"),
            (rules(2, 1), "s", "D"),
            (rules(0, 0), "ps", "UD"),
            (rules(2, 1), "pMsmp", "UMM?U"),
            (rules(2, 1), "pPsRp", "UPP?U"),
        ] {
            assert_eq!(run(r, inputs), wanted, "{inputs} {r:?}");
        }
    }
}
