//! The dashboard in a real browser, story by story. Runs when `STREAMPULSE_BROWSER` is set, as `./test` does.

mod access;
mod alerts;
mod configuration;
mod driver;
mod editing;
mod held;
mod hostile;
mod list;
mod looks;
mod lost;
mod service;
mod services;
mod sinks;
mod stream;

use crate::support::Instance;
use driver::Browser;

impl Instance {
    /// The address of a page of this instance.
    pub(crate) fn page(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }
}

/// Waits until the page with this heading is there.
fn heading(browser: &Browser, words: &str) {
    browser.sees("h1", words);
}

/// The row of a stream in the list.
fn row(name: &str) -> String {
    format!("//a[contains(@class,'srow')][.//span[contains(@class,'name')][normalize-space()='{name}']]")
}

/// Waits until the row of a stream shows this status.
fn row_shows(browser: &Browser, name: &str, status: &str) {
    browser.sees(&format!("{}//span[contains(@class,'pill')]", row(name)), status);
}

/// The names in the list, from top to bottom. Group headings are not among them.
fn rows(browser: &Browser) -> Vec<String> {
    let names = browser.js(
        "const all = [...document.querySelectorAll('a.srow')].map((a) => [a.getBoundingClientRect().top, a.querySelector('.name').textContent]);
         return all.sort((a, b) => a[0] - b[0]).map(([, name]) => name);",
    );
    names.as_array().expect("a list").iter().map(|n| n.as_str().unwrap_or_default().to_owned()).collect()
}

/// Waits until the list shows exactly these names.
fn rows_are(browser: &Browser, names: &[&str]) {
    let mut last = Vec::new();
    let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        crate::support::wait_for("the list", || {
            last = rows(browser);
            (last == names).then_some(())
        });
    }));
    assert!(seen.is_ok(), "the list shows {last:?}, not {names:?}");
}
