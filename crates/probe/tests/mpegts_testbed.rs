//! The mpegts kind against the feeds of the testbed, with the facts of ffprobe; and multicast in a network namespace that the
//! test makes for itself.

#![allow(clippy::print_stderr, reason = "a skipped test must be seen")]

mod support;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use model::reading::Depth;
use support::{fact, ffprobe, look, outcome, target, testbed, tracks};
use testkit::ts::{Form, Sender};

#[tokio::test]
async fn feeds_are_up_with_the_facts_that_ffprobe_prints() {
    if testbed().is_none() {
        return;
    }
    for (url, transport) in [("udp://127.0.0.1:18501", "udp"), ("rtp://127.0.0.1:18504", "rtp")] {
        // One after the other: a unicast port has one listener.
        let seen = look(&target(url, &[])).await;
        assert_eq!(outcome(&seen), "up", "{url}: {:?}", seen.look);
        assert_eq!(seen.look.reading.proven, Some(Depth::Media), "{url}");
        assert!(seen.look.reading.findings.is_empty(), "{url}: {:?}", seen.look.reading.findings);
        assert_eq!((fact(&seen, "transport").as_str(), fact(&seen, "continuity_errors").as_str()), (transport, "0"));
        ffprobe::agrees(&seen, url, || ffprobe::tracks_of(url, &[]));
    }
}

/// Set in the process that runs inside the namespace.
const INSIDE: &str = "STREAMPULSE_INSIDE_NAMESPACE";

/// Runs [`inside`] again in a network namespace that has nothing but routes for groups.
#[test]
fn groups_in_a_namespace_of_our_own() {
    // IPv6 knows no groups on the loopback interface, so there is a pair of others, of which one end stays without addresses.
    let prepare = "ip link set lo up && ip link set lo multicast on && ip route add 224.0.0.0/4 dev lo && \
                   ip link add v0 type veth peer name v1 && echo 1 >/proc/sys/net/ipv6/conf/v1/disable_ipv6 && \
                   ip link set v0 up && ip link set v1 up && ip -6 addr add fd00::1/64 dev v0 nodad && exec \"$@\"";
    let own = std::env::current_exe().expect("a test has a file");
    let run = |command: &mut Command| command.env(INSIDE, "1").output();
    let in_namespace = |program: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--map-root-user", "sh", "-c", prepare, "sh"]).args(program);
        run(&mut command)
    };
    match in_namespace(&["true"]) {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            eprintln!("SKIPPED: no network namespace here: {}", String::from_utf8_lossy(&output.stderr).trim());
            return;
        }
        Err(error) => {
            eprintln!("SKIPPED: no network namespace here: unshare: {error}");
            return;
        }
    }
    let own = own.display().to_string();
    let output = in_namespace(&[&own, "--exact", "inside", "--nocapture"]).expect("it ran a moment ago");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && text.contains("inside: all groups were looked at"), "{text}");
}

/// What happens inside the namespace; outside of one it does nothing.
#[tokio::test]
async fn inside() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let group = |text: &str| text.parse::<SocketAddr>().expect("an address");
    for (to, form, url, options) in [
        ("239.255.42.1:5000", Form::Udp, "udp://239.255.42.1:5000", vec![]),
        ("239.255.42.2:5000", Form::Udp, "udp://@239.255.42.2:5000", vec![("interface", "lo")]),
        ("239.255.42.3:5004", Form::Rtp, "rtp://239.255.42.3:5004", vec![("interface", "127.0.0.1")]),
        ("232.1.2.3:5000", Form::Udp, "udp://127.0.0.1@232.1.2.3:5000", vec![]),
        ("232.1.2.4:5000", Form::Udp, "udp://127.0.0.1@232.1.2.4:5000", vec![("interface", "lo")]),
        ("[ff15::42]:5000", Form::Udp, "udp://[ff15::42]:5000", vec![("interface", "v0")]),
        ("[ff15::43]:5000", Form::Udp, "udp://[ff15::43]:5000", vec![("interface", "v0"), ("source", "fd00::1")]),
    ] {
        let _sender = Sender::start(group(to), form).await;
        let (one, mut other) = (target(url, &options), target(url, &options));
        other.depth = Depth::Describe;
        let (seen, second) = tokio::join!(look(&one), look(&other));
        assert_eq!((outcome(&seen).as_str(), outcome(&second).as_str()), ("up", "up"), "{url}: {:?}", seen.look);
        assert!(seen.look.reading.findings.is_empty(), "{url}: {:?}", seen.look.reading.findings);
        assert!(tracks(&seen).starts_with("h264 Constrained Baseline 64x48"), "{url}: {}", tracks(&seen));
    }
    // A member of a group gets nothing of another group on the same port, and nothing of another source.
    let _sender = Sender::start(group("239.255.42.9:5000"), Form::Udp).await;
    for url in ["udp://239.255.42.8:5000", "udp://127.0.0.77@239.255.42.9:5000"] {
        let mut quiet = target(url, &[("interface", "lo")]);
        quiet.timeout = Duration::from_millis(700);
        assert_eq!(outcome(&look(&quiet).await), "no_media (media)", "{url}");
    }
    eprintln!("inside: all groups were looked at");
}
