//! A mail server that takes mails and remembers them, strict about what RFC 5321 and 5322 want of a client, and bad in ways
//! that tests choose.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;

use crate::peer::{Conn, Peer, Stats, send};

/// Largest mail that is read.
const MAX_MAIL_BYTES: usize = 1024 * 1024;

/// A mail as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Sender of the envelope.
    pub from: String,
    /// Recipients of the envelope.
    pub to: Vec<String>,
    /// Headers and body, with the doubled dots taken away.
    pub mail: String,
    /// Whether it came over an encrypted connection.
    pub encrypted: bool,
    /// Who signed in.
    pub user: Option<String>,
}

/// How the server is.
#[derive(Clone, Default)]
pub struct Manner {
    /// Offers STARTTLS with this.
    pub starttls: Option<TlsAcceptor>,
    /// Encrypted from the beginning with this.
    pub tls: Option<TlsAcceptor>,
    /// User and password that are wanted before a mail.
    pub login: Option<(String, String)>,
    /// Ways to sign in that are offered; PLAIN and LOGIN when empty.
    pub ways: &'static str,
    /// Replies in place of the usual ones, by the beginning of the command; `.` is the end of the mail, `` the greeting.
    pub says: Vec<(String, String)>,
    /// Knows no EHLO.
    pub old: bool,
    /// Says something more in the clear right behind its answer to STARTTLS.
    pub injects: bool,
}

/// A running mail server.
pub struct SmtpPeer {
    peer: Peer,
    mails: Arc<Mutex<Vec<Received>>>,
    slips: Arc<Mutex<Vec<String>>>,
}

impl SmtpPeer {
    /// A server of this manner.
    pub async fn start(manner: Manner) -> Self {
        let (mails, slips) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (kept, told, tls) = (Arc::clone(&mails), Arc::clone(&slips), manner.tls.clone());
        let manner = Arc::new(manner);
        let peer = Peer::start_with(tls, move |conn, _stats: Arc<Stats>| {
            let talk = Talk {
                encrypted: manner.tls.is_some(),
                manner: Arc::clone(&manner),
                mails: Arc::clone(&kept),
                slips: Arc::clone(&told),
                conn: Some(conn),
                buffer: Vec::new(),
                user: None,
            };
            talk.run()
        })
        .await;
        Self { peer, mails, slips }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        self.peer.address()
    }

    /// All mails so far.
    #[must_use]
    pub fn mails(&self) -> Vec<Received> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What clients did that no client may.
    #[must_use]
    pub fn slips(&self) -> Vec<String> {
        self.slips.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Talk {
    manner: Arc<Manner>,
    mails: Arc<Mutex<Vec<Received>>>,
    slips: Arc<Mutex<Vec<String>>>,
    conn: Option<Conn>,
    buffer: Vec<u8>,
    encrypted: bool,
    user: Option<String>,
}

impl Talk {
    async fn run(mut self) {
        let _ = self.talk().await;
    }

    fn slip(&self, words: impl Into<String>) {
        self.slips.lock().unwrap_or_else(PoisonError::into_inner).push(words.into());
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let text = String::from_utf8_lossy(&line).into_owned();
                let Some(text) = text.strip_suffix("\r\n") else {
                    self.slip(format!("a line ends without CR: {text:?}"));
                    return None;
                };
                return Some(text.to_owned());
            }
            let mut piece = [0; 4096];
            match self.conn.as_mut()?.read(&mut piece).await {
                Ok(count @ 1..) if self.buffer.len() < MAX_MAIL_BYTES => self.buffer.extend_from_slice(&piece[..count]),
                _ => return None,
            }
        }
    }

    async fn say(&mut self, text: &str) -> Option<()> {
        let lines = text.replace('\n', "\r\n") + "\r\n";
        send(self.conn.as_mut()?, lines.as_bytes()).await.then_some(())
    }

    /// The reply to a command: what the manner says, or the usual one. Whether it is good.
    async fn answer(&mut self, command: &str, usual: &str) -> Option<bool> {
        let other = self.manner.says.iter().find(|(begin, _)| {
            if begin.is_empty() {
                command.is_empty()
            } else {
                command.to_ascii_uppercase().starts_with(&begin.to_ascii_uppercase())
            }
        });
        let reply = other.map_or_else(|| usual.to_owned(), |(_, reply)| reply.replace("{command}", command));
        self.say(&reply).await?;
        Some(reply.starts_with(['2', '3']))
    }

    async fn talk(&mut self) -> Option<()> {
        self.answer("", "220 testkit ESMTP").await?;
        let (mut greeted, mut from, mut to) = (false, None, Vec::new());
        loop {
            let line = self.line().await?;
            let upper = line.to_ascii_uppercase();
            let word = upper.split(' ').next().unwrap_or_default();
            match word {
                "EHLO" if self.manner.old => self.say("502 not known").await?,
                "EHLO" | "HELO" => {
                    if !line[4..].trim().starts_with('[') {
                        self.slip(format!("{line:?} names no address"));
                    }
                    let offers = self.offers();
                    greeted = self.answer(&line, if word == "EHLO" { &offers } else { "250 testkit" }).await?;
                }
                "STARTTLS" if self.manner.starttls.is_some() && !self.encrypted => {
                    if self.answer(&line, "220 go on").await? {
                        self.secure().await?;
                        greeted = false;
                    }
                }
                "AUTH" => self.sign_in(&line).await?,
                "MAIL" => {
                    let denied = self.manner.login.is_some() && self.user.is_none();
                    if !greeted {
                        self.slip("MAIL before EHLO");
                    }
                    let usual = if denied { "530 5.7.0 sign in first" } else { "250 sender taken" };
                    if self.answer(&line, usual).await? {
                        from = between(&line, "MAIL FROM:<", ">");
                        to.clear();
                    }
                }
                "RCPT" => {
                    if from.is_none() {
                        self.slip("RCPT before MAIL");
                    }
                    if self.answer(&line, "250 recipient taken").await? {
                        to.extend(between(&line, "RCPT TO:<", ">"));
                    }
                }
                "DATA" => {
                    if to.is_empty() {
                        self.slip("DATA without a recipient");
                    }
                    if self.answer(&line, "354 go on").await? {
                        let mail = self.mail().await?;
                        self.check(&mail);
                        if self.answer(".", "250 taken").await? {
                            let (from, to) = (from.take().unwrap_or_default(), std::mem::take(&mut to));
                            let (encrypted, user) = (self.encrypted, self.user.clone());
                            let received = Received { from, to, mail, encrypted, user };
                            self.mails.lock().unwrap_or_else(PoisonError::into_inner).push(received);
                        }
                    }
                }
                "QUIT" => return self.say("221 bye").await,
                _ => {
                    self.slip(format!("{line:?} is no command"));
                    self.say("500 not known").await?;
                }
            }
        }
    }

    fn offers(&self) -> String {
        let mut lines = vec!["testkit".to_owned(), "8BITMIME".to_owned()];
        if self.manner.starttls.is_some() && !self.encrypted {
            lines.push("STARTTLS".to_owned());
        }
        if self.manner.login.is_some() {
            let ways = if self.manner.ways.is_empty() { "PLAIN LOGIN" } else { self.manner.ways };
            lines.push(format!("AUTH {ways}"));
        }
        let last = lines.len() - 1;
        let line = |(i, text): (usize, String)| format!("250{}{text}", if i == last { ' ' } else { '-' });
        lines.into_iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
    }

    async fn secure(&mut self) -> Option<()> {
        if self.manner.injects {
            send(self.conn.as_mut()?, b"250 said in the clear\r\n").await;
        }
        if !self.buffer.is_empty() {
            self.slip("something was said between STARTTLS and its answer");
        }
        let acceptor = self.manner.starttls.clone()?;
        let stream = acceptor.accept(self.conn.take()?).await.ok()?;
        self.conn = Some(Box::new(stream));
        self.encrypted = true;
        Some(())
    }

    async fn sign_in(&mut self, line: &str) -> Option<()> {
        let decode = |word: &str| {
            let bytes = base64::engine::general_purpose::STANDARD.decode(word.trim()).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        if !self.encrypted && self.manner.starttls.is_some() {
            self.slip("a password in the clear");
        }
        let (name, password) = match line.split(' ').collect::<Vec<_>>()[..] {
            ["AUTH", "PLAIN", word] => {
                let text = decode(word);
                let mut parts = text.split('\0').skip(1).map(str::to_owned);
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
            }
            ["AUTH", "LOGIN"] => {
                self.say("334 VXNlcm5hbWU6").await?;
                let name = decode(&self.line().await?);
                self.say("334 UGFzc3dvcmQ6").await?;
                (name, decode(&self.line().await?))
            }
            _ => return self.say("504 not known").await,
        };
        let known = self.manner.login.clone() == Some((name.clone(), password));
        let usual = if known { "235 welcome" } else { "535 5.7.8 wrong user or password" };
        if self.answer(line, usual).await? {
            self.user = Some(name);
        }
        Some(())
    }

    async fn mail(&mut self) -> Option<String> {
        let mut mail = String::new();
        loop {
            let line = self.line().await?;
            if line == "." {
                return Some(mail);
            }
            if line.len() > 998 {
                self.slip("a line of the mail has more than 998 letters");
            }
            mail.push_str(line.strip_prefix('.').unwrap_or(&line));
            mail.push_str("\r\n");
        }
    }

    /// What RFC 5322 wants once each.
    fn check(&self, mail: &str) {
        let head = mail.split("\r\n\r\n").next().unwrap_or_default();
        for name in ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"] {
            let count = head.split("\r\n").filter(|line| line.starts_with(&format!("{name}: "))).count();
            if count != 1 {
                self.slip(format!("{count} headers {name}"));
            }
        }
        if !mail.is_ascii() {
            self.slip("letters beyond ASCII");
        }
    }
}

fn between(line: &str, begin: &str, end: &str) -> Option<String> {
    let at = line.to_ascii_uppercase().find(begin)? + begin.len();
    Some(line[at..].split(end).next()?.to_owned())
}
