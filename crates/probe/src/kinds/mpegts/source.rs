//! Where the bytes of a transport stream come from: datagrams, RTP in datagrams, the body of an HTTP reply. Owns the order of
//! RTP packets and what is noted of senders. Never looks into a transport packet.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use model::address::Address;
use model::conf::{Problem, Section};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Reading, Severity, fact};
use net::attempt::Attempt;
use net::dial::io_fault;
use net::http::{Body, HeaderName, Method};
use net::resolve::resolve;
use net::trust::TlsOptions;
use net::udp::{Interface, Listen, Receiver};
use tokio::time::Instant;
use wire::rtp::{self, Header, Jitter, Reorder, SeqTracker};
use wire::ts::SYNC;

use crate::kinds::http::fetch::{Ask, fetch, status_fault};

/// Redirects followed: relays and portals need one or two.
const MAX_REDIRECTS: usize = 3;
/// Most bytes of a body in one look. A live stream brings that in no window; a file on a quick server would bring more.
const MAX_BODY_BYTES: u64 = 24 * 1024 * 1024;
/// Payload type of transport streams (RFC 3551).
const PAYLOAD_TYPE: u8 = 33;
/// Clock of that payload type, Hz (RFC 2250, 2).
const CLOCK_HZ: u32 = 90_000;
/// Datagrams that are not RTP before the stream is called something else.
const MAX_STRANGE: u64 = 50;
/// Other senders that are told apart.
const MAX_SENDERS: usize = 4;

/// Where a target's bytes come from, as configured.
pub(super) struct Place {
    address: Address,
    tls: TlsOptions,
    source: Option<IpAddr>,
    interface: Option<Interface>,
}

impl Place {
    /// Reads the options; what is wrong with them goes to `problems`.
    pub(super) fn new(written: &Address, address: Address, options: &Section<'_>, problems: &mut Vec<Problem>) -> Self {
        let is_http = matches!(address.scheme(), "http" | "https");
        let interface = options.text("interface").filter(|name| !name.is_empty());
        let mut source = options.text("source").filter(|text| !text.is_empty());
        if is_http && (source.is_some() || interface.is_some()) {
            let words = "source and interface are for udp:// and rtp:// addresses";
            problems.push(Problem::new(options.place(), "source", words));
        }
        if !is_http {
            if address.port().is_none() {
                let example = "as in udp://239.1.2.3:5000";
                problems.push(Problem::new(None, "url", "the URL names no port").with_remedy(example));
            }
            // udp://source@group:port, as players write it.
            let named = written.credentials().map(|known| (known.user.clone(), known.password.is_empty()));
            match named {
                Some((_, false)) => {
                    let words = "a udp:// or rtp:// address has no password";
                    let remedy = "an IPv6 source goes into the key source";
                    problems.push(Problem::new(None, "url", words).with_remedy(remedy));
                }
                Some((user, true)) if !user.is_empty() => source = source.or(Some(user)),
                _ => {}
            }
        }
        let source = source.filter(|_| !is_http).and_then(|text| {
            let parsed = text.parse::<IpAddr>().ok();
            if parsed.is_none() {
                let words = format!("{text} is no IP address");
                problems.push(Problem::new(options.place_of("source"), "source", words));
            }
            parsed
        });
        let interface = interface.map(|name| match name.parse() {
            Ok(address) => Interface::Address(address),
            Err(_) => Interface::Name(name),
        });
        Self { address, tls: TlsOptions::read(options, problems), source, interface }
    }

    /// Whether bytes come as they are sent, unasked.
    pub(super) fn is_live(&self) -> bool {
        !matches!(self.address.scheme(), "http" | "https")
    }

    /// Begins to listen, or asks for the body.
    pub(super) async fn open(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<Source, Fault> {
        if !self.is_live() {
            return self.ask(at, reading).await;
        }
        let port = self.address.port().unwrap_or(0);
        // IPv6 groups stand in brackets, which `host` has taken away.
        let addresses = resolve(at, self.address.host(), port).await?;
        let address = addresses.first().copied().ok_or_else(|| {
            Fault::new(
                FaultKind::Unresolved,
                Phase::Resolve,
                format!("the name {} has no address", self.address.host()),
            )
        })?;
        if let Some(source) = self.source.filter(|source| source.is_ipv4() != address.is_ipv4()) {
            let words = format!("the source {source} and {} are addresses of different sorts", address.ip());
            return Err(Fault::new(FaultKind::Internal, Phase::Connect, words));
        }
        let listen = Listen { address, source: self.source, interface: self.interface.clone() };
        let receiver = at.run(Phase::Connect, async { Receiver::open(&listen) }).await?;
        let must_be_rtp = self.address.scheme() == "rtp";
        let datagrams = Datagrams { receiver, rtp: None, must_be_rtp, senders: Vec::new(), packets: 0, strange: 0 };
        Ok(Source::Datagrams(Box::new(datagrams)))
    }

    async fn ask(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<Source, Fault> {
        let ask = Ask {
            method: Method::GET,
            address: &self.address,
            headers: &[],
            body: None,
            tls: &self.tls,
            redirects: MAX_REDIRECTS,
            accepts: &|_| false,
        };
        let mut reply = fetch(at, &ask, reading).await?;
        if !(200..=299).contains(&reply.status) {
            return Err(status_fault(&reply, "200-299"));
        }
        let kind = reply.header(HeaderName::from_static("content-type")).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_page =
            kind.starts_with("text/") || matches!(kind.as_str(), "application/json" | "application/xhtml+xml");
        // Servers that know no type for streams call them plain text.
        if is_page && kind != "text/plain" {
            return Err(Fault::protocol(Phase::FirstByte, format!("the reply is {kind}, not a transport stream")));
        }
        reply.body.set_phase(Phase::Media);
        Ok(Source::Body(Box::new(reply.body)))
    }
}

/// What arrived at once.
#[derive(Clone, Copy)]
pub(crate) struct Piece<'b> {
    pub(crate) bytes: &'b [u8],
    /// It is a datagram, which packets usually do not cross.
    pub(crate) datagram: bool,
    /// Datagrams that are missing before it, where the transport counts them.
    pub(crate) lost: Option<u32>,
}

/// Bytes as they come.
pub(super) enum Source {
    Datagrams(Box<Datagrams>),
    Body(Box<Body>),
}

impl Source {
    /// From now on lets datagrams gather between two readings; they are told of as they arrived nevertheless.
    pub(super) fn gather(&mut self, longest: Duration) -> Result<(), Fault> {
        match self {
            Self::Datagrams(datagrams) => {
                datagrams.receiver.gather(longest).map_err(|error| io_fault(Phase::Media, &error))
            }
            Self::Body(_) => Ok(()),
        }
    }

    /// Waits for bytes and hands them over with the time of their arrival by `clock`; false when the stream has ended. May be
    /// dropped at any time without loss.
    pub(super) async fn receive(
        &mut self,
        clock: impl Fn() -> Duration,
        mut each: impl FnMut(Piece<'_>, Duration),
    ) -> Result<bool, Fault> {
        match self {
            Self::Datagrams(datagrams) => {
                datagrams.receive(clock, each).await?;
                Ok(true)
            }
            Self::Body(body) => {
                let Some(chunk) = body.next_chunk().await? else { return Ok(false) };
                each(Piece { bytes: &chunk, datagram: false, lost: None }, clock());
                Ok(true)
            }
        }
    }

    /// Begins to count anew.
    pub(super) fn renew(&mut self) {
        if let Self::Datagrams(datagrams) = self {
            datagrams.senders.clear();
            if let Some(rtp) = &mut datagrams.rtp {
                rtp.before = rtp.counts();
            }
        }
    }

    /// Whether one look may take no more.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Body(body) if body.received() > MAX_BODY_BYTES)
    }

    /// What is wrong with a body that is too large.
    pub(super) fn too_large() -> Fault {
        let words = format!("{} MiB came and no media of every selected track", MAX_BODY_BYTES >> 20);
        Fault::new(FaultKind::TooLarge, Phase::Media, words)
    }

    /// Notes the sender, the transport, and what RTP says of the way here.
    pub(super) fn note(&self, reading: &mut Reading) {
        match self {
            Self::Body(_) => reading.text(fact::TRANSPORT, "http"),
            Self::Datagrams(datagrams) => datagrams.note(reading),
        }
    }

    /// What was thrown away, for the sentence that explains silence; empty when nothing was.
    pub(super) fn thrown_away(&self) -> String {
        match self {
            Self::Datagrams(datagrams) if datagrams.receiver.strangers() > 0 => {
                format!(" ({} datagrams came from other sources)", datagrams.receiver.strangers())
            }
            _ => String::new(),
        }
    }
}

/// Datagrams of a stream, with or without RTP.
pub(super) struct Datagrams {
    receiver: Receiver,
    rtp: Option<Box<Rtp>>,
    must_be_rtp: bool,
    senders: Vec<SocketAddr>,
    packets: u64,
    strange: u64,
}

/// What is known of the RTP packets.
struct Rtp {
    reorder: Reorder,
    sequence: SeqTracker,
    jitter: Jitter,
    payload_type: u8,
    /// What is not counted any more.
    before: Counts,
}

/// Packets of RTP.
#[derive(Clone, Copy, Default)]
struct Counts {
    expected: u64,
    received: u64,
    lost: u64,
    reordered: u64,
}

impl Datagrams {
    async fn receive(
        &mut self,
        clock: impl Fn() -> Duration,
        mut each: impl FnMut(Piece<'_>, Duration),
    ) -> Result<(), Fault> {
        let (rtp, must, senders) = (&mut self.rtp, self.must_be_rtp, &mut self.senders);
        let (packets, strange) = (&mut self.packets, &mut self.strange);
        let mut foreign = None;
        // One moment by both clocks.
        let mut moment = None;
        self.receiver
            .receive(|bytes, from, arrived| {
                let (now, here) = *moment.get_or_insert_with(|| (clock(), Instant::now()));
                let now = now.saturating_sub(here.saturating_duration_since(arrived));
                if senders.last() != Some(&from) && senders.len() < MAX_SENDERS && !senders.contains(&from) {
                    senders.push(from);
                }
                *packets += 1;
                if rtp.is_none() && (must || is_rtp_stream(bytes)) && *packets - *strange == 1 {
                    *rtp = Some(Box::default());
                }
                let Some(rtp) = rtp else { return each(Piece { bytes, datagram: true, lost: None }, now) };
                if !rtp.take(bytes, now, &mut each) {
                    *strange += 1;
                    foreign.get_or_insert_with(|| bytes.iter().take(8).copied().collect::<Vec<u8>>());
                }
            })
            .await?;
        match foreign {
            Some(begin) if *strange == *packets && (*strange > MAX_STRANGE || begin.first() == Some(&SYNC)) => {
                Err(not_rtp(&begin))
            }
            _ => Ok(()),
        }
    }

    fn note(&self, reading: &mut Reading) {
        reading.text(fact::TRANSPORT, if self.rtp.is_some() { "rtp" } else { "udp" });
        if let Some(first) = self.senders.first() {
            reading.text(fact::PEER, first.to_string());
        }
        if self.senders.len() > 1 {
            let all: Vec<String> = self.senders.iter().map(ToString::to_string).collect();
            let text = format!("datagrams came from {} senders: {}", all.len(), all.join(", "));
            reading.find("several_senders", Severity::Warning, text);
        }
        if self.receiver.dropped() > 0 {
            let text = format!("{} datagrams were lost within this program", self.receiver.dropped());
            reading.find("receiver_too_slow", Severity::Note, text);
        }
        let Some(rtp) = &self.rtp else { return };
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let Counts { expected, received, lost, reordered } = rtp.counts().since(rtp.before);
        reading.int(fact::RTP_PACKETS, count(received));
        reading.int(fact::RTP_LOST, count(lost));
        reading.int(fact::RTP_REORDERED, count(reordered));
        reading.num(fact::JITTER_MS, (rtp.jitter.ms() * 100.0).round() / 100.0);
        reading.num(fact::LOSS_RATIO, lost as f64 / expected.max(1) as f64);
        if lost > 0 {
            reading.find("rtp_loss", Severity::Warning, format!("{lost} of {expected} RTP packets are missing"));
        }
        if reordered > 0 {
            let text = format!("{reordered} RTP packets came after a later one");
            reading.find("rtp_reordered", Severity::Note, text);
        }
        if rtp.payload_type != PAYLOAD_TYPE {
            let text = format!("the RTP payload type is {}, that of transport streams is 33", rtp.payload_type);
            reading.find("rtp_payload_type", Severity::Note, text);
        }
        if !self.must_be_rtp {
            reading.find("rtp_in_udp", Severity::Note, "the datagrams carry RTP: rtp:// would say so");
        }
    }
}

impl Default for Rtp {
    fn default() -> Self {
        let (reorder, sequence, jitter) = (Reorder::new(), SeqTracker::new(), Jitter::new(CLOCK_HZ));
        Self { reorder, sequence, jitter, payload_type: PAYLOAD_TYPE, before: Counts::default() }
    }
}

impl Counts {
    fn since(self, before: Self) -> Self {
        Self {
            expected: self.expected.saturating_sub(before.expected),
            received: self.received.saturating_sub(before.received),
            lost: self.lost.saturating_sub(before.lost),
            reordered: self.reordered.saturating_sub(before.reordered),
        }
    }
}

impl Rtp {
    fn counts(&self) -> Counts {
        let of = &self.sequence;
        Counts { expected: of.expected(), received: of.received(), lost: of.lost(), reordered: of.reordered() }
    }

    /// Takes a datagram and hands over what is in order now; false when it is no RTP.
    fn take(&mut self, bytes: &[u8], now: Duration, each: &mut impl FnMut(Piece<'_>, Duration)) -> bool {
        if rtp::is_rtcp(bytes) {
            return true;
        }
        let Ok((header, payload)) = Header::parse(bytes) else { return false };
        self.payload_type = header.payload_type;
        self.sequence.push(header.sequence);
        self.jitter.push(header.timestamp, now);
        self.reorder.push(header.sequence, payload, now, &mut |bytes, lost| {
            each(Piece { bytes, datagram: true, lost: Some(lost.into()) }, now);
        });
        true
    }
}

/// Whether a datagram carries RTP with a transport stream although nobody said so.
fn is_rtp_stream(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| *first != SYNC)
        && Header::parse(bytes)
            .is_ok_and(|(header, payload)| header.payload_type == PAYLOAD_TYPE && payload.first() == Some(&SYNC))
}

fn not_rtp(begin: &[u8]) -> Fault {
    if begin.first() == Some(&SYNC) {
        return Fault::protocol(
            Phase::Media,
            "the datagrams carry a transport stream without RTP: watch it with udp:// in place of rtp://",
        );
    }
    let octets: Vec<String> = begin.iter().map(|octet| format!("{octet:02x}")).collect();
    Fault::protocol(Phase::Media, format!("the datagrams are no RTP (the first one begins {})", octets.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16, payload: &[u8]) -> Vec<u8> {
        let [high, low] = sequence.to_be_bytes();
        [&[0x80, 33, high, low, 0, 0, 0, 0, 0, 0, 0, 1][..], payload].concat()
    }

    #[test]
    fn rtp_is_put_in_order_and_counted() {
        let (mut rtp, mut seen) = (Rtp::default(), Vec::new());
        for sequence in [1u16, 2, 4, 3, 5] {
            let [_, low] = sequence.to_be_bytes();
            assert!(rtp.take(&packet(sequence, &[low]), Duration::ZERO, &mut |piece: Piece<'_>, _| {
                seen.push(piece.bytes[0]);
            }));
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
        assert_eq!((rtp.sequence.lost(), rtp.sequence.reordered()), (0, 1));
        assert!(!rtp.take(&[SYNC; 100], Duration::ZERO, &mut |_: Piece<'_>, _| panic!("no RTP")));
        assert!(rtp.take(&[0x80, 200, 0, 1], Duration::ZERO, &mut |_: Piece<'_>, _| panic!("RTCP is passed over")));
    }

    #[test]
    fn rtp_shows_where_nobody_said_so() {
        assert!(is_rtp_stream(&packet(7, &[SYNC; 188])));
        assert!(!is_rtp_stream(&packet(7, &[9; 188])));
        assert!(!is_rtp_stream(&[SYNC; 1316]));
        assert!(not_rtp(&[SYNC; 8]).detail.contains("udp:// in place of rtp://"));
        assert!(not_rtp(b"GET / HT").detail.contains("begins 47 45 54 20") || SYNC == b'G');
    }
}
