//! Streams that go on, or should: advance, memory, clocks, periods.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use model::reading::Severity;
use testkit::http::{HttpPeer, Reply};
use tokio::time::Instant;

use crate::lab::*;
use crate::support::{fact, look, outcome, target, tracks, words};

#[tokio::test]
async fn the_first_look_waits_for_an_advance_and_the_second_remembers() {
    let (peer, asked) = stepping(&[10, 10, 11, 12]).await;
    let watch = Watch::new(&peer.url("/live.mpd"), &[]);
    let first = watch.look().await;
    assert_eq!((outcome(&first).as_str(), tracks(&first).as_str()), ("up", BOTH), "{:?}", first.look);
    assert_eq!((fact(&first, "advance").as_str(), asked.load(Ordering::SeqCst)), ("seen", 3));
    assert!(first.took < Duration::from_millis(900), "the wait is not the server's: {:?}", first.took);
    let second = watch.look().await;
    assert_eq!((fact(&second, "advance").as_str(), asked.load(Ordering::SeqCst)), ("in time", 4));
    assert_eq!((outcome(&second).as_str(), names(&second)), ("up", vec![]));
    assert!(paths(&peer).contains(&"/s14000.mp4".to_owned()), "the newest: {:?}", paths(&peer));
}

#[tokio::test]
async fn a_manifest_that_stands_still_is_stale_in_the_first_look_and_later() {
    let (peer, asked) = stepping(&[10]).await;
    let seen = look(&target(&peer.url("/live.mpd"), &[])).await;
    assert_eq!(outcome(&seen), "stale (check)");
    let expected = "video \"v\": the manifest has not advanced for 1.5 s (newest segment 3, stale after 1.5 s)";
    assert!(words(&seen).contains(expected), "{}", words(&seen));
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    // Without waiting, the look that comes late enough says so.
    let watch = Watch::new(&peer.url("/live.mpd"), &[("advance", "no"), ("stale_after", "500ms")]);
    let first = watch.look().await;
    assert_eq!((outcome(&first).as_str(), fact(&first, "advance").as_str()), ("up", "not proven"));
    assert_eq!(names(&first), ["advance_unproven"]);
    let began = Instant::now();
    while outcome(&watch.look().await) != "stale (check)" {
        assert!(began.elapsed() < Duration::from_secs(5), "the memory counts the time");
    }
}

#[tokio::test]
async fn times_that_are_fresh_need_no_wait() {
    let start = format!("availabilityStartTime=\"{}\" publishTime=\"{}\"", ago(13), ago(0));
    let peer = server(listed(&start, 10)).await;
    let seen = look(&target(&peer.url("/live.mpd"), &[])).await;
    assert_eq!((outcome(&seen).as_str(), fact(&seen, "advance").as_str()), ("up", "fresh by its times"));
    assert_eq!(names(&seen), [""; 0]);
    let latency: i64 = fact(&seen, "live_latency_ms").parse().expect("a number");
    assert!((0..1_500).contains(&latency), "{latency}");
    assert_eq!((fact(&seen, "window_ms"), fact(&seen, "segments")), ("3000".to_owned(), "3".to_owned()));
}

#[tokio::test]
async fn updates_are_asked_for_where_the_manifest_says() {
    let count = AtomicU32::new(10);
    let peer = HttpPeer::with(move |request| match request.target.as_str() {
        "/live.mpd" => manifest(listed(LONG_AGO, 10).replace("<Period>", "<Location>session/7.mpd</Location><Period>")),
        "/session/7.mpd" => manifest(listed(LONG_AGO, count.fetch_add(1, Ordering::SeqCst))),
        _ => bytes(MP4),
    })
    .await;
    let seen = look(&target(&peer.url("/live.mpd"), &[])).await;
    assert_eq!((outcome(&seen).as_str(), fact(&seen, "advance").as_str()), ("up", "seen"), "{:?}", seen.look);
    assert_eq!(paths(&peer).iter().filter(|path| *path == "/live.mpd").count(), 1);
}

#[tokio::test]
async fn going_back_is_found_between_looks_and_warns() {
    let (peer, _) = stepping(&[10, 2]).await;
    let watch = Watch::new(&peer.url("/live.mpd"), &[("advance", "no")]);
    watch.look().await;
    let second = watch.look().await;
    assert_eq!(names(&second), ["timeline_regression"]);
    assert!(text(&second, "timeline_regression").contains("it ended at 13 s before, at 5 s now"));
    assert!(second.look.reading.findings.iter().all(|f| f.severity == Severity::Warning));
}

/// A server of segments by number of which those from `gone` on are not there.
async fn numbers(ago_s: i64, gone: i64, clock: &str) -> HttpPeer {
    let text = numbered(ago_s, clock);
    HttpPeer::with(move |request| {
        let number = request.target.strip_prefix("/s").and_then(|rest| rest.strip_suffix(".mp4")?.parse::<i64>().ok());
        match number {
            Some(number) if number >= gone => Reply::text(404, "not yet"),
            _ if request.target.ends_with(".mpd") => manifest(text.clone()),
            _ => bytes(MP4),
        }
    })
    .await
}

#[tokio::test]
async fn the_clock_says_which_segment_is_the_newest() {
    let peer = numbers(100, 1_000, "").await;
    let seen = look(&target(&peer.url("/live.mpd"), &[])).await;
    assert_eq!((outcome(&seen).as_str(), fact(&seen, "advance").as_str()), ("up", "by the clock"), "{:?}", seen.look);
    let number: i64 = fact(&seen, "media_sequence").parse().expect("a number");
    assert!((97..=99).contains(&number), "100 s began, less a margin: {number}");
    // One that is late degrades; two are an end.
    let peer = numbers(100, number, "").await;
    let seen = look(&target(&peer.url("/live.mpd"), &[])).await;
    assert_eq!(outcome(&seen), "up");
    assert_eq!(names(&seen), ["segment_missing"]);
    assert!(text(&seen, "segment_missing").contains("status 404"), "{}", text(&seen, "segment_missing"));
    let peer = numbers(100, number - 3, "").await;
    let seen = look(&target(&peer.url("/live.mpd"), &[])).await;
    assert_eq!(outcome(&seen), "no_media (media)");
    assert!(words(&seen).contains("; so is the one before it"), "{}", words(&seen));
    let peer = numbers(-10, 0, "").await;
    let seen = look(&target(&peer.url("/live.mpd"), &[])).await;
    assert_eq!(outcome(&seen), "no_media (check)");
    assert!(words(&seen).contains("no segment is due yet"), "{}", words(&seen));
}

#[tokio::test]
async fn clocks_are_asked_once_and_compared() {
    for (scheme, ahead_s, expected) in [
        ("http-iso", 0, None),
        ("http-xsdate", 30, Some("the stream's clock (http-xsdate) is ")),
        ("http-iso", -20, Some("s behind ours")),
    ] {
        let timing = format!("<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:{scheme}:2014\" value=\"/time\"/>");
        let text = numbered(100 - ahead_s, &timing);
        let peer = HttpPeer::with(move |request| match request.target.as_str() {
            "/time" => Reply::text(200, ago(-ahead_s)),
            "/live.mpd" => manifest(text.clone()),
            _ => bytes(MP4),
        })
        .await;
        let watch = Watch::new(&peer.url("/live.mpd"), &[]);
        for _ in 0..2 {
            let seen = watch.look().await;
            assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
            let offset: i64 = fact(&seen, "clock_offset_ms").parse().expect("a number");
            assert!((offset - ahead_s * 1_000).abs() < 1_500, "{scheme}: {offset}");
            let number: i64 = fact(&seen, "media_sequence").parse().expect("a number");
            assert!((96..=99).contains(&number), "segments go by the stream's clock: {number}");
            match expected {
                Some(words) => {
                    assert!(self::text(&seen, "clock_skew").contains(words), "{}", self::text(&seen, "clock_skew"))
                }
                None => assert_eq!(names(&seen), [""; 0]),
            }
        }
        assert_eq!(paths(&peer).iter().filter(|path| *path == "/time").count(), 1, "an answer is believed for a while");
    }
}

#[tokio::test]
async fn clocks_that_say_nothing_end_no_look() {
    for (value, words) in [
        ("http-iso:2014\" value=\"/time", "its answer is no date"),
        ("http-iso:2014\" value=\"/missing", "status 404"),
        ("http-iso:2014\" value=\"/hang", "did not answer in"),
        ("http-head:2014\" value=\"/time", "no Date in its answer"),
        ("direct:2014\" value=\"noon", "is no date"),
        ("ntp:2014\" value=\"pool.example", "is not understood (urn:mpeg:dash:utc:ntp:2014)"),
        ("http-iso:2014\" value=\"ftp://h/time", "of the scheme ftp"),
    ] {
        let text = numbered(100, &format!("<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:{value}\"/>"));
        let peer = HttpPeer::with(move |request| match request.target.as_str() {
            "/time" => Reply::text(200, "noon"),
            "/missing" => Reply::text(404, ""),
            "/hang" => Reply::Stall(Vec::new()),
            "/live.mpd" => manifest(text.clone()),
            _ => bytes(MP4),
        })
        .await;
        let seen = look(&target(&peer.url("/live.mpd"), &[])).await;
        assert_eq!(outcome(&seen), "up", "{value}: {:?}", seen.look);
        assert_eq!(names(&seen), ["clock_unproven"]);
        assert!(
            self::text(&seen, "clock_unproven").contains(words),
            "{value}: {}",
            self::text(&seen, "clock_unproven")
        );
    }
}

#[tokio::test]
async fn live_may_be_expected() {
    let segments = "<SegmentTemplate media=\"$Number$.mp4\" initialization=\"i.mp4\" duration=\"1\"/>";
    let ended =
        live(&format!("availabilityStartTime=\"{}\" mediaPresentationDuration=\"PT10S\"", ago(75)), &muxed(segments));
    let finished = vod("mediaPresentationDuration=\"PT10S\"", &muxed(segments));
    for (text, live, expected, part) in [
        (&finished, "true", "stale (check)", "the manifest is static, a live one is expected"),
        (&ended, "true", "stale (check)", "the presentation ended 6"),
        (&ended, "auto", "up", ""),
        (&finished, "auto", "up", ""),
        (&ended, "false", "up", ""),
    ] {
        let peer = server(text.clone()).await;
        let seen = look(&target(&peer.url("/x.mpd"), &[("live", live)])).await;
        assert_eq!(outcome(&seen), expected, "{live} {text}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{}", words(&seen));
        let warned = names(&seen).contains(&"static_expected");
        assert_eq!(warned, live == "false", "{:?}", names(&seen));
    }
}

#[tokio::test]
async fn the_newest_period_that_has_begun_is_looked_at() {
    let set = |id: &str| {
        format!(
            "<AdaptationSet mimeType=\"video/mp4\"><SegmentTemplate media=\"{id}-$Number$.mp4\" initialization=\"i.mp4\" \
             duration=\"1\"/><Representation id=\"{id}\" bandwidth=\"900000\"/></AdaptationSet>"
        )
    };
    let period = |id: &str, start: &str| format!("<Period id=\"{id}\" {start}>{}</Period>", set(id));
    let periods =
        [period("old", "start=\"PT0S\" duration=\"PT50S\""), period("now", ""), period("next", "start=\"PT200S\"")];
    let text = live(&format!("availabilityStartTime=\"{}\"", ago(100)), &periods.concat());
    let peer = server(text).await;
    let seen = look(&target(&peer.url("/x.mpd"), &[])).await;
    assert_eq!((outcome(&seen).as_str(), fact(&seen, "periods").as_str()), ("up", "3"), "{:?}", seen.look);
    let asked = paths(&peer);
    assert!(asked.iter().any(|path| path.starts_with("/now-4") || path.starts_with("/now-5")), "{asked:?}");
}
