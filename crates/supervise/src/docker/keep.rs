//! A container's log in the unit's own files: in the form and with the rotation of every unit's output, secrets masked. Owns where the
//! engine's log was left off, which is read from the files themselves.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use jiff::Timestamp;

use super::follow::Record;
use crate::backend::Launch;
use crate::folder;
use crate::shim::{LogWriter, Masker};

/// How much of the newest files is looked through for where it was left off. Records that share a time are parts of one long line,
/// or of a burst; where all of this has one time, what follows may come twice.
const LOOK_BACK_BYTES: u64 = 1024 * 1024;
/// Longest beginning of a record that is looked at: its time and its output.
const HEAD_BYTES: usize = 64;

/// The log of a unit, written.
pub(super) struct Kept {
    writer: LogWriter,
    masker: Masker,
    /// Of each output, the end of a part of a line, which may hold the beginning of a secret.
    held: [Vec<u8>; 2],
    last: [Option<(Timestamp, usize)>; 2],
}

impl Kept {
    /// Goes on with the log in a unit's folder.
    pub(super) fn open(folder: &Path, launch: &Launch, secrets: &[&str]) -> io::Result<Self> {
        folder::make(folder)?;
        let last = left_off(folder)?;
        let writer = LogWriter::open(folder, launch.logs.file_bytes, launch.logs.files)?;
        let masks = launch.masks.iter().map(model::secret::Secret::expose).chain(secrets.iter().copied());
        Ok(Self { writer, masker: Masker::new(&masks.collect::<Vec<_>>()), held: Default::default(), last })
    }

    /// Time of the newest record of an output when it was opened, and how many of it have just that time.
    pub(super) fn last(&self, stderr: bool) -> Option<(Timestamp, usize)> {
        self.last[usize::from(stderr)]
    }

    /// Keeps records, in their order. What the disk refuses is counted by the log itself.
    pub(super) fn keep(&mut self, records: &[Record]) {
        for record in records {
            let held = &mut self.held[usize::from(record.stderr)];
            held.extend_from_slice(&record.text);
            // The engine cuts long lines anywhere, in the middle of a secret too: what may be the beginning of one waits for the
            // next part.
            let end = match (record.whole, self.masker.longest()) {
                (false, longest @ 1..) => self.masker.cut(held, held.len().saturating_sub(longest)),
                _ => held.len(),
            };
            let text = self.masker.mask(&held[..end]);
            held.drain(..end);
            self.writer.write(&format!("{:.9}", record.at), record.stderr, record.whole, &text);
        }
    }
}

/// Time of the newest record of each output, and how many share it: of the newest files, oldest first.
fn left_off(folder: &Path) -> io::Result<[Option<(Timestamp, usize)>; 2]> {
    let mut texts = Vec::new();
    let mut left = LOOK_BACK_BYTES;
    for age in 0.. {
        let mut file = match File::open(folder::output(folder, age)) {
            Ok(file) if left > 0 => file,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => break,
        };
        let size = file.metadata()?.len();
        let from = size.saturating_sub(left);
        file.seek(SeekFrom::Start(from))?;
        let mut text = Vec::new();
        file.take(size - from).read_to_end(&mut text)?;
        left = left.saturating_sub(text.len() as u64);
        texts.push(text);
    }
    let mut counts: [HashMap<Timestamp, usize>; 2] = Default::default();
    for line in texts.iter().rev().flat_map(|text| text.split(|byte| *byte == b'\n')) {
        if let Some((at, stderr)) = head(&line[..line.len().min(HEAD_BYTES)]) {
            *counts[usize::from(stderr)].entry(at).or_default() += 1;
        }
    }
    Ok(counts.map(|counts| counts.into_iter().max_by_key(|(at, _)| *at)))
}

/// Time and output of a record.
fn head(line: &[u8]) -> Option<(Timestamp, bool)> {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let at = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    Some((at, words.next()? == b"stderr"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::secret::Secret;
    use model::unit::UnitId;
    use model::unit::spec::{Container, LogRules, Program, Stop};

    use super::*;
    use crate::logs::{Logs, Wanted};

    fn launch(masks: &[&str]) -> Launch {
        Launch {
            id: UnitId::parse("a").expect("an id"),
            program: Program::Container(Container { name: "a".to_owned(), socket: None, create: None }),
            stop: Stop { signal: "TERM", grace: Duration::from_secs(1) },
            logs: LogRules { file_bytes: 300, files: 20 },
            masks: masks.iter().map(|mask| Secret::new(*mask)).collect(),
        }
    }

    fn at(nanos: i128) -> Timestamp {
        Timestamp::from_nanosecond(1_795_201_281_000_000_000 + nanos).expect("a time")
    }

    fn record(nanos: i128, stderr: bool, text: &str, whole: bool) -> Record {
        Record { at: at(nanos), stderr, text: text.as_bytes().to_vec(), whole }
    }

    fn lines(folder: &Path) -> Vec<String> {
        let all = Logs::new(folder).newest(&Wanted::default(), 1000).expect("readable");
        all.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn where_it_was_left_off_is_read_from_the_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Kept::open(folder.path(), &launch(&[]), &[]).expect("writable");
        assert_eq!((open().last(false), open().last(true)), (None, None));
        // One behind the other in the file, but not in time; the rotation falls in between.
        let mut records: Vec<Record> = (0..20).map(|n| record(n, false, "out", true)).collect();
        records.extend([record(30, false, "a", false), record(30, false, "b", false), record(30, false, "c", true)]);
        records.extend([record(5, true, "err", true), record(7, true, "err", true)]);
        open().keep(&records);
        let again = open();
        assert_eq!((again.last(false), again.last(true)), (Some((at(30), 3)), Some((at(7), 1))));
        assert_eq!(lines(folder.path()).len(), 23);
        assert_eq!(lines(folder.path())[20], "abc");
        assert_eq!(head(b"no time stdout F x"), None);
    }

    #[test]
    fn a_secret_is_masked_also_where_the_engine_cut_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut kept = Kept::open(folder.path(), &launch(&["hunter2"]), &["s3cret"]).expect("writable");
        kept.keep(&[record(1, true, "s3cret hunter2", true), record(1, false, "one hunter2 and hun", false)]);
        kept.keep(&[record(1, false, "ter2 and s3c", false), record(2, false, "ret.", true)]);
        kept.keep(&[record(3, false, "hun", true)]);
        assert_eq!(lines(folder.path()), ["*** ***", "one *** and *** and ***.", "hun"]);
    }
}
