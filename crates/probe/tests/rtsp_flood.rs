//! The rtsp kind against servers that send more than anybody asked for before they answer.

mod support;

use std::time::Duration;

use support::peer::{Client, Peer};
use support::{look, outcome, target, words};
use wire::rtsp::Method;

/// Sends packets of a kilobyte of an undeclared format.
fn flood(client: &mut Client, packets: u16) {
    (0..packets).for_each(|i| client.rtp(0, 33, i, &[0; 1000]));
}

#[tokio::test]
async fn packets_before_the_reply_are_not_all_kept() {
    let peer = Peer::start(|client, request| match request.method {
        Method::Play => {
            flood(client, 3000);
            client.reply(request, 200, &[], "");
        }
        _ => client.good(request),
    });
    let mut t = target(&peer.url(""), &[]);
    t.timeout = Duration::from_secs(2);
    let seen = look(&t).await;
    assert_eq!(outcome(&seen), "no_media (media)", "{}", words(&seen));
    // Only what fits the buffer for early packets is counted.
    assert!(words(&seen).contains("256 packets of payload type 33"), "{}", words(&seen));
}

#[tokio::test]
async fn a_flood_before_the_reply_ends_the_look() {
    for (method, phase, farewell) in [
        (Method::Describe, "describe", &["DESCRIBE"][..]),
        (Method::Play, "play", &["DESCRIBE", "SETUP", "SETUP", "PLAY", "TEARDOWN"]),
    ] {
        let flooded = method.clone();
        let peer = Peer::start(move |client, request| {
            if request.method == flooded {
                flood(client, 20_000);
            }
            client.good(request);
        });
        let seen = look(&target(&peer.url(""), &[])).await;
        assert_eq!(outcome(&seen), format!("too_large ({phase})"), "{}", words(&seen));
        assert_eq!(words(&seen), format!("the server sent 4 MiB before answering {method}"));
        // A session is ended all the same.
        if farewell.contains(&"TEARDOWN") {
            peer.wait_for(&Method::Teardown);
        }
        assert_eq!(peer.methods(), farewell);
    }
    // One that never stops and never answers.
    let endless = testkit::bad::endless("", b"$\x00\x00\x0c123456789012").await;
    let seen = look(&target(&endless.url("rtsp", "/cam"), &[])).await;
    assert_eq!(outcome(&seen), "too_large (describe)", "{}", words(&seen));
    assert!(seen.took < Duration::from_secs(4), "not until the deadline: {:?}", seen.took);
}
