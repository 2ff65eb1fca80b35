//! The mpegts kind with sessions that are held: what is measured, what is noticed, how they end.

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use model::observation::{Observation, Second};
use model::reading::{FactValue, fact as key};
use model::target::Target;
use net::clock::SystemClock;
use probe::run::Prober;
use support::{fact, outcome, target, words};
use testkit::ts::{Body, Form, Sender, server};
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

async fn free() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the loopback has free ports");
    socket.local_addr().expect("it is bound")
}

/// Holds until it ends; `each` may end what is held.
async fn hold(target: &Target, each: &mut (dyn FnMut(&Observation, Second) + Send)) -> Observation {
    let probe = probe::kind::build(target).expect("good options");
    let cancel = CancellationToken::new();
    let prober = Prober::new(Arc::new(SystemClock::new()));
    prober.hold(target, &*probe, &cancel, &mut |seen, second| each(&seen, second)).await
}

fn names(seen: &Observation) -> Vec<&'static str> {
    seen.look.reading.findings.iter().map(|finding| finding.name).collect()
}

#[tokio::test]
async fn a_held_stream_is_measured_each_second_and_its_silence_noticed() {
    for (scheme, form) in [("udp", Form::Udp), ("rtp", Form::Rtp)] {
        let address = free().await;
        let mut sender = Some(Sender::start(address, form).await);
        let target = target(&format!("{scheme}://{address}"), &[("silence", "600ms")]);
        let (mut seconds, mut last_live) = (Vec::new(), None);
        let last = hold(&target, &mut |seen, second| {
            seconds.push(second.bits);
            last_live = Some(seen.clone());
            if seconds.len() == 5 {
                sender.take();
            }
        })
        .await;
        assert_eq!(outcome(&last), "stale (media)", "{:?}", last.look);
        assert!(words(&last).contains("has been silent for"), "{}", words(&last));
        let live = last_live.expect("seconds were told");
        assert_eq!((fact(&live, key::CONTINUITY_ERRORS).as_str(), names(&live)), ("0", vec![]), "{:?}", live.look);
        assert!(seconds[2..5].iter().all(|bits| (20_000..90_000).contains(bits)), "{seconds:?}");
        let Some(FactValue::Num(fps)) = live.look.reading.facts.get(key::MEASURED_FPS) else { panic!("{live:?}") };
        assert!((9.0..=11.0).contains(fps), "{fps}");
        assert_eq!(fact(&live, key::PACKETS_LOST), "0");
        assert!(live.look.reading.facts.contains_key(key::PID_BITRATES), "{:?}", live.look.reading.facts);
    }
}

#[tokio::test]
async fn losses_are_measured_and_found() {
    let address = free().await;
    let _sender = Sender::start(address, Form::Lossy).await;
    let target = target(&format!("rtp://{address}"), &[]);
    let probe = probe::kind::build(&target).expect("good options");
    let (cancel, prober) = (CancellationToken::new(), Prober::new(Arc::new(SystemClock::new())));
    let (mut count, mut found) = (0, Vec::new());
    let last = prober
        .hold(&target, &*probe, &cancel, &mut |seen: Observation, _| {
            count += 1;
            found = names(&seen);
            if count == 6 {
                cancel.cancel();
            }
        })
        .await;
    assert!(found.contains(&"rtp_loss") && found.contains(&"continuity_errors"), "{found:?}");
    let lost: u64 = fact(&last, key::PACKETS_LOST).parse().expect("a number");
    assert!((2..=8).contains(&lost), "{:?}", last.look.reading.facts);
}

#[tokio::test]
async fn a_server_that_ends_the_stream_ends_the_session() {
    let peer = server(Body::Ends(3)).await;
    let last = hold(&target(&peer.url("http", "/live.ts"), &[]), &mut |_, _| {}).await;
    assert_eq!((outcome(&last).as_str(), words(&last).as_str()), ("protocol (media)", "the server ended the stream"));
    let silent = target(&format!("udp://{}", free().await), &[]);
    let mut short = silent.clone();
    short.timeout = Duration::from_millis(300);
    assert_eq!(outcome(&hold(&short, &mut |_, _| panic!("nothing was opened")).await), "no_media (media)");
}
