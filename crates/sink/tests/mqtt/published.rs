//! What a subscriber sees: states, events, alerts, discovery, and how what is gone is taken back.

use std::sync::Arc;
use std::time::Duration;

use model::alert::{Notification, Severity, Stage};
use model::event::{Event, What};
use model::incident::Incident;
use model::status::{Status, StatusChange};
use model::target::TargetId;
use model::time::UtcMs;
use sink::mqtt::{Qos, Settings};
use testkit::wait::wait_for;

use crate::support::{Broker, LONG, Rig, Stream, Witness, board, has_testbed, stream};

fn quiet(port: u16) -> Settings {
    Settings { qos: Qos::AtLeastOnce, ..Settings::plain("127.0.0.1", port) }
}

#[tokio::test]
async fn states_are_retained_and_said_on_change_alone() {
    if !has_testbed() {
        return;
    }
    let broker = Broker::start("").await;
    let live = Witness::on(broker.port, "streampulse/#").await;
    let rig = Rig::start(quiet(broker.port), &[stream("gate"), stream("lab")]);
    live.wait_for("streampulse/stream/lab", "\"up\"").await;
    // The same again, another latency, down, and another stream untouched.
    rig.board.send_replace(board(&[Stream { revision: 2, ..stream("gate") }, stream("lab")]));
    rig.board.send_replace(board(&[Stream { revision: 3, took_ms: 77, ..stream("gate") }, stream("lab")]));
    live.wait_for("streampulse/stream/gate", "\"latency_ms\":77").await;
    let down = Stream {
        revision: 4,
        status: Status::Down,
        reason: "refused (connect): rtsp://viewer:planted-pw@gate.invalid/1 refuses",
        ..stream("gate")
    };
    rig.board.send_replace(board(&[down, stream("lab")]));
    live.wait_for("streampulse/stream/gate", "\"down\"").await;
    let of = |id: &str| live.all().into_iter().filter(|s| s.topic == format!("streampulse/stream/{id}")).count();
    assert_eq!((of("gate"), of("lab")), (3, 1), "{:?}", live.all());
    // Who comes later finds what is.
    let late = Witness::on(broker.port, "streampulse/#").await;
    let gate = late.wait_for("streampulse/stream/gate", "").await;
    let expected = serde_json::json!({
        "id": "gate", "name": "GATE", "kind": "rtsp", "group": null, "status": "down",
        "reason": "refused (connect): rtsp://viewer:***@gate.invalid/1 refuses", "since": "2023-11-14T22:13:20Z",
        "connected": false, "problem": true, "latency_ms": null, "bitrate_kbps": null, "tracks": [],
    });
    assert_eq!((gate.retained, gate.json()), (true, expected));
    let lab = late.wait_for("streampulse/stream/lab", "").await.json();
    assert_eq!((&lab["latency_ms"], &lab["bitrate_kbps"]), (&42.into(), &2345.7.into()));
    assert_eq!(lab["tracks"][0]["codec"], "h264");
    assert_eq!(late.wait_for("streampulse/availability", "").await.payload, "online");
    assert!(late.newest("streampulse/status").is_none(), "the status as a whole is not retained unless asked for");
    assert!(live.newest("streampulse/status").is_some());
    assert!(!format!("{:?}", live.all()).contains("planted"), "a password was published");
}

#[tokio::test]
async fn events_and_alerts_arrive() {
    if !has_testbed() {
        return;
    }
    let broker = Broker::start("").await;
    let witness = Witness::on(broker.port, "streampulse/#").await;
    let rig = Rig::start(quiet(broker.port), &[stream("gate")]);
    rig.connected().await;
    let id = TargetId::parse("gate").expect("a good id");
    let at = UtcMs(1_700_000_000_000);
    let change = StatusChange { from: Status::Up, to: Status::Down, at, reason: "no media".to_owned() };
    let incident = Incident {
        target: id.clone(),
        opened_at: at,
        closed_at: None,
        worst: Status::Down,
        cause: "no media".to_owned(),
    };
    for what in [
        What::SessionOpened(id.clone()),
        What::StatusChanged(id, change),
        What::IncidentOpened(incident.clone()),
        What::IncidentClosed(Incident { closed_at: Some(UtcMs(1_700_000_060_000)), ..incident }),
    ] {
        rig.events.send(Arc::new(Event { at, what })).expect("the client listens");
    }
    witness.wait_for("streampulse/events", "incident_closed").await;
    let events: Vec<_> = witness.all().into_iter().filter(|s| s.topic == "streampulse/events").collect();
    let word = |i: usize, key: &str| events[i].json()[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(events.len(), 3, "{events:?}");
    assert_eq!(
        (word(0, "event"), word(0, "from"), word(0, "to")),
        ("status_changed".into(), "up".into(), "down".into())
    );
    assert_eq!(
        (word(1, "event"), word(1, "name"), word(1, "worst")),
        ("incident_opened".into(), "GATE".into(), "down".into())
    );
    assert_eq!(word(2, "closed_at"), "2023-11-14T22:14:20Z");
    assert!(events.iter().all(|e| !e.retained));

    let notification = Notification {
        key: "k1".to_owned(),
        alert: "a1".to_owned(),
        at,
        began_at: at,
        stage: Stage::Raised,
        severity: Severity::Critical,
        rule: "down".to_owned(),
        title: "GATE is down".to_owned(),
        text: "no media".to_owned(),
        subjects: Vec::new(),
        explains: Vec::new(),
        more: 0,
        path: "/streams/gate".to_owned(),
        note: None,
    };
    rig.handle.alert(&notification, Some("http://pulse.lan/"), None).await.expect("the broker takes it");
    let alert = witness.wait_for("streampulse/alerts", "GATE is down").await.json();
    assert_eq!((&alert["stage"], &alert["severity"]), (&"raised".into(), &"critical".into()));
    assert_eq!(alert["url"], "http://pulse.lan/streams/gate");
    rig.handle.alert(&notification, None, Some("elsewhere/x".to_owned())).await.expect("the broker takes it");
    rig.settings.send_replace(None);
    assert!(wait_for(LONG, || rig.registry.all().is_empty()).await);
    let refused = rig.handle.alert(&notification, None, None).await.expect_err("nothing is published");
    assert!(refused.passing && refused.words.contains("not switched on"), "{refused:?}");
    assert_eq!(witness.newest("streampulse/availability").map(|s| s.payload), Some("offline".to_owned()));
}

/// How long a subscriber is given until it is asked anew what the broker keeps.
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn what_is_gone_is_taken_back_also_when_nobody_was_there() {
    if !has_testbed() {
        return;
    }
    let broker = Broker::start("").await;
    let settings = Settings { discovery: Some("homeassistant".to_owned()), ..quiet(broker.port) };
    let rig = Rig::start(settings.clone(), &[stream("gate"), stream("porch"), stream("yard")]);
    let retained = async |expected: &[(&str, usize)]| {
        // A fresh subscriber each time sees what the broker keeps, and nothing else.
        let mut last = String::new();
        for _ in 0..50 {
            let witness = Witness::on(broker.port, "#").await;
            let kept = || witness.all().into_iter().filter(|s| s.retained).collect::<Vec<_>>();
            let count = |id: &str| kept().iter().filter(|s| s.topic.contains(id)).count();
            let good = || expected.iter().all(|(id, n)| count(id) == *n) && count("streampulse/index") == 1;
            if wait_for(SHORT, good).await {
                return;
            }
            last = format!("{:?}", kept().iter().map(|s| s.topic.clone()).collect::<Vec<_>>());
        }
        panic!("{expected:?}: {last}");
    };
    // One topic of its own, four of discovery.
    retained(&[("gate", 5), ("porch", 5), ("yard", 5)]).await;
    // Gone while it runs.
    rig.board.send_replace(board(&[stream("gate"), stream("porch")]));
    retained(&[("gate", 5), ("porch", 5), ("yard", 0)]).await;
    assert!(rig.tasks.stop(LONG).await);
    // Gone while it did not run; another is new.
    let rig = Rig::start(settings.clone(), &[stream("gate"), stream("shed")]);
    retained(&[("gate", 5), ("porch", 0), ("shed", 5)]).await;
    // Discovery elsewhere, then off; the streams keep their topics.
    let elsewhere = Settings { discovery: Some("ha".to_owned()), ..settings.clone() };
    rig.settings.send_replace(Some(Arc::new(elsewhere)));
    retained(&[("gate", 5), ("homeassistant/", 0), ("ha/", 8)]).await;
    rig.settings.send_replace(Some(Arc::new(Settings { discovery: None, ..settings })));
    retained(&[("gate", 1), ("shed", 1), ("ha/", 0), ("homeassistant/", 0)]).await;
}

#[tokio::test]
async fn discovery_says_what_home_assistant_needs() {
    if !has_testbed() {
        return;
    }
    let broker = Broker::start("").await;
    let settings = Settings { discovery: Some("homeassistant".to_owned()), ..quiet(broker.port) };
    let witness = Witness::on(broker.port, "homeassistant/#").await;
    let _rig = Rig::start(settings, &[stream("gate")]);
    let topic = "homeassistant/sensor/streampulse_gate/latency/config";
    let latency = witness.wait_for(topic, "").await.json();
    assert_eq!(latency["state_topic"], "streampulse/stream/gate");
    assert_eq!(latency["unique_id"], "streampulse_gate_latency");
    assert_eq!(latency["availability"][0]["topic"], "streampulse/availability");
    assert_eq!(latency["device"]["identifiers"][0], "streampulse_gate");
    assert_eq!(latency["expire_after"], 180);
    assert_eq!(latency["origin"]["name"], "StreamPulse");
}
