//! The list of streams: statuses, heartbeats, search, filter, groups, and changes that arrive by themselves.

use super::driver::{Browser, ESCAPE};
use super::{heading, row, row_shows, rows_are};
use crate::site::Site;
use crate::support::Place;

#[test]
fn the_list_searches_filters_folds_and_lives() {
    if !Browser::wanted("the_list_searches_filters_folds_and_lives") {
        return;
    }
    let site = Site::start();
    let place = Place::open(&format!(
        "defaults: {{interval: 1s}}\ntargets:\n  - {{name: North, group: East side, url: 'http://{at}/n'}}\n  - {{name: South, group: East side, tags: [door], url: 'http://{at}/s'}}\n  - {{name: Wrong, group: West side, url: 'http://{at}/w', expect_status: 404}}\n",
        at = site.at
    ));
    let run = place.start();
    let page = Browser::start();
    page.go(&run.page("/"));
    for (name, status) in [("North", "Up"), ("South", "Up"), ("Wrong", "Down")] {
        row_shows(&page, name, status);
    }
    page.until("a green and a red heartbeat", "document.querySelector('.beats .u').getAttribute('d') && [...document.querySelectorAll('.beats .d')].some((p) => p.getAttribute('d'))");
    page.sees(&row("Wrong"), "200");

    page.keys("/");
    page.keys("door");
    rows_are(&page, &["South"]);
    page.keys(ESCAPE);
    rows_are(&page, &["North", "South", "Wrong"]);
    page.click("[data-value=failing]");
    rows_are(&page, &["Wrong"]);
    page.click("[data-value=all]");
    page.click("//button[contains(., 'East side')]");
    rows_are(&page, &["Wrong"]);
    assert_eq!(
        page.js("return document.activeElement.textContent.includes('East side')"),
        true,
        "the focus stays where it was"
    );
    page.click("//button[contains(., 'East side')]");
    rows_are(&page, &["North", "South", "Wrong"]);
    page.choose("select[aria-label=Order]", "status");
    rows_are(&page, &["Wrong", "North", "South"].map(|n| n));
    page.choose("select[aria-label=Order]", "config");

    page.js("window.sameDocument = true");
    site.answer_with(503);
    row_shows(&page, "North", "Down");
    page.sees(&row("North"), "503");
    page.sees("[data-value=failing]", "Failing 3");
    site.answer_with(200);
    row_shows(&page, "North", "Up");
    assert_eq!(page.js("return window.sameDocument"), true, "nothing was loaded again");
    page.is_clean("the list");

    page.go(&run.page("/incidents"));
    heading(&page, "Incidents");
    page.sees("tbody", "North");
    page.click("[data-value=true]");
    page.until("only what is open", "document.querySelectorAll('tbody tr').length === 1");
    page.sees("tbody", "Wrong");
    page.keys("/");
    page.until("the slash leads to the search from anywhere", "document.activeElement.type === 'search'");
}
