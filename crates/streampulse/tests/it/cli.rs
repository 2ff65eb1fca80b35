//! The command line: words, exit codes, JSON. Faults are those of real sockets.

use std::net::TcpListener;

use serde_json::Value;

use crate::support::{cli, testbed};

fn probe_json(args: &[&str]) -> (i32, Value) {
    let out = cli(&[&["probe", "--json"], args].concat());
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let json =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}{}", String::from_utf8_lossy(&out.stderr)));
    (out.status.code().expect("not killed"), json)
}

#[test]
fn a_refused_port_is_down_with_its_phase() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    for url in [format!("rtsp://u:hunter2@{free}/x"), format!("http://u:hunter2@{free}/"), format!("tcp://{free}")] {
        let (code, seen) = probe_json(&[&url]);
        assert_eq!(code, 2, "{seen}");
        assert_eq!(
            (seen["status"].as_str(), seen["fault"]["kind"].as_str()),
            (Some("down"), Some("refused")),
            "{seen}"
        );
        assert_eq!(seen["fault"]["phase"], "connect");
        assert!(!seen.to_string().contains("hunter2"), "{seen}");
    }
}

#[test]
fn the_object_has_every_key_that_is_promised() {
    let (_, seen) = probe_json(&["http://127.0.0.1:1/", "--timeout", "500ms"]);
    for key in ["target", "kind", "status", "fault", "reasons", "took_ms", "phases_ms", "tracks", "facts"] {
        assert!(seen.get(key).is_some(), "{key} is missing: {seen}");
    }
    assert!(seen["reasons"].is_array() && seen["tracks"].is_array() && seen["phases_ms"].is_object());
}

#[test]
fn misuse_is_three_and_says_what_to_do() {
    for (args, words) in [
        (&["probe"][..], "URL"),
        (&["probe", "10.0.0.1"], "scheme"),
        (&["probe", "gopher://h/"], "gopher"),
        (&["probe", "http://h/", "--timeout", "soon"], "duration"),
        (&["probe", "http://h/", "-o", "intervall=5s"], "interval"),
        (&["probe", "http://h/", "-o", "nonsense"], "KEY=VALUE"),
        (&["frobnicate"], "frobnicate"),
    ] {
        let out = cli(args);
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(3), "{args:?}: {text}");
        assert!(text.contains(words), "{args:?}: {text}");
    }
    // Nagios reads standard output, programs read the object: both get an answer of the promised form.
    let out = cli(&["probe", "gopher://u:hidden@h/"]).stdout;
    assert!(String::from_utf8_lossy(&out).starts_with("UNKNOWN gopher://u:***@h/: url: "), "{out:?}");
    let out = cli(&["probe", "--json", "gopher://u:hidden@h/"]).stdout;
    let object: serde_json::Value = serde_json::from_slice(&out).expect("an object");
    assert_eq!((&object["status"], &object["target"]), (&"unknown".into(), &"gopher://u:***@h/".into()));
}

#[test]
fn every_command_has_help_and_the_pages_are_made_from_it() {
    let help = String::from_utf8_lossy(&cli(&["--help"]).stdout).into_owned();
    for command in [
        "run",
        "demo",
        "probe",
        "check",
        "import",
        "user",
        "token",
        "service",
        "push-token",
        "backup",
        "verify",
        "health",
        "completions",
        "man",
    ] {
        assert!(help.contains(&format!("  {command} ")), "{command} is not in the help");
        assert_eq!(cli(&[command, "--help"]).status.code(), Some(0), "{command}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let text = cli(&["completions", shell]).stdout;
        assert!(String::from_utf8_lossy(&text).contains("streampulse"), "{shell}");
    }
    let man = String::from_utf8_lossy(&cli(&["man"]).stdout).into_owned();
    assert!(man.contains(".TH streampulse"));
    let purpose = "Keeps live streams alive and proves it";
    assert!(
        String::from_utf8_lossy(&cli(&["-h"]).stdout).starts_with(purpose)
            && man.contains(&format!("streampulse \\- {purpose}"))
    );
}

#[test]
fn check_tells_every_problem_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad.yaml");
    std::fs::write(
        &file,
        "targets:\n  - name: A\n    url: http://h/\n    intervall: 5s\n  - name: B\n    timeout: never\n",
    )
    .expect("written");
    let out = cli(&["check", file.to_str().expect("utf-8")]);
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{text}");
    for words in ["line 4", "did you mean interval?", "line 6", "url is missing"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    std::fs::write(&file, "targets:\n  - name: A\n    url: http://h/\n").expect("written");
    assert_eq!(cli(&["check", file.to_str().expect("utf-8")]).status.code(), Some(0));
}

#[test]
fn check_warns_of_files_that_are_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, lost) = (folder.path().join("a.yaml"), folder.path().join("lost.pem"));
    let text = format!("targets:\n  - name: A\n    url: https://h/\n    ca_file: {}\n", lost.display());
    std::fs::write(&file, text).expect("written");
    let out = cli(&["check", file.to_str().expect("utf-8")]);
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(0), "{told}");
    assert!(
        told.contains("warning: targets[0].ca_file: the file ") && told.contains("lost.pem cannot be read"),
        "{told}"
    );
}

#[test]
fn a_2x_configuration_is_imported_into_a_file_that_loads() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) = (folder.path().join("config.yaml"), folder.path().join("streampulse.yaml"));
    let text = "heartbeat_seconds: 15\ntimezone: Europe/Zurich\nstreams:\n- name: Gate\n  url: rtsp://u:p@10.0.0.5:554/s1\n- name: Lab\n  url: http://10.0.0.6:9081\nmqtt:\n  enabled: false\n";
    std::fs::write(&old, text).expect("written");
    let (old, new) = (old.to_str().expect("utf-8"), new.to_str().expect("utf-8"));
    assert_eq!(cli(&["check", old]).status.code(), Some(0));
    let out = cli(&["import", old, "--output", new]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(cli(&["check", new]).status.code(), Some(0));
    assert!(std::fs::read_to_string(new).expect("written").contains("Europe/Zurich"));
    let again = cli(&["import", old, "--output", new]);
    assert_ne!(again.status.code(), Some(0), "an existing file is not overwritten");
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists already"), "{again:?}");
}

/// The promise of the whole product, on real servers: (URL, exit code, fault kind, codec of the first track).
#[test]
fn real_servers_get_their_true_status() {
    let Some(folder) = testbed("real_servers_get_their_true_status") else { return };
    let ca = folder.join("ca/ca.pem");
    let ca = ca.to_str().expect("utf-8");
    for (args, code, fault, codec) in [
        (&["rtsp://127.0.0.1:18554/h264"][..], 0, None, Some("h264")),
        (&["rtsp://127.0.0.1:18554/h265"], 0, None, Some("hevc")),
        (&["rtsp://127.0.0.1:18554/720p"], 0, None, Some("h264")),
        (&["rtsp://127.0.0.1:18554/mjpeg"], 0, None, Some("mjpeg")),
        (&["rtsp://127.0.0.1:18554/audio"], 0, None, Some("pcm_mulaw")),
        (&["rtsp://127.0.0.1:18554/udponly"], 0, None, Some("h264")),
        (&["rtsp://127.0.0.1:18554/tcponly"], 0, None, Some("h264")),
        (&["rtsp://viewer:s3cret@127.0.0.1:18555/h264"], 0, None, Some("h264")),
        (&["rtsp://viewer:s3cret@127.0.0.1:18556/h264"], 0, None, Some("h264")),
        (&["rtsps://localhost:18322/h264", "--ca-file", ca], 0, None, Some("h264")),
        (&["rtsps://localhost:18322/h264", "--insecure"], 0, None, Some("h264")),
        (&["rtsps://localhost:18322/h264"], 2, Some("tls"), None),
        (&["rtsp://viewer:wrong@127.0.0.1:18555/h264"], 2, Some("auth_required"), None),
        (&["rtsp://viewer:wrong@127.0.0.1:18556/h264"], 2, Some("auth_required"), None),
        (&["rtsp://127.0.0.1:18555/h264"], 2, Some("auth_required"), None),
        (&["rtsp://127.0.0.1:18554/nosuch"], 2, Some("not_found"), None),
        (&["rtsp://127.0.0.1:18554/broken"], 2, Some("protocol"), None),
        (&["rtsp://127.0.0.1:18598/x", "--timeout", "1s"], 2, Some("timed_out"), None),
        (&["rtsp://127.0.0.1:18599/x"], 2, Some("refused"), None),
        (&["rtsp://127.0.0.1:18080/x"], 2, Some("protocol"), None),
        (&["http://127.0.0.1:18080/ok.txt"], 0, None, None),
        (&["http://127.0.0.1:18080/redirect"], 0, None, None),
        (&["http://127.0.0.1:18080/redirect-loop"], 2, Some("protocol"), None),
        (&["http://127.0.0.1:18080/status/401"], 2, Some("auth_required"), None),
        (&["http://127.0.0.1:18080/status/403"], 2, Some("forbidden"), None),
        (&["http://127.0.0.1:18080/status/404"], 2, Some("not_found"), None),
        (&["http://127.0.0.1:18080/status/503"], 2, Some("protocol"), None),
        (&["http://127.0.0.1:18080/hang", "--timeout", "1s"], 2, Some("timed_out"), None),
        (&["http://viewer:s3cret@127.0.0.1:18080/private/ts/index.m3u8"], 0, None, None),
        (&["http://viewer:wrong@127.0.0.1:18080/private/ts/index.m3u8"], 2, Some("auth_required"), None),
        (&["https://localhost:18443/ok.txt", "--ca-file", ca], 0, None, None),
        (&["https://localhost:18443/ok.txt"], 2, Some("tls"), None),
        (&["https://localhost:18444/ok.txt", "--ca-file", ca], 2, Some("tls"), None),
        (&["https://localhost:18445/ok.txt", "--ca-file", ca], 2, Some("tls"), None),
        (&["https://localhost:18446/ok.txt", "--ca-file", ca], 1, None, None),
        (&["http://127.0.0.1:18081/", "--kind", "mjpeg"], 0, None, Some("mjpeg")),
        (&["http://viewer:s3cret@127.0.0.1:18082/", "--kind", "mjpeg"], 0, None, Some("mjpeg")),
        (&["http://viewer:wrong@127.0.0.1:18082/", "--kind", "mjpeg"], 2, Some("auth_required"), None),
        (&["http://127.0.0.1:18080/ok.txt", "--kind", "mjpeg"], 2, Some("protocol"), None),
    ] {
        let (got, seen) = probe_json(args);
        assert_eq!((got, seen["fault"]["kind"].as_str()), (code, fault), "{args:?}: {seen:#}");
        if codec.is_some() {
            assert_eq!(seen["tracks"][0]["codec"].as_str(), codec, "{args:?}: {seen:#}");
        }
        assert!(!seen.to_string().contains("s3cret"), "{args:?}: {seen:#}");
    }
}

#[test]
fn check_reads_the_file_of_services_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("streampulse.yaml");
    std::fs::write(&file, "targets: [{name: door, url: 'http://h/'}]").expect("written");
    let services = folder.path().join("services.yaml");
    let check = |text: &str| {
        std::fs::write(&services, text).expect("written");
        let out = cli(&["check", file.to_str().expect("utf-8")]);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (out.status.code(), text(&out.stdout), text(&out.stderr))
    };
    let (code, out, err) = check("services: {a: {process: {argv: [/no/such]}, targets: [dor]}}");
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("services.yaml: 1 service, no problems") && out.contains("1 stream, no problems"), "{out}");
    assert!(err.contains("/no/such cannot be run") && err.contains("did you mean door?"), "{err}");
    let (code, _, err) = check("services: {a: {process: {argv: [no]}}}");
    assert_eq!(code, Some(1));
    assert!(err.contains("services.yaml: line 1, column 32: services.a.process.argv"), "{err}");
    let json = cli(&["check", "--json", file.to_str().expect("utf-8")]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(
        (&json["ok"], &json["services"]["ok"], &json["problems"]),
        (&false.into(), &false.into(), &serde_json::json!([]))
    );
    assert_eq!(json["services"]["problems"][0]["line"], 1);
}

#[test]
fn the_settings_of_the_streaming_converter_are_taken_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) = (folder.path().join("streaming_config.json"), folder.path().join("settings.json"));
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/services.example.yaml");
    let services = folder.path().join("services.yaml");
    // A copy: whoever checks out the sources may let a group write them.
    std::fs::write(&services, std::fs::read_to_string(example).expect("the example")).expect("written");
    std::fs::set_permissions(&services, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
    let import = |text: &str| {
        std::fs::write(&old, text).expect("written");
        let [old, services, new] = [&old, &services, &new].map(|path| path.to_str().expect("utf-8"));
        cli(&["import", old, "--services", services, "--output", new])
    };
    let text = r#"{"input_dir": "/data/incoming", "output_dir": "/data/ms", "expected_subbands": 16.0, "max_workers": 64, "mine": 1}"#;
    let out = import(&text.replace("64", "99"));
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        !out.status.success() && told.contains("max_workers: in ") && told.contains("99 is out of range"),
        "{told}"
    );
    let out = import(text);
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success() && told.contains("unknown to the form: mine"), "{told}");
    assert!(String::from_utf8_lossy(&out.stdout).contains("4 settings of streaming"));
    let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&new).expect("written")).expect("JSON");
    assert_eq!((&json["expected_subbands"], &json["max_workers"], &json["mine"]), (&16.into(), &64.into(), &1.into()));
}
