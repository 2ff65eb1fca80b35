//! Brokers that are killed, restarted, stopped by a signal, or too slow: the client goes on, says so, and keeps nothing that
//! grows.

use std::sync::Arc;
use std::time::Duration;

use model::event::{Event, What};
use model::status::{Status, StatusChange};
use model::target::TargetId;
use model::time::UtcMs;
use sink::mqtt::{Qos, Settings, Version};
use testkit::wait::wait_for;

use crate::support::{Broker, LONG, Rig, Stream, Witness, board, has_testbed, stream};

fn impatient(port: u16, version: Version) -> Settings {
    Settings {
        version,
        keep_alive: Duration::from_secs(2),
        qos: Qos::AtLeastOnce,
        ..Settings::plain("127.0.0.1", port)
    }
}

fn down(id: &'static str, revision: u64) -> Stream {
    Stream { status: Status::Down, reason: "no media", revision, ..stream(id) }
}

#[tokio::test]
async fn after_a_restart_of_the_broker_everything_is_said_again() {
    if !has_testbed() {
        return;
    }
    for version in [Version::V311, Version::V5] {
        let mut broker = Broker::start("").await;
        let rig = Rig::start(impatient(broker.port, version), &[stream("gate"), stream("lab")]);
        rig.connected().await;
        broker.kill();
        let why = rig.fails().await;
        assert!(!why.is_empty());
        // What changes meanwhile is noted once; an event waits.
        for revision in 2..200 {
            rig.board.send_replace(board(&[down("gate", revision), stream("lab")]));
            if wait_for(Duration::from_millis(20), || rig.now().dropped > 2).await {
                break;
            }
        }
        let (id, at) = (TargetId::parse("gate").expect("a good id"), UtcMs(1));
        let change = StatusChange { from: Status::Up, to: Status::Down, at, reason: "no media".to_owned() };
        rig.events.send(Arc::new(Event { at, what: What::StatusChanged(id, change) })).expect("it listens");
        assert!(wait_for(LONG, || rig.now().queued == 3).await, "two streams and an event: {:?}", rig.now());
        assert!(rig.now().dropped > 0, "states that gave way are counted");
        broker.restart().await;
        let witness = Witness::on(broker.port, "streampulse/#").await;
        witness.wait_for("streampulse/stream/gate", "\"down\"").await;
        witness.wait_for("streampulse/stream/lab", "\"up\"").await;
        witness.wait_for("streampulse/availability", "online").await;
        rig.connected().await;
        assert!(rig.now().error.is_some(), "the last error stays to be read");
    }
}

#[tokio::test]
async fn a_stopped_broker_is_noticed_and_costs_nothing() {
    if !has_testbed() {
        return;
    }
    let broker = Broker::start("").await;
    let rig = Rig::start(impatient(broker.port, Version::V5), &[stream("gate")]);
    rig.connected().await;
    broker.signal("STOP");
    for revision in 2..2000 {
        rig.board.send_replace(board(&[down("gate", revision)]));
        tokio::task::yield_now().await;
    }
    let why = rig.fails().await;
    assert!(why.contains("nothing was heard from the broker"), "{why}");
    assert!(rig.now().queued <= 250, "{:?}", rig.now());
    broker.signal("CONT");
    rig.connected().await;
    let witness = Witness::on(broker.port, "streampulse/stream/#").await;
    witness.wait_for("streampulse/stream/gate", "\"down\"").await;
}

#[tokio::test]
async fn the_last_will_says_offline_when_we_are_gone_without_a_word() {
    if !has_testbed() {
        return;
    }
    for version in [Version::V311, Version::V5] {
        let broker = Broker::start("").await;
        let witness = Witness::on(broker.port, "streampulse/availability").await;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let port = broker.port;
        let rig = runtime.spawn(async move {
            let rig = Rig::start(impatient(port, version), &[stream("gate")]);
            rig.connected().await;
            rig
        });
        let rig = rig.await.expect("it connects");
        witness.wait_for("streampulse/availability", "online").await;
        // As if the process were killed: the socket closes, and nobody says farewell.
        runtime.shutdown_background();
        witness.wait_for("streampulse/availability", "offline").await;
        drop(rig);
    }
}

#[tokio::test]
async fn a_new_broker_takes_effect_at_once_and_the_old_one_hears_a_farewell() {
    if !has_testbed() {
        return;
    }
    let (one, other) = (Broker::start("").await, Broker::start("").await);
    let (seen_one, seen_other) =
        (Witness::on(one.port, "streampulse/#").await, Witness::on(other.port, "streampulse/#").await);
    let rig = Rig::start(impatient(one.port, Version::V311), &[stream("gate")]);
    seen_one.wait_for("streampulse/availability", "online").await;
    rig.settings.send_replace(Some(Arc::new(impatient(other.port, Version::V5))));
    seen_other.wait_for("streampulse/stream/gate", "\"up\"").await;
    seen_one.wait_for("streampulse/availability", "offline").await;
}

#[tokio::test]
async fn bounds_of_the_broker_are_kept() {
    if !has_testbed() {
        return;
    }
    // Few messages under way, and small ones.
    let broker = Broker::start("max_inflight_messages 3\nmax_packet_size 600").await;
    let rig = Rig::start(
        impatient(broker.port, Version::V5),
        &[stream("gate"), stream("lab"), stream("yard"), stream("shed")],
    );
    let witness = Witness::on(broker.port, "streampulse/stream/#").await;
    for id in ["gate", "lab", "yard", "shed"] {
        witness.wait_for(&format!("streampulse/stream/{id}"), "\"up\"").await;
    }
    assert_eq!(rig.now().ok, Some(true), "{:?}", rig.now());
}

#[tokio::test]
async fn events_that_nobody_takes_are_bounded_and_counted() {
    // Nobody listens there, so that this needs no broker.
    let rig = Rig::start(impatient(crate::support::free_port(), Version::V5), &[stream("gate")]);
    assert!(rig.fails().await.contains("refused"));
    let (id, at) = (TargetId::parse("gate").expect("a good id"), UtcMs(1));
    for i in 0..3000 {
        let change = StatusChange { from: Status::Up, to: Status::Down, at, reason: i.to_string() };
        rig.events.send(Arc::new(Event { at, what: What::StatusChanged(id.clone(), change) })).expect("it listens");
        let noted = |sink: &sink::registry::SinkNow| sink.queued + sink.dropped >= i / 2;
        assert!(wait_for(LONG, || noted(&rig.now())).await, "{:?}", rig.now());
    }
    let whole = |sink: &sink::registry::SinkNow| sink.queued + sink.dropped == 3000;
    assert!(wait_for(LONG, || whole(&rig.now())).await, "each is waiting or counted: {:?}", rig.now());
    assert!(rig.now().queued <= 1000, "{:?}", rig.now());
}
