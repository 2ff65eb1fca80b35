//! From expectations and an observation to a judgement with reasons. Pure; the only place that says good or bad.

use std::time::Duration;

use crate::expect::{Bound, Expectations, Side};
use crate::observation::Observation;
use crate::reading::{FactValue, Media, Reading, Severity, Track, fact};

/// How good a look was. Ordered: a worse grade is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// As expected.
    Pass,
    /// Works, with something to look at.
    Warn,
    /// Does not work as expected.
    Fail,
}

impl Grade {
    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One reason with the actual value in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What this reason alone would make of it.
    pub grade: Grade,
    /// Which expectation, as its configuration key; `fault` for a fault of the world, `internal` for one of ours; the name of a
    /// finding.
    pub check: &'static str,
    /// One sentence, lower case, with the actual value.
    pub text: String,
}

/// The judgement on one observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The worst grade among the reasons; pass without any.
    pub grade: Grade,
    /// Worst first.
    pub reasons: Vec<Reason>,
}

/// The `check` of a reason that is about ourselves and says nothing about the target.
const OURS: &str = "internal";

impl Verdict {
    /// Whether the look failed for a reason of our own: then nothing is known about the target.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        self.reasons.iter().any(|r| r.check == OURS)
    }

    /// The first reason's text; empty for a pass.
    #[must_use]
    pub fn headline(&self) -> &str {
        self.reasons.first().map_or("", |r| r.text.as_str())
    }
}

const DAY: Duration = Duration::from_secs(86_400);

/// Judges one observation.
#[must_use]
pub fn judge(expect: &Expectations, seen: &Observation) -> Verdict {
    let mut reasons = Vec::new();
    if let Some(fault) = &seen.look.fault {
        let check = if fault.is_ours() { OURS } else { "fault" };
        reasons.push(Reason { grade: Grade::Fail, check, text: fault.to_string() });
    } else {
        check_duration(expect, seen, &mut reasons);
        check_tracks(expect, seen, &mut reasons);
        check_bounds(&expect.bounds, &seen.look.reading, &mut reasons);
    }
    check_certificate(expect, seen, &mut reasons);
    reasons.extend(seen.look.reading.findings.iter().filter_map(|finding| {
        let grade = match finding.severity {
            Severity::Note => return None,
            Severity::Warning => Grade::Warn,
            Severity::Failure => Grade::Fail,
        };
        Some(Reason { grade, check: finding.name, text: finding.text.clone() })
    }));
    reasons.sort_by_key(|r| std::cmp::Reverse(r.grade));
    Verdict { grade: reasons.first().map_or(Grade::Pass, |r| r.grade), reasons }
}

fn check_duration(expect: &Expectations, seen: &Observation, out: &mut Vec<Reason>) {
    let over = |limit: Option<Duration>| limit.filter(|l| seen.took > *l);
    let (grade, check, limit) = match (over(expect.fail_after), over(expect.warn_after)) {
        (Some(limit), _) => (Grade::Fail, "fail_after", limit),
        (None, Some(limit)) => (Grade::Warn, "warn_after", limit),
        (None, None) => return,
    };
    let text = format!("took {} ms, expected at most {} ms", seen.took.as_millis(), limit.as_millis());
    out.push(Reason { grade, check, text });
}

fn check_tracks(expect: &Expectations, seen: &Observation, out: &mut Vec<Reason>) {
    let mut fail = |check, text| out.push(Reason { grade: Grade::Fail, check, text });
    for (media, wanted, check) in [(Media::Video, expect.video, "video"), (Media::Audio, expect.audio, "audio")] {
        let found = seen.look.reading.track(media).is_some();
        match wanted {
            Some(true) if !found => fail(check, format!("no {media} track, expected one")),
            Some(false) if found => fail(check, format!("an {media} track is there, expected none")),
            _ => {}
        }
    }
    for (media, accepted, check) in
        [(Media::Video, &expect.video_codec, "video_codec"), (Media::Audio, &expect.audio_codec, "audio_codec")]
    {
        if accepted.is_empty() {
            continue;
        }
        match seen.look.reading.track(media) {
            Some(t) if accepted.contains(&t.codec) => {}
            Some(t) => fail(check, format!("{media} codec is {}, expected {}", t.codec, accepted.join(" or "))),
            None => fail(check, format!("no {media} track, expected {}", accepted.join(" or "))),
        }
    }
    let video = seen.look.reading.track(Media::Video);
    let mut least = |check, what: &str, min: Option<f64>, get: fn(&Track) -> Option<f64>| {
        let Some(min) = min else { return };
        match video.and_then(get) {
            Some(actual) if actual + 0.005 >= min => {}
            Some(actual) => fail(check, format!("{what} is {}, expected at least {}", trim(actual), trim(min))),
            None => fail(check, format!("{what} is unknown, expected at least {}", trim(min))),
        }
    };
    least("min_width", "width", expect.min_width.map(f64::from), |t| t.width.map(f64::from));
    least("min_height", "height", expect.min_height.map(f64::from), |t| t.height.map(f64::from));
    least("min_fps", "frame rate", expect.min_fps, |t| t.fps);
}

fn check_bounds(bounds: &[Bound], reading: &Reading, out: &mut Vec<Reason>) {
    let mut told: Vec<&Bound> = Vec::new();
    for bound in bounds {
        let (key, measure) = (bound.of, bound.of.measure);
        let actual = measure.read(reading).map(|value| value / measure.divide_by);
        let good = actual.is_none_or(|actual| match key.side {
            Side::Least => actual >= bound.value,
            Side::Most => actual <= bound.value,
        });
        // Of two bounds of one side the graver says enough.
        let known = told.iter().any(|b| b.of.measure == measure && b.of.side == key.side);
        if known || (good && (actual.is_some() || !measure.missed)) {
            continue;
        }
        let side = if key.side == Side::Least { "least" } else { "most" };
        let wanted = format!("expected at {side} {} {}", trim(bound.value), measure.unit);
        let (grade, text) = match actual {
            Some(actual) => (key.grade, format!("{} is {} {}, {wanted}", measure.what, trim(actual), measure.unit)),
            None => (Grade::Warn, format!("{} was not measured, {wanted}", measure.what)),
        };
        out.push(Reason { grade, check: key.key, text });
        told.push(bound);
    }
}

fn check_certificate(expect: &Expectations, seen: &Observation, out: &mut Vec<Reason>) {
    let Some(FactValue::Time(ends)) = seen.look.reading.facts.get(fact::CERT_EXPIRES_AT) else { return };
    let left = ends.since(seen.at);
    let within = |limit: Option<Duration>| limit.is_some_and(|l| left < l);
    let grade = if within(expect.fail_cert) {
        Grade::Fail
    } else if within(expect.warn_cert) {
        Grade::Warn
    } else {
        return;
    };
    let check = if grade == Grade::Fail { "fail_cert" } else { "warn_cert" };
    let days = left.as_secs_f64() / DAY.as_secs_f64();
    let text = if left.is_zero() {
        "the certificate has expired".to_owned()
    } else {
        format!("the certificate expires in {days:.1} days")
    };
    out.push(Reason { grade, check, text });
}

/// A number without needless digits: `25`, `29.97`.
fn trim(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::BOUNDS;
    use crate::fault::{Fault, FaultKind};
    use crate::observation::Look;
    use crate::phase::Phase;
    use crate::target::TargetId;
    use crate::time::UtcMs;

    fn seen(change: impl FnOnce(&mut Observation)) -> Observation {
        let mut video = Track::new(Media::Video, "h264");
        (video.width, video.height, video.fps) = (Some(640), Some(360), Some(25.0));
        let mut look = Look::default();
        look.reading.tracks.push(video);
        let mut o = Observation {
            target: TargetId::parse("t").expect("valid"),
            at: UtcMs(1_000_000),
            took: Duration::from_millis(100),
            attempts: 1,
            look,
        };
        change(&mut o);
        o
    }

    fn check(expect: &Expectations, seen: &Observation, grade: Grade, headline: &str) {
        let v = judge(expect, seen);
        assert_eq!((v.grade, v.headline()), (grade, headline), "{v:?}");
    }

    #[test]
    fn nothing_expected_passes_and_a_fault_fails() {
        check(&Expectations::default(), &seen(|_| ()), Grade::Pass, "");
        let faulty =
            seen(|o| o.look.fault = Some(Fault::new(FaultKind::Refused, Phase::Connect, "connection refused")));
        check(&Expectations::default(), &faulty, Grade::Fail, "refused (connect): connection refused");
    }

    #[test]
    fn every_expectation_names_the_actual_value() {
        let e = Expectations::default;
        let ms = |n| Some(Duration::from_millis(n));
        check(
            &Expectations { warn_after: ms(50), ..e() },
            &seen(|_| ()),
            Grade::Warn,
            "took 100 ms, expected at most 50 ms",
        );
        check(
            &Expectations { warn_after: ms(50), fail_after: ms(99), ..e() },
            &seen(|_| ()),
            Grade::Fail,
            "took 100 ms, expected at most 99 ms",
        );
        check(&Expectations { fail_after: ms(100), ..e() }, &seen(|_| ()), Grade::Pass, "");
        check(&Expectations { audio: Some(true), ..e() }, &seen(|_| ()), Grade::Fail, "no audio track, expected one");
        let codec = Expectations { video_codec: vec!["hevc".into()], ..e() };
        check(&codec, &seen(|_| ()), Grade::Fail, "video codec is h264, expected hevc");
        check(
            &Expectations { min_fps: Some(29.97), ..e() },
            &seen(|_| ()),
            Grade::Fail,
            "frame rate is 25, expected at least 29.97",
        );
        check(&Expectations { min_height: Some(360), ..e() }, &seen(|_| ()), Grade::Pass, "");
        let unknown = seen(|o| o.look.reading.tracks[0].width = None);
        check(
            &Expectations { min_width: Some(1), ..e() },
            &unknown,
            Grade::Fail,
            "width is unknown, expected at least 1",
        );
    }

    fn bounded(pairs: &[(&str, f64)]) -> Expectations {
        let of = |key: &str| BOUNDS.iter().find(|b| b.key == key).expect("a key of the table");
        let bounds = pairs.iter().map(|&(key, value)| Bound { of: of(key), value }).collect();
        Expectations { bounds, ..Expectations::default() }
    }

    #[test]
    fn bounds_of_measures_name_the_actual_value_once() {
        let at = |key: &'static str, value: FactValue| {
            seen(move |o| {
                o.look.reading.facts.insert(key, value);
            })
        };
        let rate = |bps| at(fact::MEASURED_BITRATE_BPS, FactValue::Int(bps));
        let rates =
            bounded(&[("min_bitrate_kbps", 500.0), ("warn_min_bitrate_kbps", 900.0), ("max_bitrate_kbps", 4e3)]);
        check(&rates, &rate(1_000_000), Grade::Pass, "");
        check(&rates, &rate(800_000), Grade::Warn, "bit rate is 800 kbit/s, expected at least 900 kbit/s");
        check(&rates, &rate(499_900), Grade::Fail, "bit rate is 499.9 kbit/s, expected at least 500 kbit/s");
        assert_eq!(judge(&rates, &rate(1)).reasons.len(), 1);
        check(&rates, &rate(4_000_001), Grade::Fail, "bit rate is 4000 kbit/s, expected at most 4000 kbit/s");
        let loss = bounded(&[("max_loss_percent", 5.0), ("warn_max_loss_percent", 0.5)]);
        check(&loss, &at(fact::LOSS_RATIO, FactValue::Num(0.005)), Grade::Pass, "");
        check(
            &loss,
            &at(fact::LOSS_RATIO, FactValue::Num(0.0123)),
            Grade::Warn,
            "loss is 1.23 %, expected at most 0.5 %",
        );
        let late = bounded(&[("max_live_latency", 8_000.0)]);
        check(
            &late,
            &at(fact::LIVE_LATENCY_MS, FactValue::Int(9_000)),
            Grade::Fail,
            "live latency is 9000 ms, expected at most 8000 ms",
        );
    }

    #[test]
    fn what_was_not_measured_is_said_where_every_look_measures_it() {
        let both = bounded(&[("max_bitrate_kbps", 10.0), ("max_keyframe_interval", 10.0)]);
        check(&both, &seen(|_| ()), Grade::Warn, "bit rate was not measured, expected at most 10 kbit/s");
        assert_eq!(judge(&both, &seen(|_| ())).reasons.len(), 1);
        let slower = seen(|o| o.look.reading.int(fact::SEGMENT_BITRATE_BPS, 9_000));
        check(&both, &slower, Grade::Pass, "");
    }

    #[test]
    fn findings_warn_beside_a_fault_and_notes_do_not() {
        let found = |faulty: bool, severity| {
            seen(move |o| {
                o.look.reading.find("segment_slow", severity, "the segment of 2 s took 3 s");
                o.look.fault = faulty.then(|| Fault::new(FaultKind::Stale, Phase::Check, "old"));
            })
        };
        let e = Expectations::default();
        check(&e, &found(false, Severity::Note), Grade::Pass, "");
        check(&e, &found(false, Severity::Warning), Grade::Warn, "the segment of 2 s took 3 s");
        check(&e, &found(false, Severity::Failure), Grade::Fail, "the segment of 2 s took 3 s");
        check(&e, &found(true, Severity::Warning), Grade::Fail, "stale (check): old");
        assert_eq!(judge(&e, &found(true, Severity::Warning)).reasons[1].check, "segment_slow");
    }

    #[test]
    fn a_certificate_near_its_end_warns_then_fails() {
        let e = Expectations { warn_cert: Some(DAY * 14), fail_cert: Some(DAY), ..Expectations::default() };
        let ending = |days: f64| {
            seen(move |o| {
                let ends = o.at.plus(DAY.mul_f64(days));
                o.look.reading.time(fact::CERT_EXPIRES_AT, ends);
            })
        };
        check(&e, &ending(15.0), Grade::Pass, "");
        check(&e, &ending(5.0), Grade::Warn, "the certificate expires in 5.0 days");
        check(&e, &ending(0.5), Grade::Fail, "the certificate expires in 0.5 days");
    }
}
