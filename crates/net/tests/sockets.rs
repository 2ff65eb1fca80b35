//! Sockets are opened in this crate alone: the sources of the probes name no type that could open one.

use std::fs;
use std::path::{Path, PathBuf};

/// Types of the standard library and of tokio that open a socket.
const OPENERS: [&str; 6] = ["UdpSocket", "TcpStream", "TcpSocket", "TcpListener", "UnixStream", "UnixDatagram"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder").map(|e| e.expect("a readable entry").path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|e| e == "rs") {
            found.push(entry);
        }
    }
}

#[test]
fn probes_open_no_socket_of_their_own() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../probe/src"), &mut files);
    assert!(files.len() > 10, "the sources of the probes are not where they were: {files:?}");
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        for opener in OPENERS {
            assert!(!text.contains(opener), "{} names {opener}: sockets belong into net", file.display());
        }
    }
}
