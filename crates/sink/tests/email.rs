//! The kind `email` against a scripted mail server: privacy, signing in, recipients, and what refusals mean.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod support;

use sink::channel::{Channel, Failure};
use testkit::smtp::{Manner, SmtpPeer};
use testkit::tls::{Authority, Certificate};

use support::{around, build, notification};

const PASSWORD: &str = "Pl4nted-s3cret";

fn channel(peer: &SmtpPeer, more: &[(&str, &str)]) -> Box<dyn Channel> {
    let port = peer.address().port().to_string();
    let mut options = vec![
        ("host", "127.0.0.1"),
        ("port", port.as_str()),
        ("from", "Watch <watch@example.com>"),
        ("to", "ops@example.com, night@example.com"),
        ("timeout", "5s"),
    ];
    options.retain(|(key, _)| !more.iter().any(|(other, _)| other == key));
    options.extend(more);
    build("email", &options).unwrap_or_else(|problems| panic!("{problems:?}"))
}

async fn send(channel: &dyn Channel, key: &str) -> Result<(), Failure> {
    let mut n = notification();
    n.key = key.to_owned();
    channel.deliver(&n, &around()).await
}

fn says(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[tokio::test]
async fn a_mail_arrives_in_private_in_every_way() {
    let lab = Authority::new();
    let ca = lab.file("ca.pem");
    let ca = ca.to_str().unwrap();
    let login = Some(("watch".to_owned(), PASSWORD.to_owned()));
    let tls = || Some(lab.acceptor(Certificate::Good));
    for (name, manner, options) in [
        (
            "starttls, plain",
            Manner { starttls: tls(), login: login.clone(), ..Manner::default() },
            &[("ca_file", ca), ("user", "watch"), ("password", PASSWORD)][..],
        ),
        (
            "tls, login",
            Manner { tls: tls(), login: login.clone(), ways: "LOGIN CRAM-MD5", ..Manner::default() },
            &[("security", "tls"), ("ca_file", ca), ("user", "watch"), ("password", PASSWORD)],
        ),
        ("none", Manner::default(), &[("security", "none")]),
        ("none, an old server", Manner { old: true, ..Manner::default() }, &[("security", "none")]),
        (
            "none, signing in on this machine",
            Manner { login: login.clone(), ..Manner::default() },
            &[("security", "none"), ("user", "watch"), ("password", PASSWORD)],
        ),
    ] {
        let encrypted = manner.tls.is_some() || manner.starttls.is_some();
        let user = manner.login.as_ref().map(|(user, _)| user.clone());
        let peer = SmtpPeer::start(manner).await;
        send(&*channel(&peer, options), "k").await.unwrap_or_else(|failure| panic!("{name}: {failure}"));
        let mails = peer.mails();
        assert_eq!(peer.slips(), Vec::<String>::new(), "{name}");
        let [mail] = &mails[..] else { panic!("{name}: {mails:?}") };
        assert_eq!(
            (mail.from.as_str(), &mail.to[..]),
            ("watch@example.com", &["ops@example.com".to_owned(), "night@example.com".to_owned()][..])
        );
        assert_eq!((mail.encrypted, &mail.user), (encrypted, &user), "{name}");
        assert!(mail.mail.contains("Subject: [StreamPulse] CRITICAL: Gate is down\r\n"), "{}", mail.mail);
        assert!(mail.mail.contains("To: ops@example.com,\r\n night@example.com\r\n"), "{}", mail.mail);
    }
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_that_is_not_private_or_not_itself() {
    let lab = Authority::new();
    let ca = lab.file("ca.pem");
    let ca = ca.to_str().unwrap();
    let tls = |certificate| Some(lab.acceptor(certificate));
    let with_login = |manner: Manner| Manner { login: Some(("watch".to_owned(), PASSWORD.to_owned())), ..manner };
    for (name, manner, passing, words) in [
        ("no STARTTLS", with_login(Manner::default()), false, "offers no STARTTLS"),
        (
            "STARTTLS refused",
            with_login(Manner {
                starttls: tls(Certificate::Good),
                says: says(&[("STARTTLS", "454 not now")]),
                ..Manner::default()
            }),
            true,
            "454 not now",
        ),
        (
            "another name",
            with_login(Manner { starttls: tls(Certificate::WrongName), ..Manner::default() }),
            true,
            "elsewhere",
        ),
        ("expired", with_login(Manner { starttls: tls(Certificate::Expired), ..Manner::default() }), true, "expired"),
        (
            "said in the clear",
            with_login(Manner { starttls: tls(Certificate::Good), injects: true, ..Manner::default() }),
            true,
            "",
        ),
    ] {
        let peer = SmtpPeer::start(manner).await;
        let channel = channel(&peer, &[("ca_file", ca), ("user", "watch"), ("password", PASSWORD)]);
        let failure = send(&*channel, "k").await.expect_err(name);
        assert!(failure.words.contains(words) && !failure.words.contains(PASSWORD), "{name}: {failure}");
        assert_eq!(failure.passing, passing, "{name}: {failure}");
        assert!(peer.mails().is_empty() && peer.slips().is_empty(), "{name}: {:?}", peer.slips());
    }
}

#[tokio::test]
async fn what_refusals_mean() {
    for (name, replies, login, passing, words) in [
        ("greeting", &[("", "554 go away")][..], None, false, "the connection: 554 go away"),
        ("busy", &[("", "421 too many")], None, true, "421 too many"),
        ("sender", &[("MAIL", "550 5.7.1 not you")], None, false, "the sender: 550 5.7.1 not you"),
        ("full", &[("DATA", "452 no room")], None, true, "452 no room"),
        ("spam", &[(".", "554 5.7.1 looks like spam")], None, false, "the mail: 554 5.7.1"),
        ("later", &[(".", "451 try again")], None, true, "451"),
        ("password", &[], Some("other"), false, "535 5.7.8 wrong user or password"),
        (
            "echoes",
            &[("AUTH", "535 no: {command} for Pl4nted-s3cret")],
            Some(PASSWORD),
            false,
            "535 no: AUTH PLAIN *** for ***",
        ),
        ("nothing offered", &[], None, false, "530 5.7.0 sign in first"),
    ] {
        let wanted = login.or((name == "nothing offered").then_some("x"));
        let login_of_server = wanted.map(|password| ("watch".to_owned(), password.to_owned()));
        let peer = SmtpPeer::start(Manner { says: says(replies), login: login_of_server, ..Manner::default() }).await;
        let mut options = vec![("security", "none")];
        if login.is_some() {
            options.extend([("user", "watch"), ("password", PASSWORD)]);
        }
        let failure = send(&*channel(&peer, &options), "k").await.expect_err(name);
        assert!(failure.words.contains(words), "{name}: {failure}");
        assert_eq!(failure.passing, passing, "{name}: {failure}");
        assert!(!failure.words.contains(PASSWORD) && peer.mails().is_empty(), "{name}: {failure}");
    }
}

#[tokio::test]
async fn who_has_the_mail_does_not_get_it_again() {
    let to = [("security", "none"), ("to", "a@example.com, b@example.com, c@example.com")];
    // One is unknown for ever.
    let peer =
        SmtpPeer::start(Manner { says: says(&[("RCPT TO:<b@", "550 5.1.1 unknown")]), ..Manner::default() }).await;
    let mail = channel(&peer, &to);
    let failure = send(&*mail, "k").await.expect_err("one is refused");
    assert!(
        !failure.passing
            && failure.words.contains("2 of 3 recipients have it")
            && failure.words.contains("b@example.com: 550"),
        "{failure}"
    );
    assert_eq!(peer.mails()[0].to, ["a@example.com", "c@example.com"]);
    send(&*mail, "k").await.expect_err("it stays so");
    assert_eq!(peer.mails().len(), 1, "nobody is served twice");

    // One is put off: the others have it, and only this one is tried again.
    let peer =
        SmtpPeer::start(Manner { says: says(&[("RCPT TO:<b@", "450 4.2.0 greylisted")]), ..Manner::default() }).await;
    let mail = channel(&peer, &to);
    for _ in 0..2 {
        let failure = send(&*mail, "k").await.expect_err("one is put off");
        assert!(failure.passing && failure.words.contains("greylisted"), "{failure}");
    }
    assert_eq!(peer.mails().len(), 1);
    send(&*mail, "other").await.expect_err("another message is for all again");
    assert_eq!(peer.mails().len(), 2);
    assert_eq!(peer.slips(), Vec::<String>::new());
}

#[test]
fn slips_in_the_configuration_are_told() {
    let good = [("host", "smtp.example.com"), ("from", "a@example.com"), ("to", "b@example.com")];
    for (key, value, words) in [
        ("host", "smtp://x", "is no host"),
        ("host", "x:25/y", "is no host"),
        ("from", "a", "no @"),
        ("to", "b@example.com, c\nBcc: d@example.com", "no part of an address"),
        ("user", "x", "without password"),
        ("password", PASSWORD, "without user"),
        ("security", "ssl", "not accepted"),
    ] {
        let mut options: Vec<_> = good.into_iter().filter(|(k, _)| *k != key).collect();
        options.push((key, value));
        let problems = build("email", &options).err().unwrap_or_else(|| panic!("{key}: {value}"));
        let told: String = problems.iter().map(ToString::to_string).collect();
        assert!(told.contains(words) && !told.contains(PASSWORD), "{key}: {told}");
    }
    let clear = [&good[..], &[("security", "none"), ("user", "u"), ("password", PASSWORD)]].concat();
    assert!(build("email", &clear).err().is_some_and(|p| p[0].message.contains("in the clear")));
}
