//! The table of channels. A new kind is one file in the folder and its two lines here: the `mod` and the row, both in
//! alphabetical order.

use crate::channel::ChannelKind;

pub(crate) mod alertmanager;
pub(crate) mod discord;
pub(crate) mod email;
pub(crate) mod exec;
pub(crate) mod gotify;
pub(crate) mod mqtt;
pub(crate) mod ntfy;
pub(crate) mod pagerduty;
pub(crate) mod pushover;
pub(crate) mod slack;
pub(crate) mod teams;
pub(crate) mod telegram;
pub(crate) mod webhook;

/// Every kind, by name.
pub static CHANNELS: &[&ChannelKind] = &[
    &alertmanager::KIND,
    &discord::KIND,
    &email::KIND,
    &exec::KIND,
    &gotify::KIND,
    &mqtt::KIND,
    &ntfy::KIND,
    &pagerduty::KIND,
    &pushover::KIND,
    &slack::KIND,
    &teams::KIND,
    &telegram::KIND,
    &webhook::KIND,
];

/// The kind of this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static ChannelKind> {
    CHANNELS.iter().copied().find(|kind| kind.name == name)
}
