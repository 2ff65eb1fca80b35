//! Sinks on the settings page: set up, tried, saved, watched, taken out.

use std::fs;

use super::driver::Browser;
use crate::site::Site;
use crate::support::{Place, wait_for};

#[test]
fn a_sink_is_set_up_tried_and_watched_on_the_page() {
    if !Browser::wanted("a_sink_is_set_up_tried_and_watched_on_the_page") {
        return;
    }
    let (site, influx) = (Site::start(), Site::start());
    influx.answer_with(404);
    let own = format!(
        "server:\n  listen: 127.0.0.1:0\n  login: false\ntargets:\n  - name: One\n    url: http://{}/\n    interval: 1s\n",
        site.at
    );
    let place = Place::with(&own);
    let run = place.start();
    let page = Browser::start();
    let file = || fs::read_to_string(place.config()).expect("readable");
    let card = "#sink-influxdb";

    page.go(&run.page("/settings/sinks"));
    page.sees(card, "Not configured");
    page.fill(&format!("{card} input[name=url]"), &format!("http://{}", influx.at));
    page.press("Test");
    page.sees(&format!("{card} .notice.bad"), "Some fields need attention");
    page.sees(&format!("{card} .field.wrong"), "neither a database nor a bucket is named");
    page.fill(&format!("{card} input[name=bucket]"), "streams");
    page.fill(&format!("{card} input[name=token]"), "hidden-token");
    page.press("Test");
    page.sees(&format!("{card} .notice.bad"), "404");
    assert_eq!(file(), own, "trying saves nothing");
    page.press("Save and apply");
    page.sees(".toast", "InfluxDB is saved and in effect");
    let section = format!("influxdb:\n  url: http://{}\n  bucket: streams\n  token: hidden-token\n", influx.at);
    assert_eq!(file(), format!("{own}{section}"));
    page.sees(&format!("{card} .pill.down"), "fails");
    page.sees(&format!("{card} .notice.bad"), "the server answers 404");
    for (width, scheme) in [(1440, "light"), (390, "dark")] {
        page.screen(width, 900, scheme);
        assert_eq!(page.js("return document.documentElement.scrollWidth <= innerWidth"), true, "{width}");
    }
    page.screen(1440, 900, "light");
    page.click(&format!("{card} summary"));
    page.until("the token is masked", &format!("document.querySelector('{card} input[name=token]').value === '***'"));
    page.fill(&format!("{card} input[name=bucket]"), "other");
    page.press("Save and apply");
    wait_for("the file is written", || file().contains("bucket: other").then_some(()));
    assert!(file().contains("token: hidden-token"), "the mask stands for what was there");
    page.click(&format!("{card} summary"));
    page.press("Remove");
    page.click("dialog .btn.danger");
    page.sees(card, "Not configured");
    assert_eq!(file(), own);
    page.is_clean_but("sinks", "/api/v1/sinks/test");
}
