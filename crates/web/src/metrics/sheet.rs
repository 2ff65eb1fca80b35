//! The writer of one answer: a string that grows per family, and the heads of the two text formats. Owns escaping and the
//! form of numbers; knows no target.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use model::tally::{BUCKETS_S, Histogram};
use model::time::UtcMs;

use super::family::{FAMILIES, Id, Type};

/// Room for growth from one answer to the next: an eighth of a family.
const ROOM_PART: usize = 8;

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// Its content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format that an `Accept` header asks for: OpenMetrics where it is wanted at least as much as text.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let (mut open, mut text) = (0.0_f64, 0.0_f64);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let wanted = parts.find_map(|p| p.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            match kind.to_ascii_lowercase().as_str() {
                "application/openmetrics-text" => open = open.max(wanted),
                "text/plain" | "text/*" | "*/*" => text = text.max(wanted),
                _ => {}
            }
        }
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }
}

/// The value of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// A count.
    Count(u64),
    /// A measure.
    Measure(f64),
    /// A duration, written in seconds to the microsecond.
    Took(Duration),
    /// A point in time, written in seconds since 1970 to the millisecond.
    At(UtcMs),
}

impl From<Duration> for Value {
    fn from(took: Duration) -> Self {
        Self::Took(took)
    }
}

impl From<UtcMs> for Value {
    fn from(at: UtcMs) -> Self {
        Self::At(at)
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Count(u64::from(yes))
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Count(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

impl From<f64> for Value {
    fn from(measure: f64) -> Self {
        Self::Measure(measure)
    }
}

/// Labels of one sample: name and value.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// One answer while it is written.
pub(super) struct Sheet {
    names: Vec<Cow<'static, str>>,
    rows: Vec<String>,
}

impl Sheet {
    /// An empty one. `days` stands in names of StreamPulse 2.1.1; `sizes` are those of the families of the answer before, for
    /// which there is room from the start.
    pub(super) fn new(days: u32, sizes: &[usize]) -> Self {
        let name = |name: &'static str| match name.contains("<N>") {
            true => Cow::Owned(name.replace("<N>", &days.to_string())),
            false => Cow::Borrowed(name),
        };
        let room = |i: usize| sizes.get(i).map_or(0, |size| size + size / ROOM_PART);
        let rows = (0..FAMILIES.len()).map(|i| String::with_capacity(room(i))).collect();
        Self { names: FAMILIES.iter().map(|f| name(f.name)).collect(), rows }
    }

    /// The size of each family in bytes.
    pub(super) fn sizes(&self) -> Vec<usize> {
        self.rows.iter().map(String::len).collect()
    }

    /// Adds a sample. One whose value is no number is left out: it says nothing.
    pub(super) fn put(&mut self, id: Id, labels: Labels<'_>, value: impl Into<Value>) {
        let value = value.into();
        if matches!(value, Value::Measure(measure) if !measure.is_finite()) {
            return;
        }
        let place = id as usize;
        debug_assert!(labels.iter().map(|(name, _)| name).eq(FAMILIES[place].labels), "{id:?}: {labels:?}");
        line(&mut self.rows[place], &self.names[place], "", labels, value);
    }

    /// Adds a sample where there is a value.
    pub(super) fn maybe(&mut self, id: Id, labels: Labels<'_>, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(id, labels, value);
        }
    }

    /// Adds a histogram of the tally.
    pub(super) fn histogram(&mut self, id: Id, labels: Labels<'_>, of: &Histogram) {
        let buckets = BUCKETS_S.iter().copied().zip(of.counts.iter().copied());
        let beyond = of.counts.last().copied().unwrap_or_default();
        self.buckets(id, labels, buckets, beyond, of.sum.as_secs_f64());
    }

    /// Adds a histogram: upper bounds with the count of each bucket alone, the count beyond all bounds, and the sum.
    pub(super) fn buckets(
        &mut self,
        id: Id,
        labels: Labels<'_>,
        buckets: impl Iterator<Item = (f64, u64)>,
        beyond: u64,
        sum: f64,
    ) {
        let place = id as usize;
        let (row, name) = (&mut self.rows[place], &self.names[place]);
        let mut bucket = |bound: &str, count| {
            let mut with_bound = Vec::with_capacity(labels.len() + 1);
            with_bound.extend_from_slice(labels);
            with_bound.push(("le", bound));
            line(row, name, "_bucket", &with_bound, Value::Count(count));
        };
        let mut count = 0;
        for (bound, own) in buckets {
            count += own;
            let text = bound.to_string();
            // One form of a bound in both formats.
            bucket(&if text.contains('.') { text } else { text + ".0" }, count);
        }
        count += beyond;
        bucket("+Inf", count);
        line(row, name, "_sum", labels, Value::Measure(sum));
        line(row, name, "_count", labels, Value::Count(count));
    }

    /// The whole answer in pieces: heads with their families. Families without a sample are left out.
    pub(super) fn finish(self, format: Format) -> Vec<String> {
        let open = format == Format::OpenMetrics;
        let mut pieces = Vec::with_capacity(self.rows.len() * 2);
        for ((family, name), rows) in FAMILIES.iter().zip(self.names).zip(self.rows) {
            if rows.is_empty() {
                continue;
            }
            let name = match family.ty {
                Type::Counter if open => name.trim_end_matches("_total"),
                Type::Info if open => name.trim_end_matches("_info"),
                _ => &name,
            };
            let word = family.ty.word(open);
            pieces.push(format!("# HELP {name} {}\n# TYPE {name} {word}\n", family.help));
            pieces.push(rows);
        }
        if open {
            pieces.push("# EOF\n".to_owned());
        }
        pieces
    }
}

/// One line. Writing to a String cannot fail.
fn line(out: &mut String, name: &str, suffix: &str, labels: Labels<'_>, value: Value) {
    out.push_str(name);
    out.push_str(suffix);
    let mut before = '{';
    for (label, text) in labels {
        out.push(before);
        out.push_str(label);
        out.push_str("=\"");
        escape(out, text);
        out.push('"');
        before = ',';
    }
    if !labels.is_empty() {
        out.push('}');
    }
    out.push(' ');
    match value {
        Value::Count(count) => digits(out, count, 1),
        Value::Measure(measure) => {
            let _ = write!(out, "{measure}");
        }
        Value::Took(took) => {
            digits(out, took.as_secs(), 1);
            out.push('.');
            digits(out, u64::from(took.subsec_micros()), 6);
        }
        Value::At(at) => {
            if at.0 < 0 {
                out.push('-');
            }
            digits(out, at.0.unsigned_abs() / 1000, 1);
            out.push('.');
            digits(out, at.0.unsigned_abs() % 1000, 3);
        }
    }
    out.push('\n');
}

/// A number of at least `width` digits. Written by hand: most of an answer is such numbers, and the machinery of `format!`
/// would cost a third of it.
fn digits(out: &mut String, mut number: u64, width: usize) {
    let mut text = [b'0'; 20];
    let mut start = text.len();
    while number > 0 || text.len() - start < width {
        start -= 1;
        text[start] = b"0123456789"[usize::try_from(number % 10).unwrap_or_default()];
        number /= 10;
    }
    out.push_str(std::str::from_utf8(&text[start..]).unwrap_or_default());
}

/// The value of a label: backslash, quote and line feed are what the formats escape.
fn escape(out: &mut String, text: &str) {
    if !text.bytes().any(|b| matches!(b, b'\\' | b'"' | b'\n')) {
        out.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn labels_are_escaped_and_numbers_are_numbers() {
        let mut sheet = Sheet::new(30, &[]);
        for (label, at) in [("a", UtcMs(1_795_190_918_017)), ("b", UtcMs(7)), ("c", UtcMs(-1500)), ("d", UtcMs(0))] {
            sheet.put(Id::TargetSince, &[("target", label)], at);
        }
        for (label, us) in [("a", 12_000), ("b", 3_000_001), ("c", 0)] {
            sheet.put(Id::TargetDuration, &[("target", label)], Duration::from_micros(us));
        }
        sheet.put(Id::StoreQueue, &[], u64::MAX);
        sheet.put(Id::BuildInfo, &[("version", "a\"b\\c\nd</script>é")], true);
        sheet.put(Id::StoreSize, &[], 1_234_567_u64);
        sheet.put(Id::BoardAge, &[], 0.25);
        sheet.put(Id::LatenessMax, &[], f64::NAN);
        sheet.put(Id::OldRatio, &[], 1.0);
        let text = sheet.finish(Format::Text).concat();
        assert!(text.contains("streampulse_build_info{version=\"a\\\"b\\\\c\\nd</script>é\"} 1\n"), "{text}");
        assert!(
            text.contains("# TYPE streampulse_store_size_bytes gauge\nstreampulse_store_size_bytes 1234567\n"),
            "{text}"
        );
        for sample in [
            "status_since_timestamp_seconds{target=\"a\"} 1795190918.017",
            "status_since_timestamp_seconds{target=\"b\"} 0.007",
            "status_since_timestamp_seconds{target=\"c\"} -1.500",
            "status_since_timestamp_seconds{target=\"d\"} 0.000",
            "look_duration_seconds{target=\"a\"} 0.012000",
            "look_duration_seconds{target=\"b\"} 3.000001",
            "look_duration_seconds{target=\"c\"} 0.000000",
            "store_queue_rows 18446744073709551615",
        ] {
            assert!(text.contains(&format!("_{sample}\n")), "{sample}\n{text}");
        }
        assert!(text.contains("board_age_seconds 0.25\n") && !text.contains("max_seconds"), "{text}");
        assert!(text.contains("# HELP system_sla_ratio_30d ") && text.contains("\nsystem_sla_ratio_30d 1\n"), "{text}");
    }

    #[test]
    fn a_histogram_adds_up_in_both_formats() {
        let mut of = Histogram::default();
        for ms in [1, 2, 2000, 99_000] {
            of.add(Duration::from_millis(ms));
        }
        let mut sheet = Sheet::new(30, &[]);
        sheet.histogram(Id::LookDuration, &[("kind", "tcp")], &of);
        sheet.put(Id::Incidents, &[], 3_u64);
        let text = sheet.finish(Format::OpenMetrics).concat();
        for row in [
            "_bucket{kind=\"tcp\",le=\"0.001\"} 1",
            "_bucket{kind=\"tcp\",le=\"1.0\"} 2",
            "_bucket{kind=\"tcp\",le=\"30.0\"} 3",
            "_bucket{kind=\"tcp\",le=\"+Inf\"} 4",
            "_sum{kind=\"tcp\"} 101.003",
            "_count{kind=\"tcp\"} 4",
        ] {
            assert!(text.contains(&format!("streampulse_look_duration_seconds{row}\n")), "{row}\n{text}");
        }
        assert!(text.contains("# TYPE streampulse_incidents counter\nstreampulse_incidents_total 3\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn the_format_is_what_the_reader_asks_for() {
        for (accept, open) in [
            ("", false),
            ("*/*", false),
            ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", false),
            ("application/openmetrics-text", true),
            ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1", true),
            ("application/openmetrics-text;q=0.1, text/plain", false),
            ("application/openmetrics-text;q=0", false),
            ("application/json", false),
        ] {
            assert_eq!(Format::accepted(accept) == Format::OpenMetrics, open, "{accept}");
        }
    }
}
