//! The forms of units: what people may set, checked before anything is touched, kept as one JSON object, handed over when the
//! unit is launched, and taken back when it does not come up. Starts and ends nothing: the task that owns the units does.
//! Everything here that touches the disk blocks.
mod apply;
pub(crate) mod arguments;
mod file;
mod patch;
mod places;
mod schema;
pub mod values;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use model::conf::Problem;
use model::secret::Secret;
use model::unit::form::{Form, KeyType, Value};
use model::unit::spec::{Process, Program, Unit};

use super::{FormView, UnitError};
use file::{FileError, FormFile, Kept};
pub use patch::Values;
pub use schema::schema;

/// Settings that another program kept, as the file of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The text of the file.
    pub text: String,
    /// How many keys of the form have a value in it.
    pub values: usize,
    /// Keys that the form does not know: they are kept.
    pub others: Vec<String>,
}

/// Takes over settings that another program kept as one JSON object at `path`.
///
/// # Errors
/// It is no JSON object, or holds values that the form does not take: all of them.
pub fn import(form: &Form, text: &str, path: &Path) -> Result<Imported, Vec<Problem>> {
    let kept = file::parse(form, text, path).map_err(|e| vec![Problem::new(None, "", e.to_string())])?;
    if !kept.problems.is_empty() {
        return Err(kept.problems);
    }
    let others = kept.others.keys().cloned().collect();
    Ok(Imported { text: file::text_of(form, &kept), values: kept.values.len(), others })
}

/// The form of one unit with what is kept of it. Cheap to clone; one owner at a time writes.
#[derive(Clone, Debug)]
pub(crate) struct FormStore {
    unit: Arc<Unit>,
    form: Form,
    file: FormFile,
    kept: Kept,
    /// Hash that a change on trial gave the file, where this process made it.
    tried: Option<String>,
    note: Option<String>,
}

impl FormStore {
    /// The form of a unit, read from the disk; `None` where the unit has none.
    pub(crate) fn open(unit: &Arc<Unit>) -> Option<Result<Self, UnitError>> {
        let form = unit.form.clone()?;
        let owner = process_of(unit).and_then(|process| process.user.clone());
        let file = FormFile::new(&form, owner);
        let mut store = Self { unit: Arc::clone(unit), form, file, kept: Kept::default(), tried: None, note: None };
        Some(store.reread().map(|()| store))
    }

    /// Reads the file anew. What was written by hand is seen from then on.
    pub(crate) fn reread(&mut self) -> Result<(), UnitError> {
        self.kept = self.file.read(&self.form).map_err(refused)?;
        Ok(())
    }

    /// Values in effect: those that are set, and the defaults of the rest.
    pub(crate) fn values(&self) -> Values {
        patch::in_effect(&self.form, &self.kept.values)
    }

    /// The form for people. `launched` are the values with which a run that is under way was launched.
    pub(crate) fn view(&self, launched: Option<&Values>) -> FormView {
        let (secret, values): (Values, Values) = self.values().into_iter().partition(|(name, _)| self.is_secret(name));
        let pending = launched.is_some_and(|launched| *launched != self.values());
        let note = self.kept.problems.first().map(ToString::to_string).or_else(|| self.note.clone());
        FormView { values, secrets_set: secret.into_keys().collect(), pending, note }
    }

    fn is_secret(&self, name: &str) -> bool {
        self.form.keys.iter().any(|key| key.name == name && key.ty == KeyType::Secret)
    }

    /// What is wrong with the values that are kept, every problem at once; paths are keys of the form.
    pub(crate) fn check_values(&self) -> Vec<Problem> {
        let missing = patch::missing(&self.form, &self.kept.values);
        self.kept.problems.iter().cloned().chain(missing).collect()
    }

    /// What is wrong with the folders that they name. A folder may come later.
    pub(crate) fn check_places(&self) -> Vec<Problem> {
        places::check(&self.form, &self.values(), process_of(&self.unit), None)
    }

    /// Puts the values in effect into what is launched. Answers the texts that must be masked in the output.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub(crate) fn fill(&self, program: &mut Program) -> Result<Vec<Secret>, String> {
        apply::apply(&self.form, &self.values(), program)
    }

    /// Checks a change and writes it. A unit that runs, or shall run, is then started with it: the change is on trial until
    /// [`FormStore::commit`] or [`FormStore::roll_back`], which also a later process may call. Answers whether anything changed.
    ///
    /// # Errors
    /// Bad values, all of them; somebody wrote the file by hand since it was last read (it is read anew then); the disk refused.
    /// In each case the file is as it was.
    pub(crate) fn begin(&mut self, patch: &BTreeMap<String, Option<Value>>, on_trial: bool) -> Result<bool, UnitError> {
        let seen = self.kept.hash.clone();
        let now = self.file.read(&self.form).map_err(refused)?;
        if now.hash != seen {
            self.kept = now;
            return Err(refused(FileError::Changed(self.file.path().display().to_string())));
        }
        let mut problems: Vec<Problem> =
            now.problems.iter().filter(|p| !patch.contains_key(&p.path)).cloned().collect();
        let merged = match patch::merge(&self.form, &now.values, patch) {
            Ok(merged) => merged,
            Err(found) => return Err(UnitError::Invalid(found.into_iter().chain(problems).collect())),
        };
        let effective = patch::in_effect(&self.form, &merged);
        // A unit that stands still may be given its folders one after the other; one that runs must come up with all of them.
        let named: Vec<String> = patch.keys().cloned().collect();
        let only = (!on_trial).then_some(named.as_slice());
        problems.extend(places::check(&self.form, &effective, process_of(&self.unit), only));
        if !problems.is_empty() {
            return Err(UnitError::Invalid(problems));
        }
        let mut others = now.others;
        others.retain(|name, _| !patch.contains_key(name));
        if merged == now.values && others == self.kept.others {
            return Ok(false);
        }
        let changed = Kept { values: merged, others, problems: Vec::new(), hash: None };
        let hash = self.file.write(&self.form, &changed, seen.as_deref(), on_trial).map_err(refused)?;
        self.kept = Kept { hash: Some(hash.clone()), ..changed };
        self.note = None;
        self.tried = on_trial.then_some(hash);
        if !on_trial {
            self.file.keep().map_err(refused)?; // whatever was on trial before was overruled
        }
        Ok(true)
    }

    /// Whether a change is on trial, also one that another process began.
    pub(crate) fn is_on_trial(&self) -> bool {
        self.file.is_on_trial()
    }

    /// The unit came up with the change on trial.
    pub(crate) fn commit(&mut self) -> Result<(), UnitError> {
        self.tried = None;
        self.note = Some("the newest change is in effect: the service came up with it".to_owned());
        self.file.keep().map_err(refused)
    }

    /// The unit did not come up with the change on trial: the last good values are back. What somebody wrote by hand
    /// meanwhile stays. `why` is kept for people.
    pub(crate) fn roll_back(&mut self, why: &str) -> Result<(), UnitError> {
        let tried = self.tried.take();
        let back = self.file.take_back(tried.as_deref());
        self.note = Some(match &back {
            Ok(()) => {
                format!("the service did not come up with the newest change, and the last good values are back: {why}")
            }
            Err(e) => format!(
                "the service did not come up with the newest change ({why}), and it could not be taken back: {e}"
            ),
        });
        self.reread()?;
        back.map_err(refused)
    }
}

/// The process in which the unit runs on this machine, where it does.
fn process_of(unit: &Unit) -> Option<&Process> {
    match &unit.program {
        Program::Process(process) => Some(process),
        Program::Container(_) => None,
    }
}

fn refused(error: FileError) -> UnitError {
    match error {
        FileError::Changed(_) => UnitError::Refused(format!("{error}; look at the values again")),
        FileError::Io(words) => UnitError::Io(words),
    }
}

#[cfg(test)]
mod tests;
