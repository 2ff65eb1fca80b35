//! The configuration while running: by hand, by the page, well and badly written.

use std::fs;

use serde_json::json;

use crate::site::Site;
use crate::support::{Instance, Place, wait_for};

fn names(run: &Instance) -> Vec<String> {
    let all = run.get("/api/v1/targets").json();
    all["targets"].as_array().expect("a list").iter().map(|t| t["name"].as_str().expect("a name").to_owned()).collect()
}

fn server() -> String {
    "server:\n  listen: 127.0.0.1:0\n  login: false\n".to_owned()
}

#[test]
fn an_edit_by_hand_touches_only_what_changed() {
    let site = Site::start();
    let one = format!("  # the first\n  - name: One\n    url: http://{}/1\n    interval: 1s\n", site.at);
    let two = format!("  - name: Two\n    url: http://{}/2\n    interval: 1s\n", site.at);
    let place = Place::with(&format!("{}targets:\n{one}", server()));
    let run = place.start();
    let since = run.wait_status("One", "up")["since"].clone();
    fs::write(place.config(), format!("{}targets:\n{one}{two}", server())).expect("written");
    run.wait_status("Two", "up");
    assert_eq!(run.target("One").expect("there")["since"], since, "an unchanged target keeps its state");
    fs::write(place.config(), format!("{}targets:\n{two}", server())).expect("written");
    wait_for("One is gone", || (names(&run) == ["Two"]).then_some(()));
}

#[test]
fn a_bad_file_changes_nothing_and_is_told() {
    let site = Site::start();
    let good = format!("{}targets:\n  - name: One\n    url: http://{}/\n    interval: 1s\n", server(), site.at);
    let place = Place::with(&good);
    let run = place.start();
    run.wait_status("One", "up");
    for bad in ["targets: [", "", "targets:\n  - name: One\n    url: http://h/\n    intervall: 5s\n"] {
        fs::write(place.config(), bad).expect("written");
        wait_for("the refusal is told", || {
            let health = run.get("/api/v1/health").json();
            (health["parts"]["config"]["ok"] == false).then_some(())
        });
        assert_eq!(names(&run), ["One"], "what ran goes on");
        let before = site.requests();
        wait_for("watching goes on", || (site.requests() > before).then_some(()));
        fs::write(place.config(), &good).expect("written");
        wait_for("the good file is in effect again", || {
            (run.get("/api/v1/health").json()["parts"]["config"]["ok"] == true).then_some(())
        });
    }
    fs::remove_file(place.config()).expect("removed");
    wait_for("the missing file is told", || {
        (run.get("/api/v1/health").json()["parts"]["config"]["ok"] == false).then_some(())
    });
    assert_eq!(names(&run), ["One"]);
}

#[test]
fn a_symlinked_file_is_followed_when_the_link_moves() {
    let site = Site::start();
    let target = |name: &str| {
        format!("{}targets:\n  - name: {name}\n    url: http://{}/\n    interval: 1s\n", server(), site.at)
    };
    let place = Place::with("");
    let folder = place.folder.path();
    fs::write(folder.join("a.yaml"), target("A")).expect("written");
    fs::write(folder.join("b.yaml"), target("B")).expect("written");
    fs::remove_file(place.config()).expect("removed");
    std::os::unix::fs::symlink("a.yaml", place.config()).expect("linked");
    let run = place.start();
    run.wait_status("A", "up");
    std::os::unix::fs::symlink("b.yaml", folder.join("next")).expect("linked");
    fs::rename(folder.join("next"), place.config()).expect("renamed");
    run.wait_status("B", "up");
    let edited = run.send("POST", "/api/v1/targets", &json!({ "name": "C", "url": format!("http://{}/c", site.at) }));
    assert_eq!(edited.status, 201, "{}", edited.text());
    assert!(fs::symlink_metadata(place.config()).expect("there").is_symlink(), "the link stays a link");
    assert!(fs::read_to_string(folder.join("b.yaml")).expect("there").contains("name: C"));
}

#[test]
fn edits_by_the_api_keep_comments_and_order() {
    let site = Site::start();
    let text = format!(
        "# head\n{}\ntargets:\n  # the first camera\n  - name: One   # beside\n    url: http://u:hunter2@{}/1\n    interval: 1s\n\n  - name: Two\n    url: http://{}/2\n",
        server(),
        site.at,
        site.at
    );
    let place = Place::with(&text);
    let run = place.start();
    run.wait_status("One", "up");
    let id = run.target("One").expect("there")["id"].as_str().expect("an id").to_owned();
    let answer = run.send("PATCH", &format!("/api/v1/targets/{id}"), &json!({ "interval": "2s", "group": "Yard" }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let now = fs::read_to_string(place.config()).expect("there");
    for kept in ["# head", "# the first camera", "# beside", "hunter2", "interval: 2s", "group: Yard"] {
        assert!(now.contains(kept), "{kept} is missing:\n{now}");
    }
    assert!(now.find("name: One") < now.find("name: Two"), "{now}");
    let seen = run.target("One").expect("there");
    assert_eq!((seen["interval_ms"].as_i64(), seen["group"].as_str()), (Some(2000), Some("Yard")), "{seen}");
    // A masked URL keeps its password.
    let url = seen["url"].as_str().expect("text").replace("/1", "/one");
    assert!(url.contains("***") && !url.contains("hunter2"), "{url}");
    let answer = run.send("PATCH", &format!("/api/v1/targets/{id}"), &json!({ "url": url }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(fs::read_to_string(place.config()).expect("there").contains("u:hunter2@"), "the password is kept");
    // Somebody else changed the file meanwhile.
    let view = run.get("/api/v1/config").json();
    fs::write(place.config(), format!("{now}# more\n")).expect("written");
    let stale = run.send("PUT", "/api/v1/config", &json!({ "text": "targets: []\n", "expected_hash": view["hash"] }));
    assert_eq!(stale.status, 409, "{}", stale.text());
    assert!(fs::read_to_string(place.config()).expect("there").ends_with("# more\n"), "nothing is lost");
    assert_eq!(run.send("DELETE", &format!("/api/v1/targets/{id}"), &json!({})).status / 100, 2);
    wait_for("One is gone", || (names(&run) == ["Two"]).then_some(()));
}

#[test]
fn a_renamed_target_keeps_its_history() {
    let site = Site::start();
    let with = |name: &str| {
        format!("{}targets:\n  - name: {name}\n    url: http://{}/\n    interval: 1s\n", server(), site.at)
    };
    let place = Place::with(&with("Old name"));
    let run = place.start();
    run.wait_status("Old name", "up");
    wait_for("two looks are stored", || {
        let id = run.target("Old name")?["id"].as_str()?.to_owned();
        (run.get(&format!("/api/v1/targets/{id}/observations")).json()["rows"].as_array()?.len() >= 2).then_some(())
    });
    let first = run.target("Old name").expect("there")["beats"][0][0].as_i64().expect("a time");
    fs::write(place.config(), with("New name")).expect("written");
    let new = run.wait_status("New name", "up");
    assert!(names(&run) == ["New name"]);
    let id = new["id"].as_str().expect("an id");
    wait_for("the history is that of the old name", || {
        let rows = run.get(&format!("/api/v1/targets/{id}/observations?limit=500&order=asc")).json();
        let oldest = rows["rows"].as_array()?.iter().filter_map(|r| r["at"].as_i64()).min()?;
        (oldest <= first).then_some(())
    });
}
