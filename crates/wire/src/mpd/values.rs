//! Values of attributes: durations, fractions, lists, byte ranges. Never guesses: what is no value is `None`.

use crate::m3u8::ByteRange;

/// Seconds of a year and a month in durations, which no manifest has: the mean Gregorian ones.
const YEAR_S: f64 = 31_556_952.0;
const MONTH_S: f64 = YEAR_S / 12.0;
/// Longest duration believed: a thousand years.
const MAX_S: f64 = 1_000.0 * YEAR_S;

/// Reads a duration as `PT1H2M3.5S` or `P1DT2S` (XML Schema), in seconds; negative ones are none.
#[must_use]
pub fn parse_duration(text: &str) -> Option<f64> {
    let rest = text.trim().strip_prefix('P')?;
    let (date, time) = match rest.split_once('T') {
        Some((date, time)) if !time.is_empty() => (date, time),
        Some(_) => return None,
        None => (rest, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let date = sum(date, &[('Y', YEAR_S), ('M', MONTH_S), ('D', 86_400.0)])?;
    let total = date + sum(time, &[('H', 3_600.0), ('M', 60.0), ('S', 1.0)])?;
    (total <= MAX_S).then_some(total)
}

/// Numbers with these units behind them, each at most once and in this order.
fn sum(mut text: &str, units: &[(char, f64)]) -> Option<f64> {
    let mut total = 0.0;
    let mut units = units.iter();
    while !text.is_empty() {
        let end = text.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, rest) = text.split_at(end);
        let unit = rest.chars().next()?;
        let (_, seconds) = units.find(|(known, _)| *known == unit)?;
        let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        total += number.parse::<f64>().ok().filter(|_| plain)? * seconds;
        text = &rest[1..];
    }
    Some(total)
}

/// A frame rate: `25`, `30000/1001`.
pub(super) fn fraction(text: &str) -> Option<f64> {
    let (over, under) = text.split_once('/').unwrap_or((text, "1"));
    let value = over.trim().parse::<f64>().ok()? / under.trim().parse::<f64>().ok()?;
    (value.is_finite() && value > 0.0 && value < 10_000.0).then_some(value)
}

/// `first-last`, both inclusive.
pub(super) fn byte_range(text: &str) -> Option<ByteRange> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.trim().parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?);
    Some(ByteRange { offset: first, length: last.checked_sub(first)?.checked_add(1)? })
}

/// An offset of availability in seconds: a number or `INF`.
pub(super) fn offset(text: &str) -> Option<f64> {
    if text == "INF" {
        return Some(f64::INFINITY);
    }
    text.parse::<f64>().ok().filter(|seconds| seconds.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("PT0S", Some(0.0)),
            ("PT10.0S", Some(10.0)),
            ("PT1H2M3.5S", Some(3_723.5)),
            ("P1DT1S", Some(86_401.0)),
            ("P0Y0M0DT0H3M30.000S", Some(210.0)),
            ("PT5256000H", Some(18_921_600_000.0)),
            ("P1D", Some(86_400.0)),
            ("P", None),
            ("PT", None),
            ("10", None),
            ("-PT1S", None),
            ("PT-1S", None),
            ("PT1e3S", None),
            ("PT1S2M", None),
            ("PT1", None),
            ("PTS", None),
            ("PT99999999999999999999999H", None),
            ("P1ÜT1S", None),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }

    #[test]
    fn other_values() {
        assert_eq!((fraction("25"), fraction("25/1"), fraction("1/0")), (Some(25.0), Some(25.0), None));
        assert!(fraction("30000/1001").is_some_and(|rate| (rate - 29.97).abs() < 0.001));
        assert_eq!(byte_range("10-19"), Some(ByteRange { offset: 10, length: 10 }));
        assert_eq!((byte_range("10-9"), byte_range("10-"), byte_range("0-18446744073709551615")), (None, None, None));
        assert_eq!((offset("1.5"), offset("INF"), offset("NaN")), (Some(1.5), Some(f64::INFINITY), None));
    }
}
