//! Services as people meet them: the list with what is wrong right in it, commands with their questions, and who may give them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::driver::{Browser, ESCAPE};
use super::heading;
use crate::support::{Instance, Place, binary, wait_for};

/// Writes the file of services, as its owner alone may.
pub(super) fn serve(place: &Place, text: &str) {
    let file = place.folder.path().join("services.yaml");
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(file);
    opened.expect("opened").write_all(text.as_bytes()).expect("written");
}

/// Ends what is still run in a place. Services outlive StreamPulse: a story must leave none behind, however it ends. Make it before the
/// instance, so that it goes after it.
pub(super) struct Leftovers(PathBuf);

impl Leftovers {
    /// Of this place.
    pub(super) fn of(place: &Place) -> Self {
        Self(place.state().join("services"))
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        let folders = fs::read_dir(&self.0).into_iter().flatten().flatten();
        for run in folders.filter_map(|folder| fs::read(folder.path().join("run.json")).ok()) {
            let run: serde_json::Value = serde_json::from_slice(&run).unwrap_or_default();
            let Some(shim) = run["shim_pid"].as_u64() else { continue };
            // The record stays when a run is over: only a process that is this place's shim is told.
            let own = fs::read_to_string(format!("/proc/{shim}/cmdline")).unwrap_or_default();
            if own.contains(&*self.0.to_string_lossy()) {
                let _gone = Command::new("kill").args(["-USR1", &shim.to_string()]).status();
            }
        }
    }
}

/// A service whose output is the file `lines` of the place: what a test writes there is what the service says.
pub(super) fn speaker(place: &Place) -> String {
    let file = place.folder.path().join("lines");
    fs::write(&file, "").expect("written");
    format!(
        "  speaker:\n    name: Speaker\n    process:\n      argv: [/usr/bin/tail, -n, '+1', -F, '{}']\n",
        file.display()
    )
}

/// Lets that service say lines.
pub(super) fn says(place: &Place, lines: &str) {
    let mut file = OpenOptions::new().append(true).open(place.folder.path().join("lines")).expect("opened");
    file.write_all(lines.as_bytes()).expect("written");
}

/// Waits until the service has this state.
pub(super) fn wait_state(run: &Instance, id: &str, state: &str) {
    let mut last = serde_json::Value::Null;
    wait_for(&format!("{id} is {state}"), || {
        last = run.get(&format!("/api/v1/services/{id}")).json();
        (last["state"] == state).then_some(())
    });
}

const CRASHER: &str = "  crasher:
    name: Crasher
    group: Works
    process:
      argv: [/bin/sh, -c, 'echo one; echo two; echo three; echo \"cannot open the database\" >&2; exit 3']
    restart: {policy: always, first: 10m, longest: 10m, jitter: 0}
";

fn row(id: &str) -> String {
    format!(".svc[data-id={id}]")
}

/// Nothing is wider than the screen, whatever the screen and its colours.
pub(super) fn fits(page: &Browser) {
    for (width, scheme) in [(390, "dark"), (390, "light"), (1440, "dark"), (1440, "light")] {
        page.screen(width, 900, scheme);
        assert_eq!(page.js("return document.documentElement.scrollWidth <= innerWidth"), true, "{width}");
    }
}

#[test]
fn the_list_shows_what_is_wrong_and_takes_commands() {
    if !Browser::wanted("the_list_shows_what_is_wrong_and_takes_commands") {
        return;
    }
    let place = Place::open("");
    serve(&place, &format!("services:\n{}{CRASHER}", speaker(&place)));
    let _leftovers = Leftovers::of(&place);
    let run = place.start();
    wait_state(&run, "speaker", "running");
    wait_state(&run, "crasher", "backing_off");
    let page = Browser::start();
    page.go(&run.page("/"));
    page.sees(".nav .troubles", "1");
    page.click("//nav//a[starts-with(normalize-space(),'Services')]");
    let (speaker, crasher) = (row("speaker"), row("crasher"));
    page.sees(&format!("{speaker} .pill.state.up"), "Running");
    page.sees(&format!("{speaker} .pill.health.unknown"), "Health unknown");
    page.gone(&format!("{speaker} .svc-why"));
    page.sees(&format!("{crasher} .pill.state"), "Backing off");
    page.sees(&format!("{crasher} .reason"), "exit code 3");
    page.sees(&format!("{crasher} .lastlines"), "two\nthree\ncannot open the database");
    let left = page.sees(&format!("{crasher} .next"), "Starts again in 9 min");
    page.until(
        "it counts down",
        &format!("document.querySelector('{crasher} .next').textContent !== {:?}", left.as_str()),
    );
    fits(&page);

    // What is looked for is found, by word and by trouble.
    page.fill("input[type=search]", "works");
    page.gone(&speaker);
    page.sees(&crasher, "Crasher");
    page.keys(ESCAPE);
    page.sees(&speaker, "Speaker");
    page.press("Trouble 1");
    page.gone(&speaker);
    page.press("All 2");
    page.sees(&speaker, "Speaker");

    // Ending asks first, and leaves it so when the answer is no.
    page.click(&format!("{speaker} button[data-act=stop]"));
    page.sees("dialog", "Stop Speaker?");
    page.press("Cancel");
    page.gone("dialog");
    page.sees(&format!("{speaker} .pill.state"), "Running");
    page.click(&format!("{speaker} button[data-act=stop]"));
    page.click("dialog .btn.danger");
    page.sees(&format!("{speaker} .pill.state"), "Stopped");
    page.click(&format!("{speaker} button[data-act=start]"));
    page.sees(&format!("{speaker} .pill.state"), "Running");
    let pid = || run.get("/api/v1/services/speaker").json()["pid"].clone();
    let before = pid();
    page.click(&format!("{speaker} button[data-act=restart]"));
    page.sees("dialog", "Restart Speaker?");
    page.click("dialog .btn.primary");
    wait_for("another process", || (pid() != before && pid().is_u64()).then_some(()));
    page.sees(&format!("{speaker} .pill.state"), "Running");
    // What backs off may be ended too, and then counts no more as trouble.
    page.click(&format!("{crasher} button[data-act=stop]"));
    page.click("dialog .btn.danger");
    page.sees(&format!("{crasher} .pill.state"), "Stopped");
    page.gone(".nav .troubles");
    page.is_clean("the list of services");
}

#[test]
fn without_services_the_page_says_how_to_have_some() {
    if !Browser::wanted("without_services_the_page_says_how_to_have_some") {
        return;
    }
    let place = Place::open("");
    let _leftovers = Leftovers::of(&place);
    let run = place.start();
    let page = Browser::start();
    page.go(&run.page("/services"));
    page.sees(".intro", "No services are run yet");
    // The example that the page shows is one that is accepted, and it takes effect without a restart.
    let example = page.text(".intro .example").replace("/usr/local/bin/convert, --watch, /data/incoming", "/bin/cat");
    serve(&place, &format!("{example}\n    ready: []\n"));
    page.sees(".svc .name", "Converter");
    page.go(&run.page("/services/nothing"));
    heading(&page, "There is no such service");
    page.is_clean("no services");
}

const PASSWORD: &str = "correct horse battery";

#[test]
fn who_may_only_look_has_no_buttons() {
    if !Browser::wanted("who_may_only_look_has_no_buttons") {
        return;
    }
    let place = Place::with("server:\n  listen: 127.0.0.1:0\n");
    let form =
        "    form:\n      file: form.json\n      keys:\n        word: {type: text, default: hello, to: {env: WORD}}\n";
    serve(&place, &format!("services:\n{}{form}{CRASHER}", speaker(&place)));
    let _leftovers = Leftovers::of(&place);
    let run = place.start();
    for (user, role) in [("root", "administrator"), ("op", "operator"), ("eve", "viewer")] {
        let mut add = binary();
        add.args(["user", "add", user, "--role", role, "--state"]).arg(place.state());
        let mut add = add.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the binary starts");
        add.stdin.take().expect("piped").write_all(format!("{PASSWORD}\n").as_bytes()).expect("sent");
        assert!(add.wait().expect("our child").success(), "{user} is added");
    }
    let page = Browser::start();
    for (user, acts, configures) in [("eve", false, false), ("op", true, false), ("root", true, true)] {
        page.go(&run.page("/services"));
        page.fill("input[name=user]", user);
        page.fill("input[name=password]", PASSWORD);
        page.press("Sign in");
        page.sees(&format!("{} .pill.state", row("crasher")), "Backing off");
        page.sees(&format!("{} .lastlines", row("crasher")), "cannot open the database");
        let buttons = page.js("return document.querySelectorAll('.svc button').length");
        assert_eq!(buttons.as_u64() > Some(0), acts, "{user}: {buttons} buttons in the list");
        page.click(&format!("{} a.name", row("speaker")));
        heading(&page, "Speaker");
        page.sees("[aria-label=Configuration] .facts", "hello");
        let buttons = page.js("return [...document.querySelectorAll('button[data-act]')].length");
        assert_eq!(buttons.as_u64() > Some(0), acts, "{user}: {buttons} buttons on the page");
        let configure = "return [...document.querySelectorAll('button')].some((b) => b.textContent === 'Configure')";
        assert_eq!(page.js(configure), configures, "{user}");
        page.press("Sign out");
        heading(&page, "Sign in");
    }
    page.is_clean("people of three roles");
}

const MARKUP: &str = "<img src=x onerror=\"window.hacked=1\">";

#[test]
fn markup_in_names_output_and_reasons_stays_text() {
    if !Browser::wanted("markup_in_names_output_and_reasons_stays_text") {
        return;
    }
    let place = Place::open("");
    serve(
        &place,
        &format!(
            "services:\n  loud:\n    name: '{MARKUP}'\n    description: '{MARKUP}'\n    group: '{MARKUP}'\n    tags: ['{MARKUP}']\n    process:\n      argv: [/bin/cat, '/nowhere/{MARKUP}']\n    restart: {{policy: never}}\n    form:\n      file: form.json\n      keys:\n        word: {{title: '{MARKUP}', description: '{MARKUP}', type: text, default: '{MARKUP}', to: {{env: WORD}}}}\n"
        ),
    );
    let _leftovers = Leftovers::of(&place);
    let run = place.start();
    wait_state(&run, "loud", "failed");
    let page = Browser::start();
    let nothing_ran = |place: &str| {
        let traces = "return [window.hacked || 0, document.querySelectorAll('img[src=x]').length]";
        assert_eq!(page.js(traces), serde_json::json!([0, 0]), "{place}");
    };
    page.go(&run.page("/services"));
    page.sees(&format!("{} .name", row("loud")), MARKUP);
    page.sees(&format!("{} .lastlines", row("loud")), "<img");
    nothing_ran("the list");
    page.click(&format!("{} a.name", row("loud")));
    heading(&page, MARKUP);
    page.sees(".log", "<img");
    page.sees(".timeline", "exit code 1");
    page.click(".spec summary");
    page.sees(".spec .facts", "/nowhere/<img");
    nothing_ran("what runs");
    page.js("scrollTo(0, 0)");
    page.press("Configure");
    page.sees("dialog.configure", MARKUP);
    nothing_ran("the dialog");
    page.keys(ESCAPE);
    page.gone("dialog");
    page.press("Start");
    page.sees(".toasts", MARKUP);
    nothing_ran("the page");
    page.is_clean("a hostile service");
}
