//! What was pushed: the newest call of every target of the kind `push`, between whoever receives calls and the look that
//! reads them. Owns that and nothing else: it judges nothing, and nothing in it reaches a disk.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::fault::FaultKind;
use model::observation::Observation;
use model::reading::{FactValue, fact};
use model::secret::Secret;
use model::target::{Target, TargetId};
use model::time::{Mono, UtcMs};
use tokio::sync::Notify;

/// Shortest token that is accepted: 22 letters of Base64 hold 128 bits.
pub const MIN_TOKEN_BYTES: usize = 22;
/// Longest token.
pub const MAX_TOKEN_BYTES: usize = 128;
/// Fewest different letters of a token: random ones have more, typed ones mostly fewer.
const MIN_TOKEN_LETTERS: usize = 10;
/// Longest message of a call that is kept, in bytes; what is longer is cut.
pub const MAX_MESSAGE_BYTES: usize = 200;

/// Why a text is no token, in words; `None` when it is one. Strength cannot be measured: this refuses what is surely weak.
#[must_use]
pub fn token_flaw(token: &str) -> Option<String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let letters: std::collections::BTreeSet<u8> = token.bytes().collect();
    if !(MIN_TOKEN_BYTES..=MAX_TOKEN_BYTES).contains(&token.len()) {
        return Some(format!(
            "the token has {} letters, {MIN_TOKEN_BYTES} to {MAX_TOKEN_BYTES} are accepted",
            token.len()
        ));
    }
    if !token.bytes().all(good) {
        return Some("the token holds other signs than letters, digits, `-` and `_`".to_owned());
    }
    (letters.len() < MIN_TOKEN_LETTERS).then(|| "the token can be guessed: it repeats a few letters".to_owned())
}

/// The token of a target of the kind `push`; `None` for all others.
#[must_use]
pub fn token_of(target: &Target) -> Option<Secret> {
    let token = target.options.0.get("token").filter(|_| is_push(target))?;
    model::conf::section::scalar(token).map(Secret::new)
}

/// Whether calls are waited for: a call that is overdue has had its time, so that the first look that sees it decides.
#[must_use]
pub fn is_push(target: &Target) -> bool {
    target.kind == crate::kinds::push::KIND.name
}

/// What a caller says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// All is well.
    Up,
    /// It works, with something to look at.
    Warn,
    /// It failed.
    Down,
    /// A run has begun; its end will be told. No sign of life by itself.
    Start,
}

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// How it is.
    pub says: Says,
    /// In words; empty when there are none.
    pub message: String,
    /// How long something took, in milliseconds, by the caller's own measure.
    pub ping_ms: Option<f64>,
    /// Exit code of what ran.
    pub exit_code: Option<u8>,
}

impl Call {
    /// A call without words.
    #[must_use]
    pub fn new(says: Says) -> Self {
        Self { says, message: String::new(), ping_ms: None, exit_code: None }
    }

    /// The call that the newest observation before a restart tells of, with its time and whether it was overdue then.
    fn of(seen: &Observation, warned: bool) -> Option<(UtcMs, Self, bool)> {
        let facts = &seen.look.reading.facts;
        let Some(FactValue::Time(at)) = facts.get(fact::LAST_CALL_AT) else { return None };
        let kind = seen.look.fault.as_ref().map(|f| f.kind);
        let says = match kind {
            Some(FaultKind::Reported) => Says::Down,
            _ if warned => Says::Warn,
            _ => Says::Up,
        };
        let message = match facts.get(fact::MESSAGE) {
            Some(FactValue::Text(text)) => text.clone(),
            _ => String::new(),
        };
        let exit_code = match facts.get(fact::EXIT_CODE) {
            Some(FactValue::Int(code)) => u8::try_from(*code).ok(),
            _ => None,
        };
        Some((*at, Self { message, exit_code, ..Self::new(says) }, kind == Some(FaultKind::Stale)))
    }
}

/// A call with its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrived {
    /// When it came, for people.
    pub at: UtcMs,
    /// From when on the next one is waited for: when it came, or when this process began.
    pub waited_from: Mono,
    /// The call.
    pub call: Call,
    /// The next one was overdue before a restart: a restart is no call.
    pub overdue: bool,
    /// How long the run took that ended with it, where its beginning was told.
    pub ran_for: Option<Duration>,
}

/// What is known of a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Since when calls are waited for in this process.
    pub since: Mono,
    /// The newest call that was no beginning.
    pub last: Option<Arrived>,
    /// When a run began whose end was not told yet.
    pub running_since: Option<(UtcMs, Mono)>,
    /// Calls since the start of the process.
    pub calls: u64,
    /// A look has still to see the newest call.
    fresh: bool,
    /// How often a look was asked for since.
    asked: u32,
    /// How long the next call may take, as the newest look had it.
    wait: Option<Duration>,
    /// Somebody was told that the time is over.
    told: bool,
}

impl Known {
    fn new(since: Mono) -> Self {
        Self { since, last: None, running_since: None, calls: 0, fresh: false, asked: 0, wait: None, told: false }
    }

    fn wants_a_look(&self) -> bool {
        self.fresh && self.asked < MAX_ASKS
    }

    /// When the next call is overdue; `None` when that is not known or over already.
    fn deadline(&self) -> Option<Mono> {
        let from = self.last.as_ref().map_or(self.since, |l| l.waited_from);
        (!self.told).then_some(())?;
        Some(Mono(from.0.saturating_add(self.wait?)))
    }
}

/// How often a look is asked for after a call. After that the cadence of the target must do.
const MAX_ASKS: u32 = 50;

/// The newest call of every target.
#[derive(Debug, Default)]
pub struct Inbox {
    known: Mutex<BTreeMap<TargetId, Known>>,
    stirred: Notify,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TargetId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what was known before a restart, from the newest observation of a target and whether it was a warning.
    /// The next call has its whole time from now on: while this process did not run, nobody could call.
    pub fn restore(&self, seen: &Observation, warned: bool, now: Mono) {
        let Some((at, call, overdue)) = Call::of(seen, warned) else { return };
        let mut known = Known::new(now);
        known.last = Some(Arrived { at, waited_from: now, call, overdue, ran_for: None });
        self.lock().insert(seen.target.clone(), known);
    }

    /// A call came. Only for targets that exist: the caller has looked the token up.
    pub fn note(&self, target: &TargetId, mut call: Call, at: UtcMs, now: Mono) {
        call.message.retain(|c| !c.is_control());
        call.message.truncate(call.message.floor_char_boundary(MAX_MESSAGE_BYTES));
        let mut all = self.lock();
        let known = all.entry(target.clone()).or_insert_with(|| Known::new(now));
        known.calls += 1;
        (known.fresh, known.asked, known.told) = (true, 0, false);
        if call.says == Says::Start {
            known.running_since = Some((at, now));
        } else {
            let ran_for = known.running_since.take().map(|(_, since)| now.0.saturating_sub(since.0));
            known.last = Some(Arrived { at, waited_from: now, call, overdue: false, ran_for });
        }
        drop(all);
        self.stirred.notify_one();
    }

    /// What a look sees of a target whose calls may be `wait` apart.
    pub fn see(&self, target: &TargetId, wait: Duration, now: Mono) -> Known {
        let mut all = self.lock();
        let known = all.entry(target.clone()).or_insert_with(|| Known::new(now));
        let (news, was) = (known.wait != Some(wait), known.fresh);
        (known.fresh, known.wait) = (false, Some(wait));
        known.told &= !news;
        let seen = known.clone();
        drop(all);
        if news || was {
            self.stirred.notify_one(); // there is another deadline
        }
        seen
    }

    /// Forgets targets that are no more.
    pub fn retain(&self, keep: impl Fn(&TargetId) -> bool) {
        self.lock().retain(|target, _| keep(target));
    }

    /// Targets that want a look now, since a call came or one is overdue, and when the next will be overdue. A target
    /// with a call is named until a look has seen it, one that is overdue once.
    pub fn due(&self, now: Mono) -> (Vec<TargetId>, Option<Mono>) {
        let (mut due, mut next) = (Vec::new(), None::<Mono>);
        for (target, known) in self.lock().iter_mut() {
            match known.deadline() {
                Some(at) if at < now => {
                    known.told = true;
                    due.push(target.clone());
                }
                _ if known.wants_a_look() => {
                    known.asked += 1;
                    due.push(target.clone());
                }
                Some(at) => next = Some(next.map_or(at, |n| n.min(at))),
                None => {}
            }
        }
        (due, next)
    }

    /// Whether a call waits to be seen by a look.
    pub fn is_unseen(&self) -> bool {
        self.lock().values().any(Known::wants_a_look)
    }

    /// Comes back when [`Inbox::due`] may have another answer.
    pub async fn stirred(&self) {
        self.stirred.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    fn id() -> TargetId {
        TargetId::parse("t").expect("valid")
    }

    const WAIT: Duration = Duration::from_secs(60);

    #[test]
    fn a_call_wants_a_look_until_one_has_seen_it() {
        let inbox = Inbox::default();
        inbox.see(&id(), WAIT, at(0));
        assert_eq!(inbox.due(at(1)), (vec![], Some(at(60))));
        inbox.note(&id(), Call::new(Says::Up), UtcMs(5), at(2));
        assert_eq!(inbox.due(at(2)).0, [id()]);
        assert_eq!(inbox.due(at(2)).0, [id()], "still unseen");
        let seen = inbox.see(&id(), WAIT, at(3));
        assert_eq!((seen.calls, seen.last.map(|l| l.at)), (1, Some(UtcMs(5))));
        assert_eq!(inbox.due(at(3)), (vec![], Some(at(62))));
    }

    #[test]
    fn an_overdue_call_is_told_once() {
        let inbox = Inbox::default();
        inbox.note(&id(), Call::new(Says::Up), UtcMs(5), at(0));
        inbox.see(&id(), WAIT, at(0));
        assert_eq!(inbox.due(at(60)), (vec![], Some(at(60))), "just in time is in time");
        assert_eq!(inbox.due(at(61)), (vec![id()], None));
        assert_eq!(inbox.due(at(62)), (vec![], None));
        inbox.note(&id(), Call::new(Says::Up), UtcMs(6), at(70));
        inbox.see(&id(), WAIT, at(70));
        assert_eq!(inbox.due(at(70)).1, Some(at(130)), "a call begins the wait anew");
        inbox.see(&id(), WAIT * 2, at(71));
        assert_eq!(inbox.due(at(71)).1, Some(at(190)), "and so does another period");
    }

    #[test]
    fn a_beginning_is_no_sign_of_life_and_its_end_tells_how_long_it_took() {
        let inbox = Inbox::default();
        inbox.see(&id(), WAIT, at(0));
        inbox.note(&id(), Call::new(Says::Start), UtcMs(1), at(10));
        let seen = inbox.see(&id(), WAIT, at(10));
        assert_eq!((seen.last, seen.running_since), (None, Some((UtcMs(1), at(10)))));
        assert_eq!(inbox.due(at(11)).1, Some(at(60)));
        inbox.note(&id(), Call::new(Says::Up), UtcMs(2), at(15));
        let seen = inbox.see(&id(), WAIT, at(15));
        assert_eq!(seen.last.and_then(|l| l.ran_for), Some(Duration::from_secs(5)));
        assert_eq!(seen.running_since, None);
    }

    #[test]
    fn words_are_short_and_in_one_line() {
        let inbox = Inbox::default();
        let message = format!("a\nb\u{1b}[31m{}", "ö".repeat(500));
        inbox.note(&id(), Call { message, ..Call::new(Says::Down) }, UtcMs(1), at(0));
        let text = inbox.see(&id(), WAIT, at(0)).last.expect("it came").call.message;
        assert!(text.starts_with("ab[31mö") && text.len() <= MAX_MESSAGE_BYTES, "{text}");
        inbox.retain(|_| false);
        assert_eq!(inbox.due(at(1000)), (vec![], None));
    }

    #[test]
    fn weak_tokens_are_refused() {
        for token in [
            "",
            "short",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "with space with space wi",
            "ä2345678901234567890123456",
            &"abcdefghijkl".repeat(11),
        ] {
            assert!(token_flaw(token).is_some(), "{token}");
        }
        assert_eq!(token_flaw("3q2-7w_Hf9Kx0ZbV5nTjRe"), None);
    }
}
