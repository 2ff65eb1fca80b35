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

/// A place in the output that survives rotation: which file, and how far. A file is known by how it begins, with the time of its
/// first line to the nanosecond: numbers of files are given anew as soon as the oldest one is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// See [`begin_of`]; 0 of a file that was empty, whose only place is its beginning.
    begin: u64,
    offset: u64,
}

/// Bytes at the beginning of a file by which it is known: a time and the stream.
const BEGIN_BYTES: usize = 38;

impl Cursor {
    /// Which of the files, oldest first, it is in.
    fn file_of(self, files: &[PathBuf]) -> Option<usize> {
        if self.begin == 0 {
            // Nothing stood in the newest file; it may have been closed since, but that is where lines went.
            return files.len().checked_sub(1);
        }
        files
            .iter()
            .rposition(|path| File::open(path).and_then(|file| begin_of(&file)).is_ok_and(|at| at == self.begin))
    }

    /// As text, for a page to give back.
    #[must_use]
    pub fn to_text(self) -> String {
        format!("{:x}-{:x}", self.begin, self.offset)
    }

    /// A place before all that is kept: no file begins so.
    #[must_use]
    pub const fn before_all() -> Self {
        Self { begin: u64::MAX, offset: 0 }
    }

    /// From text; `None` for what is no cursor.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (begin, offset) = text.split_once('-')?;
        Some(Self { begin: u64::from_str_radix(begin, 16).ok()?, offset: u64::from_str_radix(offset, 16).ok()? })
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
        let at = place.file_of(&files);
        let (mut found, mut next) = (Vec::new(), Some(place));
        for (index, path) in files.iter().enumerate().skip(at.unwrap_or_default()) {
            let offset = if Some(index) == at { place.offset } else { 0 };
            let mut reader = match Reader::open(path, offset) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue, // rotated away meanwhile
                reader => reader?,
            };
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
            // A file without a line is known by nothing, and may be closed full by the next question: the end of the one before
            // it is the place to go on from.
            next = Some(reader.cursor()).filter(|end| end.begin != 0).or(next);
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
    let file = File::open(path)?;
    let begin = begin_of(&file)?;
    Ok(Some(Cursor { begin, offset: if begin == 0 { 0 } else { file.metadata()?.len() } }))
}

/// By what a file is known; 0 while its first line is not there.
fn begin_of(file: &File) -> io::Result<u64> {
    use sha2::{Digest as _, Sha256};
    use std::os::unix::fs::FileExt as _;
    let mut begin = [0; BEGIN_BYTES];
    let length = file.read_at(&mut begin, 0)?;
    let first = begin[..length].split(|byte| *byte == b'\n').next().unwrap_or_default();
    if length < BEGIN_BYTES && first.len() == length {
        return Ok(0);
    }
    let hash = Sha256::digest(first);
    Ok(hash.iter().take(7).fold(1, |all, byte| all << 8 | u64::from(*byte)))
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
    begin: u64,
    /// Behind the newest line that was told.
    offset: u64,
    /// Behind the newest piece that was read.
    read: u64,
    raw: Vec<u8>,
    /// Parts of a line of standard output and of standard error whose end has not been read.
    open: [Option<Parts>; 2],
}

/// Parts of a line.
struct Parts {
    at: String,
    text: Vec<u8>,
}

impl Reader {
    fn open(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let begin = begin_of(&file)?;
        file.seek(SeekFrom::Start(offset))?;
        let open = [None, None];
        Ok(Self { file: BufReader::new(file), begin, offset, read: offset, raw: Vec::new(), open })
    }

    fn cursor(&self) -> Cursor {
        Cursor { begin: self.begin, offset: self.offset }
    }

    /// The next line; `None` where the file ends, or a line begins that is being written.
    fn line(&mut self) -> io::Result<Option<Line>> {
        loop {
            self.raw.clear();
            let length = (&mut self.file).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut self.raw)?;
            if length == 0 {
                // What is there are parts of a line that nobody has ended, or whose end is in the next file.
                let open = if self.open[0].is_some() { 0 } else { 1 };
                return Ok(self.open[open].take().map(|parts| self.made(parts, open == 1)));
            }
            if self.raw.last() != Some(&b'\n') && length < MAX_LINE_BYTES {
                return Ok(None);
            }
            self.read += length as u64;
            let raw = self.raw.strip_suffix(b"\n").unwrap_or(&self.raw);
            let Some((time, stderr, whole, part)) = split(raw) else { continue };
            let open = &mut self.open[usize::from(stderr)];
            let parts =
                open.get_or_insert_with(|| Parts { at: String::from_utf8_lossy(time).into_owned(), text: Vec::new() });
            let room = MAX_LINE_BYTES.saturating_sub(parts.text.len());
            parts.text.extend_from_slice(&part[..part.len().min(room)]);
            if whole && let Some(parts) = open.take() {
                return Ok(Some(self.made(parts, stderr)));
            }
        }
    }

    fn made(&mut self, parts: Parts, stderr: bool) -> Line {
        self.offset = self.read;
        let text = String::from_utf8_lossy(&parts.text).into_owned();
        Line { at: parts.at, stderr, text, cursor: self.cursor() }
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
    fn a_file_that_was_still_empty_may_be_closed_full_before_the_next_question() {
        let folder = tempfile::tempdir().expect("a folder");
        let (logs, output) = (Logs::new(folder.path()), folder.path().join("output.log"));
        let line = |n: u32| format!("2026-11-20T19:05:01.{n:09}Z stdout F {n}\n");
        fs::write(&output, line(1)).expect("writable");
        fs::rename(&output, folder.path().join("output.log.1")).expect("rotated");
        fs::write(&output, "").expect("writable");
        let (lines, place) = logs.since(Some(Cursor::before_all()), &any(), 9).expect("readable");
        assert_eq!(texts(&lines), ["1"]);
        fs::write(&output, line(2)).expect("writable");
        fs::rename(folder.path().join("output.log.1"), folder.path().join("output.log.2")).expect("rotated");
        fs::rename(&output, folder.path().join("output.log.1")).expect("rotated");
        fs::write(&output, line(3)).expect("writable");
        let (lines, _) = logs.since(place, &any(), 9).expect("readable");
        assert_eq!(texts(&lines), ["2", "3"]);
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
        // Parts of the two outputs come one between the other.
        let mut writer = LogWriter::open(folder.path(), 1 << 20, 2).expect("writable");
        writer.write("T5", false, false, b"Password: ");
        writer.write("T6", true, true, b"a warning");
        writer.write("T7", false, false, b"again: ");
        let found = Logs::new(folder.path()).newest(&any(), 2).expect("readable");
        assert_eq!(texts(&found), ["a warning", "Password: again: "], "what waits for its end is shown");
        fs::write(folder.path().join("output.log"), "T stdout F whole\nT stdout F hal").expect("writable");
        assert_eq!(texts(&Logs::new(folder.path()).newest(&any(), 9).expect("readable")), ["whole"]);
    }

    #[test]
    fn a_place_whose_file_is_gone_goes_on_with_the_oldest_line_that_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = Logs::new(folder.path());
        let mut writer = LogWriter::open(folder.path(), 100, 2).expect("writable");
        let (_, empty) = logs.since(None, &any(), 10).expect("readable");
        let mut write = |n: u32| writer.write(&format!("2026-11-20T19:05:01.{n:09}Z"), false, true, b"a line");
        write(0);
        assert_eq!(texts(&logs.since(empty, &any(), 10).expect("readable").0), ["a line"], "from the beginning");
        let (_, place) = logs.since(None, &any(), 10).expect("readable");
        (1..50).for_each(&mut write);
        // Numbers of files were given anew many times meanwhile.
        let (lines, _) = logs.since(place, &any(), 100).expect("readable");
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[3].at, "2026-11-20T19:05:01.000000049Z");
    }

    #[test]
    fn what_is_no_cursor_is_none() {
        for text in ["", "-", "1", "x-1", "1-", "1-2-3", "ffffffffffffffffff-1"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
