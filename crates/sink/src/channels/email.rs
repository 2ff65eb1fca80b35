//! Kind `email`: SMTP (RFC 5321) with STARTTLS unless something else is asked for, signing in by PLAIN or LOGIN, several
//! recipients, text and HTML. Mails of one alert are one thread for mail programs, and a second delivery of the same message
//! has the same Message-ID.
//!
//! A recipient that is refused does not keep the others from their mail, and those who have it do not get it again when the
//! rest is tried again.

mod letter;
mod session;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::address::Address;
use model::alert::Notification;
use model::conf::{Field, Problem, Section, Type};
use model::secret::Secret;
use net::attempt::Attempt;
use net::trust::{TLS_FIELDS, TlsOptions};
use wire::mail::Mailbox;

use self::session::{Refused, Session};
use crate::channel::{Around, BoxFuture, Built, Channel, ChannelKind, Failure, join_fields};
use crate::message;
use crate::veil::Veil;

/// Most recipients of one channel: more are a mailing list, which the mail server keeps.
const MAX_RECIPIENTS: usize = 50;
/// Longest address with its name, in bytes.
const MAX_MAILBOX_BYTES: usize = 400;

/// Most letters of what a server said that are kept.
const MAX_WORDS: usize = 300;

const OWN_FIELDS: [Field; 9] = [
    Field::new("host", Type::Text { max: 255 }, "Name or address of the mail server.").required(),
    Field::new("port", Type::Integer { min: 1, max: 65_535 }, "Port. Without this key it is 587 with starttls, 465 with tls, 25 with none."),
    Field::new(
        "security",
        Type::Choice(&["starttls", "tls", "none"]),
        "`starttls`: encrypted from the second command on, and nothing is sent to a server that cannot; `tls`: encrypted from the beginning; `none`: in the clear, for a relay on this machine or network.",
    )
    .default("starttls"),
    Field::new("user", Type::Text { max: 256 }, "User name, where the server wants one."),
    Field::new("password", Type::Secret, "Password of the user."),
    Field::new("from", Type::Text { max: MAX_MAILBOX_BYTES }, "Sender, as mail@example.com or Name <mail@example.com>.").required(),
    Field::new("to", Type::List(&Type::Text { max: MAX_MAILBOX_BYTES }), "Recipients, one or a list.").required(),
    Field::new("subject_prefix", Type::Text { max: 100 }, "Put before every subject.").default("[StreamPulse]"),
    Field::new(
        "timeout",
        Type::Duration { min: Duration::from_millis(500), max: Duration::from_secs(120) },
        "Deadline of one attempt to deliver.",
    )
    .default("30s"),
];
static FIELDS: [Field; 14] = join_fields(&[&OWN_FIELDS, &TLS_FIELDS]);

/// The row of the table.
pub(crate) static KIND: ChannelKind = ChannelKind {
    name: "email",
    summary: "E-mail by a mail server: STARTTLS or TLS, signing in, several recipients",
    example: "\
name: mail
kind: email
host: smtp.example.com
user: streampulse@example.com
password: ${SMTP_PASSWORD}
from: StreamPulse <streampulse@example.com>
to: [ops@example.com, night-watch@example.com]
",
    fields: &FIELDS,
    build,
};

/// How a connection becomes private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    StartTls,
    Tls,
    Nothing,
}

struct Email {
    address: Address,
    security: Security,
    tls: TlsOptions,
    login: Option<(String, Secret)>,
    from: Mailbox,
    to: Vec<Mailbox>,
    prefix: String,
    timeout: Duration,
    veil: Veil,
    progress: Mutex<Progress>,
}

/// Who has the message that is being delivered, or never will: a message that is tried again is the same one.
#[derive(Default)]
struct Progress {
    key: String,
    served: BTreeSet<usize>,
    refused: BTreeSet<usize>,
    /// What the server said of those.
    words: Vec<String>,
}

fn build(section: &Section<'_>) -> Built {
    let mut problems = Vec::new();
    let security = match section.text("security").as_deref() {
        Some("tls") => Security::Tls,
        Some("none") => Security::Nothing,
        _ => Security::StartTls,
    };
    let address = server(section, security, &mut problems);
    let login = login(section, security, &mut problems);
    let mut mailbox = |key: &str, text: &str| {
        let wrong = |message| Problem::new(section.place_of(key), section.path_of(key), message);
        Mailbox::parse(text).map_err(|message| problems.push(wrong(message))).ok()
    };
    let from = section.text("from").and_then(|text| mailbox("from", &text));
    let to: Vec<Mailbox> = section.texts("to").iter().filter_map(|text| mailbox("to", text)).collect();
    let count = section.texts("to").len();
    let wrong = |key: &str, message: String| Problem::new(section.place_of(key), section.path_of(key), message);
    if section.node("to").is_some() && count == 0 {
        problems.push(wrong("to", "there is no recipient".to_owned()));
    }
    if count > MAX_RECIPIENTS {
        let problem = wrong("to", format!("{count} recipients, at most {MAX_RECIPIENTS} are accepted"));
        problems.push(problem.with_remedy("write the address of a mailing list"));
    }
    let mut veil = Veil::default();
    if let Some((user, password)) = &login {
        veil.add(password.expose());
        session::words(user, password).iter().for_each(|word| veil.add(word));
    }
    let tls = TlsOptions::read(section, &mut problems);
    match (address, from) {
        (Some(address), Some(from)) if problems.is_empty() => Ok(Box::new(Email {
            address,
            security,
            tls,
            login,
            from,
            to,
            prefix: section.text("subject_prefix").unwrap_or_default(),
            timeout: section.duration("timeout").unwrap_or(Duration::from_secs(30)),
            veil,
            progress: Mutex::default(),
        })),
        _ => Err(problems),
    }
}

fn server(section: &Section<'_>, security: Security, problems: &mut Vec<Problem>) -> Option<Address> {
    let host = section.text("host")?;
    let port = section.integer("port").unwrap_or(match security {
        Security::StartTls => 587,
        Security::Tls => 465,
        Security::Nothing => 25,
    });
    let bare = host.trim();
    let bracketed = if bare.contains(':') && !bare.starts_with('[') { format!("[{bare}]") } else { bare.to_owned() };
    let parsed = Address::parse(&format!("smtp://{bracketed}:{port}/"));
    let good = !bare.is_empty() && !bare.contains(['/', '@', '?', '#', ' ', '\\', '%']);
    match parsed {
        Ok(address) if good => Some(address),
        _ => {
            let message = format!("{bare:?} is no host");
            let problem = Problem::new(section.place_of("host"), section.path_of("host"), message);
            problems
                .push(problem.with_remedy("write the name alone, such as smtp.example.com, and the port under port"));
            None
        }
    }
}

fn login(section: &Section<'_>, security: Security, problems: &mut Vec<Problem>) -> Option<(String, Secret)> {
    let (user, password) = (section.text("user"), section.secret("password"));
    let wrong = |key: &str, message: &str| Problem::new(section.place_of(key), section.path_of(key), message);
    let (user, password) = match (user, password) {
        (Some(user), Some(password)) => (user, password),
        (None, None) => return None,
        (Some(_), None) => {
            problems.push(wrong("user", "user is given without password").with_remedy("add password, or remove user"));
            return None;
        }
        (None, Some(_)) => {
            problems
                .push(wrong("password", "password is given without user").with_remedy("add user, or remove password"));
            return None;
        }
    };
    let host = section.text("host").unwrap_or_default();
    let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if security == Security::Nothing && !here {
        let problem = wrong("security", "the password would cross the network in the clear");
        problems.push(problem.with_remedy("write `security: starttls` or `tls`, or remove user and password"));
    }
    if user.contains('\0') || password.expose().contains('\0') {
        problems.push(wrong("password", "user and password hold no zero byte"));
    }
    Some((user, password))
}

impl Email {
    async fn deliver(&self, n: &Notification, around: &Around) -> Result<(), Failure> {
        let rest = self.rest(&n.key);
        if !rest.is_empty() {
            let mail = letter::letter(n, around, &self.from, &self.to, &self.prefix);
            let recipients: Vec<&Mailbox> = rest.iter().map(|i| &self.to[*i]).collect();
            let sent = self.send(&mail, &recipients, around).await.map_err(|failure| self.washed(failure))?;
            let later = self.learn(&rest, sent);
            if let Some(words) = later {
                return Err(self.washed(Failure::passing(words)));
            }
        }
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.refused.is_empty() {
            return Ok(());
        }
        let (served, all) = (progress.served.len(), self.to.len());
        let words = format!("{served} of {all} recipients have it; {}", progress.words.join("; "));
        Err(self.washed(Failure::lasting(words)))
    }

    /// Who is still to get the message of this key.
    fn rest(&self, key: &str) -> Vec<usize> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.key != key {
            *progress = Progress { key: key.to_owned(), ..Progress::default() };
        }
        (0..self.to.len()).filter(|i| !progress.served.contains(i) && !progress.refused.contains(i)).collect()
    }

    /// Notes what became of each recipient; the words of one that may be served later.
    fn learn(&self, rest: &[usize], sent: Vec<Result<(), Refused>>) -> Option<String> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let mut later = None;
        for (i, result) in rest.iter().zip(sent) {
            match result {
                Ok(()) => drop(progress.served.insert(*i)),
                Err(refused) if refused.passing => later = Some(self.shown(&refused.words)),
                Err(refused) => {
                    progress.refused.insert(*i);
                    progress.words.push(self.shown(&refused.words));
                }
            }
        }
        later
    }

    async fn send(&self, mail: &str, to: &[&Mailbox], around: &Around) -> Result<Vec<Result<(), Refused>>, Failure> {
        let mut attempt = Attempt::new(&*around.clock, self.timeout);
        let mut session = Session::open(&mut attempt, &self.address, self.security, &self.tls).await?;
        if let Some((user, password)) = &self.login {
            session.sign_in(&mut attempt, user, password).await?;
        }
        session.transfer(&mut attempt, &self.from.address, to, mail).await
    }

    fn washed(&self, failure: Failure) -> Failure {
        Failure { words: self.shown(&failure.words), ..failure }
    }

    /// Words as they may be seen: washed first, because half a secret is not recognised, and cut then.
    fn shown(&self, words: &str) -> String {
        message::cut(&self.veil.wash(words), MAX_WORDS)
    }
}

impl Channel for Email {
    fn deliver<'a>(&'a self, n: &'a Notification, around: &'a Around) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.deliver(n, around))
    }
}
