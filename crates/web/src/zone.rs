//! Times as people read them in a time zone: presentation only. Everything else is UTC milliseconds.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::time::UtcMs;

/// A time zone.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

/// The zone of an IANA name; UTC for a name that this machine does not know.
#[must_use]
pub fn named(name: &str) -> Zone {
    Zone(TimeZone::get(name).unwrap_or(TimeZone::UTC))
}

/// UTC.
#[must_use]
pub fn utc() -> Zone {
    Zone(TimeZone::UTC)
}

impl Zone {
    /// ISO 8601 with the offset, to the second: `2026-05-01T12:00:00+02:00`.
    #[must_use]
    pub fn iso(&self, at: UtcMs) -> String {
        self.format(at, "%Y-%m-%dT%H:%M:%S%:z")
    }

    /// The same to the millisecond.
    #[must_use]
    pub fn iso_ms(&self, at: UtcMs) -> String {
        self.format(at, "%Y-%m-%dT%H:%M:%S%.3f%:z")
    }

    /// The offset from UTC at a time: `+02:00`.
    #[must_use]
    pub fn offset(&self, at: UtcMs) -> String {
        self.format(at, "%:z")
    }

    fn format(&self, at: UtcMs, form: &str) -> String {
        let at = Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH);
        at.to_zoned(self.0.clone()).strftime(form).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_carry_their_offset() {
        let at = UtcMs(1_782_900_000_123);
        for (name, iso, offset) in [
            ("UTC", "2026-07-01T10:00:00+00:00", "+00:00"),
            ("Asia/Calcutta", "2026-07-01T15:30:00+05:30", "+05:30"),
            ("Europe/Zurich", "2026-07-01T12:00:00+02:00", "+02:00"),
            ("Nowhere/Land", "2026-07-01T10:00:00+00:00", "+00:00"),
        ] {
            assert_eq!((named(name).iso(at).as_str(), named(name).offset(at).as_str()), (iso, offset), "{name}");
        }
        assert_eq!(utc().iso_ms(at), "2026-07-01T10:00:00.123+00:00");
        assert_eq!(utc().iso(UtcMs(i64::MAX)), "1970-01-01T00:00:00+00:00");
    }
}
