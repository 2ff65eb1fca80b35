//! Kind `teams`: a workflow of Microsoft Teams ("Post to a channel when a webhook request is received"), which is given an
//! adaptive card. The lines are text runs, in which nothing is markup.
//!
//! A message may have 28 KB (learn.microsoft.com, "Create and send messages", limits of incoming webhooks and workflows).

use model::alert::{Notification, Severity, Stage};
use model::conf::{Field, Section};
use serde_json::{Value, json};

use crate::channel::{Around, BoxFuture, Built, Channel, ChannelKind, Failure, join_fields};
use crate::message::{self, Style};
use crate::post::{self, Letter, POST_FIELDS, Receiver, WEBHOOK_URL};

/// Most bytes of all lines with their frames; the card around them takes less than 2 KB.
const MAX_LINES_BYTES: usize = 22_000;
/// Bytes of the frame of one line.
const FRAME_BYTES: usize = 110;
/// Most letters of the headline.
const MAX_HEADLINE: usize = 250;

const OWN_FIELDS: [Field; 1] = [WEBHOOK_URL];
static FIELDS: [Field; 7] = join_fields(&[&OWN_FIELDS, &POST_FIELDS]);

/// The row of the table.
pub(crate) static KIND: ChannelKind = ChannelKind {
    name: "teams",
    summary: "A channel of Microsoft Teams, by a workflow",
    example: "\
name: teams
kind: teams
webhook_url: ${TEAMS_URL}
",
    fields: &FIELDS,
    build,
};

struct Teams {
    receiver: Receiver,
}

fn build(section: &Section<'_>) -> Built {
    let mut problems = Vec::new();
    let receiver = post::hook(section, &mut problems);
    post::built(receiver.map(|receiver| Teams { receiver }), problems)
}

/// What a line costs in the document.
fn cost(line: &str) -> usize {
    Value::from(line).to_string().len() + FRAME_BYTES
}

/// A line of text in which nothing is markup.
fn run(text: &str, more: Value) -> Value {
    let mut run = json!({ "type": "TextRun", "text": text });
    if let (Some(run), Value::Object(more)) = (run.as_object_mut(), more) {
        run.extend(more);
    }
    json!({ "type": "RichTextBlock", "inlines": [run] })
}

impl Teams {
    async fn deliver(&self, n: &Notification, around: &Around) -> Result<(), Failure> {
        let style = Style { escape: str::to_owned, measure: cost, most: MAX_LINES_BYTES, link: false };
        let headline = message::cut(&message::headline(n), MAX_HEADLINE);
        let mut blocks = vec![run(&headline, json!({ "weight": "Bolder", "size": "Large", "color": colour(n) }))];
        let body = message::body(n, around, style);
        blocks.extend(body.lines().filter(|line| !line.is_empty()).map(|line| run(line, Value::Null)));
        let mut card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": blocks,
            "msteams": { "width": "Full" },
        });
        if let Some(link) = message::link(n, around) {
            card["actions"] = json!([{ "type": "Action.OpenUrl", "title": "Open in StreamPulse", "url": link }]);
        }
        let document = json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": card,
            }],
        });
        self.receiver.post(Letter::json(&document), around).await
    }
}

/// A colour of adaptive cards.
const fn colour(n: &Notification) -> &'static str {
    match (n.stage, n.severity) {
        (Stage::Recovered, _) => "Good",
        (Stage::Digest | Stage::Test, _) | (_, Severity::Info) => "Accent",
        (_, Severity::Warning) => "Warning",
        (_, Severity::Critical) => "Attention",
    }
}

impl Channel for Teams {
    fn deliver<'a>(&'a self, n: &'a Notification, around: &'a Around) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.deliver(n, around))
    }
}
