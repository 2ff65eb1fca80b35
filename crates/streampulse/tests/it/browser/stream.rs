//! The page of one stream: chart, history, incidents, tracks, preview, and times in the zone that was chosen.

use super::driver::Browser;
use super::heading;
use crate::site::Site;
use crate::support::{Place, testbed, wait_for};

#[test]
fn a_stream_shows_its_past_in_the_chosen_zone() {
    if !Browser::wanted("a_stream_shows_its_past_in_the_chosen_zone") {
        return;
    }
    let site = Site::start();
    let place = Place::open(&format!(
        "timezone: Asia/Kolkata\ntargets:\n  - {{name: Page, id: page, interval: 1s, url: 'http://{}/'}}\n",
        site.at
    ));
    let run = place.start();
    let page = Browser::start();
    run.wait_status("Page", "up");
    site.answer_with(503);
    run.wait_status("Page", "down");
    site.answer_with(200);
    run.wait_status("Page", "up");
    let first = wait_for("the first look is stored", || {
        let all = run.get("/api/v1/targets/page/observations?order=asc&limit=1").json();
        all["rows"][0]["at"].as_i64()
    });
    let shown_in = |zone: &str| {
        let at = jiff::Timestamp::from_millisecond(first).expect("a time").in_tz(zone).expect("a zone");
        at.strftime("%Y-%m-%d %H:%M:%S").to_string()
    };
    let history = "//section[.//h2[text()='History']]";

    page.go(&run.page("/streams/page"));
    heading(&page, "Page");
    page.sees(history, &shown_in("Asia/Kolkata"));
    page.sees(history, "503");
    page.until("the chart has areas", "document.querySelectorAll('.chart svg path').length > 1");
    let strip = "[...document.querySelectorAll('.strip i')].map((i) => i.className).join(' ')";
    page.until("the strip tells it in order", &format!("{strip} === 'unknown up down up'"));
    page.sees("//section[.//h2[text()='Incidents']]", "lasted");
    page.sees(".facts", "Phases");
    page.click("[data-value='24 h']");
    page.until("the other window", "document.querySelector('[data-value=\"24 h\"]').ariaPressed === 'true'");
    page.is_clean("the page of a stream");

    page.go(&run.page("/settings"));
    page.click("//label[contains(., 'On this browser')]//option[@value='America/Bogota']");
    page.sees(".toast", "America/Bogota");
    page.go(&run.page("/streams/page"));
    page.sees(history, &shown_in("America/Bogota"));
    page.go(&run.page("/settings"));
    page.click("//label[contains(., 'Of the server')]//option[@value='Europe/Oslo']");
    page.press("Save");
    page.sees(".toast:last-child", "Europe/Oslo");
    page.click("//label[contains(., 'On this browser')]//option[@value='']");
    page.go(&run.page("/streams/page"));
    page.sees(history, &shown_in("Europe/Oslo"));
    let text = std::fs::read_to_string(place.config()).expect("readable");
    assert!(text.contains("timezone: Europe/Oslo"), "{text}");
}

#[test]
fn a_preview_is_a_picture() {
    let Some(_) = testbed("a_preview_is_a_picture") else { return };
    if !Browser::wanted("a_preview_is_a_picture") {
        return;
    }
    let place = Place::open(
        "defaults: {interval: 5s}\ntargets:\n  - {name: Camera, id: cam, url: 'rtsp://127.0.0.1:18554/720p'}\n  - {name: Webcam, id: web, kind: mjpeg, url: 'http://127.0.0.1:18081/'}\n  - {name: Text, id: text, url: 'http://127.0.0.1:18080/json'}\n",
    );
    let run = place.start();
    let page = Browser::start();
    run.wait_status("Camera", "up");
    run.wait_status("Webcam", "up");
    for (id, width) in [("cam", 320), ("web", 1)] {
        page.go(&run.page(&format!("/streams/{id}")));
        page.until("tracks", "document.querySelector('td.mono')");
        page.press("Show");
        page.until("a picture", &format!("document.querySelector('.preview img')?.naturalWidth >= {width}"));
        page.press("Stop");
        page.sees(".preview", "Stopped");
        page.press("Play 5 s");
        page.until("a moving picture", "document.querySelector('.preview img')?.naturalWidth > 0");
        page.is_clean(id);
    }
    page.go(&run.page("/streams/text"));
    page.press("Show");
    page.sees(".preview", "No picture");
}
