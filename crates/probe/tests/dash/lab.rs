//! Manifests to order, and servers of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use model::observation::Observation;
use model::target::Target;
use model::time::Clock as _;
use net::clock::SystemClock;
use probe::kind::Probe;
use probe::run::Prober;
use testkit::http::{HttpPeer, Reply};
use tokio_util::sync::CancellationToken;

use crate::support::target;

pub(crate) const TS: &[u8] = include_bytes!("../../../wire/testdata/ts/ffmpeg_h264_aac.bin");
/// An initialization segment with a segment of one second behind it.
pub(crate) const MP4: &[u8] = include_bytes!("../../../wire/testdata/mp4/ffmpeg_h264_aac.bin");
pub(crate) const BOTH: &str = "h264 Constrained Baseline 64x48 10 fps* + aac LC 48000 Hz 2 ch*";
/// A presentation that began long ago: what it lists says nothing of when it was made.
pub(crate) const LONG_AGO: &str = "availabilityStartTime=\"2020-01-01T00:00:00Z\"";

pub(crate) fn manifest(body: impl Into<String>) -> Reply {
    let kind = ("Content-Type".to_owned(), "application/dash+xml".to_owned());
    Reply::Whole(200, vec![kind], body.into().into_bytes())
}

pub(crate) fn bytes(body: &[u8]) -> Reply {
    Reply::Whole(200, Vec::new(), body.to_vec())
}

/// Where the first segment begins in [`MP4`].
pub(crate) fn moof() -> usize {
    MP4.windows(4).position(|w| w == b"moof").expect("a fragment") - 4
}

/// A representation of both media with these segments.
pub(crate) fn muxed(segments: &str) -> String {
    format!(
        "<Period><AdaptationSet><Representation id=\"v\" mimeType=\"video/mp4\" codecs=\"avc1.42c00a,mp4a.40.2\" \
         bandwidth=\"900000\" width=\"64\" height=\"48\">{segments}</Representation></AdaptationSet></Period>"
    )
}

pub(crate) fn vod(attributes: &str, periods: &str) -> String {
    format!("<MPD type=\"static\" minBufferTime=\"PT2S\" {attributes}>{periods}</MPD>")
}

pub(crate) fn live(attributes: &str, periods: &str) -> String {
    format!("<MPD type=\"dynamic\" minBufferTime=\"PT2S\" {attributes}>{periods}</MPD>")
}

/// A live manifest whose three segments of one second begin at `first` seconds.
pub(crate) fn listed(attributes: &str, first: u32) -> String {
    let timeline = format!("<S t=\"{}\" d=\"1000\" r=\"2\"/>", first * 1_000);
    let segments = format!(
        "<SegmentTemplate timescale=\"1000\" media=\"s$Time$.mp4\" initialization=\"i.mp4\">\
         <SegmentTimeline>{timeline}</SegmentTimeline></SegmentTemplate>"
    );
    live(&format!("{attributes} minimumUpdatePeriod=\"PT0.5S\""), &muxed(&segments))
}

/// A live manifest of segments by number of one second, which began `ago_s` seconds ago.
pub(crate) fn numbered(ago_s: i64, more: &str) -> String {
    let segments =
        "<SegmentTemplate media=\"s$Number$.mp4\" initialization=\"i.mp4\" duration=\"1\" startNumber=\"0\"/>";
    live(&format!("availabilityStartTime=\"{}\"", ago(ago_s)), &format!("{}{more}", muxed(segments)))
}

/// A point in time some seconds ago, as manifests write it.
pub(crate) fn ago(seconds: i64) -> String {
    let ms = SystemClock::new().utc().0 - seconds * 1_000;
    let (day, ms) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // Days to a date of the Gregorian calendar, by eras of 400 years that begin in March.
    let (era, of_era) = ((day + 719_468).div_euclid(146_097), (day + 719_468).rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
}

/// A server of one manifest; every other path is the segment.
pub(crate) async fn server(text: impl Into<String>) -> HttpPeer {
    let text = text.into();
    HttpPeer::with(move |request| if request.target.ends_with(".mpd") { manifest(text.clone()) } else { bytes(MP4) })
        .await
}

pub(crate) fn names(seen: &Observation) -> Vec<&'static str> {
    seen.look.reading.findings.iter().map(|f| f.name).collect()
}

pub(crate) fn text(seen: &Observation, name: &str) -> String {
    let found = seen.look.reading.findings.iter().find(|f| f.name == name);
    found.unwrap_or_else(|| panic!("{name} is missing: {:?}", seen.look)).text.clone()
}

pub(crate) fn paths(peer: &HttpPeer) -> Vec<String> {
    peer.requests().into_iter().map(|request| request.target).collect()
}

/// A probe that looks several times, as the engine has it.
pub(crate) struct Watch {
    target: Target,
    probe: Box<dyn Probe>,
    prober: Prober,
}

impl Watch {
    pub(crate) fn new(url: &str, options: &[(&str, &str)]) -> Self {
        let target = target(url, options);
        assert_eq!(target.kind, "dash");
        let probe = probe::kind::build(&target).expect("good options");
        Self { target, probe, prober: Prober::new(Arc::new(SystemClock::new())) }
    }

    pub(crate) async fn look(&self) -> Observation {
        self.prober.observe(&self.target, &*self.probe, &CancellationToken::new()).await
    }
}

/// A live server whose list begins at the seconds of `steps`, one after the other, and then at the last one.
pub(crate) async fn stepping(steps: &'static [u32]) -> (HttpPeer, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let peer = HttpPeer::with(move |request| {
        if !request.target.ends_with(".mpd") {
            return bytes(MP4);
        }
        let step = count.fetch_add(1, Ordering::SeqCst) as usize;
        manifest(listed(LONG_AGO, steps[step.min(steps.len() - 1)]))
    });
    (peer.await, asked)
}
