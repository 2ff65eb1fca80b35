//! Kind `ntfy`: push messages by ntfy.sh or a server of one's own, published as JSON to the server's root.
//!
//! A topic is as good as a password on a public server: it is never shown. Messages over 4,096 bytes would become
//! attachments, so they are cut (docs.ntfy.sh, "Limitations").

use model::alert::{Notification, Severity, Stage};
use model::conf::{Field, Problem, Section, Type};
use model::secret::Secret;
use net::http::HeaderValue;
use serde_json::json;

use crate::channel::{Around, BoxFuture, Built, Channel, ChannelKind, Failure, join_fields};
use crate::message::{self, Style};
use crate::post::{self, Letter, POST_FIELDS, Receiver, net_header};
use crate::veil::Veil;

/// Largest message, in bytes.
const MAX_MESSAGE_BYTES: usize = 4_000;
/// Longest title, in letters: it stands in one line of a notification.
const MAX_TITLE: usize = 200;
/// Longest topic that ntfy knows.
const MAX_TOPIC: usize = 64;

const OWN_FIELDS: [Field; 3] = [
    Field::new(
        "url",
        Type::Text { max: 2000 },
        "Address of the server. A user name and password in it are sent by Basic authentication.",
    )
    .default("https://ntfy.sh"),
    Field::new(
        "topic_secret",
        Type::Secret,
        "Topic to publish to. Who knows it can read along on a public server: never shown again.",
    )
    .required(),
    Field::new("token", Type::Secret, "Access token, where the server wants one."),
];
static FIELDS: [Field; 9] = join_fields(&[&OWN_FIELDS, &POST_FIELDS]);

/// The row of the table.
pub(crate) static KIND: ChannelKind = ChannelKind {
    name: "ntfy",
    summary: "Push messages by ntfy.sh or a server of one's own",
    example: "\
name: phones
kind: ntfy
topic_secret: ${NTFY_TOPIC}
",
    fields: &FIELDS,
    build,
};

struct Ntfy {
    receiver: Receiver,
    topic: Secret,
    token: Option<Secret>,
}

fn build(section: &Section<'_>) -> Built {
    let mut problems = Vec::new();
    let topic = section.secret("topic_secret").unwrap_or_default();
    let token = section.secret("token").filter(|token| !token.is_empty());
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if section.node("topic_secret").is_some()
        && (!topic.expose().chars().all(fits) || !(1..=MAX_TOPIC).contains(&topic.expose().len()))
    {
        let (place, path) = (section.place_of("topic_secret"), section.path_of("topic_secret"));
        let problem = Problem::new(place, path, "a topic has 1 to 64 letters a-z, A-Z, digits, _ and -");
        problems.push(problem.with_remedy("write the name alone, without the address of the server"));
    }
    if token.as_ref().is_some_and(|token| HeaderValue::from_str(token.expose()).is_err()) {
        let message = "the token holds letters that no header can carry";
        problems.push(Problem::new(section.place_of("token"), section.path_of("token"), message));
    }
    let veil = Veil::new([topic.expose()].into_iter().chain(token.as_ref().map(Secret::expose)));
    let address = post::address(section, "url", &mut problems);
    let receiver = address.map(|address| {
        let root = post::below(&address, "/").unwrap_or(address);
        Receiver::new(root, section, veil, &mut problems)
    });
    post::built(receiver.map(|receiver| Ntfy { receiver, topic, token }), problems)
}

impl Ntfy {
    async fn deliver(&self, n: &Notification, around: &Around) -> Result<(), Failure> {
        let style = Style { escape: str::to_owned, measure: message::bytes, most: MAX_MESSAGE_BYTES, link: false };
        let mut document = json!({
            "topic": self.topic.expose(),
            "title": message::cut(&message::headline(n), MAX_TITLE),
            "message": message::body(n, around, style),
            "priority": priority(n),
            "tags": [tag(n)],
        });
        if let Some(link) = message::link(n, around) {
            document["click"] = link.into();
        }
        let mut letter = Letter::json(&document);
        if let Some(token) = &self.token {
            letter = letter.with(net_header("authorization"), &format!("Bearer {}", token.expose()));
        }
        self.receiver.post(letter, around).await
    }
}

/// 1 to 5; 4 and 5 wake people up.
const fn priority(n: &Notification) -> u8 {
    match (n.stage, n.severity) {
        (Stage::Recovered | Stage::Digest | Stage::Test, _) => 3,
        (_, Severity::Info) => 2,
        (_, Severity::Warning) => 4,
        (_, Severity::Critical) => 5,
    }
}

/// Shown as a picture before the title.
const fn tag(n: &Notification) -> &'static str {
    match (n.stage, n.severity) {
        (Stage::Recovered, _) => "white_check_mark",
        (Stage::Digest | Stage::Test, _) | (_, Severity::Info) => "information_source",
        (_, Severity::Warning) => "warning",
        (_, Severity::Critical) => "rotating_light",
    }
}

impl Channel for Ntfy {
    fn deliver<'a>(&'a self, n: &'a Notification, around: &'a Around) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.deliver(n, around))
    }
}
