//! The parts a look at a target consists of, and how long each took.

use std::time::Duration;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }
        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// The word used in the API, in files and in metrics: snake_case, never changes.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word,)+ } }
            /// The value of a word; `None` for a word that is none of ours.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> { match word { $($word => Some(Self::$variant),)+ _ => None } }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
    };
}
pub(crate) use words;

words! {
    /// One step of a probe. Its duration is charted; a timeout names it.
    Phase {
        /// Name resolution.
        Resolve = "resolve",
        /// TCP connect.
        Connect = "connect",
        /// TLS handshake.
        Tls = "tls",
        /// RTSP OPTIONS.
        Options = "options",
        /// RTSP DESCRIBE (including a repetition with credentials).
        Describe = "describe",
        /// RTSP SETUP of all tracks.
        Setup = "setup",
        /// RTSP PLAY until its reply.
        Play = "play",
        /// Protocol handshake other than TLS (RTMP, SRT, ...).
        Handshake = "handshake",
        /// Request sent until the first byte (status line) of the reply.
        FirstByte = "first_byte",
        /// The body or the part of it that is looked at.
        Transfer = "transfer",
        /// Waiting for media: the first packet or frame of every selected track.
        Media = "media",
        /// A command runs.
        Command = "command",
        /// Checking what was received.
        Check = "check",
    }
}

/// Durations by phase, in the order in which the phases began. A phase entered twice is summed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Phases(Vec<(Phase, Duration)>);

impl Phases {
    /// Adds `took` to `phase`.
    pub fn add(&mut self, phase: Phase, took: Duration) {
        match self.0.iter_mut().find(|(p, _)| *p == phase) {
            Some((_, sum)) => *sum += took,
            None => self.0.push((phase, took)),
        }
    }

    /// Time spent in `phase`, where it was entered.
    #[must_use]
    pub fn get(&self, phase: Phase) -> Option<Duration> {
        self.0.iter().find(|(p, _)| *p == phase).map(|(_, d)| *d)
    }

    /// All phases in order.
    pub fn iter(&self) -> impl Iterator<Item = (Phase, Duration)> + '_ {
        self.0.iter().copied()
    }

    /// Whether nothing was measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_there_and_back() {
        for p in Phase::ALL {
            assert_eq!(Phase::from_word(p.as_str()), Some(*p));
        }
        assert_eq!(Phase::from_word("Connect"), None);
    }

    #[test]
    fn repeated_phases_sum_and_order_is_kept() {
        let mut p = Phases::default();
        p.add(Phase::Connect, Duration::from_millis(2));
        p.add(Phase::Describe, Duration::from_millis(3));
        p.add(Phase::Connect, Duration::from_millis(5));
        let list: Vec<_> = p.iter().map(|(p, d)| (p.as_str(), d.as_millis())).collect();
        assert_eq!(list, [("connect", 7), ("describe", 3)]);
    }
}
