//! The testbed itself: it is reachable, it stays on the loopback interface, and its verbs do what they say. The other
//! tests believe it. Needs `STREAMPULSE_TESTBED=1` and `TESTBED_DIR`; says loudly when it was skipped.

#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

/// One TCP port per server of the core, and what listens there.
const PORTS: &[(u16, &str)] = &[
    (18554, "rtsp"),
    (18555, "rtsp digest"),
    (18556, "rtsp basic"),
    (18322, "rtsp tls"),
    (11935, "rtmp"),
    (11936, "rtmps"),
    (18080, "http"),
    (18443, "https"),
    (18444, "https expired"),
    (18445, "https self-signed"),
    (18446, "https soon expired"),
    (18447, "https client certificate"),
    (18000, "icecast"),
    (18081, "mjpeg"),
    (18082, "mjpeg digest"),
    (11883, "mqtt"),
    (11884, "mqtt password"),
    (18883, "mqtt tls"),
    (18884, "mqtt wss"),
    (18885, "mqtt client certificate"),
    (19001, "mqtt ws"),
    (18086, "influxdb"),
    (18428, "victoria"),
    (18598, "black hole"),
];
/// Left closed: a test that wants a refused connection goes there.
const REFUSED: u16 = 18599;
/// The process that the verbs are tried on: nothing else in the core stands on it.
const VICTIM: &str = "rtpts";
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

fn testbed_dir() -> Option<PathBuf> {
    if std::env::var_os("STREAMPULSE_TESTBED").is_none() {
        eprintln!("SKIPPED: the testbed is not announced; set STREAMPULSE_TESTBED=1 and TESTBED_DIR, or run ./test");
        return None;
    }
    Some(PathBuf::from(std::env::var_os("TESTBED_DIR").expect("TESTBED_DIR goes with STREAMPULSE_TESTBED")))
}

fn verb(arguments: &[&str]) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testbed/testbed.sh");
    Command::new(script).args(arguments).env("TESTBED_INSTALL", "0").output().expect("the script can be started")
}

/// The state that `status` shows for a process; `None` when it lists none of that name.
fn state_of(name: &str) -> Option<String> {
    let output = verb(&["status"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(name))?;
    line.split_whitespace().nth(1).map(str::to_owned)
}

/// Listening TCP sockets of this machine by port, as the kernel lists them: address and port in hexadecimal, state 0A.
fn listeners() -> BTreeMap<u16, Vec<String>> {
    let mut found: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields.get(3) == Some(&"0A")
                && let Some((address, port)) = fields[1].split_once(':')
            {
                let port = u16::from_str_radix(port, 16).expect("the kernel writes ports in hexadecimal");
                found.entry(port).or_default().push(address.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_server_answers_and_none_is_open_to_the_network() {
    if testbed_dir().is_none() {
        return;
    }
    let listeners = listeners();
    for (port, what) in PORTS {
        let address = SocketAddr::from(([127, 0, 0, 1], *port));
        let connected = TcpStream::connect_timeout(&address, CONNECT_WITHIN);
        assert!(connected.is_ok(), "{what} on {address}: {connected:?}");
        // 127.0.0.1 in the byte order of this machine.
        let loopback = format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1]));
        assert_eq!(listeners.get(port), Some(&vec![loopback]), "{what} on port {port}");
    }
    let refused = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], REFUSED)), CONNECT_WITHIN);
    assert_eq!(refused.err().map(|error| error.kind()), Some(std::io::ErrorKind::ConnectionRefused));
}

#[test]
fn a_process_can_be_stalled_resumed_killed_and_started() {
    let Some(dir) = testbed_dir() else { return };
    assert_eq!(state_of(VICTIM).as_deref(), Some("up"));

    assert!(verb(&["stall", VICTIM]).status.success());
    let stalled = state_of(VICTIM);
    assert!(verb(&["resume", VICTIM]).status.success());
    assert_eq!(stalled.as_deref(), Some("stalled"));
    assert_eq!(state_of(VICTIM).as_deref(), Some("up"));

    let before = fs::read_to_string(dir.join("pid").join(VICTIM)).unwrap();
    assert!(verb(&["kill", VICTIM]).status.success());
    let gone = state_of(VICTIM);
    let started = verb(&["start", "udpts"]);
    assert_eq!(gone, None);
    assert!(started.status.success(), "{started:?}");
    assert_eq!(state_of(VICTIM).as_deref(), Some("up"));
    assert_ne!(before, fs::read_to_string(dir.join("pid").join(VICTIM)).unwrap());
}

#[test]
fn a_stranger_is_never_signalled() {
    let Some(_) = testbed_dir() else { return };
    // A pid file whose start time is another one's: the pid was given to somebody else since.
    let folder = own_folder();
    fs::create_dir_all(folder.join("pid")).unwrap();
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    fs::write(folder.join("pid/ghost"), format!("{} 1\nghost\n", stranger.id())).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testbed/testbed.sh");
    let down = Command::new(script).arg("down").env("TESTBED_DIR", &folder).output().unwrap();
    let survived = stranger.try_wait().unwrap().is_none();
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert!(down.status.success(), "{down:?}");
    assert!(survived, "down ended a process that it had not started");
}

/// A folder of this test's own.
fn own_folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("testbed-test-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the system has a folder for temporary files");
    folder
}

#[test]
fn an_unknown_word_is_refused_and_help_is_given() {
    let run = |arguments: &[&str]| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testbed/testbed.sh");
        let output = Command::new(script).args(arguments).env("TESTBED_DIR", "/nonexistent/testbed").output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, text) = run(&["up", "nosuch"]);
    assert!(code == Some(1) && text.contains("no component 'nosuch'") && text.contains("rtsp"), "{code:?} {text}");
    let (code, text) = run(&["frobnicate"]);
    assert!(code == Some(2) && text.contains("stall NAME"), "{code:?} {text}");
    assert_eq!(run(&["status"]).0, Some(3));
}
