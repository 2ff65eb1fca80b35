//! Alerts, rules, channels and planned work as people meet them.

use std::fs;

use super::driver::Browser;
use crate::site::Site;
use crate::support::{Place, wait_for};

const OWN: &str = "server:\n  listen: 127.0.0.1:0\n  login: false\ntimezone: UTC\n";

fn targets(site: &Site) -> String {
    format!(
        "targets:\n  - name: Switch\n    id: switch\n    url: http://{0}/\n    interval: 1s\n    fail_after: 1\n  - name: Camera\n    id: cam\n    url: http://{0}/cam\n    interval: 1s\n    fail_after: 1\n    parents: [switch]\n",
        site.at
    )
}

#[test]
fn an_alert_is_seen_acknowledged_muted_and_found_in_the_history() {
    if !Browser::wanted("an_alert_is_seen_acknowledged_muted_and_found_in_the_history") {
        return;
    }
    let site = Site::start();
    let rules = "channels:\n  - {name: hook, kind: webhook, url: 'http://127.0.0.1:1/'}\nalerts:\n  rules:\n    - {name: Down, status: down, severity: critical}\n";
    let place = Place::with(&format!("{OWN}{rules}{}", targets(&site)));
    let run = place.start();
    run.wait_status("Camera", "up");
    let page = Browser::start();
    page.go(&run.page("/alerts"));
    page.sees(".empty", "Nothing is wrong");
    page.gone(".badge");

    site.answer_with(500);
    page.sees(".nav .badge.sev-critical", "1");
    let row = "#active tr[data-key]";
    page.sees("#active", "Switch");
    page.sees("#active", "Explains 1 stream");
    page.sees("#active", "explained by Switch");
    for (width, scheme) in [(390, "dark"), (1440, "light")] {
        page.screen(width, 900, scheme);
        assert_eq!(page.js("return document.documentElement.scrollWidth <= innerWidth"), true, "{width}");
    }
    let mine = |button: &str| {
        format!(
            "//section[@id='active']//tr[td[2]/a[normalize-space()='Switch']]//button[normalize-space()='{button}']"
        )
    };
    page.click(&mine("Acknowledge"));
    page.fill("dialog textarea", "The electrician comes at <b>ten</b>");
    page.click("dialog button[type=submit]");
    page.sees("#active .acked", "The electrician comes at <b>ten</b>");
    page.gone(".badge");
    page.click(&mine("Take back"));
    page.sees(".nav .badge", "1");
    page.click(&mine("Mute"));
    page.choose("dialog select[name=what]", "target");
    page.fill("dialog input[name=note]", "being replaced");
    page.click("dialog button[type=submit]");
    page.sees("#muted", "being replaced");
    page.sees("#active", "muted until");
    page.press("End");
    page.gone("#muted");

    site.answer_with(200);
    page.sees(".empty", "Nothing is wrong");
    page.until("no row is left", &format!("!document.querySelector(\"{row}\")?.checkVisibility()"));
    page.press("History");
    page.sees("#history", "Switch");
    page.is_clean("alerts");
}

#[test]
fn rules_and_channels_are_added_edited_tried_and_removed() {
    if !Browser::wanted("rules_and_channels_are_added_edited_tried_and_removed") {
        return;
    }
    let (site, hook) = (Site::start(), Site::start());
    let place = Place::with(&format!("{OWN}{}", targets(&site)));
    let run = place.start();
    let page = Browser::start();
    let file = || fs::read_to_string(place.config()).expect("readable");
    let holds = |text: &str| wait_for(text, || file().contains(text).then_some(()));

    page.go(&run.page("/settings/rules"));
    page.sees("#list-alerts-rules .empty", "no rules of your own");
    page.press("Add a rule");
    page.fill(".card.inner input[name=name]", "Gate, down");
    page.fill(".card.inner input[name=status]", "broken");
    page.press("Save and apply");
    page.sees(".field.wrong", "\"broken\" is not accepted here");
    page.fill(".card.inner input[name=status]", "down, degraded");
    page.choose(".card.inner select[name=severity]", "critical");
    page.press("Save and apply");
    holds("alerts:\n  rules:\n    - name: 'Gate, down'\n      status: [down, degraded]\n      severity: critical\n");
    page.sees("#list-alerts-rules tbody", "status is down, degraded");
    page.press("Edit");
    page.fill(".card.inner input[name=for]", "30s");
    page.press("Save and apply");
    holds("for: 30s");
    page.press("Remove");
    page.click("dialog .btn.danger");
    wait_for("the rule is gone", || (!file().contains("Gate")).then_some(()));

    page.go(&run.page("/settings/channels"));
    page.sees("#list-channels .empty", "nobody is told of anything");
    page.press("Add a channel");
    page.fill(".card.inner input[name=name]", "ops");
    page.choose(".card.inner select[name=kind]", "webhook");
    page.fill(".card.inner input[name=url]", &format!("http://{}/hook", hook.at));
    page.press("Save and apply");
    holds(&format!("channels:\n  - name: ops\n    kind: webhook\n    url: http://{}/hook\n", hook.at));
    page.sees("#list-channels .pill", "not known yet");
    page.press("Test");
    page.sees("#list-channels .pill.up", "works");
    hook.answer_with(404);
    page.press("Test");
    page.sees("#list-channels .pill.down", "fails");
    page.is_clean_but("rules and channels", "/api/v1/sections/alerts.rules/items");
}

#[test]
fn planned_work_is_seen_in_a_calendar_and_begins_by_hand() {
    if !Browser::wanted("planned_work_is_seen_in_a_calendar_and_begins_by_hand") {
        return;
    }
    let site = Site::start();
    let windows = "maintenance:\n  - {name: Updates, days: daily, from: '03:00', until: '04:00', timezone: America/New_York, except_targets: [cam]}\n";
    let place = Place::with(&format!("{OWN}{windows}{}", targets(&site)));
    let run = place.start();
    run.wait_status("Camera", "up");
    let page = Browser::start();
    page.go(&run.page("/maintenance"));
    page.sees("#calendar", "Updates");
    page.sees("#calendar", "Updates in America/New_York");
    let works = page.js("return document.querySelectorAll('#calendar .day:not(.outside) .work').length");
    assert!(works.as_u64() >= Some(28), "{works}");
    // The clocks of New York are 4 or 5 hours behind.
    let first = page.text("#calendar .day:not(.outside) .work");
    assert!(first.contains("07:00 to 08:00") || first.contains("08:00 to 09:00"), "{first}");
    for (width, scheme) in [(390, "dark"), (1440, "light")] {
        page.screen(width, 900, scheme);
        assert_eq!(page.js("return document.documentElement.scrollWidth <= innerWidth"), true, "{width}");
    }
    page.click("#calendar button[aria-label='Month after']");
    page.sees("#calendar", "Updates");
    page.fill("#by-hand input", "New switch");
    page.choose("#by-hand select[name=who]", "t:cam");
    page.press("Begin now");
    run.wait_status("Camera", "maintenance");
    page.sees(".notice", "New switch");
    page.press("Today");
    page.sees("#calendar .work.hand", "New switch");
    page.press("End it");
    run.wait_status("Camera", "up");
    page.press("Add a window");
    page.fill(".card.inner input[name=name]", "Month end");
    page.fill(".card.inner input[name=day]", "last");
    page.fill(".card.inner input[name=from]", "22:00");
    page.fill(".card.inner input[name=until]", "23:30");
    page.press("Save and apply");
    page.sees("#list-maintenance", "every month on the last day, 22:00 to 23:30");
    page.is_clean("planned work");
}
