//! The page of one service: its log as it grows.

use super::driver::Browser;
use super::heading;
use super::services::{Leftovers, fits, says, serve, speaker, wait_state};
use crate::support::Place;

#[test]
fn the_log_comes_live_holds_still_and_is_searched() {
    if !Browser::wanted("the_log_comes_live_holds_still_and_is_searched") {
        return;
    }
    let place = Place::open("");
    serve(&place, &format!("services:\n{}", speaker(&place)));
    let _leftovers = Leftovers::of(&place);
    let run = place.start();
    wait_state(&run, "speaker", "running");
    says(&place, "the first line\n");
    let page = Browser::start();
    page.go(&run.page("/services/speaker"));
    heading(&page, "Speaker");
    page.sees(".log", "the first line");
    page.sees(".logcard .conn.on", "live");
    says(&place, "\u{1b}[31mred\u{1b}[0m words\n");
    page.sees(".log", "red words");

    page.press("Pause");
    says(&place, "apple\npear\n");
    page.sees(".newer", "2 new lines");
    assert!(!page.text(".log").contains("pear"), "it holds still");
    page.click(".newer");
    page.sees(".log", "apple");
    page.sees(".log", "pear");
    page.gone(".newer");

    // Whoever reads further up is not carried away.
    says(&place, &(0..200).map(|n| format!("number {n}\n")).collect::<String>());
    page.sees(".log", "number 199");
    page.js("document.querySelector('.log').scrollTop = 0");
    page.until("the page has noticed", "document.querySelector('.log').scrollTop === 0");
    says(&place, "came later\n");
    page.sees(".newer", "1 new line");
    assert_eq!(page.js("return document.querySelector('.log').scrollTop"), 0);
    page.js("const l = document.querySelector('.log'); l.scrollTop = l.scrollHeight");
    page.sees(".log", "came later");
    page.gone(".newer");

    page.fill("[aria-label='Find in the log']", "PEAR");
    page.sees(".logwords", "1 line fits");
    assert!(page.text(".log").ends_with("pear"), "{}", page.text(".log"));
    says(&place, "another pear\nanother apple\n");
    page.sees(".log", "another pear");
    assert!(!page.text(".log").contains("another apple"), "new lines are searched too");
    page.fill("[aria-label='Find in the log']", "no such word");
    page.sees(".log", "No line fits");
    page.press("Errors");
    page.sees(".log", "No line fits");
    page.fill("[aria-label='Find in the log']", " ");
    page.press("Both");
    page.sees(".log", "another apple");
    page.press("Wrap");
    page.until("lines are as long as they are", "!document.querySelector('.log').classList.contains('wrapped')");
    fits(&page);
    let whole = page.js("return fetch(document.querySelector('.logcard a[download]').href).then((r) => r.text())");
    assert!(whole.as_str().is_some_and(|t| t.contains("the first line") && t.contains("another apple")), "{whole}");

    // No more lines on the page than it can bear, however many come.
    says(&place, &(0..6000).map(|n| format!("flood {n}\n")).collect::<String>());
    page.sees(".log .line:last-child", "flood 5999");
    let lines = page.js("return document.querySelectorAll('.log .line').length").as_u64();
    assert!(lines <= Some(2001), "{lines:?} lines on the page");
    page.is_clean("the log");
}
