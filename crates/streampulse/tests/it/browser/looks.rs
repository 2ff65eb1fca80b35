//! How every page looks and can be used: nothing runs over the edge, texts have contrast, everything has a name and can be
//! reached by keyboard, and the console stays silent. On a desk and on a phone, light and dark.

use serde_json::json;

use super::driver::{Browser, TAB};
use super::{heading, row_shows};
use crate::site::Site;
use crate::support::Place;

/// Answers what is wrong with the page as it is, as sentences.
const INSPECT: &str = r"
const wrong = [];
const root = document.documentElement;
if (root.scrollWidth > root.clientWidth) {
  const wide = [...document.querySelectorAll('body *')].filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest('.scroll-x, .sr'));
  wrong.push(`runs over the edge by ${root.scrollWidth - root.clientWidth} px: ${wide.slice(0, 3).map((e) => e.outerHTML.slice(0, 120)).join(' | ')}`);
}
const name = (e) => (e.ariaLabel || [...(e.labels || [])].map((l) => l.textContent).join(' ') || e.textContent || e.title || '').trim();
for (const e of document.querySelectorAll('input, select, textarea, button, a[href], summary, dialog')) {
  if (!e.checkVisibility()) continue;
  if (!(/^(INPUT|SELECT|TEXTAREA)$/.test(e.tagName) ? e.ariaLabel || e.labels?.length : name(e))) wrong.push(`has no name: ${e.outerHTML.slice(0, 120)}`);
  if (e.tagName !== 'DIALOG' && e.tabIndex < 0) wrong.push(`cannot be reached by keyboard: ${e.outerHTML.slice(0, 120)}`);
}
const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
if (new Set(ids).size !== ids.length) wrong.push('an id is there twice');
if (document.querySelectorAll('h1').length !== 1) wrong.push('there is not exactly one h1');
const brush = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const rgba = (colour) => { brush.clearRect(0, 0, 1, 1); brush.fillStyle = colour; brush.fillRect(0, 0, 1, 1); const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const behind = (e) => { const layers = []; for (let n = e; n; n = n.parentElement) layers.push(rgba(getComputedStyle(n).backgroundColor)); return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]); };
const light = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
const told = new Set();
for (const e of document.querySelectorAll('body *')) {
  const text = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!text || !e.checkVisibility() || e.disabled || e.closest('.sr, .skip, option')) continue;
  const style = getComputedStyle(e);
  const back = behind(e);
  const ratio = contrast(over(rgba(e instanceof SVGElement ? style.fill : style.color), back), back);
  const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
  const key = `${e.tagName}.${e.getAttribute('class')} in .${e.parentElement.getAttribute('class')}`;
  if (ratio < (large ? 3 : 4.5) && !told.has(key)) { told.add(key); wrong.push(`contrast ${ratio.toFixed(2)} of ${key}: ${e.textContent.trim().slice(0, 40)}`); }
}
return wrong;
";

/// One of each coloured thing, whether or not a page shows it at the moment.
const GALLERY: &str = r"
const main = document.querySelector('main');
const box = document.createElement('section');
box.className = 'card';
const add = (tag, cls, parent = box) => { const e = document.createElement(tag); e.className = cls; e.textContent = cls; parent.append(e); return e; };
for (const s of ['up', 'degraded', 'down', 'unknown', 'paused', 'maintenance']) add('span', `pill ${s}`);
for (const k of ['bad', 'good', 'warn', '']) { const n = add('div', `notice ${k}`); add('span', 'muted', n); add('button', 'where', add('div', 'problems', n)); add('span', 'where', n.querySelector('.problems')); }
for (const k of ['bad', 'warn', 'info']) { const n = add('div', `banner ${k}`); add('span', 'detail', n); const a = add('a', '', add('span', 'detail', n)); a.href = '/'; a.textContent = 'a link'; }
for (const k of ['', 'primary', 'danger', 'danger solid', 'quiet', 'small']) add('button', `btn ${k}`);
for (const k of ['toast good', 'toast bad', 'muted', 'faint', 'tag', 'tag kind', 'help', 'conn']) add('span', k);
for (const s of ['down', 'degraded']) add('span', 'why', add('div', `srow s-${s}`));
add('div', 'problem', add('div', 'field wrong'));
add('div', 'faint', add('button', 'grow-head'));
main.append(box);
";

/// Once the page has followed the focus: the name of what has it, how it is outlined, and whether all of it is in sight.
const FOCUS: &str = r"
return new Promise((done) => requestAnimationFrame(() => setTimeout(() => {
  const e = document.activeElement, r = e.getBoundingClientRect();
  const name = e === document.body ? null : e.querySelector('.name')?.textContent || e.ariaLabel || e.textContent;
  done([name, getComputedStyle(e).outlineStyle, r.top >= 0 && r.bottom <= innerHeight, r.top, r.bottom]);
})));
";

/// Adds what is wrong with the page as it is.
fn check(page: &Browser, what: &str, wrong: &mut Vec<String>) {
    let found = page.js(INSPECT);
    let lines = found.as_array().expect("a list").iter().map(|w| w.as_str().unwrap_or_default().to_owned());
    wrong.extend(lines.chain(page.complaints()).map(|w| format!("{what}: {w}")));
}

/// Visits on a desk and on a phone, light and dark; asserts that nothing was wrong anywhere.
fn everywhere(page: &Browser, mut visit: impl FnMut(&str, &mut Vec<String>)) {
    let mut wrong = Vec::new();
    for (width, height) in [(1440, 900), (390, 844)] {
        for scheme in ["light", "dark"] {
            page.screen(width, height, scheme);
            visit(&format!("{width} px {scheme}"), &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_page_fits_reads_and_stays_silent() {
    if !Browser::wanted("every_page_fits_reads_and_stays_silent") {
        return;
    }
    let site = Site::start();
    let place = Place::open(&format!(
        "targets:\n  - {{name: Good, id: good, group: A group, tags: [one, two], interval: 1s, url: 'http://{at}/'}}\n  - {{name: A camera with a name that is much longer than anybody would like to read on a phone, id: bad, interval: 1s, expect_status: 404, url: 'http://{at}/a/path/that/is/long/too/and/has/no/place/to/break/at/all/index.html'}}\n",
        at = site.at
    ));
    let run = place.start();
    let page = Browser::start();
    run.wait_status("Good", "up");
    let pages = [
        ("/", ".srow .d[d]"),
        ("/streams/good", ".chart svg path"),
        ("/streams/bad", ".chart svg path"),
        ("/streams/new", "input[name=url]"),
        ("/streams/bad/edit", "input[name=url]"),
        ("/incidents", "tbody tr"),
        ("/settings", ".facts dd"),
        ("/settings/config", "textarea"),
        ("/settings/users", "table"),
        ("/settings/tokens", "tbody tr"),
        ("/settings/audit", "tbody tr"),
        ("/nowhere", ".empty"),
    ];
    everywhere(&page, |how, wrong| {
        for (path, ready) in pages {
            page.go(&run.page(path));
            page.until(path, &format!("document.querySelector('{ready}')"));
            page.js("for (const d of document.querySelectorAll('details')) d.open = true");
            check(&page, &format!("{path} {how}"), wrong);
        }
        page.js(GALLERY);
        check(&page, &format!("colours {how}"), wrong);
    });
}

#[test]
fn the_door_fits_and_reads() {
    if !Browser::wanted("the_door_fits_and_reads") {
        return;
    }
    let place = Place::with("server:\n  listen: 127.0.0.1:0\n");
    let run = place.start();
    let page = Browser::start();
    everywhere(&page, |how, wrong| {
        page.go(&run.page("/"));
        heading(&page, "Welcome");
        check(&page, &format!("set-up {how}"), wrong);
    });
}

#[test]
fn the_keyboard_reaches_everything_in_order() {
    if !Browser::wanted("the_keyboard_reaches_everything_in_order") {
        return;
    }
    let site = Site::start();
    let mut text = "targets:\n".to_owned();
    for i in 0..60 {
        text.push_str(&format!(
            "  - {{name: Stream {i:02}, group: G{}, interval: 60s, url: 'http://{}/{i}'}}\n",
            i / 20,
            site.at
        ));
    }
    let place = Place::open(&text);
    let run = place.start();
    let page = Browser::start();
    page.go(&run.page("/"));
    row_shows(&page, "Stream 00", "Up");
    page.click(".brand"); // from a known place
    let mut order = Vec::new();
    for _ in 0..120 {
        page.keys(TAB);
        let at = page.js(FOCUS);
        let Some(name) = at[0].as_str() else { break }; // past the last one
        assert_eq!((&at[1], &at[2]), (&json!("solid"), &json!(true)), "the focus is seen on {name}: {at}");
        order.push(name.to_owned());
    }
    let streams: Vec<_> = order.iter().filter(|n| n.starts_with("Stream ")).collect();
    let all: Vec<_> = (0..60).map(|i| format!("Stream {i:02}")).collect();
    assert_eq!(streams, all.iter().collect::<Vec<_>>(), "{order:?}");
    for name in ["Incidents", "Search streams", "Group", "Order", "Add stream"] {
        assert!(order.iter().any(|n| n == name), "{name} is not among {order:?}");
    }
}
