//! Kind `telegram`: a bot of Telegram writes to a chat. Plain text without a parse mode, so that nothing in a name is markup;
//! 4,096 letters (core.telegram.org/bots/api#sendmessage).
//!
//! The bot's token is part of the URL: no error and no log shows it.

use model::alert::{Notification, Severity};
use model::conf::{Field, Section, Type};
use serde_json::json;

use crate::channel::{Around, BoxFuture, Built, Channel, ChannelKind, Failure, join_fields};
use crate::message::{self, Style};
use crate::post::{self, Letter, POST_FIELDS, Receiver};
use crate::veil::Veil;

/// Most units of the text below the headline.
const MAX_BODY: usize = 3_700;
/// Most letters of the headline.
const MAX_HEADLINE: usize = 250;

const OWN_FIELDS: [Field; 4] = [
    Field::new("token", Type::Secret, "Token of the bot, as @BotFather gave it.").required(),
    Field::new(
        "chat_id",
        Type::Text { max: 64 },
        "Chat to write to: a number such as -1001234567890, or the @name of a channel.",
    )
    .required(),
    Field::new("thread_id", Type::Integer { min: 1, max: i64::MAX }, "Topic of a group that has topics."),
    Field::new("url", Type::Text { max: 2000 }, "Address of a Bot API server of one's own.")
        .default("https://api.telegram.org"),
];
static FIELDS: [Field; 10] = join_fields(&[&OWN_FIELDS, &POST_FIELDS]);

/// The row of the table.
pub(crate) static KIND: ChannelKind = ChannelKind {
    name: "telegram",
    summary: "A chat of Telegram, by a bot",
    example: "\
name: telegram
kind: telegram
token: ${TELEGRAM_TOKEN}
chat_id: -1001234567890
",
    fields: &FIELDS,
    build,
};

struct Telegram {
    receiver: Receiver,
    chat_id: String,
    thread_id: Option<i64>,
}

fn build(section: &Section<'_>) -> Built {
    let mut problems = Vec::new();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
    let token = post::token(section, "token", fits, &mut problems);
    let base = post::address(section, "url", &mut problems);
    let receiver = base.zip(token).and_then(|(base, token)| {
        let mut veil = Veil::new([token.expose()]);
        // The number before the colon is the bot's public name.
        veil.add(token.expose().rsplit(':').next().unwrap_or_default());
        let address = post::below(&base, &format!("/bot{}/sendMessage", token.expose())).ok()?;
        Some(Receiver::new(address, section, veil, &mut problems))
    });
    let chat_id = section.text("chat_id").unwrap_or_default();
    let thread_id = section.integer("thread_id");
    post::built(receiver.map(|receiver| Telegram { receiver, chat_id, thread_id }), problems)
}

impl Telegram {
    async fn deliver(&self, n: &Notification, around: &Around) -> Result<(), Failure> {
        let style = Style { escape: str::to_owned, measure: message::utf16, most: MAX_BODY, link: true };
        let headline = message::cut(&message::headline(n), MAX_HEADLINE);
        let mut document = json!({
            "chat_id": self.chat_id,
            "text": format!("{} {headline}\n{}", message::sign(n), message::body(n, around, style)),
            "link_preview_options": { "is_disabled": true },
            "disable_notification": n.severity == Severity::Info,
        });
        if let Some(thread) = self.thread_id {
            document["message_thread_id"] = thread.into();
        }
        self.receiver.post(Letter::json(&document), around).await
    }
}

impl Channel for Telegram {
    fn deliver<'a>(&'a self, n: &'a Notification, around: &'a Around) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.deliver(n, around))
    }
}
