//! A small WebDriver client: one headless Chromium with a profile of its own, driven through chromedriver on a free port.
//! Owns both processes and ends them on drop. It never waits for time to pass, only for states.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::http;
use crate::support::wait_for;

/// One browser at a time: several of them on a small machine make each other late.
static TURN: Mutex<()> = Mutex::new(());

/// The key under which WebDriver hands out elements (W3C WebDriver, section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys beyond the letters (W3C WebDriver, section 17.4.2).
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ESCAPE: &str = "\u{e00c}";

/// How often chromedriver is started until it finds a free port.
const ATTEMPTS: usize = 5;

const FLAGS: [&str; 13] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-dev-shm-usage",
    "--password-store=basic",
    "--window-size=1440,900",
    "--force-color-profile=srgb",
];

/// A browser with one page open.
pub(crate) struct Browser {
    at: SocketAddr,
    session: String,
    driver: Child,
    _profile: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    /// Whether this run wants browsers. Says loudly when a test is skipped.
    pub(crate) fn wanted(test: &str) -> bool {
        let wanted = std::env::var_os("STREAMPULSE_BROWSER").is_some_and(|v| v != "0");
        if !wanted {
            eprintln!("SKIPPED {test}: no browser is wanted (./test sets STREAMPULSE_BROWSER)");
        }
        wanted
    }

    /// Starts chromedriver and, through it, Chromium. Start it last in a test: it is then ended first, and can still say what
    /// the page showed when the test failed.
    pub(crate) fn start() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let (driver, port) = (0..ATTEMPTS).find_map(|_| chromedriver()).expect("chromedriver finds a port");
        let profile = tempfile::tempdir().expect("a folder");
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut browser = Self { at, session: String::new(), driver, _profile: profile, _turn: turn };
        let mut args: Vec<String> = FLAGS.iter().map(|&f| f.to_owned()).collect();
        args.push(format!("--user-data-dir={}", browser._profile.path().display()));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": args, "binary": "/usr/bin/chromium" },
        } } });
        let made = http::request(at, "POST", "/session", &[], Some(&wanted.to_string())).json();
        made["value"]["sessionId"]
            .as_str()
            .unwrap_or_else(|| panic!("no session: {made}"))
            .clone_into(&mut browser.session);
        browser
    }

    fn try_call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let path = format!("/session/{}{path}", self.session);
        let body = body.map(Value::to_string);
        let answer = http::request(self.at, method, &path, &[], body.as_deref());
        let mut value = answer.json()["value"].take();
        if answer.status == 200 { Ok(value) } else { Err(value["message"].take().to_string()) }
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.try_call(method, path, body).unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    /// A command of Chromium's own protocol.
    pub(crate) fn devtools(&self, command: &str, params: &Value) -> Value {
        self.call("POST", "/goog/cdp/execute", Some(&json!({ "cmd": command, "params": params })))
    }

    pub(crate) fn go(&self, url: &str) {
        self.call("POST", "/url", Some(&json!({ "url": url })));
    }

    /// Runs a function body in the page; what it returns comes back. A promise is awaited.
    pub(crate) fn js(&self, body: &str) -> Value {
        self.call("POST", "/execute/sync", Some(&json!({ "script": body, "args": [] })))
    }

    /// Waits until the expression is true in the page (neither false, null, zero nor empty) and answers its value.
    pub(crate) fn until(&self, what: &str, expression: &str) -> Value {
        let body = format!("return ({expression})");
        wait_for(what, || {
            let value = self.try_call("POST", "/execute/sync", Some(&json!({ "script": body, "args": [] }))).ok()?;
            let no = value.is_null() || value == false || value == 0 || value == "";
            (!no).then_some(value)
        })
    }

    /// An element by CSS, or by XPath when the selector begins with a slash.
    fn find(&self, selector: &str) -> Option<String> {
        let using = if selector.starts_with('/') { "xpath" } else { "css selector" };
        let found = self.try_call("POST", "/element", Some(&json!({ "using": using, "value": selector }))).ok()?;
        found[ELEMENT].as_str().map(str::to_owned)
    }

    /// Does one thing with an element, again and again until it is there and takes it.
    fn with(&self, what: &str, selector: &str, mut act: impl FnMut(&str) -> Result<Value, String>) -> Value {
        let mut last = "there is no such element".to_owned();
        let done = catch_unwind(AssertUnwindSafe(|| {
            wait_for(&format!("{what} {selector}"), || act(&self.find(selector)?).map_err(|e| last = e).ok())
        }));
        done.unwrap_or_else(|_| panic!("{what} {selector}: {last}"))
    }

    pub(crate) fn click(&self, selector: &str) {
        self.with("click", selector, |e| self.try_call("POST", &format!("/element/{e}/click"), Some(&json!({}))));
    }

    /// Clicks the button with this text.
    pub(crate) fn press(&self, text: &str) {
        self.click(&format!("//button[normalize-space()='{text}']"));
    }

    /// Replaces what an input holds, key by key as a person would.
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        self.with("fill", selector, |e| {
            self.try_call("POST", &format!("/element/{e}/clear"), Some(&json!({})))?;
            self.try_call("POST", &format!("/element/{e}/value"), Some(&json!({ "text": text })))
        });
    }

    /// Types into whatever has the focus.
    pub(crate) fn keys(&self, text: &str) {
        let active = self.call("GET", "/element/active", None);
        let id = active[ELEMENT].as_str().expect("an element").to_owned();
        self.call("POST", &format!("/element/{id}/value"), Some(&json!({ "text": text })));
    }

    /// Takes one entry of a select.
    pub(crate) fn choose(&self, select: &str, value: &str) {
        self.click(&format!("{select} option[value='{value}']"));
    }

    /// The text of an element as it is rendered.
    pub(crate) fn text(&self, selector: &str) -> String {
        let text = self.with("read", selector, |e| self.try_call("GET", &format!("/element/{e}/text"), None));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an element's rendered text holds these words; answers the whole text.
    pub(crate) fn sees(&self, selector: &str, words: &str) -> String {
        let mut last = String::new();
        let seen = catch_unwind(AssertUnwindSafe(|| {
            wait_for(&format!("{selector} shows \"{words}\""), || {
                let element = self.find(selector)?;
                let text = self.try_call("GET", &format!("/element/{element}/text"), None).ok()?;
                text.as_str()?.clone_into(&mut last);
                last.contains(words).then(|| last.clone())
            })
        }));
        seen.unwrap_or_else(|_| panic!("{selector} never showed \"{words}\", but \"{last}\""))
    }

    /// Waits until no element of this selector is shown.
    pub(crate) fn gone(&self, selector: &str) {
        let quoted = Value::from(selector);
        self.until(
            &format!("{selector} is gone"),
            &format!("[...document.querySelectorAll({quoted})].every((e) => !e.checkVisibility())"),
        );
    }

    /// Lays the page out as on a screen of this size, with the system preferring this scheme ("light" or "dark").
    pub(crate) fn screen(&self, width: u32, height: u32, scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700 });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &media);
    }

    /// What the console was told since the last call: errors of scripts, of the network, and refusals by the policy.
    pub(crate) fn console(&self) -> Vec<String> {
        let log = self.call("POST", "/se/log", Some(&json!({ "type": "browser" })));
        let lines = log.as_array().expect("a list");
        lines
            .iter()
            .map(|l| format!("{} {}", l["level"].as_str().unwrap_or(""), l["message"].as_str().unwrap_or("")))
            .collect()
    }

    /// What the console was told since the last look at it that should not be.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.console().into_iter().filter(|l| l.starts_with("SEVERE") || l.starts_with("WARNING")).collect()
    }

    /// Asserts that the console was told of nothing wrong.
    pub(crate) fn is_clean(&self, page: &str) {
        self.is_clean_but(page, "\n");
    }

    /// The same, not counting answers of a path that the test itself made fail.
    pub(crate) fn is_clean_but(&self, page: &str, path: &str) {
        let bad: Vec<_> = self.complaints().into_iter().filter(|l| !l.contains(path)).collect();
        assert!(bad.is_empty(), "{page}: {bad:#?}");
    }

    fn last_words(&self) {
        eprintln!("--- the page at {}", self.js("return location.href"));
        eprintln!("{}", self.js("return document.body.innerText").as_str().unwrap_or_default());
        eprintln!("--- its console\n{}", self.console().join("\n"));
    }
}

/// Starts chromedriver on a free port. It takes one of IPv6 and wants the same of IPv4, which may be taken: then it ends.
fn chromedriver() -> Option<(Child, u16)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("chromedriver starts (Debian: chromium-driver)");
    let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let port = lines.find_map(|l| l.split("successfully on port ").nth(1)?.trim_end_matches('.').parse().ok());
    let Some(port) = port else {
        let _ended = driver.wait();
        return None;
    };
    std::thread::spawn(move || lines.for_each(drop)); // a full pipe would stop it
    Some((driver, port))
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _silent = catch_unwind(AssertUnwindSafe(|| self.last_words()));
        }
        // Closing the session ends Chromium politely; ending the group ends whatever is left.
        let _refused = catch_unwind(AssertUnwindSafe(|| self.try_call("DELETE", "", None)));
        let group = format!("-{}", self.driver.id());
        let _gone = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _reaped = self.driver.wait();
    }
}
