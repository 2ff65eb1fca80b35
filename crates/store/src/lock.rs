//! One process per history: an advisory lock on a file beside it. The kernel frees it when the process ends, however
//! it ends, so that a stale lock cannot exist. Never removes the file: removing would let two processes hold two locks.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::StoreError;

/// The lock; it is held as long as this lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// The database's path with letters appended.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Most bytes read of a lock file: a process id has at most ten digits.
const PID_BYTES: u64 = 32;

impl Lock {
    /// Takes the lock or says who has it.
    pub(crate) fn take(database: &Path) -> Result<Self, StoreError> {
        let path = beside(database, ".lock");
        let io = |doing, source| StoreError::Io { doing, path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|e| io("open", e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let _ = file.take(PID_BYTES).read_to_string(&mut text);
                return Err(StoreError::Locked { lock: path, pid: text.trim().parse().ok() });
            }
            Err(errno) => return Err(io("lock", errno.into())),
        }
        // The id only helps a person; on a full disk the lock itself still holds.
        let _ = file.set_len(0);
        let _ = file.rewind();
        let _ = writeln!(file, "{}", std::process::id());
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_is_first_and_the_lock_goes_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("h.db");
        let first = Lock::take(&db).expect("free");
        let text = Lock::take(&db).expect_err("taken").to_string();
        assert!(text.contains(&format!("pid {}", std::process::id())) && text.contains("h.db.lock"), "{text}");
        drop(first);
        Lock::take(&db).expect("free again");
        let nowhere = dir.path().join("no/such/folder/h.db");
        assert!(matches!(Lock::take(&nowhere), Err(StoreError::Io { doing: "open", .. })));
    }
}
