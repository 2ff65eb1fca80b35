//! Every number that bounds something and is shared between crates, with its reason. Local limits stand beside their code.

use std::time::Duration;

/// Most targets of one instance. The benchmark runs 10,000; twice that is a mistake in a generated file.
pub const MAX_TARGETS: usize = 20_000;
/// Shortest interval between looks: below it the cost of a look dominates what it could learn.
pub const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Longest interval: a day.
pub const MAX_INTERVAL: Duration = Duration::from_secs(86_400);
/// Default interval between looks (a message within 15 s asks for 5 s; 10 s is kind to cameras).
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
/// Shortest deadline of a look.
pub const MIN_TIMEOUT: Duration = Duration::from_millis(100);
/// Longest deadline of a look.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest deadline of a look that is given none: who waits longer for a stream says so.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(8);
/// Shortest deadline of a look that is given none: a far peer needs several round trips for TLS, sign-in and media.
pub const LEAST_DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
/// Part of the interval, in hundredths, that a look without a deadline of its own may take. One that took all of it would miss
/// its target's next point of the grid, and a peer that accepts and says nothing would be found two intervals later.
pub const DEFAULT_TIMEOUT_PERCENT: u32 = 70;
/// Most further attempts within one round.
pub const MAX_RETRIES: u32 = 5;
/// Looks under way at once in the whole process: black holes hold a permit for their whole deadline.
pub const PROBES_AT_ONCE: usize = 1024;
/// Looks under way at once towards one host and port: cameras and small servers allow few sessions.
pub const PROBES_AT_ONCE_PER_HOST: usize = 4;
/// Beats of a target that are kept on the Board (the bar on the page shows up to this many).
pub const BEATS_ON_BOARD: usize = 60;
/// Seconds of live values of a held session that are kept on the Board (the chart on the page shows them).
pub const LIVE_SECONDS: usize = 60;
/// Events that a slow subscriber may be behind before it must start anew from the Board.
pub const EVENT_BACKLOG: usize = 1024;
/// Rows waiting for the store's writer before new ones are counted as lost.
pub const STORE_QUEUE: usize = 20_000;
/// Largest configuration file.
pub const MAX_CONFIG_BYTES: usize = 8 * 1024 * 1024;
/// Backups kept of the configuration file.
pub const CONFIG_BACKUPS: usize = 10;
/// Largest fault text or reason that is kept, in bytes.
pub const MAX_REASON_BYTES: usize = 500;

const _: () = assert!(MIN_INTERVAL.as_millis() <= DEFAULT_INTERVAL.as_millis());
const _: () = assert!(DEFAULT_INTERVAL.as_millis() <= MAX_INTERVAL.as_millis());
const _: () = assert!(DEFAULT_TIMEOUT.as_millis() <= MAX_TIMEOUT.as_millis());
const _: () = assert!(LEAST_DEFAULT_TIMEOUT.as_millis() <= MIN_INTERVAL.as_millis()); // never longer than an interval
const _: () = assert!(DEFAULT_TIMEOUT_PERCENT < 100);
const _: () = assert!(PROBES_AT_ONCE_PER_HOST <= PROBES_AT_ONCE);

/// The deadline of a look whose target says none: [`DEFAULT_TIMEOUT_PERCENT`] of its interval, within bounds.
#[must_use]
pub fn default_timeout(interval: Duration) -> Duration {
    (interval / 100 * DEFAULT_TIMEOUT_PERCENT).clamp(LEAST_DEFAULT_TIMEOUT, DEFAULT_TIMEOUT)
}
