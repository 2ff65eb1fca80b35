//! What a rule can compare with a number: one table of names, each with the facts that tell it. Reads values, judges none.

use crate::observation::Observation;
use crate::reading::{FactValue, Reading, Row, fact};

/// Where the number comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The first of these facts that the look noted, divided by [`Measure::divide_by`].
    Facts(&'static [&'static str]),
    /// The greatest cell of this name among the rows of a fact, divided by [`Measure::divide_by`].
    GreatestCell(&'static str, &'static str),
    /// How long the look took.
    Took,
    /// The health score of the target.
    Score,
}

/// Something that is measured and that a rule can bound.
#[derive(Debug, PartialEq)]
pub struct Measure {
    /// The word in the configuration; it ends with the unit.
    pub name: &'static str,
    /// Its name in a sentence.
    pub what: &'static str,
    /// The unit, as it stands behind a number; empty for a count.
    pub unit: &'static str,
    /// Where the number comes from.
    pub source: Source,
    /// By what a fact is divided to come to `unit`.
    pub divide_by: f64,
}

const fn of(name: &'static str, what: &'static str, unit: &'static str, divide_by: f64, source: Source) -> Measure {
    Measure { name, what, unit, source, divide_by }
}

use Source::{Facts, GreatestCell, Score, Took};

/// Every measure, by name.
pub static MEASURES: &[Measure] = &[
    of(
        "bitrate_kbps",
        "bit rate",
        "kbit/s",
        1_000.0,
        Facts(&[fact::MEASURED_BITRATE_BPS, fact::SEGMENT_BITRATE_BPS, fact::SOUND_BITRATE_BPS, fact::TS_BITRATE_BPS]),
    ),
    of("cache_percent", "cache of the encoder", "%", 1.0, Facts(&[fact::CACHE_PERCENT])),
    of("continuity_errors", "continuity errors", "", 1.0, Facts(&[fact::CONTINUITY_ERRORS])),
    of("cpu_percent", "use of the processors", "%", 0.01, Facts(&[fact::CPU_USED_RATIO])),
    of("disk_percent", "use of the fullest file system", "%", 0.01, GreatestCell(fact::FILE_SYSTEMS, fact::USED_RATIO)),
    of("encoder_bitrate_kbps", "bit rate of the encoder", "kbit/s", 1_000.0, Facts(&[fact::ENCODER_BITRATE_BPS])),
    of("exit_code", "exit code", "", 1.0, Facts(&[fact::EXIT_CODE])),
    of("fps", "measured frame rate", "frames/s", 1.0, Facts(&[fact::MEASURED_FPS])),
    of("jitter_ms", "jitter", "ms", 1.0, Facts(&[fact::JITTER_MS])),
    of("keyframe_interval_ms", "key-frame interval", "ms", 1.0, Facts(&[fact::KEYFRAME_INTERVAL_MS])),
    of("listeners", "listeners", "", 1.0, Facts(&[fact::LISTENERS])),
    of("live_latency_ms", "live latency", "ms", 1.0, Facts(&[fact::LIVE_LATENCY_MS])),
    of("load_1", "load average of a minute", "", 1.0, Facts(&[fact::LOAD_1])),
    of("loss_percent", "loss", "%", 0.01, Facts(&[fact::LOSS_RATIO])),
    of("memory_percent", "use of the memory", "%", 0.01, Facts(&[fact::MEMORY_USED_RATIO])),
    of("null_percent", "part of packets that only fill", "%", 0.01, Facts(&[fact::NULL_RATIO])),
    of("pcr_jitter_ms", "jitter of the program clock", "ms", 1.0, Facts(&[fact::PCR_JITTER_MS])),
    of("playlist_age_ms", "playlist age", "ms", 1.0, Facts(&[fact::PLAYLIST_AGE_MS])),
    of("reconnects", "sessions opened anew", "", 1.0, Facts(&[fact::RECONNECTS])),
    of("rtt_ms", "round-trip time", "ms", 1.0, Facts(&[fact::RTT_MS])),
    of("run_took_ms", "duration of the run", "ms", 1.0, Facts(&[fact::RUN_TOOK_MS])),
    of("score", "health score", "", 1.0, Score),
    of("srt_dropped", "packets given up", "", 1.0, Facts(&[fact::SRT_DROPPED])),
    of("swap_percent", "use of the swap", "%", 0.01, Facts(&[fact::SWAP_USED_RATIO])),
    of("took_ms", "duration of the look", "ms", 1.0, Took),
    of("temperature_c", "temperature", "°C", 1.0, GreatestCell(fact::TEMPERATURES, fact::TEMPERATURE_C)),
    of("uptime_s", "time since the start of the machine", "s", 1.0, Facts(&[fact::UPTIME_S])),
    of("video_bitrate_kbps", "bit rate of the video", "kbit/s", 1_000.0, Facts(&[fact::VIDEO_BITRATE_BPS])),
    of("audio_bitrate_kbps", "bit rate of the sound", "kbit/s", 1_000.0, Facts(&[fact::AUDIO_BITRATE_BPS])),
    of("viewers", "viewers", "", 1.0, Facts(&[fact::VIEWERS])),
];

impl Measure {
    /// The measure of a word.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        MEASURES.iter().find(|m| m.name == name)
    }

    /// What a look measured; `None` when it did not, and when it ended in a fault. `score` is the score of its target.
    #[must_use]
    pub fn read(&self, seen: &Observation, score: Option<f64>) -> Option<f64> {
        let value = match self.source {
            Source::Score => score,
            _ if seen.look.fault.is_some() => None,
            Source::Took => Some(seen.took.as_secs_f64() * 1_000.0),
            Source::Facts(facts) => facts.iter().find_map(|key| number(seen.look.reading.facts.get(key))),
            Source::GreatestCell(rows, cell) => greatest(&seen.look.reading, rows, cell),
        };
        value.map(|v| v / self.divide_by).filter(|v| v.is_finite())
    }
}

fn number(value: Option<&FactValue>) -> Option<f64> {
    match value? {
        #[allow(clippy::cast_precision_loss)] // counts and rates, far below 2^53
        FactValue::Int(i) => Some(*i as f64),
        FactValue::Num(x) => Some(*x),
        _ => None,
    }
}

/// The greatest cell of the rows, else the fact of the cell's own name.
fn greatest(reading: &Reading, rows: &str, cell: &str) -> Option<f64> {
    let cells = |rows: &[Row]| rows.iter().filter_map(|row| number(row.cells.get(cell))).reduce(f64::max);
    match reading.facts.get(rows) {
        Some(FactValue::Rows(rows)) => cells(rows),
        _ => number(reading.facts.get(cell)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fault::{Fault, FaultKind};
    use crate::observation::Look;
    use crate::phase::Phase;
    use crate::target::TargetId;
    use crate::time::UtcMs;

    fn seen(change: impl FnOnce(&mut Look)) -> Observation {
        let mut look = Look::default();
        change(&mut look);
        let target = TargetId::parse("t").expect("valid");
        Observation { target, at: UtcMs(0), took: Duration::from_millis(120), attempts: 1, look }
    }

    fn check(name: &str, seen: &Observation, wanted: Option<f64>) {
        let got = Measure::by_name(name).expect("in the table").read(seen, Some(71.0));
        assert_eq!(got, wanted, "{name}");
    }

    #[test]
    fn numbers_come_in_the_unit_of_their_name() {
        let look = seen(|look| {
            look.reading.int(fact::SEGMENT_BITRATE_BPS, 1_500_000);
            look.reading.num(fact::LOSS_RATIO, 0.25);
            let rows = [0.5, 0.75].map(|r| Row::new("/").with(fact::USED_RATIO, FactValue::Num(r)));
            look.reading.rows(fact::FILE_SYSTEMS, rows.to_vec());
        });
        check("bitrate_kbps", &look, Some(1_500.0));
        check("loss_percent", &look, Some(25.0));
        check("disk_percent", &look, Some(75.0));
        check("took_ms", &look, Some(120.0));
        check("score", &look, Some(71.0));
        check("fps", &look, None);
    }

    #[test]
    fn a_look_that_failed_measured_nothing() {
        let look = seen(|look| {
            look.reading.num(fact::LOSS_RATIO, 0.25);
            look.fault = Some(Fault::new(FaultKind::Refused, Phase::Connect, "no"));
        });
        check("loss_percent", &look, None);
        check("took_ms", &look, None);
    }

    #[test]
    fn names_are_unique() {
        for (i, m) in MEASURES.iter().enumerate() {
            assert!(MEASURES.iter().skip(i + 1).all(|other| other.name != m.name), "{}", m.name);
        }
    }
}
