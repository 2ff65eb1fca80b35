//! SRT at its border: what both halves of a handshake agree on or refuse, and what a receiver says when.

use std::time::Duration;

use wire::srt::{
    Body, Called, Caller, Control, Data, Ended, Features, Handshake, HandshakeKind, Heard, Hello, KeyMaterial, Keys,
    Link, Listener, NakRanges, Packet, Passphrase, Receiver, Refused, Security, Seq, Setup, Version, encode_ranges,
    flag,
};

const FIRST: u32 = 0x7fff_fffe;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn secret(text: &str) -> Option<Passphrase> {
    Some(Passphrase::new(text).expect("10 to 79 bytes"))
}

fn setup(passphrase: Option<Passphrase>, latency: u64) -> Setup {
    Setup {
        socket: 0x11,
        seed: FIRST,
        key: [3; 32],
        salt: [4; 16],
        passphrase,
        key_bytes: None,
        stream_id: String::new(),
        latency: ms(latency),
    }
}

/// A whole handshake: both links, or the words of the refusal.
fn shake(caller: Setup, listener: Setup) -> Result<(Link, Link), String> {
    let (mut caller, listener) = (Caller::new(caller), Listener::new(listener));
    loop {
        let (answer, theirs) = match listener.receive(b"somebody", 5, caller.words()) {
            Heard::Answer(words) => (words, None),
            Heard::Open(words, link) => (words, Some(*link)),
            Heard::Refuse(words, refusal) => {
                let told = caller.receive(&words).expect_err("it is refused").to_string();
                return Err(format!("{refusal}; {told}"));
            }
            Heard::Nothing => return Err("nothing".to_owned()),
        };
        match caller.receive(&answer).map_err(|refusal| refusal.to_string())? {
            Called::Open(link) => return Ok((*link, theirs.expect("both open at once"))),
            Called::Say => {}
            Called::Nothing => return Err("no answer".to_owned()),
        }
    }
}

#[test]
fn both_halves_agree() {
    for (key_bytes, listener_wish, bits) in [(None, None, 128), (None, Some(24), 192), (Some(32), Some(16), 256)] {
        let ours = Setup { key_bytes, stream_id: "live/ä".to_owned(), ..setup(secret("correct horse"), 80) };
        let theirs = Setup { key_bytes: listener_wish, socket: 0x22, ..setup(secret("correct horse"), 300) };
        let (ours, theirs) = shake(ours, theirs).expect("they agree");
        assert_eq!((ours.ours, ours.theirs, theirs.ours, theirs.theirs), (0x11, 0x22, 0x22, 0x11));
        assert_eq!((ours.security, theirs.security), (Security::Secured, Security::Secured));
        for link in [&ours, &theirs] {
            assert_eq!(link.keys.as_ref().map(Keys::bits), Some(bits));
            assert_eq!((link.first, link.version), (Seq::new(FIRST), Version(0x0001_0500)));
        }
        // The listener receives with its own latency; the caller with its own, for nobody asked for more.
        assert_eq!((ours.latency, theirs.latency, theirs.stream_id.as_str()), (ms(80), ms(300), "live/ä"));
    }
    let (ours, theirs) = shake(setup(None, 20), setup(None, 20)).expect("they agree");
    assert!(ours.keys.is_none() && theirs.keys.is_none() && ours.security == Security::Open);
}

#[test]
fn both_halves_refuse_in_the_same_words() {
    let with_id = |id: &str| Setup { stream_id: id.to_owned(), ..setup(None, 20) };
    for (caller, listener, words) in [
        (setup(secret("correct horse"), 20), setup(secret("another horse"), 20), "(code 10)"),
        (setup(None, 20), setup(secret("correct horse"), 20), "(code 11)"),
        (setup(secret("correct horse"), 20), setup(None, 20), "(code 11)"),
        (with_id("a"), with_id("b"), "access is forbidden (code 1403)"),
    ] {
        let told = shake(caller, listener).expect_err(words);
        assert!(told.contains(words) && !told.contains("horse"), "{told}");
    }
}

/// A conclusion with the right cookie, changed by `change`.
fn conclude(listener: &Listener, change: impl Fn(&mut Handshake)) -> Heard {
    let mut caller = Caller::new(setup(None, 20));
    let Heard::Answer(words) = listener.receive(b"somebody", 5, caller.words()) else { panic!("a cookie") };
    assert!(matches!(caller.receive(&words), Ok(Called::Say)));
    let Ok(Packet::Control(Control { body: Body::Handshake(body), .. })) = Packet::parse(caller.words()) else {
        panic!("a handshake")
    };
    let mut asked = Handshake::parse(body).expect("our own");
    change(&mut asked);
    listener.receive(b"somebody", 5, &asked.to_bytes(0, 0, false))
}

#[test]
fn callers_that_do_not_fit_are_refused_with_a_reason() {
    let listener = Listener::new(setup(None, 20));
    let features = |flags| Some(Features { version: Version(0x0001_0300), flags, receiver: ms(1), sender: ms(500) });
    let refused = |heard: Heard| match heard {
        Heard::Refuse(words, refusal) => {
            let Ok(Packet::Control(Control { body: Body::Handshake(body), .. })) = Packet::parse(&words) else {
                panic!("a handshake")
            };
            let kind = Handshake::parse(body).expect("our own").kind;
            (kind, refusal.to_string())
        }
        other => panic!("{other:?}"),
    };
    let (kind, words) = refused(conclude(&listener, |asked| asked.hello.features = features(flag::STREAM)));
    assert_eq!((kind, words.contains("octets")), (HandshakeKind::Refused(Refused::MESSAGE_API), true));
    let (kind, _) = refused(conclude(&listener, |asked| asked.hello.congestion = Some("file".to_owned())));
    assert_eq!(kind, HandshakeKind::Refused(Refused::CONGESTION));
    let (kind, words) = refused(conclude(&listener, |asked| asked.version = 4));
    assert_eq!((kind, words.contains("version 4")), (HandshakeKind::Refused(Refused::VERSION), true));
    let (kind, _) = refused(conclude(&listener, |asked| asked.hello = Hello::default()));
    assert_eq!(kind, HandshakeKind::Refused(Refused::ROGUE));
    let (_, words) = refused(conclude(&listener, |asked| asked.kind = HandshakeKind::WaveHand));
    assert!(words.contains("rendezvous"), "{words}");
    assert!(matches!(conclude(&listener, |asked| asked.cookie ^= 1), Heard::Nothing), "a forged cookie");
    let Heard::Open(_, link) = conclude(&listener, |asked| asked.hello.features = features(0)) else {
        panic!("it fits")
    };
    assert_eq!((link.latency, link.version.to_string().as_str()), (ms(500), "1.3.0"));
    // The cookie of the last minute counts, an older one does not, and nobody else's does.
    let mut caller = Caller::new(setup(None, 20));
    let Heard::Answer(words) = listener.receive(b"somebody", 5, caller.words()) else { panic!("a cookie") };
    assert!(matches!(caller.receive(&words), Ok(Called::Say)));
    assert!(matches!(listener.receive(b"somebody", 6, caller.words()), Heard::Open(..)));
    assert!(matches!(listener.receive(b"somebody", 7, caller.words()), Heard::Nothing));
    assert!(matches!(listener.receive(b"other", 5, caller.words()), Heard::Nothing));
}

/// A receiver and what it was handed, in words.
struct Rig {
    receiver: Receiver,
    got: Vec<String>,
}

impl Rig {
    fn new() -> Self {
        Self::with(None)
    }

    fn with(passphrase: Option<Passphrase>) -> Self {
        let (link, _) = shake(setup(passphrase.clone(), 100), setup(passphrase, 100)).expect("they agree");
        Self { receiver: Receiver::new(link, Duration::ZERO), got: Vec::new() }
    }

    fn hear(&mut self, datagram: &[u8], now: u64) -> Result<(), Ended> {
        let got = &mut self.got;
        self.receiver.receive(&mut datagram.to_vec(), ms(now), &mut |delivery| {
            got.push(format!("{}-{}", delivery.lost, String::from_utf8_lossy(delivery.bytes)));
        })
    }

    fn wait(&mut self, now: u64) -> Result<(), Ended> {
        let got = &mut self.got;
        self.receiver.timeout(ms(now), &mut |delivery| {
            got.push(format!("{}-{}", delivery.lost, String::from_utf8_lossy(delivery.bytes)));
        })
    }

    /// Packet number `at`, sent at `at` ms, arriving `now`.
    fn media(&mut self, at: u32, now: u64) {
        self.hear(&data(at, false), now).expect("it goes on");
    }

    fn control(&mut self, body: Body<'_>, now: u64) -> Result<(), Ended> {
        self.hear(&Control { time_us: 0, socket: 0x11, body }.to_bytes(), now)
    }

    /// What is said, in words.
    fn said(&mut self) -> Vec<String> {
        let packets = std::iter::from_fn(|| self.receiver.pop_outgoing());
        let words = packets.map(|packet| match Packet::parse(&packet).expect("our own") {
            Packet::Control(Control { body: Body::Ack { number, next, full }, .. }) => {
                let form = if full.is_some() { "ack" } else { "light ack" };
                format!("{form} {number} up to {}", next.after(Seq::new(FIRST)))
            }
            Packet::Control(Control { body: Body::Nak(ranges), .. }) => {
                let from = Seq::new(FIRST);
                let ranges = ranges.map(|(first, last)| format!("{}-{}", first.after(from), last.after(from)));
                format!("nak {}", ranges.collect::<Vec<_>>().join(","))
            }
            Packet::Control(Control { body: Body::Extension(kind, bytes), .. }) => {
                format!("extension {kind} {}", bytes.len())
            }
            Packet::Control(control) => format!("{:?}", control.body),
            Packet::Data(_) => panic!("a receiver sends no media"),
        });
        words.collect()
    }
}

fn data(at: u32, again: bool) -> Vec<u8> {
    let payload = format!("p{at}");
    let packet = Data {
        seq: Seq::new(FIRST).plus(at),
        boundary: 3,
        in_order: true,
        key: 0,
        again,
        message: at,
        time_us: at * 1000,
        socket: 0x11,
        payload: payload.as_bytes(),
    };
    packet.to_bytes()
}

#[test]
fn what_arrives_is_acknowledged_after_ten_milliseconds() {
    let mut rig = Rig::new();
    rig.media(0, 5);
    rig.media(1, 6);
    assert_eq!((rig.said(), rig.receiver.next_timeout()), (vec![], ms(15)));
    rig.wait(15).expect("it goes on");
    assert_eq!(rig.said(), ["ack 1 up to 2"]);
    rig.control(Body::AckAck(1), 40).expect("it goes on");
    assert_eq!(rig.receiver.stats(ms(40)).rtt, Some(ms(25)));
    rig.wait(50).expect("it goes on");
    assert_eq!(rig.said(), Vec::<String>::new(), "nothing new is not told twice");
    (2..66).for_each(|at| rig.media(at, 60));
    assert_eq!(rig.said(), ["light ack 0 up to 66"]);
    assert_eq!(rig.receiver.next_timeout(), ms(160), "less often once the round trip is known");
    assert_eq!(rig.got.len(), 66);
    assert!(rig.got.iter().enumerate().all(|(at, got)| *got == format!("0-p{at}")));
}

#[test]
fn what_is_missing_is_asked_for_until_it_is_too_late() {
    let mut rig = Rig::new();
    rig.media(0, 0);
    rig.media(3, 3);
    rig.media(5, 5);
    assert_eq!(rig.said(), ["nak 1-2", "nak 4-4"]);
    // Nothing was measured yet: (100 ms and four times 50 ms) / 2.
    rig.wait(155).expect("it goes on");
    assert_eq!(rig.said(), ["ack 1 up to 6"], "too late for all of it: the latency is 100 ms");
    assert_eq!(rig.got, ["0-p0", "2-p3", "1-p5"]);
    let stats = rig.receiver.stats(ms(155));
    assert_eq!((stats.packets, stats.lost, stats.dropped), (3, 3, 3));
    rig.hear(&data(2, true), 160).expect("it goes on");
    rig.hear(&data(3, true), 160).expect("it goes on");
    let stats = rig.receiver.stats(ms(160));
    assert_eq!((stats.belated, stats.duplicates, stats.retransmitted), (1, 1, 2));
}

#[test]
fn what_was_missing_and_comes_closes_the_hole() {
    let mut rig = Rig::new();
    [0, 2, 4].into_iter().for_each(|at| rig.media(at, at.into()));
    rig.hear(&data(3, true), 50).expect("it goes on");
    rig.wait(51).expect("it goes on");
    assert_eq!(rig.got, ["0-p0"]);
    rig.hear(&data(1, true), 52).expect("it goes on");
    assert_eq!(rig.got, ["0-p0", "0-p1", "0-p2", "0-p3", "0-p4"]);
    let stats = rig.receiver.stats(ms(52));
    assert_eq!((stats.packets, stats.lost, stats.dropped, stats.retransmitted), (5, 2, 0, 2));
    rig.control(Body::DropRequest { message: 0, first: Seq::new(FIRST).plus(5), last: Seq::new(FIRST).plus(6) }, 53)
        .expect("it goes on");
    rig.media(7, 54);
    assert_eq!(rig.got.last().map(String::as_str), Some("2-p7"));
}

#[test]
fn the_connection_lives_and_ends() {
    let mut rig = Rig::new();
    assert_eq!(rig.receiver.next_timeout(), ms(1000));
    rig.wait(1000).expect("it goes on");
    assert_eq!(rig.said(), ["Keepalive"]);
    rig.control(Body::Keepalive, 1500).expect("it goes on");
    assert_eq!(rig.wait(6499), Ok(()));
    assert_eq!(rig.wait(6500), Err(Ended::Silent(ms(5000))));
    assert_eq!(rig.control(Body::Shutdown, 6600), Err(Ended::Shutdown));
    assert_eq!(rig.control(Body::PeerError(4000), 6600), Err(Ended::PeerError(4000)));
    assert!(matches!(
        Packet::parse(&rig.receiver.goodbye(ms(1))),
        Ok(Packet::Control(Control { body: Body::Shutdown, .. }))
    ));
}

#[test]
fn strangers_are_counted_and_change_nothing() {
    let mut rig = Rig::new();
    let shutdown = Control { time_us: 0, socket: 0x12, body: Body::Shutdown }.to_bytes();
    for datagram in [&shutdown[..], b"short", &[0x80, 99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x11]] {
        assert_eq!(rig.hear(datagram, 1), Ok(()));
    }
    let list = encode_ranges([(Seq::new(1), Seq::new(5))]);
    rig.control(Body::Nak(NakRanges::new(&list)), 2).expect("we send nothing");
    rig.media(1 << 22, 3);
    assert_eq!((rig.receiver.stats(ms(3)).strangers, rig.got.len()), (4, 0));
}

#[test]
fn keys_change_and_unknown_keys_are_counted() {
    let mut rig = Rig::with(secret("correct horse"));
    let (mut keys, _) = Keys::offer(Passphrase::new("correct horse").expect("long"), &[3; 16], [4; 16]).expect("a key");
    let send = |rig: &mut Rig, keys: &Keys, which: u8, at: u32| {
        let mut payload = format!("p{at}").into_bytes();
        assert!(keys.apply(which, Seq::new(FIRST).plus(at), &mut payload));
        let mut packet = data(at, false);
        packet.truncate(16);
        packet[4] |= which << 3;
        packet.extend_from_slice(&payload);
        rig.hear(&packet, at.into()).expect("it goes on");
    };
    send(&mut rig, &keys, 1, 0);
    let odd = keys.change(2, &[8; 32], [9; 16]).expect("a key").to_bytes();
    send(&mut rig, &keys, 2, 1);
    assert_eq!(rig.receiver.stats(ms(1)).undecrypted, 1);
    rig.control(Body::Extension(3, &odd), 2).expect("it goes on");
    assert_eq!(rig.said(), [format!("extension 4 {}", odd.len())], "taken: sent back as it came");
    send(&mut rig, &keys, 2, 2);
    send(&mut rig, &keys, 1, 3);
    assert_eq!(rig.got, ["0-p0", "1-p2", "0-p3"]);
    let (_, wrong) = Keys::offer(Passphrase::new("another horse").expect("long"), &[3; 16], [4; 16]).expect("a key");
    rig.control(Body::Extension(3, &wrong.to_bytes()), 4).expect("it goes on");
    assert_eq!(rig.said(), ["extension 4 4"], "refused: a state in its place");
    assert!(KeyMaterial::parse(&odd).is_ok_and(|material| material.key_bytes() == 32));
}
