//! The kinds http, mjpeg and tcp against nginx, motion, ffmpeg and others of the testbed.

#![allow(clippy::print_stderr, reason = "a skipped test must be seen")]

mod support;

use std::time::Duration;

use model::reading::{Depth, FactValue, fact as key};
use support::{fact, look, outcome, target, testbed, tracks, words};

const NGINX: &str = "http://127.0.0.1:18080";

#[tokio::test]
async fn statuses_redirects_and_bodies_of_nginx() {
    if testbed().is_none() {
        return;
    }
    for (path, options, expected, part) in [
        ("/status/200", &[][..], "up", ""),
        ("/status/204", &[], "up", ""),
        ("/status/401", &[], "auth_required (first_byte)", "401"),
        ("/status/403", &[], "forbidden (first_byte)", "status 403 Forbidden, expected 200-399"),
        ("/status/404", &[], "not_found (first_byte)", "404 Not Found"),
        ("/status/410", &[], "not_found (first_byte)", "410 Gone"),
        ("/status/500", &[], "protocol (first_byte)", "500 Internal Server Error"),
        ("/status/503", &[], "protocol (first_byte)", "status 503 Service Unavailable, expected 200-399"),
        ("/status/503", &[("expect_status", "5xx")], "up", ""),
        ("/redirect", &[], "up", ""),
        ("/redirect", &[("follow_redirects", "0")], "up", ""),
        ("/redirect-loop", &[], "protocol (first_byte)", "redirect"),
        ("/json", &[("json_pointer", "/presenter"), ("json_equals", "Main Hall")], "up", ""),
        ("/json", &[("json_pointer", "/disk/free_gb"), ("json_equals", "81")], "up", ""),
        (
            "/json",
            &[("json_pointer", "/recording"), ("json_equals", "false")],
            "protocol (check)",
            "is true, expected false",
        ),
        ("/json", &[("body_contains", "presenter"), ("method", "GET")], "up", ""),
        ("/private/", &[], "auth_required (first_byte)", "asks for a user name and password (Basic"),
    ] {
        // The page that the options are read from writes integers as integers.
        let mut target = target(&format!("{NGINX}{path}"), options);
        for (name, value) in &mut target.options.0 {
            if name == "follow_redirects" {
                *value = model::conf::Value::Int(0);
            }
        }
        let seen = look(&target).await;
        assert_eq!(outcome(&seen), expected, "{path} {options:?}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{path}: {}", words(&seen));
        assert!(seen.took < Duration::from_secs(2), "{path}");
    }
}

#[tokio::test]
async fn silence_of_nginx_ends_in_its_phase() {
    if testbed().is_none() {
        return;
    }
    for (url, expected) in
        [("http://127.0.0.1:18598/", "timed_out (first_byte)"), ("http://127.0.0.1:18599/", "refused (connect)")]
    {
        let mut target = target(url, &[]);
        target.timeout = Duration::from_millis(400);
        let seen = look(&target).await;
        assert_eq!(outcome(&seen), expected, "{url}");
        assert!(seen.took < Duration::from_millis(900), "{url}: {:?}", seen.took);
    }
    let mut hang = target(&format!("{NGINX}/hang"), &[]);
    hang.timeout = Duration::from_millis(400);
    let seen = look(&hang).await;
    assert!(outcome(&seen).starts_with("timed_out"), "{:?}", seen.look);
}

#[tokio::test]
async fn certificates_of_nginx() {
    let Some(folder) = testbed() else { return };
    let ca = folder.join("ca/ca.pem");
    let ca = ca.to_str().expect("the testbed's folder is plain ASCII");
    for (port, options, expected, part) in [
        (18443, &[("ca_file", ca)][..], "up", ""),
        (18443, &[], "tls (tls)", ""),
        (18443, &[("tls_trust", "insecure")], "up", ""),
        (18443, &[("ca_file", ca), ("server_name", "other.example")], "tls (tls)", "and not for other.example"),
        (18444, &[("ca_file", ca)], "tls (tls)", "expired"),
        (18445, &[("ca_file", ca)], "tls (tls)", "self-signed"),
        (18446, &[("ca_file", ca)], "up", ""),
        (18447, &[("ca_file", ca)], "tls (first_byte)", "demands a client certificate"),
        (18080, &[("ca_file", ca)], "tls (tls)", "does not speak TLS"),
    ] {
        let seen = look(&target(&format!("https://localhost:{port}/ok.txt"), options)).await;
        assert_eq!(outcome(&seen), expected, "{port} {options:?}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{port}: {}", words(&seen));
        let ends = seen.look.reading.facts.get(key::CERT_EXPIRES_AT);
        assert_eq!(matches!(ends, Some(FactValue::Time(_))), port != 18080, "{port} {options:?}: {:?}", seen.look);
    }
}

#[tokio::test]
async fn pictures_of_motion_and_ffmpeg() {
    if testbed().is_none() {
        return;
    }
    for (url, expected, expected_tracks) in [
        ("http://127.0.0.1:18081/", "up", "mjpeg Baseline 320x240*"),
        ("http://viewer:s3cret@127.0.0.1:18082/", "up", "mjpeg Baseline 320x240*"),
        ("http://viewer:wrong@127.0.0.1:18082/", "auth_required (first_byte)", ""),
        ("http://127.0.0.1:18082/", "auth_required (first_byte)", ""),
        ("http://127.0.0.1:18080/status/200", "no_media (media)", "mjpeg"),
        ("http://127.0.0.1:18080/nosuch.jpg", "not_found (first_byte)", ""),
    ] {
        let mut target = target(url, &[]);
        target.kind = "mjpeg";
        let seen = look(&target).await;
        assert_eq!(outcome(&seen), expected, "{url}: {:?}", seen.look);
        assert_eq!(tracks(&seen), expected_tracks, "{url}");
        if expected == "up" {
            assert_eq!(seen.look.reading.proven, Some(Depth::Media));
            assert!(fact(&seen, key::FRAME_BYTES).parse::<u32>().is_ok_and(|n| n > 500));
        }
        assert!(!format!("{seen:?}").contains("s3cret"), "{seen:?}");
    }
}

/// StreamPulse 2.x files name cameras by address and port alone: nothing in such a URL tells of pictures.
#[tokio::test]
async fn a_camera_named_by_its_port_alone_must_show_a_picture() {
    if testbed().is_none() {
        return;
    }
    let target = target("http://127.0.0.1:18081/", &[]);
    assert_eq!(target.kind, "http", "nobody names the kind");
    let seen = look(&target).await;
    assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), ("up", "mjpeg Baseline 320x240*"), "{:?}", seen.look);
    assert_eq!(seen.look.reading.proven, Some(Depth::Media));
}
