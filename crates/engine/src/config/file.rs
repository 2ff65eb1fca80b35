//! The configuration file on disk: read with a cap, written whole or not at all, with backups. The only I/O of this module.
//!
//! A file is replaced by a temporary file in the same folder, fsync, rename, fsync of the folder. Where a rename is
//! impossible (a single file that is a bind mount), the backup is made first and the file then written in place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use model::conf::Problem;
use model::limits::{CONFIG_BACKUPS, MAX_CONFIG_BYTES};
use sha2::{Digest, Sha256};

/// Permissions of a new file: it holds passwords.
const NEW_FILE_MODE: u32 = 0o600;

/// A configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    path: PathBuf,
}

/// Why a configuration was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file is not what the caller has seen.
    #[error("the file has been changed by somebody else")]
    Changed {
        /// Hash of what is there.
        found: String,
    },
    /// The system refused. Names the path and the reason.
    #[error("{0}")]
    Io(String),
}

/// SHA-256 of a text, in lower case hexadecimal.
#[must_use]
pub fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

impl ConfigFile {
    /// Names a file; nothing is opened.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The path as given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text and its hash. Follows symbolic links. Blocks on the disk.
    ///
    /// # Errors
    /// A missing, unreadable, too large or non-UTF-8 file, or something that is no file.
    pub fn read(&self) -> Result<(String, String), Problem> {
        let text = self.text()?;
        let hash = hash(&text);
        Ok((text, hash))
    }

    fn text(&self) -> Result<String, Problem> {
        let shown = self.path.display();
        let wrong = |message: String| Problem::new(None, "", message);
        // A pipe in place of the file would block for ever on open.
        let kind = fs::metadata(&self.path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => {
                wrong(format!("there is no file {shown}")).with_remedy("create it, or name another")
            }
            _ => wrong(format!("cannot read {shown}: {e}")),
        })?;
        if !kind.is_file() {
            return Err(wrong(format!("{shown} is no file")));
        }
        let file = File::open(&self.path).map_err(|e| wrong(format!("cannot open {shown}: {e}")))?;
        let mut bytes = Vec::new();
        let cap = MAX_CONFIG_BYTES as u64 + 1;
        file.take(cap).read_to_end(&mut bytes).map_err(|e| wrong(format!("cannot read {shown}: {e}")))?;
        if bytes.len() > MAX_CONFIG_BYTES {
            return Err(wrong(format!("{shown} has more than {MAX_CONFIG_BYTES} bytes")));
        }
        String::from_utf8(bytes).map_err(|e| {
            let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
            let line = 1 + before.iter().filter(|b| **b == b'\n').count();
            wrong(format!("{shown} is no UTF-8 text, first in line {line}")).with_remedy("save it as UTF-8")
        })
    }

    /// Writes `text` in place of the text whose hash is `expected_hash`; answers the new hash. The old text becomes the
    /// newest of the backups (`<name>.bak.1`); mode and, where permitted, owner stay. Blocks on the disk.
    ///
    /// # Errors
    /// [`WriteError::Changed`] when the file holds something else, [`WriteError::Io`] when the system refuses.
    pub fn write(&self, text: &str, expected_hash: &str) -> Result<String, WriteError> {
        if text.len() > MAX_CONFIG_BYTES {
            return Err(WriteError::Io(format!("the text has more than {MAX_CONFIG_BYTES} bytes")));
        }
        let (old, found) = self.read().map_err(|problem| WriteError::Io(problem.message))?;
        if found != expected_hash {
            return Err(WriteError::Changed { found });
        }
        if old == text {
            return Ok(found);
        }
        let real = fs::canonicalize(&self.path).map_err(|e| failed("find", &self.path, &e))?;
        rotate(&real, &old)?;
        replace(&real, text)?;
        Ok(hash(text))
    }

    /// Writes a file that must not exist yet, readable by its owner alone; makes missing folders. Blocks on the disk.
    ///
    /// # Errors
    /// [`WriteError::Changed`] when it exists, [`WriteError::Io`] when the system refuses.
    pub fn create(&self, text: &str) -> Result<String, WriteError> {
        let folder = folder_of(&self.path);
        fs::create_dir_all(folder).map_err(|e| failed("make the folder", folder, &e))?;
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(NEW_FILE_MODE).open(&self.path);
        let mut file = match opened {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let found = self.read().map_or_else(|_| String::new(), |(_, hash)| hash);
                return Err(WriteError::Changed { found });
            }
            Err(e) => return Err(failed("create", &self.path, &e)),
        };
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|e| failed("write", &self.path, &e))?;
        sync_folder(folder);
        Ok(hash(text))
    }
}

fn failed(what: &str, path: &Path, error: &io::Error) -> WriteError {
    WriteError::Io(format!("cannot {what} {}: {error}", path.display()))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A rename is durable once its folder is; not every file system lets a folder be synced, and none loses the file.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// `<path><ending>`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Makes the text the newest backup and drops the oldest. Without a backup nothing is written.
fn rotate(path: &Path, old: &str) -> Result<(), WriteError> {
    let backup = |number: usize| beside(path, &format!(".bak.{number}"));
    for number in (1..CONFIG_BACKUPS).rev() {
        match fs::rename(backup(number), backup(number + 1)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("rename", &backup(number), &e)),
            _ => {}
        }
    }
    let mode = fs::metadata(path).map_or(NEW_FILE_MODE, |m| m.permissions().mode() & 0o777);
    let newest = backup(1);
    write_new(&newest, old, mode).map_err(|e| failed("write the backup", &newest, &e))
}

/// Writes a file anew, in place of one that is left from an interrupted attempt.
fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(NEW_FILE_MODE).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

fn replace(real: &Path, text: &str) -> Result<(), WriteError> {
    let temporary = beside(real, ".new");
    match replace_by_rename(real, &temporary, text) {
        Ok(()) => Ok(()),
        Err(e) => {
            let _ = fs::remove_file(&temporary);
            let cannot_rename = matches!(e.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices);
            if !cannot_rename {
                return Err(failed("write", real, &e));
            }
            write_in_place(real, text).map_err(|e| failed("write", real, &e))
        }
    }
}

fn replace_by_rename(real: &Path, temporary: &Path, text: &str) -> io::Result<()> {
    let before = fs::metadata(real)?;
    write_new(temporary, text, before.permissions().mode() & 0o7777)?;
    let made = fs::metadata(temporary)?;
    if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
        // Only root may give files away; whoever could write the folder anyway keeps the file usable as its own.
        let _ = std::os::unix::fs::chown(temporary, Some(before.uid()), Some(before.gid()));
    }
    fs::rename(temporary, real)?;
    sync_folder(folder_of(real));
    Ok(())
}

/// For a file that cannot be replaced. The backup of the old text is on the disk already.
fn write_in_place(real: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).truncate(true).open(real)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_renamed_is_written_in_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("c.yaml");
        fs::write(&path, "a long old text").expect("written");
        let inode = fs::metadata(&path).expect("there").ino();
        write_in_place(&path, "new").expect("written");
        assert_eq!(fs::read_to_string(&path).expect("read"), "new");
        assert_eq!(fs::metadata(&path).expect("there").ino(), inode);
    }
}
