//! Reading the small files by which Linux tells about itself. Owns the folder in which they stand and how much of them is
//! read; believes no file to be there.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Most bytes of one file: `/proc/stat` of a machine with a thousand processors has some 300 KiB.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Most entries of a folder: no machine has as many sensors, disks or interfaces that anybody would look at.
const MAX_ENTRIES: usize = 4096;

/// The folder in which `proc` and `sys` stand: `/`, or where another machine's are mounted.
#[derive(Clone, Debug)]
pub(super) struct Root(PathBuf);

impl Root {
    pub(super) fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// A path below it; `path` begins with a slash or not.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// Whether it is the machine that this program itself runs on.
    pub(super) fn is_own(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// The text of a file, cut at the limit.
    pub(super) fn read(&self, path: &str) -> io::Result<String> {
        let mut bytes = Vec::new();
        File::open(self.path(path))?.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The text of a file without the line's end; empty when there is none to be had.
    pub(super) fn word(&self, path: &str) -> String {
        self.read(path).map(|text| text.trim().to_owned()).unwrap_or_default()
    }

    /// The number that a file holds.
    pub(super) fn number<T: std::str::FromStr>(&self, path: &str) -> Option<T> {
        self.word(path).parse().ok()
    }

    /// Names in a folder, in order; none when there is no such folder.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten().take(MAX_ENTRIES);
        let mut names: Vec<_> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }
}

/// The words of a line as numbers; what is none counts as zero, as newer systems write more words than older ones.
pub(super) fn numbers<'a>(words: impl Iterator<Item = &'a str>) -> Vec<u64> {
    words.map(|word| word.parse().unwrap_or(0)).collect()
}

/// Undoes the octal escapes of `/proc/mounts` (`\040` is a space).
pub(super) fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.first_chunk::<3>().and_then(|d| std::str::from_utf8(d).ok());
        match digits.filter(|_| byte == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) => {
                out.push(code);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_mounts_are_undone() {
        for (text, plain) in
            [(r"/mnt/my\040disk", "/mnt/my disk"), (r"/a\134b", r"/a\b"), (r"/x\9", r"/x\9"), ("/", "/")]
        {
            assert_eq!(unescape(text), plain);
        }
    }
}
