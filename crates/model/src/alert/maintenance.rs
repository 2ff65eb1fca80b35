//! Maintenance windows as values: when, in which zone, and for whom. Computes no time: that needs the zones (crate `engine`).

use std::time::Duration;

use super::Scope;
use crate::time::UtcMs;

/// Planned work.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Its name; unique.
    pub name: String,
    /// IANA name of the zone in which its local times are meant.
    pub zone: String,
    /// When.
    pub schedule: Schedule,
    /// For whom.
    pub scope: Scope,
}

/// Hours and minutes of a local day, both below 24 hours. An end that is not after the beginning is on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Beginning, in minutes since midnight.
    pub from_min: u16,
    /// End, in minutes since midnight.
    pub until_min: u16,
}

/// Which day of a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MonthDay {
    /// This one, 1 to 31; months without it are left out.
    Day(u8),
    /// The last one.
    Last,
}

/// When a window is.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// Once.
    Once {
        /// Beginning.
        from: UtcMs,
        /// End.
        until: UtcMs,
    },
    /// On some days of every week; Monday is the first.
    Weekly {
        /// Which days begin one.
        days: [bool; 7],
        /// When on such a day.
        span: Span,
    },
    /// On a day of every month.
    Monthly {
        /// Which day.
        day: MonthDay,
        /// When on that day.
        span: Span,
    },
    /// At every time that a cron line names, for a duration.
    Cron {
        /// The line.
        cron: Cron,
        /// How long each time.
        lasts: Duration,
    },
}

/// A cron line of five fields: minute, hour, day of month, month, day of week. One bit per value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cron {
    /// Minutes, bits 0 to 59.
    pub minutes: u64,
    /// Hours, bits 0 to 23.
    pub hours: u32,
    /// Days of the month, bits 1 to 31.
    pub days: u32,
    /// Months, bits 1 to 12.
    pub months: u16,
    /// Days of the week, bits 0 (Sunday) to 6.
    pub weekdays: u8,
    /// Both days are restricted: then, as cron has it, either one is enough.
    pub either_day: bool,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Cron {
    /// Reads `m h dom mon dow` with lists, ranges, steps, and names of months and days.
    ///
    /// # Errors
    /// A sentence that says which field is wrong and why.
    pub fn parse(line: &str) -> Result<Self, String> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(format!(
                "a cron line has five fields (minute hour day month weekday), this has {}",
                fields.len()
            ));
        };
        let weekdays = bits(weekday, "weekday", 0, 7, &DAYS, 0)?;
        let narrow = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        // 7 is Sunday too.
        let weekdays = (weekdays | (weekdays >> 7)) & 0x7f;
        Ok(Self {
            minutes: bits(minute, "minute", 0, 59, &[], 0)?,
            hours: narrow(bits(hour, "hour", 0, 23, &[], 0)?),
            days: narrow(bits(day, "day", 1, 31, &[], 0)?),
            months: u16::try_from(bits(month, "month", 1, 12, &MONTHS, 1)?).unwrap_or(u16::MAX),
            weekdays: u8::try_from(weekdays).unwrap_or(0x7f),
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        })
    }

    /// Whether it names a day; `weekday` counts from Sunday, which is 0.
    #[must_use]
    pub const fn names_day(&self, month: u8, day: u8, weekday: u8) -> bool {
        let (of_month, of_week) = ((self.days >> day) & 1 == 1, (self.weekdays >> weekday) & 1 == 1);
        let day = if self.either_day { of_month || of_week } else { of_month && of_week };
        (self.months >> month) & 1 == 1 && day
    }
}

/// One field. Names count from `first`.
fn bits(field: &str, what: &str, least: u32, most: u32, names: &[&str], first: u32) -> Result<u64, String> {
    let wrong = |part: &str| {
        format!("{part:?} is no {what} of a cron line; accepted: {least} to {most}, lists, ranges and steps")
    };
    let value = |text: &str| {
        let named = names.iter().position(|n| n.eq_ignore_ascii_case(text)).and_then(|i| u32::try_from(i).ok());
        named.map(|i| i + first).or_else(|| text.parse().ok()).filter(|v| (least..=most).contains(v))
    };
    let mut found = 0_u64;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<u32>().ok().filter(|s| *s > 0).ok_or_else(|| wrong(part))?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((a, b)) => (value(a).ok_or_else(|| wrong(part))?, value(b).ok_or_else(|| wrong(part))?),
            None => {
                let only = value(range).ok_or_else(|| wrong(part))?;
                (only, if part.contains('/') { most } else { only })
            }
        };
        if from > to {
            return Err(wrong(part));
        }
        let mut at = from;
        while at <= to {
            found |= 1 << at;
            at = at.saturating_add(step);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_lines_are_read() {
        let cron = Cron::parse("*/15 3,5 1-7 jan-mar mon").expect("good");
        assert_eq!(cron.minutes, 1 | 1 << 15 | 1 << 30 | 1 << 45);
        assert_eq!((cron.hours, cron.days, cron.months), (1 << 3 | 1 << 5, 0xfe, 0b1110));
        assert_eq!((cron.weekdays, cron.either_day), (0b10, true));
        let sunday = Cron::parse("0 0 * * 7").expect("good");
        assert_eq!((sunday.weekdays, sunday.either_day), (1, false));
        assert_eq!(Cron::parse("5/20 * * * *").expect("good").minutes, 1 << 5 | 1 << 25 | 1 << 45);
        assert_eq!(
            Cron::parse("1/4294967295 0 1/4294967295 * *").expect("good").minutes,
            1 << 1,
            "a step beyond the end"
        );
        // Either day is enough when both are named, as cron has it.
        assert!(cron.names_day(1, 3, 5) && cron.names_day(1, 20, 1) && !cron.names_day(1, 20, 5));
        assert!(!cron.names_day(4, 3, 1));
    }

    #[test]
    fn what_is_no_cron_line_says_which_field() {
        for (line, words) in [
            ("0 0 * *", "this has 4"),
            ("60 0 * * *", "\"60\" is no minute"),
            ("0 24 * * *", "\"24\" is no hour"),
            ("0 0 0 * *", "\"0\" is no day"),
            ("0 0 * foo *", "\"foo\" is no month"),
            ("0 0 * * 8", "\"8\" is no weekday"),
            ("9-5 0 * * *", "\"9-5\" is no minute"),
            ("*/0 0 * * *", "\"*/0\" is no minute"),
            ("1,,2 0 * * *", "\"\" is no minute"),
        ] {
            let error = Cron::parse(line).expect_err(line);
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
