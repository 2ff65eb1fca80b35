//! What can be wrong with the world, as data. Owns the closed list of kinds. A fault is not an error of ours.

use std::fmt;
use std::time::Duration;

use crate::phase::{Phase, words};

words! {
    /// Why a look at a target failed. Closed: alert rules, metrics and the history rely on these words.
    FaultKind {
        /// The name does not resolve.
        Unresolved = "unresolved",
        /// The port answers with a reset.
        Refused = "refused",
        /// No route, host or network down, connection reset by the way.
        Unreachable = "unreachable",
        /// The deadline passed; the phase says where.
        TimedOut = "timed_out",
        /// TLS handshake or certificate.
        Tls = "tls",
        /// Credentials are missing or wrong (401 and its relatives).
        AuthRequired = "auth_required",
        /// Known, but not allowed (403).
        Forbidden = "forbidden",
        /// No such stream or page (404, 410, 454 on DESCRIBE).
        NotFound = "not_found",
        /// The peer answered something else than asked for: unexpected code, malformed bytes, early end.
        Protocol = "protocol",
        /// The control side is fine and no media comes.
        NoMedia = "no_media",
        /// Media or playlist that no longer advances.
        Stale = "stale",
        /// The peer sent more than a limit of ours allows.
        TooLarge = "too_large",
        /// Who was asked says that it is bad: a plugin that exits with 2, a caller that reports a failure.
        Reported = "reported",
        /// Who was asked cannot tell, or broke down: a plugin that exits with 3 or by a signal. Says nothing about the target.
        Unclear = "unclear",
        /// A program or a permission that the check needs is missing on this machine.
        ToolMissing = "tool_missing",
        /// Our own mistake: a panic or a state that should not be.
        Internal = "internal",
    }
}

/// One failure with its place in the probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From the closed list.
    pub kind: FaultKind,
    /// Where it happened.
    pub phase: Phase,
    /// One sentence in words, lower case, no final stop, without secrets: names the thing and the actual value.
    pub detail: String,
}

impl Fault {
    /// A fault with its sentence.
    #[must_use]
    pub fn new(kind: FaultKind, phase: Phase, detail: impl Into<String>) -> Self {
        Self { kind, phase, detail: detail.into() }
    }

    /// The deadline of `limit` passed while in `phase`.
    #[must_use]
    pub fn timed_out(phase: Phase, limit: Duration) -> Self {
        let ms = limit.as_millis();
        let limit = if ms.is_multiple_of(1000) { format!("{} s", ms / 1000) } else { format!("{ms} ms") };
        Self::new(FaultKind::TimedOut, phase, format!("no answer within {limit} in phase {phase}"))
    }

    /// The peer broke the protocol.
    #[must_use]
    pub fn protocol(phase: Phase, detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Protocol, phase, detail)
    }

    /// Whether the monitor itself, or a tool of it, failed (out of files, a missing tool, a mistake): that says nothing about
    /// the target.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self.kind, FaultKind::Unclear | FaultKind::ToolMissing | FaultKind::Internal)
    }

    /// Whether trying again at once can help: not when the peer gave a definite answer.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        !matches!(
            self.kind,
            FaultKind::AuthRequired
                | FaultKind::Forbidden
                | FaultKind::NotFound
                | FaultKind::ToolMissing
                | FaultKind::Internal
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // For people: the words without the underscores of the API.
        let (kind, phase) = (self.kind.as_str().replace('_', " "), self.phase.as_str().replace('_', " "));
        write!(f, "{kind} ({phase}): {}", self.detail)
    }
}
