//! Counting what came: which tracks are proven by a packet of a payload type they declare, and the words for those that
//! are not; since when each track has been silent, and whether its source took its leave. Reads packets, waits for none.

use std::time::Duration;

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use tokio::time::Instant;
use wire::rtp::{self, Header, Rtcp, SeqTracker};
use wire::sdp::Media;

use super::session::Arrival;
use crate::kind::within;

/// Different foreign payload types that are told apart.
const MAX_FOREIGN: usize = 4;

/// What came of one track.
pub(super) struct Count {
    track: usize,
    /// The track in words: `video`, or `video 2` where there are several.
    pub(super) name: String,
    declared: Vec<u8>,
    /// Packets of a declared payload type.
    packets: u64,
    /// The payload type of the first of them.
    first: Option<u8>,
    /// When the first and the last of them came.
    pub(super) came: Option<(Instant, Instant)>,
    /// The source of the last of them.
    source: Option<u32>,
    /// That source said goodbye (RTCP BYE) and has sent nothing since.
    pub(super) left: bool,
    sequence: SeqTracker,
    /// Packets of payload types that were not declared.
    foreign: Vec<(u8, u64)>,
    /// Packets that are no RTP.
    malformed: u64,
}

impl Count {
    fn stray(&mut self, payload_type: u8) {
        if let Some((_, n)) = self.foreign.iter_mut().find(|(known, _)| *known == payload_type) {
            *n += 1;
        } else if self.foreign.len() < MAX_FOREIGN {
            self.foreign.push((payload_type, 1));
        }
    }

    /// Reads a report; one that cannot be read says nothing.
    fn report(&mut self, packet: &[u8]) {
        for part in rtp::rtcp(packet).map_while(Result::ok) {
            if let (Rtcp::Bye { ssrcs, .. }, Some(source)) = (part, self.source) {
                self.left |= ssrcs.contains(&source);
            }
        }
    }
}

/// What came of all selected tracks.
pub(super) struct Tally {
    counts: Vec<Count>,
}

impl Tally {
    /// For these tracks of a description.
    pub(super) fn new(medias: &[Media], selected: &[usize]) -> Self {
        let count = |&track: &usize| {
            let media = &medias[track];
            Count {
                track,
                name: name(medias, selected, track),
                declared: media.formats.iter().map(|f| f.payload_type).collect(),
                packets: 0,
                first: None,
                came: None,
                source: None,
                left: false,
                sequence: SeqTracker::new(),
                foreign: Vec::new(),
                malformed: 0,
            }
        };
        Self { counts: selected.iter().map(count).collect() }
    }

    /// Counts what arrived. Hands it back in parts when it is media that its track declares.
    pub(super) fn arrived<'p>(&mut self, arrival: &'p Arrival) -> Option<(Header, &'p [u8])> {
        if !arrival.report {
            return self.take(arrival.track, &arrival.bytes);
        }
        self.counts.iter_mut().find(|c| c.track == arrival.track)?.report(&arrival.bytes);
        None
    }

    fn take<'p>(&mut self, track: usize, packet: &'p [u8]) -> Option<(Header, &'p [u8])> {
        let count = self.counts.iter_mut().find(|c| c.track == track)?;
        if rtp::is_rtcp(packet) {
            count.report(packet);
            return None;
        }
        let Ok((header, payload)) = Header::parse(packet) else {
            count.malformed += 1;
            return None;
        };
        if !count.declared.contains(&header.payload_type) {
            count.stray(header.payload_type);
            return None;
        }
        count.packets += 1;
        count.first.get_or_insert(header.payload_type);
        let now = Instant::now();
        count.came = Some((count.came.map_or(now, |(first, _)| first), now));
        if count.source != Some(header.ssrc) {
            (count.source, count.left) = (Some(header.ssrc), false);
        }
        count.sequence.push(header.sequence);
        Some((header, payload))
    }

    /// Whether every selected track has sent media.
    pub(super) fn complete(&self) -> bool {
        self.counts.iter().all(|c| c.packets > 0)
    }

    /// Proven tracks, each with the payload type that came first.
    pub(super) fn proven(&self) -> impl Iterator<Item = (usize, u8)> + '_ {
        self.counts.iter().filter_map(|c| Some((c.track, c.first?)))
    }

    /// What came of each selected track.
    pub(super) fn counts(&self) -> &[Count] {
        &self.counts
    }

    /// Packets of declared payload types.
    pub(super) fn packets(&self) -> u64 {
        self.counts.iter().map(|c| c.packets).sum()
    }

    /// Packets missing by sequence number.
    pub(super) fn lost(&self) -> u64 {
        self.counts.iter().map(|c| c.sequence.lost()).sum()
    }

    /// The fault with which waiting for the first packets ended, with what came and what did not.
    pub(super) fn explained(&self, fault: Fault, limit: Duration, strangers: u64) -> Fault {
        match fault.kind {
            FaultKind::TimedOut => self.fault(&within(limit), strangers),
            FaultKind::NoMedia => self.fault(&format!("before {}", fault.detail), strangers),
            _ => fault,
        }
    }

    /// The fault for what did not come. `why` is how the wait ended: `within 8 s`, or why the connection ended.
    pub(super) fn fault(&self, why: &str, strangers: u64) -> Fault {
        let missing: Vec<_> = self.counts.iter().filter(|c| c.packets == 0).map(|c| c.name.as_str()).collect();
        let tracks = if missing.len() == 1 { "track" } else { "tracks" };
        let mut text = format!("no RTP packet of the {} {tracks} {why}", missing.join(" and "));
        for count in self.counts.iter().filter(|c| c.packets > 0) {
            text.push_str(&format!("; {} sent {}", count.name, packets(count.packets)));
        }
        for count in &self.counts {
            for (payload_type, n) in &count.foreign {
                let declared: Vec<_> = count.declared.iter().map(u8::to_string).collect();
                text.push_str(&format!(
                    "; {} of payload type {payload_type} came for {}, which declares {}",
                    packets(*n),
                    count.name,
                    declared.join(", ")
                ));
            }
            if count.malformed > 0 {
                text.push_str(&format!("; {} for {} were no RTP", packets(count.malformed), count.name));
            }
        }
        if strangers > 0 {
            text.push_str(&format!("; {} from other addresses were ignored", packets(strangers)));
        }
        Fault::new(FaultKind::NoMedia, Phase::Media, text)
    }
}

/// A track in words: `video`, or `video 2` where several of the kind are selected.
pub(super) fn name(medias: &[Media], selected: &[usize], track: usize) -> String {
    let kind = medias[track].kind;
    let twins = || selected.iter().filter(|&&other| medias[other].kind == kind);
    match twins().position(|&other| other == track) {
        Some(place) if twins().count() > 1 => format!("{} {}", kind.as_str(), place + 1),
        _ => kind.as_str().to_owned(),
    }
}

/// A track's description with the format at `place` as the preferred one.
pub(super) fn preferring(media: &Media, place: usize) -> Media {
    let mut media = media.clone();
    media.formats.swap(0, place);
    media
}

fn packets(n: u64) -> String {
    if n == 1 { "1 packet".to_owned() } else { format!("{n} packets") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &[u8] = b"v=0\r\ns=x\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
        m=audio 0 RTP/AVP 97 8\r\na=rtpmap:97 MPEG4-GENERIC/48000/1\r\n";

    fn packet(payload_type: u8, sequence: u16) -> Vec<u8> {
        let mut bytes = vec![0x80, payload_type];
        bytes.extend(sequence.to_be_bytes());
        bytes.extend([0; 8]);
        bytes.push(1);
        bytes
    }

    fn check(sent: &[(usize, Vec<u8>)], complete: bool, words: &str) {
        let session = wire::sdp::parse(SDP).expect("a good description");
        let mut tally = Tally::new(&session.medias, &[0, 1]);
        for (track, packet) in sent {
            tally.take(*track, packet);
        }
        assert_eq!(tally.complete(), complete);
        if !complete {
            assert_eq!(tally.fault("within 8 s", 0).detail, words);
        }
    }

    #[test]
    fn only_declared_payload_types_prove_a_track() {
        check(&[], false, "no RTP packet of the video and audio tracks within 8 s");
        check(&[(0, packet(96, 1)), (1, packet(8, 1))], true, "");
        check(
            &[(1, packet(97, 1)), (1, packet(97, 2))],
            false,
            "no RTP packet of the video track within 8 s; audio sent 2 packets",
        );
        check(
            &[(0, packet(99, 1)), (0, packet(99, 2)), (1, packet(97, 2))],
            false,
            "no RTP packet of the video track within 8 s; audio sent 1 packet; 2 packets of payload type 99 came for \
             video, which declares 96",
        );
        check(
            &[(0, vec![1, 2, 3]), (1, packet(97, 2))],
            false,
            "no RTP packet of the video track within 8 s; audio sent 1 packet; 1 packet for video were no RTP",
        );
    }

    #[test]
    fn reports_on_a_media_channel_are_no_media() {
        check(
            &[(0, vec![0x80, 200, 0, 1, 0, 0, 0, 1]), (1, packet(97, 2))],
            false,
            "no RTP packet of the video track within 8 s; audio sent 1 packet",
        );
    }

    #[test]
    fn gaps_are_losses_and_both_tracks_add_up() {
        let session = wire::sdp::parse(SDP).expect("a good description");
        let mut tally = Tally::new(&session.medias, &[0, 1]);
        for (track, packet) in [(0, packet(96, 1)), (0, packet(96, 4)), (1, packet(8, 9))] {
            tally.take(track, &packet);
        }
        assert_eq!((tally.packets(), tally.lost()), (3, 2));
        assert_eq!(tally.proven().collect::<Vec<_>>(), [(0, 96), (1, 8)]);
    }
}
