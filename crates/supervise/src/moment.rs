//! The time for a process that has no clock handle: the shim, and records that it and we compare. Reads the kernel's clocks.

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Monotonic time since the machine's boot.
pub(crate) type Moment = Duration;

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Monotonic time now.
pub(crate) fn moment() -> Moment {
    read(ClockId::Monotonic)
}

/// Milliseconds since 1970 now.
pub(crate) fn now_ms() -> i64 {
    i64::try_from(read(ClockId::Realtime).as_millis()).unwrap_or(i64::MAX)
}

/// The time now as container runtimes write it: RFC 3339, UTC, nanoseconds.
pub(crate) fn timestamp() -> String {
    let nanoseconds = i128::try_from(read(ClockId::Realtime).as_nanos()).unwrap_or_default();
    Timestamp::from_nanosecond(nanoseconds).map(|time| format!("{time:.9}")).unwrap_or_default()
}
