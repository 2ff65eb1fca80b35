//! Set-up with the one-time token, signing out, a wrong password, signing in, and being thrown out.

use std::io::Write;
use std::process::Stdio;

use super::driver::Browser;
use super::heading;
use crate::support::{Place, binary};

const PASSWORD: &str = "correct horse battery";

#[test]
fn the_first_visitor_sets_up_and_signs_in() {
    if !Browser::wanted("the_first_visitor_sets_up_and_signs_in") {
        return;
    }
    let place = Place::with("server:\n  listen: 127.0.0.1:0\n");
    let run = place.start();
    let page = Browser::start();
    let token = run.setup_token.clone().expect("a token is printed");

    page.go(&run.page("/"));
    heading(&page, "Welcome");
    page.fill("input[name=token]", "not-the-token");
    page.fill("input[name=user]", "alice");
    page.fill("input[name=password]", PASSWORD);
    page.press("Set up");
    page.sees(".notice.bad", "token");
    page.fill("input[name=token]", &token);
    page.fill("input[name=password]", "short");
    page.press("Set up");
    page.sees(".notice.bad", "password");
    page.fill("input[name=password]", PASSWORD);
    page.press("Set up");
    page.sees(".bar", "alice");
    page.sees(".empty", "Nothing is watched yet");
    let stored = page.js("return JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])");
    assert_eq!(stored, "[\"\",{},{}]", "scripts can read no session");

    page.press("Sign out");
    heading(&page, "Sign in");
    page.fill("input[name=user]", "alice");
    page.fill("input[name=password]", "wrong horse battery");
    page.press("Sign in");
    page.sees(".notice.bad", "wrong");
    page.fill("input[name=password]", PASSWORD);
    page.press("Sign in");
    page.sees(".bar", "alice");
    page.go(&run.page("/settings/users"));
    page.sees("table", "(you)");

    // Somebody ends all sessions of alice on the command line: the page finds out by itself.
    let mut change = binary();
    change
        .args(["user", "password", "alice", "--state"])
        .arg(place.state())
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut change = change.spawn().expect("the binary starts");
    change.stdin.take().expect("piped").write_all(b"another horse battery\n").expect("sent");
    assert!(change.wait().expect("our child").success());
    heading(&page, "Sign in");
}
