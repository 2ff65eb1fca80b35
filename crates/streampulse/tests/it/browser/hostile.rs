//! Texts from the outside stay texts: names from the configuration and words from a watched server hold markup and scripts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use super::driver::Browser;
use super::heading;
use crate::support::Place;

const MARKUP: &str = "<img src=x onerror=\"window.hacked=1;alert(1)\">";

/// A server whose every word is markup. It serves until the test ends.
fn loud() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            let _read = stream.read(&mut head);
            let body = serde_json::json!({ "state": MARKUP }).to_string();
            let answer = format!(
                "HTTP/1.1 200 {MARKUP}\r\nServer: {MARKUP}\r\nContent-Type: text/html; x={MARKUP}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _gone = stream.write_all(answer.as_bytes());
        }
    });
    at
}

#[test]
fn markup_from_outside_stays_text() {
    if !Browser::wanted("markup_from_outside_stays_text") {
        return;
    }
    let at = loud();
    let quoted = MARKUP.replace('\'', "''");
    let place = Place::open(&format!(
        "targets:\n  - name: '{quoted}'\n    id: loud\n    group: '{quoted}'\n    tags: ['{quoted}']\n    url: 'http://{at}/<script>window.hacked=1</script>'\n    interval: 1s\n    json_pointer: /state\n    json_equals: fine\n"
    ));
    let run = place.start();
    let page = Browser::start();
    let down = run.wait_status(MARKUP, "down");
    assert!(
        down["reason"].as_str().is_some_and(|r| r.contains("<img")),
        "the reason repeats the server's words: {down}"
    );

    for (path, ready) in [
        ("/", ".srow"),
        ("/streams/loud", ".facts dd"),
        ("/streams/loud/edit", "input[name=url]"),
        ("/incidents", "tbody tr"),
        ("/settings/config", "textarea"),
        ("/settings/audit", "tbody tr"),
        ("/streams/%3Cimg%20src=x%20onerror=alert(1)%3E", ".empty"),
        ("/%3Cimg%20src=x%20onerror=alert(1)%3E", ".empty"),
    ] {
        page.go(&run.page(path));
        page.until(path, &format!("document.querySelector('{ready}')"));
        nothing_ran(&page, path);
    }
    page.go(&run.page("/streams/loud"));
    heading(&page, MARKUP);
    page.sees(".notice", "<img");
    page.press("Test now");
    page.sees(".toast", "<img");
    page.press("Delete");
    page.sees("dialog", MARKUP);
    nothing_ran(&page, "the dialog");
    page.click("//dialog//button[normalize-space()='Delete']");
    page.sees(".toasts", "no longer watched");
    nothing_ran(&page, "after all");
}

fn nothing_ran(page: &Browser, place: &str) {
    let traces =
        "return [window.hacked || 0, document.querySelectorAll('img[src=x], main script, .bar script').length]";
    assert_eq!(page.js(traces), serde_json::json!([0, 0]), "{place}");
}
