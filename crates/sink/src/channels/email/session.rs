//! One conversation with a mail server: greeting, privacy, signing in, one mail. Owns the order of commands and what each
//! answer means for another attempt; sends no password in the clear unless the configuration asked for it.

use base64::Engine as _;
use model::address::Address;
use model::fault::Fault;
use model::phase::Phase;
use model::reading::Reading;
use model::secret::Secret;
use net::attempt::Attempt;
use net::dial::{self, Stream, io_fault};
use net::trust::TlsOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::mail::Mailbox;
use wire::smtp::{self, Abilities, Reply};

use super::Security;
use crate::channel::Failure;

/// Read from the connection at once.
const READ_BYTES: usize = 4096;
/// Longest that a polite end is waited for: the mail is delivered then.
const FAREWELL: std::time::Duration = std::time::Duration::from_millis(500);

/// An open conversation.
pub(super) struct Session {
    stream: Stream,
    /// Received and not read yet.
    buffer: Vec<u8>,
    abilities: Abilities,
}

/// A recipient that was refused.
pub(super) struct Refused {
    /// Whether trying again may help.
    pub(super) passing: bool,
    /// What the server said.
    pub(super) words: String,
}

impl Session {
    /// Connects and greets, and makes the connection private as asked.
    pub(super) async fn open(
        at: &mut Attempt<'_>,
        address: &Address,
        security: Security,
        tls: &TlsOptions,
    ) -> Result<Self, Failure> {
        let mut reading = Reading::default();
        let first = (security == Security::Tls).then_some(tls);
        let stream = dial::connect(at, address, first, &mut reading).await.map_err(failed)?;
        let mut session = Self { stream, buffer: Vec::new(), abilities: Abilities::default() };
        let greeting = session.reply(at).await?;
        expect(&greeting, 220, "the connection")?;
        session.greet(at).await?;
        if security == Security::StartTls {
            session = session.starttls(at, address, tls, &mut reading).await?;
        }
        Ok(session)
    }

    async fn starttls(
        mut self,
        at: &mut Attempt<'_>,
        address: &Address,
        tls: &TlsOptions,
        reading: &mut Reading,
    ) -> Result<Self, Failure> {
        if !self.abilities.starttls {
            return Err(Failure::lasting(
                "the mail server offers no STARTTLS, and nothing is sent in the clear; set security to tls or none where that is right",
            ));
        }
        let ready = self.command(at, "STARTTLS").await?;
        expect(&ready, 220, "STARTTLS")?;
        if !self.buffer.is_empty() {
            // Whoever sits between could have put it there, for us to take as said in private.
            return Err(Failure::passing(
                "the mail server said more than it was asked before the connection was private",
            ));
        }
        let stream = dial::upgrade(at, self.stream, address.host(), tls, reading).await.map_err(failed)?;
        let mut session = Self { stream, buffer: Vec::new(), abilities: Abilities::default() };
        session.greet(at).await?;
        Ok(session)
    }

    /// EHLO, and HELO to servers that do not know it. We name our own address, which needs no name that anybody knows.
    async fn greet(&mut self, at: &mut Attempt<'_>) -> Result<(), Failure> {
        let own = match self.stream.tcp().local_addr() {
            Ok(address) if address.is_ipv6() => format!("[IPv6:{}]", address.ip()),
            Ok(address) => format!("[{}]", address.ip()),
            Err(_) => "[127.0.0.1]".to_owned(),
        };
        let answer = self.command(at, &format!("EHLO {own}")).await?;
        if answer.is_good() {
            self.abilities = smtp::abilities(&answer);
            return Ok(());
        }
        if !(500..=504).contains(&answer.code) {
            return Err(refused(&answer, "EHLO"));
        }
        let answer = self.command(at, &format!("HELO {own}")).await?;
        expect(&answer, 250, "HELO")
    }

    /// Signs in by the first way that both know.
    pub(super) async fn sign_in(&mut self, at: &mut Attempt<'_>, user: &str, password: &Secret) -> Result<(), Failure> {
        let [plain, name, secret] = words(user, password);
        let answer = if self.abilities.plain {
            let answer = self.command(at, &format!("AUTH PLAIN {plain}")).await?;
            // Some want the word only when they asked for it.
            if answer.code == 334 { self.command(at, &plain).await? } else { answer }
        } else if self.abilities.login {
            let mut answer = self.command(at, "AUTH LOGIN").await?;
            for word in [name, secret] {
                if answer.code != 334 {
                    break;
                }
                answer = self.command(at, &word).await?;
            }
            answer
        } else {
            let words = if self.abilities.auth {
                "the mail server offers neither PLAIN nor LOGIN to sign in"
            } else {
                "the mail server offers no way to sign in; remove user and password where it needs none"
            };
            return Err(Failure::lasting(words));
        };
        expect(&answer, 235, "signing in")
    }

    /// Hands the mail over. What became of each recipient, when the mail was taken or nobody would get it.
    pub(super) async fn transfer(
        &mut self,
        at: &mut Attempt<'_>,
        from: &str,
        to: &[&Mailbox],
        mail: &str,
    ) -> Result<Vec<Result<(), Refused>>, Failure> {
        let answer = self.command(at, &format!("MAIL FROM:<{from}>")).await?;
        expect(&answer, 250, "the sender")?;
        let mut sent = Vec::with_capacity(to.len());
        for mailbox in to {
            let answer = self.command(at, &format!("RCPT TO:<{}>", mailbox.address)).await?;
            sent.push(if answer.is_good() {
                Ok(())
            } else {
                Err(Refused { passing: answer.may_pass(), words: refused(&answer, &mailbox.address).words })
            });
        }
        if sent.iter().any(Result::is_ok) {
            let answer = self.command(at, "DATA").await?;
            expect(&answer, 354, "DATA")?;
            self.write(at, smtp::dotted(mail)).await?;
            let answer = self.reply(at).await?;
            if !answer.is_good() {
                return Err(refused(&answer, "the mail"));
            }
        }
        let farewell = async {
            let _ = self.stream.write_all(b"QUIT\r\n").await;
            let _ = self.stream.shutdown().await;
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
        Ok(sent)
    }

    /// One command, in a line of its own, and its answer.
    async fn command(&mut self, at: &mut Attempt<'_>, command: &str) -> Result<Reply, Failure> {
        debug_assert!(!command.contains(['\r', '\n']), "a command is one line");
        self.write(at, format!("{command}\r\n").into_bytes()).await?;
        self.reply(at).await
    }

    async fn write(&mut self, at: &mut Attempt<'_>, bytes: Vec<u8>) -> Result<(), Failure> {
        let stream = &mut self.stream;
        let writing = async {
            let written = async {
                stream.write_all(&bytes).await?;
                stream.flush().await
            };
            written.await.map_err(|error| io_fault(Phase::Transfer, &error))
        };
        at.run(Phase::Transfer, writing).await.map_err(failed)
    }

    async fn reply(&mut self, at: &mut Attempt<'_>) -> Result<Reply, Failure> {
        let (stream, buffer) = (&mut self.stream, &mut self.buffer);
        let reading = async {
            let mut piece = [0; READ_BYTES];
            loop {
                match smtp::reply(buffer) {
                    Ok(Some((reply, used))) => {
                        buffer.drain(..used);
                        return Ok(reply);
                    }
                    Ok(None) => {}
                    Err(wrong) => {
                        return Err(Fault::protocol(Phase::Handshake, format!("this is no mail server: {wrong}")));
                    }
                }
                match stream.read(&mut piece).await {
                    Ok(0) => {
                        return Err(Fault::protocol(Phase::Handshake, "the mail server closed the connection"));
                    }
                    Ok(count) => buffer.extend_from_slice(&piece[..count]),
                    Err(error) => return Err(io_fault(Phase::Handshake, &error)),
                }
            }
        };
        at.run(Phase::Handshake, reading).await.map_err(failed)
    }
}

/// What signing in sends: for PLAIN (RFC 4616), and the two words of LOGIN.
pub(super) fn words(user: &str, password: &Secret) -> [String; 3] {
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    [encode(&format!("\0{user}\0{}", password.expose())), encode(user), encode(password.expose())]
}

fn failed(fault: Fault) -> Failure {
    Failure::passing(fault.to_string())
}

fn expect(answer: &Reply, code: u16, of: &str) -> Result<(), Failure> {
    // 250 and 251 both take a recipient; otherwise the class is what counts.
    if answer.code / 100 == code / 100 { Ok(()) } else { Err(refused(answer, of)) }
}

fn refused(answer: &Reply, of: &str) -> Failure {
    let said = crate::message::one_line(&answer.to_string());
    let words = format!("the mail server answers to {of}: {said}");
    // 421: it is closing and another attempt may find it well.
    if answer.is_good() || answer.may_pass() { Failure::passing(words) } else { Failure::lasting(words) }
}
