//! Packets: RTP and RTCP headers, loss and jitter, and how packets become access units when things go wrong.

use std::time::Duration;

use wire::rtp::{Header, Jitter, SeqTracker, is_rtcp, rtcp};
use wire::{h264, h265, jpeg, video};

fn check_header(packet: &[u8], expected: Result<(&str, &[u8]), &str>) {
    let seen = Header::parse(packet)
        .map(|(h, payload)| {
            let marker = if h.marker { " marker" } else { "" };
            (format!("{} {} {} {:#x}{marker}", h.payload_type, h.sequence, h.timestamp, h.ssrc), payload)
        })
        .map_err(|error| error.to_string());
    let expected = expected.map(|(text, payload)| (text.to_owned(), payload)).map_err(str::to_owned);
    assert_eq!(seen, expected);
}

#[test]
fn rtp_headers() {
    const PLAIN: &[u8] = b"\x80\xe0\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04";
    check_header(&[PLAIN, b"abc"].concat(), Ok(("96 2 3 0x4 marker", b"abc")));
    check_header(PLAIN, Ok(("96 2 3 0x4 marker", b"")));
    let with = |first: u8, rest: &[u8]| [&[first], &PLAIN[1..], rest].concat();
    check_header(&with(0x82, b"ssrcssrcabc"), Ok(("96 2 3 0x4 marker", b"abc")));
    check_header(&with(0x90, b"\xbe\xde\x00\x01extnabc"), Ok(("96 2 3 0x4 marker", b"abc")));
    check_header(&with(0xa0, b"abc\x00\x02"), Ok(("96 2 3 0x4 marker", b"abc")));
    check_header(&with(0xb1, b"ssrc\xbe\xde\x00\x00abc\x01"), Ok(("96 2 3 0x4 marker", b"abc")));
    check_header(&with(0xa0, b"abc\x09"), Err("padding longer than the payload at byte 16 of the packet"));
    check_header(&with(0xa0, b"abc\x00"), Err("padding longer than the payload at byte 16 of the packet"));
    check_header(&with(0xa0, b""), Err("padding longer than the payload at byte 12 of the packet"));
    check_header(&with(0x82, b"ssrc"), Err("contributing sources cut short at byte 16 of the packet"));
    check_header(&with(0x90, b"\xbe\xde\x00\x02extn"), Err("header extension cut short at byte 20 of the packet"));
    check_header(&with(0x90, b"\xbe"), Err("header extension cut short at byte 13 of the packet"));
    check_header(&with(0x40, b""), Err("version is not 2 at byte 0 of the packet"));
    check_header(b"\x80", Err("shorter than a header at byte 1 of the packet"));
}

#[test]
fn rtcp_compounds() {
    let show = |compound: &[u8]| {
        rtcp(compound).map(|p| p.map_or_else(|e| e.to_string(), |p| format!("{p:?}"))).collect::<Vec<_>>()
    };
    let report = b"\x80\xc8\x00\x06\x00\x00\x00\x01\x00\x00\x00\x02\x80\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05";
    let bye = b"\x81\xcb\x00\x02\x00\x00\x00\x01\x03end";
    assert_eq!(
        show(&[&report[..], b"\x81\xca\x00\x00", bye].concat()),
        [
            "SenderReport { ssrc: 1, ntp: 10737418240, rtp_timestamp: 3, packets: 4, octets: 5 }",
            "SourceDescription",
            "Bye { ssrcs: [1], reason: Some(\"end\") }",
        ]
    );
    assert_eq!(show(&report[..20]), ["report cut short at byte 0 of the packet"]);
    assert_eq!(show(b"\x82\xcb\x00\x01\x00\x00\x00\x01"), ["report shorter than its fields at byte 0 of the packet"]);
    assert_eq!(
        show(b"\x80\xc9\x00\x01\x00\x00\x00\x09\x00"),
        ["ReceiverReport { ssrc: 9 }", "shorter than a report header at byte 8 of the packet"]
    );
    assert!(is_rtcp(report) && !is_rtcp(b"\x80\x60") && !is_rtcp(b"\x80\xe0") && !is_rtcp(b"\xc8"));
}

/// "expected received lost late doubled restarts"
fn check_sequence(numbers: &[u16], expected: &str) {
    let mut t = SeqTracker::new();
    numbers.iter().for_each(|&number| t.push(number));
    let seen = [t.expected(), t.received(), t.lost(), t.reordered(), t.duplicates(), t.restarts()];
    assert_eq!(seen.map(|count| count.to_string()).join(" "), expected, "{numbers:?}");
}

#[test]
fn sequence_numbers() {
    check_sequence(&[], "0 0 0 0 0 0");
    check_sequence(&[7], "1 1 0 0 0 0");
    check_sequence(&[1, 2, 3], "3 3 0 0 0 0");
    check_sequence(&[65_534, 65_535, 0, 1], "4 4 0 0 0 0");
    check_sequence(&[1, 2, 5], "5 3 2 0 0 0");
    check_sequence(&[1, 3, 2], "3 3 0 1 0 0");
    check_sequence(&[1, 2, 2, 3, 1], "3 3 0 0 2 0");
    check_sequence(&[0, 65_535, 1], "3 3 0 1 0 0");
    // One stray number is no restart, two in a row are.
    check_sequence(&[1, 2, 30_000, 3], "3 3 0 0 0 0");
    check_sequence(&[1, 2, 30_000, 30_001, 30_002], "5 5 0 0 0 1");
    check_sequence(&[1, 3, 30_000, 30_001, 30_003], "7 5 2 0 0 1");
    let all: Vec<u16> = (0..=u16::MAX).chain(0..=u16::MAX).collect();
    check_sequence(&all, "131072 131072 0 0 0 0");
}

#[test]
fn jitter() {
    let mut even = Jitter::new(90_000);
    let mut uneven = Jitter::new(90_000);
    for n in 0..200u32 {
        even.push((u32::MAX - 50_000).wrapping_add(n * 3_600), Duration::from_millis(40 * u64::from(n)));
        uneven.push(n * 3_600, Duration::from_millis(40 * u64::from(n) + u64::from(n % 2) * 10));
    }
    assert!(even.ms() < 0.01, "{}", even.ms());
    assert!((uneven.ms() - 10.0).abs() < 0.1, "{}", uneven.ms());
    assert_eq!(Jitter::new(0).ms(), 0.0);
}

/// Packets as (number, time, marker, payload); units as "bytes-in-hex key damaged".
type Packet<'a> = (u16, u32, bool, &'a [u8]);

fn header((sequence, timestamp, marker, _): &Packet<'_>) -> Header {
    Header { marker: *marker, payload_type: 96, sequence: *sequence, timestamp: *timestamp, ssrc: 1 }
}

fn show(unit: &video::AccessUnit) -> String {
    let nals: Vec<String> = video::nals(&unit.annex_b).map(wire::text::to_hex).collect();
    let key = if unit.key_frame { " key" } else { "" };
    let damaged = if unit.damaged { " damaged" } else { "" };
    format!("{}{key}{damaged}", nals.join(","))
}

fn check_h264(packets: &[Packet<'_>], expected: &[&str]) {
    let (mut depacketizer, mut seen) = (h264::Depacketizer::new(), Vec::new());
    for packet in packets {
        if let Err(error) = depacketizer.push(&header(packet), packet.3) {
            seen.push(error.to_string());
        }
        seen.extend(std::iter::from_fn(|| depacketizer.pop()).map(|unit| show(&unit)));
    }
    assert_eq!(seen, expected);
}

fn check_h265(packets: &[Packet<'_>], expected: &[&str]) {
    let (mut depacketizer, mut seen) = (h265::Depacketizer::new(), Vec::new());
    for packet in packets {
        if let Err(error) = depacketizer.push(&header(packet), packet.3) {
            seen.push(error.to_string());
        }
        seen.extend(std::iter::from_fn(|| depacketizer.pop()).map(|unit| show(&unit)));
    }
    assert_eq!(seen, expected);
}

#[test]
fn h264_packets() {
    let (start, middle, end): (&[u8], &[u8], &[u8]) = (b"\x7c\x85ab", b"\x7c\x05cd", b"\x7c\x45ef");
    // Single units and an aggregate; the marker ends the unit.
    check_h264(&[(1, 9, false, b"\x67\x42"), (2, 9, true, b"\x65\x01")], &["6742,6501 key"]);
    check_h264(&[(1, 9, true, b"\x78\x00\x02\x67\x42\x00\x02\x68\xce")], &["6742,68ce"]);
    check_h264(
        &[(1, 9, true, b"\x78\x00\x02\x41\x42\x00\x09\x68")],
        &["aggregated NAL unit cut short in the packet with sequence number 1", "4142"],
    );
    // Without a marker a new time ends it.
    check_h264(
        &[(1, 9, false, b"\x41\x01"), (2, 10, false, b"\x41\x02"), (3, 11, false, b"\x41\x03")],
        &["4101", "4102"],
    );
    // Fragments, whole; with the middle, the beginning, the end missing.
    check_h264(&[(1, 9, false, start), (2, 9, false, middle), (3, 9, true, end)], &["65616263646566 key"]);
    check_h264(&[(1, 9, false, b"\x41\x01"), (2, 9, false, start), (4, 9, true, end)], &["4101 key damaged"]);
    check_h264(&[(2, 9, false, middle), (3, 9, true, end), (4, 10, true, b"\x41\x02")], &["4102"]);
    check_h264(
        &[(1, 9, false, b"\x41\x01"), (2, 9, false, start), (3, 10, true, b"\x41\x02")],
        &["4101 key damaged", "4102"],
    );
    // Both bits in one fragment, a unit that begins before the last one ended, a double, an empty packet.
    check_h264(&[(1, 9, true, b"\x7c\xc5ab")], &["656162 key"]);
    check_h264(&[(1, 9, false, start), (2, 9, true, b"\x41\x01")], &["4101 key damaged"]);
    check_h264(&[(1, 9, false, b"\x41\x01"), (1, 9, false, b"\x41\x01"), (2, 9, true, b"")], &["4101"]);
    // A gap between units spoils only the one behind it, for its beginning may be missing.
    check_h264(
        &[(1, 9, true, b"\x41\x01"), (5, 10, true, b"\x41\x02"), (6, 11, true, b"\x41\x03")],
        &["4101", "4102 damaged", "4103"],
    );
    // A start code where none belongs; what is not supported; the number may wrap.
    check_h264(&[(65_535, 9, false, b"\0\0\0\x01\x67\x42"), (0, 9, true, b"\0\0\x01\x65\x01")], &["6742,6501 key"]);
    check_h264(
        &[(1, 9, true, b"\x79\x00\x00")],
        &["packetisation that is not supported in the packet with sequence number 1"],
    );
    check_h264(&[(1, 9, true, b"\x7c")], &["fragment without a header in the packet with sequence number 1"]);
}

#[test]
fn h265_packets() {
    check_h265(&[(1, 9, false, b"\x42\x01\x05"), (2, 9, true, b"\x26\x01\x06")], &["420105,260106 key"]);
    check_h265(&[(1, 9, true, b"\x60\x01\x00\x03\x40\x01\x07\x00\x03\x02\x01\x08")], &["400107,020108"]);
    check_h265(
        &[(1, 9, false, b"\x62\x01\x93ab"), (2, 9, false, b"\x62\x01\x13cd"), (3, 9, true, b"\x62\x01\x53ef")],
        &["2601616263646566 key"],
    );
    check_h265(
        &[(1, 9, false, b"\x02\x01\x01"), (2, 9, false, b"\x62\x01\x93ab"), (4, 9, true, b"\x62\x01\x53ef")],
        &["020101 key damaged"],
    );
    check_h265(
        &[(1, 9, true, b"\x64\x01\x00")],
        &["packetisation that is not supported in the packet with sequence number 1"],
    );
    check_h265(&[(1, 9, true, b"\x26")], &["NAL unit without a whole header in the packet with sequence number 1"]);
}

/// A picture that never ends is given up at the limit, and the next one is whole again.
#[test]
fn an_endless_picture_is_given_up() {
    let mut depacketizer = h264::Depacketizer::new();
    let (payload, mut refused) = ([0x41; 60_000], 0);
    for sequence in 0..200 {
        let packet = (sequence, 9, false, &payload[..]);
        refused += usize::from(depacketizer.push(&header(&packet), packet.3).is_err());
        assert!(depacketizer.pop().is_none());
    }
    assert_eq!(refused, 1);
    for packet in [(200, 10, true, &b"\x41\x01"[..]), (201, 11, true, b"\x65\x01")] {
        depacketizer.push(&header(&packet), packet.3).expect("the packet is good");
    }
    let last = std::iter::from_fn(|| depacketizer.pop()).last().expect("the last picture is whole");
    assert_eq!(show(&last), "6501 key");
}

/// JPEG packets of a quality with the standard's tables: 16 by 8 pixels, in two parts.
#[test]
fn jpeg_packets() {
    let main = |offset: u8, kind: u8, quality: u8, width: u8| [0, 0, 0, offset, kind, quality, width, 1];
    let first = [&main(0, 1, 50, 2)[..], b"ab"].concat();
    let second = [&main(2, 1, 50, 2)[..], b"cd"].concat();
    let check = |packets: &[Packet<'_>], expected: &[&str]| {
        let (mut depacketizer, mut seen) = (jpeg::Depacketizer::new(), Vec::new());
        for packet in packets {
            if let Err(error) = depacketizer.push(&header(packet), packet.3) {
                seen.push(error.what.to_owned());
            }
            seen.extend(std::iter::from_fn(|| depacketizer.pop()).map(|frame| {
                let info = jpeg::inspect(&frame.data).expect("what is assembled is a picture");
                let scan = &frame.data[frame.data.len() - 6..info.length - 2];
                format!("{}x{} {}", info.width, info.height, String::from_utf8_lossy(scan))
            }));
        }
        assert_eq!(seen, expected);
    };
    check(&[(1, 9, false, &first), (2, 9, true, &second)], &["16x8 abcd"]);
    check(&[(1, 9, false, &first), (2, 10, true, &second)], &[]);
    check(&[(1, 9, true, &second)], &[]);
    let restart = [&main(0, 0x41, 50, 2)[..], &[0, 4, 0xff, 0xff], b"abcd"].concat();
    check(&[(1, 9, true, &restart)], &["16x8 abcd"]);
    check(&[(1, 9, true, &[&main(0, 2, 50, 2)[..], b"abcd"].concat())], &["JPEG type that is not supported"]);
    check(&[(1, 9, true, &[&main(0, 1, 0, 2)[..], b"abcd"].concat())], &["quality that is not defined"]);
    check(&[(1, 9, true, &[&main(0, 1, 50, 0)[..], b"abcd"].concat())], &["picture without a size"]);
    check(
        &[(1, 9, true, &[&main(0, 1, 200, 2)[..], &[0, 0, 0, 0], b"abcd"].concat())],
        &["quantisation tables were never sent"],
    );
    check(
        &[(1, 9, true, &[&main(0, 1, 200, 2)[..], &[0, 0, 0, 3], b"abcd"].concat())],
        &["quantisation tables of a wrong length"],
    );
    // Tables once sent hold for the next picture of that quality.
    let tables = [&main(0, 1, 200, 2)[..], &[0, 0, 0, 128], &[9; 128], b"abcd"].concat();
    let without = [&main(0, 1, 200, 2)[..], &[0, 0, 0, 0], b"abcd"].concat();
    check(&[(1, 9, true, &tables), (2, 10, true, &without)], &["16x8 abcd", "16x8 abcd"]);
    check(&[(1, 9, true, b"short")], &["JPEG header cut short"]);
}
