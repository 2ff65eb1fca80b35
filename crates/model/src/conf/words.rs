//! Words of the configuration: durations, sizes, and the nearest known key for an unknown one.

use std::time::Duration;

/// Reads `250ms`, `10s`, `1.5s`, `5m`, `2h`, `30d`, and sums such as `1h30m`.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 5] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];
    const HELP: &str = "write a duration as 500ms, 10s, 5m, 2h or 30d";
    let mut rest = text.trim();
    let mut seconds = 0.0;
    if rest.is_empty() {
        return Err(HELP.to_owned());
    }
    while !rest.is_empty() {
        let digits =
            rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(format!("a unit is missing; {HELP}"))?;
        let number: f64 = rest[..digits].parse().map_err(|_| HELP.to_owned())?;
        let after = &rest[digits..];
        let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let unit = &after[..unit_end];
        let factor = UNITS.iter().find(|(name, _)| *name == unit).ok_or(HELP.to_owned())?.1;
        seconds += number * factor;
        rest = after[unit_end..].trim_start();
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| "the duration is too long".to_owned())
}

/// Writes a duration in the form that [`duration`] reads, in its greatest whole unit.
#[must_use]
pub fn duration_text(value: Duration) -> String {
    let ms = value.as_millis();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if ms >= size && ms.is_multiple_of(size) {
            return format!("{}{unit}", ms / size);
        }
    }
    format!("{ms}ms")
}

/// Reads `512`, `512B`, `4KiB`, `4MiB`, `1GiB` and the decimal `4kB`, `4MB`, `1GB`.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn size(text: &str) -> Result<u64, String> {
    const HELP: &str = "write a size as 512KiB, 4MiB or 1GiB";
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| HELP.to_owned())?;
    let factor: u64 = match text[digits..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(HELP.to_owned()),
    };
    number.checked_mul(factor).ok_or_else(|| "the size is too large".to_owned())
}

/// The known word nearest to an unknown one, when it is near enough to be a slip.
#[must_use]
pub fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (unknown.chars().count() / 3).max(1);
    known.into_iter().map(|k| (distance(unknown, k), k)).filter(|(d, _)| *d <= limit).min().map(|(_, k)| k)
}

/// Levenshtein distance with adjacent transpositions.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_words() {
        for (text, ms) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("1.5s", 1500),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("30d", 2_592_000_000),
        ] {
            let d = duration(text).expect(text);
            assert_eq!(d.as_millis(), ms);
            assert_eq!(duration(&duration_text(d)).expect(text), d);
        }
        for text in ["", "10", "s", "10 lightyears", "-5s", "1..5s", "10s!", "99999999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_in_words() {
        for (text, bytes) in [("512", 512), ("4KiB", 4096), ("1 MiB", 1 << 20), ("2MB", 2_000_000)] {
            assert_eq!(size(text), Ok(bytes));
        }
        for text in ["", "MiB", "4 mib", "-1", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn slips_find_their_word() {
        let known = ["interval", "timeout", "tags", "name", "url"];
        for (unknown, near) in
            [("intervall", Some("interval")), ("timeuot", Some("timeout")), ("ulr", Some("url")), ("colour", None)]
        {
            assert_eq!(nearest(unknown, known), near, "{unknown}");
        }
    }
}
