//! Whose turn it is among the messages that wait for one channel. Pure.
//!
//! They go in order, and one that fails is waited for. But a message that its receiver does not take again and again (an
//! answer 500 to this very text, say) must not keep back what comes after it for a day: after [`STEP_ASIDE`] failures it
//! steps aside, and is tried when its time has come. What is about the same alert stays behind it: nobody is told of a
//! recovery before the trouble.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use store::LetterRow;

/// Failures after which a message lets others pass: some two and a half minutes, in which most receivers are back.
pub(super) const STEP_ASIDE: u32 = 5;
/// Messages among which the turn is sought: more than a receiver refuses one by one.
pub(super) const PAGE: usize = 200;

/// Whose turn it is, oldest first in `letters`, and how long it still has to wait; `left` tells that of any.
pub(super) fn turn(letters: &[LetterRow], left: impl Fn(&LetterRow) -> Duration) -> Option<(&LetterRow, Duration)> {
    let (mut aside, mut behind) = (None::<(&LetterRow, Duration)>, BTreeSet::new());
    for letter in letters {
        let wait = left(letter);
        // The usual case costs nothing: the oldest one that has not stepped aside.
        if behind.is_empty() && letter.attempts < STEP_ASIDE {
            return Some((letter, wait));
        }
        let follows = !behind.insert(alert_of(letter));
        if follows {
            continue;
        }
        if letter.attempts < STEP_ASIDE || wait.is_zero() {
            // A fresh one may pass, unless an older one is tried sooner.
            let sooner = aside.filter(|(_, other)| *other < wait);
            return sooner.or(Some((letter, wait)));
        }
        if aside.is_none_or(|(_, other)| wait < other) {
            aside = Some((letter, wait));
        }
    }
    aside
}

/// Which alert a message is about; what cannot be read is about itself.
fn alert_of(letter: &LetterRow) -> String {
    let alert = serde_json::from_str::<Value>(&letter.letter.json).ok();
    let alert = alert.as_ref().and_then(|v| v.get("alert")).and_then(Value::as_str).map(str::to_owned);
    alert.unwrap_or_else(|| letter.letter.key.clone())
}

#[cfg(test)]
mod tests {
    use model::time::UtcMs;
    use store::{Letter, LetterState};

    use super::*;

    /// `alert attempts left` of each, oldest first.
    fn whose(letters: &[(&str, u32, u64)]) -> Option<(i64, u64)> {
        let rows: Vec<LetterRow> = (0..)
            .zip(letters)
            .map(|(row, (alert, attempts, left))| LetterRow {
                row,
                letter: Letter {
                    channel: "c".to_owned(),
                    key: format!("k{row}"),
                    json: format!("{{\"alert\":\"{alert}\"}}"),
                },
                state: LetterState::Waiting,
                attempts: *attempts,
                next_at: UtcMs(i64::try_from(*left).expect("small")),
                last_error: None,
                created_at: UtcMs(0),
                done_at: None,
            })
            .collect();
        let left = |letter: &LetterRow| Duration::from_millis(letter.next_at.0.unsigned_abs());
        turn(&rows, left).map(|(letter, wait)| (letter.row, u64::try_from(wait.as_millis()).expect("small")))
    }

    #[test]
    fn in_order_until_one_steps_aside() {
        for (letters, expected) in [
            (&[][..], None),
            (&[("a", 0, 0), ("b", 0, 0)], Some((0, 0))),
            (&[("a", 4, 80), ("b", 0, 0)], Some((0, 80))),
            (&[("a", 5, 80), ("b", 0, 0)], Some((1, 0))),
            (&[("a", 5, 0), ("b", 0, 0)], Some((0, 0))),
            (&[("a", 5, 80), ("a", 0, 0)], Some((0, 80))),
            (&[("a", 5, 80), ("a", 0, 0), ("b", 0, 0)], Some((2, 0))),
            (&[("a", 5, 80), ("b", 3, 40), ("c", 0, 0)], Some((1, 40))),
            (&[("a", 5, 20), ("b", 3, 40), ("c", 0, 0)], Some((0, 20))),
            (&[("a", 9, 80), ("b", 6, 70), ("c", 7, 90)], Some((1, 70))),
            (&[("a", 9, 80), ("b", 6, 70), ("c", 7, 0)], Some((2, 0))),
        ] {
            assert_eq!(whose(letters), expected, "{letters:?}");
        }
    }
}
