//! Reads the repository for the rules: text files, manifests, and the packages that are really built for this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders that hold nothing of ours: build output, state, tools.
const SKIPPED: &[&str] = &["target", ".git", "state", "node_modules"];

/// What we write as text. Others (images, recorded bytes) have no lines to judge.
const TEXT: &[&str] =
    &["rs", "toml", "md", "sh", "py", "js", "mjs", "css", "html", "sql", "yaml", "yml", "in", "service", "json"];

/// One text file. `path` is relative to the root, with forward slashes.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or("");
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }

    /// Somebody else's work that we carry along unchanged.
    pub(crate) fn is_vendored(&self) -> bool {
        self.path.contains("/vendor/") || self.path == "Cargo.lock"
    }

    /// A folder or file that only tests see.
    pub(crate) fn is_test(&self) -> bool {
        ["/tests/", "/benches/", "/testkit/"].iter().any(|part| self.path.contains(part))
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("_tests.rs")
    }
}

/// A package that is compiled for this machine, with its licence expression as its author wrote it.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: String,
}

pub(crate) struct Repository {
    root: PathBuf,
    files: Vec<File>,
}

impl Repository {
    pub(crate) fn open() -> Repository {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace root");
        let mut files = Vec::new();
        collect(&root, &root, &mut files);
        files.sort_by(|one, other| one.path.cmp(&other.path));
        assert!(files.len() > 20, "found only {} files below {}", files.len(), root.display());
        Repository { root, files }
    }

    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
    }

    /// Manifests of the members: the crate's folder name and the text.
    pub(crate) fn manifests(&self) -> Vec<(String, String)> {
        let members = self.files.iter().filter_map(|file| {
            let name = file.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
            (!name.contains('/')).then(|| (name.to_owned(), file.text.clone()))
        });
        members.collect()
    }

    /// Names, without the ending, of the Rust files directly in a folder.
    pub(crate) fn rust_files_in(&self, folder: &str) -> Vec<String> {
        let names = self.files.iter().filter_map(|file| {
            let name = file.path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".rs")?;
            (!name.contains('/')).then(|| name.to_owned())
        });
        names.collect()
    }

    /// What `cargo tree` lists for this machine: features and platforms already resolved, so an optional package that
    /// nobody switches on is not in it. Needs no network, because the test itself was just built from the same packages.
    pub(crate) fn built_packages(&self) -> Vec<Package> {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let arguments = [
            "tree",
            "--workspace",
            "--locked",
            "--offline",
            "--prefix",
            "none",
            "--edges",
            "normal,build,dev",
            "--format",
            "{p}|{l}",
        ];
        let output =
            Command::new(cargo).args(arguments).current_dir(&self.root).output().expect("cargo can be started");
        assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
        let mut packages: Vec<Package> =
            String::from_utf8_lossy(&output.stdout).lines().filter_map(parse_tree_line).collect();
        packages.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
        packages.dedup_by(|one, other| one.name == other.name && one.version == other.version);
        assert!(packages.len() > 20, "cargo tree listed only {} packages", packages.len());
        packages
    }
}

/// A line such as `syn v2.0.119 (proc-macro)|MIT OR Apache-2.0`, perhaps with ` (*)` at its end.
fn parse_tree_line(line: &str) -> Option<Package> {
    let (package, licence) = line.split_once('|')?;
    let mut words = package.split_whitespace();
    let name = words.next()?.to_owned();
    let version = words.next()?.strip_prefix('v')?.to_owned();
    Some(Package { name, version, licence: licence.trim_end_matches("(*)").trim().to_owned() })
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.expect("a folder entry");
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().expect("a file type");
        if kind.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                collect(root, &path, files);
            }
        } else if kind.is_file() {
            let relative = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
            let file = File { path: relative, text: String::new() };
            if TEXT.contains(&file.extension()) || ["test", "run", "Dockerfile"].contains(&name.as_str()) {
                // A file may vanish between listing and reading, for example an editor's temporary one.
                if let Ok(text) = fs::read_to_string(&path) {
                    files.push(File { text, ..file });
                }
            }
        }
    }
}

#[test]
fn a_line_of_cargo_tree_is_understood() {
    let package = parse_tree_line("syn v2.0.119 (proc-macro)|MIT OR Apache-2.0 (*)").unwrap();
    assert_eq!((package.name.as_str(), package.version.as_str()), ("syn", "2.0.119"));
    assert_eq!(package.licence, "MIT OR Apache-2.0");
    assert!(parse_tree_line("").is_none());
}
