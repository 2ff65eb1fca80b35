//! A notification as a mail: subject, text, the same as simple HTML, and the headers by which mail programs join the mails of
//! one alert.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use model::alert::{Notification, Stage};
use wire::mail::{Mail, Mailbox};

use crate::channel::Around;
use crate::message::{self, Style};
use crate::template::markup;

/// Most letters of the text: mails have no bound of their own, readers have.
const MAX_TEXT: usize = 60_000;
/// Most letters of a subject.
const MAX_SUBJECT: usize = 200;

/// The mail, ready to be sent.
pub(super) fn letter(n: &Notification, around: &Around, from: &Mailbox, to: &[Mailbox], prefix: &str) -> String {
    let style = Style { escape: str::to_owned, measure: message::chars, most: MAX_TEXT, link: true };
    let headline = message::headline(n);
    let body = message::body(n, around, style);
    let text = format!("{headline}\n\n{body}\n\n-- \nRule {}, {}\n", message::one_line(&n.rule), n.severity);
    let subject = message::cut(&format!("{prefix} {headline}"), MAX_SUBJECT);
    let domain = from.address.rsplit('@').next().unwrap_or_default();
    let id = |of: &str| format!("<{}@{domain}>", digest(of));
    let mut headers = vec![
        ("Message-ID", id(&n.key)),
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("X-StreamPulse-Alert", message::one_line(&n.alert)),
        ("X-StreamPulse-Stage", n.stage.to_string()),
        ("X-StreamPulse-Severity", n.severity.to_string()),
    ];
    if !matches!(n.stage, Stage::Digest | Stage::Test) {
        // Nobody has a mail of this id: it only names the thread.
        headers.push(("References", id(&format!("alert {} {}", n.alert, n.began_at.0))));
    }
    let mail = Mail {
        from,
        to,
        subject: subject.trim(),
        date: &date(n),
        headers: &headers,
        text: &text,
        html: &html(n, around, &headline, &body),
        boundary: &digest(&format!("boundary {}", n.key)),
    };
    mail.write()
}

fn date(n: &Notification) -> String {
    let at = Timestamp::from_millisecond(n.at.0).unwrap_or(Timestamp::UNIX_EPOCH);
    rfc2822::to_string(&at.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default()
}

/// A name made of a key: the same for the same key, of letters that fit everywhere.
fn digest(key: &str) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
    hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The same lines between tags; nothing of it asks for anything from elsewhere.
fn html(n: &Notification, around: &Around, headline: &str, body: &str) -> String {
    let link = message::link(n, around);
    let mut out = format!(
        "<html><body style=\"font-family:sans-serif\">\n<h3 style=\"color:#{:06x}\">{}</h3>\n<p>\n",
        message::colour(n),
        markup(headline)
    );
    for line in body.lines() {
        let shown = markup(line);
        if link.as_deref() == Some(line) {
            out.push_str(&format!("<a href=\"{shown}\">{shown}</a><br>\n"));
        } else {
            out.push_str(&format!("{shown}<br>\n"));
        }
    }
    out.push_str("</p>\n</body></html>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::{around, notification};

    #[test]
    fn a_second_delivery_has_the_same_name_and_an_alert_is_one_thread() {
        let from = Mailbox::parse("Watch <watch@example.com>").expect("good");
        let to = [Mailbox::parse("ops@example.com").expect("good")];
        let mut n = notification();
        let first = letter(&n, &around(), &from, &to, "[SP]");
        assert_eq!(first, letter(&n, &around(), &from, &to, "[SP]"));
        n.key = "down/gate#2".to_owned();
        n.stage = Stage::Recovered;
        n.title = "Gate <b>\r\nBcc: x@y".to_owned();
        let second = letter(&n, &around(), &from, &to, "[SP]");
        let header = |mail: &str, name: &str| {
            mail.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
        };
        assert_ne!(header(&first, "Message-ID"), header(&second, "Message-ID"));
        assert_eq!(header(&first, "References"), header(&second, "References"));
        assert_eq!(header(&first, "Subject").as_deref(), Some("[SP] CRITICAL: Gate is down"));
        assert_eq!(header(&first, "Date").as_deref(), Some("Mon, 17 Nov 2025 12:01:30 +0000"));
        assert_eq!(header(&second, "Subject").as_deref(), Some("[SP] RESOLVED: Gate <b> Bcc: x@y"));
        assert!(header(&second, "Bcc").is_none() && second.contains("Gate &lt;b&gt;"), "{second}");
        assert!(first.contains("<a href=3D\"https://watch.example/stream/gate\">"), "{first}");
    }
}
