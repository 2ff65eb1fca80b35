//! The battery: every trouble that every kind must take well, run over the whole table of kinds. What is particular to a kind
//! stands in `lab.rs`.

#![allow(clippy::print_stderr, reason = "shared with tests that say when they are skipped")]

mod lab;
#[path = "../support/mod.rs"]
mod support;
mod yaml;

use std::net::SocketAddr;
use std::time::Duration;

use model::address::Address;
use model::conf::{Section, Type, Value};
use model::fault::FaultKind;
use model::observation::Observation;
use model::target::Target;
use probe::kind::{COMMON_KEYS, Kind};
use probe::kinds::{KINDS, by_name};
use testkit::bad;
use testkit::peer::Peer;
use testkit::wait::wait_for;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use lab::{Lab, WITHOUT_PEER, WITHOUT_TCP, lab};
use support::{look, look_until, outcome, tracks};

/// Longest wait for something that must happen soon.
const PATIENCE: Duration = Duration::from_secs(10);
/// Deadline of looks that are meant to reach it.
const SHORT: Duration = Duration::from_millis(500);
/// How long after its deadline a look may be back: taking leave, and a busy machine.
const GRACE: Duration = Duration::from_millis(1500);

/// Kinds that peers of TCP can trouble.
fn over_tcp() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().copied().filter(|kind| !WITHOUT_TCP.contains(&kind.name))
}

fn target_at(kind: &'static Kind, url: &str, options: &[(&str, Value)]) -> Target {
    let mut target = support::target("rtsp://127.0.0.1/", &[]);
    target.kind = kind.name;
    target.address = Address::parse(url).expect("a good URL");
    target.options.0 = options.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    target
}

fn url_of(kind: &Kind, lab: &Lab, address: SocketAddr, userinfo: &str) -> String {
    format!("{}://{userinfo}{address}{}", kind.schemes[0], lab.path)
}

/// The kind's target at a bad peer.
fn target_of(kind: &'static Kind, lab: &Lab, address: SocketAddr) -> Target {
    target_at(kind, &url_of(kind, lab, address, ""), &lab.options)
}

fn fault_kind(seen: &Observation) -> Option<FaultKind> {
    seen.look.fault.as_ref().map(|f| f.kind)
}

async fn all_closed(peer: &Peer) -> bool {
    wait_for(PATIENCE, || peer.stats().open() == 0).await
}

#[test]
fn the_table_is_in_order_and_keys_do_not_collide() {
    assert!(KINDS.windows(2).all(|w| w[0].name < w[1].name), "the rows are in alphabetical order");
    for kind in KINDS {
        assert!(by_name(kind.name).is_some_and(|k| std::ptr::eq(k, *kind)), "{}", kind.name);
        assert!(!kind.schemes.is_empty() && !kind.summary.is_empty());
        for (i, field) in kind.fields.iter().enumerate() {
            assert!(!COMMON_KEYS.contains(&field.key), "{}: {} belongs to the loader", kind.name, field.key);
            assert!(!kind.fields[..i].iter().any(|f| f.key == field.key), "{}: {} comes twice", kind.name, field.key);
            assert!(!field.doc.is_empty(), "{}: {} is not documented", kind.name, field.key);
        }
    }
}

#[test]
fn unknown_keys_are_refused_with_a_suggestion() {
    for kind in KINDS {
        let slip = format!("{}x", kind.fields[0].key);
        let target = target_at(kind, &format!("{}://127.0.0.1:9/", kind.schemes[0]), &[(&slip, Value::Bool(true))]);
        let problems = probe::kind::build(&target).err().expect("the key is unknown");
        let words = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let expected = format!("unknown key {slip} (did you mean {}?)", kind.fields[0].key);
        assert!(words.contains(&expected), "{}: {words}", kind.name);
    }
}

#[test]
fn the_documented_example_is_a_target() {
    for kind in KINDS {
        let Value::Map(pairs) = yaml::read(kind.example) else { panic!("{}: the example is a mapping", kind.name) };
        let get = |key: &str| pairs.iter().find(|(k, _)| k == key).map(|(_, n)| n.value.clone());
        assert_eq!(get("kind"), Some(Value::Str(kind.name.to_owned())), "{}", kind.name);
        let Some(Value::Str(url)) = get("url") else { panic!("{}: the example has a url", kind.name) };
        let own: Vec<_> = pairs.iter().filter(|(k, _)| !COMMON_KEYS.contains(&k.as_str())).cloned().collect();
        assert!(!own.is_empty(), "{}: the example shows keys of the kind", kind.name);
        let node = model::conf::Node::bare(Value::Map(own.clone()));
        let mut problems = Vec::new();
        Section::check(&node, kind.fields, kind.name, &mut problems);
        assert_eq!(problems, []);
        let options: Vec<_> = own.iter().map(|(k, n)| (k.as_str(), n.value.clone())).collect();
        assert!(probe::kind::build(&target_at(kind, &url, &options)).is_ok(), "{}", kind.name);
    }
}

#[tokio::test]
async fn a_good_peer_gives_the_promised_facts() {
    for kind in KINDS.iter().filter(|kind| !WITHOUT_PEER.contains(&kind.name)) {
        let lab = lab(kind.name);
        let good = (lab.good)().await;
        let seen = look(&target_at(kind, &good.url, &lab.options)).await;
        if fault_kind(&seen) == Some(FaultKind::ToolMissing) {
            eprintln!("SKIPPED: {}: {}", kind.name, support::words(&seen));
            continue;
        }
        assert_eq!(outcome(&seen), "up", "{}: {:?}", kind.name, seen.look);
        for fact in lab.facts {
            assert!(seen.look.reading.facts.contains_key(fact), "{}: {fact} is missing: {:?}", kind.name, seen.look);
        }
        let measured =
            seen.look.reading.tracks.iter().find_map(|t| t.fps).map_or(String::new(), |f| format!("{f} fps"));
        assert_eq!(tracks(&seen), lab.tracks.replace("FPS", &measured), "{}", kind.name);
        let proven = seen.look.reading.proven;
        assert_eq!(proven.is_some(), kind.media, "{}: only media is proven", kind.name);
    }
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let port = bad::refused();
    for kind in over_tcp() {
        let seen = look(&target_of(kind, &lab(kind.name), port.address())).await;
        assert_eq!(outcome(&seen), "refused (connect)", "{}", kind.name);
    }
}

#[tokio::test]
async fn a_black_hole_times_out_in_the_right_phase() {
    let peer = bad::black_hole().await;
    for kind in over_tcp() {
        let lab = lab(kind.name);
        let mut target = target_of(kind, &lab, peer.address());
        target.timeout = SHORT;
        let began = Instant::now();
        let seen = look(&target).await;
        assert_eq!(outcome(&seen), format!("timed_out ({})", lab.silence), "{}", kind.name);
        assert!(began.elapsed() < SHORT + GRACE, "{}: {:?}", kind.name, began.elapsed());
        assert!(seen.took >= SHORT - SHORT / 10 && seen.took < SHORT + GRACE, "{}: {:?}", kind.name, seen.took);
        assert!(all_closed(&peer).await, "{}", kind.name);
    }
}

#[tokio::test]
async fn one_byte_per_second_still_obeys_the_deadline() {
    let limit = Duration::from_millis(1200);
    let mut looks = JoinSet::new();
    for kind in over_tcp() {
        let lab = lab(kind.name);
        // The second one is quick until the reply has begun well.
        for peer in [bad::drip(lab.begin).await, bad::endless_drip(lab.begin, "x").await] {
            let mut target = target_of(kind, &lab, peer.address());
            target.timeout = limit;
            looks.spawn(async move {
                let began = Instant::now();
                let seen = look(&target).await;
                let slow = [Some(FaultKind::TimedOut), Some(FaultKind::NoMedia)];
                assert!(slow.contains(&fault_kind(&seen)), "{}: {:?}", kind.name, seen.look);
                assert!(began.elapsed() < limit + GRACE, "{}: {:?}", kind.name, began.elapsed());
                assert!(all_closed(&peer).await, "{}", kind.name);
            });
        }
    }
    looks.join_all().await;
}

#[tokio::test]
async fn garbage_breaks_the_protocol_and_nothing_else() {
    let ended = [FaultKind::Protocol, FaultKind::TooLarge, FaultKind::NoMedia].map(Some);
    for kind in over_tcp() {
        let lab = lab(kind.name);
        for seed in 1..=12 {
            for begin in ["", lab.begin] {
                let peer = bad::garbage(seed, begin).await;
                let seen = look(&target_of(kind, &lab, peer.address())).await;
                let place = format!("{} seed {seed} after {begin:?}", kind.name);
                assert!(ended.contains(&fault_kind(&seen)), "{place}: {:?}", seen.look);
                assert!(!begin.is_empty() || fault_kind(&seen) != Some(FaultKind::NoMedia), "{place}: {:?}", seen.look);
            }
        }
    }
}

#[tokio::test]
async fn an_early_end_breaks_the_protocol() {
    for kind in over_tcp() {
        let lab = lab(kind.name);
        let peer = bad::early_close().await;
        let seen = look(&target_of(kind, &lab, peer.address())).await;
        assert_eq!(fault_kind(&seen), Some(FaultKind::Protocol), "{}: {:?}", kind.name, seen.look);
        // In the middle of a good reply, and by reset, the kind may know better; it must not be content.
        let peer = bad::says(lab.begin).await;
        let seen = look(&target_of(kind, &lab, peer.address())).await;
        let known = [FaultKind::Protocol, FaultKind::NoMedia].map(Some);
        assert!(known.contains(&fault_kind(&seen)), "{}: {:?}", kind.name, seen.look);
        let peer = bad::reset().await;
        let seen = look(&target_of(kind, &lab, peer.address())).await;
        let known = [FaultKind::Protocol, FaultKind::Unreachable].map(Some);
        assert!(known.contains(&fault_kind(&seen)), "{}: {:?}", kind.name, seen.look);
    }
}

#[tokio::test]
async fn endless_answers_hit_a_cap() {
    for kind in over_tcp() {
        let lab = lab(kind.name);
        for endless in &lab.endless {
            let peer = bad::endless(endless.begin, endless.again).await;
            let mut target = target_of(kind, &lab, peer.address());
            target.timeout = PATIENCE;
            let seen = look(&target).await;
            let place =
                format!("{}: {:?} and then {:?}", kind.name, endless.begin, endless.again.escape_ascii().to_string());
            assert!(endless.faults.iter().any(|k| fault_kind(&seen) == Some(*k)), "{place}: {:?}", seen.look);
            assert!(all_closed(&peer).await, "{place}");
            // Our largest cap is 8 MiB of picture; the buffers of both sockets hold a few more.
            assert!(peer.stats().sent() < 32 << 20, "{place}: {} bytes were taken", peer.stats().sent());
        }
    }
}

#[tokio::test]
async fn cancelling_frees_the_socket() {
    for kind in over_tcp() {
        let lab = lab(kind.name);
        for peer in [bad::black_hole().await, bad::drip(lab.begin).await, bad::endless_drip(lab.begin, "x").await] {
            let mut target = target_of(kind, &lab, peer.address());
            target.timeout = 10 * PATIENCE;
            let cancel = CancellationToken::new();
            let cancelling = async {
                assert!(wait_for(PATIENCE, || peer.stats().open() == 1).await, "{}: it connects", kind.name);
                cancel.cancel();
            };
            let began = Instant::now();
            let (seen, ()) = tokio::join!(look_until(&target, &cancel), cancelling);
            assert!(began.elapsed() < PATIENCE, "{}", kind.name);
            assert!(seen.look.fault.is_some(), "{}: a cancelled look proves nothing", kind.name);
            assert!(all_closed(&peer).await, "{}: the peer sees the end", kind.name);
        }
    }
}

/// A password with letters that URLs and Base64 write in other ways.
const PLANTED: &str = "pl4nted+s3cret/of=ours";

/// Every spelling in which it might come out.
fn spellings() -> Vec<String> {
    let percent: String = url::form_urlencoded::byte_serialize(PLANTED.as_bytes()).collect();
    let beginning = PLANTED[..8].to_owned();
    vec![PLANTED.to_owned(), percent, beginning]
}

#[tokio::test]
async fn a_planted_password_comes_out_nowhere() {
    let encoded = spellings()[1].clone();
    for kind in over_tcp() {
        let lab = lab(kind.name);
        let challenge = lab.challenge.replace("PLANTED", PLANTED);
        let peers = [
            bad::echo().await,
            bad::says(challenge.clone()).await,
            bad::says(format!("{PLANTED}\r\n{PLANTED}\r\n\r\n")).await,
            bad::garbage(7, challenge).await,
            bad::early_close().await,
        ];
        for peer in &peers {
            for (userinfo, query) in [(format!("admin:{encoded}@"), ""), (String::new(), "?token=")] {
                let mut url = url_of(kind, &lab, peer.address(), &userinfo);
                if !query.is_empty() {
                    url = format!("{url}{query}{encoded}");
                }
                let mut options = lab.options.clone();
                for field in kind.fields {
                    match field.ty {
                        Type::Secret if !query.is_empty() => options.push((field.key, Value::Str(PLANTED.to_owned()))),
                        Type::MapOf(Type::Secret) => options.push((field.key, lab::map("X-Own", PLANTED))),
                        _ => {}
                    }
                }
                let mut target = target_at(kind, &url, &options);
                target.timeout = SHORT;
                let seen = look(&target).await;
                let fault = seen.look.fault.as_ref().map(ToString::to_string).unwrap_or_default();
                for shown in [format!("{seen:?}"), format!("{target:?}"), fault] {
                    for spelling in spellings() {
                        assert!(!shown.contains(&spelling), "{} at {url}: {spelling} in {shown}", kind.name);
                    }
                }
            }
        }
    }
}
