//! One connection from "you are in" to its end: sends what the desk gives, hears confirmations, notices silence. Owns what is
//! under way; never connects again.

use std::collections::HashMap;
use std::time::Duration;

use bytes::BytesMut;
use model::time::Mono;
use tokio::time::Instant;
use wire::mqtt::{self, Bounds, Outcome, Packet, Publish, Qos};

use super::client::{AlertAsk, Context, Heard};
use super::desk::{Desk, Message, Sort};
use super::documents::Index;
use super::link::{Incoming, Link, OFFLINE, ONLINE, Outgoing, refusal};
use crate::channel::Failure;

/// Messages with a quality above 0 that are under way at once: enough to fill a connection, few enough to say again.
const WINDOW: usize = 200;
/// Bytes that wait for the socket before nothing more is made: several packets for every write, and little memory.
const FILL_BYTES: usize = 64 * 1024;
/// Messages made in one go before confirmations are read.
const FILL_MESSAGES: usize = 512;
/// Longest wait for a confirmation while the broker answers pings: it works, and not for us.
const CONFIRM_WITHIN: Duration = Duration::from_secs(30);
/// Longest wait for the index that the broker may keep; it comes at once or there is none.
const INDEX_WITHIN: Duration = Duration::from_secs(3);
/// Longest farewell.
const PART_WITHIN: Duration = Duration::from_secs(2);
/// Longest wait for the answer to a ping, beside half of the keep-alive.
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked what was not said for a while.
const REFRESH_EVERY: Duration = Duration::from_secs(5);
/// Number of the question for the index; messages are numbered from the next on.
const ASK_INDEX: u16 = 1;

/// How a connection ended.
pub(super) enum End {
    /// We are asked to stop; farewell was said.
    Stopped,
    /// The settings changed; farewell was said.
    Changed,
    /// It broke: why.
    Lost(String),
}

struct UnderWay {
    what: Sort,
    /// Kept for events alone, which are said again.
    payload: Vec<u8>,
    released: bool,
    since: Instant,
}

/// See the module.
pub(super) struct Session<'a> {
    desk: &'a mut Desk,
    incoming: Incoming,
    outgoing: Outgoing,
    bounds: Bounds,
    keep_alive: Duration,
    under_way: HashMap<u16, UnderWay>,
    next_id: u16,
    heard: Instant,
    spoke: Instant,
    pinged: Option<Instant>,
    asked_index: Instant,
    index: Option<Index>,
    holding: bool,
    /// Messages with quality 0 that wait for the socket.
    unconfirmed: u64,
    scratch: BytesMut,
}

impl<'a> Session<'a> {
    /// Begins: says that we are there, and asks for the index.
    pub(super) fn new(link: Link, desk: &'a mut Desk) -> Self {
        let now = Instant::now();
        desk.renew();
        let Link { incoming, outgoing, bounds } = link;
        let wanted = bounds.keep_alive_s.map(|s| Duration::from_secs(s.into())).filter(|d| !d.is_zero());
        let keep_alive = wanted.unwrap_or(desk.settings().keep_alive);
        let mut session = Self {
            desk,
            incoming,
            outgoing,
            bounds,
            keep_alive,
            under_way: HashMap::new(),
            next_id: ASK_INDEX,
            heard: now,
            spoke: now,
            pinged: None,
            asked_index: now,
            index: None,
            holding: true,
            unconfirmed: 0,
            scratch: BytesMut::new(),
        };
        session.say_availability(ONLINE);
        let (version, topic) = (session.desk.settings().version, session.desk.settings().below("index"));
        mqtt::subscribe(version, ASK_INDEX, &topic, &mut session.scratch);
        // What is retained comes before the answer to a ping that follows the question.
        mqtt::ping(&mut session.scratch);
        session.hand_on();
        session
    }

    /// Runs until the end.
    pub(super) async fn run(mut self, context: &mut Context) -> End {
        let mut status = tokio::time::interval(self.desk.settings().interval);
        let mut refresh = tokio::time::interval(REFRESH_EVERY);
        // The first tick of an interval is at once; the first status is due by the beginning.
        status.reset();
        status.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let end = loop {
            self.fill(context.mono());
            self.tell(context);
            let due = self.next_check();
            let busy = self.outgoing.is_busy();
            let room = self.has_room();
            let step = tokio::select! {
                read = self.incoming.read() => self.received(read, context),
                sent = self.outgoing.step(), if busy => sent.map(|()| self.wrote(context)),
                () = tokio::time::sleep_until(due) => self.check(),
                _ = status.tick() => { self.desk.status_is_due(); Ok(()) }
                _ = refresh.tick() => { self.desk.refresh(context.mono()); Ok(()) }
                heard = context.hear(self.desk, room) => match heard {
                    Heard::Noted => Ok(()),
                    Heard::Alert(ask) => { self.alert(ask); Ok(()) }
                    Heard::End(end) => break end,
                },
            };
            if let Err(why) = step {
                break End::Lost(self.desk.settings().wash(&why));
            }
        };
        self.leave(&end).await;
        self.give_back(&end);
        end
    }

    fn has_room(&self) -> bool {
        self.under_way.len() < WINDOW.min(self.bounds.receive_maximum.into()) && self.outgoing.waiting() < FILL_BYTES
    }

    /// Makes messages while there is room.
    fn fill(&mut self, now: Mono) {
        for _ in 0..FILL_MESSAGES {
            if !self.has_room() || self.outgoing.waiting() + self.scratch.len() >= FILL_BYTES {
                break;
            }
            let Some(message) = self.desk.next(now) else { break };
            self.publish(message);
        }
        self.hand_on();
    }

    fn hand_on(&mut self) {
        if !self.scratch.is_empty() {
            self.outgoing.put(&self.scratch);
            self.scratch.clear();
        }
    }

    fn publish(&mut self, message: Message) {
        let version = self.desk.settings().version;
        let qos = message.qos.min(self.bounds.maximum_qos);
        let id = if qos > Qos::AtMostOnce { self.free_id() } else { 0 };
        let retain = message.retain && self.bounds.retain;
        let (topic, payload) = (&message.topic, &message.payload);
        let before = self.scratch.len();
        let packet = Publish { topic, payload, qos, retain, again: false, id };
        let fits = mqtt::publish(version, &packet, &mut self.scratch);
        if !fits || self.scratch.len() - before > self.bounds.maximum_packet as usize {
            self.scratch.truncate(before);
            self.desk.missed(1);
            tracing::warn!(topic, bytes = payload.len(), "a message is larger than the broker takes and is not sent");
            if let Sort::Alert(reply) = message.what {
                let _ = reply.send(Err(failure(false, "the alert is larger than the broker takes")));
            }
            return;
        }
        if qos == Qos::AtMostOnce {
            self.unconfirmed += 1;
            if let Sort::Alert(reply) = message.what {
                // The broker takes nothing better: what was handed to it counts.
                let _ = reply.send(Ok(()));
            }
            return;
        }
        let payload = if matches!(message.what, Sort::Event) { message.payload } else { Vec::new() };
        self.under_way.insert(id, UnderWay { what: message.what, payload, released: false, since: Instant::now() });
    }

    fn free_id(&mut self) -> u16 {
        loop {
            self.next_id = self.next_id.checked_add(1).unwrap_or(ASK_INDEX + 1);
            if !self.under_way.contains_key(&self.next_id) {
                return self.next_id;
            }
        }
    }

    fn alert(&mut self, ask: AlertAsk) {
        let topic = ask.topic.unwrap_or_else(|| self.desk.settings().below("alerts"));
        // An alert that nobody confirms would be one that nobody knows of.
        let qos = self.desk.settings().qos.max(Qos::AtLeastOnce);
        self.publish(Message { topic, payload: ask.payload, qos, retain: false, what: Sort::Alert(ask.reply) });
        self.hand_on();
    }

    fn say_availability(&mut self, word: &[u8]) {
        let topic = self.desk.settings().availability_topic();
        let message = Message { topic, payload: word.to_vec(), qos: Qos::AtLeastOnce, retain: true, what: Sort::Again };
        self.publish(message);
    }

    /// When silence or lateness must be looked at next.
    fn next_check(&self) -> Instant {
        let pinged = self.pinged.map(|at| at + PONG_WITHIN.min(self.keep_alive / 2));
        let idle = self.heard.min(self.spoke) + self.keep_alive;
        let index = self.holding.then(|| self.asked_index + INDEX_WITHIN);
        let late = self.under_way.values().map(|u| u.since).min().map(|at| at + CONFIRM_WITHIN);
        let first = pinged.unwrap_or(idle);
        [index, late].into_iter().flatten().fold(first, Instant::min)
    }

    fn check(&mut self) -> Result<(), String> {
        let now = Instant::now();
        let patience = PONG_WITHIN.min(self.keep_alive / 2);
        if self.pinged.is_some_and(|at| now >= at + patience) {
            let silent = now.duration_since(self.heard).as_secs();
            return Err(format!("nothing was heard from the broker for {silent} s, and it answers no ping"));
        }
        if self.under_way.values().any(|u| now >= u.since + CONFIRM_WITHIN) {
            return Err(format!("the broker did not confirm a message within {} s", CONFIRM_WITHIN.as_secs()));
        }
        if self.holding && now >= self.asked_index + INDEX_WITHIN {
            self.index_is_known();
        }
        if self.pinged.is_none() && now >= self.heard.min(self.spoke) + self.keep_alive {
            mqtt::ping(&mut self.scratch);
            self.hand_on();
            (self.pinged, self.spoke) = (Some(now), now);
        }
        Ok(())
    }

    fn index_is_known(&mut self) {
        if std::mem::take(&mut self.holding) {
            let known = self.index.take().unwrap_or_default();
            self.desk.index(&known);
            let topic = self.desk.settings().below("index");
            mqtt::unsubscribe(self.desk.settings().version, ASK_INDEX, &topic, &mut self.scratch);
            self.hand_on();
        }
    }

    fn wrote(&mut self, context: &Context) {
        self.spoke = Instant::now();
        if !self.outgoing.is_busy() && self.unconfirmed > 0 {
            let sent = std::mem::take(&mut self.unconfirmed);
            context.sent(sent);
        }
    }

    fn received(&mut self, read: Result<bool, String>, context: &Context) -> Result<(), String> {
        let open = read?;
        while let Some(packet) = self.incoming.packet()? {
            (self.heard, self.pinged) = (Instant::now(), None);
            self.packet(packet, context)?;
        }
        for content in std::mem::take(&mut self.incoming.pings) {
            self.outgoing.pong(&content);
        }
        self.hand_on();
        if open { Ok(()) } else { Err("the broker closed the connection".to_owned()) }
    }

    fn packet(&mut self, packet: Packet, context: &Context) -> Result<(), String> {
        match packet {
            Packet::PubAck(outcome) => self.confirmed(outcome, context),
            Packet::PubRec(outcome) if outcome.code >= 0x80 => self.confirmed(outcome, context),
            Packet::PubRec(outcome) => {
                if let Some(known) = self.under_way.get_mut(&outcome.id) {
                    known.released = true;
                }
                mqtt::release(outcome.id, &mut self.scratch);
            }
            Packet::PubComp(outcome) => self.confirmed(Outcome { code: 0, ..outcome }, context),
            Packet::Publish { topic, retain: true, payload, .. } if topic == self.desk.settings().below("index") => {
                self.index = Some(Index::parse(&payload));
            }
            Packet::Publish { .. } | Packet::UnsubAck(_) | Packet::SubAck { .. } => {}
            Packet::PingResp => self.index_is_known(),
            Packet::ConnAck { .. } => return Err("the broker greets twice".to_owned()),
            Packet::Disconnect { code, words } => {
                let why = refusal(self.desk.settings(), false, code, words.as_deref());
                return Err(format!("the broker closed the connection: {why}"));
            }
        }
        Ok(())
    }

    fn confirmed(&mut self, outcome: Outcome, context: &Context) {
        let Some(known) = self.under_way.remove(&outcome.id) else { return };
        let refused = (outcome.code >= 0x80).then(|| refusal(self.desk.settings(), false, outcome.code, None));
        match &refused {
            None => context.sent(1),
            Some(why) => context.refused(why),
        }
        if let Sort::Alert(reply) = known.what {
            // Who asked may have gone.
            let _ = reply.send(match refused {
                None => Ok(()),
                Some(why) => Err(failure(false, &format!("the broker took no alert: {why}"))),
            });
        }
    }

    fn tell(&mut self, context: &Context) {
        context.waits(self.desk.waiting() + self.under_way.len(), self.desk.take_dropped());
    }

    /// Says farewell where there is somebody to hear it.
    async fn leave(&mut self, end: &End) {
        if matches!(end, End::Lost(_)) {
            return;
        }
        self.say_availability(OFFLINE);
        self.hand_on();
        // A broker that does not read publishes the will, which says the same.
        if !matches!(tokio::time::timeout(PART_WITHIN, self.outgoing.part()).await, Ok(Ok(()))) {
            tracing::debug!("the broker heard no farewell");
        }
    }

    /// What was under way goes back to who can say it again.
    fn give_back(&mut self, end: &End) {
        let why = match end {
            End::Lost(why) => why.as_str(),
            End::Stopped | End::Changed => "the connection was closed before the broker confirmed it",
        };
        let mut back: Vec<(u16, UnderWay)> = self.under_way.drain().collect();
        back.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
        for (_, known) in back {
            match known.what {
                // A message of quality 2 that the broker has recorded is its to hand on.
                Sort::Event if !known.released => self.desk.take_back(known.payload),
                Sort::Event | Sort::Again => {}
                Sort::Alert(reply) => drop(reply.send(Err(failure(true, why)))),
            }
        }
    }
}

/// Why an alert was not delivered.
pub(super) fn failure(passing: bool, words: &str) -> Failure {
    Failure { passing, retry_after_s: None, words: words.to_owned() }
}
