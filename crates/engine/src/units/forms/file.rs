//! The file of a form: one JSON object, read with a cap, replaced whole or not at all, its forerunners kept beside it. While a
//! change is on trial, what it replaced stands in a file of its own, so that it can be taken back also after this process was
//! killed. Knows what is a value of a key; judges no change.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use model::conf::Problem;
use model::unit::form::{Form, KeyType};
use model::unit::spec::Owner;
use serde_json::{Map, Value as Json};

use super::patch::Values;
use super::values::{from_json, to_json};
use crate::config::hash;

/// Most bytes of the file: two hundred keys of four thousand bytes.
const MAX_BYTES: u64 = 1 << 20;
/// Forerunners that are kept: as many as of the configuration.
const BACKUPS: usize = model::limits::CONFIG_BACKUPS;
/// Permissions of a new file without secrets: the service, which may be of another user, can read it.
const MODE: u32 = 0o644;
/// Permissions of a file with secrets.
const SECRET_MODE: u32 = 0o600;

/// What stands in the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Kept {
    /// Values of keys of the form.
    pub(crate) values: Values,
    /// Keys that the form does not know, and values that their keys do not take, as they are.
    pub(crate) others: Map<String, Json>,
    /// Values that their keys do not take: somebody wrote them by hand, or the form changed.
    pub(crate) problems: Vec<Problem>,
    /// Hash of the text; `None` where there is no file.
    pub(crate) hash: Option<String>,
}

/// What reading or writing came to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileError {
    /// Somebody else wrote it since it was read.
    #[error("{0} was changed by somebody else since it was read; nothing was written")]
    Changed(String),
    /// The system refused, or the content is no JSON object.
    #[error("{0}")]
    Io(String),
}

/// The file of a form.
#[derive(Clone, Debug)]
pub(crate) struct FormFile {
    path: PathBuf,
    mode: u32,
    owner: Option<Owner>,
}

impl FormFile {
    /// Names the file; nothing is opened. `owner` is whom the service runs as.
    pub(crate) fn new(form: &Form, owner: Option<Owner>) -> Self {
        let secret = form.keys.iter().any(|key| key.ty == KeyType::Secret);
        Self { path: form.file.clone(), mode: if secret { SECRET_MODE } else { MODE }, owner }
    }

    /// The path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What stands in it; nothing where it is not there. Blocks on the disk.
    pub(crate) fn read(&self, form: &Form) -> Result<Kept, FileError> {
        match self.text()? {
            Some(text) => parse(form, &text, &self.path),
            None => Ok(Kept::default()),
        }
    }

    fn text(&self) -> Result<Option<String>, FileError> {
        read_text(&self.path)
    }

    /// Where the forerunner of a change on trial stands.
    fn trial(&self) -> PathBuf {
        beside(&self.path, ".before-trial")
    }

    /// Whether a change is on trial.
    pub(crate) fn is_on_trial(&self) -> bool {
        self.trial().exists()
    }

    /// Replaces the file whose hash is `expected` (`None`: there is none) by these values; answers the new hash. On trial, what
    /// it replaces is kept for [`FormFile::take_back`]. Blocks on the disk.
    pub(crate) fn write(
        &self,
        form: &Form,
        kept: &Kept,
        expected: Option<&str>,
        on_trial: bool,
    ) -> Result<String, FileError> {
        self.write_until(form, kept, expected, on_trial, usize::MAX)
    }

    /// The same up to a step, as if this process had been killed then. Every step leaves the file as it was or as it shall be.
    pub(super) fn write_until(
        &self,
        form: &Form,
        kept: &Kept,
        expected: Option<&str>,
        on_trial: bool,
        steps: usize,
    ) -> Result<String, FileError> {
        let text = text_of(form, kept);
        let change = Change { file: self, text: &text, expected, on_trial, made_trial: Cell::new(false) };
        let all: [(&str, Step<'_>); 6] = [
            ("make the folder of", Change::make_folder),
            ("write", Change::write_new),
            ("keep the forerunners of", Change::rotate),
            ("keep the forerunner of", Change::keep_old),
            ("replace", Change::replace),
            ("write the folder of", Change::sync),
        ];
        for (what, step) in all.into_iter().take(steps) {
            if let Err(error) = step(&change) {
                let _ = fs::remove_file(change.new_path());
                if change.made_trial.get() {
                    let _ = fs::remove_file(self.trial());
                }
                return Err(match error {
                    StepError::Changed => FileError::Changed(self.path.display().to_string()),
                    StepError::Io(error) => self.failed(what, &error),
                });
            }
        }
        Ok(hash(&text))
    }

    fn failed(&self, what: &str, error: &io::Error) -> FileError {
        FileError::Io(format!("cannot {what} {}: {error}", self.path.display()))
    }

    /// The change was good: what it replaced stays as a backup alone.
    pub(crate) fn keep(&self) -> Result<(), FileError> {
        remove(&self.trial()).map_err(|e| self.failed("end the trial of", &e))
    }

    /// The change was not good: the file is what it was before. Where somebody wrote it by hand meanwhile (it is not of the
    /// hash that the change gave it), that stays.
    pub(crate) fn take_back(&self, changed: Option<&str>) -> Result<(), FileError> {
        let Some(before) = read_text(&self.trial())? else { return Ok(()) };
        let now = self.text()?.map(|text| hash(&text));
        if changed.is_some() && now.as_deref() != changed {
            self.keep()?;
            return Err(FileError::Changed(self.path.display().to_string()));
        }
        if before.is_empty() {
            // There was no file. What was tried stays to be looked at.
            let tried = fs::rename(&self.path, self.backup(1));
            tried
                .or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
                .map_err(|e| self.failed("take back", &e))?;
        } else {
            fs::rename(self.trial(), &self.path).map_err(|e| self.failed("take back", &e))?;
        }
        sync_folder(&self.path);
        self.keep()
    }

    fn backup(&self, number: usize) -> PathBuf {
        beside(&self.path, &format!(".bak.{number}"))
    }
}

type Step<'a> = fn(&Change<'a>) -> Result<(), StepError>;

enum StepError {
    Changed,
    Io(io::Error),
}

impl From<io::Error> for StepError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A replacement that is under way.
struct Change<'a> {
    file: &'a FormFile,
    text: &'a str,
    expected: Option<&'a str>,
    on_trial: bool,
    /// Whether this change began the trial: one that was under way before goes on with its own forerunner.
    made_trial: Cell<bool>,
}

impl Change<'_> {
    fn new_path(&self) -> PathBuf {
        beside(&self.file.path, ".new")
    }

    fn make_folder(&self) -> Result<(), StepError> {
        Ok(fs::create_dir_all(folder_of(&self.file.path))?)
    }

    /// The new text is on the disk, whole, before anything of the old one moves: a full disk is found here.
    fn write_new(&self) -> Result<(), StepError> {
        let new = self.new_path();
        remove(&new)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(SECRET_MODE).open(&new)?;
        file.write_all(self.text.as_bytes())?;
        let old = fs::metadata(&self.file.path).ok();
        // A mode that somebody chose stays, as far as secrets allow.
        let mode = old.as_ref().map_or(self.file.mode, |old| old.permissions().mode() & 0o777);
        let mode = if self.file.mode == SECRET_MODE { mode & SECRET_MODE } else { mode };
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        let owner = old.map(|old| (old.uid(), old.gid())).or(self.file.owner.as_ref().map(|o| (o.uid, o.gid)));
        if let Some((uid, gid)) = owner {
            // Only root may give files away; for everybody else the file is theirs already.
            let _ = std::os::unix::fs::chown(&new, Some(uid), Some(gid));
        }
        Ok(file.sync_all()?)
    }

    /// Makes room for the newest backup and drops the oldest.
    fn rotate(&self) -> Result<(), StepError> {
        if self.expected.is_none() {
            return Ok(());
        }
        for number in (1..BACKUPS).rev() {
            match fs::rename(self.file.backup(number), self.file.backup(number + 1)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// The old file gets further names, so that its content and the time of its last change stay as they are.
    fn keep_old(&self) -> Result<(), StepError> {
        if self.expected.is_some() {
            link(&self.file.path, &self.file.backup(1))?;
        }
        if !self.on_trial || self.file.is_on_trial() {
            return Ok(());
        }
        self.made_trial.set(true);
        let trial = self.file.trial();
        match self.expected {
            Some(_) => link(&self.file.path, &trial)?,
            None => File::create(&trial)?.sync_all()?,
        }
        sync_folder(&self.file.path);
        Ok(())
    }

    fn replace(&self) -> Result<(), StepError> {
        // Asked as late as possible: an editor may have saved it while the values were checked.
        let now = self.file.text().map_err(|e| StepError::Io(io::Error::other(e.to_string())))?;
        if now.map(|text| hash(&text)).as_deref() != self.expected {
            return Err(StepError::Changed);
        }
        Ok(fs::rename(self.new_path(), &self.file.path)?)
    }

    fn sync(&self) -> Result<(), StepError> {
        sync_folder(&self.file.path);
        Ok(())
    }
}

/// What a text says; `path` is where it stands, for messages.
pub(super) fn parse(form: &Form, text: &str, path: &Path) -> Result<Kept, FileError> {
    let shown = path.display();
    // What is wrong is told by its place: the text may hold secrets.
    let parsed: Json = serde_json::from_str(text)
        .map_err(|e| FileError::Io(format!("{shown} is no JSON, first in line {}, column {}", e.line(), e.column())))?;
    let Json::Object(all) = parsed else { return Err(FileError::Io(format!("{shown} holds no JSON object"))) };
    let mut kept = Kept { hash: Some(hash(text)), ..Kept::default() };
    for (name, json) in all {
        match form.keys.iter().find(|key| key.name == name) {
            None => drop(kept.others.insert(name, json)),
            Some(_) if json.is_null() => {}
            Some(key) => match from_json(key, &json) {
                Ok(value) => drop(kept.values.insert(name, value)),
                Err(why) => {
                    kept.problems.push(Problem::new(None, &name, format!("in {shown}: {why}")));
                    kept.others.insert(name, json);
                }
            },
        }
    }
    Ok(kept)
}

/// The object with the form's keys first, in the order of the form, for people who read it.
pub(super) fn text_of(form: &Form, kept: &Kept) -> String {
    let own = form.keys.iter().filter_map(|key| Some((&key.name, to_json(kept.values.get(&key.name)?))));
    let others = kept.others.iter().map(|(name, json)| (name, json.clone()));
    let lines: Vec<String> =
        own.chain(others).map(|(name, json)| format!("  {}: {json}", Json::from(name.as_str()))).collect();
    if lines.is_empty() { "{}\n".to_owned() } else { format!("{{\n{}\n}}\n", lines.join(",\n")) }
}

fn read_text(path: &Path) -> Result<Option<String>, FileError> {
    let shown = path.display();
    let failed = |e: io::Error| FileError::Io(format!("cannot read {shown}: {e}"));
    // A pipe in place of the file would block for ever on open.
    match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
        Ok(data) if !data.is_file() => return Err(FileError::Io(format!("{shown} is no file"))),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(FileError::Io(format!("{shown} has more than {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| FileError::Io(format!("{shown} is no UTF-8 text")))
}

/// A further name for a file, or a copy where the file system knows no such names.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    remove(to)?;
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    let modified = fs::metadata(from)?.modified();
    fs::copy(from, to)?;
    let copy = File::options().write(true).open(to)?;
    if let Ok(modified) = modified {
        copy.set_modified(modified)?;
    }
    copy.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A rename is durable once its folder is; not every file system lets a folder be synced, and none loses the file.
fn sync_folder(path: &Path) {
    if let Ok(folder) = File::open(folder_of(path)) {
        let _ = folder.sync_all();
    }
}

/// `<path><ending>`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
