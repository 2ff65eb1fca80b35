//! How many messages a channel may get: no more than its limit in any hour, half of it at once, the other half as time goes
//! by, so that a digest does not wait for an hour. Pure.

use super::entry::Tick;

const HOUR_MS: Tick = 3_600_000;

/// What a channel has left. In a bucket that is full at first, and that is filled again within an hour: what is taken in any
/// hour is at most what it holds and what comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pace {
    /// Parts of messages that were taken and are not filled in again, in milliseconds of filling.
    owed: Tick,
    at: Tick,
}

impl Pace {
    /// Takes one message of `limit` in an hour, else says when there is one.
    pub(crate) fn take(&mut self, limit: u32, now: Tick) -> Result<(), Tick> {
        // One is the least that half of a limit can be.
        let holds = Tick::from((limit / 2).max(1));
        let fill = HOUR_MS / holds;
        self.owed = self.owed.saturating_sub(now.saturating_sub(self.at).max(0)).max(0);
        self.at = now;
        let room = holds * fill - self.owed;
        if room < fill {
            return Err(now + fill - room);
        }
        self.owed += fill;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hour_has_more_than_the_limit() {
        for limit in [2, 4, 7, 60] {
            let (mut pace, mut taken) = (Pace::default(), Vec::new());
            for at in (0..4 * HOUR_MS).step_by(1_000) {
                while pace.take(limit, at).is_ok() {
                    taken.push(at);
                }
            }
            for from in &taken {
                let within = taken.iter().filter(|at| (*from..*from + HOUR_MS).contains(*at)).count();
                assert!(within <= limit as usize, "{limit}: {within} in the hour from {from}");
            }
            assert_eq!(taken.iter().filter(|at| **at == 0).count(), (limit / 2) as usize);
        }
    }

    #[test]
    fn it_says_when_there_is_room() {
        let mut pace = Pace::default();
        assert_eq!((pace.take(4, 0), pace.take(4, 0)), (Ok(()), Ok(())));
        assert_eq!(pace.take(4, 1_000), Err(1_800_000));
        assert_eq!(pace.take(4, 1_799_999), Err(1_800_000));
        assert_eq!(pace.take(4, 1_800_000), Ok(()));
    }
}
