//! What a held stream tells when it changes.

use std::sync::Arc;

use net::clock::SystemClock;
use testkit::ts::{PER_DATAGRAM, Packet as TsPacket, Stream};

use super::super::analysis::Rules;
use super::*;

/// Another second, with H.265 and E-AC-3 under the same PIDs.
const OTHER: &[u8] = include_bytes!("../../../../wire/testdata/ts/ffmpeg_hevc_eac3.bin");

fn feed(packets: &[TsPacket], now: &mut Duration, take: &mut dyn FnMut(Piece<'_>, Duration)) {
    for datagram in packets.chunks(PER_DATAGRAM) {
        take(Piece { bytes: datagram.as_flattened(), datagram: true, lost: None }, *now);
        *now += Duration::from_millis(100);
    }
}

fn codecs(live: &Live) -> Vec<String> {
    live.reading(|known| known.tracks.iter().map(|track| track.codec.clone()).collect())
}

#[test]
fn tracks_that_change_are_described_anew_in_their_places() {
    let live = Live::new(Arc::new(SystemClock::new()), Duration::from_secs(5), Duration::from_secs(1));
    let mut now = live.now().0;
    let mut analysis = Analysis::new(Rules::default(), true);
    let mut stream = Stream::default();
    feed(&stream.seconds(2), &mut now, &mut |piece, now| analysis.take(piece, now, &mut |_, _| {}));
    assert!(analysis.is_known());
    let mut held = Held::new(&live, analysis, Duration::from_secs(5));
    assert_eq!(codecs(&live), ["h264", "aac"]);
    let mut follow = |packets: &[TsPacket]| {
        feed(packets, &mut now, &mut |piece, now| {
            held.take(piece, now);
            held.notice();
        });
    };
    follow(&stream.seconds(2));
    assert_eq!(codecs(&live), ["h264", "aac"], "nothing has changed");
    let (other, _) = OTHER.as_chunks::<PACKET_BYTES>();
    // The change is seen in its first tables; the parameters come with the key frame after that.
    follow(other);
    follow(other);
    assert_eq!(codecs(&live), ["hevc", "eac3"]);
    follow(&stream.seconds(3));
    assert_eq!(codecs(&live), ["h264", "aac"], "and back");
}

#[test]
fn the_first_packet_of_a_picture_shows_key_frames_and_parameters() {
    let packets = Stream::default().second();
    let starts = packets.iter().filter(|packet| parse_packet(packet).is_some_and(|p| p.pid == 0x100 && p.start));
    let seen: Vec<(bool, bool)> =
        starts.map(|packet| glance(Codec::H264, packet)).map(|glance| (glance.key, glance.set.is_some())).collect();
    assert_eq!(seen[0], (true, true));
    assert!(seen[1..].iter().all(|picture| *picture == (false, false)), "{seen:?}");
}
