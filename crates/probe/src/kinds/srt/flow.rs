//! The payload of a connection: a transport stream, looked into until its streams are known. Owns what counts as media and the
//! words for what is missing.

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Depth, Media, Reading, Severity, Track};
use wire::srt::{Delivery, Security, Stats};
use wire::ts::{Inspector, StreamInfo};

use super::session::Session;
use crate::kinds::hls::media::elementary;

/// Packets without a key after which the passphrase is to blame.
const MAX_UNREADABLE: u64 = 16;
/// Octets that a sentence about foreign bytes quotes.
const QUOTED: usize = 8;

/// A transport stream that is being looked into.
pub(super) struct Flow {
    inspector: Inspector,
    depth: Depth,
    packets: u64,
    begins: Vec<u8>,
}

impl Flow {
    pub(super) fn new(depth: Depth) -> Self {
        Self { inspector: Inspector::new(), depth, packets: 0, begins: Vec::new() }
    }

    pub(super) fn push(&mut self, delivery: Delivery<'_>) {
        if self.packets == 0 {
            self.begins = delivery.bytes.iter().take(QUOTED).copied().collect();
        }
        self.packets += 1;
        self.inspector.push(delivery.bytes);
    }

    /// Streams that are pictures or sound, pictures first.
    pub(super) fn streams(&self) -> Vec<&StreamInfo> {
        let all = || self.inspector.streams().iter().filter(|stream| !stream.announced.codec.is_data());
        let video = |stream: &&StreamInfo| stream.announced.codec.is_video();
        all().filter(video).chain(all().filter(|stream| !video(stream))).collect()
    }

    /// Whether more would tell nothing new.
    pub(super) fn is_enough(&self) -> bool {
        let streams = self.streams();
        !streams.is_empty() && (self.depth != Depth::Media || streams.iter().all(|stream| stream.is_known()))
    }

    /// The tracks as far as they are known.
    pub(super) fn tracks(&self) -> Vec<Track> {
        let tracks = self.streams().into_iter().map(|stream| {
            let mut track = elementary(&stream.seen, stream.announced.channels);
            track.proven = stream.seen.frames() > 0 && stream.scrambled == 0;
            track
        });
        tracks.collect()
    }

    pub(super) fn note(&self, reading: &mut Reading) {
        reading.tracks = self.tracks();
        if self.inspector.sync_losses() > 0 {
            let text = format!("the transport packets were out of step {} times", self.inspector.sync_losses());
            reading.find("sync_loss", Severity::Warning, text);
        }
        if self.streams().iter().any(|stream| stream.scrambled > 0) {
            let text = "the transport stream is scrambled: its media cannot be proven";
            reading.find("encryption_unproven", Severity::Note, text);
        }
    }

    /// A fault as soon as it is certain that there is no media for us.
    pub(super) fn check(&self, session: &mut Session) -> Result<(), Fault> {
        if self.inspector.is_hopeless() {
            return Err(Fault::protocol(
                Phase::Media,
                format!("the payload is no MPEG transport stream ({})", self.quoted()),
            ));
        }
        if self.packets == 0 && session.security() != Security::Secured {
            unreadable(&session.stats(), session.security())?;
        }
        Ok(())
    }

    fn quoted(&self) -> String {
        let octets: Vec<String> = self.begins.iter().map(|octet| format!("{octet:02x}")).collect();
        format!("it begins {}", octets.join(" "))
    }

    /// Whether what has come is enough although the stream ended or time is over, `why`.
    pub(super) fn verdict(&self, session: &mut Session, why: &str) -> Result<(), Fault> {
        let no_media = |words: String| Err(Fault::new(FaultKind::NoMedia, Phase::Media, words));
        let stats = session.stats();
        if stats.packets == 0 {
            return no_media(format!("the handshake is done and not one packet of media came {}", before(why)));
        }
        if self.packets == 0 {
            unreadable(&stats, session.security())?;
        }
        let (tracks, packets) = (self.tracks(), self.packets);
        if self.inspector.packets() == 0 {
            let quoted = self.quoted();
            return no_media(format!(
                "{packets} packets came {}, and no transport stream in them ({quoted})",
                before(why)
            ));
        }
        if self.inspector.streams().is_empty() {
            return no_media(format!("{packets} packets came {}, and no program tables in them", before(why)));
        }
        if tracks.is_empty() {
            return no_media("the tables announce neither picture nor sound".to_owned());
        }
        if self.depth != Depth::Media {
            return Ok(());
        }
        let is_scrambled = self.streams().iter().any(|stream| stream.scrambled > 0);
        match tracks.iter().find(|track| !track.proven).filter(|_| !is_scrambled) {
            Some(track) => {
                let media = if track.media == Media::Video { "video" } else { "audio" };
                no_media(format!("{media} in {} is announced and none came {}", track.codec, before(why)))
            }
            None => Ok(()),
        }
    }
}

/// `within 5 s` stays, `the peer ...` becomes `before the peer ...`.
fn before(why: &str) -> String {
    if why.starts_with("within") { why.to_owned() } else { format!("before {why}") }
}

/// A fault when packets come and no key opens them.
fn unreadable(stats: &Stats, security: Security) -> Result<(), Fault> {
    if stats.undecrypted == 0 || stats.undecrypted < stats.packets.min(MAX_UNREADABLE) {
        return Ok(());
    }
    let words = match security {
        Security::BadSecret => "the passphrase is wrong: the peer lets us in, and no packet can be decrypted",
        Security::Secured => "the peer changed to keys that it did not send: no packet can be decrypted",
        _ => "the stream is encrypted and no passphrase opens it: the peer lets us in, and no packet can be decrypted",
    };
    Err(Fault::new(FaultKind::AuthRequired, Phase::Media, words))
}
