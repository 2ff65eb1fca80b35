//! Reading a unit's output: the last lines, lines that hold a text, what came since, whole files. Bounded, across rotation. Blocks
//! on the disk; writes nothing.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::folder;

/// Most files of one unit that are looked at: more than a configuration may keep.
const MAX_FILES: u32 = 1_000;
/// Longest line that is put together of its parts, in bytes; the rest of a longer one is left out and said.
const MAX_LINE_BYTES: usize = 256 * 1024;
/// Bytes that one question reads at most: a search through a gigabyte would hold a thread for seconds.
const MAX_READ_BYTES: u64 = 512 * 1024 * 1024;
/// Bytes that are read at once from the end of a file.
const BLOCK_BYTES: u64 = 64 * 1024;

/// A line of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it came, as RFC 3339 in UTC.
    pub at: String,
    /// Whether it is of standard error.
    pub stderr: bool,
    /// Its text, without the end of line; bytes that are no UTF-8 are U+FFFD.
    pub text: String,
    /// Where the line behind it begins: what to go on from.
    pub cursor: Cursor,
}

/// A place in the output that survives rotation: which file, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    inode: u64,
    offset: u64,
}

impl Cursor {
    /// As text, for a page to give back.
    #[must_use]
    pub fn to_text(self) -> String {
        format!("{:x}-{:x}", self.inode, self.offset)
    }

    /// From text; `None` for what is no cursor.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (inode, offset) = text.split_once('-')?;
        Some(Self { inode: u64::from_str_radix(inode, 16).ok()?, offset: u64::from_str_radix(offset, 16).ok()? })
    }
}

/// Which lines are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Text that a line holds, letter case aside; empty is any line.
    pub text: String,
    /// `Some(true)`: of standard error only; `Some(false)`: of standard output only.
    pub stderr: Option<bool>,
}

impl Wanted {
    fn takes(&self, line: &Line) -> bool {
        self.stderr.is_none_or(|stderr| stderr == line.stderr)
            && (self.text.is_empty() || line.text.to_lowercase().contains(&self.text.to_lowercase()))
    }
}

/// The output of one unit.
#[derive(Clone, Debug)]
pub struct Logs {
    folder: PathBuf,
}

impl Logs {
    /// The output that is kept in a unit's folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The files, oldest first.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let all = (0..MAX_FILES).map(|age| folder::output(&self.folder, age));
        let mut files: Vec<PathBuf> = all.take_while(|path| path.exists()).collect();
        files.reverse();
        files
    }

    /// The newest lines of those that are wanted, oldest first, at most `most`.
    ///
    /// # Errors
    /// What the disk says. No output at all is no error.
    pub fn newest(&self, wanted: &Wanted, most: usize) -> io::Result<Vec<Line>> {
        let (mut found, mut read) = (Vec::new(), 0);
        for path in self.files().iter().rev() {
            let mut lines = match newest_of(path, wanted, most - found.len(), &mut read) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue, // rotated away meanwhile
                lines => lines?,
            };
            lines.append(&mut found);
            found = lines;
            if found.len() >= most || read >= MAX_READ_BYTES {
                break;
            }
        }
        Ok(found)
    }

    /// The lines behind a place, oldest first, at most `most`; of a place that was rotated away all that are left. Also where to
    /// go on. Without a place: from the end of what there is now.
    ///
    /// # Errors
    /// What the disk says.
    pub fn since(
        &self,
        place: Option<Cursor>,
        wanted: &Wanted,
        most: usize,
    ) -> io::Result<(Vec<Line>, Option<Cursor>)> {
        let files = self.files();
        let Some(place) = place else { return Ok((Vec::new(), end_of(files.last())?)) };
        let at = files.iter().position(|path| fs::metadata(path).is_ok_and(|data| data.ino() == place.inode));
        let (mut found, mut next) = (Vec::new(), Some(place));
        for (index, path) in files.iter().enumerate().skip(at.unwrap_or_default()) {
            let offset = if Some(index) == at { place.offset } else { 0 };
            let mut reader = Reader::open(path, offset)?;
            while found.len() < most
                && let Some(line) = reader.line()?
            {
                next = Some(line.cursor);
                if wanted.takes(&line) {
                    found.push(line);
                }
            }
            if found.len() >= most {
                break;
            }
            next = Some(reader.cursor());
        }
        Ok((found, next))
    }

    /// When the newest line came, in milliseconds since 1970.
    #[must_use]
    pub fn last_ms(&self) -> Option<i64> {
        let data = fs::metadata(folder::output(&self.folder, 0)).ok().filter(|data| data.len() > 0)?;
        Some(data.mtime().saturating_mul(1000).saturating_add(data.mtime_nsec() / 1_000_000))
    }
}

fn end_of(path: Option<&PathBuf>) -> io::Result<Option<Cursor>> {
    let Some(path) = path else { return Ok(None) };
    let data = fs::metadata(path)?;
    Ok(Some(Cursor { inode: data.ino(), offset: data.len() }))
}

/// The newest wanted lines of one file: reads back block by block until there are enough.
fn newest_of(path: &Path, wanted: &Wanted, most: usize, read: &mut u64) -> io::Result<Vec<Line>> {
    let size = fs::metadata(path)?.len();
    let mut back = BLOCK_BYTES;
    loop {
        let from = line_begin(path, size.saturating_sub(back))?;
        let mut reader = Reader::open(path, from)?;
        let mut found = std::collections::VecDeque::new();
        while let Some(line) = reader.line()? {
            if wanted.takes(&line) {
                found.push_back(line);
                if found.len() > most {
                    found.pop_front();
                }
            }
        }
        *read += size - from;
        if found.len() >= most || from == 0 || *read >= MAX_READ_BYTES {
            return Ok(found.into());
        }
        back = back.saturating_mul(4);
    }
}

/// Where the first line behind an offset begins.
fn line_begin(path: &Path, offset: u64) -> io::Result<u64> {
    if offset == 0 {
        return Ok(0);
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset - 1))?;
    let mut skipped = Vec::new();
    let length = BufReader::new(file).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut skipped)?;
    Ok(offset - 1 + length as u64)
}

/// Reads lines of one file, parts put together.
struct Reader {
    file: BufReader<File>,
    inode: u64,
    offset: u64,
    raw: Vec<u8>,
}

impl Reader {
    fn open(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let inode = file.metadata()?.ino();
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { file: BufReader::new(file), inode, offset, raw: Vec::new() })
    }

    fn cursor(&self) -> Cursor {
        Cursor { inode: self.inode, offset: self.offset }
    }

    /// The next line; `None` where the file ends, or a line that has not ended begins.
    fn line(&mut self) -> io::Result<Option<Line>> {
        let (mut at, mut stderr, mut text, mut offset) = (String::new(), false, Vec::new(), self.offset);
        loop {
            self.raw.clear();
            let length = (&mut self.file).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut self.raw)?;
            let ended = self.raw.last() == Some(&b'\n');
            if length == 0 || !ended && length < MAX_LINE_BYTES {
                // Its rest is being written, or what is there are parts of a line whose end is in the next file.
                if text.is_empty() || length > 0 {
                    return Ok(None);
                }
                self.offset = offset;
                return Ok(Some(self.made(at, stderr, &text)));
            }
            offset += length as u64;
            let raw = self.raw.strip_suffix(b"\n").unwrap_or(&self.raw);
            let Some((time, is_stderr, whole, part)) = split(raw) else { continue };
            if text.is_empty() {
                at = String::from_utf8_lossy(time).into_owned();
                stderr = is_stderr;
            }
            let room = MAX_LINE_BYTES.saturating_sub(text.len());
            text.extend_from_slice(&part[..part.len().min(room)]);
            if whole {
                self.offset = offset;
                return Ok(Some(self.made(at, stderr, &text)));
            }
        }
    }

    fn made(&self, at: String, stderr: bool, text: &[u8]) -> Line {
        Line { at, stderr, text: String::from_utf8_lossy(text).into_owned(), cursor: self.cursor() }
    }
}

/// Time, whether of standard error, whether the line ends, text.
fn split(raw: &[u8]) -> Option<(&[u8], bool, bool, &[u8])> {
    let mut parts = raw.splitn(4, |byte| *byte == b' ');
    let (time, stream, tag) = (parts.next()?, parts.next()?, parts.next()?);
    Some((time, stream == b"stderr", tag != b"P", parts.next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shim::LogWriter;

    fn any() -> Wanted {
        Wanted::default()
    }

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn the_newest_lines_come_from_as_many_files_as_it_takes() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = Logs::new(folder.path());
        assert_eq!(logs.newest(&any(), 5).expect("no output is no error"), []);
        let mut writer = LogWriter::open(folder.path(), 10_000, 5).expect("writable");
        for n in 0..1000 {
            writer.write("T", n % 2 == 1, true, format!("line {n}").as_bytes());
        }
        assert!(logs.files().len() > 1);
        let found = logs.newest(&any(), 600).expect("readable");
        assert_eq!((found.len(), found[0].text.as_str(), found[599].text.as_str()), (600, "line 400", "line 999"));
        let some = logs.newest(&Wanted { text: "LINE 99".to_owned(), stderr: Some(true) }, 3).expect("readable");
        assert_eq!(texts(&some), ["line 995", "line 997", "line 999"]);
    }

    #[test]
    fn following_goes_on_over_rotation_and_never_tells_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = Logs::new(folder.path());
        let mut writer = LogWriter::open(folder.path(), 400, 9).expect("writable");
        writer.write("T", false, true, b"old");
        let (none, mut place) = logs.since(None, &any(), 10).expect("readable");
        assert!(none.is_empty());
        let mut seen = Vec::new();
        for n in 0..100 {
            writer.write("T", false, true, n.to_string().as_bytes());
            if n % 7 == 0 {
                let (lines, next) = logs.since(place, &any(), 1000).expect("readable");
                seen.extend(lines.into_iter().map(|line| line.text));
                place = next.and_then(|place| Cursor::parse(&place.to_text()));
            }
        }
        let (lines, _) = logs.since(place, &any(), 1000).expect("readable");
        seen.extend(lines.into_iter().map(|line| line.text));
        assert_eq!(seen, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn parts_become_lines_and_bad_bytes_are_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = LogWriter::open(folder.path(), 1 << 20, 2).expect("writable");
        writer.write("T1", true, false, b"one, ");
        writer.write("T2", true, false, b"two, ");
        writer.write("T3", true, true, b"three \xff");
        writer.write("T4", false, true, b"");
        let found = Logs::new(folder.path()).newest(&any(), 9).expect("readable");
        assert_eq!(texts(&found), ["one, two, three \u{fffd}", ""]);
        assert_eq!((found[0].at.as_str(), found[0].stderr), ("T1", true));
        fs::write(folder.path().join("output.log"), "T stdout F whole\nT stdout F hal").expect("writable");
        assert_eq!(texts(&Logs::new(folder.path()).newest(&any(), 9).expect("readable")), ["whole"]);
    }

    #[test]
    fn what_is_no_cursor_is_none() {
        for text in ["", "-", "1", "x-1", "1-", "1-2-3", "ffffffffffffffffff-1"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
