//! What the dashboard costs with 2,000 streams, measured in Chromium: first paint, status change to pixels, scrolling.
//! On demand only: `cargo bench -p streampulse --bench dashboard`, or with the URL of an instance that already runs. A timed
//! test would be red whenever the machine is busy, so this prints figures and judges nothing.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is the result")]
#![allow(clippy::disallowed_methods, reason = "the product runs in real time here")]
#![allow(dead_code, reason = "the parts of the integration tests that are not needed here")]

#[path = "../tests/it/browser/driver.rs"]
mod driver;
#[path = "../tests/it/http.rs"]
mod http;
#[path = "../tests/it/site.rs"]
mod site;
#[path = "../tests/it/support.rs"]
mod support;

use std::fmt::Write as _;

use driver::Browser;
use serde_json::{Value, json};
use site::Site;
use support::{Place, wait_for};

/// Streams on the page, as the requirement says.
const STREAMS: usize = 2000;
/// Loads of the page; the middle one counts.
const LOADS: usize = 5;
/// Status changes that are timed.
const FLIPS: usize = 20;

/// Runs in the page before its own scripts: notes when rows came, when events came, and when they were painted.
const PROBE: &str = r"
const waiting = new Map();
const seen = window.__seen = { rows: null, changes: [], long: [], waiting };
new PerformanceObserver((l) => seen.long.push(...l.getEntries().map((e) => [e.startTime, e.duration]))).observe({ type: 'longtask', buffered: true });
const Real = window.EventSource;
window.EventSource = class extends Real {
  constructor(...a) {
    super(...a);
    this.addEventListener('board', (e) => { for (const t of JSON.parse(e.data).targets) statuses.set(t.id, t.status); });
    this.addEventListener('target', (e) => {
      const t = JSON.parse(e.data);
      if (statuses.get(t.id) !== t.status) waiting.set(t.id, { at: performance.now(), since: t.since });
      statuses.set(t.id, t.status);
    });
  }
};
const statuses = new Map();
const painted = (f) => requestAnimationFrame(() => setTimeout(f));
new MutationObserver((records) => {
  if (seen.rows === null && document.querySelector('.srow')) { seen.rows = 0; painted(() => { seen.rows = performance.now(); }); }
  for (const r of records) {
    const row = (r.target.nodeType === 3 ? r.target.parentElement : r.target)?.closest?.('a.srow');
    const id = row && decodeURIComponent(row.getAttribute('href').split('/').pop());
    const w = id && waiting.get(id);
    if (!w || row.querySelector('.pill').className !== `pill ${statuses.get(id)}`) continue;
    waiting.delete(id);
    painted(() => seen.changes.push([performance.now() - w.at, performance.timeOrigin + performance.now() - w.since]));
  }
}).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
";

/// Scrolls through everything, a third of a screen per frame, as somebody who searches by eye in a hurry.
const SCROLL: &str = r"
return new Promise((done) => {
  const from = performance.now();
  let last = from, gap = 0, frames = 0;
  const step = (at) => {
    gap = Math.max(gap, at - last); last = at; frames++;
    scrollBy(0, innerHeight / 3);
    const end = scrollY + innerHeight >= document.documentElement.scrollHeight - 1;
    if (!end && at - from < 15000) return requestAnimationFrame(step);
    const long = __seen.long.filter(([s]) => s >= from).map(([, d]) => d);
    setTimeout(() => done({ frames, end, gap_ms: gap, seconds: (at - from) / 1000, long: Math.max(0, ...long), rows: document.querySelectorAll('.srow').length }), 100);
  };
  requestAnimationFrame((at) => { last = at; requestAnimationFrame(step); });
});
";

fn main() {
    match std::env::args().nth(1).filter(|a| a.starts_with("http")) {
        Some(url) => {
            let browser = Browser::start();
            load_and_scroll(&browser, &url);
            wait_for("status changes", || (changes(&browser).len() >= FLIPS).then_some(()));
            print_changes(&changes(&browser));
        }
        None => own_instance(),
    }
}

fn own_instance() {
    let (calm, restless) = (Site::start(), Site::start());
    let mut text = format!(
        "targets:\n  - {{name: Restless, id: restless, url: 'http://{}/', interval: 1s, fail_after: 1}}\n",
        restless.at
    );
    for i in 1..STREAMS {
        let _fits = writeln!(
            text,
            "  - {{name: Camera {i}, group: Site {}, url: 'http://{}/{i}', interval: 60s}}",
            i % 10,
            calm.at
        );
    }
    let place = Place::open(&text);
    let run = place.start();
    // First looks are spread over an interval, which is longer than one wait may be.
    for looks in (0..STREAMS as u64).step_by(100) {
        wait_for("more streams were looked at", || (calm.requests() >= looks).then_some(()));
    }
    let browser = Browser::start();
    load_and_scroll(&browser, &format!("http://{}/", run.at));
    browser.js("scrollTo(0, 0)");
    for flip in 1..=FLIPS {
        restless.answer_with(if flip % 2 == 1 { 503 } else { 200 });
        wait_for("the change is on the page", || (changes(&browser).len() >= flip).then_some(()));
    }
    print_changes(&changes(&browser));
}

fn load_and_scroll(browser: &Browser, url: &str) {
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": PROBE }));
    let (mut first, mut rows) = (Vec::new(), Vec::new());
    for _ in 0..LOADS {
        browser.go(url);
        rows.push(browser.until("rows are painted", "__seen.rows").as_f64().unwrap_or(f64::NAN));
        let paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime";
        first.push(browser.until("the first paint", paint).as_f64().unwrap_or(f64::NAN));
    }
    println!("first contentful paint  {}", spread(first));
    println!("rows painted            {}", spread(rows));
    println!("streams on the page     {}", browser.text(".seg button"));
    let scroll = browser.js(SCROLL);
    println!("scroll through all      {scroll}");
    let long = scroll["long"].as_f64().unwrap_or(f64::NAN);
    println!(
        "longest task scrolling  {}",
        if long == 0.0 { "under 50 ms".to_owned() } else { format!("{long:.0} ms") }
    );
    browser.js("__seen.changes.length = 0; __seen.waiting.clear(); scrollTo(0, 0)");
}

/// Pairs of milliseconds: from the event's arrival, and from the server's change of status, to the pixels.
fn changes(browser: &Browser) -> Vec<(f64, f64)> {
    let list = browser.js("return __seen.changes");
    let number = |v: &Value| v.as_f64().unwrap_or(f64::NAN);
    list.as_array().expect("a list").iter().map(|p| (number(&p[0]), number(&p[1]))).collect()
}

fn print_changes(changes: &[(f64, f64)]) {
    println!("event to pixels         {}", spread(changes.iter().map(|c| c.0).collect()));
    println!("status change to pixels {}", spread(changes.iter().map(|c| c.1).collect()));
}

fn spread(mut ms: Vec<f64>) -> String {
    ms.sort_by(f64::total_cmp);
    let at = |share: usize| ms[(ms.len() - 1) * share / 100];
    format!("median {:.0} ms, worst {:.0} ms ({} times)", at(50), at(100), ms.len())
}
