//! Kind `discord`: a webhook of a Discord channel. One embed with a colour; nobody is ever mentioned, whatever a target is
//! called, and Markdown in names is shown as it is written.
//!
//! An embed has a title of 256 and a description of 4,096 letters (docs.discord.com, "Embed Limits").

use model::alert::Notification;
use model::conf::{Field, Section};
use serde_json::json;

use crate::channel::{Around, BoxFuture, Built, Channel, ChannelKind, Failure, join_fields};
use crate::message::{self, Style};
use crate::post::{self, Letter, POST_FIELDS, Receiver, WEBHOOK_URL};

/// Most units of a description.
const MAX_DESCRIPTION: usize = 4_000;
/// Most letters of a title before it is escaped: escaping at most doubles them.
const MAX_TITLE: usize = 120;
/// What Markdown gives a meaning (a backslash takes it away).
const MARKUP: &str = "\\*_~`|>[]()<#@:";

const OWN_FIELDS: [Field; 1] = [WEBHOOK_URL];
static FIELDS: [Field; 7] = join_fields(&[&OWN_FIELDS, &POST_FIELDS]);

/// The row of the table.
pub(crate) static KIND: ChannelKind = ChannelKind {
    name: "discord",
    summary: "A channel of Discord",
    example: "\
name: discord
kind: discord
webhook_url: ${DISCORD_URL}
",
    fields: &FIELDS,
    build,
};

struct Discord {
    receiver: Receiver,
}

fn build(section: &Section<'_>) -> Built {
    let mut problems = Vec::new();
    let receiver = post::hook(section, &mut problems);
    post::built(receiver.map(|receiver| Discord { receiver }), problems)
}

/// The text as Markdown shows it literally.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if MARKUP.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

impl Discord {
    async fn deliver(&self, n: &Notification, around: &Around) -> Result<(), Failure> {
        let style = Style { escape, measure: message::utf16, most: MAX_DESCRIPTION, link: false };
        let mut embed = json!({
            "title": escape(&message::cut(&message::headline(n), MAX_TITLE)),
            "description": message::body(n, around, style),
            "color": message::colour(n),
            "timestamp": message::rfc3339(n.at),
        });
        if let Some(link) = message::link(n, around) {
            embed["url"] = link.into();
        }
        let document = json!({
            "username": "StreamPulse",
            "embeds": [embed],
            "allowed_mentions": { "parse": [] },
        });
        self.receiver.post(Letter::json(&document), around).await
    }
}

impl Channel for Discord {
    fn deliver<'a>(&'a self, n: &'a Notification, around: &'a Around) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.deliver(n, around))
    }
}
