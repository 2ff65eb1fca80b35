//! The museum: bytes of real and of odd servers in `testdata`, and what must be read in them.
//!
//! `UPDATE=1` rewrites the `.expected` files; the difference is to be read before it is committed.

mod render;
mod rtmp;
mod srt;
mod streaming;

use std::fs;
use std::path::{Path, PathBuf};

/// Reads every file of a folder and compares what is seen in it with the file beside it.
fn check(folder: &str, render: impl Fn(&[u8], &str) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder);
    let entries = fs::read_dir(&folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("the entry is readable").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension != "expected"));
    files.sort();
    assert!(!files.is_empty());
    let mut different = String::new();
    for file in files {
        let name = file.file_name().and_then(|name| name.to_str()).expect("the name is text");
        let seen = render(&fs::read(&file).expect("the file is readable"), name);
        let expected_file = file.with_extension("expected");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected_file, &seen).expect("the folder is writable");
        }
        let expected = fs::read_to_string(&expected_file).unwrap_or_default();
        if seen != expected {
            different.push_str(&format!("--- {name}: seen\n{seen}--- {name}: expected\n{expected}\n"));
        }
    }
    assert!(different.is_empty(), "{different}");
}

#[test]
fn rtsp() {
    check("rtsp", |bytes, _| render::rtsp(bytes));
}

#[test]
fn interleaved() {
    check("interleaved", render::interleaved);
}

#[test]
fn sdp() {
    check("sdp", |bytes, _| render::sdp(bytes));
}

#[test]
fn auth() {
    check("auth", |bytes, _| render::auth(bytes));
}

#[test]
fn multipart() {
    check("multipart", |bytes, _| render::multipart(bytes));
}

#[test]
fn m3u8() {
    check("m3u8", |bytes, _| streaming::playlist(bytes));
}

#[test]
fn ts() {
    check("ts", |bytes, _| streaming::transport(bytes));
}

#[test]
fn mp4() {
    check("mp4", |bytes, _| streaming::fragmented(bytes));
}

#[test]
fn mpd() {
    check("mpd", |bytes, _| streaming::manifest(bytes));
}

#[test]
fn icy() {
    check("icy", |bytes, _| rtmp::radio(bytes));
}

#[test]
fn blocks() {
    check("blocks", |bytes, _| rtmp::device(bytes));
}

#[test]
fn srt() {
    check("srt", |bytes, _| srt::conversation(bytes));
}

#[test]
fn rtmp() {
    check("rtmp", |bytes, _| rtmp::server(bytes));
}

/// Profiles, levels, sizes and frame rates must be those of ffprobe.
#[test]
fn parameter_sets() {
    for table in ["ffmpeg_x264_x265.txt", "handwritten.txt"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sps").join(table);
        let table = fs::read_to_string(file).expect("the table is there");
        table.lines().filter(|line| !line.starts_with('#')).for_each(check_parameter_set);
    }
}

fn check_parameter_set(line: &str) {
    let columns: Vec<&str> = line.split('|').collect();
    let nal = wire::text::from_hex(columns[1], 4_096).expect("the column is hexadecimal");
    let params = match columns[2] {
        "h264" => wire::h264::params_from_sps(&nal),
        _ => wire::h265::params_from_sps(&nal),
    };
    let params = params.unwrap_or_else(|error| panic!("{}: {error}", columns[0]));
    let seen = format!(
        "{}|{}|{}|{}|{}|{}",
        params.codec,
        params.profile.unwrap_or_default(),
        params.level.unwrap_or_default(),
        params.width,
        params.height,
        params.fps.map_or("-".to_owned(), |fps| format!("{:?}", (fps * 1_000.0).round() / 1_000.0)),
    );
    assert_eq!(seen, columns[2..].join("|"), "{}", columns[0]);
}
