//! Channels and their outbox: how each is, what was delivered, what was given up.

use engine::notify::{ChannelNow, LetterNow, REGISTRY_PREFIX};
use serde::Serialize;
use store::LetterState;
use utoipa::ToSchema;

use super::sink::SinkDto;

/// One channel now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChannelDto {
    /// Its name.
    pub name: String,
    /// Its kind (`email`, `ntfy`).
    pub kind: &'static str,
    /// Whether it is used.
    pub enabled: bool,
    /// Messages that wait for it.
    pub waiting: u64,
    /// Messages that were given up and are kept.
    pub dead: u64,
    /// How it is; its name there is `channel:` and the channel's own.
    pub now: SinkDto,
}

impl From<&ChannelNow> for ChannelDto {
    fn from(channel: &ChannelNow) -> Self {
        Self {
            name: channel.name.clone(),
            kind: channel.kind,
            enabled: channel.enabled,
            waiting: channel.waiting,
            dead: channel.dead,
            now: SinkDto::new(format!("{REGISTRY_PREFIX}{}", channel.name), &channel.now),
        }
    }
}

/// Every channel in the order of the configuration.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChannelsDto {
    /// The channels.
    pub channels: Vec<ChannelDto>,
}

/// One message to one channel.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MessageDto {
    /// Cursor for paging, and its number in commands.
    pub row: i64,
    /// Name of the channel.
    pub channel: String,
    /// `waiting`, `sent` or `dead` (given up).
    pub state: &'static str,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was handed over.
    pub created_at: i64,
    /// When it is tried next; null unless it waits.
    pub next_at: Option<i64>,
    /// When it was sent or given up.
    pub done_at: Option<i64>,
    /// What the newest failure was.
    pub error: Option<String>,
    /// What it says; null when it cannot be read any more.
    pub title: Option<String>,
    /// Which step of an alert it tells (`raised`, `recovered`).
    pub stage: Option<&'static str>,
    /// How grave it is.
    pub severity: Option<&'static str>,
}

const fn word(state: LetterState) -> &'static str {
    match state {
        LetterState::Waiting => "waiting",
        LetterState::Sent => "sent",
        LetterState::Dead => "dead",
    }
}

impl From<&LetterNow> for MessageDto {
    fn from(letter: &LetterNow) -> Self {
        let row = &letter.row;
        let said = letter.notification.as_ref();
        Self {
            row: row.row,
            channel: row.letter.channel.clone(),
            state: word(row.state),
            attempts: row.attempts,
            created_at: row.created_at.0,
            next_at: (row.state == LetterState::Waiting).then_some(row.next_at.0),
            done_at: row.done_at.map(|at| at.0),
            error: row.last_error.as_deref().map(crate::masks::hide_in_words),
            title: said.map(|n| n.title.clone()),
            stage: said.map(|n| n.stage.as_str()),
            severity: said.map(|n| n.severity.as_str()),
        }
    }
}

/// A page of messages, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OutboxDto {
    /// The messages.
    pub messages: Vec<MessageDto>,
    /// Value of `before` for the next page; null when this is the last.
    pub next: Option<i64>,
}
