//! Fuzz bodies: what mail servers answer, and mails made of any text.

use crate::mail::{Mail, Mailbox};
use crate::smtp;

/// Replies of mail servers: however the bytes are cut the same replies come, and what was read is never more than there was.
pub fn smtp_replies(bytes: &[u8]) {
    let mut at = 0;
    while let Ok(Some((reply, used))) = smtp::reply(&bytes[at..]) {
        assert!(used > 0 && at + used <= bytes.len() && (200..600).contains(&reply.code));
        for end in (0..used).take(64) {
            // A beginning is never something else.
            assert_eq!(smtp::reply(&bytes[at..at + end]), Ok(None));
        }
        let _ = smtp::abilities(&reply);
        at += used;
    }
}

/// Mails made of any text: headers stay headers, lines stay short, and no line is a dot alone.
pub fn mail_texts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(mailbox) = Mailbox::parse(&text) {
        let header = mailbox.header();
        assert!(
            header.is_ascii() && !header.contains("\n\n") && header.split("\r\n ").all(|l| !l.contains(['\r', '\n']))
        );
        assert!(!mailbox.address.contains([' ', '<', '>', '\r', '\n', ',']));
    }
    let (name, rest) = text.split_at(text.floor_char_boundary(text.len() / 3));
    let from = Mailbox { name: name.to_owned(), address: "a@h".to_owned() };
    let mail = Mail {
        from: &from,
        to: std::slice::from_ref(&from),
        subject: rest,
        date: rest,
        headers: &[("Message-ID", name.to_owned())],
        text: &text,
        html: rest,
        boundary: "b",
    };
    let written = mail.write();
    assert!(written.is_ascii());
    let head = written.split("\r\n\r\n").next().unwrap_or_default();
    let names = ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"];
    let known = |line: &str| line.starts_with(' ') || line.split(':').next().is_some_and(|name| names.contains(&name));
    assert!(head.split("\r\n").all(known), "{head}");
    let line = smtp::dotted(&written);
    let end = line.windows(5).position(|w| w == b"\r\n.\r\n");
    assert_eq!(end, line.len().checked_sub(5), "the dot is at the end");
    assert!(line.split(|b| *b == b'\n').all(|line| line.last() == Some(&b'\r') || line.is_empty()));
}
