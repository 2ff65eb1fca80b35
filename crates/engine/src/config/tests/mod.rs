//! Tests of the configuration at its boundaries: text to configuration or problems, edits to text, files on disk.

mod alerts;
mod channels;
mod commands;
mod edits;
mod files;
mod fuzz;
mod influxdb;
mod legacy;
mod loading;
mod metrics;
mod named;
mod probe_modules;
mod push;
mod score;
mod services;
mod surfaces;

use model::conf::Problem;

use super::{Config, Overrides};

/// The environment of the tests.
fn env(name: &str) -> Option<String> {
    match name {
        "CAM_PASSWORD" => Some("s3cr3t-pass".to_owned()),
        "CAM_URL" => Some("rtsp://viewer:s3cr3t-pass@cam.example/live".to_owned()),
        "PERIOD" => Some("7s".to_owned()),
        "WORDS" => Some("hush-hush".to_owned()),
        "HARD" => Some("p#a/s3cr3t?s@w:o%rd".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn load(text: &str) -> Result<Config, Vec<Problem>> {
    super::load(text, &env, &Overrides::default())
}

#[track_caller]
fn good(text: &str) -> Config {
    load(text).unwrap_or_else(|problems| panic!("{}\n---\n{text}", lines(&problems)))
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Loading `text` gives exactly these problems, in this order, each holding its words.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let problems = load(text).err().unwrap_or_default();
    check_list(text, &problems, expected);
}

/// Loading `text` works and gives exactly these warnings.
#[track_caller]
fn check_warnings(text: &str, expected: &[&str]) -> Config {
    let config = good(text);
    check_list(text, &config.warnings, expected);
    config
}

#[track_caller]
fn check_list(text: &str, found: &[Problem], expected: &[&str]) {
    let all = lines(found);
    assert_eq!(found.len(), expected.len(), "{text}\n--- gave\n{all}");
    for (problem, words) in found.iter().zip(expected) {
        let line = problem.to_string();
        assert!(line.contains(words), "{text}\n--- wanted\n{words}\n--- gave\n{all}");
    }
    assert!(!all.contains("s3cr3t") && !all.contains("hunter2") && !all.contains("hush-hush"), "a secret in\n{all}");
}
