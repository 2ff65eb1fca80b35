//! Tests of the files that a configuration names.

use std::fs;

use super::{check_list, good};
use crate::config::{check_files, named_files::FILE_KEYS};

#[test]
fn files_that_cannot_be_read_are_told_once_each() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("there.pem"), "x").expect("written");
    let text = format!(
        "server: {{tls_cert: '{there}', tls_key: '{lost}'}}
templates:
  own: {{ca_file: '{lost}', client_cert: '{there}', client_key: '{folder}'}}
targets:
  - {{name: a, url: 'rtsps://h/'}}
  - {{name: b, url: 'rtsps://h/', template: own}}
  - {{name: c, url: 'https://h/', template: own}}
  - {{name: d, url: 'https://h/', ca_file: not/there.pem}}
",
        there = at("there.pem"),
        lost = at("lost.pem"),
        folder = folder.path().display(),
    );
    let config = good(&text);
    check_list(
        &text,
        &check_files(&config),
        &[
            "server.tls_key: the file ",
            "targets[1].ca_file: the file ",
            "targets[1].client_key: the file ",
            "targets[3].ca_file: the file not/there.pem cannot be read: No such file",
        ],
    );
    let told = super::lines(&check_files(&config));
    for words in ["lost.pem cannot be read: No such file", "it is a folder; one more target names it", "whole path"] {
        assert!(told.contains(words), "{words} in\n{told}");
    }
    fs::write(at("lost.pem"), "x").expect("written");
    assert_eq!(check_files(&config).len(), 2);
}

#[test]
fn a_key_in_place_of_its_path_is_not_shown() {
    let config =
        good("targets: [{name: a, url: 'https://h/', client_cert: Cargo.toml, client_key: \"-----\\nhunter2\"}]");
    check_list("", &check_files(&config), &["targets[0].client_key: client_key holds several lines and no path"]);
}

#[test]
fn every_key_of_a_file_is_known() {
    let declared: Vec<&str> =
        net::trust::TLS_FIELDS.iter().filter(|f| f.doc.starts_with("PEM file")).map(|f| f.key).collect();
    assert_eq!(declared, FILE_KEYS);
}
