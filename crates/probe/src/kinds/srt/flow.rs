//! The payload of a connection: a transport stream, looked into until its selected streams are known. Owns what the connection has
//! to do with missing media; what a transport stream is, is told by the kind `mpegts`.

use std::time::Duration;

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Depth, Reading};
use wire::srt::{Delivery, Security, Stats};
use wire::ts::StreamInfo;

use super::session::Session;
use crate::kinds::mpegts::analysis::{Analysis, Rules};

/// Packets without a key after which the passphrase is to blame.
const MAX_UNREADABLE: u64 = 16;

/// A transport stream that is being looked into.
pub(super) struct Flow {
    analysis: Analysis,
    depth: Depth,
}

impl Flow {
    pub(super) fn new(rules: &Rules, depth: Depth) -> Self {
        // Packets sent again and the peer's own latency say nothing of the stream: arrival is not judged.
        Self { analysis: Analysis::new(rules.clone(), false), depth }
    }

    /// Takes a packet that came at `now`.
    pub(super) fn push(&mut self, delivery: Delivery<'_>, now: Duration) {
        self.analysis.datagram(delivery.bytes, now);
    }

    /// The selected streams, in the order of their tracks.
    pub(super) fn streams(&self) -> impl Iterator<Item = &StreamInfo> {
        self.analysis.selected()
    }

    /// Whether more would tell nothing new.
    pub(super) fn is_enough(&self) -> bool {
        match self.depth {
            Depth::Media => self.analysis.is_known(),
            _ => self.analysis.is_described(),
        }
    }

    fn is_content(&self) -> bool {
        match self.depth {
            Depth::Media => self.analysis.is_proven(),
            _ => self.analysis.is_described(),
        }
    }

    /// Notes what came: tracks, facts and findings of the transport stream.
    pub(super) fn note(&self, reading: &mut Reading) {
        let reached = reading.proven;
        self.analysis.note(reading);
        reading.proven = reading.proven.max(reached).min(Some(self.depth));
    }

    /// A fault as soon as it is certain that there is no media for us.
    pub(super) fn check(&self, session: &mut Session) -> Result<(), Fault> {
        if self.analysis.is_hopeless() {
            return Err(self.analysis.foreign());
        }
        if self.analysis.bytes() == 0 && session.security() != Security::Secured {
            unreadable(&session.stats(), session.security())?;
        }
        Ok(())
    }

    /// Whether what has come is enough although the stream ended or time is over: `why` says so, as "within 8 s" or "before
    /// the peer ended the connection".
    pub(super) fn verdict(&self, session: &mut Session, why: &str) -> Result<(), Fault> {
        if self.is_content() {
            return Ok(());
        }
        let stats = session.stats();
        if stats.packets == 0 {
            let words = format!("the handshake is done and not one packet of media came {why}");
            return Err(Fault::new(FaultKind::NoMedia, Phase::Media, words));
        }
        if self.analysis.bytes() == 0 {
            unreadable(&stats, session.security())?;
        }
        Err(self.analysis.fault(why))
    }
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
