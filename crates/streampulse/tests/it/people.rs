//! Who may do what, from the first start to a forgotten password.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::http::{self, Answer};
use crate::site::Site;
use crate::support::{Instance, Place, binary, cli, wait_for};

/// A browser's session: its cookie and the token that goes with it.
struct Session {
    cookie: String,
    csrf: String,
}

impl Session {
    fn of(run: &Instance, answer: &Answer) -> Self {
        assert_eq!(answer.status / 100, 2, "{}", answer.text());
        let cookie = answer.header("set-cookie").and_then(|c| c.split(';').next()).expect("a cookie").to_owned();
        let mut session = Self { cookie, csrf: String::new() };
        session.csrf = session.get(run, "/api/v1/session").json()["csrf"].as_str().expect("a token").to_owned();
        session
    }

    fn get(&self, run: &Instance, path: &str) -> Answer {
        http::request(run.at, "GET", path, &[("Cookie", &self.cookie)], None)
    }

    fn send(&self, run: &Instance, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("Cookie", self.cookie.as_str()), ("X-CSRF-Token", self.csrf.as_str())];
        http::request(run.at, method, path, &headers, Some(&body.to_string()))
    }
}

fn sign_in(run: &Instance, user: &str, password: &str) -> Answer {
    let body = json!({ "user": user, "password": password }).to_string();
    http::request(run.at, "POST", "/api/v1/session", &[], Some(&body))
}

fn cli_with_input(args: &[&str], input: &str) -> std::process::Output {
    let mut child = binary()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
    child.wait_with_output().expect("it ends")
}

#[test]
fn from_the_first_start_to_a_forgotten_password() {
    let site = Site::start();
    let place = Place::with(&format!(
        "server:\n  listen: 127.0.0.1:0\ntargets:\n  - name: Page\n    id: page\n    url: http://{}/\n    interval: 1s\n",
        site.at
    ));
    let run = place.start();
    for path in ["/api/v1/targets", "/api/status", "/export/all.csv", "/api/v1/events", "/api/v1/config"] {
        assert_eq!(run.get(path).status, 401, "{path} without a sign-in");
    }
    let token = run.setup_token.clone().expect("a set-up token is printed");
    let first = |token: &str| {
        let body = json!({ "token": token, "user": "ann", "password": "correct horse battery" }).to_string();
        http::request(run.at, "POST", "/api/v1/setup", &[], Some(&body))
    };
    assert_ne!(first("guessed").status / 100, 2);
    wait_for("the wrong guess is in the log", || run.log().contains("a set-up failed").then_some(()));
    assert!(!run.log().contains("task{"), "a line is its words, without the connection it came by: {}", run.log());
    let ann = Session::of(&run, &first(&token));
    assert_ne!(first(&token).status / 100, 2, "the token works once");
    assert_eq!(ann.get(&run, "/api/v1/targets").status, 200);
    // A change needs the token that only the page can read.
    let forged = http::request(run.at, "POST", "/api/v1/targets/page/pause", &[("Cookie", &ann.cookie)], Some("{}"));
    assert_eq!(forged.status, 403, "{}", forged.text());

    let made = ann.send(
        &run,
        "POST",
        "/api/v1/users",
        &json!({ "name": "bob", "role": "viewer", "password": "battery horse" }),
    );
    assert_eq!(made.status / 100, 2, "{}", made.text());
    let bob = Session::of(&run, &sign_in(&run, "bob", "battery horse"));
    assert_eq!(bob.get(&run, "/api/v1/targets").status, 200);
    assert_eq!(bob.send(&run, "POST", "/api/v1/targets/page/pause", &json!({})).status, 403, "a viewer only looks");
    assert_eq!(bob.get(&run, "/api/v1/users").status, 403);

    let state = place.state().display().to_string();
    let made = cli(&["token", "create", "ci", "--role", "operator", "--state", &state]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let bearer = format!("Bearer {}", String::from_utf8_lossy(&made.stdout).trim());
    let pause =
        || http::request(run.at, "POST", "/api/v1/targets/page/pause", &[("Authorization", &bearer)], Some("{}"));
    wait_for("a token made beside the running server works", || (pause().status / 100 == 2).then_some(()));

    let changed = cli_with_input(&["user", "password", "ann", "--state", &state], "another good password\n");
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
    wait_for("her old session has ended", || (ann.get(&run, "/api/v1/targets").status == 401).then_some(()));
    wait_for("the new password works", || {
        (sign_in(&run, "ann", "another good password").status / 100 == 2).then_some(())
    });
    let listed = cli(&["user", "list", "--state", &state]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("ann\tadministrator") && listed.contains("bob\tviewer"), "{listed}");
    let last = cli(&["user", "remove", "ann", "--state", &state]);
    assert!(!last.status.success(), "the last administrator stays");
    run.stop();
    let run = place.start();
    assert!(run.setup_token.is_none(), "users outlive a restart");
    assert_eq!(bob.get(&run, "/api/v1/targets").status, 200, "sessions outlive a restart");
}

#[test]
fn guessing_passwords_is_slowed_down() {
    let place = Place::with("server:\n  listen: 127.0.0.1:0\ntargets: []\n");
    let run = place.start();
    let refused = wait_for("guessing is limited", || {
        let answer = sign_in(&run, "ann", "guess guess guess");
        (answer.status == 429).then_some(answer)
    });
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
}

#[test]
fn login_is_not_switched_off_for_the_world() {
    let place = Place::with("server:\n  listen: 0.0.0.0:0\n  login: false\ntargets: []\n");
    let out = place.command(&[]).output().expect("starts");
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && text.contains("loopback"), "{text}");
}
