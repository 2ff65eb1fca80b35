//! The files of output: appended to in the format of container runtimes (`TIME STREAM F|P TEXT`), closed at a size, numbered by
//! age, the oldest removed. A disk that refuses costs lines, never the program: they are counted, and the log says so.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::folder;

/// Where a unit's output is written.
pub(crate) struct LogWriter {
    folder: PathBuf,
    file: Option<File>,
    size: u64,
    file_bytes: u64,
    files: u32,
    /// Lines that the disk refused since the last one that it took.
    lost: u64,
    why: String,
    line: Vec<u8>,
}

impl LogWriter {
    /// Goes on in the newest file.
    pub(crate) fn open(folder: &Path, file_bytes: u64, files: u32) -> io::Result<Self> {
        let mut writer = Self {
            folder: folder.to_owned(),
            file: None,
            size: 0,
            file_bytes: file_bytes.max(1),
            files: files.max(1),
            lost: 0,
            why: String::new(),
            line: Vec::new(),
        };
        writer.reopen()?;
        writer.mend()?;
        Ok(writer)
    }

    fn reopen(&mut self) -> io::Result<()> {
        let path = folder::output(&self.folder, 0);
        let file = folder::private(&path).append(true).create(true).open(&path)?;
        self.size = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    /// A crash in the middle of a line leaves one without an end; the next one gets a line of its own.
    fn mend(&mut self) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        if self.size == 0 {
            return Ok(());
        }
        let mut last = [0];
        File::open(folder::output(&self.folder, 0))?.read_exact_at(&mut last, self.size - 1)?;
        if last != *b"\n"
            && let Some(file) = &mut self.file
        {
            file.write_all(b"\n")?;
            self.size += 1;
        }
        Ok(())
    }

    /// Writes one piece: a whole line, or a part of one.
    pub(crate) fn write(&mut self, time: &str, stderr: bool, whole: bool, text: &[u8]) {
        if self.lost > 0 {
            let words = format!("{} lines of output were lost: {}", self.lost, self.why);
            if self.append(time, true, true, words.as_bytes()).is_err() {
                self.lost += u64::from(whole);
                return;
            }
            self.lost = 0;
        }
        if let Err(error) = self.append(time, stderr, whole, text) {
            self.lost += u64::from(whole);
            self.why = error.to_string();
        }
    }

    fn append(&mut self, time: &str, stderr: bool, whole: bool, text: &[u8]) -> io::Result<()> {
        let stream = if stderr { " stderr " } else { " stdout " };
        self.line.clear();
        for part in [time.as_bytes(), stream.as_bytes(), if whole { b"F " } else { b"P " }, text, b"\n"] {
            self.line.extend_from_slice(part);
        }
        let length = self.line.len() as u64;
        if self.size > 0 && self.size + length > self.file_bytes {
            self.rotate()?;
        }
        if self.file.is_none() {
            self.reopen()?;
        }
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        if let Err(error) = file.write_all(&self.line) {
            // A part may have been written: it is taken back, so that lines stay whole.
            let _ = file.set_len(self.size);
            return Err(error);
        }
        self.size += length;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let oldest = self.files - 1;
        if oldest == 0 {
            folder::remove(&folder::output(&self.folder, 0))?;
        }
        for age in (0..oldest).rev() {
            match fs::rename(folder::output(&self.folder, age), folder::output(&self.folder, age + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // Also when the next file cannot be made: the ones that are full must not be moved again for every line.
        (self.file, self.size) = (None, 0);
        self.reopen()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<(String, String)> {
        let mut all: Vec<_> = fs::read_dir(folder)
            .expect("a folder")
            .flatten()
            .map(|entry| {
                let text = fs::read_to_string(entry.path()).expect("text");
                (entry.file_name().into_string().expect("text"), text)
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn files_are_closed_at_their_size_and_the_oldest_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = LogWriter::open(folder.path(), 40, 2).expect("writable");
        for n in 0..5 {
            writer.write("T", n == 3, true, format!("line number {n}").as_bytes());
        }
        let found = names(folder.path());
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].1, "T stdout F line number 4\n");
        assert_eq!(found[1], ("output.log.1".to_owned(), "T stderr F line number 3\n".to_owned()));
    }

    #[test]
    fn a_line_that_a_crash_left_open_is_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("output.log"), "T stdout F half").expect("writable");
        LogWriter::open(folder.path(), 4000, 2).expect("writable").write("T", false, false, b"next");
        assert_eq!(names(folder.path())[0].1, "T stdout F half\nT stdout P next\n");
    }

    #[test]
    fn what_the_disk_refused_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = LogWriter::open(folder.path(), 4000, 2).expect("writable");
        writer.file = Some(File::options().write(true).open("/dev/full").expect("Linux has it"));
        writer.write("T", false, true, b"one");
        writer.write("T", false, true, b"two");
        writer.file = None;
        writer.write("T", false, true, b"three");
        let text = &names(folder.path())[0].1;
        assert!(text.starts_with("T stderr F 2 lines of output were lost: No space left"), "{text}");
        assert!(text.ends_with("T stdout F three\n"), "{text}");
    }
}
