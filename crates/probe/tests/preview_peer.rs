//! Previews of hostile streams: a picture, or words, in time, and never more memory than a camera's picture takes.

mod support;

use std::time::Duration;

use model::fault::{Fault, FaultKind};
use net::clock::SystemClock;
use probe::preview::{Picture, frames, snapshot};
use support::peer::{Client, Peer};
use support::target;
use testkit::bad::noise;
use testkit::rtsp::RtspPeer;
use tokio::sync::mpsc;
use wire::rtsp::{Method, Request};

const LIMIT: Duration = Duration::from_secs(2);
/// A parameter set of Main profile, 320 by 240 pixels.
const SMALL: &[u8] = &[0x67, 0x4d, 0x00, 0x3e, 0xf4, 0x0a, 0x0f, 0xc8];
/// The same of 8192 by 8192 pixels, cropped to 16 by 16.
const CROPPED: &[u8] =
    &[0x67, 0x4d, 0x00, 0x3e, 0xf4, 0x00, 0x40, 0x00, 0x08, 0x03, 0xc0, 0x07, 0xfc, 0xc0, 0x07, 0xfc, 0xa0];
const PICTURE_PARAMETERS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

/// A server whose only picture is these NAL units, in one packet each.
fn sends(nals: Vec<Vec<u8>>) -> Peer {
    Peer::start(move |client: &mut Client, request: &Request| match request.method {
        Method::Play => {
            client.reply(request, 200, &[], "");
            for (sequence, nal) in (1..).zip(&nals) {
                client.rtp(0, 96, sequence, nal);
            }
        }
        _ => client.good(request),
    })
}

async fn picture(peer: &Peer) -> Result<Picture, Fault> {
    let taken = snapshot(&target(&peer.url(""), &[]), &SystemClock::new(), LIMIT).await;
    peer.wait_for(&Method::Teardown);
    taken
}

/// A key frame with its parameter sets in one aggregate packet (STAP-A).
fn key_frame(parameters: &[u8], slice: &[u8]) -> Vec<Vec<u8>> {
    vec![[&[0x78], part(parameters).as_slice(), &part(PICTURE_PARAMETERS), &part(slice)].concat()]
}

/// A NAL unit with its length, for an aggregate packet.
fn part(nal: &[u8]) -> Vec<u8> {
    let length = u16::try_from(nal.len()).expect("a short NAL unit");
    [length.to_be_bytes().as_slice(), nal].concat()
}

#[tokio::test]
async fn a_picture_that_is_huge_before_cropping_is_refused() {
    let fault = picture(&sends(key_frame(CROPPED, &[0x65, 0x88, 0x84]))).await.expect_err("too large");
    assert_eq!(fault.kind, FaultKind::TooLarge, "{fault}");
    assert!(fault.detail.contains("8192 by 8192"), "{fault}");
}

#[tokio::test]
async fn noise_where_a_picture_should_be_harms_nobody() {
    for seed in 0..40 {
        let mut slice = noise(seed, 900);
        // The header of a key frame's first slice, so that the decoder goes on to the noise.
        slice.splice(0..0, [0x65, 0x88, 0x84]);
        match picture(&sends(key_frame(SMALL, &slice))).await {
            Ok(Picture::Jpeg { width, height, .. }) => assert_eq!((width, height), (320, 240), "{seed}"),
            Err(fault) => assert_eq!(fault.kind, FaultKind::Protocol, "{seed}: {fault}"),
        }
    }
}

#[tokio::test]
async fn a_stream_without_key_frames_says_so() {
    let fault = picture(&sends(vec![vec![0x41, 1, 2, 3]])).await.expect_err("no key frame");
    assert_eq!((fault.kind, fault.detail.as_str()), (FaultKind::NoMedia, "no key frame came within 2 s"));
}

#[tokio::test]
async fn a_good_peer_gives_its_picture_and_a_goodbye() {
    let peer = RtspPeer::start().await;
    let target = target(&peer.url(), &[]);
    let Picture::Jpeg { width, height, .. } =
        snapshot(&target, &SystemClock::new(), LIMIT).await.expect("a still picture");
    assert_eq!((width, height, peer.log().torn_down()), (64, 48, 1));

    let (tx, mut rx) = mpsc::channel(64);
    assert_eq!(frames(&target, &SystemClock::new(), Duration::from_secs(1), tx).await, Ok(()));
    let mut count = 0;
    while rx.recv().await.is_some() {
        count += 1;
    }
    assert!((3..=11).contains(&count), "{count} pictures in a second of ten");
    assert_eq!(peer.log().torn_down(), 2);
}
