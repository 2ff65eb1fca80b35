//! The folder of a unit: which files it holds and how they are written so that a crash leaves the old or the new one. What the
//! files mean is in `record`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What the shim is to run; holds secrets, and is removed as soon as it was read.
pub(crate) const LAUNCH: &str = "launch.json";
/// The run that is under way.
pub(crate) const RUN: &str = "run.json";
/// How the newest run ended.
pub(crate) const EXIT: &str = "exit.json";
/// Held by the shim for its life: who has it runs the unit.
pub(crate) const LOCK: &str = "lock";
/// The newest file of output.
pub const OUTPUT: &str = "output.log";

/// Makes a unit's folder, for its owner only.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Opens a file of the folder for its owner only.
pub(crate) fn private(path: &Path) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    debug_assert!(path.is_absolute() || cfg!(test), "units live at absolute places");
    options
}

/// Replaces a file: the old or the new text is there when a process is killed, never a part. With `lasts` also when the machine
/// loses its power: on the disk when this returns.
pub(crate) fn replace(folder: &Path, name: &str, text: &[u8], lasts: bool) -> io::Result<()> {
    let (new, old) = (folder.join(format!("{name}.new")), folder.join(name));
    let mut file = private(&new).write(true).create(true).truncate(true).open(&new)?;
    file.write_all(text)?;
    if lasts {
        file.sync_all()?;
    }
    fs::rename(&new, &old)?;
    if lasts { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Removes a file; one that is not there is no error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Name of a file of output: the newest has no number, older ones have higher ones.
pub(crate) fn output(folder: &Path, age: u32) -> PathBuf {
    if age == 0 { folder.join(OUTPUT) } else { folder.join(format!("{OUTPUT}.{age}")) }
}
