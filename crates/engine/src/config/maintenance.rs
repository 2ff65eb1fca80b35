//! The section `maintenance`: fields, and from there to windows whose times can be computed. Computes none itself, except
//! that the local times of a single window become points in time.

use std::time::Duration;

use jiff::civil::{DateTime, Time};
use model::alert::{Cron, MonthDay, Schedule, Span, Window};
use model::conf::{Field, Problem, Section, Type};
use model::target::MAX_ID_BYTES;
use model::time::UtcMs;

use super::alerts::{Known, scope};
use super::fields::{TAG, TEXT};
use super::server::check_timezone;
use super::tree::Item;

/// Longest window that a cron line begins: longer ones are written with dates.
const MAX_LASTS: Duration = Duration::from_secs(7 * 86_400);
/// Most windows.
const MAX_WINDOWS: usize = 500;

const ID: Type = Type::Text { max: MAX_ID_BYTES };
const WHEN: Type = Type::Text { max: 32 };
const DAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri", "sat", "sun", "daily", "weekdays", "weekends"];

/// Keys of a window.
pub(super) static WINDOW: &[Field] = &[
    Field::new("name", TEXT, "Its name; unique.").required(),
    Field::new("from", WHEN, "When it begins: `2026-12-01 22:00` for once, `22:00` with `days` or `day`."),
    Field::new(
        "until",
        WHEN,
        "When it ends, in the same form. A time of day that is not after `from` is on the next day.",
    ),
    Field::new("days", Type::List(&Type::Choice(DAYS)), "Weekly: the days on which it begins."),
    Field::new(
        "day",
        Type::Text { max: 4 },
        "Monthly: the day on which it begins, 1 to 31, or `last`. Months without that day have none.",
    ),
    Field::new(
        "cron",
        Type::Text { max: 200 },
        "Begins whenever this cron line says: minute, hour, day, month, weekday. With `duration`.",
    ),
    Field::new(
        "duration",
        Type::Duration { min: Duration::from_secs(60), max: MAX_LASTS },
        "How long it is, with `cron`.",
    ),
    Field::new("timezone", TEXT, "IANA name of the zone of these times. Without this key it is the file's."),
    Field::new(
        "targets",
        Type::List(&ID),
        "Only these targets, by id. Without `targets`, `groups` and `tags` it is for all.",
    ),
    Field::new("groups", Type::List(&TEXT), "Only targets of these groups."),
    Field::new("tags", Type::List(&TAG), "Only targets with one of these tags."),
    Field::new("except_targets", Type::List(&ID), "Not these targets."),
    Field::new("except_groups", Type::List(&TEXT), "Not targets of these groups."),
    Field::new("except_tags", Type::List(&TAG), "Not targets with one of these tags."),
];

/// Reads all windows. Those that are wrong are left out; the problems say why.
pub(super) fn windows(
    root: &Item,
    known: &Known<'_>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Vec<Window> {
    let items = root.get("maintenance").map(Item::items).unwrap_or_default();
    if items.len() > MAX_WINDOWS {
        let message = format!("{} windows, at most {MAX_WINDOWS} are accepted", items.len());
        problems.push(Problem::new(root.get("maintenance").map(|m| m.place), "maintenance", message));
    }
    let mut found: Vec<Window> = Vec::new();
    for (i, item) in items.iter().enumerate().take(MAX_WINDOWS) {
        let path = format!("maintenance[{i}]");
        let before = problems.len();
        let node = item.node_of(WINDOW);
        let section = Section::check(&node, WINDOW, path.as_str(), problems);
        let zone = section.text("timezone").unwrap_or_else(|| known.timezone.to_owned());
        if section.node("timezone").is_some() {
            let mut wrong = Vec::new();
            check_timezone(&zone, section.place_of("timezone"), &mut wrong);
            problems.extend(wrong.into_iter().map(|p| Problem { path: section.path_of("timezone"), ..p }));
        }
        let schedule = schedule(&section, &zone, problems);
        let scope = scope(&section, known, problems, warnings);
        let name = section.text("name").unwrap_or_default().trim().to_owned();
        if found.iter().any(|w| w.name == name) {
            let message = format!("the name {name:?} is that of another window too");
            let problem = Problem::new(section.place_of("name"), section.path_of("name"), message);
            problems.push(problem.with_remedy("give each window a name of its own"));
        }
        if let Some(schedule) = schedule.filter(|_| problems.len() == before) {
            found.push(Window { name, zone, schedule, scope });
        }
    }
    found
}

fn schedule(section: &Section<'_>, zone: &str, problems: &mut Vec<Problem>) -> Option<Schedule> {
    let before = problems.len();
    let mut wrong = |key: &str, message: String, remedy: &str| {
        problems.push(Problem::new(section.place_of(key), section.path_of(key), message).with_remedy(remedy));
    };
    let given = |key: &str| section.node(key).is_some();
    let forms: Vec<&str> = ["days", "day", "cron"].into_iter().filter(|key| given(key)).collect();
    if let [a, b, ..] = forms.as_slice() {
        wrong(
            b,
            format!("the window has {a} and {b}"),
            "write one of days, day and cron, or none and dates in from and until",
        );
        return None;
    }
    let form = forms.first().copied().unwrap_or("dates");
    let foreign = if form == "cron" { &["from", "until"][..] } else { &["duration"][..] };
    for key in foreign.iter().filter(|key| given(key)) {
        wrong(
            key,
            format!("{key} has no effect here"),
            "`duration` goes with `cron`, `from` and `until` with everything else",
        );
    }
    if form == "cron" {
        let lasts = section.duration("duration");
        if !given("duration") {
            wrong("duration", "duration is missing".to_owned(), "say how long it is, such as `duration: 1h`");
        }
        return match Cron::parse(&section.text("cron").unwrap_or_default()) {
            Ok(cron) => Some(Schedule::Cron { cron, lasts: lasts? }),
            Err(message) => {
                wrong("cron", message, "such as `30 2 * * sun` for Sundays at 02:30");
                None
            }
        };
    }
    for key in ["from", "until"].into_iter().filter(|key| !given(key)) {
        wrong(key, format!("{key} is missing"), "a window has a beginning and an end");
    }
    if problems.len() > before {
        return None;
    }
    match form {
        "dates" => once(section, zone, problems),
        "days" => {
            let mut days = [false; 7];
            section.texts("days").iter().flat_map(|w| of_word(w)).for_each(|d| days[d] = true);
            Some(Schedule::Weekly { days, span: span(section, problems)? })
        }
        _ => {
            let text = section.text("day").unwrap_or_default();
            let day = match text.as_str() {
                "last" => Some(MonthDay::Last),
                _ => text.parse().ok().filter(|d| (1..=31).contains(d)).map(MonthDay::Day),
            };
            if day.is_none() {
                let problem = Problem::new(
                    section.place_of("day"),
                    section.path_of("day"),
                    format!("{text:?} is no day of a month"),
                );
                problems.push(problem.with_remedy("write 1 to 31, or last"));
            }
            Some(Schedule::Monthly { day: day?, span: span(section, problems)? })
        }
    }
}

/// Days of a word; Monday is 0.
fn of_word(word: &str) -> std::ops::Range<usize> {
    match word {
        "daily" => 0..7,
        "weekdays" => 0..5,
        "weekends" => 5..7,
        word => DAYS.iter().position(|d| *d == word).filter(|i| *i < 7).map_or(0..0, |i| i..i + 1),
    }
}

fn span(section: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Span> {
    let mut minute = |key: &str| {
        let text = section.text(key).unwrap_or_default();
        let time: Option<Time> = Time::strptime("%H:%M", text.trim()).ok();
        if time.is_none() {
            let problem =
                Problem::new(section.place_of(key), section.path_of(key), format!("{text:?} is no time of day"));
            problems.push(problem.with_remedy("write it as 22:00"));
        }
        time.and_then(|t| u16::try_from(i32::from(t.hour()) * 60 + i32::from(t.minute())).ok())
    };
    let (from, until) = (minute("from"), minute("until"));
    Some(Span { from_min: from?, until_min: until? })
}

fn once(section: &Section<'_>, zone: &str, problems: &mut Vec<Problem>) -> Option<Schedule> {
    let zone = jiff::tz::TimeZoneDatabase::bundled().get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let mut point = |key: &str| {
        let text = section.text(key).unwrap_or_default();
        let forms = ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"];
        let local = forms.iter().find_map(|form| DateTime::strptime(form, text.trim()).ok());
        let at = local.and_then(|local| zone.to_ambiguous_timestamp(local).compatible().ok());
        if at.is_none() {
            let message = format!("{text:?} is no date with a time of day");
            let problem = Problem::new(section.place_of(key), section.path_of(key), message);
            problems.push(
                problem.with_remedy("write it as 2026-12-01 22:00, or add days, day or cron for a window that repeats"),
            );
        }
        at.map(|at| UtcMs(at.as_millisecond()))
    };
    let (from, until) = (point("from"), point("until"));
    let (from, until) = (from?, until?);
    if until <= from {
        let problem =
            Problem::new(section.place_of("until"), section.path_of("until"), "the window ends before it begins");
        problems.push(problem.with_remedy("write an end after the beginning"));
    }
    Some(Schedule::Once { from, until })
}
