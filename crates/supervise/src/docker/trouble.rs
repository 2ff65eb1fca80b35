//! What can go wrong between us and an engine, and how it is told. Owns the words; knows no request.

use std::fmt;

use model::fault::{Fault, FaultKind};
use net::unix::Failure;

use crate::backend::Refusal;

/// Longest text of an engine that is told on, in characters: a sentence or two.
const MAX_SAID_CHARS: usize = 400;

/// Why a question to the engine has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The engine cannot be reached, or broke off in the middle.
    Away(String),
    /// It took longer than it may.
    Late(String),
    /// The engine refused, with its status (0 where it came through the command) and its words.
    Said {
        /// Status of HTTP.
        status: u16,
        /// Its words.
        words: String,
    },
    /// What it answered cannot be read.
    Odd(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(words) => write!(f, "the container engine cannot be reached: {words}"),
            Self::Late(words) => write!(f, "the container engine does not answer in time: {words}"),
            Self::Said { words, .. } => write!(f, "the container engine says: {words}"),
            Self::Odd(words) => write!(f, "the container engine's answer cannot be read: {words}"),
        }
    }
}

impl Trouble {
    /// What the engine said, cut to what people read.
    pub(super) fn said(status: u16, words: &str) -> Self {
        Self::Said { status, words: told(words) }
    }

    /// The refusal that this is for who wanted `what`.
    pub(super) fn refusal(&self, what: &str) -> Refusal {
        // What the engine refuses stays refused, but for its own mistakes and for names that are taken for a moment.
        let passing = !matches!(self, Self::Said { status: 400 | 403 | 404 | 0, .. });
        Refusal { passing, no_engine: false, words: format!("{what}: {self}") }
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            FaultKind::TimedOut => Self::Late(fault.detail),
            FaultKind::TooLarge => Self::Odd(fault.detail),
            _ => Self::Away(fault.detail),
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Broken(fault) => fault.into(),
            other => Self::Away(other.to_string()),
        }
    }
}

/// One line of what somebody else said, cut and without anything that is no text.
pub(super) fn told(words: &str) -> String {
    let line: String = words.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(MAX_SAID_CHARS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}
