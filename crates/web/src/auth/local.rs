//! The key of the command line: made anew at every start, in a file that only the owner of the state folder can read. Who can
//! read it could change users and tokens in that folder anyway; with it the command line needs neither to act on what runs.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use model::secret::Secret;

use super::random;

/// Name of the file in the state folder.
pub const FILE: &str = "cli.key";
/// Who acts with it, in the audit log.
pub const ACTOR: &str = "command line";
/// What a key begins with; API tokens begin with `sp_`.
const PREFIX: &str = "spl_";
/// Longest key that is read from a file: ours has 47 letters.
const MAX_BYTES: usize = 200;

/// The key that is accepted; removes its file when dropped.
pub struct LocalKey {
    hash: String,
    file: PathBuf,
}

impl LocalKey {
    /// Makes a key and writes it in place of the one before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(file: &Path) -> std::io::Result<Self> {
        let key = format!("{PREFIX}{}", random::secret());
        let mut part = file.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        // One that was left over may have other permissions.
        match fs::remove_file(&part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        to.write_all(key.as_bytes())?;
        drop(to);
        fs::rename(&part, file)?;
        Ok(Self { hash: random::sha256(&key), file: file.to_owned() })
    }

    /// Whether a text as it stands in a header is the key.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        text.starts_with(PREFIX) && random::same(&random::sha256(text), &self.hash)
    }
}

impl Drop for LocalKey {
    fn drop(&mut self) {
        // Nobody accepts it any more: a file that stays is useless, not dangerous. Another start may have written its own.
        if read(&self.file).is_some_and(|key| self.is(key.expose())) {
            let _ = fs::remove_file(&self.file);
        }
    }
}

/// The key in a file; `None` when there is none that may be read.
#[must_use]
pub fn read(file: &Path) -> Option<Secret> {
    let text = fs::read_to_string(file).ok()?;
    let text = text.trim();
    (text.len() <= MAX_BYTES && text.starts_with(PREFIX)).then(|| Secret::new(text))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_private_counts_for_one_start_and_leaves_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(FILE);
        let first = LocalKey::write(&file).expect("written");
        let old = read(&file).expect("a key");
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        assert!(first.is(old.expose()) && !first.is("") && !first.is(PREFIX));
        let second = LocalKey::write(&file).expect("written over");
        assert!(!second.is(old.expose()));
        drop(first);
        assert!(second.is(read(&file).expect("that of the second").expose()));
        drop(second);
        assert!(!file.exists());
        assert!(LocalKey::write(&folder.path().join("none/cli.key")).is_err());
    }
}
