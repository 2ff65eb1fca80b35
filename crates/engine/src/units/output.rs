//! The output of units as the engine needs it: the last lines of a run, and when a line last came. Reads files of the state
//! folder; blocks on the disk.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use model::time::UtcMs;

/// Lines that stand beside an end.
pub(super) const LAST_LINES: usize = 20;
/// How much of the newest file is looked at for them.
const TAIL_BYTES: u64 = 64 * 1024;
/// Name of the newest file of output.
pub(super) const OUTPUT: &str = "output.log";

/// The last lines of a unit's output, oldest first, without times.
pub(super) fn last_lines(folder: &Path) -> Vec<String> {
    let mut lines = tail(&folder.join(OUTPUT)).unwrap_or_default();
    if lines.len() < LAST_LINES
        && let Ok(mut older) = tail(&folder.join(format!("{OUTPUT}.1")))
    {
        older.append(&mut lines);
        lines = older;
    }
    lines.drain(..lines.len().saturating_sub(LAST_LINES));
    lines
}

fn tail(path: &Path) -> std::io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    if size > TAIL_BYTES {
        lines.next(); // the rest of one
    }
    Ok(lines.filter_map(words_of).map(str::to_owned).collect())
}

/// The text of a line of the container runtimes' log format.
fn words_of(line: &str) -> Option<&str> {
    line.splitn(4, ' ').nth(3)
}

/// When a file was last written.
pub(super) fn modified(path: &Path) -> std::io::Result<UtcMs> {
    let time = fs::metadata(path)?.modified()?;
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Ok(UtcMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_come_from_the_newest_files() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(last_lines(folder.path()), Vec::<String>::new());
        let line = |n: usize| format!("2026-11-20T19:05:01.123456789Z stdout F line {n}\n");
        let write = |name: &str, from: usize, to: usize| {
            fs::write(folder.path().join(name), (from..to).map(line).collect::<String>()).unwrap();
        };
        write("output.log.1", 0, 90);
        write("output.log", 90, 95);
        let lines = last_lines(folder.path());
        assert_eq!((lines.len(), lines[0].as_str(), lines[19].as_str()), (20, "line 75", "line 94"));
        write("output.log", 0, 9_000);
        assert_eq!(last_lines(folder.path())[19], "line 8999");
        assert!(modified(&folder.path().join(OUTPUT)).unwrap() > UtcMs(1_600_000_000_000));
    }
}
