//! The clock of a presentation (`UTCTiming`): asked for, and compared with ours. Owns the schemes that are understood and how
//! long an answer is believed; a clock that cannot be had ends no look.

use std::time::Duration;

use model::address::Address;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Reading, Severity};
use net::attempt::Attempt;
use net::http::Method;
use net::trust::TlsOptions;
use tokio::time::Instant;
use wire::m3u8::parse_date;
use wire::mpd::Descriptor;

use super::super::hls::advance::server_date;
use super::super::hls::get::resolve;
use super::super::hls::lint::{Found, seconds, warning};
use crate::kinds::http::fetch::{Ask, fetch_from, status_fault};

/// Clocks differ by less than this without anybody noticing; some sources tell whole seconds only.
const SKEW_MS: i64 = 2_000;
/// How far the time inside a manifest may be behind: the manifest may come from a cache.
const DIRECT_BEHIND_MS: i64 = 30_000;
/// How long an answer is believed: players ask once in a session.
const BELIEVED: Duration = Duration::from_secs(300);
/// Longest wait for a clock, and the part of the look's remaining time that it may take.
const PATIENCE: Duration = Duration::from_secs(2);
const PATIENCE_PART: u32 = 4;
/// Largest answer: a date.
const MAX_DATE_BYTES: usize = 1_024;
/// Redirects followed.
const MAX_REDIRECTS: usize = 3;

/// What a clock said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    /// Theirs minus ours, in milliseconds; none when it could not be had.
    pub(super) offset_ms: Option<i64>,
    pub(super) found: Option<Found>,
}

/// An answer that is still believed.
#[derive(Debug)]
pub(super) struct Believed {
    asked: Descriptor,
    until: Instant,
    told: Told,
}

/// How a scheme tells the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Direct,
    Body,
    Head,
}

/// The way of a scheme, and its short name; `None` for those that are not understood (NTP).
fn way(scheme: &str) -> Option<(Way, &'static str)> {
    let word = scheme.strip_prefix("urn:mpeg:dash:utc:")?.split(':').next()?;
    match word {
        "direct" => Some((Way::Direct, "direct")),
        "http-xsdate" => Some((Way::Body, "http-xsdate")),
        "http-iso" => Some((Way::Body, "http-iso")),
        "http-head" => Some((Way::Head, "http-head")),
        _ => None,
    }
}

/// The clock among these that is asked: the first whose scheme is understood.
fn usable(clocks: &[Descriptor]) -> Option<(&Descriptor, Way, &'static str)> {
    clocks.iter().find_map(|clock| way(&clock.scheme).map(|(way, name)| (clock, way, name)))
}

/// What the clock of a manifest at `base` says; `believed` is what was said before, and what will be.
pub(super) async fn ask(
    at: &mut Attempt<'_>,
    (clocks, base): (&[Descriptor], &Address),
    tls: &TlsOptions,
    believed: &std::sync::Mutex<Option<Believed>>,
) -> Option<Told> {
    let Some((clock, way, name)) = usable(clocks) else {
        let first = clocks.first()?;
        let scheme: String = first.scheme.chars().take(60).collect();
        return Some(unproven(format!("the scheme of the stream's clock is not understood ({scheme})")));
    };
    if way == Way::Direct {
        return Some(match parse_date(&clock.value) {
            Some(date) => direct(date.saturating_sub(at.utc().0)),
            None => unproven("the stream's clock (direct) is no date".to_owned()),
        });
    }
    let lock = || believed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let known = lock().as_ref().filter(|b| b.asked == *clock && b.until > Instant::now()).map(|b| b.told.clone());
    if known.is_some() {
        return known;
    }
    let patience = PATIENCE.min(at.remaining() / PATIENCE_PART);
    let told = match tokio::time::timeout(patience, fetch(at, clock, way, base, tls)).await {
        Ok(Ok((offset, slack))) => judged(name, offset, slack),
        Ok(Err(fault)) => unproven(format!("the stream's clock ({name}) could not be asked: {fault}")),
        Err(_late) => unproven(format!("the stream's clock ({name}) did not answer in {} ms", patience.as_millis())),
    };
    *lock() = Some(Believed { asked: clock.clone(), until: Instant::now() + BELIEVED, told: told.clone() });
    Some(told)
}

fn unproven(text: String) -> Told {
    Told { offset_ms: None, found: Some(Found { name: "clock_unproven", severity: Severity::Note, text }) }
}

/// `slack_ms`: by how much the measure itself may be wrong.
fn judged(name: &str, offset_ms: i64, slack_ms: i64) -> Told {
    let skewed = offset_ms.saturating_abs().saturating_sub(slack_ms) > SKEW_MS;
    let by = seconds(offset_ms.unsigned_abs() as f64 / 1_000.0);
    let side = if offset_ms > 0 { "ahead of" } else { "behind" };
    let text = format!("the stream's clock ({name}) is {by} {side} ours");
    Told { offset_ms: Some(offset_ms), found: skewed.then(|| warning("clock_skew", text)) }
}

/// A time inside the manifest is as old as the manifest: only far from ours it says something.
fn direct(offset_ms: i64) -> Told {
    let told = judged("direct", offset_ms, if offset_ms < 0 { DIRECT_BEHIND_MS - SKEW_MS } else { 0 });
    Told { offset_ms: told.offset_ms.filter(|_| told.found.is_some()), ..told }
}

/// The difference of clocks and by how much it may be wrong, both in milliseconds.
async fn fetch(
    at: &mut Attempt<'_>,
    clock: &Descriptor,
    way: Way,
    base: &Address,
    tls: &TlsOptions,
) -> Result<(i64, i64), Fault> {
    let wrong = |words: String| Fault::new(FaultKind::Protocol, Phase::Transfer, words);
    let reference = clock.value.split_whitespace().next().unwrap_or_default();
    let address = resolve(base, reference, "the clock")?;
    let method = if way == Way::Head { Method::HEAD } else { Method::GET };
    let ask =
        Ask { method, address: &address, headers: &[], body: None, tls, redirects: MAX_REDIRECTS, accepts: &|_| false };
    let began = Instant::now();
    let (mut reply, _) = fetch_from(at, &ask, &mut Reading::default()).await?;
    let (waited, now) = (began.elapsed(), at.utc().0);
    if !(200..=299).contains(&reply.status) {
        return Err(status_fault(&reply, "200-299"));
    }
    let half = i64::try_from(waited.as_millis() / 2).unwrap_or(i64::MAX);
    let theirs = match way {
        // Whole seconds: half a second later on the average.
        Way::Head => server_date(&reply).ok_or_else(|| wrong("no Date in its answer".to_owned()))?.saturating_add(500),
        _ => {
            let body = at.run(Phase::Transfer, reply.body.collect(MAX_DATE_BYTES)).await?;
            let text = String::from_utf8_lossy(&body);
            parse_date(text.trim().trim_matches('"')).ok_or_else(|| wrong("its answer is no date".to_owned()))?
        }
    };
    Ok((theirs.saturating_add(half).saturating_sub(now), half))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(word: &str) -> Descriptor {
        Descriptor { scheme: format!("urn:mpeg:dash:utc:{word}:2014"), value: "x".to_owned() }
    }

    #[test]
    fn the_first_clock_that_is_understood_is_asked() {
        let clocks = ["ntp", "http-iso", "direct"].map(descriptor);
        assert_eq!(usable(&clocks).map(|(_, way, name)| (way, name)), Some((Way::Body, "http-iso")));
        assert_eq!(usable(&[descriptor("sntp")]), None);
        assert_eq!(way("urn:mpeg:dash:utc:http-head:2012"), Some((Way::Head, "http-head")));
        assert_eq!(way("http://time.example/"), None);
    }

    #[test]
    fn clocks_may_differ_a_little() {
        let text = |told: Told| told.found.map(|found| found.text);
        assert_eq!(text(judged("http-iso", 1_900, 0)), None);
        assert_eq!(text(judged("http-iso", -2_400, 500)), None);
        let words = "the stream's clock (http-iso) is 12.5 s ahead of ours";
        assert_eq!(text(judged("http-iso", 12_500, 100)).as_deref(), Some(words));
        let words = "the stream's clock (http-iso) is 3 s behind ours";
        assert_eq!(text(judged("http-iso", -3_000, 100)).as_deref(), Some(words));
    }

    #[test]
    fn a_time_inside_the_manifest_may_be_old() {
        assert_eq!(direct(-20_000), Told { offset_ms: None, found: None });
        assert_eq!(direct(500), Told { offset_ms: None, found: None });
        assert_eq!(direct(-40_000).offset_ms, Some(-40_000));
        assert!(direct(5_000).found.is_some_and(|found| found.name == "clock_skew"));
    }
}
