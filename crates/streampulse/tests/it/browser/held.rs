//! The page of a stream that is held: what the session is doing, its measures, and the minute that moves on.

use super::driver::Browser;
use super::{heading, row};
use crate::support::{Place, testbed};
use crate::watch::Rtsp;

#[test]
fn a_held_stream_shows_its_seconds_and_what_its_session_is_doing() {
    let story = "a_held_stream_shows_its_seconds_and_what_its_session_is_doing";
    let Some(folder) = testbed(story) else { return };
    if !Browser::wanted(story) {
        return;
    }
    let camera = Rtsp::start(&folder);
    let place = Place::open(&format!(
        "targets:\n  - {{name: Hall, id: hall, url: 'rtsp://127.0.0.1:{}/h264', watch: continuous, interval: 2s, timeout: 2s}}\n",
        camera.port
    ));
    let run = place.start();
    run.wait_status("Hall", "up");
    let page = Browser::start();
    page.go(&run.page("/"));
    page.sees(&format!("{}//span[contains(@class,'held') and contains(@class,'live')]", row("Hall")), "held");
    page.sees(&row("Hall"), "bit/s");
    page.is_clean("the list with a held stream");

    page.go(&run.page("/streams/hall"));
    heading(&page, "Hall");
    page.sees(".session .pill", "Live");
    page.sees(".session", "Media flows for");
    page.sees(".measures", "bit/s");
    page.sees(".measures", "Reconnects");
    let bars = "(document.querySelector('.minute .bars').getAttribute('d').match(/M/g) || []).length";
    page.until("a few seconds are drawn", &format!("{bars} >= 3"));
    let then = page.js(&format!("return {bars};")).as_u64().expect("a count");
    page.until("the minute moves on by itself", &format!("{bars} > {then}"));
    page.click("[data-value='frames']");
    page.until("the other curve", "document.querySelector('.minute svg').ariaLabel.startsWith('Pictures')");
    page.is_clean("the page of a held stream");

    camera.signal("STOP");
    page.sees(".session .pill", "No session");
    page.sees(".session", "The next session is opened");
    camera.signal("CONT");
    page.sees(".session .pill", "Live");
    page.sees(".session", "Opened again");
    page.press("Pause");
    page.sees(".session", "No session is held while the stream is paused");
    page.is_clean("a paused one");
}
