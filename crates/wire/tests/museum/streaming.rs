//! What `wire` reads in recorded playlists, transport streams and fragmented MP4.
//!
//! Owns no expectation: those are the `.expected` files.

use std::fmt::Write as _;

use wire::audio::AudioParams;
use wire::m3u8::{Context, MediaPlaylist, Multivariant, Playlist};
use wire::mp4::{Fragments, parse_init};
use wire::mpd::{AdaptationSet, Part, Representation, Source, Span};
use wire::ts::{Inspector, PACKET_BYTES};
use wire::video::VideoParams;

/// A playlist of either sort.
pub(crate) fn playlist(bytes: &[u8]) -> String {
    match wire::m3u8::parse(bytes, &Context::default()) {
        Err(error) => format!("error: {error}\n"),
        Ok(Playlist::Media(list)) => media(&list),
        Ok(Playlist::Multivariant(list)) => multivariant(&list),
    }
}

fn media(list: &MediaPlaylist) -> String {
    let mut text = format!(
        "media version {:?} target {:?} type {:?} ended {} cues {} parts {} discontinuities {}\n",
        list.version,
        list.target_duration_s,
        list.kind,
        list.ended,
        list.scte35_cues,
        list.parts,
        list.has_discontinuities
    );
    for key in &list.keys {
        let _ =
            writeln!(text, "key {:?} {} {} iv {:?}", key.method, key.uri, key.format, key.iv.map(u128::from_be_bytes));
    }
    for map in &list.maps {
        let _ = writeln!(text, "map {} {:?} key {:?}", map.uri, map.range.map(|r| (r.offset, r.length)), map.key);
    }
    for (index, segment) in list.segments.iter().enumerate() {
        let _ = writeln!(
            text,
            "segment {} {} {} s discontinuity {} key {:?} map {:?} range {:?} date {:?}{}",
            list.number(index),
            segment.uri,
            segment.duration_s,
            segment.discontinuity,
            segment.key,
            segment.map,
            segment.range.map(|r| (r.offset, r.length)),
            segment.date_ms,
            if segment.gap { " gap" } else { "" }
        );
    }
    for slip in &list.slips {
        let _ = writeln!(text, "slip in line {}: {}", slip.line, slip.what);
    }
    text
}

fn multivariant(list: &Multivariant) -> String {
    let mut text = "multivariant\n".to_owned();
    for variant in &list.variants {
        let _ = writeln!(
            text,
            "variant {} {:?} bit/s {:?} {:?} fps {:?} {:?}",
            variant.uri, variant.bandwidth_bps, variant.resolution, variant.frame_rate, variant.codecs, variant.groups
        );
    }
    for rendition in &list.renditions {
        let _ = writeln!(
            text,
            "rendition {} {} {:?} {:?}{}",
            rendition.kind.as_str(),
            rendition.group,
            rendition.name,
            rendition.uri,
            if rendition.is_default { " default" } else { "" }
        );
    }
    for slip in &list.slips {
        let _ = writeln!(text, "slip in line {}: {}", slip.line, slip.what);
    }
    let _ = writeln!(text, "missing groups {:?}", list.missing_groups());
    text
}

/// A transport stream, byte for byte in packets, and after how many of them enough was known.
pub(crate) fn transport(bytes: &[u8]) -> String {
    let (mut inspector, mut enough) = (Inspector::new(), None);
    for piece in bytes.chunks(PACKET_BYTES) {
        inspector.push(piece);
        if enough.is_none() && inspector.is_enough() {
            enough = Some(inspector.packets());
        }
    }
    inspector.finish();
    let mut text =
        format!("packets {} sync losses {} enough at {enough:?}\n", inspector.packets(), inspector.sync_losses());
    for stream in inspector.streams() {
        let seen = &stream.seen;
        let _ = writeln!(
            text,
            "{:#x} type {:#04x} {} {}{} frames {} key {} fps {:?}",
            stream.announced.pid,
            stream.announced.stream_type,
            seen.codec().as_str(),
            video(seen.video()),
            audio(seen.audio()),
            seen.frames(),
            seen.key_frames(),
            seen.fps()
        );
    }
    text
}

/// An initialization segment and a segment behind it, and after how many octets enough was known.
pub(crate) fn fragmented(bytes: &[u8]) -> String {
    let init = match parse_init(bytes) {
        Ok(init) => init,
        Err(error) => return format!("error: {error}\n"),
    };
    let (mut fragments, mut enough) = (Fragments::new(&init), None);
    for (index, piece) in bytes.chunks(64).enumerate() {
        fragments.push(piece);
        if enough.is_none() && fragments.is_enough() {
            enough = Some(index * 64 + piece.len());
        }
    }
    let mut text = format!(
        "fragments {} media bytes {} enough at {enough:?} error {:?}\n",
        fragments.fragments(),
        fragments.media_bytes(),
        fragments.error()
    );
    for seen in fragments.tracks() {
        let entry = &seen.track.entry;
        let _ = writeln!(
            text,
            "track {} {} {} {}{} samples {} fps {:?} proven {} key {:?} trouble {:?} protection {:?}",
            seen.track.id,
            seen.track.handler.escape_ascii(),
            entry.codec,
            video(seen.video.as_ref()),
            audio(entry.audio.as_ref()),
            seen.samples,
            seen.fps(),
            seen.proven,
            seen.key_frame,
            seen.trouble,
            entry.protection
        );
    }
    text
}

fn video(params: Option<&VideoParams>) -> String {
    params.map_or(String::new(), |p| {
        format!("{} {} {}x{}", p.codec, p.profile.as_deref().unwrap_or("-"), p.width, p.height)
    })
}

fn audio(params: Option<&AudioParams>) -> String {
    params.map_or(String::new(), |p| {
        format!("{} {} {} Hz {} ch", p.codec, p.profile.unwrap_or("-"), p.sample_rate_hz, p.channels)
    })
}

/// What a manifest says, and which segments are there 100 s after it began.
pub(crate) fn manifest(bytes: &[u8]) -> String {
    let mpd = match wire::mpd::parse(bytes) {
        Ok(mpd) => mpd,
        Err(error) => return format!("error: {error}\n"),
    };
    let mut out = format!(
        "{} start {:?} end {:?} published {:?} update {:?} buffer {:?} window {:?} delay {:?} duration {:?} cues {}\n",
        if mpd.dynamic { "dynamic" } else { "static" },
        mpd.availability_start_ms,
        mpd.availability_end_ms,
        mpd.publish_ms,
        mpd.update_s,
        mpd.min_buffer_s,
        mpd.window_s,
        mpd.delay_s,
        mpd.duration_s,
        mpd.scte35_cues
    );
    mpd.locations.iter().for_each(|location| out.push_str(&format!("location {location}\n")));
    mpd.clocks.iter().for_each(|clock| out.push_str(&format!("clock {} {}\n", clock.scheme, clock.value)));
    mpd.slips.iter().for_each(|slip| out.push_str(&format!("slip {slip}\n")));
    for period in &mpd.periods {
        out.push_str(&format!("period {:?} start {:?} length {:?}\n", period.id, period.start_s, period.length_s));
        let elapsed_s = period.start_s.map(|start| 100.0 - start).filter(|_| mpd.dynamic);
        let span = Span { elapsed_s, length_s: period.length_s, window_s: mpd.window_s };
        for (set, one) in period.sets.iter().flat_map(|set| set.representations.iter().map(move |one| (set, one))) {
            out.push_str(&representation(set, one, &span));
        }
    }
    out
}

fn representation(set: &AdaptationSet, one: &Representation, span: &Span) -> String {
    let marks: Vec<&str> =
        [("main", set.main), ("trick", set.trick)].iter().filter(|mark| mark.1).map(|mark| mark.0).collect();
    let mut out = format!(
        "  {:?} {:?} {} bandwidth {:?} {:?} {:?} {:?} fps {:?} Hz {:?} in {} {}\n",
        one.content,
        one.id,
        one.mime.as_deref().unwrap_or("-"),
        one.bandwidth_bps,
        one.codecs,
        one.width,
        one.height,
        one.frame_rate,
        one.sample_rate_hz,
        one.bases.join(" "),
        marks.join(" ")
    );
    one.protections.iter().for_each(|by| out.push_str(&format!("    protection {} {:?}\n", by.scheme, by.value)));
    let segments = &one.segments;
    out.push_str(&format!("    listed {} early {}\n", segments.is_listed(), segments.availability_offset_s));
    match segments.init_part(&one.id, one.bandwidth_bps) {
        Ok(Some(part)) => out.push_str(&format!("    init {}\n", name(&part))),
        Ok(None) => {}
        Err(words) => out.push_str(&format!("    init error: {words}\n")),
    }
    if let Source::Single { index: Some(index) } = &segments.source {
        out.push_str(&format!("    index {}+{}\n", index.offset, index.length));
    }
    for (word, found) in
        [("first", segments.first(span)), ("newest", segments.newest(span)), ("last", segments.last(span))]
    {
        let Some(segment) = found else { continue };
        let named = segments.part(&segment, &one.id, one.bandwidth_bps).map_or_else(|words| words, |part| name(&part));
        out.push_str(&format!(
            "    {word} {} at {:.3} s for {:.3} s: {named}\n",
            segment.number, segment.start_s, segment.length_s
        ));
    }
    out
}

fn name(part: &Part) -> String {
    let range = part.range.map_or(String::new(), |range| format!(" {}+{}", range.offset, range.length));
    format!("{}{range}", part.uri.as_deref().unwrap_or("(the base)"))
}
