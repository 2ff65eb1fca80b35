//! Channels at real servers of the testbed: mail by aiosmtpd, and an Alertmanager of Prometheus.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]
#![allow(clippy::print_stderr, reason = "says when it is skipped")]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use model::alert::{Notification, Severity, Stage};
use serde_json::Value;
use testkit::wait::wait_for;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use support::{around, build, notification};

/// Longest wait for something that must happen soon.
const PATIENCE: Duration = Duration::from_secs(10);

/// The folder of the running testbed; says loudly when there is none.
fn testbed() -> Option<PathBuf> {
    if std::env::var_os("STREAMPULSE_TESTBED").is_none() {
        eprintln!("SKIPPED: no testbed (set STREAMPULSE_TESTBED=1 and TESTBED_DIR; see testbed/README.md)");
        return None;
    }
    Some(PathBuf::from(std::env::var_os("TESTBED_DIR").expect("TESTBED_DIR names the folder of the running testbed")))
}

/// The mail whose subject names `mark`, once it is there.
async fn mail(folder: &Path, mark: &str) -> Option<Value> {
    let find = || {
        let files = std::fs::read_dir(folder.join("smtp")).ok()?;
        let read = |path: PathBuf| serde_json::from_str::<Value>(&std::fs::read_to_string(path).ok()?).ok();
        let whole = |path: &PathBuf| path.extension().is_some_and(|e| e == "json");
        let mut mails = files.filter_map(|file| Some(file.ok()?.path())).filter(whole).filter_map(read);
        mails.find(|mail| mail["content"].as_str().is_some_and(|text| text.contains(mark)))
    };
    wait_for(PATIENCE, || find().is_some()).await;
    find()
}

/// A word that no other run has.
fn mark(name: &str) -> String {
    let now = around().clock.utc().0;
    format!("{name}-{now}-{}", std::process::id())
}

#[tokio::test]
async fn mails_arrive_at_a_real_mail_server() {
    let Some(folder) = testbed() else { return };
    let ca = folder.join("ca/ca.pem");
    let ca = ca.to_str().unwrap();
    let common = [("host", "localhost"), ("from", "Wächter <watch@example.com>"), ("ca_file", ca)];
    let login = [("user", "watch"), ("password", "s3cret")];
    for (name, port, security, login) in [
        ("clear", "11025", "none", &[][..]),
        ("starttls", "11587", "starttls", &login),
        ("tls", "11465", "tls", &login),
    ] {
        let mut options = common.to_vec();
        options.extend([("port", port), ("security", security), ("to", "ops@example.com, night@example.com")]);
        options.extend(login);
        let mark = mark(name);
        let title = format!("{mark} ist nicht erreichbar: Tür «Süd»\r\nBcc: x@example.com");
        let n = Notification { title, text: ".\n..\nend".to_owned(), ..notification() };
        let channel = build("email", &options).unwrap_or_else(|problems| panic!("{problems:?}"));
        channel.deliver(&n, &around()).await.unwrap_or_else(|failure| panic!("{name}: {failure}"));
        let received = mail(&folder, &mark).await.unwrap_or_else(|| panic!("{name}: it arrives"));
        assert_eq!(received["from"], "watch@example.com");
        assert_eq!(received["to"], serde_json::json!(["ops@example.com", "night@example.com"]));
        assert_eq!(received["encrypted"], name != "clear", "{name}");
        assert_eq!(received["user"], if name == "clear" { Value::Null } else { "watch".into() });
        let text = received["content"].as_str().unwrap();
        assert!(!text.contains("\nBcc:"), "{text}");
        // The subject is encoded words; together they are what was sent.
        let subject: Vec<u8> = text
            .split("\nSubject: ")
            .nth(1)
            .unwrap()
            .split("\r\nDate")
            .next()
            .unwrap()
            .split("=?utf-8?B?")
            .skip(1)
            .flat_map(|word| {
                base64::engine::general_purpose::STANDARD.decode(word.split("?=").next().unwrap()).unwrap()
            })
            .collect();
        let subject = String::from_utf8(subject).unwrap();
        assert_eq!(
            subject,
            format!("[StreamPulse] CRITICAL: {mark} ist nicht erreichbar: Tür «Süd» Bcc: x@example.com")
        );
        assert!(text.contains("\r\n=2E\r\n=2E.\r\nend\r\n"), "lines of dots are kept: {text}");
    }
}

#[tokio::test]
async fn refusals_of_a_real_mail_server() {
    let Some(folder) = testbed() else { return };
    let ca = folder.join("ca/ca.pem");
    let ca = ca.to_str().unwrap();
    let from = ("from", "watch@example.com");
    let private = [("host", "localhost"), ("port", "11587"), ("ca_file", ca), from];
    for (name, options, passing, words) in [
        (
            "wrong password",
            [&private[..], &[("to", "ops@example.com"), ("user", "watch"), ("password", "Pl4nted")]].concat(),
            false,
            "535",
        ),
        ("no password", [&private[..], &[("to", "ops@example.com")]].concat(), false, "530"),
        ("unknown CA", vec![("host", "localhost"), ("port", "11587"), from, ("to", "ops@example.com")], true, "tls"),
        (
            "no STARTTLS",
            vec![("host", "localhost"), ("port", "11025"), from, ("to", "ops@example.com")],
            false,
            "no STARTTLS",
        ),
        (
            "unknown",
            vec![("host", "localhost"), ("port", "11025"), ("security", "none"), from, ("to", "nobody@example.com")],
            false,
            "550 5.1.1",
        ),
        (
            "greylisted",
            vec![("host", "localhost"), ("port", "11025"), ("security", "none"), from, ("to", "later@example.com")],
            true,
            "450 4.2.0",
        ),
        (
            "TLS at a port without",
            vec![
                ("host", "localhost"),
                ("port", "11025"),
                ("security", "tls"),
                ("ca_file", ca),
                from,
                ("to", "ops@example.com"),
                ("timeout", "2s"),
            ],
            true,
            "tls",
        ),
    ] {
        let channel = build("email", &options).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        let failure = channel.deliver(&notification(), &around()).await.expect_err(name);
        assert!(failure.words.contains(words) && !failure.words.contains("Pl4nted"), "{name}: {failure}");
        assert_eq!(failure.passing, passing, "{name}: {failure}");
    }
}

/// What the Alertmanager holds of an alert; `None` when none listens.
async fn held(alert: &str) -> Option<Vec<Value>> {
    let mut stream = TcpStream::connect("127.0.0.1:19093").await.ok()?;
    let request = format!("GET /api/v2/alerts?filter=alert%3D%22{alert}%22 HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    Some(serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}")))
}

#[tokio::test]
async fn an_alertmanager_holds_an_alert_from_its_first_message_to_its_recovery() {
    if testbed().is_none() {
        return;
    }
    let alert = mark("down");
    if held(&alert).await.is_none() {
        eprintln!("SKIPPED: no Alertmanager on port 19093 (TESTBED_WITH=alertmanager)");
        return;
    }
    let channel = build("alertmanager", &[("url", "http://127.0.0.1:19093"), ("labels", "team: video")])
        .unwrap_or_else(|problems| panic!("{problems:?}"));
    let now = around().clock.utc();
    for (stage, severity, firing) in [
        (Stage::Raised, Severity::Warning, &["warning"][..]),
        (Stage::Changed, Severity::Critical, &["critical"]),
        (Stage::Reminder, Severity::Critical, &["critical"]),
        (Stage::Recovered, Severity::Critical, &[]),
    ] {
        let began_at = now.minus(Duration::from_secs(60));
        let n = Notification {
            alert: alert.clone(),
            stage,
            severity,
            at: around().clock.utc(),
            began_at,
            ..notification()
        };
        channel.deliver(&n, &around()).await.unwrap_or_else(|failure| panic!("{stage}: {failure}"));
        let mut found = Vec::new();
        for _ in 0..500 {
            found = held(&alert).await.unwrap();
            let severities: Vec<&str> = found.iter().filter_map(|a| a["labels"]["severity"].as_str()).collect();
            if severities == firing {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let severities: Vec<&str> = found.iter().filter_map(|a| a["labels"]["severity"].as_str()).collect();
        assert_eq!(severities, firing, "{stage}: {found:?}");
        assert!(found.iter().all(|a| a["labels"]["team"] == "video" && a["annotations"]["summary"] == "Gate is down"));
    }
}
