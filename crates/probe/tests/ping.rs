//! The kind `ping`: answers of this machine, and what routers, silent networks and missing permissions make of it, in networks
//! of the tests' own (`unshare`). Skipped loudly where the system allows neither.

#![allow(clippy::print_stderr, reason = "a skipped test must be seen")]

mod support;

use std::process::Command;

use model::conf::Value;
use model::fault::FaultKind;
use model::observation::Observation;
use model::reading::{FactValue, fact as key};
use model::target::Target;
use support::{fact, look, outcome, words};

/// Set in the child that runs in a network of its own: the test that it is for.
const INSIDE: &str = "STREAMPULSE_PING_INSIDE";

/// A network with a router behind `v0`. Beyond it: hosts that swallow everything (198.51.100.1, fd00:9::1), and no way to
/// anywhere else. Neighbours that do not exist are given up quickly.
const ROUTER: &str = "\
setpriv --pdeathsig KILL unshare -n sleep 600 & r=$!
until [ \"$(readlink /proc/$r/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do :; done
ip link add v0 type veth peer name v1 netns $r
ip addr add 10.8.8.1/24 dev v0; ip -6 addr add fd00:8::1/64 dev v0 nodad; ip link set v0 up
echo 50 > /proc/sys/net/ipv4/neigh/v0/retrans_time_ms; echo 1 > /proc/sys/net/ipv4/neigh/v0/mcast_solicit
nsenter -t $r -n sh -ec '
ip link set lo up; ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up
ip addr add 10.8.8.2/24 dev v1; ip -6 addr add fd00:8::2/64 dev v1 nodad; ip link set v1 up
echo 0 > /proc/sys/net/ipv4/icmp_ratelimit; echo 0 > /proc/sys/net/ipv6/icmp/ratelimit
echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
ip addr add 198.51.100.2/24 dev d0; ip neigh add 198.51.100.1 lladdr 02:00:00:00:00:01 dev d0
ip -6 addr add fd00:9::2/64 dev d0 nodad; ip -6 neigh add fd00:9::1 lladdr 02:00:00:00:00:01 dev d0'
ip route add default via 10.8.8.2; ip -6 route add default via fd00:8::2
";

/// Lets everybody ping whose group is root's, and takes from the program what raw sockets need.
const UNPRIVILEGED: &str = "echo '0 0' > /proc/sys/net/ipv4/ping_group_range\n";
const WITHOUT_RAW: &str = "setpriv --bounding-set -net_raw --inh-caps -net_raw ";

/// Whether this is the child in which `test` runs. If not, starts that child, behind `setup` and as `with` says, and waits for
/// it to succeed.
fn inside(test: &str, setup: &str, with: &str) -> bool {
    if let Some(name) = std::env::var_os(INSIDE) {
        assert_eq!(name, test, "the child runs one test alone");
        return true;
    }
    let unshare = |user: &[&str]| {
        let mut command = Command::new("unshare");
        command.arg("-n").args(user);
        command
    };
    // Who is not root becomes root of a namespace of users, where the system lets him.
    let works = |user: &[&str]| unshare(user).arg("true").status().is_ok_and(|status| status.success());
    let Some(user) = [&[][..], &["-r"][..]].into_iter().find(|user| works(user)) else {
        eprintln!("SKIPPED: {test}: no network of its own to be had (unshare -n)");
        return false;
    };
    let script = format!("ip link set lo up\n{setup}exec {with}\"$0\" --exact {test} --nocapture\n");
    let program = std::env::current_exe().expect("this program has a path");
    let output = unshare(user).args(["sh", "-ec", &script]).arg(program).env(INSIDE, test).output().expect("started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{test} inside its network: {text}");
    assert!(text.contains("1 passed"), "{text}");
    false
}

/// A target whose options are numbers where they look like numbers, as in a file.
fn target(url: &str, options: &[(&str, &str)]) -> Target {
    let mut target = support::target(url, options);
    for value in target.options.0.values_mut() {
        if let Value::Str(text) = value
            && let Ok(number) = text.parse()
        {
            *value = Value::Int(number);
        }
    }
    target
}

fn number(seen: &Observation, key: &str) -> f64 {
    match seen.look.reading.facts.get(key) {
        Some(FactValue::Num(value)) => *value,
        other => panic!("{key} is {other:?}: {:?}", seen.look),
    }
}

/// Whether this process may not ping at all; says so.
fn is_refused(seen: &Observation) -> bool {
    let refused = seen.look.fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::ToolMissing);
    if refused {
        eprintln!("SKIPPED: {}", words(seen));
    }
    refused
}

async fn check_good(url: &str, means: Option<&str>) {
    let seen = look(&target(url, &[("count", "5"), ("spacing", "10ms"), ("size", "1000")])).await;
    if means.is_none() && is_refused(&seen) {
        return;
    }
    assert_eq!(outcome(&seen), "up", "{url}: {:?}", seen.look);
    let counts = [key::ECHOES_SENT, key::ECHOES_ANSWERED, key::ECHO_DUPLICATES].map(|key| fact(&seen, key));
    assert_eq!(counts, ["5", "5", "0"], "{url}: {:?}", seen.look);
    assert_eq!(fact(&seen, key::REPLY_TTL), "64", "{url}: {:?}", seen.look);
    assert_eq!(fact(&seen, key::ICMP_SOCKET), means.unwrap_or(&fact(&seen, key::ICMP_SOCKET)).to_owned());
    let [min, mean, max] = [key::RTT_MIN_MS, key::RTT_MS, key::RTT_MAX_MS].map(|key| number(&seen, key));
    assert!(0.0 < min && min <= mean && mean <= max, "{:?}", seen.look);
    assert!(number(&seen, key::JITTER_MS) <= max - min + 0.001 && number(&seen, key::LOSS_RATIO) == 0.0);
    assert_eq!(number(&seen, key::RTT_ROLLING_MS), mean, "the first look is its own average");
}

#[tokio::test]
async fn this_machine_answers() {
    check_good("ping://127.0.0.1", None).await;
    check_good("icmp://localhost", None).await;
}

#[tokio::test]
async fn looks_at_one_host_do_not_take_each_others_replies() {
    let target = target("ping://127.0.0.1", &[("count", "20"), ("spacing", "10ms")]);
    let (a, b, c) = tokio::join!(look(&target), look(&target), look(&target));
    for seen in [a, b, c] {
        if is_refused(&seen) {
            return;
        }
        let counts = [key::ECHOES_SENT, key::ECHOES_ANSWERED, key::ECHO_DUPLICATES].map(|key| fact(&seen, key));
        assert_eq!(counts, ["20", "20", "0"], "{:?}", seen.look);
    }
}

/// What the network of [`ROUTER`] says, whatever the socket.
async fn check_troubles(means: &str) {
    let options = [("count", "3"), ("spacing", "20ms"), ("wait", "600ms")];
    for url in ["ping://127.0.0.1", "ping://[::1]", "ping://10.8.8.2", "ping://[fd00:8::2]"] {
        check_good(url, Some(means)).await;
    }
    for (url, ttl, expected, says) in [
        ("ping://10.8.8.77", "64", "unreachable (first_byte)", "the host is unreachable, says 10.8.8.1"),
        ("ping://203.0.113.1", "64", "unreachable (first_byte)", "the network is unreachable, says 10.8.8.2"),
        ("ping://198.51.100.1", "1", "unreachable (first_byte)", "(time to live exceeded), says 10.8.8.2"),
        ("ping://198.51.100.1", "2", "timed_out (first_byte)", "none of 3 echoes was answered within "),
        ("ping://[2001:db8::1]", "64", "unreachable (first_byte)", "no route to the destination, says fd00:8::2"),
        ("ping://[fd00:9::1]", "1", "unreachable (first_byte)", "(time to live exceeded), says fd00:8::2"),
        ("ping://[fd00:9::1]", "2", "timed_out (first_byte)", "none of 3 echoes"),
    ] {
        let seen = look(&target(url, &[&options[..], &[("ttl", ttl)]].concat())).await;
        assert_eq!(outcome(&seen), expected, "{url}: {:?}", seen.look);
        assert!(words(&seen).contains(says), "{url}: {}", words(&seen));
        assert_eq!((fact(&seen, key::ICMP_SOCKET).as_str(), number(&seen, key::LOSS_RATIO)), (means, 1.0));
    }
}

#[test]
fn raw_sockets_tell_every_trouble() {
    if inside("raw_sockets_tell_every_trouble", ROUTER, "") {
        runtime().block_on(check_troubles("raw"));
    }
}

#[test]
fn unprivileged_sockets_tell_the_same() {
    let setup = format!("{UNPRIVILEGED}{ROUTER}");
    if inside("unprivileged_sockets_tell_the_same", &setup, WITHOUT_RAW) {
        runtime().block_on(check_troubles("unprivileged"));
    }
}

#[test]
fn who_may_not_ping_knows_nothing_about_the_target() {
    if inside("who_may_not_ping_knows_nothing_about_the_target", "", WITHOUT_RAW) {
        let seen = runtime().block_on(look(&target("ping://127.0.0.1", &[])));
        assert_eq!(outcome(&seen), "tool_missing (connect)", "{:?}", seen.look);
        assert!(seen.look.fault.as_ref().is_some_and(model::fault::Fault::is_ours));
        for remedy in ["net.ipv4.ping_group_range", "CAP_NET_RAW", "unprivileged: ", "raw: "] {
            assert!(words(&seen).contains(remedy), "{}", words(&seen));
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn urls_and_options_that_make_no_sense_are_refused() {
    for (url, options, expected) in [
        ("ping://192.0.2.1:80", &[][..], "a ping has no port, path or user name"),
        ("ping://192.0.2.1/x", &[], "a ping has no port, path or user name"),
        ("ping://me@192.0.2.1", &[], "a ping has no port, path or user name"),
        ("ping://192.0.2.1", &[("spacing", "3s")], "take longer than the timeout"),
        ("ping://192.0.2.1", &[("family", "ipv5")], "did you mean ipv"),
    ] {
        let problems = probe::kind::build(&target(url, options)).err().expect(url);
        let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        assert!(text.contains(expected), "{url}: {text}");
    }
}

#[tokio::test]
async fn a_family_that_the_host_does_not_have_is_said() {
    let seen = look(&target("ping://127.0.0.1", &[("family", "ipv6")])).await;
    assert_eq!(outcome(&seen), "unresolved (resolve)", "{:?}", seen.look);
    assert!(words(&seen).contains("no address of IPv6"), "{}", words(&seen));
}
