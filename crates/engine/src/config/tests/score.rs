//! The section `score`.

use std::time::Duration;

use model::score::Scoring;

use super::{check, good};

#[test]
fn weights_and_references_are_taken_and_have_the_defaults_of_the_model() {
    assert_eq!(good("targets: []").score, Scoring::default());
    let own = good("score: {weights: {latency: 1, status: 0}, full_bitrate_kbps: 800, full_latency: 250ms}").score;
    assert_eq!(own.weights, [0.0, 0.2, 0.2, 1.0]);
    assert_eq!((own.full_bitrate_bps, own.full_latency), (800_000.0, Duration::from_millis(250)));
    check(
        "score:\n  weights: {jitter: 1, status: -1}\n  full_latency: soon\n",
        &["unknown key jitter", "-1 is out of range", "\"soon\" is no duration"],
    );
    check("score: {weights: {status: 0, bitrate: 0, packet_loss: 0, latency: 0}}", &["no part has a weight"]);
    check("score: {weights: 3}", &["expected a mapping"]);
}
