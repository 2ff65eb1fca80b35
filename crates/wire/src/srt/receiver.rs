//! An open connection that receives live media (draft, 4.4 to 4.10): acknowledges, reports what is missing, keeps alive, takes
//! new keys, hands packets over in order.
//!
//! Owns the timers and counters of the connection. Packets are handed over as soon as they are in order, not when they are due to
//! be shown: whoever watches a stream wants to know early. Only a hole is waited for, no longer than the latency.

use std::collections::VecDeque;
use std::time::Duration;

use super::measure::{Capacity, PlayClock, Rate, RoundTrip, Stats};
use super::order::{Each, Order, Placed};
use super::packet::HEADER_BYTES;
use super::{Ack, Body, Control, Data, KeyMaterial, Link, NakRanges, Packet, Seq, encode_ranges};

/// Time between acknowledgements (draft, 4.8.1).
const ACK_PERIOD: Duration = Duration::from_millis(10);
/// The same once the round trip is known and nothing is missing: each acknowledgement costs two wake-ups, its own and that of
/// the answer. A sender holds what is not acknowledged for a second at least, and short ones still come every 64 packets.
const QUIET_ACK_PERIOD: Duration = Duration::from_millis(100);
/// Packets after which a short acknowledgement is not put off (draft, 4.8.1).
const LIGHT_ACK_PACKETS: u32 = 64;
/// Least time between repeated loss reports (draft, 4.8.2).
const MIN_NAK_PERIOD: Duration = Duration::from_millis(20);
/// Time after which we say that we are still here (draft, 3.2.3).
const KEEPALIVE: Duration = Duration::from_secs(1);
/// Time without any packet after which the peer is gone (draft, 4.5; libsrt has the same).
const SILENCE: Duration = Duration::from_secs(5);
/// Packets that wait to be sent; more than this and we do not answer.
const MAX_OUTGOING: usize = 64;

/// Media of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// What came, decrypted.
    pub bytes: &'a [u8],
    /// Packets that are missing for good right before this one.
    pub lost: u32,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The peer said goodbye.
    Shutdown,
    /// Nothing at all came from the peer for so long.
    Silent(Duration),
    /// The peer met an error, with this code.
    PeerError(u32),
}

/// The receiving end of a connection.
pub struct Receiver {
    link: Link,
    order: Order,
    trips: RoundTrip,
    rate: Rate,
    capacity: Capacity,
    clock: PlayClock,
    stats: Stats,
    outgoing: VecDeque<Vec<u8>>,
    heard: Duration,
    said: Duration,
    acks: Acks,
    nak_due: Option<Duration>,
    /// What is to be added to the latency before a hole is given up.
    late: Duration,
}

/// What was acknowledged.
struct Acks {
    number: u32,
    next: Seq,
    due: Option<Duration>,
    unsaid: u32,
}

impl Receiver {
    /// The receiving end of a connection that opened now.
    #[must_use]
    pub fn new(link: Link, now: Duration) -> Self {
        Self {
            order: Order::new(link.first),
            acks: Acks { number: 0, next: link.first, due: None, unsaid: 0 },
            link,
            trips: RoundTrip::default(),
            rate: Rate::default(),
            capacity: Capacity::default(),
            clock: PlayClock::default(),
            stats: Stats::default(),
            outgoing: VecDeque::new(),
            heard: now,
            said: now,
            nak_due: None,
            late: Duration::ZERO,
        }
    }

    /// From now on packets are taken so much later than they come at most. What is missing is asked for later by that, too, and
    /// waited for longer; senders keep packets for a second at least.
    pub fn is_late(&mut self, by: Duration) {
        self.late = by;
    }

    /// What the handshake agreed on.
    #[must_use]
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// Counters and measures.
    #[must_use]
    pub fn stats(&mut self, now: Duration) -> Stats {
        let (bytes_s, packets_s) = self.rate.get(now);
        Stats {
            lost: self.order.lost,
            dropped: self.order.dropped,
            rtt: self.trips.measured().map(|(rtt, _)| rtt),
            rtt_variance: self.trips.get().1,
            bytes_s,
            packets_s,
            capacity_bytes_s: self.capacity.get(),
            ..self.stats
        }
    }

    /// The next packet to be sent.
    pub fn pop_outgoing(&mut self) -> Option<Vec<u8>> {
        self.outgoing.pop_front()
    }

    /// The packet that says goodbye.
    #[must_use]
    pub fn goodbye(&self, now: Duration) -> Vec<u8> {
        self.control(Body::Shutdown, now)
    }

    /// Takes a datagram, which may be decrypted in place, and hands over what is in order.
    ///
    /// # Errors
    /// Why the connection ended.
    pub fn receive(&mut self, datagram: &mut [u8], now: Duration, each: Each<'_>) -> Result<(), Ended> {
        match Packet::parse(datagram) {
            Ok(Packet::Data(Data { seq, key, again, time_us, socket, .. })) if socket == self.link.ours => {
                self.heard = now;
                let payload = &mut datagram[HEADER_BYTES..];
                self.media((seq, key, again, time_us), payload, now, each);
                Ok(())
            }
            Ok(Packet::Control(control)) if control.socket == self.link.ours => {
                self.heard = now;
                self.control_packet(control.body, now, each)
            }
            // A peer that did not hear our last word asks again, as nobody yet.
            Ok(Packet::Control(Control { socket: 0, body: Body::Handshake(_), .. }))
                if !self.link.last_word.is_empty() =>
            {
                let words = self.link.last_word.clone();
                self.push(words, now);
                Ok(())
            }
            _ => {
                self.stats.strangers += 1;
                Ok(())
            }
        }
    }

    fn media(
        &mut self,
        (seq, key, again, time_us): (Seq, u8, bool, u32),
        payload: &mut [u8],
        now: Duration,
        each: Each<'_>,
    ) {
        self.stats.retransmitted += u64::from(again);
        self.capacity.push(seq.value(), payload.len(), again, now);
        let due = self.clock.due(time_us, again, now);
        let readable = key == 0 || self.link.keys.as_ref().is_some_and(|keys| keys.apply(key, seq, payload));
        let placed = self.order.place(seq, due, readable.then_some(&*payload), each);
        match placed {
            Placed::Twice => self.stats.duplicates += 1,
            Placed::Late => self.stats.belated += 1,
            Placed::Far => self.stats.strangers += 1,
            Placed::Next | Placed::After(..) | Placed::Found => {
                self.stats.packets += 1;
                self.stats.bytes += payload.len() as u64;
                self.stats.undecrypted += u64::from(!readable);
                self.rate.push(payload.len(), now);
                let is_quiet = self.trips.measured().is_some() && self.order.is_whole();
                self.acks.due.get_or_insert(now + if is_quiet { QUIET_ACK_PERIOD } else { ACK_PERIOD });
                self.acks.unsaid += 1;
                if self.acks.unsaid >= LIGHT_ACK_PACKETS {
                    self.acks.unsaid = 0;
                    let body = Body::Ack { number: 0, next: self.order.next(), full: None };
                    self.push_control(body, now);
                }
            }
        }
        if let Placed::After(first, last) = placed {
            let list = encode_ranges([(first, last)]);
            self.push_control(Body::Nak(NakRanges::new(&list)), now);
            self.nak_due = Some(now + self.nak_period());
        }
    }

    fn control_packet(&mut self, body: Body<'_>, now: Duration, each: Each<'_>) -> Result<(), Ended> {
        match body {
            Body::AckAck(number) => _ = self.trips.answered(number, now),
            Body::DropRequest { first, last, .. } => self.order.drop_range(first, last, each),
            Body::Shutdown => return Err(Ended::Shutdown),
            Body::PeerError(code) => return Err(Ended::PeerError(code)),
            Body::Extension(3, bytes) => self.new_keys(bytes, now),
            Body::Handshake(_) if !self.link.last_word.is_empty() => {
                let words = self.link.last_word.clone();
                self.push(words, now);
            }
            // We send nothing that could be acknowledged or slowed down.
            _ => {}
        }
        Ok(())
    }

    /// Takes new keys and says whether they could be opened.
    fn new_keys(&mut self, bytes: &[u8], now: Duration) {
        /// States of key exchange: no passphrase, and a wrong one.
        const NO_SECRET: [u8; 4] = [0, 0, 0, 3];
        const BAD_SECRET: [u8; 4] = [0, 0, 0, 4];
        let answer = match &mut self.link.keys {
            None => &NO_SECRET[..],
            Some(keys) => {
                let taken = KeyMaterial::parse(bytes).is_ok_and(|material| keys.take(&material));
                if taken { bytes } else { &BAD_SECRET[..] }
            }
        };
        let packet = self.control(Body::Extension(4, answer), now);
        self.push(packet, now);
    }

    /// When [`Self::timeout`] is to be called next.
    #[must_use]
    pub fn next_timeout(&self) -> Duration {
        let mut next = (self.said + KEEPALIVE).min(self.heard + SILENCE);
        for due in [self.acks.due, self.nak_due, self.hole_due()].into_iter().flatten() {
            next = next.min(due);
        }
        next
    }

    fn hole_due(&self) -> Option<Duration> {
        if self.order.is_whole() { None } else { self.order.due().map(|due| due + self.link.latency + self.late) }
    }

    /// Does what is due.
    ///
    /// # Errors
    /// When the peer has been silent for too long.
    pub fn timeout(&mut self, now: Duration, each: Each<'_>) -> Result<(), Ended> {
        if now >= self.heard + SILENCE {
            return Err(Ended::Silent(SILENCE));
        }
        if self.hole_due().is_some_and(|due| due <= now) {
            self.order.give_up(now.saturating_sub(self.link.latency + self.late), each);
        }
        if self.acks.due.is_some_and(|due| due <= now) {
            self.acks.due = None;
            self.acknowledge(now);
        }
        if self.nak_due.is_some_and(|due| due <= now) {
            self.nak_due = None;
            if !self.order.is_whole() {
                let list = encode_ranges(self.order.ranges());
                self.push_control(Body::Nak(NakRanges::new(&list)), now);
                self.nak_due = Some(now + self.nak_period());
            }
        }
        if now >= self.said + KEEPALIVE {
            self.push_control(Body::Keepalive, now);
        }
        Ok(())
    }

    fn acknowledge(&mut self, now: Duration) {
        if self.order.next() == self.acks.next {
            return;
        }
        self.acks.number = self.acks.number.wrapping_add(1).max(1);
        (self.acks.next, self.acks.unsaid) = (self.order.next(), 0);
        let (rtt, variance) = self.trips.get();
        let (bytes_s, packets_s) = self.rate.get(now);
        let capacity = self.capacity.get().zip(self.stats.bytes.checked_div(self.stats.packets));
        let capacity_s = capacity.and_then(|(bytes, size)| bytes.checked_div(size)).unwrap_or_default();
        let full = Ack {
            rtt_us: small(rtt.as_micros()),
            variance_us: small(variance.as_micros()),
            room: small(self.order.room()),
            packets_s: small(packets_s),
            capacity_s: small(capacity_s),
            bytes_s: small(bytes_s),
        };
        self.trips.sent(self.acks.number, now);
        self.push_control(Body::Ack { number: self.acks.number, next: self.acks.next, full: Some(full) }, now);
    }

    fn nak_period(&self) -> Duration {
        let (rtt, variance) = self.trips.get();
        ((rtt + variance * 4) / 2).max(MIN_NAK_PERIOD)
    }

    fn control(&self, body: Body<'_>, now: Duration) -> Vec<u8> {
        // The clock of packets wraps after 71 minutes.
        let time_us = u32::try_from(now.as_micros() & u128::from(u32::MAX)).unwrap_or_default();
        Control { time_us, socket: self.link.theirs, body }.to_bytes()
    }

    fn push_control(&mut self, body: Body<'_>, now: Duration) {
        let packet = self.control(body, now);
        self.push(packet, now);
    }

    fn push(&mut self, packet: Vec<u8>, now: Duration) {
        self.said = now;
        if self.outgoing.len() < MAX_OUTGOING {
            self.outgoing.push_back(packet);
        }
    }
}

fn small(value: impl TryInto<u32>) -> u32 {
    value.try_into().unwrap_or(u32::MAX)
}
