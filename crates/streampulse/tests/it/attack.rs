//! What strangers and administrators with bad intentions try on the real program.

use std::process::Command;

use serde_json::{Value, json};

use crate::site::Site;
use crate::support::{Instance, Place};

/// The limit of open files that shells give as a rule.
const FILES_OF_A_SHELL: u64 = 1024;

#[test]
fn strangers_cannot_use_up_the_open_files() {
    let place = Place::open("targets: []\n");
    let inner = place.command(&[]);
    let mut outer = Command::new("sh");
    outer.args(["-c", &format!("ulimit -Sn {FILES_OF_A_SHELL}; exec \"$@\""), "sh"]);
    outer.arg(inner.get_program()).args(inner.get_args());
    let run = Instance::spawn(outer, place.folder.path());
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", run.child.id())).expect("it runs");
    let line = limits.lines().find(|l| l.starts_with("Max open files")).expect("a limit");
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    let [soft, hard] = numbers[..] else { panic!("{line}") };
    assert_eq!(soft, hard.min(65_536), "{line}");
    assert!(run.stop().success());
}

/// Targets whose secrets stand beside the URL, in it, and in a comment.
fn guarded(site: &Site) -> Place {
    Place::open(&format!(
        "defaults: {{interval: 1h, timeout: 2s}}\n# password: pl4nted-comment\ntargets:\n  - name: A\n    id: a\n    url: http://u:pl4nted-url@localhost:1/x\n    secret_headers:\n      Authorization: pl4nted-header\n  - name: Site\n    id: site\n    url: http://{}/\n",
        site.at
    ))
}

#[test]
fn an_administrator_cannot_send_a_hidden_secret_elsewhere() {
    let site = Site::start();
    let place = guarded(&site);
    let run = place.start();
    let evil = site.at;
    let header = json!({ "Authorization": "***" });
    for url in [
        format!("http://{evil}/"),
        format!("http://u:***@{evil}/"),
        format!("http://u:***@{evil}\\@localhost/"),
        format!("http:{evil}/://localhost/"),
        format!("http:/\t/{evil}/?x=http://localhost/"),
        format!("http://localhost\t@{evil}/"),
        format!("http:\\\\{evil}\\x://localhost"),
        format!("http://${{NOT_SET:-{evil}/}}@localhost/"),
        format!("http://u:${{NOT_SET:-x@{evil}/}}@localhost/"),
    ] {
        for fields in [json!({ "url": url, "secret_headers": header }), json!({ "url": url })] {
            let changed = run.send("PATCH", "/api/v1/targets/a", &fields);
            assert_eq!(changed.status, 422, "{fields}: {}", changed.text());
        }
        let tried = json!({ "id": "a", "kind": "http", "url": url, "secret_headers": header });
        assert_eq!(run.send("POST", "/api/v1/try", &tried).status, 422, "{tried}");
    }
    assert!(run.stop().success());
}

#[test]
fn hidden_lines_do_not_come_back_as_values() {
    let site = Site::start();
    let place = guarded(&site);
    let run = place.start();
    let config = run.get("/api/v1/config").json();
    let (text, hash) = (config["text"].as_str().expect("text"), config["hash"].clone());
    assert!(text.contains("\n      Authorization: \"***\"\n"), "{text}");
    let stolen = format!(
        "{text}  - name: Evil\n    id: evil\n    url: http://{}/\n    method: POST\n    body: |\n      Authorization: \"***\"\n",
        site.at
    );
    let put = run.send("PUT", "/api/v1/config", &json!({ "text": stolen, "expected_hash": hash }));
    assert_eq!(put.status, 200, "{}", put.text());
    let kept = std::fs::read_to_string(place.config()).expect("there");
    assert_eq!(kept.matches("pl4nted-header").count(), 1, "{kept}");
    assert!(run.stop().success());
}

#[test]
fn what_never_ends_is_no_certificate() {
    let site = Site::start();
    let place = guarded(&site);
    let run = place.start();
    let pipe = place.folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().is_ok_and(|s| s.success()));
    for file in ["/dev/zero", pipe.to_str().expect("text")] {
        let tried = json!({ "url": format!("https://{}/", site.at), "ca_file": file, "timeout": "10s" });
        let seen: Value = run.send("POST", "/api/v1/try", &tried).json();
        let detail = seen["fault"]["detail"].as_str().unwrap_or_default();
        assert!(detail.ends_with("is no file"), "{seen}");
    }
    // A thread that still read would keep the program from ending.
    assert!(run.stop().success());
}
