//! Every listener of the testbed with both versions of the protocol, and the refusals: each is tried by the client itself and
//! by the test button.

use model::secret::Secret;
use net::clock::SystemClock;
use net::trust::{TlsOptions, Trust};
use sink::mqtt::{Qos, Settings, Version, test};
use testkit::wait::wait_for;

use crate::support::{LONG, Rig, Witness, certificate, has_testbed, stream};

/// Settings for a listener of the testbed, with topics of their own.
fn listener(port: u16, version: Version, tls: bool, websocket: bool) -> Settings {
    let name = format!("t{}/{port}{version:?}", std::process::id());
    let ca = || TlsOptions { trust: Trust::CaFile(certificate("ca.pem")), ..TlsOptions::default() };
    let anonymous = port == 11883 || port == 18885;
    Settings {
        version,
        tls: tls.then(ca),
        websocket: websocket.then(|| "/mqtt".to_owned()),
        username: (!anonymous).then(|| "viewer".to_owned()),
        password: (!anonymous).then(|| Secret::new("s3cret")),
        topic: format!("{name}/status"),
        base: name,
        qos: Qos::AtLeastOnce,
        ..Settings::plain("127.0.0.1", port)
    }
}

fn all(version: Version) -> Vec<Settings> {
    let identity = Some((certificate("client.pem"), certificate("client.key")));
    let mut mutual = listener(18885, version, true, false);
    mutual.tls = mutual.tls.map(|tls| TlsOptions { client_cert: identity, ..tls });
    vec![
        listener(11883, version, false, false),
        listener(11884, version, false, false),
        listener(19001, version, false, true),
        listener(18883, version, true, false),
        listener(18884, version, true, true),
        mutual,
    ]
}

#[tokio::test]
async fn every_listener_takes_both_versions() {
    if !has_testbed() {
        return;
    }
    for settings in all(Version::V311).into_iter().chain(all(Version::V5)) {
        let (name, base) = (format!("{} {:?}", settings.broker(), settings.version), settings.base.clone());
        let tried = test(&settings, &SystemClock::new()).await;
        assert_eq!(tried.error, None, "{name}");
        // Who writes is one listener, who reads another: the broker really has it.
        let witness = Witness::on(11883, &format!("{base}/#")).await;
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            let from = witness.all().len();
            let rig = Rig::start(Settings { qos, ..settings.clone() }, &[stream("gate")]);
            rig.connected().await;
            witness.wait_for(&format!("{base}/availability"), "online").await;
            let seen = |topic: String| {
                let all = witness.all();
                all[from..].iter().any(|s| s.topic == topic)
            };
            for topic in ["status", "stream/gate"] {
                let there = wait_for(LONG, || seen(format!("{base}/{topic}"))).await;
                assert!(there, "{name} {qos:?} {topic}: {:?}", witness.all());
            }
            assert!(rig.tasks.stop(LONG).await);
            let last = || witness.newest(&format!("{base}/availability")).map(|s| s.payload);
            assert!(wait_for(LONG, || last().as_deref() == Some("offline")).await, "{name}: {:?}", last());
        }
    }
}

#[tokio::test]
async fn refusals_say_what_is_wrong_and_show_no_password() {
    if !has_testbed() {
        return;
    }
    let wrong = |mut settings: Settings| {
        settings.password = Some(Secret::new("planted-wrong-pw"));
        settings
    };
    let plain = |port| listener(port, Version::V311, false, false);
    let mut stranger = listener(18883, Version::V311, true, false);
    stranger.tls = Some(TlsOptions::default());
    let mut other_ca = listener(18884, Version::V5, true, true);
    other_ca.tls = Some(TlsOptions { trust: Trust::CaFile(certificate("self.pem")), ..TlsOptions::default() });
    let mut nobody = plain(11884);
    (nobody.username, nobody.password) = (None, None);
    let mut path_less = plain(11883);
    path_less.websocket = Some("/mqtt".to_owned());
    let cases = [
        (wrong(plain(11884)), "user name or password"),
        (wrong(Settings { version: Version::V5, ..plain(11884) }), "not authorised"),
        (wrong(listener(19001, Version::V311, false, true)), "user name or password"),
        (nobody, "user name or password"),
        (stranger, "tls (tls)"),
        (other_ca, "tls (tls)"),
        (listener(18885, Version::V5, true, false), "client certificate"),
        (listener(18885, Version::V311, true, false), "client certificate"),
        (listener(18883, Version::V311, false, false), "connection"), // closed or reset
        (path_less, "connection"),
        (Settings::plain("127.0.0.1", crate::support::free_port()), "refused (connect)"),
        (Settings::plain("no-such-host.invalid", 1883), "unresolved"),
    ];
    for (settings, expected) in cases {
        let tried = test(&settings, &SystemClock::new()).await;
        let error = tried.error.unwrap_or_default();
        assert!(error.contains(expected), "{}: {error}", settings.broker());
        assert!(!error.contains("planted"), "{error}");
    }
}

#[tokio::test]
async fn insecure_is_accepted_when_it_is_asked_for() {
    if !has_testbed() {
        return;
    }
    let mut settings = listener(18883, Version::V5, true, false);
    settings.tls = Some(TlsOptions { trust: Trust::Insecure, ..TlsOptions::default() });
    assert_eq!(test(&settings, &SystemClock::new()).await.error, None);
}
