//! What is remembered of a container from one run of StreamPulse to the next, in the unit's folder: which run of it is under way, and
//! whose end was told. Holds no secret.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::folder;

/// Name of the file.
const FILE: &str = "container.json";
/// More than it can have.
const MAX_BYTES: u64 = 64 * 1024;

/// The note.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// Id of the container.
    pub(super) container: String,
    /// Start of its newest run whose end is no news, in the engine's words; empty where there is none.
    pub(super) told: String,
    /// Start of the newest run that is known, in the engine's words; empty where there is none.
    pub(super) began: String,
    /// Start of the run that is under way, in milliseconds since 1970.
    pub(super) running_since: Option<i64>,
}

/// Reads the note of a unit; `None` when there is none, or none that can be read.
pub(super) fn read(folder: &Path) -> Option<Note> {
    let path = folder.join(FILE);
    if fs::metadata(&path).ok()?.len() > MAX_BYTES {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Writes it, whole or not at all.
pub(super) fn write(folder: &Path, note: &Note) -> io::Result<()> {
    folder::make(folder)?;
    folder::replace(folder, FILE, &serde_json::to_vec(note)?, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back_and_rubbish_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let unit = folder.path().join("services/a");
        assert_eq!(read(&unit), None);
        let note = Note {
            container: "c".to_owned(),
            told: "2026".to_owned(),
            began: "2027".to_owned(),
            running_since: Some(7),
        };
        write(&unit, &note).expect("a folder of ours");
        assert_eq!(read(&unit), Some(note));
        fs::write(unit.join(FILE), "{\"container\":7").expect("a folder of ours");
        assert_eq!(read(&unit), None);
    }
}
