//! From two pipes to lines: what the program prints is cut at its line ends, masked and written with its time. Bounded: a line
//! without an end is written in parts, and one that nobody ends is written after a while.

use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::mask::Masker;
use super::writer::LogWriter;
use crate::moment::{Moment, moment, timestamp};

/// Longest text that is written as one piece, in bytes: that of container engines.
const PIECE_BYTES: usize = 16 * 1024;
/// Bytes that are read at once.
const READ_BYTES: usize = 8 * 1024;
/// A prompt without an end of line is written after this time, so that people see it.
const OPEN_FOR: Duration = Duration::from_millis(500);

/// Both outputs of a program.
pub(super) struct Output {
    streams: [Stream; 2],
    writer: LogWriter,
    masker: Masker,
    room: Box<[u8; READ_BYTES]>,
}

struct Stream {
    pipe: Option<std::fs::File>,
    stderr: bool,
    /// A line that has not ended.
    line: Vec<u8>,
    /// Since when.
    since: Option<Moment>,
    /// The last byte was a carriage return, which ends a line; a line feed behind it ends nothing more.
    returned: bool,
}

impl Output {
    /// Standard output, standard error.
    pub(super) fn new([out, err]: [OwnedFd; 2], writer: LogWriter, masker: Masker) -> Self {
        let stream = |pipe: OwnedFd, stderr| {
            // Reading must not wait: one pipe is not kept back by the other.
            let flags = rustix::fs::fcntl_getfl(&pipe).unwrap_or(rustix::fs::OFlags::empty());
            let _ = rustix::fs::fcntl_setfl(&pipe, flags | rustix::fs::OFlags::NONBLOCK);
            Stream { pipe: Some(pipe.into()), stderr, line: Vec::new(), since: None, returned: false }
        };
        Self { streams: [stream(out, false), stream(err, true)], writer, masker, room: Box::new([0; READ_BYTES]) }
    }

    /// The pipes that are open.
    pub(super) fn pipes(&self) -> [Option<BorrowedFd<'_>>; 2] {
        let [out, err] = &self.streams;
        [out, err].map(|stream| stream.pipe.as_ref().map(|pipe| pipe.as_fd()))
    }

    pub(super) fn is_open(&self) -> bool {
        self.streams.iter().any(|stream| stream.pipe.is_some())
    }

    /// When an open line is written.
    pub(super) fn flush_at(&self) -> Option<Moment> {
        self.streams.iter().filter_map(|stream| stream.since).map(|since| since + OPEN_FOR).min()
    }

    /// Takes what is there, a little of each, and writes lines that have been open for long.
    pub(super) fn take(&mut self) {
        let Self { streams, writer, masker, room } = self;
        for stream in streams {
            stream.take(room.as_mut_slice(), writer, masker);
            if stream.since.is_some_and(|since| moment() >= since + OPEN_FOR) {
                stream.show(writer, masker);
            }
        }
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self) {
        let Self { streams, writer, masker, .. } = self;
        for stream in streams {
            if !stream.line.is_empty() {
                stream.write(writer, masker, true, stream.line.len());
            }
        }
    }

    /// A line of the shim's own.
    pub(super) fn say(&mut self, words: &str) {
        self.writer.write(&timestamp(), true, true, format!("streampulse: {words}").as_bytes());
    }
}

impl Stream {
    fn take(&mut self, room: &mut [u8], writer: &mut LogWriter, masker: &Masker) {
        let Some(pipe) = &mut self.pipe else { return };
        let read = match pipe.read(room) {
            Ok(0) => {
                self.pipe = None;
                if !self.line.is_empty() {
                    self.write(writer, masker, true, self.line.len());
                }
                return;
            }
            Ok(read) => read,
            Err(error) if [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::Interrupted].contains(&error.kind()) => {
                return;
            }
            Err(_) => {
                self.pipe = None;
                return;
            }
        };
        for &byte in &room[..read] {
            let feed_behind_return = byte == b'\n' && std::mem::take(&mut self.returned);
            self.returned = byte == b'\r';
            if feed_behind_return {
                continue;
            }
            if byte == b'\n' || byte == b'\r' {
                self.write(writer, masker, true, self.line.len());
                continue;
            }
            self.line.push(byte);
            if self.line.len() >= PIECE_BYTES + masker.longest() {
                self.write(writer, masker, false, PIECE_BYTES);
            }
        }
        if self.line.is_empty() {
            self.since = None;
        } else if self.since.is_none() {
            self.since = Some(moment());
        }
    }

    /// Writes what has been open for long. What may be the beginning of a secret waits for its rest, or for the end of the line.
    fn show(&mut self, writer: &mut LogWriter, masker: &Masker) {
        let length = self.line.len() - masker.begun(&self.line);
        if length > 0 {
            self.write(writer, masker, false, length);
        }
        self.since = None;
    }

    /// Writes the first `length` bytes of the open line. A secret that begins in them is masked whole, and the rest of the line
    /// begins behind it.
    fn write(&mut self, writer: &mut LogWriter, masker: &Masker, whole: bool, length: usize) {
        let length = masker.cut(&self.line, length);
        writer.write(&timestamp(), self.stderr, whole, &masker.mask(&self.line[..length]));
        self.line.drain(..length);
        self.since = (!self.line.is_empty()).then(moment);
        if self.line.capacity() > 2 * PIECE_BYTES {
            self.line.shrink_to(READ_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn printed(parts: &[&[u8]], secrets: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let ((out, mut end), (err, _)) = (std::io::pipe().expect("a pipe"), std::io::pipe().expect("a pipe"));
        let writer = LogWriter::open(folder.path(), 1 << 20, 2).expect("writable");
        let mut output = Output::new([out.into(), err.into()], writer, Masker::new(secrets));
        for part in parts {
            end.write_all(part).expect("room");
            output.take();
        }
        drop(end);
        while output.is_open() {
            output.take();
        }
        output.end();
        let text = std::fs::read(folder.path().join("output.log")).expect("written");
        let lines = String::from_utf8_lossy(&text).into_owned();
        lines.lines().map(|line| line.splitn(3, ' ').nth(2).expect("a line").to_owned()).collect()
    }

    #[test]
    fn lines_end_at_feeds_and_returns_and_at_the_end() {
        assert_eq!(
            printed(&[b"one\ntwo\r\nfra", b"me=1\rframe=2\r", b"\nlast"], &[]),
            ["F one", "F two", "F frame=1", "F frame=2", "F last"]
        );
        assert_eq!(printed(&[b"\n\n"], &[]), ["F ", "F "]);
        assert_eq!(printed(&[b"half \xe2\x82"], &[]), ["F half \u{fffd}"]);
    }

    #[test]
    fn a_long_line_comes_in_parts_and_no_secret_is_cut() {
        let mut long = vec![b'x'; PIECE_BYTES - 4];
        long.extend_from_slice(b"hunter2-and-more and the rest of it\n");
        let lines = printed(&long.chunks(5000).collect::<Vec<_>>(), &["hunter2-and-more"]);
        assert_eq!(lines.len(), 2, "{}", lines.len());
        assert!(lines[0].starts_with("P xxx") && lines[0].ends_with("x***"), "{}", &lines[0][lines[0].len() - 20..]);
        assert_eq!(lines[1], "F  and the rest of it");
    }

    #[test]
    fn a_secret_in_two_readings_is_masked() {
        assert_eq!(printed(&[b"key=hun", b"ter2\n"], &["hunter2"]), ["F key=***"]);
    }

    #[test]
    fn a_secret_that_comes_in_two_parts_with_a_pause_is_masked() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = LogWriter::open(folder.path(), 1 << 20, 2).expect("writable");
        let masker = Masker::new(&["hunter2"]);
        let mut stream =
            Stream { pipe: None, stderr: false, line: b"Password: hun".to_vec(), since: None, returned: false };
        stream.show(&mut writer, &masker);
        assert_eq!((stream.line.as_slice(), stream.since), (b"hun".as_slice(), None), "nobody is woken for it again");
        stream.show(&mut writer, &masker);
        stream.line.extend_from_slice(b"ter2!");
        stream.write(&mut writer, &masker, true, 8);
        let text = std::fs::read_to_string(folder.path().join("output.log")).expect("written");
        assert!(text.contains("stdout P Password: \n") && text.ends_with("stdout F ***!\n"), "{text}");
    }
}
