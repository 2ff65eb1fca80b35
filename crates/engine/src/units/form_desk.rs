//! The form of one unit as the task holds it: one at a time reads or writes it, off the task, which waits for nobody. What came
//! of it is told to the task. Decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::conf::Problem;
use model::secret::Secret;
use model::unit::UnitId;
use model::unit::form::Value;
use model::unit::spec::{Program, Unit};
use supervise::backend::Refusal;
use tokio::sync::{Mutex, oneshot};

use super::forms::{FormStore, Values};
use super::{FormView, UnitError};

/// The answer to whoever asked for a form.
pub(super) type FormReply = oneshot::Sender<Result<FormView, UnitError>>;

/// A change that is on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trial {
    /// Runs after this one tell what the change is good for; `None` is every run.
    pub(super) after: Option<u64>,
}

/// What working on a form came to.
pub(super) enum FormTold {
    /// A change was written, or was none.
    Set { id: UnitId, changed: bool, on_trial: bool, actor: String, view: Box<FormView>, reply: FormReply },
    /// A change is on trial since an earlier process.
    OnTrial { id: UnitId },
    /// A change was taken back, or could not be; why it was not good.
    TakenBack { id: UnitId, why: String },
}

/// The form of a unit. Cheap to clone.
#[derive(Clone)]
pub(super) struct FormDesk {
    unit: Arc<Unit>,
    held: Arc<Mutex<Held>>,
}

/// What is known of a form.
#[derive(Clone, Default)]
struct Held {
    /// `None` until it was read.
    store: Option<FormStore>,
    /// With what the newest run was launched; `None` where another process launched it.
    launched: Option<Values>,
}

impl FormDesk {
    /// The form of a unit that has one; nothing is read yet.
    pub(super) fn of(unit: &Arc<Unit>) -> Option<Self> {
        unit.form.as_ref().map(|_| Self { unit: Arc::clone(unit), held: Arc::default() })
    }

    /// Works on the form off the task, alone. It is opened when it is first needed; what `f` leaves is kept also when it fails.
    async fn work<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut FormStore, &mut Option<Values>) -> Result<T, UnitError> + Send + 'static,
    ) -> Result<T, UnitError> {
        let mut held = Arc::clone(&self.held).lock_owned().await;
        let unit = Arc::clone(&self.unit);
        let worked = tokio::task::spawn_blocking(move || {
            let Held { store, launched } = &mut *held;
            let store = match store {
                Some(store) => store,
                None => store.insert(FormStore::open(&unit).ok_or(UnitError::NoForm)??),
            };
            f(store, launched)
        });
        worked.await.unwrap_or_else(|e| Err(UnitError::Io(format!("working on the form panicked: {e}"))))
    }

    /// The form with its values, as they are on the disk now.
    pub(super) async fn view(&self) -> Result<FormView, UnitError> {
        let view = self.work(|store, launched| store.reread().map(|()| store.view(launched.as_ref())));
        view.await
    }

    /// Checks and writes a change.
    pub(super) async fn set(
        &self,
        patch: BTreeMap<String, Option<Value>>,
        on_trial: bool,
    ) -> Result<(bool, FormView), UnitError> {
        let set = self.work(move |store, launched| {
            let changed = store.begin(&patch, on_trial)?;
            Ok((changed, store.view(launched.as_ref())))
        });
        set.await
    }

    /// Whether a change is on trial.
    pub(super) async fn is_on_trial(&self) -> bool {
        self.work(|store, _| Ok(store.is_on_trial())).await.unwrap_or_default()
    }

    /// The change on trial was good.
    pub(super) async fn commit(&self) -> Result<(), UnitError> {
        self.work(|store, _| store.commit()).await
    }

    /// The change on trial was not good.
    pub(super) async fn roll_back(&self, why: String) -> Result<(), UnitError> {
        self.work(move |store, _| store.roll_back(&why)).await
    }

    /// The unit with the values of its form filled in, and what must be masked in its output.
    pub(super) async fn fill(&self, unit: &Arc<Unit>) -> Result<(Arc<Unit>, Vec<Secret>), Refusal> {
        let mut filled = Unit::clone(unit);
        let fill = self.work(move |store, launched| {
            store.reread()?;
            let bad = store.check_values();
            if !bad.is_empty() {
                return Ok(Err(refusal(false, &bad)));
            }
            let missing = store.check_places();
            if !missing.is_empty() {
                return Ok(Err(refusal(true, &missing)));
            }
            let fill = |program: &mut Program| {
                store.fill(program).map_err(|words| Refusal { passing: false, no_engine: false, words })
            };
            let mut put = || {
                let masks = fill(&mut filled.program)?;
                if let Some(process) = filled.fallback.take() {
                    let mut program = Program::Process(process);
                    fill(&mut program)?;
                    if let Program::Process(process) = program {
                        filled.fallback = Some(process);
                    }
                }
                Ok(masks)
            };
            let masks = put();
            *launched = Some(store.values());
            Ok(masks.map(|masks| (Arc::new(filled), masks)))
        });
        let words = |error: UnitError| Refusal { passing: true, no_engine: false, words: error.to_string() };
        fill.await.map_err(words)?
    }
}

fn refusal(passing: bool, problems: &[Problem]) -> Refusal {
    let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Refusal { passing, no_engine: false, words: format!("its form: {}", words.join("; ")) }
}
