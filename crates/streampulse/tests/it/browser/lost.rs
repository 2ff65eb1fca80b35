//! The server goes away and comes back: the page says so, goes on by itself and shows what is true then.

use std::fs;

use super::driver::Browser;
use super::{row_shows, rows_are};
use crate::site::Site;
use crate::support::Place;

#[test]
fn a_lost_server_is_told_and_found_again() {
    if !Browser::wanted("a_lost_server_is_told_and_found_again") {
        return;
    }
    let site = Site::start();
    let target = |name: &str| format!("  - {{name: {name}, interval: 1s, url: 'http://{}/{name}'}}\n", site.at);
    let place = Place::open(&format!("targets:\n{}", target("Before")));
    let run = place.start();
    let page = Browser::start();
    let at = run.at;
    page.go(&run.page("/"));
    row_shows(&page, "Before", "Up");
    page.gone(".banner");
    page.sees(".conn", "live");
    page.js("window.sameDocument = true");

    run.kill();
    page.sees(".banner.bad", "Connection lost");
    page.sees(".conn", "offline");
    site.answer_with(503);
    fs::write(
        place.config(),
        format!("server:\n  listen: {at}\n  login: false\ntargets:\n{}{}", target("Before"), target("After")),
    )
    .expect("written");
    let run = place.start();
    assert_eq!(run.at, at);
    page.gone(".banner.bad");
    page.sees(".conn", "live");
    rows_are(&page, &["Before", "After"]);
    row_shows(&page, "Before", "Down");
    assert_eq!(page.js("return window.sameDocument"), true, "nothing was loaded again");
}
