//! The configuration file on disk: reading with limits, writing whole, backups, links, and changes by others.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use model::limits::{CONFIG_BACKUPS, MAX_CONFIG_BYTES};

use crate::config::{ConfigFile, WriteError, hash};

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[test]
fn a_file_is_created_read_and_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("new/streampulse.yaml");
    let file = ConfigFile::new(&path);
    let first = file.create("a: 1\n").expect("created");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(file.read().expect("read"), ("a: 1\n".to_owned(), hash("a: 1\n")));
    assert!(matches!(file.create("b"), Err(WriteError::Changed { found }) if found == first));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
    let second = file.write("a: 2\n", &first).expect("written");
    assert_eq!((second, mode(&path)), (hash("a: 2\n"), 0o640));
    let backup = folder.path().join("new/streampulse.yaml.bak.1");
    assert_eq!((fs::read_to_string(&backup).expect("read").as_str(), mode(&backup)), ("a: 1\n", 0o640));
    assert_eq!(names(path.parent().expect("a parent")), ["streampulse.yaml", "streampulse.yaml.bak.1"]);
    assert_eq!(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn a_change_that_was_not_seen_is_not_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.yaml");
    let file = ConfigFile::new(&path);
    let seen = file.create("a: 1\n").expect("created");
    fs::write(&path, "a: mine\n").expect("written");
    match file.write("a: 2\n", &seen) {
        Err(WriteError::Changed { found }) => assert_eq!(found, hash("a: mine\n")),
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read_to_string(&path).expect("read"), "a: mine\n");
    assert_eq!(names(folder.path()), ["c.yaml"]);
    fs::remove_file(&path).expect("removed");
    assert!(matches!(file.write("a: 2\n", &seen), Err(WriteError::Io(e)) if e.contains("there is no file")));
}

#[test]
fn backups_are_bounded_and_the_newest_is_the_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = ConfigFile::new(folder.path().join("c.yaml"));
    let mut seen = file.create("n: 0\n").expect("created");
    for n in 1..=CONFIG_BACKUPS + 5 {
        seen = file.write(&format!("n: {n}\n"), &seen).expect("written");
    }
    let unchanged = file.write(&file.read().expect("read").0, &seen).expect("written");
    assert_eq!((unchanged, names(folder.path()).len()), (seen, CONFIG_BACKUPS + 1));
    let backup = |n: usize| fs::read_to_string(folder.path().join(format!("c.yaml.bak.{n}"))).expect("read");
    assert_eq!(backup(1), format!("n: {}\n", CONFIG_BACKUPS + 4));
    assert_eq!(backup(CONFIG_BACKUPS), "n: 5\n");
}

#[test]
fn a_link_stays_a_link() {
    let folder = tempfile::tempdir().expect("a folder");
    let (real, link) = (folder.path().join("host/config.yaml"), folder.path().join("config.yaml"));
    ConfigFile::new(&real).create("a: 1\n").expect("created");
    symlink("host/config.yaml", &link).expect("linked");
    let file = ConfigFile::new(&link);
    let (_, seen) = file.read().expect("read");
    file.write("a: 2\n", &seen).expect("written");
    assert!(fs::symlink_metadata(&link).expect("there").file_type().is_symlink());
    assert_eq!(fs::read_to_string(&real).expect("read"), "a: 2\n");
    assert_eq!(names(&folder.path().join("host")), ["config.yaml", "config.yaml.bak.1"]);
}

#[test]
fn what_is_no_configuration_file_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.yaml");
    let told = |file: &Path| ConfigFile::new(file).read().expect_err("refused").to_string();
    assert!(told(&path).contains("there is no file"));
    assert!(told(folder.path()).contains("is no file"));
    symlink("nowhere", folder.path().join("dangling")).expect("linked");
    assert!(told(&folder.path().join("dangling")).contains("there is no file"));
    fs::write(&path, b"a: 1\nb: \xff\n").expect("written");
    assert!(told(&path).contains("is no UTF-8 text, first in line 2"));
    fs::write(&path, vec![b'#'; MAX_CONFIG_BYTES + 1]).expect("written");
    assert!(told(&path).contains("has more than 8388608 bytes"));
}

#[test]
fn a_folder_that_cannot_be_written_leaves_the_file_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = ConfigFile::new(folder.path().join("c.yaml"));
    let seen = file.create("a: 1\n").expect("created");
    // A folder in the place of the newest backup: it can be neither renamed over nor removed as a file.
    for n in 1..=CONFIG_BACKUPS {
        fs::create_dir(folder.path().join(format!("c.yaml.bak.{n}"))).expect("made");
        fs::write(folder.path().join(format!("c.yaml.bak.{n}/x")), "").expect("written");
    }
    assert!(matches!(file.write("a: 2\n", &seen), Err(WriteError::Io(_))));
    assert_eq!(file.read().expect("read").0, "a: 1\n");
}
