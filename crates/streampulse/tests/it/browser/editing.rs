//! A stream's life on the page: pasted, tested, saved, edited, paused, deleted. The file keeps its comments throughout.

use std::fs;

use super::driver::Browser;
use super::{heading, row_shows, rows_are};
use crate::site::Site;
use crate::support::{Place, wait_for};

#[test]
fn a_stream_is_added_edited_paused_and_deleted() {
    if !Browser::wanted("a_stream_is_added_edited_paused_and_deleted") {
        return;
    }
    let site = Site::start();
    let place = Place::open(&format!(
        "# my own words\ntargets:\n  # the first one\n  - name: First\n    url: http://{}/one # stays\n    interval: 1s\n",
        site.at
    ));
    let run = place.start();
    let page = Browser::start();
    let file = || fs::read_to_string(place.config()).expect("readable");
    let comments_stay = || {
        for words in ["# my own words\n", "  # the first one\n", "# stays\n"] {
            assert!(file().contains(words), "{words:?} is gone from\n{}", file());
        }
    };

    page.go(&run.page("/"));
    row_shows(&page, "First", "Up");
    page.click("//a[normalize-space()='Add stream']");
    page.fill("input[name=url]", &format!("http://{}/two", site.at));
    assert_eq!(
        page.js("return document.querySelector('input[name=name]').value"),
        "127.0.0.1 two",
        "a URL suggests a name"
    );
    page.fill("input[name=name]", "Second");
    page.press("Test now");
    page.sees(".notice.good", "It works");
    site.answer_with(503);
    page.press("Test now");
    page.sees(".notice.bad", "503");
    site.answer_with(200);
    assert!(!file().contains("Second"), "a test saves nothing");
    page.press("Add stream");
    heading(&page, "Second");
    page.sees(".head .pill", "Up");
    assert!(file().contains("name: Second"), "{}", file());
    comments_stay();
    page.click(".nav a");
    rows_are(&page, &["First", "Second"]);

    page.click(&super::row("Second"));
    heading(&page, "Second");
    page.click("//a[normalize-space()='Edit']");
    page.click("//summary[normalize-space()='Cadence and thresholds']");
    page.fill("input[name=interval]", "7 parsecs");
    page.press("Save");
    page.sees(".field.wrong .problem", "7 parsecs");
    page.fill("input[name=interval]", "7s");
    page.press("Save");
    heading(&page, "Second");
    wait_for("the new interval is shown", || page.text(".stats").contains("7 s").then_some(()));
    assert!(file().contains("interval: 7s"), "{}", file());
    comments_stay();

    page.press("Pause");
    page.sees(".head .pill", "Paused");
    page.press("Resume");
    page.sees(".head .pill", "Up");

    page.press("Delete");
    page.sees("dialog", "Delete Second?");
    page.click("//dialog//button[normalize-space()='Cancel']");
    page.gone("dialog");
    assert_eq!(page.js("return document.activeElement.textContent"), "Delete", "the focus comes back");
    assert!(file().contains("name: Second"), "cancelled");
    page.press("Delete");
    page.click("//dialog//button[normalize-space()='Delete']");
    rows_are(&page, &["First"]);
    assert!(!file().contains("Second"), "{}", file());
    comments_stay();
}
