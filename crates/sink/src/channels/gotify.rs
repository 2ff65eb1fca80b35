//! Kind `gotify`: push messages by a Gotify server of one's own (gotify.net/api-docs, `POST /message`), as plain text.

use model::alert::{Notification, Severity, Stage};
use model::conf::{Field, Section, Type};
use model::secret::Secret;
use serde_json::json;

use crate::channel::{Around, BoxFuture, Built, Channel, ChannelKind, Failure, join_fields};
use crate::message::{self, Style};
use crate::post::{self, Letter, POST_FIELDS, Receiver, net_header};
use crate::veil::Veil;

/// Most letters of a message: the server has no bound, phones have.
const MAX_MESSAGE: usize = 8_000;
/// Most letters of a title.
const MAX_TITLE: usize = 200;

const OWN_FIELDS: [Field; 2] = [
    Field::new("url", Type::Text { max: 2000 }, "Address of the server.").required(),
    Field::new("token", Type::Secret, "Token of an application on the server.").required(),
];
static FIELDS: [Field; 8] = join_fields(&[&OWN_FIELDS, &POST_FIELDS]);

/// The row of the table.
pub(crate) static KIND: ChannelKind = ChannelKind {
    name: "gotify",
    summary: "Push messages by a Gotify server",
    example: "\
name: gotify
kind: gotify
url: https://gotify.example.com
token: ${GOTIFY_TOKEN}
",
    fields: &FIELDS,
    build,
};

struct Gotify {
    receiver: Receiver,
    token: Secret,
}

fn build(section: &Section<'_>) -> Built {
    let mut problems = Vec::new();
    let token = post::token(section, "token", |c| c.is_ascii_graphic(), &mut problems);
    let base = post::address(section, "url", &mut problems);
    let made = base.zip(token).and_then(|(base, token)| {
        let address = post::below(&base, "/message").ok()?;
        let receiver = Receiver::new(address, section, Veil::new([token.expose()]), &mut problems);
        Some(Gotify { receiver, token })
    });
    post::built(made, problems)
}

impl Gotify {
    async fn deliver(&self, n: &Notification, around: &Around) -> Result<(), Failure> {
        let style = Style { escape: str::to_owned, measure: message::chars, most: MAX_MESSAGE, link: true };
        let mut extras = json!({ "client::display": { "contentType": "text/plain" } });
        if let Some(link) = message::link(n, around) {
            extras["client::notification"] = json!({ "click": { "url": link } });
        }
        let document = json!({
            "title": message::cut(&message::headline(n), MAX_TITLE),
            "message": message::body(n, around, style),
            "priority": priority(n),
            "extras": extras,
        });
        let letter = Letter::json(&document).with(net_header("x-gotify-key"), self.token.expose());
        self.receiver.post(letter, around).await
    }
}

/// 0 to 10; from 4 on a sound is played, from 8 on the phone insists.
const fn priority(n: &Notification) -> u8 {
    match (n.stage, n.severity) {
        (Stage::Recovered | Stage::Digest | Stage::Test, _) => 4,
        (_, Severity::Info) => 2,
        (_, Severity::Warning) => 6,
        (_, Severity::Critical) => 9,
    }
}

impl Channel for Gotify {
    fn deliver<'a>(&'a self, n: &'a Notification, around: &'a Around) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.deliver(n, around))
    }
}
