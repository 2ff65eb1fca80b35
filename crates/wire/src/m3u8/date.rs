//! Points in time as `EXT-X-PROGRAM-DATE-TIME` writes them (ISO 8601), to milliseconds since 1970.
//!
//! Never reads a clock, never knows a time zone beyond the offset that is written.

/// Days before each month of a year that is no leap year.
const DAYS_BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/// Reads `2026-11-20T10:46:25.190+0000` and its relatives: `Z`, `+01:00`, no offset (taken as UTC), no fraction.
#[must_use]
pub fn parse_date(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let (clock, offset_minutes) = split_offset(time)?;
    let mut parts = clock.splitn(3, ':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let (second, fraction) = {
        let seconds = parts.next().unwrap_or("00");
        seconds.split_once(['.', ',']).unwrap_or((seconds, "0"))
    };
    let second = number(second, 2)?;
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && hour <= 24 && minute <= 59 && second <= 60;
    if !in_range || fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let millis: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    let minutes = (days(year, month, day) * 24 + hour) * 60 + minute - offset_minutes;
    Some((minutes * 60 + second) * 1_000 + millis)
}

/// Days since 1970-01-01 in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let past = year - 1;
    let leap_days = past / 4 - past / 100 + past / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    let index = usize::try_from(month - 1).unwrap_or(0);
    (year - 1970) * 365 + leap_days + DAYS_BEFORE[index] + i64::from(leap && month > 2) + day - 1
}

/// The time of day, and minutes east of Greenwich.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, 0)) };
    let (clock, offset) = time.split_at(at);
    let (sign, digits) = (if offset.starts_with('-') { -1 } else { 1 }, &offset[1..]);
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None if digits.len() == 4 && digits.is_ascii() => digits.split_at(2),
        None => (digits, "00"),
    };
    Some((clock, sign * (number(hours, 2)? * 60 + number(minutes, 2)?)))
}

/// Exactly `digits` digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-20T10:46:25.190+0000", Some(1_795_171_585_190)),
            ("2026-11-20T11:46:25.19+01:00", Some(1_795_171_585_190)),
            ("2026-11-20T05:16:25.1909999-05:30", Some(1_795_171_585_190)),
            ("2026-11-20T10:46:25", Some(1_795_171_585_000)),
            ("2026-11-20 10:46:25Z", Some(1_795_171_585_000)),
            ("2000-02-29T00:00:00Z", Some(951_782_400_000)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400_000)),
            ("1969-12-31T23:59:59.999Z", Some(-1)),
            ("2026-13-20T10:46:25Z", None),
            ("2026-11-20T10:46:2Z", None),
            ("2026-11-20", None),
            ("2026-11-20T10:46:25.Z", None),
            ("2026-11-20T10:46:25+ü1:0", None),
            ("", None),
        ] {
            assert_eq!(parse_date(text), expected, "{text}");
        }
    }
}
