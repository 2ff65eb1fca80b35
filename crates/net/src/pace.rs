//! Reading in ticks: whoever only watches a stream need not be woken for every packet of it. What has gathered is read at
//! ticks that all connections of the process share, so that one waking serves many of them. Owns the ticks and the kernel's
//! times of arrival; reads nothing itself.

use std::os::fd::AsFd;
use std::sync::LazyLock;
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, RecvMsg, setsockopt, sockopt};
use tokio::time::Instant;

use crate::clock::since_epoch;

/// Ticks are made shorter by halves down to this part of the longest: what comes faster still keeps the reader busy anyway.
const SHORTEST_PART: u32 = 16;
/// Room for the control message that tells when something arrived.
pub(crate) const CONTROL_BYTES: usize = 64;

/// Where ticks are counted from.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How long one connection lets things gather.
pub(crate) struct Pace {
    longest: Duration,
    pause: Duration,
    /// More than this in one reading makes ticks shorter.
    most: usize,
}

impl Pace {
    /// Ticks every `longest`, and more often where one brings more than `most`.
    pub(crate) fn new(longest: Duration, most: usize) -> Self {
        Self { longest, pause: longest, most }
    }

    /// Takes note of how much one tick brought.
    pub(crate) fn brought(&mut self, amount: usize) {
        if amount > self.most {
            self.pause = (self.pause / 2).max(self.longest / SHORTEST_PART);
        } else if amount < self.most / 4 {
            self.pause = (self.pause * 2).min(self.longest);
        }
    }

    /// The next tick after `now`.
    pub(crate) fn next(&self, now: Instant) -> Instant {
        let Some(since) = now.checked_duration_since(*ORIGIN) else { return now + self.pause };
        let pause = self.pause.as_nanos().max(1);
        let left = pause - since.as_nanos() % pause;
        now + Duration::from_nanos(u64::try_from(left).unwrap_or(0))
    }
}

/// This moment by the clock of the runtime and by that of the kernel's stamps.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    real: Duration,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { now: Instant::now(), real: since_epoch() }
    }

    /// When something arrived that was read at this moment: by the kernel's stamp, and never before `earliest`, when there
    /// was nothing. That keeps a system clock that is set meanwhile from doing harm.
    pub(crate) fn of<S>(&self, message: &RecvMsg<'_, '_, S>, earliest: Instant) -> Instant {
        let stamp = message.cmsgs().into_iter().flatten().find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
            _ => None,
        });
        let age = stamp.map_or(Duration::ZERO, |stamp| self.real.saturating_sub(stamp));
        self.now.checked_sub(age).unwrap_or(earliest).max(earliest).min(self.now)
    }
}

/// Has the kernel note when things arrive. Where it cannot, the time of reading is taken.
pub(crate) fn stamp_arrivals(socket: &impl AsFd) {
    let _ = setsockopt(&socket.as_fd(), sockopt::ReceiveTimestampns, &true);
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn ticks_are_shared_and_follow_what_comes() {
        let mut pace = Pace::new(ms(80), 100);
        let now = *ORIGIN + ms(1000);
        assert_eq!((pace.next(now), pace.next(now + ms(39))), (*ORIGIN + ms(1040), *ORIGIN + ms(1040)));
        assert_eq!(pace.next(now + ms(40)), *ORIGIN + ms(1120), "a tick is not waited for twice");
        pace.brought(101);
        assert_eq!(pace.next(now + ms(41)), *ORIGIN + ms(1080));
        (0..9).for_each(|_| pace.brought(1000));
        assert_eq!(pace.next(now + ms(41)), *ORIGIN + ms(1045), "never more often than sixteen times");
        pace.brought(50);
        assert_eq!(pace.next(now + ms(41)), *ORIGIN + ms(1045), "enough is enough");
        (0..9).for_each(|_| pace.brought(0));
        assert_eq!(pace.next(now + ms(41)), *ORIGIN + ms(1120));
        assert_eq!(pace.next(*ORIGIN - ms(5)), *ORIGIN + ms(75), "a clock of another runtime");
    }
}
