//! What the monitor counts, over packets made for it.

use super::super::psi::tests::section;
use super::super::{PACKET_BYTES, SYNC};
use super::*;

const VIDEO: u16 = 0x100;
const MAP: u16 = 0x1000;

/// A packet with this head behind the PID, filled up with stuffing.
fn packet(pid: u16, start: bool, counter: u8, adaptation: &[u8], payload: &[u8]) -> [u8; PACKET_BYTES] {
    let mut bytes = [0xff; PACKET_BYTES];
    let [high, low] = pid.to_be_bytes();
    let control = if payload.is_empty() { 0x20 } else { 0x30 };
    let room = PACKET_BYTES - 5 - payload.len();
    bytes[..4].copy_from_slice(&[SYNC, high | if start { 0x40 } else { 0 }, low, control | counter & 0x0f]);
    bytes[4] = u8::try_from(room).expect("it fits a packet");
    bytes[5..5 + room].fill(0xff);
    if room > 0 {
        bytes[5] = 0;
        bytes[5..5 + adaptation.len()].copy_from_slice(adaptation);
    }
    bytes[5 + room..].copy_from_slice(payload);
    bytes
}

fn media(counter: u8) -> [u8; PACKET_BYTES] {
    packet(VIDEO, false, counter, &[], &[7; 100])
}

fn pes(counter: u8, ticks: u64, flags: u8) -> [u8; PACKET_BYTES] {
    let b = |shift: u32| (ticks >> shift) as u8;
    let time = [0x21 | b(29) & 0x0e, b(22), b(14) | 1, b(7), b(0) << 1 | 1];
    let payload = [&[0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5][..], &time, &[0; 40]].concat();
    packet(VIDEO, true, counter, &[flags], &payload)
}

fn table(pid: u16, counter: u8, table: u8, id: u16, body: &[u8]) -> [u8; PACKET_BYTES] {
    packet(pid, true, counter, &[], &[&[0][..], &section(table, id, body)].concat())
}

fn pat(counter: u8) -> [u8; PACKET_BYTES] {
    table(0, counter, 0, 1, &[0, 1, 0xf0, 0x00])
}

fn pmt(counter: u8) -> [u8; PACKET_BYTES] {
    table(MAP, counter, 2, 1, &[0xe1, 0x00, 0xf0, 0x00, 0x1b, 0xe1, 0x00, 0xf0, 0x00])
}

fn monitor() -> Monitor {
    Monitor::new(Duration::from_secs(1))
}

fn feed(monitor: &mut Monitor, packets: &[[u8; PACKET_BYTES]]) -> Vec<Option<u32>> {
    packets.iter().map(|packet| monitor.packet(packet, Duration::ZERO).map(|step| step.lost)).collect()
}

#[test]
fn counters_go_on_stand_still_or_tell_a_loss() {
    let empty = |counter| packet(VIDEO, false, counter, &[], &[]);
    let announced = |counter| packet(VIDEO, false, counter, &[0x80], &[7; 100]);
    for (packets, errors, lost) in [
        (vec![media(14), media(15), media(0), media(1)], 0, 0),
        (vec![media(1), media(1), media(2)], 0, 0),
        (vec![media(1), media(1), media(1), media(2)], 1, 0),
        (vec![media(1), empty(1), empty(1), media(2)], 0, 0),
        (vec![media(1), empty(2), media(3)], 1, 1),
        (vec![media(1), media(4), media(5)], 1, 2),
        (vec![media(1), media(0)], 1, 14),
        (vec![media(1), announced(9), media(10)], 0, 0),
    ] {
        let mut monitor = monitor();
        feed(&mut monitor, &packets);
        let seen = monitor.pid(VIDEO).expect("packets came");
        assert_eq!((seen.continuity_errors, seen.lost), (errors, lost), "{:?}", packets.iter().map(|p| p[3]));
        assert_eq!(monitor.totals().continuity_errors, errors);
    }
    let mut monitor = monitor();
    let null = |counter| packet(NULL_PID, false, counter, &[], &[0; 184][..100]);
    feed(&mut monitor, &[null(0), null(0), null(7)]);
    assert_eq!((monitor.totals().null, monitor.totals().continuity_errors), (3, 0));
}

#[test]
fn damaged_and_scrambled_packets_are_counted_and_not_read() {
    let mut damaged = media(2);
    damaged[1] |= 0x80;
    let mut scrambled = media(2);
    scrambled[3] |= 0x80;
    let mut odd = media(3);
    odd[4] = 200;
    let mut monitor = monitor();
    assert_eq!(feed(&mut monitor, &[media(1), damaged, scrambled, odd]), [Some(0), None, Some(0), None]);
    let totals = monitor.totals();
    assert_eq!((totals.damaged, totals.scrambled, totals.odd, totals.continuity_errors), (1, 1, 1, 0));
}

#[test]
fn tables_give_roles_and_intervals() {
    let mut monitor = monitor();
    let at = |ms| Duration::from_millis(ms);
    monitor.packet(&media(0), at(0));
    monitor.packet(&pat(0), at(0));
    monitor.packet(&pmt(0), at(1));
    monitor.packet(&pat(1), at(100));
    monitor.packet(&pmt(1), at(701));
    monitor.packet(&pat(2), at(400));
    monitor.packet(&packet(0x300, false, 0, &[], &[1; 9]), at(800));
    assert_eq!((monitor.pat_interval().count(), monitor.pat_interval().longest()), (3, Some(at(300))));
    let [program] = monitor.programs() else { panic!("one program") };
    assert_eq!((program.number, program.pid, program.interval.longest()), (1, MAP, Some(at(700))));
    assert_eq!(monitor.pid(VIDEO).map(|pid| pid.role), Some(Role::Stream));
    assert_eq!(monitor.unannounced().map(|pid| pid.pid).collect::<Vec<_>>(), [0x300]);
    assert_eq!(monitor.totals().table_errors, 0);
    let mut broken = pat(3);
    broken[PACKET_BYTES - 1] ^= 1;
    monitor.packet(&broken, at(900));
    assert_eq!((monitor.totals().table_errors, monitor.pat_interval().count()), (1, 3));
}

#[test]
fn tables_are_timed_by_the_program_clock_when_bytes_come_in_bursts() {
    let clock = |counter, ms: u64| {
        let base = ms * 90;
        let field =
            [0x10, (base >> 25) as u8, (base >> 17) as u8, (base >> 9) as u8, (base >> 1) as u8, (base << 7) as u8, 0];
        packet(VIDEO, false, counter, &field, &[1; 50])
    };
    let mut monitor = monitor();
    // All of it at once: a server sends what it has kept.
    feed(&mut monitor, &[pat(0), pmt(0), clock(0, 1000), pat(1), clock(1, 1040), clock(2, 1080), pat(2)]);
    assert_eq!(monitor.stream_time(), Some(Duration::from_millis(80)));
    assert_eq!(monitor.pat_interval().longest(), Some(Duration::ZERO));
    assert_eq!(monitor.packet_rate(), Some(3.0 / 0.08));
}

#[test]
fn counting_anew_keeps_what_is_known() {
    let clock = |counter: u8| {
        let base = u64::from(counter) * 40 * 90;
        let field = [0x10, (base >> 25) as u8, (base >> 17) as u8, (base >> 9) as u8, (base >> 1) as u8, 0, 0];
        packet(VIDEO, false, counter, &field, &[1; 50])
    };
    let mut monitor = monitor();
    feed(&mut monitor, &[pat(0), pmt(0), clock(0), clock(1), clock(3), pat(1)]);
    assert_eq!((monitor.totals().continuity_errors, monitor.totals().packets), (1, 6));
    monitor.renew();
    assert_eq!((monitor.totals(), monitor.stream_time()), (Totals::default(), Some(Duration::from_millis(120))));
    feed(&mut monitor, &[clock(4), pat(2), clock(5), clock(6)]);
    assert_eq!((monitor.totals().continuity_errors, monitor.totals().packets), (0, 4));
    assert_eq!((monitor.programs().len(), monitor.packet_rate()), (1, Some(5.0 / 0.12)));
    assert_eq!(monitor.pat_interval().longest(), Some(Duration::ZERO), "by the arrival, which stands still");
}

#[test]
fn time_stamps_that_jump() {
    const SECOND: u64 = 90_000;
    let times = |list: &[(u64, u8)]| {
        let mut monitor = monitor();
        feed(&mut monitor, &[pat(0), media(0), pmt(0)]);
        for (n, (ticks, flags)) in list.iter().enumerate() {
            let step = monitor.packet(&pes(n as u8 + 1, *ticks, *flags), Duration::ZERO).expect("a good packet");
            assert_eq!(step.time, Some(*ticks));
        }
        monitor.pid(VIDEO).expect("it came").times
    };
    let steady: Vec<(u64, u8)> = (0..5).map(|n| (n * 3_600, 0)).collect();
    let seen = times(&steady);
    assert_eq!((seen.count, seen.elapsed, seen.longest, seen.jumps), (5, 14_400, 3_600, 0));
    assert_eq!(times(&[(0, 0), (SECOND, 0), (2 * SECOND + 1, 0)]).jumps, 1);
    let back = times(&[(9 * SECOND, 0), (9 * SECOND + 3_600, 0), (SECOND, 0)]);
    assert_eq!((back.jumps, back.last_jump), (1, -(8 * 90_000 + 3_600)));
    assert_eq!(times(&[(0, 0), (9 * SECOND, 0x80)]).jumps, 0, "announced");
    assert_eq!(times(&[(WRAP - 1_800, 0), (1_800, 0)]).jumps, 0, "the clock began anew");
    assert_eq!(times(&[(7_200, 0), (3_600, 0), (10_800, 0)]).jumps, 0, "pictures out of order");
}

#[test]
fn services_have_names() {
    let body = [&[0, 1, 0xff, 0, 1, 0xfc, 0x80, 16, 0x48, 14, 1, 4][..], b"FFmp", &[7], b"Service"].concat();
    let mut monitor = monitor();
    feed(&mut monitor, &[table(SDT_PID, 0, 0x42, 1, &body)]);
    assert_eq!(monitor.services(), [(1, "Service".to_owned())]);
}
