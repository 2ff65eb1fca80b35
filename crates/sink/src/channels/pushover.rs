//! Kind `pushover`: push messages by Pushover (pushover.net/api): 1,024 letters, a title of 250, a link of 512.

use model::alert::{Notification, Severity, Stage};
use model::conf::{Field, Section, Type};
use model::secret::Secret;

use crate::channel::{Around, BoxFuture, Built, Channel, ChannelKind, Failure, join_fields};
use crate::message::{self, Style};
use crate::post::{self, Letter, POST_FIELDS, Receiver};
use crate::veil::Veil;

/// Most letters of a message.
const MAX_MESSAGE: usize = 1_024;
/// Most letters of a title.
const MAX_TITLE: usize = 250;
/// Longest link.
const MAX_LINK: usize = 512;

const OWN_FIELDS: [Field; 4] = [
    Field::new("token", Type::Secret, "Token of an application at Pushover.").required(),
    Field::new("user_key", Type::Secret, "Key of the user or the group to tell.").required(),
    Field::new("device", Type::Text { max: 100 }, "Name of one device; all of them without this key."),
    Field::new("url", Type::Text { max: 2000 }, "Address of the service.").default("https://api.pushover.net"),
];
static FIELDS: [Field; 10] = join_fields(&[&OWN_FIELDS, &POST_FIELDS]);

/// The row of the table.
pub(crate) static KIND: ChannelKind = ChannelKind {
    name: "pushover",
    summary: "Push messages by Pushover",
    example: "\
name: pushover
kind: pushover
token: ${PUSHOVER_TOKEN}
user_key: ${PUSHOVER_USER}
",
    fields: &FIELDS,
    build,
};

struct Pushover {
    receiver: Receiver,
    token: Secret,
    user: Secret,
    device: Option<String>,
}

fn build(section: &Section<'_>) -> Built {
    let mut problems = Vec::new();
    let token = post::token(section, "token", |c| c.is_ascii_graphic(), &mut problems);
    let user = post::token(section, "user_key", |c| c.is_ascii_graphic(), &mut problems);
    let base = post::address(section, "url", &mut problems);
    let made = base.zip(token).zip(user).and_then(|((base, token), user)| {
        let address = post::below(&base, "/1/messages.json").ok()?;
        let veil = Veil::new([token.expose(), user.expose()]);
        let receiver = Receiver::new(address, section, veil, &mut problems);
        Some(Pushover { receiver, token, user, device: section.text("device") })
    });
    post::built(made, problems)
}

impl Pushover {
    fn form(&self, n: &Notification, around: &Around) -> String {
        let style = Style { escape: str::to_owned, measure: message::chars, most: MAX_MESSAGE, link: false };
        let (title, body) = (message::cut(&message::headline(n), MAX_TITLE), message::body(n, around, style));
        let (priority, timestamp) = (priority(n).to_string(), (n.at.0 / 1000).to_string());
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", self.token.expose())
            .append_pair("user", self.user.expose())
            .append_pair("title", &title)
            .append_pair("message", &body)
            .append_pair("priority", &priority)
            .append_pair("timestamp", &timestamp);
        if let Some(link) = message::link(n, around).filter(|link| link.len() <= MAX_LINK) {
            form.append_pair("url", &link).append_pair("url_title", "Open in StreamPulse");
        }
        if let Some(device) = &self.device {
            form.append_pair("device", device);
        }
        form.finish()
    }
}

/// -1 is quiet, 1 passes by the quiet hours of the user.
const fn priority(n: &Notification) -> i8 {
    match (n.stage, n.severity) {
        (Stage::Recovered | Stage::Digest | Stage::Test, _) | (_, Severity::Warning) => 0,
        (_, Severity::Info) => -1,
        (_, Severity::Critical) => 1,
    }
}

impl Channel for Pushover {
    fn deliver<'a>(&'a self, n: &'a Notification, around: &'a Around) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.receiver.post(Letter::form(self.form(n, around)), around))
    }
}
