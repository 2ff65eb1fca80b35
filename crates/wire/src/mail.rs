//! A mail as text (RFC 5322, 2045, 2047): addresses, header lines and parts, all of it ASCII in short lines. No value can end
//! its line and begin another header.

use std::fmt::Write as _;

use base64::Engine as _;

/// Longest address that servers must take (RFC 5321 section 4.5.3.1.3).
const MAX_ADDRESS_BYTES: usize = 254;
/// Longest local part (RFC 5321 section 4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;
/// Bytes of text in one encoded word: with its frame it stays under 75 letters (RFC 2047 section 2).
const WORD_BYTES: usize = 39;
/// Longest header value that is written as it is; longer ones are folded by encoded words.
const PLAIN_HEADER: usize = 66;
/// Longest line of quoted-printable (RFC 2045 section 6.7).
const MAX_QUOTED: usize = 76;

/// Who gets or sends a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Name for people; empty where there is none.
    pub name: String,
    /// Address.
    pub address: String,
}

impl Mailbox {
    /// Reads `mail@example.com` or `Name <mail@example.com>`.
    ///
    /// # Errors
    /// A sentence about what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (name, address) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, address)) => (name.trim().trim_matches('"').to_owned(), address.trim()),
            None => (String::new(), text),
        };
        if name.contains(char::is_control) {
            return Err("the name holds a line break or another control character".to_owned());
        }
        let (local, domain) = address.rsplit_once('@').ok_or_else(|| format!("{address:?} has no @"))?;
        let good_local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        let dots = |part: &str| part.starts_with('.') || part.ends_with('.') || part.contains("..") || part.is_empty();
        if !local.chars().all(good_local) || dots(local) || local.len() > MAX_LOCAL_BYTES {
            return Err(format!("{local:?} before the @ is no part of an address"));
        }
        let literal = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']'));
        let good = match literal {
            Some(inner) => !inner.is_empty() && inner.chars().all(|c| c.is_ascii_alphanumeric() || ".:-".contains(c)),
            None => !dots(domain) && domain.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.'),
        };
        if !good || address.len() > MAX_ADDRESS_BYTES {
            return Err(format!(
                "{domain:?} behind the @ is no host (other letters than ASCII are written as xn--...)"
            ));
        }
        Ok(Self { name, address: address.to_owned() })
    }

    /// As it stands in a header.
    #[must_use]
    pub fn header(&self) -> String {
        if self.name.is_empty() {
            return self.address.clone();
        }
        let simple =
            self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ') && self.name.len() <= PLAIN_HEADER;
        let name = if simple { self.name.clone() } else { encoded_words(&self.name) };
        format!("{name} <{}>", self.address)
    }
}

/// A mail.
pub struct Mail<'a> {
    /// Who sends it.
    pub from: &'a Mailbox,
    /// Who gets it.
    pub to: &'a [Mailbox],
    /// One line.
    pub subject: &'a str,
    /// Date as RFC 5322 wants it.
    pub date: &'a str,
    /// Further headers, such as `Message-ID`, whose values are visible ASCII.
    pub headers: &'a [(&'a str, String)],
    /// The text for readers without HTML.
    pub text: &'a str,
    /// The same for readers with it.
    pub html: &'a str,
    /// Stands between the parts and in none of them; letters and digits.
    pub boundary: &'a str,
}

impl Mail<'_> {
    /// The mail, in lines that end with CR and LF.
    #[must_use]
    pub fn write(&self) -> String {
        let mut out = String::new();
        let to: Vec<String> = self.to.iter().map(Mailbox::header).collect();
        let mut line = |name: &str, value: &str| {
            let _ = write!(out, "{name}: {value}\r\n"); // writing to a text cannot fail
        };
        line("From", &self.from.header());
        line("To", &to.join(",\r\n "));
        line("Subject", &header_text(self.subject));
        line("Date", &ascii(self.date));
        for (name, value) in self.headers {
            line(&ascii(name), &ascii(value));
        }
        line("MIME-Version", "1.0");
        line("Content-Type", &format!("multipart/alternative; boundary=\"{}\"", self.boundary));
        for (kind, text) in [("plain", self.text), ("html", self.html)] {
            let _ = write!(
                out,
                "\r\n--{}\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}",
                self.boundary,
                quoted_printable(text)
            );
        }
        let _ = write!(out, "\r\n--{}--\r\n", self.boundary);
        out
    }
}

/// The value of a header for any text: as it is where it is short visible ASCII, else as encoded words on folded lines.
#[must_use]
pub fn header_text(text: &str) -> String {
    let plain = text.len() <= PLAIN_HEADER && text.bytes().all(|b| (b' '..0x7f).contains(&b)) && !text.contains("=?");
    if plain && text.trim() == text { text.to_owned() } else { encoded_words(text) }
}

/// Only visible ASCII and blanks.
fn ascii(text: &str) -> String {
    text.chars().filter(|c| (' '..='~').contains(c)).collect()
}

/// The text as encoded words (RFC 2047), one on a line.
fn encoded_words(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut words = Vec::new();
    let mut rest = line.as_str();
    while !rest.is_empty() {
        let end = rest.floor_char_boundary(WORD_BYTES.min(rest.len()));
        let (word, next) = rest.split_at(end);
        words.push(format!("=?utf-8?B?{}?=", base64::engine::general_purpose::STANDARD.encode(word)));
        rest = next;
    }
    words.join("\r\n ")
}

/// Quoted-printable, for texts of lines (RFC 2045 section 6.7).
fn quoted_printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 5 / 4);
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let mut width = 0;
        let bytes = line.as_bytes();
        for (i, byte) in bytes.iter().enumerate() {
            let last = i + 1 == bytes.len();
            let bare = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (matches!(byte, b' ' | b'\t') && !last);
            // At the beginning of a line a dash could be a boundary and a dot the end of the mail.
            let bare = bare && !(matches!(byte, b'-' | b'.') && (width == 0 || width + 1 > MAX_QUOTED - 1));
            let piece = if bare { char::from(*byte).to_string() } else { format!("={byte:02X}") };
            if width + piece.len() > MAX_QUOTED - 1 {
                out.push_str("=\r\n");
                width = 0;
            }
            width += piece.len();
            out.push_str(&piece);
        }
        out.push_str("\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, name, address) in [
            ("ops@example.com", "", "ops@example.com"),
            (" Night watch <a.b+c@mx.example.com> ", "Night watch", "a.b+c@mx.example.com"),
            ("\"Café, Wache\" <x@[192.0.2.1]>", "Café, Wache", "x@[192.0.2.1]"),
            ("x@localhost", "", "x@localhost"),
        ] {
            let mailbox = Mailbox::parse(text).expect(text);
            assert_eq!((mailbox.name.as_str(), mailbox.address.as_str()), (name, address));
        }
        for bad in [
            "",
            "a",
            "@h",
            "a@",
            "a@h>\r\nRCPT TO:<b@h",
            "a b@h",
            "a@h b",
            "a@h\r\n",
            "a..b@h",
            ".a@h",
            "a@h..i",
            "ä@h",
            "a@ä.example",
            "x\r\nBcc: y <a@h>",
            "a@h, b@h",
            "<>",
            "a@[]",
        ] {
            let told = Mailbox::parse(bad);
            assert!(told.is_err() || bad == "a@h\r\n", "{bad:?}: {told:?}");
        }
        assert_eq!(Mailbox::parse("Café <a@h>").expect("good").header(), "=?utf-8?B?Q2Fmw6k=?= <a@h>");
        assert_eq!(Mailbox::parse("Night, <a@h>").expect("good").header(), "=?utf-8?B?TmlnaHQs?= <a@h>");
    }

    #[test]
    fn no_value_begins_another_header_and_every_line_is_short_ascii() {
        let from = Mailbox { name: "Café".to_owned(), address: "a@h".to_owned() };
        let evil = "x\r\nBcc: victim@example.com\r\n\r\n<b>".to_owned() + &"ü".repeat(200);
        let mail = Mail {
            from: &from,
            to: &[from.clone(), from.clone()],
            subject: &evil,
            date: "Mon, 17 Nov 2025 12:00:00 +0000\r\nX: y",
            headers: &[("Message-ID", "<1@h>\r\nBcc: z@h".to_owned())],
            text: &format!("{evil}\n.\ntrailing \n--b1\n"),
            html: "<p>=</p>",
            boundary: "b1",
        };
        let text = mail.write();
        let (head, _) = text.split_once("\r\n\r\n").expect("a body");
        assert!(text.is_ascii() && !head.to_lowercase().contains("\nbcc:"), "{text}");
        assert_eq!(text.matches("\r\n--b1").count(), 3, "{text}");
        assert!(text.split("\r\n").all(|line| line.len() <= 78 && !line.contains(['\r', '\n'])), "{text}");
        assert!(text.contains("trailing=20\r\n") && text.contains("<p>=3D</p>"), "{text}");
        assert_eq!(
            text.split("\r\n\r\n")
                .next()
                .unwrap_or_default()
                .lines()
                .filter(|l| l.starts_with("Subject: =?utf-8"))
                .count(),
            1
        );
        assert_eq!(header_text("plain"), "plain");
        assert_eq!(header_text("=?x"), "=?utf-8?B?PT94?=");
    }
}
