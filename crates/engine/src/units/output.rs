//! The output of units as the engine needs it: the last lines of a run, when a line last came, and whether one came that a start
//! waits for. Blocks on the disk; how output is kept is `supervise`'s.

use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use model::time::UtcMs;
use regex_lite::Regex;
use supervise::logs::{Cursor, Logs, Wanted};

/// Lines that stand beside an end.
const LAST_LINES: usize = 20;
/// Longest of them, in bytes: what people read at a glance.
const MAX_LINE_BYTES: usize = 2_000;
/// Lines that are searched at once.
const LINES_AT_ONCE: usize = 5_000;

/// The last lines of a unit's output since a run began, oldest first, without times.
pub(super) fn last_lines(folder: &Path, since: UtcMs) -> Vec<String> {
    let lines = Logs::new(folder).newest(&Wanted::default(), LAST_LINES).unwrap_or_default();
    let own = lines.into_iter().filter(|line| is_since(&line.at, since));
    own.map(|line| {
        let end = line.text.floor_char_boundary(MAX_LINE_BYTES);
        line.text[..end].to_owned()
    })
    .collect()
}

/// Whether a time of the log is not before another one, which is known to the millisecond.
fn is_since(at: &str, since: UtcMs) -> bool {
    at.parse::<jiff::Timestamp>().is_ok_and(|at| at.as_millisecond() >= since.0)
}

/// Whether a line of the newest ones since that time matches, and where to go on.
pub(super) fn first_search(folder: &Path, since: UtcMs, pattern: &Regex) -> (bool, Option<Cursor>) {
    let newest = Logs::new(folder).newest(&Wanted::default(), LINES_AT_ONCE).unwrap_or_default();
    let next = newest.last().map(|line| line.cursor);
    (newest.iter().any(|line| is_since(&line.at, since) && pattern.is_match(&line.text)), next)
}

/// Whether a line behind a place matches, and where to go on.
pub(super) fn search(folder: &Path, place: Cursor, pattern: &Regex) -> (bool, Option<Cursor>) {
    match Logs::new(folder).since(Some(place), &Wanted::default(), LINES_AT_ONCE) {
        Ok((lines, next)) => (lines.iter().any(|line| pattern.is_match(&line.text)), next),
        Err(_) => (false, Some(place)),
    }
}

/// When a line last came.
pub(super) fn last_output(folder: &Path) -> Option<UtcMs> {
    Logs::new(folder).last_ms().map(UtcMs)
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

    const SINCE: UtcMs = UtcMs(1_700_000_000_000); // 2023-11-14T22:13:20Z

    #[test]
    fn the_last_lines_are_those_of_the_run() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(last_lines(folder.path(), SINCE), Vec::<String>::new());
        let line = |n: usize| format!("2023-11-14T22:13:{n:02}.000456789Z stdout F line {n}\n");
        let write = |name: &str, from: usize, to: usize| {
            fs::write(folder.path().join(name), (from..to).map(line).collect::<String>()).unwrap();
        };
        write("output.log.1", 0, 40);
        write("output.log", 40, 45);
        let lines = last_lines(folder.path(), SINCE);
        assert_eq!((lines.len(), lines[0].as_str(), lines[19].as_str()), (20, "line 25", "line 44"));
        write("output.log", 20, 22);
        fs::remove_file(folder.path().join("output.log.1")).unwrap();
        assert_eq!(last_lines(folder.path(), UtcMs(SINCE.0 + 1_000)), ["line 21"], "the run before said the other");
        assert!(modified(&folder.path().join("output.log")).unwrap() > UtcMs(1_600_000_000_000));
        assert!(last_output(folder.path()).is_some());
    }

    #[test]
    fn only_lines_since_the_start_count_and_it_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output.log");
        let ready = Regex::new("^ready on port [0-9]+$").unwrap();
        assert_eq!(first_search(folder.path(), SINCE, &ready), (false, None));
        let old = "2023-11-14T22:13:19.000000000Z stdout F ready on port 80\n";
        fs::write(&path, old).unwrap();
        let (found, place) = first_search(folder.path(), SINCE, &ready);
        assert!(!found);
        fs::write(&path, format!("{old}2023-11-14T22:13:20.5Z stderr F not ready on port 81\n")).unwrap();
        let (found, place) = search(folder.path(), place.unwrap(), &ready);
        assert!(!found);
        fs::write(&path, format!("{old}2023-11-14T22:13:20.5Z stderr F not ready on port 81\n2023-11-14T22:13:21Z stdout F ready on port 82\n")).unwrap();
        assert!(search(folder.path(), place.unwrap(), &ready).0);
        assert!(first_search(folder.path(), SINCE, &ready).0);
    }
}
