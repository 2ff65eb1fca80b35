//! SMTP as a client reads it (RFC 5321): replies, what a server can do (EHLO), and the way text goes over the line. Opens
//! nothing and says nothing by itself.

use std::fmt;

/// Longest line of a reply, in bytes. RFC 5321 section 4.5.3.1.5 allows 512; servers write more.
const MAX_LINE_BYTES: usize = 4096;
/// Most lines of one reply: EHLO answers have a dozen.
const MAX_LINES: usize = 100;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Three digits, 200 to 599.
    pub code: u16,
    /// Its lines without the code.
    pub lines: Vec<String>,
}

impl Reply {
    /// Whether the server did what it was asked, or asks for more.
    #[must_use]
    pub fn is_good(&self) -> bool {
        (200..400).contains(&self.code)
    }

    /// Whether trying again may help (4xx).
    #[must_use]
    pub fn may_pass(&self) -> bool {
        (400..500).contains(&self.code)
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.lines.join(" ").trim())
    }
}

/// Why bytes are no reply. Says nothing of what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A line does not begin with a code.
    NoCode,
    /// The lines of one reply have different codes.
    Mixed,
    /// A line or the reply is too long.
    TooLong,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCode => "a line that begins with no reply code",
            Self::Mixed => "one reply with different codes",
            Self::TooLong => "a reply that is too long",
        })
    }
}

/// Reads the reply at the beginning of `bytes` and tells how many bytes it has; `None` while it is not all there.
///
/// # Errors
/// When the bytes are no reply, whatever follows.
pub fn reply(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Wrong> {
    let (mut at, mut found): (usize, Option<Reply>) = (0, None);
    loop {
        let rest = &bytes[at..];
        let end = rest.iter().position(|b| *b == b'\n');
        if end.unwrap_or(rest.len()) > MAX_LINE_BYTES {
            return Err(Wrong::TooLong);
        }
        let Some(end) = end else {
            // Told early: what begins otherwise never becomes a reply.
            let odd = rest.iter().take(3).enumerate().any(|(i, b)| !is_digit(i, *b));
            return if odd { Err(Wrong::NoCode) } else { Ok(None) };
        };
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        let (code, last, text) = line_of(line).ok_or(Wrong::NoCode)?;
        at += end + 1;
        let reply = found.get_or_insert_with(|| Reply { code, lines: Vec::new() });
        if reply.code != code {
            return Err(Wrong::Mixed);
        }
        if reply.lines.len() >= MAX_LINES {
            return Err(Wrong::TooLong);
        }
        reply.lines.push(text);
        if last {
            return Ok(found.map(|reply| (reply, at)));
        }
    }
}

fn is_digit(place: usize, byte: u8) -> bool {
    if place == 0 { (b'2'..=b'5').contains(&byte) } else { byte.is_ascii_digit() }
}

/// Code, whether it is the last line, and the text.
fn line_of(line: &[u8]) -> Option<(u16, bool, String)> {
    let code = line.get(..3).filter(|code| code.iter().enumerate().all(|(i, b)| is_digit(i, *b)))?;
    let number = code.iter().fold(0_u16, |n, b| n * 10 + u16::from(b - b'0'));
    let last = match line.get(3) {
        None | Some(b' ') => true,
        Some(b'-') => false,
        Some(_) => return None,
    };
    let text = String::from_utf8_lossy(line.get(4..).unwrap_or_default()).into_owned();
    Some((number, last, text))
}

/// What a server says that it can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Encryption on the same connection.
    pub starttls: bool,
    /// User name and password in one word.
    pub plain: bool,
    /// User name and password when asked for each.
    pub login: bool,
    /// Whether any way to sign in is offered.
    pub auth: bool,
}

/// What the answer to EHLO offers.
#[must_use]
pub fn abilities(reply: &Reply) -> Abilities {
    let mut all = Abilities::default();
    for line in reply.lines.iter().skip(1) {
        // Old servers write AUTH=LOGIN.
        let upper = line.to_ascii_uppercase().replace("AUTH=", "AUTH ");
        let mut words = upper.split_ascii_whitespace();
        match words.next() {
            Some("STARTTLS") => all.starttls = true,
            Some("AUTH") => {
                all.auth = true;
                for way in words {
                    all.plain |= way == "PLAIN";
                    all.login |= way == "LOGIN";
                }
            }
            _ => {}
        }
    }
    all
}

/// A message as it goes over the line after DATA: a dot at the beginning of a line is doubled, every line ends with CR and
/// LF, and a dot alone is the end (RFC 5321 section 4.5.2).
#[must_use]
pub fn dotted(message: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    let text = message.strip_suffix('\n').unwrap_or(message);
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.starts_with('.') {
            out.push(b'.');
        }
        // A carriage return alone would be a line end to some servers and none to others.
        out.extend(line.bytes().filter(|b| *b != b'\r'));
        out.extend(b"\r\n");
    }
    out.extend(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<(Reply, usize)>, Wrong> {
        reply(text.as_bytes())
    }

    #[test]
    fn replies_of_servers() {
        let postfix = "250-mail.example\r\n250-PIPELINING\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n";
        let (ehlo, used) = read(&format!("{postfix}220 next")).expect("a reply").expect("whole");
        assert_eq!((ehlo.code, ehlo.lines.len(), used), (250, 5, postfix.len()));
        let all = Abilities { starttls: true, plain: true, login: true, auth: true };
        assert_eq!(abilities(&ehlo), all);
        let (old, _) = read("250-x\n250-AUTH=LOGIN\n250 auth CRAM-MD5\n").expect("a reply").expect("whole");
        assert_eq!(abilities(&old), Abilities { login: true, auth: true, ..Abilities::default() });
        let (bare, _) = read("354\r\n").expect("a reply").expect("whole");
        assert_eq!((bare.to_string().as_str(), bare.is_good()), ("354 ", true));
        let (no, _) = read("550 5.1.1 <x@y>: unknown\r\n").expect("a reply").expect("whole");
        assert_eq!((no.to_string().as_str(), no.is_good(), no.may_pass()), ("550 5.1.1 <x@y>: unknown", false, false));
        // What the name of the server is has no meaning.
        let (named, _) = read("250 STARTTLS\r\n").expect("a reply").expect("whole");
        assert_eq!(abilities(&named), Abilities::default());
    }

    #[test]
    fn what_is_no_reply_is_told_early() {
        for part in ["", "2", "25", "250-x\r\n", "250-x\r\n25", "250 no end"] {
            assert_eq!(read(part), Ok(None), "{part:?}");
        }
        for (text, wrong) in [
            ("HTTP/1.1 200 OK\r\n", Wrong::NoCode),
            ("H", Wrong::NoCode),
            ("250x\r\n", Wrong::NoCode),
            ("650 x\r\n", Wrong::NoCode),
            ("\r\n", Wrong::NoCode),
            ("250-x\r\n550 y\r\n", Wrong::Mixed),
        ] {
            assert_eq!(read(text), Err(wrong), "{text:?}");
        }
        assert_eq!(read(&"2".repeat(5000)), Err(Wrong::TooLong));
        assert_eq!(read(&"250-x\r\n".repeat(200)), Err(Wrong::TooLong));
    }

    #[test]
    fn a_dot_is_never_the_end_by_accident() {
        assert_eq!(dotted("a\r\n.\r\n..b\n.c\rd\n"), b"a\r\n..\r\n...b\r\n..cd\r\n.\r\n");
        assert_eq!(dotted(""), b"\r\n.\r\n");
    }
}
