//! What must hold for any playlist, transport stream or fragmented MP4: limits, and that cuts do not matter.
//!
//! Besides that: what is counted is there, and what is announced as a range can be asked for.

use std::time::Duration;

use super::pieces;
use crate::m3u8::{self, Context, Playlist};
use crate::mp4::{self, Fragments, Init};
use crate::mpd::{self, Span};
use crate::rtp::Reorder;
use crate::ts::{self, Framer, Inspector, Monitor};
use crate::{ac3, blocks, elementary, mpeg2};

/// Playlists of either sort: indices lead somewhere, numbers are numbers, limits hold.
pub fn m3u8_playlists(bytes: &[u8]) {
    let context = Context {
        imported: [("a".to_owned(), "{$a}{$a}".to_owned())].into(),
        query: vec![("q".to_owned(), "x".repeat(100))],
    };
    let headed = [b"#EXTM3U\n", bytes].concat();
    for text in [bytes, &headed] {
        match m3u8::parse(text, &context) {
            Ok(Playlist::Media(list)) => {
                assert!(list.segments.len() <= m3u8::MAX_SEGMENTS);
                assert!(list.duration_s().is_finite() && list.duration_s() >= 0.0);
                for segment in &list.segments {
                    assert!(segment.key.is_none_or(|key| key < list.keys.len()));
                    assert!(segment.map.is_none_or(|map| map < list.maps.len()));
                }
                assert!(list.maps.iter().all(|map| map.key.is_none_or(|key| key < list.keys.len())));
                assert_eq!(list.last_number().is_some(), !list.segments.is_empty());
            }
            Ok(Playlist::Multivariant(list)) => {
                assert!(list.variants.len() <= m3u8::MAX_VARIANTS && list.renditions.len() <= m3u8::MAX_RENDITIONS);
                let _ = list.missing_groups();
            }
            Err(_) => {}
        }
    }
    let _ = m3u8::parse_date(&crate::text::lossless(bytes));
}

/// Manifests: limits hold, times are numbers, and whatever is called the newest segment can be found again and named.
pub fn mpd_manifests(bytes: &[u8]) {
    let wrapped =
        [b"<MPD type=\"dynamic\" availabilityStartTime=\"1970-01-01T00:00:00Z\"><Period>", bytes, b"</Period></MPD>"];
    for text in [bytes, &wrapped.concat()] {
        let Ok(manifest) = mpd::parse(text) else { continue };
        let all = || manifest.periods.iter().flat_map(|p| p.sets.iter().map(move |set| (p, set)));
        assert!(all().map(|(_, set)| set.representations.len()).sum::<usize>() <= mpd::MAX_REPRESENTATIONS);
        for (period, one) in all().flat_map(|(p, set)| set.representations.iter().map(move |one| (p, one))) {
            assert!(period.length_s.is_none_or(|length| length.is_finite() && length >= 0.0));
            let segments = &one.segments;
            assert!(segments.timeline.as_ref().is_none_or(|timeline| timeline.runs.len() <= mpd::MAX_RUNS));
            for elapsed_s in [None, Some(-1.0), Some(0.0), Some(1e3), Some(1.8e9)] {
                let span = Span { elapsed_s, length_s: period.length_s, window_s: manifest.window_s };
                for segment in
                    [segments.first(&span), segments.newest(&span), segments.last(&span)].into_iter().flatten()
                {
                    assert!(segment.start_s.is_finite() && segment.length_s.is_finite() && segment.length_s >= 0.0);
                    let _ = segments.part(&segment, &one.id, one.bandwidth_bps);
                }
                assert!(segments.newest(&span).is_none_or(|newest| newest.index < segments.count(&span)));
            }
            let _ = segments.init_part(&one.id, one.bandwidth_bps);
        }
    }
    let _ = mpd::parse_duration(&crate::text::lossless(bytes));
    let _ = mp4::parse_sidx(bytes);
}

/// Transport streams: cuts do not matter, rates are rates.
pub fn ts_streams(bytes: &[u8]) {
    let read = |whole| {
        let mut inspector = Inspector::new();
        for piece in pieces(bytes, whole) {
            inspector.push(piece);
        }
        inspector.finish();
        inspector
    };
    let (whole, cut) = (read(true), read(false));
    assert_eq!(whole.streams(), cut.streams());
    assert_eq!((whole.packets(), whole.sync_losses()), (cut.packets(), cut.sync_losses()));
    assert!(whole.packets() <= (bytes.len() / ts::PACKET_BYTES) as u64);
    for stream in whole.streams() {
        assert!(stream.seen.key_frames() <= stream.seen.frames());
        assert!(stream.seen.fps().is_none_or(|fps| fps.is_finite() && fps > 0.0));
    }
    let _ = ts::parse_pes(bytes);
    let _ = mpeg2::inspect(bytes);
    if let Ok(header) = ac3::parse_header(bytes) {
        assert!(header.frame_bytes > 0 && header.params.sample_rate_hz > 0);
    }
    let _ = elementary::sound_frames(bytes, |frame| {
        ac3::parse_header(frame).ok().map(|header| (header.params, header.frame_bytes))
    });
}

/// What a monitor counts in a transport stream: cuts do not matter, sums are sums, measures are numbers; and packets of RTP
/// come out at most once each.
pub fn ts_monitor(bytes: &[u8]) {
    let read = |whole| {
        let (mut framer, mut monitor) = (Framer::new(), Monitor::new(Duration::from_secs(1)));
        let renewing = bytes.first().is_some_and(|first| first % 2 == 0);
        for piece in pieces(bytes, whole) {
            framer.push(piece, &mut |packet| {
                let arrival = Duration::from_micros(monitor.totals().packets * 900);
                let step = monitor.packet(packet, arrival);
                if renewing && monitor.totals().packets >= 5 {
                    monitor.renew();
                }
                assert!(step.is_none_or(|step| step.payload < ts::PACKET_BYTES && step.lost < 16));
            });
        }
        (framer, monitor)
    };
    let ((whole, monitor), (cut, other)) = (read(true), read(false));
    assert_eq!((whole.packets(), whole.stride()), (cut.packets(), cut.stride()));
    assert_eq!((whole.sync_errors(), whole.sync_losses()), (cut.sync_errors(), cut.sync_losses()));
    assert!(whole.skipped() + whole.packets() * ts::PACKET_BYTES as u64 <= bytes.len() as u64);
    let totals = monitor.totals();
    assert_eq!((totals, monitor.pids().len()), (other.totals(), other.pids().len()));
    let of_pids: u64 = monitor.pids().iter().map(|pid| pid.packets).sum();
    assert!(of_pids + totals.damaged <= totals.packets);
    assert_eq!(monitor.pids().iter().map(|pid| pid.continuity_errors).sum::<u64>(), totals.continuity_errors);
    assert!(monitor.packet_rate().is_none_or(|rate| rate.is_finite() && rate >= 0.0));
    for clock in monitor.pids().iter().filter_map(|pid| pid.clock.as_ref()) {
        assert!(clock.accuracy_ns().is_none_or(f64::is_finite));
        assert!(clock.jumps() < clock.count().max(1));
        let _ = (clock.longest(), clock.arrival_jitter(), clock.last_jump_ms());
    }
    let mut datagrams = Framer::new();
    pieces(bytes, false).for_each(|piece| datagrams.datagram(piece, &mut |packet| assert_eq!(packet[0], ts::SYNC)));
    let (mut reorder, mut out, mut ms) = (Reorder::new(), 0, 0);
    let (numbers, _) = bytes.as_chunks::<2>();
    for [high, low] in numbers {
        ms += u64::from(*low) / 8;
        let number = u16::from_be_bytes([high & 0x0f, *low]);
        reorder.push(number, &[*high], Duration::from_millis(ms), &mut |payload, _| out += payload.len());
    }
    assert!(out <= numbers.len());
}

/// Fragmented MP4: cuts do not matter, samples lie where bytes are.
pub fn mp4_fragments(bytes: &[u8]) {
    let init = mp4::parse_init(bytes).unwrap_or_else(|_| Init::default());
    let read = |whole| {
        let mut fragments = Fragments::new(&init);
        for piece in pieces(bytes, whole) {
            fragments.push(piece);
        }
        fragments
    };
    let (whole, cut) = (read(true), read(false));
    assert_eq!((whole.fragments(), whole.media_bytes()), (cut.fragments(), cut.media_bytes()));
    assert_eq!(whole.tracks(), cut.tracks());
    for track in whole.tracks() {
        assert!(track.fps().is_none_or(|fps| fps.is_finite() && fps >= 0.0));
    }
}

/// Blocks of streaming encoders: cuts do not matter, limits hold, and no value shows.
pub fn device_blocks(bytes: &[u8]) {
    let read = |whole| {
        let (mut decoder, mut seen) = (blocks::Decoder::new(), Vec::new());
        for piece in pieces(bytes, whole) {
            decoder.push(piece);
            loop {
                match decoder.decode() {
                    Ok(Some(block)) => seen.push(block),
                    Ok(None) => break,
                    Err(error) => return (seen, Some(error)),
                }
            }
        }
        (seen, None)
    };
    let (whole, end) = read(true);
    assert_eq!((&whole, &end), (&read(false).0, &read(false).1));
    for block in &whole {
        assert!(!block.header().is_empty() && block.pairs().count() <= blocks::MAX_BLOCK_LINES);
        for (key, value) in block.pairs() {
            assert!(block.get(key).is_some());
            let _ = (blocks::seconds(value), blocks::number(value));
            if let Some(format) = blocks::video_format(value) {
                assert!(format.height > 0 && format.fps.is_none_or(|fps| fps.is_finite() && fps > 0.0));
            }
        }
    }
}
