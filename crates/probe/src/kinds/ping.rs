//! Kind `ping`: echoes of ICMP (RFC 792) and ICMPv6 (RFC 4443). A pass proves that the host answers at least one echo; how
//! many and how fast stands in the facts. Owns which echoes are sent when; `net::icmp` owns the sockets.
//!
//! Echoes leave in a fixed rhythm whether earlier ones are answered or not, so a look takes no longer on a lossy way. Many
//! hosts answer only so many echoes per second (Linux: a token bucket for errors; firewalls: any), hence few and not too dense.

mod round;

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::address::Address;
use model::conf::{Field, Problem, Section, Type};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Reading, Severity, fact};
use model::target::Target;
use net::attempt::Attempt;
use net::dial::{io_fault, resolve};
use net::icmp::{MAX_PAYLOAD_BYTES, Means, Pinger, Refused, Settings, TOKEN_BYTES};
use tokio::time::{Instant, sleep_until};
use wire::icmp::Trouble;

use crate::kind::{BoxFuture, Kind, Probe, options_node, within};
use round::{Rolling, Round};

/// Time before the deadline at which the last answers are given up, so that what was seen is told and not the deadline.
const MARGIN: Duration = Duration::from_millis(20);

const FAMILIES: &[&str] = &["any", "ipv4", "ipv6"];

static FIELDS: [Field; 6] = [
    Field::new("count", Type::Integer { min: 1, max: 100 }, "Echoes in one look.").default("4"),
    Field::new(
        "spacing",
        Type::Duration { min: Duration::from_millis(10), max: Duration::from_secs(10) },
        "Time from one echo to the next. Many hosts limit how many echoes they answer in a second.",
    )
    .default("200ms"),
    Field::new(
        "wait",
        Type::Duration { min: Duration::from_millis(10), max: Duration::from_secs(60) },
        "How long to wait for answers after the last echo; later ones count as lost.",
    )
    .default("1s"),
    Field::new(
        "size",
        Type::Integer { min: TOKEN_BYTES as i64, max: MAX_PAYLOAD_BYTES as i64 },
        "Payload of an echo, in bytes; the headers of IP and ICMP come on top.",
    )
    .default("56"),
    Field::new(
        "ttl",
        Type::Integer { min: 1, max: 255 },
        "Routers that an echo may pass. The system's default when absent.",
    ),
    Field::new("family", Type::Choice(FAMILIES), "Addresses to use where a name has several.").default("any"),
];

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "ping",
    schemes: &["ping", "icmp"],
    summary: "Ping: the host answers echoes of ICMP; loss, round trips, jitter, rolling averages",
    example: "\
name: Core switch
url: ping://192.0.2.1
kind: ping
count: 5
spacing: 100ms
",
    media: false,
    holds: false,
    fields: &FIELDS,
    build: |target| Ok(Box::new(Ping::new(target)?)),
    guess: |address| u8::from(KIND.schemes.contains(&address.scheme())),
};

/// A target of this kind, ready to be looked at.
struct Ping {
    address: Address,
    count: usize,
    spacing: Duration,
    wait: Duration,
    size: usize,
    ttl: Option<u8>,
    /// `Some(true)` for IPv4 alone, `Some(false)` for IPv6 alone.
    v4: Option<bool>,
    rolling: Mutex<Rolling>,
}

impl Ping {
    fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        let address = &target.address;
        let surplus = address.port().is_some() || !matches!(address.path_and_query().as_str(), "/" | "");
        if surplus || address.credentials().is_some() {
            let problem = Problem::new(None, "url", "an echo goes to a host: a ping has no port, path or user name");
            problems.push(problem.with_remedy(format!("as in {}://192.0.2.1", address.scheme())));
        }
        let small = |key: &str| options.integer(key).and_then(|n| usize::try_from(n).ok());
        let probe = Self {
            address: address.clone(),
            count: small("count").unwrap_or(1),
            spacing: options.duration("spacing").unwrap_or_default(),
            wait: options.duration("wait").unwrap_or_default(),
            size: small("size").unwrap_or(TOKEN_BYTES),
            ttl: options.integer("ttl").and_then(|ttl| u8::try_from(ttl).ok()),
            v4: options.text("family").filter(|word| word != "any").map(|word| word == "ipv4"),
            rolling: Mutex::default(),
        };
        if probe.sending() + MARGIN >= target.timeout {
            let message = format!(
                "{} echoes, one every {} ms, take longer than the timeout of the target",
                probe.count,
                probe.spacing.as_millis()
            );
            problems
                .push(Problem::new(None, "count", message).with_remedy("fewer, closer together, or a longer timeout"));
        }
        if problems.is_empty() { Ok(probe) } else { Err(problems) }
    }

    /// Time from the first echo to the last.
    fn sending(&self) -> Duration {
        self.spacing.saturating_mul(u32::try_from(self.count.saturating_sub(1)).unwrap_or(u32::MAX))
    }

    async fn look(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        let peer = self.peer(at).await?;
        reading.text(fact::PEER, peer.ip().to_string());
        let settings =
            Settings { payload_bytes: self.size, ttl: self.ttl, id: u16::from_be_bytes(random()?), token: random()? };
        let open = async { Pinger::open(peer, &settings).map_err(|refused| refusal(peer, &refused)) };
        let mut pinger = at.run(Phase::Connect, open).await?;
        let means = if pinger.means() == Means::Raw { "raw" } else { "unprivileged" };
        reading.text(fact::ICMP_SOCKET, means);
        let mut round = Round::default();
        let result = self.exchange(at, &mut pinger, &mut round).await;
        let mut rolling = self.rolling.lock().unwrap_or_else(PoisonError::into_inner);
        rolling.take(&round);
        report(&round, &rolling, reading);
        result?;
        match round.answered() {
            0 => Err(silence(&round, at.phases().get(Phase::FirstByte).unwrap_or_default())),
            _ => Ok(()),
        }
    }

    async fn peer(&self, at: &mut Attempt<'_>) -> Result<SocketAddr, Fault> {
        let list = resolve(at, self.address.host(), 0).await?;
        let fits = |address: &SocketAddr| self.v4.is_none_or(|v4| address.is_ipv4() == v4);
        list.into_iter().find(fits).ok_or_else(|| {
            let family = if self.v4 == Some(true) { "IPv4" } else { "IPv6" };
            let detail = format!("{} has no address of {family}", self.address.host());
            Fault::new(FaultKind::Unresolved, Phase::Resolve, detail)
        })
    }

    /// Sends the echoes and hears the answers: until the first in one phase, the rest in another.
    async fn exchange(&self, at: &mut Attempt<'_>, pinger: &mut Pinger, round: &mut Round) -> Result<(), Fault> {
        let began = Instant::now();
        let latest = at.deadline().checked_sub(MARGIN).unwrap_or(began);
        let end = latest.min(began + self.sending() + self.wait);
        let is_first = |round: &Round| round.answered() > 0;
        at.run(Phase::FirstByte, self.talk(pinger, round, (began, end), Phase::FirstByte, is_first)).await?;
        if round.answered() > 0 {
            at.run(Phase::Transfer, self.talk(pinger, round, (began, end), Phase::Transfer, |_| false)).await?;
        }
        Ok(())
    }

    /// Sends what is due and takes what comes, from `began` to `end` at the latest, until it is enough or all is settled.
    async fn talk(
        &self,
        pinger: &mut Pinger,
        round: &mut Round,
        (began, end): (Instant, Instant),
        phase: Phase,
        is_enough: impl Fn(&Round) -> bool,
    ) -> Result<(), Fault> {
        while !is_enough(round) {
            let is_all = round.sent() >= self.count;
            if is_all && round.is_settled() {
                break;
            }
            let due = began + self.spacing.saturating_mul(u32::try_from(round.sent()).unwrap_or(u32::MAX));
            tokio::select! {
                biased;
                heard = pinger.hear() => round.note_heard(&heard.map_err(|e| io_fault(phase, &e))?),
                () = sleep_until(due), if !is_all => {
                    let sequence = u16::try_from(round.sent()).unwrap_or(u16::MAX);
                    let at = Instant::now();
                    round.note_sent(at, pinger.send(sequence));
                }
                () = sleep_until(end) => break,
            }
        }
        Ok(())
    }
}

fn random<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|e| Fault::new(FaultKind::Internal, Phase::Connect, format!("no randomness: {e}")))?;
    Ok(bytes)
}

/// No socket was to be had. That is this machine's trouble: nothing is known about the target.
fn refusal(peer: SocketAddr, refused: &Refused) -> Fault {
    use std::io::ErrorKind::{PermissionDenied, Unsupported};
    let forbidden = [&refused.datagram, &refused.raw].iter().any(|e| e.kind() == PermissionDenied);
    if forbidden {
        let detail = format!(
            "this program may not ping (unprivileged: {}; raw: {}): set the system's net.ipv4.ping_group_range to \
             \"0 2147483647\", or give the program CAP_NET_RAW",
            refused.datagram, refused.raw
        );
        return Fault::new(FaultKind::ToolMissing, Phase::Connect, detail);
    }
    if refused.raw.kind() == Unsupported || refused.raw.raw_os_error() == Some(EAFNOSUPPORT) {
        let family = if peer.is_ipv4() { "IPv4" } else { "IPv6" };
        let detail = format!("this machine does not speak {family}: {}", refused.raw);
        return Fault::new(FaultKind::ToolMissing, Phase::Connect, detail);
    }
    Fault { kind: FaultKind::Internal, ..io_fault(Phase::Connect, &refused.raw) }
}

/// Address family not supported by protocol (Linux, asm-generic/errno.h).
const EAFNOSUPPORT: i32 = 97;

/// Why nothing was answered.
fn silence(round: &Round, waited: Duration) -> Fault {
    if let Some((trouble, from)) = &round.trouble {
        let from = from.map_or(String::new(), |from| format!(", says {from}"));
        let kind = match trouble {
            Trouble::BadHeader => FaultKind::Protocol,
            _ => FaultKind::Unreachable,
        };
        return Fault::new(kind, Phase::FirstByte, format!("{trouble}{from}"));
    }
    if let Some(error) = &round.unsent {
        return io_fault(Phase::FirstByte, error);
    }
    let waited = within(Duration::from_millis(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX)));
    let detail = match round.sent() {
        1 => format!("the echo was not answered {waited}"),
        sent => format!("none of {sent} echoes was answered {waited}"),
    };
    Fault::new(FaultKind::TimedOut, Phase::FirstByte, detail)
}

/// Writes what was seen.
fn report(round: &Round, rolling: &Rolling, reading: &mut Reading) {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    reading.int(fact::ECHOES_SENT, count(round.sent()));
    reading.int(fact::ECHOES_ANSWERED, count(round.answered()));
    reading.int(fact::ECHO_DUPLICATES, i64::from(round.duplicates));
    let times = round.times();
    let measures = [
        (fact::LOSS_RATIO, (round.sent() > 0).then(|| round.loss_ratio())),
        (fact::LOSS_ROLLING_RATIO, rolling.loss_ratio),
        (fact::RTT_MIN_MS, times.map(|t| t.min)),
        (fact::RTT_MS, times.map(|t| t.avg)),
        (fact::RTT_MAX_MS, times.map(|t| t.max)),
        (fact::RTT_MDEV_MS, times.map(|t| t.mdev)),
        (fact::JITTER_MS, times.and_then(|t| t.jitter)),
        (fact::RTT_ROLLING_MS, rolling.rtt_ms),
    ];
    for (key, value) in measures {
        if let Some(value) = value {
            reading.num(key, (value * 1e3).round() / 1e3);
        }
    }
    if let Some(ttl) = round.ttl {
        reading.int(fact::REPLY_TTL, i64::from(ttl));
    }
    if round.answered() == 0 {
        return;
    }
    if let Some((trouble, from)) = &round.trouble {
        let from = from.map_or(String::new(), |from| format!(", says {from}"));
        reading.find("echo_refused", Severity::Note, format!("for some of the echoes {trouble}{from}"));
    }
    if round.duplicates > 0 {
        let text = format!("{} echoes were answered more than once", round.duplicates);
        reading.find("echo_duplicates", Severity::Note, text);
    }
}

impl Probe for Ping {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.look(at, reading))
    }
}
