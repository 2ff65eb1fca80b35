//! What cannot be started: strangers' containers, missing images, programs that are not there.

use net::http::Method;
use serde_json::json;

use crate::support::{IMAGE, create, found, refused, rig, start};

#[tokio::test]
async fn a_strangers_container_is_left_alone() {
    let Some(rig) = rig() else { return };
    let (docker, unit) = (rig.docker(), rig.unit(&["sleep", "600"]));
    for (labels, words) in [
        (json!({}), "was not made by StreamPulse"),
        (json!({ "streampulse.unit": "other" }), "belongs to the service other"),
    ] {
        let body = json!({ "Image": IMAGE, "Cmd": ["sleep", "600"], "Labels": labels, "HostConfig": { "NetworkMode": "none" } });
        let (status, made) = rig.ask(Method::POST, &format!("/containers/create?name={}", rig.name), Some(body)).await;
        assert_eq!(status, 201, "{made}");
        rig.ask(Method::POST, &format!("/containers/{}/start", rig.name), None).await;
        let refusal = refused(&docker, &unit).await;
        assert!(refusal.words.contains(words) && !refusal.passing, "{refusal}");
        assert_eq!(found(&docker, &unit).await, ("nothing", None));
        let now = rig.inspect().await;
        assert_eq!((&now["Id"], &now["State"]["Running"]), (&made["Id"], &json!(true)));
        rig.ask(Method::DELETE, &format!("/containers/{}?force=1", rig.name), None).await;
    }
}

#[tokio::test]
async fn what_cannot_be_started_is_told_and_leaves_nothing() {
    let Some(rig) = rig() else { return };
    let docker = rig.docker();
    let mut unit = rig.unit(&["/no/such/program"]);
    let refusal = refused(&docker, &unit).await;
    assert!(refusal.words.contains("/no/such/program") && refusal.words.contains(&rig.name), "{refusal}");
    assert!(rig.inspect().await["Id"].is_null(), "the container that could not be started is gone");
    create(&mut unit).image = "testbed/nosuch:1".to_owned();
    let refusal = refused(&docker, &unit).await;
    assert!(refusal.words.contains("testbed/nosuch:1 is not there") && !refusal.passing, "{refusal}");
    // Nothing listens there, and the engine says so in its own words.
    create(&mut unit).image = "127.0.0.1:1/nosuch:1".to_owned();
    create(&mut unit).pull = true;
    let refusal = refused(&docker, &unit).await;
    assert!(refusal.words.contains("127.0.0.1:1") && refusal.passing && !refusal.no_engine, "{refusal}");
    // The name is free for a good one.
    start(&docker, &rig.unit(&["sleep", "600"])).await;
}
