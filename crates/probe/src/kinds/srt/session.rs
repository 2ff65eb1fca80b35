//! An SRT connection: opened from either side, read, left. Owns the socket, the clock of the connection and the words for what
//! ends it; what is said is `wire::srt`'s.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Reading, fact};
use net::attempt::Attempt;
use net::datagram::Conversation;
use net::dial::{io_fault, resolve};
use tokio::time::Instant;
use wire::srt::{
    Called, Caller, Delivery, Ended, Heard, Link, Listener, REPEAT, Receiver, Refusal, Refused, Security, Setup, Stats,
    access_fields,
};

use super::options::{Mode, Plan};
use crate::kind::within;

/// Datagrams read in one go before others get their turn.
const BATCH: usize = 64;
/// Least time that one of several addresses gets before the next one is tried.
const LEAST_SHARE: Duration = Duration::from_millis(900);
/// How long the cookies of a listener count.
const COOKIE_PERIOD: Duration = Duration::from_secs(60);

/// Why a connection ended, in words that follow "before".
pub(super) struct End {
    pub(super) words: String,
    /// Nobody ended it: it went silent.
    pub(super) silent: bool,
}

/// An open connection; dropping it says goodbye.
pub(super) struct Session {
    socket: Conversation,
    receiver: Receiver,
    began: Instant,
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.socket.send(&self.receiver.goodbye(self.began.elapsed()));
    }
}

impl Session {
    /// Opens a connection as planned; what is learned on the way is noted.
    pub(super) async fn open(at: &mut Attempt<'_>, plan: &Plan, reading: &mut Reading) -> Result<Self, Fault> {
        let setup = setup(plan)?;
        let session = match plan.mode {
            Mode::Caller => call(at, plan, &setup).await?,
            Mode::Listener => listen(at, plan, setup).await?,
        };
        session.introduce(reading);
        Ok(session)
    }

    fn new(socket: Conversation, link: Link, began: Instant) -> Self {
        Self { socket, receiver: Receiver::new(link, began.elapsed()), began }
    }

    /// Notes who the peer is.
    fn introduce(&self, reading: &mut Reading) {
        let link = self.receiver.link();
        if let Some(peer) = self.socket.peer() {
            reading.text(fact::PEER, peer.to_string());
        }
        reading.text(fact::SRT_VERSION, link.version.to_string());
        reading.int(fact::SRT_LATENCY_MS, i64::try_from(link.latency.as_millis()).unwrap_or(i64::MAX));
        if let Ok(Some(fields)) = access_fields(&link.stream_id)
            && let Some((_, name)) = fields.iter().find(|(key, _)| *key == "r")
        {
            reading.text(fact::SRT_RESOURCE, *name);
        }
        let bits = link.keys.as_ref().filter(|_| link.security == Security::Secured).map_or(0, |keys| keys.bits());
        reading.int(fact::SRT_KEY_BITS, i64::try_from(bits).unwrap_or_default());
    }

    /// Counters and measures so far.
    pub(super) fn stats(&mut self) -> Stats {
        self.receiver.stats(self.began.elapsed())
    }

    /// Whether the peer let us in without agreeing on a key.
    pub(super) fn security(&self) -> Security {
        self.receiver.link().security
    }

    /// Notes counters and measures.
    pub(super) fn note(&mut self, reading: &mut Reading) {
        let elapsed_us = self.began.elapsed().as_micros();
        let stats = self.stats();
        let counts = [
            (fact::SRT_PACKETS, stats.packets),
            (fact::SRT_LOST, stats.lost),
            (fact::SRT_RETRANSMITTED, stats.retransmitted),
            (fact::SRT_DUPLICATES, stats.duplicates),
            (fact::SRT_BELATED, stats.belated),
            (fact::SRT_DROPPED, stats.dropped),
            (fact::SRT_UNDECRYPTED, stats.undecrypted),
        ];
        for (key, count) in counts {
            reading.int(key, whole(count));
        }
        let expected = stats.packets + stats.dropped;
        if expected > 0 {
            reading.num(fact::LOSS_RATIO, stats.dropped as f64 / expected as f64);
        }
        if let Some(rtt) = stats.rtt {
            reading.num(fact::RTT_MS, ms(rtt));
            reading.num(fact::RTT_VARIANCE_MS, ms(stats.rtt_variance));
        }
        if let Some(capacity) = stats.capacity_bytes_s {
            reading.int(fact::SRT_BANDWIDTH_BPS, whole(capacity.saturating_mul(8)));
        }
        // A look is over before there is a whole second to tell of.
        let rate = match stats.bytes_s {
            0 => u64::try_from(u128::from(stats.bytes) * 1_000_000 / elapsed_us.max(1)).unwrap_or(u64::MAX),
            rate => rate,
        };
        reading.int(fact::SRT_RECEIVE_BPS, whole(rate.saturating_mul(8)));
    }

    /// From now on lets packets gather between two readings, `longest` apart.
    pub(super) fn gather(&mut self, longest: Duration) -> Result<(), Fault> {
        self.receiver.is_late(longest);
        self.socket.gather(longest).map_err(|error| io_fault(Phase::Media, &error))
    }

    /// Time since the connection began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Sends what is to be sent, and waits until there is something to be taken.
    pub(super) async fn ready(&mut self) -> Result<(), Fault> {
        while let Some(packet) = self.receiver.pop_outgoing() {
            // A peer that is gone is told of where its packets are taken.
            let _ = self.socket.send(&packet);
        }
        let until = self.began + self.receiver.next_timeout();
        self.socket.readable(until).await.map(drop).map_err(|error| io_fault(Phase::Media, &error))
    }

    /// Takes what has come, hands over what is in order with the time of its arrival, and does what is due.
    pub(super) fn take(&mut self, each: &mut dyn FnMut(Delivery<'_>, Duration)) -> Result<(), End> {
        for _ in 0..BATCH {
            match self.socket.take() {
                Ok(Some((datagram, _, arrived))) => {
                    let now = arrived.saturating_duration_since(self.began);
                    let mut each = |delivery: Delivery<'_>| each(delivery, now);
                    self.receiver.receive(datagram, now, &mut each).map_err(|ended| end(&ended))?;
                }
                Ok(None) => break,
                Err(error) => {
                    return Err(End {
                        silent: false,
                        words: format!("the peer was gone: {}", io_fault(Phase::Media, &error).detail),
                    });
                }
            }
        }
        let now = self.began.elapsed();
        if now >= self.receiver.next_timeout() {
            let mut each = |delivery: Delivery<'_>| each(delivery, now);
            self.receiver.timeout(now, &mut each).map_err(|ended| end(&ended))?;
        }
        Ok(())
    }
}

fn end(ended: &Ended) -> End {
    let words = match ended {
        Ended::Shutdown => "the peer ended the connection".to_owned(),
        Ended::Silent(time) => format!("the peer fell silent for {} s", time.as_secs()),
        Ended::PeerError(code) => format!("the peer met an error (code {code})"),
    };
    End { words, silent: matches!(ended, Ended::Silent(_)) }
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Milliseconds with three digits behind the point.
fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

/// What we bring to a handshake, with fresh random parts.
fn setup(plan: &Plan) -> Result<Setup, Fault> {
    let mut random = [0; 56];
    getrandom::fill(&mut random)
        .map_err(|e| Fault::new(FaultKind::Internal, Phase::Handshake, format!("no randomness: {e}")))?;
    let (mut key, mut salt) = ([0; 32], [0; 16]);
    key.copy_from_slice(&random[..32]);
    salt.copy_from_slice(&random[32..48]);
    let number = |at: usize| u32::from_be_bytes([random[at], random[at + 1], random[at + 2], random[at + 3]]);
    Ok(Setup {
        // Sockets of libsrt have 30 bits, and none is 0.
        socket: number(48) >> 2 | 1,
        seed: number(52) >> 1,
        key,
        salt,
        passphrase: plan.passphrase.clone(),
        key_bytes: plan.key_bytes,
        stream_id: plan.stream_id.expose().to_owned(),
        latency: plan.latency,
    })
}

/// Calls the addresses of the host in turn: each but the last has its share of the time that is left.
async fn call(at: &mut Attempt<'_>, plan: &Plan, setup: &Setup) -> Result<Session, Fault> {
    let list = resolve(at, &plan.host, plan.port).await?;
    let (limit, deadline) = (at.limit(), at.deadline());
    let mut first: Option<Fault> = None;
    for (i, &address) in list.iter().enumerate() {
        let left = u32::try_from(list.len() - i).unwrap_or(u32::MAX);
        let remaining = deadline.saturating_duration_since(Instant::now());
        let share = if left == 1 { remaining } else { (remaining / left).max(LEAST_SHARE).min(remaining) };
        let mut caller = Caller::new(setup.clone());
        let calling = async {
            match tokio::time::timeout(share, call_one(address, plan, &mut caller)).await {
                Ok(called) => called,
                Err(_late) => Err(Fault::timed_out(Phase::Handshake, share)),
            }
        };
        let mut fault = match at.run(Phase::Handshake, calling).await {
            Ok(session) => return Ok(session),
            Err(fault) => fault,
        };
        if fault.kind == FaultKind::TimedOut {
            let time = within(if left == 1 { limit } else { share });
            fault.detail = if caller.is_concluding() {
                format!("{address} answered the first step of the handshake and not the second {time}")
            } else {
                format!("no answer to the SRT handshake from UDP {address} {time}")
            };
        }
        if first.as_ref().is_none_or(|f| f.kind == FaultKind::TimedOut && fault.kind != FaultKind::TimedOut) {
            first = Some(fault);
        }
    }
    Err(first.unwrap_or_else(|| Fault::new(FaultKind::Unresolved, Phase::Resolve, "the name has no address")))
}

async fn call_one(address: SocketAddr, plan: &Plan, caller: &mut Caller) -> Result<Session, Fault> {
    let mut socket = Conversation::call(address)?;
    let began = Instant::now();
    loop {
        socket.send(caller.words()).map_err(|error| gone(address, &error))?;
        let again = Instant::now() + REPEAT;
        while socket.readable(again).await.map_err(|error| gone(address, &error))? {
            let Some((datagram, ..)) = socket.take().map_err(|error| gone(address, &error))? else { continue };
            match caller.receive(datagram).map_err(|refusal| refused(&refusal, plan))? {
                Called::Nothing => {}
                Called::Say => break,
                Called::Open(link) => return Ok(Session::new(socket, *link, began)),
            }
        }
    }
}

/// A closed port says so; what else the system says is told as it is.
fn gone(address: SocketAddr, error: &std::io::Error) -> Fault {
    let fault = io_fault(Phase::Connect, error);
    match fault.kind {
        FaultKind::Refused => Fault { detail: format!("nothing listens on UDP {address}"), ..fault },
        _ => Fault { detail: format!("UDP {address} cannot be reached: {}", fault.detail), ..fault },
    }
}

/// Waits for a caller that may come in. Callers that may not are told so, and the last one is told of when nobody else comes.
async fn listen(at: &mut Attempt<'_>, plan: &Plan, setup: Setup) -> Result<Session, Fault> {
    let here = match plan.host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, plan.port),
        Err(_) => resolve(at, &plan.host, plan.port)
            .await?
            .first()
            .copied()
            .ok_or_else(|| Fault::new(FaultKind::Unresolved, Phase::Resolve, "the name has no address"))?,
    };
    let mut socket = at.run(Phase::Connect, async { Conversation::listen(here) }).await?;
    let (mut turned_away, deadline) = (None, at.deadline());
    let waited = at.run(Phase::Handshake, wait(&mut socket, &Listener::new(setup), deadline, &mut turned_away)).await;
    let (link, began) = match (waited, turned_away) {
        (Ok(opened), _) => opened,
        (Err(fault), Some((from, refusal))) if fault.kind == FaultKind::TimedOut => {
            let fault = refused(&refusal, plan);
            let detail =
                format!("the caller {from} was refused and no other came {}: {}", within(at.limit()), fault.detail);
            return Err(Fault { detail, ..fault });
        }
        (Err(fault), None) if fault.kind == FaultKind::TimedOut => {
            return Err(Fault { detail: format!("nobody called UDP {here} {}", within(at.limit())), ..fault });
        }
        (Err(fault), _) => return Err(fault),
    };
    Ok(Session::new(socket, link, began))
}

async fn wait(
    socket: &mut Conversation,
    listener: &Listener,
    deadline: Instant,
    turned_away: &mut Option<(SocketAddr, Refusal)>,
) -> Result<(Link, Instant), Fault> {
    let began = Instant::now();
    let trouble = |error: std::io::Error| io_fault(Phase::Handshake, &error);
    loop {
        socket.readable(deadline).await.map_err(trouble)?;
        let Some((datagram, from, _)) = socket.take().map_err(trouble)? else { continue };
        let minute = began.elapsed().as_secs() / COOKIE_PERIOD.as_secs();
        // Whoever cannot be answered asks again.
        match listener.receive(from.to_string().as_bytes(), minute, datagram) {
            Heard::Nothing => {}
            Heard::Answer(words) => _ = socket.send_to(&words, from),
            Heard::Refuse(words, refusal) => {
                let _ = socket.send_to(&words, from);
                *turned_away = Some((from, refusal));
            }
            Heard::Open(words, link) => {
                socket.choose(from).map_err(trouble)?;
                let _ = socket.send(&words);
                return Ok((*link, began));
            }
        }
    }
}

/// What a refusal means for a target.
fn refused(refusal: &Refusal, plan: &Plan) -> Fault {
    let (kind, detail) = match refusal {
        Refusal::Peer(refused) | Refusal::Us(refused, _) => {
            let mut detail = refusal.to_string();
            if *refused == Refused::UNSECURE && matches!(refusal, Refusal::Peer(_)) {
                detail = match plan.passphrase {
                    None => "the peer wants a passphrase, and none is configured (code 11)".to_owned(),
                    Some(_) => "the peer has no passphrase, and one is configured (code 11)".to_owned(),
                };
            }
            (kind_of(*refused), detail)
        }
        _ => (FaultKind::Protocol, refusal.to_string()),
    };
    Fault::new(kind, Phase::Handshake, detail)
}

/// The kind of fault that a reason is.
fn kind_of(refused: Refused) -> FaultKind {
    match refused.code() {
        10 | 11 | 17 | 1401 => FaultKind::AuthRequired,
        1403 | 1405 | 1409 | 1423 => FaultKind::Forbidden,
        1002 | 1003 | 1404 => FaultKind::NotFound,
        3 | 5 | 7 | 1402 | 1503 => FaultKind::Refused,
        _ => FaultKind::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_their_kinds() {
        for (code, expected) in [
            (10, FaultKind::AuthRequired),
            (11, FaultKind::AuthRequired),
            (1401, FaultKind::AuthRequired),
            (1403, FaultKind::Forbidden),
            (1404, FaultKind::NotFound),
            (1400, FaultKind::Protocol),
            (8, FaultKind::Protocol),
            (2042, FaultKind::Protocol),
        ] {
            assert_eq!(kind_of(Refused::new(code)), expected, "{code}");
        }
    }
}
