//! When planned work is: from local days and hours to points in time. Pure; the zones are those compiled in, so that the
//! answer is the same on every machine.
//!
//! Beginning and end are local times, each turned into a point in time by itself: where a clock is set forward, a time that
//! does not exist is as much later as the clock was moved; where it is set back, a time that comes twice is its first. So a
//! night from 22:00 to 06:00 is seven or nine hours long in the nights of the change, as people mean it.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use model::alert::{Cron, MonthDay, Schedule, Span, Window};
use model::time::UtcMs;

/// How far ahead the next occurrence is looked for, in days: a 29 February is at most eight years away.
const AHEAD_DAYS: usize = 2_930;
/// Days before now that may begin what is now: the longest window lasts a week, and a zone is less than a day off.
const BEHIND_DAYS: i64 = 9;
const DAY_MS: i64 = 86_400_000;

/// One time that a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Occurrence {
    pub(crate) from: UtcMs,
    pub(crate) until: UtcMs,
}

/// What a window is at a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    /// The one that is now; of several the one that ends last.
    pub(crate) now: Option<Occurrence>,
    /// The one that begins next.
    pub(crate) next: Option<Occurrence>,
}

impl Phase {
    /// When this may be otherwise; `None` when never.
    pub(crate) fn changes_at(&self) -> Option<UtcMs> {
        [self.now.map(|o| o.until), self.next.map(|o| o.from)].into_iter().flatten().min()
    }
}

/// What a window is at `now`.
pub(crate) fn phase(window: &Window, now: UtcMs) -> Phase {
    let mut phase = Phase { now: None, next: None };
    let _ = each(window, now, |occurrence| {
        if occurrence.from > now {
            phase.next = Some(occurrence);
            return false;
        }
        if occurrence.until > now && phase.now.is_none_or(|known| known.until < occurrence.until) {
            phase.now = Some(occurrence);
        }
        true
    });
    phase
}

/// Every time that a window is within `from..to`, at most `most`, in order of their beginning.
pub(crate) fn occurrences(window: &Window, from: UtcMs, to: UtcMs, most: usize) -> Vec<Occurrence> {
    let mut found = Vec::new();
    let _ = each(window, from, |occurrence| {
        if occurrence.from >= to || found.len() >= most {
            return false;
        }
        if occurrence.until > from {
            found.push(occurrence);
        }
        true
    });
    found
}

/// Tells of every occurrence that may not be over at `from`, in order, until `tell` says no. `None` only when a date is
/// beyond what can be computed.
fn each(window: &Window, from: UtcMs, mut tell: impl FnMut(Occurrence) -> bool) -> Option<()> {
    if let Schedule::Once { from, until } = window.schedule {
        tell(Occurrence { from, until });
        return Some(());
    }
    let zone = zone(&window.zone);
    let first = Timestamp::from_millisecond(from.0.saturating_sub(BEHIND_DAYS * DAY_MS)).ok()?;
    let mut date = first.to_zoned(zone.clone()).date();
    for _ in 0..AHEAD_DAYS {
        for occurrence in of_day(&window.schedule, date, &zone) {
            if occurrence.until > occurrence.from && !tell(occurrence) {
                return Some(());
            }
        }
        date = date.tomorrow().ok()?;
    }
    Some(())
}

/// The zone of a name that the loader has checked.
fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap_or(TimeZone::UTC)
}

fn of_day(schedule: &Schedule, date: Date, zone: &TimeZone) -> Vec<Occurrence> {
    match schedule {
        Schedule::Once { .. } => Vec::new(),
        Schedule::Weekly { days, span } => {
            let weekday = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or_default();
            if days[weekday] { spanned(*span, date, zone) } else { Vec::new() }
        }
        Schedule::Monthly { day, span } => {
            let wanted = match day {
                MonthDay::Day(day) => i8::try_from(*day).unwrap_or(i8::MAX),
                MonthDay::Last => date.days_in_month(),
            };
            if date.day() == wanted { spanned(*span, date, zone) } else { Vec::new() }
        }
        Schedule::Cron { cron, lasts } => {
            let begins = begins(cron, date).into_iter().filter_map(|minute| point(date, minute, zone));
            begins.map(|from| Occurrence { from, until: from.plus(*lasts) }).collect()
        }
    }
}

fn spanned(span: Span, date: Date, zone: &TimeZone) -> Vec<Occurrence> {
    let last = if span.until_min > span.from_min { Some(date) } else { date.tomorrow().ok() };
    let occurrence =
        || Some(Occurrence { from: point(date, span.from_min, zone)?, until: point(last?, span.until_min, zone)? });
    occurrence().into_iter().collect()
}

/// Minutes of a day at which a cron line begins.
fn begins(cron: &Cron, date: Date) -> Vec<u16> {
    let byte = |n: i8| u8::try_from(n).unwrap_or_default();
    let weekday = byte(date.weekday().to_sunday_zero_offset());
    if !cron.names_day(byte(date.month()), byte(date.day()), weekday) {
        return Vec::new();
    }
    let hours = (0..24_u16).filter(|hour| (cron.hours >> hour) & 1 == 1);
    hours.flat_map(|hour| (0..60_u16).filter(|m| (cron.minutes >> m) & 1 == 1).map(move |m| hour * 60 + m)).collect()
}

/// A local minute of a day as a point in time.
fn point(date: Date, minute: u16, zone: &TimeZone) -> Option<UtcMs> {
    let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    let at = zone.to_ambiguous_timestamp(date.at(hour, minute, 0, 0)).compatible().ok()?;
    Some(UtcMs(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::alert::Scope;

    use super::*;

    fn utc(text: &str) -> UtcMs {
        UtcMs(text.parse::<Timestamp>().expect("a time").as_millisecond())
    }

    fn window(zone: &str, schedule: Schedule) -> Window {
        Window { name: "w".to_owned(), zone: zone.to_owned(), schedule, scope: Scope::default() }
    }

    fn weekly(days: &str, from_min: u16, until_min: u16) -> Schedule {
        let mut on = [false; 7];
        days.bytes().for_each(|d| on[usize::from(d - b'0')] = true);
        Schedule::Weekly { days: on, span: Span { from_min, until_min } }
    }

    fn cron(line: &str, minutes: u64) -> Schedule {
        Schedule::Cron { cron: Cron::parse(line).expect("good"), lasts: Duration::from_secs(60 * minutes) }
    }

    /// The occurrences that touch a range, as UTC.
    #[track_caller]
    fn check(zone: &str, schedule: Schedule, from: &str, to: &str, wanted: &[(&str, &str)]) {
        let found = occurrences(&window(zone, schedule), utc(from), utc(to), 100);
        let show = |o: &Occurrence| {
            let text = |at: UtcMs| Timestamp::from_millisecond(at.0).expect("a time").to_string();
            (text(o.from), text(o.until))
        };
        let found: Vec<_> = found.iter().map(show).collect();
        let wanted: Vec<_> = wanted.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(found, wanted, "{zone}");
    }

    #[test]
    fn a_night_is_as_long_as_its_clock_makes_it() {
        // Zurich: forward on 2026-03-29 at 02:00, back on 2026-10-25 at 03:00.
        let nights = weekly("56", 22 * 60, 6 * 60);
        let (from, to) = ("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z");
        let wanted = [
            ("2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z"), // seven hours
            ("2026-03-29T20:00:00Z", "2026-03-30T04:00:00Z"),
        ];
        check("Europe/Zurich", nights.clone(), from, to, &wanted);
        let wanted = [("2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z")]; // nine hours
        check("Europe/Zurich", nights.clone(), "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z", &wanted);
        // New York: forward on 2026-03-08, back on 2026-11-01; and a zone half an hour off, on the other side of the world.
        let wanted = [("2026-03-08T03:00:00Z", "2026-03-08T10:00:00Z")];
        check("America/New_York", nights.clone(), "2026-03-07T12:00:00Z", "2026-03-08T12:00:00Z", &wanted);
        let wanted = [("2026-11-01T02:00:00Z", "2026-11-01T11:00:00Z")];
        check("America/New_York", nights.clone(), "2026-10-31T12:00:00Z", "2026-11-01T12:00:00Z", &wanted);
        // Lord Howe moves by half an hour: back on 2026-04-05 at 02:00, forward on 2026-10-04 at 02:00.
        let wanted = [("2026-04-04T11:00:00Z", "2026-04-04T19:30:00Z")]; // eight and a half
        check("Australia/Lord_Howe", nights.clone(), "2026-04-04T00:00:00Z", "2026-04-05T00:00:00Z", &wanted);
        let wanted = [("2026-10-03T11:30:00Z", "2026-10-03T19:00:00Z")]; // seven and a half
        check("Australia/Lord_Howe", nights, "2026-10-03T00:00:00Z", "2026-10-04T00:00:00Z", &wanted);
    }

    #[test]
    fn times_that_do_not_exist_and_times_that_come_twice() {
        let hour = |from: u16, until: u16| weekly("6", from, until);
        let (spring, after) = ("2026-03-28T20:00:00Z", "2026-03-29T20:00:00Z");
        // 02:00 to 03:00 does not exist: nothing of it is left. 02:30 is as much later, and what ends in the hole too.
        check("Europe/Zurich", hour(120, 180), spring, after, &[]);
        let wanted = [("2026-03-29T01:30:00Z", "2026-03-29T02:00:00Z")];
        check("Europe/Zurich", hour(150, 240), spring, after, &wanted);
        let wanted = [("2026-03-29T00:00:00Z", "2026-03-29T01:30:00Z")];
        check("Europe/Zurich", hour(60, 150), spring, after, &wanted);
        let (autumn, after) = ("2026-10-24T20:00:00Z", "2026-10-25T20:00:00Z");
        // The hour that comes twice is in it twice; what lies within it is its first time.
        check("Europe/Zurich", hour(120, 180), autumn, after, &[("2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z")]);
        check("Europe/Zurich", hour(135, 150), autumn, after, &[("2026-10-25T00:15:00Z", "2026-10-25T00:30:00Z")]);
        check(
            "Europe/Zurich",
            cron("30 2 * * sun", 60),
            spring,
            "2026-03-29T20:00:00Z",
            &[("2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z")],
        );
        check(
            "Europe/Zurich",
            cron("30 2 * * sun", 60),
            autumn,
            after,
            &[("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z")],
        );
    }

    #[test]
    fn days_of_months() {
        let monthly = |day| Schedule::Monthly { day, span: Span { from_min: 0, until_min: 60 } };
        check(
            "UTC",
            monthly(MonthDay::Day(31)),
            "2026-04-01T00:00:00Z",
            "2026-07-01T00:00:00Z",
            &[("2026-05-31T00:00:00Z", "2026-05-31T01:00:00Z")],
        );
        let wanted =
            [("2027-02-28T00:00:00Z", "2027-02-28T01:00:00Z"), ("2027-03-31T00:00:00Z", "2027-03-31T01:00:00Z")];
        check("UTC", monthly(MonthDay::Last), "2027-02-01T00:00:00Z", "2027-04-01T00:00:00Z", &wanted);
        check(
            "UTC",
            cron("0 0 29 2 *", 60),
            "2026-01-01T00:00:00Z",
            "2029-01-01T00:00:00Z",
            &[("2028-02-29T00:00:00Z", "2028-02-29T01:00:00Z")],
        );
    }

    #[test]
    fn what_is_now_and_what_is_next() {
        let nights = window("UTC", weekly("0123456", 22 * 60, 6 * 60));
        let at = |text: &str| phase(&nights, utc(text));
        let one = |a: &str, b: &str| Some(Occurrence { from: utc(a), until: utc(b) });
        let inside = at("2026-06-02T05:59:59.999Z");
        assert_eq!(inside.now, one("2026-06-01T22:00:00Z", "2026-06-02T06:00:00Z"));
        assert_eq!(inside.next, one("2026-06-02T22:00:00Z", "2026-06-03T06:00:00Z"));
        assert_eq!(inside.changes_at(), Some(utc("2026-06-02T06:00:00Z")));
        assert_eq!(at("2026-06-02T06:00:00Z").now, None);
        assert_eq!(at("2026-06-02T22:00:00Z").now, one("2026-06-02T22:00:00Z", "2026-06-03T06:00:00Z"));
        // Overlapping ones are one for as long as any of them is.
        let often = window("UTC", cron("*/10 * * * *", 25));
        let now = phase(&often, utc("2026-06-02T12:05:00Z"));
        assert_eq!(now.now, one("2026-06-02T12:00:00Z", "2026-06-02T12:25:00Z"));
        let once = window("UTC", Schedule::Once { from: UtcMs(10), until: UtcMs(20) });
        for (now, is, next) in [(9, false, Some(UtcMs(10))), (10, true, Some(UtcMs(20))), (20, false, None)] {
            let phase = phase(&once, UtcMs(now));
            assert_eq!((phase.now.is_some(), phase.changes_at()), (is, next), "{now}");
        }
        let never = window("UTC", cron("0 0 30 2 *", 60));
        assert_eq!(phase(&never, utc("2026-06-02T12:05:00Z")).changes_at(), None);
    }
}
