//! Every finding of a transport stream: packets that show it, and good neighbours that do not.

use model::reading::FactValue;
use testkit::ts::{PER_DATAGRAM, Packet, Stream, pcr_base, set_pcr, set_time};
use wire::ts::parse_packet;

use super::*;

const VIDEO: u16 = 0x100;
const SOUND: u16 = 0x101;

/// Looks at packets that arrive evenly, 69 in a second as they were recorded.
fn look_with(rules: Rules, packets: &[Packet]) -> (Analysis, Reading) {
    let mut analysis = Analysis::new(rules, true);
    for (n, datagram) in packets.chunks(PER_DATAGRAM).enumerate() {
        let now = Duration::from_micros(n as u64 * 1_000_000 * PER_DATAGRAM as u64 / 69);
        let piece = Piece { bytes: datagram.as_flattened(), datagram: true, lost: None };
        analysis.take(piece, now, &mut |_, _| {});
    }
    let mut reading = Reading::default();
    analysis.note(&mut reading);
    (analysis, reading)
}

fn look(packets: &[Packet]) -> (Analysis, Reading) {
    look_with(Rules::default(), packets)
}

fn names(reading: &Reading) -> Vec<&'static str> {
    reading.findings.iter().map(|finding| finding.name).collect()
}

fn good() -> Vec<Packet> {
    Stream::default().seconds(3)
}

fn pid(packet: &Packet) -> u16 {
    parse_packet(packet).map_or(0, |packet| packet.pid)
}

/// The places of the packets of a PID.
fn places(packets: &[Packet], wanted: u16) -> Vec<usize> {
    (0..packets.len()).filter(|at| pid(&packets[*at]) == wanted).collect()
}

/// Where the time stamps of a packet stand, when a PES begins in it.
fn time_places(packet: &Packet) -> Vec<usize> {
    let Some(read) = parse_packet(packet) else { return Vec::new() };
    let at = packet.len() - read.payload.len();
    if !read.start || !packet[at..].starts_with(&[0, 0, 1]) {
        return Vec::new();
    }
    let flags = packet[at + 7];
    [(0x80, at + 9), (0x40, at + 14)].into_iter().filter(|(bit, _)| flags & bit != 0).map(|(_, at)| at).collect()
}

#[test]
fn a_good_stream_has_facts_and_no_findings() {
    let (analysis, reading) = look(&good());
    assert_eq!(names(&reading), [""; 0], "{:?}", reading.findings);
    assert!(analysis.is_known() && analysis.is_proven());
    assert_eq!(reading.proven, Some(Depth::Media));
    let tracks: Vec<_> = reading.tracks.iter().map(|t| (t.codec.as_str(), t.width, t.fps, t.channels)).collect();
    assert_eq!(tracks, [("h264", Some(64), Some(10.0), None), ("aac", None, None, Some(2))]);
    let fact = |key: &str| reading.facts.get(key).cloned();
    assert_eq!(fact(fact::PACKET_BYTES), Some(FactValue::Int(188)));
    assert_eq!(fact(fact::MEASURED_FPS), Some(FactValue::Num(10.0)));
    assert_eq!(fact(fact::PCR_INTERVAL_MS), Some(FactValue::Num(100.0)));
    assert_eq!(fact(fact::KEYFRAME_INTERVAL_MS), Some(FactValue::Int(1_000)));
    assert_eq!(fact(fact::STREAM_NAME), Some(FactValue::Text("Service01".to_owned())));
    let Some(FactValue::Int(bitrate)) = fact(fact::TS_BITRATE_BPS) else { panic!("a bit rate") };
    // 69 packets of 188 bytes a second; the clock stands in single packets, so not to the bit.
    assert!((100_000..108_000).contains(&bitrate), "{bitrate}");
    let Some(FactValue::Text(pids)) = fact(fact::PID_BITRATES) else { panic!("a list") };
    assert!(pids.contains("256 h264") && pids.contains("257 aac") && pids.ends_with(" kbit/s"), "{pids}");
}

#[test]
fn packets_of_every_distance_are_read() {
    for (extra, distance) in [(4, 192), (16, 204), (20, 208)] {
        let bytes: Vec<u8> = good().iter().flat_map(|packet| [&packet[..], &vec![0xee; extra]].concat()).collect();
        let mut analysis = Analysis::new(Rules::default(), true);
        analysis.take(Piece { bytes: &bytes, datagram: false, lost: None }, Duration::ZERO, &mut |_, _| {});
        let mut reading = Reading::default();
        analysis.note(&mut reading);
        assert_eq!(reading.facts.get(fact::PACKET_BYTES), Some(&FactValue::Int(distance)));
        assert_eq!((names(&reading), reading.proven), (vec![], Some(Depth::Media)), "{distance}");
    }
}

/// A finding, and how packets come to show it.
type Damage = (&'static str, fn(&mut Vec<Packet>));

const DAMAGES: &[Damage] = &[
    ("continuity_errors", |packets| {
        let at = places(packets, VIDEO)[20];
        packets.remove(at);
    }),
    ("sync_byte_error", |packets| packets[30][0] = 0),
    ("sync_loss", |packets| {
        packets[30][0] = 0;
        packets[31][0] = 0;
    }),
    ("transport_errors", |packets| {
        let at = places(packets, VIDEO)[20];
        packets[at][1] |= 0x80;
    }),
    ("table_crc", |packets| {
        let at = places(packets, 0)[3];
        packets[at][10] ^= 1;
    }),
    ("pat_interval", |packets| {
        let away: Vec<usize> = places(packets, 0)[2..].iter().copied().take(20).collect();
        let mut at = 0;
        packets.retain(|_| {
            at += 1;
            !away.contains(&(at - 1))
        });
    }),
    ("pmt_interval", |packets| {
        let away: Vec<usize> = places(packets, 0x1000)[2..].iter().copied().take(20).collect();
        let mut at = 0;
        packets.retain(|_| {
            at += 1;
            !away.contains(&(at - 1))
        });
    }),
    ("pcr_interval", |packets| {
        // The second half of the stream takes its clock one picture later.
        for at in places(packets, VIDEO).into_iter().filter(|at| *at > 100) {
            if parse_packet(&packets[at]).is_some_and(|packet| packet.pcr.is_some()) {
                let late = pcr_base(&packets[at]) + 9_000;
                set_pcr(&mut packets[at], late);
            }
        }
    }),
    ("pcr_jump", |packets| {
        for at in places(packets, VIDEO).into_iter().filter(|at| *at > 100) {
            if parse_packet(&packets[at]).is_some_and(|packet| packet.pcr.is_some()) {
                let late = pcr_base(&packets[at]) + 5 * 90_000;
                set_pcr(&mut packets[at], late);
            }
        }
    }),
    ("pcr_missing", |packets| {
        for packet in packets.iter_mut().filter(|packet| parse_packet(packet).is_some_and(|p| p.pcr.is_some())) {
            packet[5] &= !0x10;
        }
    }),
    ("pts_jump", |packets| {
        for at in places(packets, SOUND).into_iter().filter(|at| *at > 100) {
            for place in time_places(&packets[at]) {
                set_time(&mut packets[at][place..place + 5], 3 * 90_000);
            }
        }
    }),
    ("pts_interval", |packets| {
        for at in places(packets, SOUND).into_iter().filter(|at| *at > 100) {
            for place in time_places(&packets[at]) {
                set_time(&mut packets[at][place..place + 5], 40_000);
            }
        }
    }),
    ("encryption_unproven", |packets| scramble(packets, VIDEO)),
    ("cat_missing", |packets| scramble(packets, VIDEO)),
    ("pid_unannounced", |packets| {
        let mut stranger = packets[places(packets, SOUND)[3]];
        (stranger[1], stranger[2]) = (0x03, 0x00);
        packets.insert(80, stranger);
    }),
    ("packet_syntax", |packets| {
        let mut odd = packets[places(packets, 0x11)[0]];
        (odd[3], odd[4]) = (odd[3] | 0x20, 200);
        packets.insert(80, odd);
    }),
    ("key_frame_missing", |packets| {
        // The first picture of the recording is the key frame: without its packets all others lean on nothing.
        let starts: Vec<usize> =
            places(packets, VIDEO).into_iter().filter(|at| !time_places(&packets[*at]).is_empty()).collect();
        let away: Vec<usize> = places(packets, VIDEO)
            .into_iter()
            .filter(|at| *at < starts[1] || (starts[10]..starts[11]).contains(at))
            .collect();
        let end = starts[20];
        let mut at = 0;
        packets.retain(|_| {
            at += 1;
            at <= end && !away.contains(&(at - 1))
        });
    }),
];

fn scramble(packets: &mut [Packet], wanted: u16) {
    for packet in packets.iter_mut().filter(|packet| pid(packet) == wanted) {
        packet[3] |= 0x80;
    }
}

#[test]
fn every_finding_shows_where_it_should_and_nowhere_else() {
    for (name, damage) in DAMAGES {
        let mut packets = good();
        damage(&mut packets);
        let (_, reading) = look(&packets);
        let found: Vec<_> = reading.findings.iter().filter(|finding| finding.name == *name).collect();
        assert_eq!(found.len(), 1, "{name}: {:?}", reading.findings);
        assert!(found[0].text.chars().any(|letter| letter.is_ascii_digit()) || *name == "cat_missing", "{found:?}");
    }
}

#[test]
fn sentences_have_the_actual_values() {
    let text = |name: &str| {
        let mut packets = good();
        let (_, damage) = DAMAGES.iter().find(|(known, _)| *known == name).expect("it is in the list");
        damage(&mut packets);
        let (_, reading) = look(&packets);
        reading.findings.iter().find(|finding| finding.name == name).map(|finding| finding.text.clone())
    };
    for (name, expected) in [
        ("continuity_errors", "the counters of packets do not go on once, at least 1 packets are missing (PID 256: 1)"),
        ("pcr_interval", "the program clock (PCR, PID 256) did not come for 200 ms, more than 100 ms"),
        ("pcr_jump", "the program clock (PCR, PID 256) jumped once, last by 5100 ms"),
        ("sync_loss", "sync was lost once, 376 bytes belong to no packet"),
    ] {
        assert_eq!(text(name).as_deref(), Some(expected));
    }
    assert!(text("pts_jump").is_some_and(|text| text.contains("of the audio (PID 257) jumped once, last by 3")));
}

#[test]
fn thresholds_are_the_users() {
    let mut packets = good();
    let at = places(&packets, SOUND)[8];
    packets.remove(at);
    let rules = Rules { continuity_errors: 1, ..Rules::default() };
    assert_eq!(names(&look_with(rules, &packets).1), [""; 0]);
    let strict = Rules { pcr_interval: Duration::from_millis(40), ..Rules::default() };
    assert_eq!(names(&look_with(strict, &good()).1), ["pcr_interval"]);
    let strict = Rules { pts_jump: Duration::from_millis(99), ..Rules::default() };
    assert!(names(&look_with(strict, &good()).1).contains(&"pts_jump"));
}

#[test]
fn what_is_missing_is_named() {
    let fault = |rules: Rules, packets: &[Packet]| look_with(rules, packets).0.fault("within 2 s").to_string();
    let keep = |wanted: &[u16]| {
        let packets = good();
        packets.into_iter().filter(|packet| wanted.contains(&pid(packet))).collect::<Vec<_>>()
    };
    let rules = Rules::default;
    assert_eq!(fault(rules(), &[]), "no media (media): not one byte came within 2 s");
    assert!(fault(rules(), &keep(&[VIDEO])).contains("packets and no program association table (PAT) came within 2 s"));
    assert!(fault(rules(), &keep(&[0, VIDEO])).contains("no map (PMT, PID 4096) of program 1 came within 2 s"));
    assert_eq!(
        fault(rules(), &keep(&[0, 0x1000, VIDEO])),
        "no media (media): aac is announced on PID 257 and not one packet of it came within 2 s"
    );
    let video = Rules { tracks: Selection::Video, ..rules() };
    assert!(look_with(video, &keep(&[0, 0x1000, VIDEO])).0.is_known());
    let other = Rules { program: Some(7), ..rules() };
    assert_eq!(fault(other, &good()), "not found (media): there is no program 7 in this stream, which has 1");
    let right = Rules { program: Some(1), ..rules() };
    assert!(look_with(right, &good()).0.is_known());
    let mut foreign = Analysis::new(rules(), true);
    let page = b"<html> what is this ".repeat(100);
    foreign.take(Piece { bytes: &page, datagram: false, lost: None }, Duration::ZERO, &mut |_, _| {});
    assert!(foreign.fault("").to_string().starts_with("protocol (media): a page instead of a transport stream"));
}
