//! Plugins through the binary: what the page gets, what nobody can do over HTTP, and that nothing survives the program.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Instance, Place, binary, cli, wait_for};

const COMMANDS: &str = r#"
commands:
  disk:
    description: Free space of a file system
    argv: [/bin/sh, -c, 'echo "DISK $1 | /=$2%;80;90;0;100"; test "$PW" = "" || echo "$PW"; exit $2', plugin, "{word}", "{code}"]
    args:
      word: {default: OK}
      code: {default: "0", pattern: "[0-9]"}
    secrets: [PW]
  hang:
    argv: [/bin/sh, -c, 'sleep 300 & echo $$$$ $! >> "$1"; wait', plugin, "{file}"]
    args: {file: {pattern: "/.*"}}
"#;

/// A folder with the file of commands beside the configuration.
fn place(targets: &str) -> Place {
    let place = Place::open(targets);
    let file = place.folder.path().join("commands.yaml");
    fs::write(&file, COMMANDS).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
    place
}

fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().is_empty() && !rest.trim_start().starts_with('Z'))
}

fn hanging(file: &Path) -> Vec<String> {
    wait_for("the command runs", || {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.ends_with('\n').then(|| text.split_whitespace().map(str::to_owned).collect())
    })
}

#[test]
fn plugins_have_their_status_words_and_values_on_the_page() {
    let place = place(
        "targets:\n  - {name: Good, url: 'exec://disk', interval: 1s}\n  - {name: Poor, url: 'exec://disk', args: {code: 1}, interval: 1s}\n  - {name: Bad, url: 'exec://disk', args: {code: 2, word: broken}, secrets: {PW: pl4nted-pw}, interval: 1s}\n  - {name: Odd, url: 'exec://disk', args: {code: 3}, interval: 1s}\n",
    );
    let run = place.start();
    let good = run.wait_status("Good", "up");
    let perf = &good["last"]["facts"]["perfdata"];
    assert_eq!(
        *perf,
        json!([{ "name": "/", "value": 0.0, "unit": "%", "warn": "80", "crit": "90", "min": 0.0, "max": 100.0 }])
    );
    assert_eq!(good["last"]["facts"]["message"], "DISK OK");
    run.wait_status("Poor", "degraded");
    let bad = run.wait_status("Bad", "down");
    assert_eq!(
        (&bad["last"]["fault"]["kind"], &bad["last"]["fault"]["detail"]),
        (&json!("reported"), &json!("DISK broken"))
    );
    assert_eq!(bad["last"]["facts"]["long_output"], "***");
    run.wait_status("Odd", "unknown");
    assert!(!run.log().contains("pl4nted"));
    run.stop();
    let again = place.start();
    let kept = again.target("Good").expect("watched");
    assert_eq!(kept["last"]["facts"]["perfdata"], *perf, "the history keeps the values");
}

#[test]
fn nobody_defines_a_command_over_http() {
    let place = place("targets:\n  - {name: Disk, id: disk, url: 'exec://disk', interval: 1s}\n");
    let bait = place.folder.path().join("bait");
    let run = place.start();
    run.wait_status("Disk", "up");
    let refused = |method: &str, path: &str, body: &Value| {
        let answer = run.send(method, path, body);
        assert!((400..500).contains(&answer.status), "{method} {path} {body}: {} {}", answer.status, answer.text());
        answer.text()
    };
    let touch = format!("touch {}", bait.display());
    for body in [
        json!({ "name": "X", "url": "exec://touch" }),
        json!({ "name": "X", "url": "exec://disk", "argv": ["/bin/touch", bait] }),
        json!({ "name": "X", "url": "exec://disk", "command": touch }),
        json!({ "name": "X", "url": "exec://disk", "args": { "code": "0;x" } }),
        json!({ "name": "X", "url": "exec://disk", "args": { "word": "-x" } }),
        json!({ "name": "X", "url": "exec://disk", "args": { "more": "1" } }),
        json!({ "name": "X", "url": "exec://disk", "secrets": { "PATH": "/tmp" } }),
        json!({ "name": "X", "url": "exec:///bin/touch" }),
        json!({ "name": "X", "url": "exec://bin/../disk" }),
    ] {
        refused("POST", "/api/v1/targets", &body);
        refused("POST", "/api/v1/try", &body);
    }
    refused("PATCH", "/api/v1/targets/disk", &json!({ "commands": { "disk": { "argv": ["/bin/touch"] } } }));
    let hash = run.get("/api/v1/config").json()["hash"].clone();
    let text = fs::read_to_string(place.config()).expect("there");
    let text = format!("{text}commands:\n  own:\n    argv: [/bin/touch, {}]\n", bait.display());
    let words = refused("PUT", "/api/v1/config", &json!({ "text": text, "expected_hash": hash }));
    assert!(words.contains("unknown key commands"), "{words}");
    // A name that the file has is fine, also over HTTP.
    let made = run.send(
        "POST",
        "/api/v1/targets",
        &json!({ "name": "Made", "url": "exec://disk", "args": { "word": "$(touch x)" } }),
    );
    assert_eq!(made.status / 100, 2, "{}", made.text());
    assert_eq!(run.wait_status("Made", "up")["last"]["facts"]["message"], "DISK $(touch x)");
    assert!(!bait.exists());
    assert_eq!(fs::read_to_string(place.folder.path().join("commands.yaml")).expect("there"), COMMANDS);
}

#[test]
fn a_command_dies_with_the_program_however_that_dies() {
    let stop = |run: Instance| assert!(run.stop().success());
    for end in [Instance::kill, stop] {
        let place = place("");
        let file = place.folder.path().join("pids");
        let target = format!(
            "targets:\n  - {{name: Hang, url: 'exec://hang', args: {{file: '{}'}}, timeout: 100s, interval: 200s}}\n",
            file.display()
        );
        let text = fs::read_to_string(place.config()).expect("there") + &target;
        fs::write(place.config(), text).expect("written");
        let run = place.start();
        let pids = hanging(&file);
        assert!(pids.len() == 2 && pids.iter().all(|pid| lives(pid)), "{pids:?}");
        end(run);
        wait_for("the command and its child are gone", || (!pids.iter().any(|pid| lives(pid))).then_some(()));
    }
}

#[test]
fn the_command_line_runs_a_named_command() {
    let place = place("");
    let file = place.folder.path().join("commands.yaml");
    let commands = file.to_str().expect("utf-8");
    for (code, word) in [(0, "UP"), (1, "DEGRADED"), (2, "DOWN"), (3, "UNKNOWN")] {
        let option = format!("args.code={code}");
        let out = cli(&["probe", "exec://disk", "--commands", commands, "-o", &option]);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert_eq!(out.status.code(), Some(code), "{text}");
        assert!(text.starts_with(&format!("{word} exec://disk: ")) && text.contains("DISK OK"), "{text}");
    }
    let none = cli(&["probe", "exec://dsk", "--commands", commands]);
    assert_eq!(none.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&none.stderr).contains("did you mean disk?"), "{none:?}");
    // Who else may write the file may run anything: it is refused.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o622)).expect("set");
    for args in [
        &["probe", "exec://disk", "--commands", commands][..],
        &["check", "--commands", commands, place.config().to_str().expect("utf-8")],
    ] {
        let out = binary().args(args).output().expect("runs");
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && told.contains("others than its owner may write"), "{told}");
    }
}

#[test]
fn the_guard_hands_its_input_on_and_ends_the_command_with_its_owner() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::process::CommandExt as _;
    use std::process::Stdio;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pids");
    let script = r#"cat; sleep 300 & echo $$ $! >> "$0"; wait"#;
    let mut guard = binary()
        .args(["--guard-of-a-command", "--input-bytes=11", "/bin/sh", "-c", script])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("starts");
    let mut pipe = guard.stdin.take().expect("piped");
    pipe.write_all(b"hello input").expect("it reads");
    // The command read to the end of its input while our pipe to the guard is open.
    let pids = hanging(&file);
    assert!(pids.len() == 2 && pids.iter().all(|pid| lives(pid)), "{pids:?}");
    let mut said = [0; 11];
    guard.stdout.take().expect("piped").read_exact(&mut said).expect("eleven letters");
    assert_eq!(&said, b"hello input");
    drop(pipe);
    wait_for("all of the group is gone", || (!pids.iter().any(|pid| lives(pid))).then_some(()));
    let _killed = guard.wait();

    // An owner that goes before all is there wanted nothing to be run.
    let mut guard = binary()
        .args(["--guard-of-a-command", "--input-bytes=11", "/bin/sh", "-c", "echo ran >> \"$0\""])
        .arg(&file)
        .stdin(Stdio::piped())
        .spawn()
        .expect("starts");
    guard.stdin.take().expect("piped").write_all(b"hello").expect("it reads");
    assert!(!guard.wait().expect("ends").success());
    assert!(!fs::read_to_string(&file).expect("there").contains("ran"));
}
