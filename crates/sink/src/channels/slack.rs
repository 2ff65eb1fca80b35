//! Kind `slack`: an incoming webhook of Slack, or of services that take the same (Mattermost, Rocket.Chat).
//!
//! Text of others is escaped as Slack asks (`&`, `<`, `>`), so that no name can mention a channel or hide a link; a section
//! holds 3,000 letters (docs.slack.dev, "Formatting message text", "Section block").

use model::alert::Notification;
use model::conf::{Field, Section};
use serde_json::json;

use crate::channel::{Around, BoxFuture, Built, Channel, ChannelKind, Failure, join_fields};
use crate::message::{self, Style};
use crate::post::{self, Letter, POST_FIELDS, Receiver, WEBHOOK_URL};

/// Most letters of a section, less the room for the link behind it.
const MAX_SECTION: usize = 2_400;
/// Most letters of the headline: it is what a phone shows.
const MAX_HEADLINE: usize = 250;
/// Longest link that is written: with the text it stays within a section.
const MAX_LINK: usize = 500;

const OWN_FIELDS: [Field; 1] = [WEBHOOK_URL];
static FIELDS: [Field; 7] = join_fields(&[&OWN_FIELDS, &POST_FIELDS]);

/// The row of the table.
pub(crate) static KIND: ChannelKind = ChannelKind {
    name: "slack",
    summary: "Slack, or what takes the same: Mattermost, Rocket.Chat",
    example: "\
name: chat
kind: slack
webhook_url: ${SLACK_URL}
",
    fields: &FIELDS,
    build,
};

struct Slack {
    receiver: Receiver,
}

fn build(section: &Section<'_>) -> Built {
    let mut problems = Vec::new();
    let receiver = post::hook(section, &mut problems);
    post::built(receiver.map(|receiver| Slack { receiver }), problems)
}

/// The three letters that begin markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Slack {
    async fn deliver(&self, n: &Notification, around: &Around) -> Result<(), Failure> {
        let style = Style { escape, measure: message::chars, most: MAX_SECTION, link: false };
        let mut text = message::body(n, around, style);
        // A bar ends the address of a link.
        if let Some(link) = message::link(n, around).map(|link| escape(&link).replace('|', "%7C"))
            && link.len() <= MAX_LINK
        {
            text.push_str(&format!("\n<{link}|Open in StreamPulse>"));
        }
        let headline = escape(&message::cut(&message::headline(n), MAX_HEADLINE));
        let document = json!({
            "text": format!("{} {headline}", message::sign(n)),
            "attachments": [{
                "color": format!("#{:06x}", message::colour(n)),
                "fallback": headline,
                "blocks": [{ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } }],
            }],
        });
        self.receiver.post(Letter::json(&document), around).await
    }
}

impl Channel for Slack {
    fn deliver<'a>(&'a self, n: &'a Notification, around: &'a Around) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.deliver(n, around))
    }
}
