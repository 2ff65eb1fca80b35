//! Where the parts of a presentation are, what is wrong with them, and which of them are looked at.

use model::conf::Value;
use model::reading::Depth;
use testkit::http::{HttpPeer, PASSWORD, Reply, Request, USER, basic};

use crate::lab::*;
use crate::support::{fact, look, outcome, target, tracks, words};

/// A file with an index: initialization, `sidx` of one part, and that part. The index begins at [`moof`].
fn indexed() -> Vec<u8> {
    let (init, media) = MP4.split_at(moof());
    let size = u32::try_from(media.len()).expect("small");
    let numbers: [u32; 9] = [0, 1, 1_000, 0, 0, 1, size, 1_000, 0x9000_0000];
    let body: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    let head = u32::try_from(body.len() + 8).expect("small").to_be_bytes();
    [init, &head, b"sidx", &body, media].concat()
}

fn ranged(request: &Request, whole: &[u8]) -> Reply {
    let range = request.header("Range").and_then(|r| r.strip_prefix("bytes=")?.split_once('-'));
    let range = range.and_then(|(a, b)| Some(a.parse::<usize>().ok()?..=b.parse::<usize>().ok()?));
    match range {
        Some(range) => Reply::Whole(206, Vec::new(), whole[range].to_vec()),
        None => bytes(whole),
    }
}

#[tokio::test]
async fn every_way_to_name_segments() {
    let (at, end) = (moof(), MP4.len() - 1);
    let index_end = at + 43;
    let init = "initialization=\"init.mp4\"";
    for (segments, expected) in [
        (
            format!("<SegmentTemplate media=\"$RepresentationID$/$Number%03d$.mp4\" {init} duration=\"1\"/>"),
            "/a/v/001.mp4",
        ),
        (
            format!(
                "<SegmentTemplate media=\"$Bandwidth$-$Time$.mp4\" {init} timescale=\"10\" presentationTimeOffset=\"70\">\
                 <SegmentTimeline><S t=\"70\" d=\"10\" r=\"-1\"/></SegmentTimeline></SegmentTemplate>"
            ),
            "/a/900000-70.mp4",
        ),
        (
            "<SegmentList duration=\"1\"><Initialization sourceURL=\"init.mp4\"/><SegmentURL media=\"x.mp4\"/>\
             <SegmentURL media=\"y.mp4\"/></SegmentList>"
                .to_owned(),
            "/a/x.mp4",
        ),
        (
            format!(
                "<BaseURL>file.mp4</BaseURL><SegmentList duration=\"1\"><Initialization range=\"0-{}\"/>\
                 <SegmentURL mediaRange=\"{at}-{end}\"/></SegmentList>",
                at - 1
            ),
            "/a/file.mp4",
        ),
        (format!("<BaseURL>index.mp4</BaseURL><SegmentBase indexRange=\"{at}-{index_end}\"/>"), "/a/index.mp4"),
        ("<BaseURL>file.mp4</BaseURL>".to_owned(), "/a/file.mp4"),
        ("<SegmentTemplate media=\"$Number$.ts\" duration=\"1\"/>".to_owned(), "/a/1.ts"),
    ] {
        let base = muxed(&segments).replace("<Period>", "<Period><BaseURL>a/</BaseURL>");
        let list = vod("mediaPresentationDuration=\"PT1S\"", &base);
        let peer = HttpPeer::with(move |request| match request.target.as_str() {
            "/vod.mpd" => manifest(list.clone()),
            "/a/index.mp4" => ranged(request, &indexed()),
            "/a/file.mp4" => ranged(request, MP4),
            path if path.ends_with(".ts") => bytes(TS),
            _ => bytes(MP4),
        })
        .await;
        let mut whole = target(&peer.url("/vod.mpd"), &[]);
        whole.options.0.insert("whole_segment".to_owned(), Value::Bool(true));
        let seen = look(&whole).await;
        assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), ("up", BOTH), "{segments}: {:?}", seen.look);
        assert_eq!(seen.look.reading.proven, Some(Depth::Media));
        assert!(paths(&peer).iter().any(|path| path == expected), "{segments}: {:?}", paths(&peer));
        assert_eq!(fact(&seen, "playlist_type"), "vod");
        assert_eq!(names(&seen), [""; 0], "{segments}");
    }
}

#[tokio::test]
async fn what_is_broken_is_down_with_the_right_words() {
    let simple = |media: &str| {
        let segments = format!("<SegmentTemplate media=\"{media}\" initialization=\"i.mp4\" duration=\"1\"/>");
        vod("mediaPresentationDuration=\"PT3S\"", &muxed(&segments))
    };
    let empty = "<Period><AdaptationSet/></Period>";
    let dynamic = live("", &muxed("<SegmentTemplate media=\"$Number$\" duration=\"1\"/>"));
    let remote = "<Period xmlns:x=\"http://www.w3.org/1999/xlink\" x:href=\"ad.xml\"/>";
    for (text, expected, part) in [
        ("<html>sign in</html>".to_owned(), "protocol (check)", "an HTML page instead of a manifest"),
        (String::new(), "protocol (check)", "the manifest is empty"),
        ("<MPD>".to_owned(), "protocol (check)", "ends inside the element MPD"),
        ("<!DOCTYPE a [<!ENTITY b \"c\">]><MPD/>".to_owned(), "protocol (check)", "a document type declaration"),
        ("<a>".repeat(60_000), "too_large (check)", "more than 32 levels"),
        (vod("", ""), "no_media (check)", "the manifest has no period"),
        (vod("", empty), "no_media (check)", "neither pictures nor sound"),
        (vod("", remote), "no_media (check)", "elsewhere (xlink:href)"),
        (dynamic, "protocol (check)", "no availabilityStartTime"),
        (simple("$Nr$.mp4"), "protocol (check)", "the identifier $Nr$ is not known"),
        (simple("missing/$Number$.mp4"), "not_found (media)", "segment 1.mp4 (number 1): status 404"),
        (simple("last/$Number$.mp4"), "not_found (media)", "segment 3.mp4 (number 3): status 404"),
        (simple("page/$Number$.mp4"), "protocol (media)", "no MP4 box at its beginning"),
        (simple("rtsp://h/$Number$"), "protocol (media)", "of the scheme rtsp"),
        (simple("$Number$.mp4").replace("i.mp4", "missing/i.mp4"), "not_found (media)", "initialization segment i.mp4"),
        (
            simple("$Number$.mp4").replace("i.mp4", "page/i.mp4"),
            "protocol (media)",
            "a page instead of an initialization",
        ),
    ] {
        let shown = text.chars().take(300).collect::<String>();
        let peer = HttpPeer::with(move |request| match request.target.as_str() {
            "/x.mpd" => manifest(text.clone()),
            "/last/3.mp4" => Reply::text(404, ""),
            path if path.starts_with("/missing/") => Reply::text(404, ""),
            path if path.starts_with("/page/") => bytes(b"<html>a page and no media</html>"),
            _ => bytes(MP4),
        })
        .await;
        let seen = look(&target(&peer.url("/x.mpd"), &[])).await;
        assert_eq!(outcome(&seen), expected, "{shown}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{shown}: {}", words(&seen));
    }
}

#[tokio::test]
async fn broken_promises_warn() {
    let segments = "<SegmentTemplate media=\"$Number$.mp4\" initialization=\"i.mp4\" duration=\"1\"/>";
    let lying = muxed(segments)
        .replace("width=\"64\"", "width=\"640\" frameRate=\"25\"")
        .replace("mp4a.40.2", "ac-3")
        .replace("900000", "1000");
    let list = vod("mediaPresentationDuration=\"PT1S\"", &lying);
    let peer = HttpPeer::with(move |request| match request.target.as_str() {
        "/x.mpd" => Reply::text(200, list.clone()),
        _ => bytes(MP4),
    })
    .await;
    let seen = look(&target(&peer.url("/x.mpd"), &[])).await;
    assert_eq!(outcome(&seen), "up");
    assert_eq!(names(&seen), ["content_type", "bitrate_above_declared", "declared_differs"]);
    let differs = text(&seen, "declared_differs");
    for part in ["say 640x48, the pictures are 64x48", "frameRate says 25, the pictures come at 10", "the audio is aac"]
    {
        assert!(differs.contains(part), "{differs}");
    }
    assert!(text(&seen, "bitrate_above_declared").contains("bandwidth says 1000"));
    assert_eq!(tracks(&seen), BOTH, "what came is shown, not what was promised");
}

/// Two qualities of pictures and two sets of sound.
fn choices() -> String {
    let one = |id: &str, mime: &str, bandwidth: u32| {
        format!("<Representation id=\"{id}\" mimeType=\"{mime}\" bandwidth=\"{bandwidth}\"/>")
    };
    let template = "<SegmentTemplate media=\"$RepresentationID$.mp4\" initialization=\"i.mp4\" duration=\"1\"/>";
    let main = "<Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"main\"/>";
    format!(
        "<Period>{template}<AdaptationSet>{}{}</AdaptationSet><AdaptationSet>{}</AdaptationSet>\
         <AdaptationSet>{main}{}{}</AdaptationSet>\
         <AdaptationSet><EssentialProperty schemeIdUri=\"http://dashif.org/guidelines/trickmode\"/>{}</AdaptationSet></Period>",
        one("low", "video/mp4", 1_000_000),
        one("high", "video/mp4", 9_000_000),
        one("other", "audio/mp4", 900_000),
        one("thin", "audio/mp4", 600_000),
        one("full", "audio/mp4", 700_000),
        one("trick", "video/mp4", 99_000_000),
    )
}

#[tokio::test]
async fn representations_are_chosen() {
    for (choice, expected) in [
        ("highest", &["/high.mp4", "/full.mp4"][..]),
        ("lowest", &["/low.mp4", "/thin.mp4"]),
        ("first", &["/low.mp4", "/thin.mp4"]),
        ("all", &["/high.mp4", "/low.mp4", "/full.mp4", "/other.mp4"]),
    ] {
        let peer = server(vod("mediaPresentationDuration=\"PT1S\"", &choices())).await;
        let seen = look(&target(&peer.url("/x.mpd"), &[("representation", choice)])).await;
        assert_eq!(outcome(&seen), "up", "{choice}: {:?}", seen.look);
        let asked: Vec<String> = paths(&peer).into_iter().filter(|p| p.ends_with(".mp4") && p != "/i.mp4").collect();
        assert_eq!(asked, expected, "{choice}");
        assert_eq!(fact(&seen, "variants"), "6");
    }
}

#[tokio::test]
async fn depth_decides_how_far_a_look_goes() {
    let segments = "<SegmentTemplate media=\"$Number$.mp4\" initialization=\"i.mp4\" duration=\"1\"/>";
    let peer = server(vod("mediaPresentationDuration=\"PT1S\"", &muxed(segments))).await;
    for (depth, expected) in [(Depth::Reach, ""), (Depth::Describe, "h264 Constrained Baseline 64x48 + aac LC")] {
        let mut shallow = target(&peer.url("/x.mpd"), &[]);
        shallow.depth = depth;
        let before = peer.requests().len();
        let seen = look(&shallow).await;
        assert_eq!((outcome(&seen).as_str(), seen.look.reading.proven), ("up", Some(depth)));
        assert_eq!((peer.requests().len() - before, tracks(&seen).as_str()), (1, expected), "{depth}");
    }
}

#[tokio::test]
async fn references_are_relative_to_what_answered() {
    let segments = "<SegmentTemplate media=\"$Number$.mp4\" initialization=\"i.mp4\" duration=\"1\"/>";
    let list = vod("mediaPresentationDuration=\"PT1S\"", &muxed(segments));
    let peer = HttpPeer::with(move |request| match request.target.as_str() {
        "/x.mpd" => Reply::text(302, "").with("Location", "/deep/er/y.mpd"),
        "/deep/er/y.mpd" => manifest(list.clone()),
        "/deep/er/i.mp4" | "/deep/er/1.mp4" => bytes(MP4),
        _ => Reply::text(404, ""),
    })
    .await;
    let seen = look(&target(&peer.url("/x.mpd"), &[])).await;
    assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
}

#[tokio::test]
async fn passwords_stay_with_their_server() {
    let other = server("").await;
    let base = other.url("/media/");
    let segments = "<SegmentTemplate media=\"$Number$.mp4\" initialization=\"i.mp4\" duration=\"1\"/>";
    let list = vod("mediaPresentationDuration=\"PT1S\"", &format!("<BaseURL>{base}</BaseURL>{}", muxed(segments)));
    let peer = HttpPeer::with(move |request| basic(request, manifest(list.clone()))).await;
    let url = peer.url("/x.mpd");
    assert_eq!(outcome(&look(&target(&url, &[])).await), "auth_required (first_byte)");
    let seen = look(&target(&url, &[("user", USER), ("password", PASSWORD)])).await;
    assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
    assert!(!other.requests().is_empty());
    assert!(other.requests().iter().all(|request| request.header("Authorization").is_none()));
}

#[tokio::test]
async fn what_cannot_be_opened_proves_less_and_says_so() {
    let template = "<SegmentTemplate media=\"$Number$.webm\" initialization=\"i.webm\" duration=\"1\"/>";
    let webm = muxed(template).replace("video/mp4", "video/webm").replace("avc1.42c00a,mp4a.40.2", "vp09.00.10.08");
    let list = vod("mediaPresentationDuration=\"PT1S\"", &webm);
    let peer = HttpPeer::with(move |request| match request.target.as_str() {
        "/x.mpd" => manifest(list.clone()),
        _ => bytes(b"\x1a\x45\xdf\xa3 and so on"),
    })
    .await;
    let seen = look(&target(&peer.url("/x.mpd"), &[])).await;
    assert_eq!((outcome(&seen).as_str(), seen.look.reading.proven), ("up", Some(Depth::Describe)));
    assert_eq!((names(&seen), tracks(&seen).as_str()), (vec!["container_unproven"], "vp9 64x48"));
    // Protection is named, and what is clear all the same is proven.
    let by = "<ContentProtection schemeIdUri=\"urn:mpeg:dash:mp4protection:2011\" value=\"cenc\"/>\
              <ContentProtection schemeIdUri=\"urn:uuid:EDEF8BA9-79D6-4ACE-A3C8-27DCD51D21ED\"/>";
    let clear =
        muxed(&format!("{by}<SegmentTemplate media=\"$Number$.mp4\" initialization=\"i.mp4\" duration=\"1\"/>"));
    let peer = server(vod("mediaPresentationDuration=\"PT1S\"", &clear)).await;
    let seen = look(&target(&peer.url("/x.mpd"), &[])).await;
    assert_eq!((outcome(&seen).as_str(), fact(&seen, "encryption").as_str()), ("up", "Widevine, cenc"));
    assert_eq!(seen.look.reading.proven, Some(Depth::Media));
}
