//! Previews against the testbed: pictures decode to what was sent, and every way to end is quick.

mod support;

use std::time::Duration;

use model::fault::{Fault, FaultKind};
use net::clock::SystemClock;
use probe::preview::{Picture, frames, snapshot};
use support::{target, testbed};
use tokio::sync::mpsc;

const LIMIT: Duration = Duration::from_secs(5);

async fn size(url: &str) -> Result<(u32, u32), Fault> {
    let Picture::Jpeg { bytes, width, height } = snapshot(&target(url, &[]), &SystemClock::new(), LIMIT).await?;
    if let Some(folder) = std::env::var_os("STREAMPULSE_KEEP_PICTURES") {
        let name: String = url.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        std::fs::write(std::path::Path::new(&folder).join(name + ".jpg"), &bytes).expect("a folder to write to");
    }
    let info = wire::jpeg::inspect(&bytes).expect("a whole JPEG");
    assert_eq!((info.width, info.height), (width, height), "{url}");
    Ok((width, height))
}

#[tokio::test]
async fn every_codec_gives_a_picture() {
    if testbed().is_none() {
        return;
    }
    for (url, expected) in [
        ("rtsp://127.0.0.1:18554/h264", (320, 240)),
        ("rtsp://127.0.0.1:18554/h265", (320, 240)),
        ("rtsp://127.0.0.1:18554/mjpeg", (320, 240)),
        ("rtsp://127.0.0.1:18554/720p", (960, 540)),
        ("rtsp://127.0.0.1:18554/udponly", (320, 240)),
        ("rtsp://viewer:s3cret@127.0.0.1:18555/h264", (320, 240)),
    ] {
        assert_eq!(size(url).await, Ok(expected), "{url}");
    }
    for url in ["http://127.0.0.1:18081/?action=stream", "http://viewer:s3cret@127.0.0.1:18082/x.mjpg"] {
        let (width, height) = size(url).await.unwrap_or_else(|f| panic!("{url}: {f}"));
        assert!(width > 0 && height > 0, "{url}");
    }
}

#[tokio::test]
async fn what_has_no_picture_says_so() {
    if testbed().is_none() {
        return;
    }
    for (url, kind) in [
        ("rtsp://127.0.0.1:18554/audio", FaultKind::NoMedia),
        ("rtsp://127.0.0.1:18554/nosuch", FaultKind::NotFound),
        ("rtsp://viewer:wrong@127.0.0.1:18555/h264", FaultKind::AuthRequired),
        ("http://127.0.0.1:18080/json", FaultKind::Protocol),
    ] {
        let fault = size(url).await.expect_err(url);
        assert_eq!(fault.kind, kind, "{url}: {fault}");
        assert!(!fault.detail.contains("wrong"), "{fault}");
    }
}

#[tokio::test]
async fn a_preview_runs_to_its_limit_or_until_nobody_looks() {
    if testbed().is_none() {
        return;
    }
    for (url, least) in
        [("rtsp://127.0.0.1:18554/h264", 8), ("rtsp://127.0.0.1:18554/mjpeg", 8), ("rtsp://127.0.0.1:18554/h265", 8)]
    {
        let (tx, mut rx) = mpsc::channel(64);
        let limit = Duration::from_secs(2);
        let (target, clock) = (target(url, &[]), SystemClock::new());
        assert_eq!(frames(&target, &clock, limit, tx).await, Ok(()), "{url}");
        let mut count = 0;
        while rx.recv().await.is_some() {
            count += 1;
        }
        assert!((least..=22).contains(&count), "{url}: {count} pictures");
    }
    let (tx, mut rx) = mpsc::channel(1);
    let (target, clock) = (target("rtsp://127.0.0.1:18554/h264", &[]), SystemClock::new());
    let listener = async {
        assert!(rx.recv().await.is_some());
        drop(rx);
    };
    let began = tokio::time::Instant::now();
    let (ended, ()) = tokio::join!(frames(&target, &clock, Duration::from_secs(20), tx), listener);
    assert_eq!(ended, Ok(()));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
