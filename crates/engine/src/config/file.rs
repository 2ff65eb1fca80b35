//! The configuration file on disk: read with a cap, written whole or not at all, with backups. The only I/O of this module.

use std::path::{Path, PathBuf};

use model::conf::Problem;

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
        /// Hash of what is there now.
        found: String,
    },
    /// The system refused.
    #[error("{0}")]
    Io(String),
}

/// SHA-256 of a text, in lower case hexadecimal.
#[must_use]
pub fn hash(text: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
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

    /// The text and its hash. Blocks on the disk.
    ///
    /// # Errors
    /// A missing, unreadable, too large or non-UTF-8 file.
    pub fn read(&self) -> Result<(String, String), Problem> {
        Err(Problem::new(None, "", "the reader is not there yet"))
    }

    /// Writes `text` in place of the text whose hash is `expected_hash`; answers the new hash. Blocks on the disk.
    ///
    /// # Errors
    /// [`WriteError::Changed`] when the file holds something else, [`WriteError::Io`] when the system refuses.
    pub fn write(&self, text: &str, expected_hash: &str) -> Result<String, WriteError> {
        let _ = (text, expected_hash);
        Err(WriteError::Io("the writer is not there yet".to_owned()))
    }

    /// Writes a file that must not exist yet, readable by its owner alone; makes missing folders.
    ///
    /// # Errors
    /// [`WriteError::Changed`] when it exists, [`WriteError::Io`] when the system refuses.
    pub fn create(&self, text: &str) -> Result<String, WriteError> {
        let _ = text;
        Err(WriteError::Io("the writer is not there yet".to_owned()))
    }
}
