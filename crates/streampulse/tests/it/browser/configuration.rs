//! The configuration on the page: problems with their places, good texts applied, changes by others never overwritten.

use std::fs;

use super::driver::Browser;
use crate::site::Site;
use crate::support::{Place, wait_for};

#[test]
fn the_editor_shows_problems_applies_and_never_overwrites() {
    if !Browser::wanted("the_editor_shows_problems_applies_and_never_overwrites") {
        return;
    }
    let site = Site::start();
    let target = |name: &str| format!("  - name: {name}\n    url: http://{}/{name}\n    interval: 1s\n", site.at);
    let good = format!("# mine\nserver:\n  listen: 127.0.0.1:0\n  login: false\ntargets:\n{}", target("One"));
    let place = Place::with(&good);
    let run = place.start();
    let page = Browser::start();
    let file = || fs::read_to_string(place.config()).expect("readable");
    let editor = "textarea.editor";
    let holds = |words: &str| {
        page.until(
            "the editor holds it",
            &format!("document.querySelector('textarea.editor').value.includes('{words}')"),
        );
    };

    page.go(&run.page("/settings/config"));
    holds("name: One");
    page.fill(editor, &format!("{good}    intervall: 5s\n"));
    page.press("Check");
    page.sees(".notice.bad", "intervall");
    let line = good.lines().count() + 1;
    page.press(&format!("line {line}, column 5"));
    let chosen =
        "const t = document.querySelector('textarea.editor'); return t.value.slice(t.selectionStart, t.selectionEnd)";
    assert_eq!(page.js(chosen), "    intervall: 5s", "a problem leads to its line");
    page.press("Save and apply");
    page.sees(".notice.bad", "Not saved");
    assert_eq!(file(), good);

    let better = format!("{good}{}", target("Two"));
    page.fill(editor, &better);
    page.press("Check");
    page.sees(".notice.good", "would be accepted");
    page.press("Save and apply");
    page.sees(".toast", "Saved");
    assert_eq!(file(), better);
    run.wait_status("Two", "up");

    let better = better.replace("login: false", "login: false\n  session: 2h");
    page.fill(editor, &better);
    page.press("Save and apply");
    page.sees(".toast.warn", "server.session: this change takes effect after a restart");
    page.sees(".notice.warn", "takes effect after a restart");

    // Somebody writes the file while it is being edited here.
    page.fill(editor, &format!("{better}{}", target("Mine")));
    let theirs = format!("{better}{}", target("Theirs"));
    fs::write(place.config(), &theirs).expect("written");
    page.sees(".notice.warn", "changed on disk");
    page.press("Save and apply");
    page.sees(".notice.bad", "changed by somebody else");
    assert_eq!(file(), theirs, "nothing was overwritten");
    page.press("Load the new one (your edit is lost)");
    holds("name: Theirs");
    page.is_clean_but("the editor", "/api/v1/config");

    // An invalid file on disk is told on every page, and no longer once it is mended.
    fs::write(place.config(), "targets: [").expect("written");
    page.sees(".banner.warn:not([hidden])", "The configuration file was refused");
    page.click(".nav a");
    page.sees(".banner.warn:not([hidden])", "The configuration file was refused");
    wait_for("what ran goes on", || page.text(".vlist").contains("Theirs").then_some(()));
    page.click(".banner.warn:not([hidden]) a");
    page.sees(".notice.bad", "The file was refused");
    fs::write(place.config(), &theirs).expect("written");
    page.gone(".banner");
}
