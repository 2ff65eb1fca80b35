//! Kind `push`: a dead man's switch. Others call a URL of this server; a call that does not come in time is the fault. Owns what
//! calls and their absence mean.
//!
//! A look reads the inbox and opens nothing. Whoever receives a call asks for a look at once, and so does the clock when a
//! call is overdue; the cadence of the target only refreshes what is shown.

use std::sync::Arc;
use std::time::Duration;

use model::conf::words::duration_text;
use model::conf::{Field, Problem, Section, Type};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Reading, Severity, fact};
use model::target::{Target, TargetId};
use model::time::Mono;
use net::attempt::Attempt;

use crate::commands::is_name;
use crate::gear::Gear;
use crate::kind::{BoxFuture, Kind, Probe, options_node};
use crate::push::{Arrived, Inbox, Known, Says, token_flaw};

/// Longest time between two calls.
const MAX_PERIOD: Duration = Duration::from_secs(366 * 86_400);

static FIELDS: [Field; 3] = [
    Field::new(
        "token",
        Type::Secret,
        "Secret part of the URL that is called: 22 to 128 letters, digits, `-` or `_`, at random. `streampulse push-token` prints one; the page makes one by itself. Never shown but to administrators. Every push target needs one.",
    ),
    Field::new(
        "period",
        Type::Duration { min: Duration::from_secs(1), max: MAX_PERIOD },
        "How far apart calls are at most.",
    )
    .default("1m"),
    Field::new(
        "grace",
        Type::Duration { min: Duration::ZERO, max: MAX_PERIOD },
        "How much later than that a call may be.",
    )
    .default("15s"),
];

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "push",
    schemes: &["push"],
    summary: "Dead man's switch: others call a URL of this server, and a call that does not come in time is the fault",
    example: "\
name: Nightly backup
url: push://backup
kind: push
token: 3q2-7w_Hf9Kx0ZbV5nTjRe
period: 1d
grace: 1h
",
    media: false,
    holds: false,
    fields: &FIELDS,
    build: |target| Ok(Box::new(Push::new(target)?)),
    guess: |address| u8::from(address.scheme() == "push"),
};

/// A target of this kind.
struct Push {
    id: TargetId,
    period: Duration,
    grace: Duration,
    inbox: Arc<Inbox>,
}

impl Push {
    fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        let address = &target.address;
        let bare = address.path_and_query() == "/" && address.port().is_none() && address.credentials().is_none();
        if !is_name(address.host()) || !bare {
            let problem = Problem::new(None, "url", "the URL of a push target is push:// and a name, and nothing else");
            problems.push(problem.with_remedy("as in push://backup; callers use another URL, which the page shows"));
        }
        let flaw = match options.secret("token") {
            Some(token) => token_flaw(token.expose()),
            None => Some("token is missing".to_owned()),
        };
        if let Some(flaw) = flaw {
            problems.push(Problem::new(None, "token", flaw).with_remedy("`streampulse push-token` prints a good one"));
        }
        let (period, grace) =
            (options.duration("period").unwrap_or_default(), options.duration("grace").unwrap_or_default());
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { id: target.id.clone(), period, grace, inbox: Arc::default() })
    }

    fn judge(&self, seen: &Known, now: Mono, reading: &mut Reading) -> Result<(), Fault> {
        if let Some((at, _)) = seen.running_since {
            reading.time(fact::RUN_STARTED_AT, at);
        }
        let fault = |kind, words: String| Err(Fault::new(kind, Phase::Check, words));
        let wait = self.period.saturating_add(self.grace);
        let expected = format!("expected every {}", self.words());
        let Some(last) = &seen.last else {
            let waited = now.0.saturating_sub(seen.since.0);
            return if waited > wait {
                fault(FaultKind::Stale, format!("no call came within {}, {expected}", rounded(waited)))
            } else {
                fault(FaultKind::Unclear, "waiting for the first call".to_owned())
            };
        };
        tell(last, reading);
        let waited = now.0.saturating_sub(last.waited_from.0);
        if last.overdue {
            return fault(FaultKind::Stale, format!("the newest call was overdue before the restart, {expected}"));
        }
        if waited > wait {
            return fault(FaultKind::Stale, format!("no call for {}, {expected}", rounded(waited)));
        }
        let said = |else_: &str| match (last.call.message.as_str(), last.call.exit_code) {
            ("", Some(code)) => format!("{else_} with exit code {code}"),
            ("", None) => else_.to_owned(),
            (words, _) => words.to_owned(),
        };
        match last.call.says {
            Says::Up | Says::Start => Ok(()),
            Says::Warn => {
                reading.find("reported_warning", Severity::Warning, said("the caller reports a warning"));
                Ok(())
            }
            Says::Down => fault(FaultKind::Reported, said("the caller reports a failure")),
        }
    }

    fn words(&self) -> String {
        match self.grace {
            Duration::ZERO => duration_text(self.period),
            grace => format!("{} and {} late at most", duration_text(self.period), duration_text(grace)),
        }
    }
}

/// A time for people, in the unit in which it is a small number.
fn rounded(time: Duration) -> String {
    match time.as_secs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    }
}

/// Writes down the newest call.
#[allow(clippy::cast_precision_loss)] // a run of 2^53 ms is none
fn tell(last: &Arrived, reading: &mut Reading) {
    reading.time(fact::LAST_CALL_AT, last.at);
    if !last.call.message.is_empty() {
        reading.text(fact::MESSAGE, last.call.message.clone());
    }
    if let Some(code) = last.call.exit_code {
        reading.int(fact::EXIT_CODE, code.into());
    }
    if let Some(ms) = last.call.ping_ms {
        reading.num(fact::REPORTED_PING_MS, ms);
    }
    if let Some(took) = last.ran_for {
        reading.num(fact::RUN_TOOK_MS, took.as_millis() as f64);
    }
}

impl Probe for Push {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let now = at.mono();
            let seen = self.inbox.see(&self.id, self.period.saturating_add(self.grace), now);
            at.run(Phase::Check, std::future::ready(self.judge(&seen, now, reading))).await
        })
    }

    fn equip(&mut self, gear: &Gear) {
        self.inbox = Arc::clone(&gear.inbox);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::Call;
    use model::time::UtcMs;

    fn s(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    /// What looks at these times say, after calls at these times.
    fn looks(calls: &[(u64, Call)], at: &[u64]) -> Vec<String> {
        let id = TargetId::parse("t").expect("valid");
        let (period, grace) = (Duration::from_secs(60), Duration::from_secs(10));
        let push = Push { id: id.clone(), period, grace, inbox: Arc::default() };
        push.inbox.see(&id, period + grace, s(0));
        let mut calls = calls.iter().peekable();
        let look = |time: &u64| {
            while let Some((when, call)) = calls.next_if(|(when, _)| when <= time) {
                push.inbox.note(&id, call.clone(), UtcMs(1), s(*when));
            }
            let mut reading = Reading::default();
            let seen = push.inbox.see(&id, period + grace, s(*time));
            match push.judge(&seen, s(*time), &mut reading) {
                Ok(()) => reading.findings.first().map_or("up".to_owned(), |f| f.text.clone()),
                Err(fault) => format!("{}: {}", fault.kind, fault.detail),
            }
        };
        at.iter().map(look).collect()
    }

    #[test]
    fn calls_and_their_absence() {
        let up = Call::new(Says::Up);
        assert_eq!(
            looks(&[], &[0, 70, 71]),
            [
                "unclear: waiting for the first call",
                "unclear: waiting for the first call",
                "stale: no call came within 71 s, expected every 1m and 10s late at most"
            ]
        );
        assert_eq!(
            looks(&[(5, up.clone()), (80, up)], &[5, 75, 76, 80]),
            ["up", "up", "stale: no call for 71 s, expected every 1m and 10s late at most", "up"]
        );
    }

    #[test]
    fn what_callers_say() {
        let words = |says| Call { message: "disk full".to_owned(), ..Call::new(says) };
        let code = Call { exit_code: Some(7), ..Call::new(Says::Down) };
        let calls = [
            (1, words(Says::Down)),
            (2, words(Says::Warn)),
            (3, code),
            (4, Call::new(Says::Start)),
            (5, Call::new(Says::Up)),
        ];
        assert_eq!(
            looks(&calls, &[1, 2, 3, 4, 5]),
            [
                "reported: disk full",
                "disk full",
                "reported: the caller reports a failure with exit code 7",
                "reported: the caller reports a failure with exit code 7",
                "up"
            ]
        );
    }
}
