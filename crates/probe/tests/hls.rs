//! The hls kind against a scripted server: what needs a server that changes, refuses or lies in one particular way.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use model::conf::Value;
use model::observation::Observation;
use model::reading::{Depth, Severity};
use model::target::Target;
use model::verdict::{Grade, judge};
use net::clock::SystemClock;
use probe::kind::Probe;
use probe::run::Prober;
use support::{fact, look, outcome, target, tracks, words};
use testkit::http::{HttpPeer, PASSWORD, Reply, Request, USER, basic};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const TS: &[u8] = include_bytes!("../../wire/testdata/ts/ffmpeg_h264_aac.bin");
const MP3: &[u8] = include_bytes!("../../wire/testdata/ts/ffmpeg_mp3.bin");
const MP4: &[u8] = include_bytes!("../../wire/testdata/mp4/ffmpeg_h264_aac.bin");
const BOTH: &str = "h264 Constrained Baseline 64x48 10 fps* + aac LC 48000 Hz 2 ch*";

fn playlist(body: impl Into<String>) -> Reply {
    let kind = ("Content-Type".to_owned(), "application/vnd.apple.mpegurl".to_owned());
    Reply::Whole(200, vec![kind], format!("#EXTM3U\n{}", body.into()).into_bytes())
}

fn bytes(body: &[u8]) -> Reply {
    Reply::Whole(200, Vec::new(), body.to_vec())
}

/// A live playlist of three segments from number `first`.
fn live(first: u32) -> String {
    let segments: String = (first..first + 3).map(|n| format!("#EXTINF:1.0,\ns{n}.ts\n")).collect();
    format!("#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n{segments}")
}

fn vod(segments: &str) -> String {
    format!("#EXT-X-TARGETDURATION:1\n{segments}#EXT-X-ENDLIST\n")
}

/// A server of these playlists by path; every other path is the segment.
async fn server(lists: &'static [(&'static str, &'static str)]) -> HttpPeer {
    HttpPeer::with(move |request| {
        let list = lists.iter().find(|(path, _)| *path == request.target);
        list.map_or_else(|| bytes(TS), |(_, body)| playlist(*body))
    })
    .await
}

/// A target whose segments are read to their end.
fn whole(url: &str) -> Target {
    let mut target = target(url, &[]);
    target.options.0.insert("whole_segment".to_owned(), Value::Bool(true));
    target
}

fn names(seen: &Observation) -> Vec<&'static str> {
    seen.look.reading.findings.iter().map(|f| f.name).collect()
}

fn text(seen: &Observation, name: &str) -> String {
    let found = seen.look.reading.findings.iter().find(|f| f.name == name);
    found.unwrap_or_else(|| panic!("{name} is missing: {:?}", seen.look)).text.clone()
}

/// A probe that looks several times, as the engine has it.
struct Watch {
    target: Target,
    probe: Box<dyn Probe>,
    prober: Prober,
}

impl Watch {
    fn new(url: &str, options: &[(&str, &str)]) -> Self {
        let target = target(url, options);
        let probe = probe::kind::build(&target).expect("good options");
        Self { target, probe, prober: Prober::new(Arc::new(SystemClock::new())) }
    }

    async fn look(&self) -> Observation {
        self.prober.observe(&self.target, &*self.probe, &CancellationToken::new()).await
    }
}

/// A live server whose playlist begins at the numbers of `steps`, one after the other, and then at the last one.
async fn stepping(steps: &'static [u32]) -> (HttpPeer, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let peer = HttpPeer::with(move |request| {
        if !request.target.ends_with(".m3u8") {
            return bytes(TS);
        }
        let step = count.fetch_add(1, Ordering::SeqCst) as usize;
        playlist(live(steps[step.min(steps.len() - 1)]))
    });
    (peer.await, asked)
}

#[tokio::test]
async fn the_first_look_waits_for_an_advance_and_the_second_remembers() {
    let (peer, asked) = stepping(&[10, 10, 11, 12]).await;
    let watch = Watch::new(&peer.url("/live.m3u8"), &[]);
    let first = watch.look().await;
    assert_eq!((outcome(&first).as_str(), tracks(&first).as_str()), ("up", BOTH), "{:?}", first.look);
    assert_eq!((fact(&first, "advance").as_str(), asked.load(Ordering::SeqCst)), ("seen", 3));
    assert!(first.took < Duration::from_millis(900), "the wait is not the server's: {:?}", first.took);
    let second = watch.look().await;
    assert_eq!((fact(&second, "advance").as_str(), asked.load(Ordering::SeqCst)), ("in time", 4));
    assert_eq!((outcome(&second).as_str(), names(&second)), ("up", vec![]));
}

#[tokio::test]
async fn a_playlist_that_stands_still_is_stale_in_the_first_look_and_later() {
    let (peer, asked) = stepping(&[10]).await;
    let seen = look(&target(&peer.url("/live.m3u8"), &[])).await;
    assert_eq!(outcome(&seen), "stale (check)");
    assert!(
        words(&seen).contains("has not advanced for 1.5 s (newest segment 12, stale after 1.5 s)"),
        "{}",
        words(&seen)
    );
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    // Without waiting, the look that comes late enough says so.
    let watch = Watch::new(&peer.url("/live.m3u8"), &[("advance", "no"), ("stale_after", "500ms")]);
    let first = watch.look().await;
    assert_eq!((outcome(&first).as_str(), fact(&first, "advance").as_str()), ("up", "not proven"));
    assert_eq!(names(&first), ["advance_unproven"]);
    assert!(first.look.reading.findings.iter().all(|f| f.severity == Severity::Note));
    assert_eq!(fact(&first, "playlist_age_ms"), "-", "one look knows of no age");
    let began = Instant::now();
    let stale = loop {
        let seen = watch.look().await;
        if outcome(&seen) == "stale (check)" {
            break seen;
        }
        assert!(began.elapsed() < Duration::from_secs(5), "the memory counts the time");
    };
    let age: i64 = fact(&stale, "playlist_age_ms").parse().expect("a number");
    assert!((500..5_000).contains(&age), "{age}");
}

#[tokio::test]
async fn too_little_time_to_tell_is_said() {
    let peer = server(&[("/live.m3u8", "#EXT-X-TARGETDURATION:60\n#EXTINF:60,\ns.ts\n")]).await;
    let seen = look(&target(&peer.url("/live.m3u8"), &[])).await;
    assert_eq!((outcome(&seen).as_str(), fact(&seen, "advance").as_str()), ("up", "not proven"));
    assert!(text(&seen, "advance_unproven").contains("takes 90 s"));
    assert!(seen.took < Duration::from_secs(1), "{:?}", seen.took);
}

#[tokio::test]
async fn going_back_is_found_between_looks_and_warns() {
    let (peer, _) = stepping(&[40, 41, 3]).await;
    let watch = Watch::new(&peer.url("/live.m3u8"), &[]);
    watch.look().await;
    let back = watch.look().await;
    assert_eq!(outcome(&back), "up");
    assert!(text(&back, "media_sequence_regression").contains("41 to 43 were listed before, 3 to 5 are now"));
    assert_eq!(fact(&back, "findings"), "media_sequence_regression");
    let verdict = judge(&watch.target.expect, &back);
    assert_eq!((verdict.grade, verdict.reasons[0].check), (Grade::Warn, "media_sequence_regression"));
}

#[tokio::test]
async fn segments_that_are_not_there() {
    let lists = |request: &Request| match request.target.as_str() {
        "/live.m3u8" => playlist(live(7)),
        "/vod.m3u8" => playlist(vod("#EXTINF:1,\ns0.ts\n#EXTINF:1,\ngone.ts\n")),
        "/gaps.m3u8" => playlist(vod("#EXT-X-GAP\n#EXTINF:1,\ngone.ts\n")),
        "/none.m3u8" => playlist(vod("")),
        "/variants.m3u8" => playlist("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"n\"\n"),
        "/s0.ts" => bytes(TS),
        "/empty.m3u8" => playlist(vod("#EXTINF:1,\nempty.ts\n")),
        "/empty.ts" => bytes(b""),
        "/page.m3u8" => playlist(vod("#EXTINF:1,\npage.ts\n")),
        "/page.ts" => Reply::text(200, "<html>session expired</html>"),
        "/elsewhere.m3u8" => playlist(vod("#EXTINF:1,\nrtmp://h/x\n")),
        _ => Reply::text(404, ""),
    };
    let peer = HttpPeer::with(lists).await;
    for (path, expected, part) in [
        ("/live.m3u8", "no_media (media)", "segment s9.ts (number 9): status 404"),
        ("/vod.m3u8", "not_found (media)", "segment gone.ts (number 1): status 404"),
        ("/gaps.m3u8", "no_media (check)", "all 1 segments of the playlist are marked as gaps"),
        ("/none.m3u8", "no_media (check)", "lists no segment"),
        ("/variants.m3u8", "no_media (check)", "lists no variant"),
        ("/empty.m3u8", "no_media (media)", "segment empty.ts is empty"),
        ("/page.m3u8", "protocol (media)", "a page instead of media"),
        ("/elsewhere.m3u8", "protocol (media)", "of the scheme rtmp"),
    ] {
        let seen = look(&target(&peer.url(path), &[])).await;
        assert_eq!(outcome(&seen), expected, "{path}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{path}: {}", words(&seen));
        let learned = if path == "/vod.m3u8" { BOTH } else { "" };
        assert_eq!(tracks(&seen), learned, "{path}");
    }
}

#[tokio::test]
async fn what_is_expected_of_the_end_mark() {
    let peer = server(&[
        ("/vod.m3u8", "#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ns.ts\n#EXT-X-ENDLIST\n"),
        ("/live.m3u8", "#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ns.ts\n"),
    ])
    .await;
    let seen = look(&target(&peer.url("/vod.m3u8"), &[("live", "true")])).await;
    assert_eq!(outcome(&seen), "stale (check)");
    assert!(words(&seen).contains("has ended (EXT-X-ENDLIST)"), "{}", words(&seen));
    assert_eq!(tracks(&seen), BOTH, "what was learned stays");
    let seen = look(&target(&peer.url("/live.m3u8"), &[("live", "false")])).await;
    assert_eq!((outcome(&seen).as_str(), names(&seen)), ("up", vec!["endlist_missing"]));
}

const VARIANTS: &str = "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"Main\",DEFAULT=YES,URI=\"sound.m3u8\"\n\
    #EXT-X-STREAM-INF:BANDWIDTH=300000,CODECS=\"avc1.42c00a,mp4a.40.2,mp4a.40.34\",RESOLUTION=64x48,AUDIO=\"a\"\nlow.m3u8\n\
    #EXT-X-STREAM-INF:BANDWIDTH=900000,AUDIO=\"a\"\ngone.m3u8\n";

async fn variants() -> HttpPeer {
    HttpPeer::with(|request| match request.target.as_str() {
        "/master.m3u8" => playlist(VARIANTS),
        "/low.m3u8" => playlist(vod("#EXTINF:1,\ns.ts\n")),
        "/sound.m3u8" => playlist(vod("#EXTINF:1,\nsound.ts\n")),
        "/s.ts" => bytes(TS),
        "/sound.ts" => bytes(MP3),
        "/lying.m3u8" => playlist(
            "#EXT-X-STREAM-INF:BANDWIDTH=1000,RESOLUTION=1280x720,CODECS=\"hvc1.1.6.L93\",SUBTITLES=\"s\"\nlow.m3u8\n",
        ),
        _ => Reply::text(404, ""),
    })
    .await
}

#[tokio::test]
async fn a_missing_variant_warns_unless_it_is_the_one() {
    let peer = variants().await;
    let url = peer.url("/master.m3u8");
    let highest = look(&target(&url, &[])).await;
    assert_eq!(outcome(&highest), "not_found (first_byte)");
    assert!(words(&highest).starts_with("variant 900000 bit/s (gone.m3u8): status 404"), "{}", words(&highest));
    let all = look(&target(&url, &[("variant", "all")])).await;
    let with_sound = format!("{BOTH} + mp3 48000 Hz 1 ch*");
    assert_eq!((outcome(&all).as_str(), tracks(&all)), ("up", with_sound.clone()));
    assert!(text(&all, "variant_missing").starts_with("variant 900000 bit/s (gone.m3u8)"));
    let lowest = look(&target(&url, &[("variant", "lowest")])).await;
    assert_eq!((outcome(&lowest).as_str(), tracks(&lowest), names(&lowest)), ("up", with_sound, vec![]));
    assert_eq!(fact(&lowest, "variant"), "64x48 300000 bit/s (low.m3u8)");
}

#[tokio::test]
async fn broken_promises_of_a_variant_warn() {
    let peer = variants().await;
    let seen = look(&target(&peer.url("/lying.m3u8"), &[])).await;
    assert_eq!(outcome(&seen), "up");
    assert_eq!(names(&seen), ["rendition_group_missing", "bitrate_above_declared", "declared_differs"]);
    assert!(text(&seen, "declared_differs").contains("RESOLUTION says 1280x720, the pictures are 64x48"));
    assert!(text(&seen, "bitrate_above_declared").contains("103776 bit/s, BANDWIDTH says at most 1000"));
}

#[tokio::test]
async fn depth_decides_how_far_a_look_goes() {
    let peer = variants().await;
    for (depth, asked, expected) in
        [(Depth::Reach, 1, ""), (Depth::Describe, 3, "h264 Constrained Baseline 64x48 + aac LC + mp3")]
    {
        let mut shallow = target(&peer.url("/master.m3u8"), &[("variant", "lowest")]);
        shallow.depth = depth;
        let before = peer.requests().len();
        let seen = look(&shallow).await;
        assert_eq!((outcome(&seen).as_str(), seen.look.reading.proven), ("up", Some(depth)));
        assert_eq!((peer.requests().len() - before, tracks(&seen).as_str()), (asked, expected), "{depth}");
    }
}

#[tokio::test]
async fn byte_ranges_whether_the_server_knows_them_or_not() {
    let moof = MP4.windows(4).position(|w| w == b"moof").expect("a fragment") - 4;
    let list = format!(
        "#EXT-X-MAP:URI=\"all.mp4\",BYTERANGE=\"{moof}@0\"\n#EXT-X-BYTERANGE:{}@{moof}\n#EXTINF:1,\nall.mp4\n",
        MP4.len() - moof
    );
    for ranges in [true, false] {
        let list = vod(&list);
        let peer = HttpPeer::with(move |request| {
            if request.target.ends_with(".m3u8") {
                return playlist(list.clone());
            }
            let range = request.header("Range").and_then(|r| r.strip_prefix("bytes=")?.split_once('-'));
            let range = range.and_then(|(a, b)| Some(a.parse::<usize>().ok()?..=b.parse::<usize>().ok()?));
            match range {
                Some(range) if ranges => Reply::Whole(206, Vec::new(), MP4[range].to_vec()),
                _ => bytes(MP4),
            }
        })
        .await;
        let seen = look(&whole(&peer.url("/vod.m3u8"))).await;
        assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), ("up", BOTH), "{ranges}: {:?}", seen.look);
        assert_eq!(fact(&seen, "segment_bytes"), (MP4.len() - moof).to_string());
    }
}

#[tokio::test]
async fn keys_that_do_not_open_and_encryption_that_hides() {
    let key = |uri: &str| vod(&format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{uri}\"\n#EXTINF:1,\ns.ts\n"));
    let peer = HttpPeer::with(move |request| match request.target.as_str() {
        "/short.m3u8" => playlist(key("short.bin")),
        "/wrong.m3u8" => playlist(key("wrong.bin")),
        "/secret.m3u8" => playlist(key("locked/k.bin?token=abc")),
        "/drm.m3u8" => playlist(vod(
            "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://k\",KEYFORMAT=\"com.apple.streamingkeydelivery\"\n#EXTINF:1,\ns.ts\n",
        )),
        "/short.bin" => bytes(b"<html>"),
        "/wrong.bin" => bytes(&[7; 16]),
        "/locked/k.bin?token=abc" => Reply::text(403, ""),
        _ => bytes(TS),
    })
    .await;
    for (path, expected, part) in [
        ("/short.m3u8", "protocol (media)", "key short.bin: 6 bytes, expected 16"),
        ("/wrong.m3u8", "protocol (media)", "segment s.ts"),
        ("/secret.m3u8", "forbidden (media)", "key k.bin: status 403"),
    ] {
        let seen = look(&target(&peer.url(path), &[])).await;
        assert_eq!(outcome(&seen), expected, "{path}: {:?}", seen.look);
        assert!(words(&seen).contains(part) && !words(&seen).contains("abc"), "{path}: {}", words(&seen));
    }
    let seen = look(&target(&peer.url("/drm.m3u8"), &[])).await;
    assert_eq!((outcome(&seen).as_str(), seen.look.reading.proven), ("up", Some(Depth::Describe)));
    assert!(text(&seen, "encryption_unproven").contains("SAMPLE-AES (com.apple.streamingkeydelivery)"));
}

#[tokio::test]
async fn the_password_stays_with_its_server_and_redirects_move_the_base() {
    let cdn = HttpPeer::with(|_| bytes(TS)).await;
    let far = cdn.url("/s.ts");
    let origin = HttpPeer::with(move |request| match request.target.as_str() {
        "/go.m3u8" => basic(request, Reply::text(302, "").with("Location", "/deep/live.m3u8")),
        "/deep/live.m3u8" => basic(request, playlist(vod(&format!("#EXTINF:1,\nnear.ts\n#EXTINF:1,\n{far}\n")))),
        "/deep/near.ts" => basic(request, bytes(TS)),
        _ => Reply::text(404, ""),
    })
    .await;
    let url = origin.url("/go.m3u8").replace("://", &format!("://{USER}:{PASSWORD}@"));
    let seen = look(&target(&url, &[])).await;
    assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), ("up", BOTH), "{:?}", seen.look);
    assert_eq!(cdn.requests().len(), 1);
    assert!(cdn.requests().iter().all(|request| request.header("Authorization").is_none()));
}

#[tokio::test]
async fn limits_and_content_types() {
    let peer = HttpPeer::with(|request| match request.target.as_str() {
        "/huge.m3u8" => playlist("#".repeat(3 << 20)),
        "/endless.m3u8" => playlist(vod("#EXTINF:1,\nendless.ts\n")),
        "/endless.ts" => Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n".into(), TS.to_vec()),
        "/typed.m3u8" => Reply::Whole(
            200,
            vec![("Content-Type".into(), "text/html".into())],
            format!("#EXTM3U\n{}", vod("#EXTINF:1,\ns.ts\n")).into(),
        ),
        _ => bytes(TS),
    })
    .await;
    assert_eq!(outcome(&look(&target(&peer.url("/huge.m3u8"), &[])).await), "too_large (transfer)");
    assert_eq!(outcome(&look(&target(&peer.url("/endless.m3u8"), &[])).await), "up", "enough is read and no more");
    let all = look(&whole(&peer.url("/endless.m3u8"))).await;
    assert_eq!(outcome(&all), "too_large (media)", "{:?}", all.look);
    let typed = look(&target(&peer.url("/typed.m3u8"), &[])).await;
    assert_eq!((outcome(&typed).as_str(), text(&typed, "content_type").contains("text/html")), ("up", true));
}

/// What a folder of test data holds, by path below it, as a server would send it.
fn served(folder: &Path) -> BTreeMap<String, Reply> {
    let mut pages = BTreeMap::new();
    for side in ["bad", "good"] {
        for entry in std::fs::read_dir(folder.join(side)).expect("bad and good are there") {
            let path = entry.expect("the entry is readable").path();
            let name = path.file_name().and_then(|n| n.to_str()).expect("the name is text").to_owned();
            let kind = match path.extension().and_then(|e| e.to_str()) {
                Some("m3u8") => "application/vnd.apple.mpegurl",
                Some("html") => "text/html",
                _ => "video/mp2t",
            };
            let headers = vec![("Content-Type".to_owned(), kind.to_owned())];
            let body = std::fs::read(&path).expect("the file is readable");
            pages.insert(format!("/{side}/{name}"), Reply::Whole(200, headers, body));
        }
    }
    pages
}

/// Findings that need a server: each folder has the name of one, and a stream that shows it alone beside a good neighbour.
/// Those of a playlist by itself have theirs beside `kinds/hls/lint.rs`.
#[tokio::test]
async fn every_finding_of_a_served_stream_has_files_that_show_it_and_files_that_do_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/hls_served");
    let mut shown = Vec::new();
    for entry in std::fs::read_dir(root).expect("the folder is there") {
        let folder = entry.expect("the entry is readable").path();
        let name = folder.file_name().and_then(|n| n.to_str()).expect("the name is text").to_owned();
        let pages = served(&folder);
        let first = |side| {
            let start = format!("/{side}/index");
            pages.keys().find(|path| path.starts_with(&start)).expect("an index").clone()
        };
        let (bad, good) = (first("bad"), first("good"));
        let peer =
            HttpPeer::with(move |request| pages.get(&request.target).cloned().unwrap_or(Reply::text(404, ""))).await;
        for (path, expected) in [(bad, vec![name.as_str()]), (good, vec![])] {
            let mut target = whole(&peer.url(&path));
            target.kind = "hls";
            target.options.0.insert("variant".to_owned(), Value::Str("all".to_owned()));
            let seen = look(&target).await;
            let got: Vec<&str> = names(&seen).into_iter().filter(|n| *n == name || *n != "advance_unproven").collect();
            assert_eq!((outcome(&seen).as_str(), got), ("up", expected), "{name} {path}: {:?}", seen.look);
        }
        shown.push(name);
    }
    shown.sort();
    let expected = [
        "advance_unproven",
        "bitrate_above_declared",
        "content_type",
        "declared_differs",
        "encryption_unproven",
        "no_key_frame",
        "segment_slow",
        "sync_loss",
        "variant_missing",
        "variants_out_of_step",
    ];
    assert_eq!(shown, expected);
}
