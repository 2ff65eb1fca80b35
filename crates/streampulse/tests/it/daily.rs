//! What operators and newcomers do every day: the demo, systemd, health checks.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use crate::site::Site;
use crate::support::{Instance, Place, binary, cli, wait_for};

#[test]
fn the_demo_shows_one_of_each_and_leaves_nothing_behind() {
    let place = tempfile::tempdir().expect("a folder");
    let mut command = binary();
    command.args(["demo", "--listen", "127.0.0.1:0"]).env("TMPDIR", place.path());
    let run = Instance::spawn(command, place.path());
    for (name, status, fault) in [
        ("Front gate", "up", ""),
        ("Status page", "up", ""),
        ("Loading dock", "down", "no_media"),
        ("Server room", "down", "auth_required"),
        ("Warehouse", "down", "refused"),
        ("Archive search", "degraded", ""),
    ] {
        let seen = run.wait_status(name, status);
        assert_eq!(seen["last"]["fault"]["kind"].as_str().unwrap_or(""), fault, "{seen:#}");
    }
    assert_eq!(run.get("/api/v1/session").json()["demo"], true);
    assert!(run.get("/").text().contains("<title>StreamPulse</title>"));
    let picture = run.get("/api/v1/targets/front-gate/snapshot.jpg");
    assert_eq!((picture.status, picture.header("content-type")), (200, Some("image/jpeg")), "{}", picture.text());
    assert!(picture.body.starts_with(&[0xff, 0xd8]));
    assert!(run.stop().success());
    let left = std::fs::read_dir(place.path()).expect("there").count();
    assert_eq!(left, 0, "the demo's folder is gone");
}

#[test]
fn the_demo_is_not_served_to_the_network() {
    let out = cli(&["demo", "--listen", "0.0.0.0:0"]);
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && text.contains("loopback only"), "{text}");
}

/// What a service manager receives.
fn messages(socket: &UnixDatagram, wanted: &str) {
    wait_for(&format!("systemd is told {wanted}"), || {
        let mut text = [0; 256];
        let n = socket.recv(&mut text).ok()?;
        text[..n].split(|b| *b == b'\n').any(|line| line == wanted.as_bytes()).then_some(())
    });
}

fn notify_socket(at: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(at).expect("bound");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit above zero");
    socket
}

#[test]
fn systemd_hears_ready_alive_and_stopping() {
    let site = Site::start();
    let place = Place::open(&format!("targets:\n  - name: Page\n    url: http://{}/\n", site.at));
    let at = place.folder.path().join("notify");
    let socket = notify_socket(&at);
    let at = at.display().to_string();
    let run = place.start_with(&[], &[("NOTIFY_SOCKET", &at), ("WATCHDOG_USEC", "400000")]);
    messages(&socket, "READY=1");
    messages(&socket, "WATCHDOG=1");
    messages(&socket, "WATCHDOG=1");
    run.signal("TERM");
    messages(&socket, "STOPPING=1");
}

#[test]
fn a_health_check_finds_the_instance_by_its_own_settings() {
    let place = Place::open("targets: []\n");
    let run = place.start();
    let url = format!("http://{}", run.at);
    let well = cli(&["health", "--url", &url]);
    assert!(well.status.success(), "{}", String::from_utf8_lossy(&well.stderr));
    let listen = run.at.to_string();
    let config = place.config().display().to_string();
    let found = cli(&["health", "--config", &config, "--listen", &listen]);
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    run.stop();
    assert!(!cli(&["health", "--url", &url]).status.success(), "nobody answers any more");
}

#[test]
fn a_starter_file_is_written_when_asked_for_and_the_first_line_helps_otherwise() {
    let place = Place::with("");
    std::fs::remove_file(place.config()).expect("removed");
    let out = place.command(&[]).output().expect("starts");
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && text.contains("--init"), "{text}");
    let run = place.start_with(&["--init", "--listen", "127.0.0.1:0"], &[]);
    assert!(run.setup_token.is_some(), "login is on unless switched off");
    assert!(
        std::fs::read_to_string(place.config()).expect("written").contains('#'),
        "the starter file explains itself"
    );
}

#[test]
fn the_first_look_comes_within_moments_of_the_start() {
    let site = Site::start();
    let place = Place::open(&format!("targets:\n  - name: Page\n    url: http://{}/\n    interval: 1h\n", site.at));
    let run = place.start();
    // Not timed here (bench/run does): it must not wait for its place in an hour.
    wait_for("the first look", || (site.requests() > 0).then_some(()));
    assert!(run.stop().success());
}
