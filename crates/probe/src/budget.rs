//! What is left of an API's patience: one budget for each account, whichever targets use it, so that together they never ask
//! more than the API allows. Owns the reading of rate headers and for how long nobody asks; asks nothing itself.

use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use model::address::Address;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::secret::Secret;
use model::time::UtcMs;
use tokio::time::Instant;

use crate::api::Answer;

/// The part of the allowed requests that is left to others who use the same account: a tenth.
const RESERVE_SHARE: u64 = 10;
/// Least reserve: what people do by hand in a moment.
const LEAST_RESERVE: u64 = 2;
/// Longest pause because of a reserve: some APIs always name a time a quarter of an hour away, so one request looks again.
const MAX_RESERVE_PAUSE: Duration = Duration::from_secs(60);
/// Pause after a refusal (429) that names none.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
/// Longest pause that is believed.
const MAX_PAUSE: Duration = Duration::from_secs(3_600);

/// The budget of one account.
pub(crate) struct Budget {
    /// Host and port of the API, and whose account it is.
    account: (String, Option<u16>, Secret),
    pause: Mutex<Option<Pause>>,
}

#[derive(Clone)]
struct Pause {
    until: Instant,
    why: String,
}

/// Budgets that some probe holds; the others are gone.
static BUDGETS: LazyLock<Mutex<Vec<Weak<Budget>>>> = LazyLock::new(Mutex::default);

impl Budget {
    /// The budget of `secret` at the API of `address`.
    pub(crate) fn of(address: &Address, secret: &Secret) -> Arc<Self> {
        let account = (address.host().to_owned(), address.port(), secret.clone());
        let mut budgets = BUDGETS.lock().unwrap_or_else(PoisonError::into_inner);
        budgets.retain(|budget| budget.strong_count() > 0);
        if let Some(known) = budgets.iter().filter_map(Weak::upgrade).find(|budget| budget.account == account) {
            return known;
        }
        let budget = Arc::new(Self { account, pause: Mutex::default() });
        budgets.push(Arc::downgrade(&budget));
        budget
    }

    /// Nobody asks for this long.
    pub(crate) fn rest(&self, how_long: Duration, why: impl Into<String>) {
        let until = Instant::now() + how_long.min(MAX_PAUSE);
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = Some(Pause { until, why: why.into() });
    }

    /// Why nobody asks now, and for how long.
    pub(crate) fn resting(&self) -> Option<(Duration, String)> {
        let pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let left = pause.until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some((left, pause.why))
    }

    /// The fault of a look that may not ask and remembers nothing: it is about us, and says nothing of the target.
    pub(crate) fn fault(left: Duration, why: &str) -> Fault {
        let seconds = left.as_secs_f64().ceil();
        let words = format!("{why}; nothing fresh is known, the next question is in {seconds} s");
        Fault::new(FaultKind::Internal, Phase::FirstByte, words)
    }

    /// Reads what the answer says of requests left (`X-RateLimit-*`), and whether it refuses more (429, `Retry-After`).
    pub(crate) fn read(&self, answer: &Answer, now: UtcMs) {
        let number = |name| answer.header(name).and_then(|text| text.trim().parse::<u64>().ok());
        if answer.status == 429 {
            let pause = number("retry-after").map_or(REFUSED_PAUSE, Duration::from_secs);
            self.rest(pause.max(Duration::from_secs(1)), "the API refuses more requests (status 429)");
            return;
        }
        let (Some(left), limit) = (number("x-ratelimit-remaining"), number("x-ratelimit-limit")) else { return };
        let reserve = limit.map_or(LEAST_RESERVE, |limit| (limit / RESERVE_SHARE).max(LEAST_RESERVE));
        if left <= reserve {
            let reset = answer.header("x-ratelimit-reset").and_then(reset_ms);
            let pause = reset.and_then(|at| u64::try_from(at - now.0).ok()).map(Duration::from_millis);
            let of = limit.map_or(String::new(), |limit| format!(" of {limit}"));
            let why = format!("the API allows {left}{of} more requests, which are left to others");
            self.rest(pause.unwrap_or(MAX_RESERVE_PAUSE).min(MAX_RESERVE_PAUSE), why);
        }
    }
}

/// Milliseconds since 1970 of a reset: a number of seconds since then, or a date.
fn reset_ms(text: &str) -> Option<i64> {
    match text.trim().parse::<i64>() {
        Ok(seconds) => seconds.checked_mul(1_000),
        Err(_) => wire::m3u8::parse_date(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_are_numbers_or_dates() {
        for (text, expected) in [
            ("1700000000", Some(1_700_000_000_000)),
            ("2023-11-14T22:13:20+00:00", Some(1_700_000_000_000)),
            ("soon", None),
            ("9223372036854775807", None),
        ] {
            assert_eq!(reset_ms(text), expected, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_rests_for_all_who_use_it() {
        let address = |text| Address::parse(text).expect("a good URL");
        let secret = Secret::new("t0ken");
        let one = Budget::of(&address("https://api.example.com/a"), &secret);
        let same = Budget::of(&address("https://api.example.com/b"), &secret);
        let other = Budget::of(&address("https://api.example.com/a"), &Secret::new("another"));
        one.rest(Duration::from_secs(5), "enough");
        assert_eq!(same.resting(), Some((Duration::from_secs(5), "enough".to_owned())));
        assert_eq!(other.resting(), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(one.resting(), None);
        one.rest(Duration::MAX, "enough");
        assert_eq!(one.resting().map(|(left, _)| left), Some(MAX_PAUSE));
    }
}
