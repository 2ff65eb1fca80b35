//! Containers: starts one that exists or is made of an image, finds one that runs, follows its log. Owns which container is a
//! unit's, and that no other is touched; when it is started again is said by `engine`.
//!
//! The engine of containers is asked over its socket, or by the `docker` command where there is no socket that we may open.

mod answer;
mod api;
mod command;
mod engine;
mod follow;
mod keep;
mod local;
mod make;
mod note;
mod run;
mod stats;
mod trouble;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use model::time::{Clock, UtcMs};
use model::unit::spec::{Container, Create, Program};
use model::unit::{Exit, UnitId};
use net::task::Tasks;

use crate::backend::{Backend, BoxFuture, Ended, Found, Instance, Launch, Refusal};
use answer::Inspect;
use engine::Engine;
use follow::Follower;
use note::Note;
use run::{Contained, Means, Of};
use trouble::Trouble;

pub use engine::Places;

/// Runs units that are containers.
pub struct Docker {
    /// Folder in which every unit has one of its id.
    folder: PathBuf,
    means: Means,
}

impl Docker {
    /// Keeps what it must remember in `folder`, one folder for each unit. Tasks that follow logs and stop containers are of
    /// `tasks`.
    #[must_use]
    pub fn new(folder: PathBuf, places: Places, clock: Arc<dyn Clock>, tasks: Tasks) -> Self {
        Self { folder, means: Means { places: Arc::new(places), clock, tasks } }
    }

    fn folder_of(&self, id: &UnitId) -> PathBuf {
        self.folder.join(id.as_str())
    }

    fn instance(&self, launch: &Launch, container: &Container, engine: Engine, seen: &Inspect) -> Box<dyn Instance> {
        let folder = self.folder_of(&launch.id);
        let engine = Arc::new(Mutex::new(engine));
        let log = Follower::start(&self.means, &engine, seen, launch, &folder);
        let of = Of { engine, socket: container.socket.clone(), log };
        Box::new(Contained::new(self.means.clone(), seen, of))
    }

    async fn begin(&self, launch: &Launch) -> Result<Box<dyn Instance>, Refusal> {
        let container = container_of(launch)?;
        let name = container.name.as_str();
        let engine = engine::find(&self.means.places, container.socket.as_deref()).await?;
        let failed = |trouble: Trouble| trouble.refusal(&format!("the container {name} cannot be started"));
        let seen = engine.inspect(name).await.map_err(failed)?;
        let (seen, made) = match (&container.create, seen) {
            (None, Some(seen)) => (seen, false),
            (None, None) => {
                return Err(lasting(format!("there is no container {name}, and the unit says of no image (create:)")));
            }
            (Some(create), seen) => self.fitting(&engine, launch, name, create, seen).await?,
        };
        let folder = self.folder_of(&launch.id);
        if seen.state.running {
            // Somebody else started it; it is what is wanted.
            self.remember(&folder, &under_way(&seen, String::new()))?;
            return Ok(self.instance(launch, container, engine, &seen));
        }
        // Of the run that begins nothing is known; the end of the one before is no news.
        let told = seen.state.started_at.clone();
        self.remember(&folder, &Note { running_since: None, ..under_way(&seen, told.clone()) })?;
        if let Err(trouble) = engine.start(&seen.id).await {
            if made {
                let _ = engine.remove(&seen.id).await;
            }
            return Err(failed(trouble));
        }
        let seen = match engine.inspect(&seen.id).await.map_err(failed)? {
            Some(seen) => seen,
            None => return Err(lasting(format!("the container {name} was removed as soon as it was started"))),
        };
        self.remember(&folder, &under_way(&seen, told))?;
        Ok(self.instance(launch, container, engine, &seen))
    }

    /// The container that fits what is asked for: the one that is there, or a new one in its place. Says whether it is new.
    async fn fitting(
        &self,
        engine: &Engine,
        launch: &Launch,
        name: &str,
        create: &Create,
        seen: Option<Inspect>,
    ) -> Result<(Inspect, bool), Refusal> {
        let failed = |trouble: Trouble| trouble.refusal(&format!("the container {name} cannot be made"));
        if let Some(seen) = &seen
            && !make::is_ours(seen, &launch.id)
        {
            let owner = match seen.label(make::UNIT_LABEL) {
                Some(unit) => format!("belongs to the service {}", trouble::told(unit)),
                None => "was not made by StreamPulse".to_owned(),
            };
            return Err(lasting(format!(
                "a container {name} is there and {owner}: it is left as it is; give this service another name for its container, \
                 or leave out create: to control that one"
            )));
        }
        let image = self.image(engine, create).await?;
        if let Some(seen) = seen {
            if make::is_same(&seen, create, &launch.stop, Some(&image)) {
                return Ok((seen, false));
            }
            if seen.state.running {
                engine.stop(&seen.id, launch.stop.signal, launch.stop.grace).await.map_err(failed)?;
            }
            tracing::info!("the container {name} is made anew: its specification or its image changed");
            engine.remove(&seen.id).await.map_err(failed)?;
        }
        let id = engine.create(name, &launch.id, create, &launch.stop).await.map_err(failed)?;
        match engine.inspect(&id).await.map_err(failed)? {
            Some(seen) => Ok((seen, true)),
            None => Err(lasting(format!("the container {name} was removed as soon as it was made"))),
        }
    }

    /// Id of the image, pulled where it is missing and that is wanted.
    async fn image(&self, engine: &Engine, create: &Create) -> Result<String, Refusal> {
        let image = &create.image;
        let failed = |trouble: Trouble| trouble.refusal(&format!("the image {image} cannot be had"));
        if let Some(id) = engine.image(image).await.map_err(failed)? {
            return Ok(id);
        }
        if !create.pull {
            return Err(lasting(format!("the image {image} is not there: docker pull {image}, or say pull: true")));
        }
        tracing::info!("pulling the image {image}");
        // What a registry refuses now it may give later.
        engine.pull(image).await.map_err(|trouble| Refusal { passing: true, ..failed(trouble) })?;
        match engine.image(image).await.map_err(failed)? {
            Some(id) => Ok(id),
            None => Err(lasting(format!("the image {image} is not there after it was pulled"))),
        }
    }

    fn remember(&self, folder: &Path, note: &Note) -> Result<(), Refusal> {
        note::write(folder, note).map_err(|error| Refusal {
            passing: true,
            no_engine: false,
            words: format!("the folder {} cannot be written: {error}", folder.display()),
        })
    }

    async fn look_for(&self, launch: &Launch) -> Result<Found, Refusal> {
        let container = container_of(launch)?;
        let name = container.name.as_str();
        let folder = self.folder_of(&launch.id);
        let engine = engine::find(&self.means.places, container.socket.as_deref()).await?;
        let refused = |trouble: Trouble| trouble.refusal(&format!("whether the container {name} runs cannot be told"));
        let seen = engine.inspect(name).await.map_err(refused)?;
        // A container of the same name that others made is not ours where we make one.
        let seen = seen.filter(|seen| container.create.is_none() || make::is_ours(seen, &launch.id));
        let note = note::read(&folder);
        match seen {
            Some(seen) if seen.state.running => {
                let told = note.filter(|note| note.container == seen.id).map(|note| note.told).unwrap_or_default();
                self.remember(&folder, &under_way(&seen, told))?;
                Ok(Found::Running(self.instance(launch, container, engine, &seen)))
            }
            seen => {
                let Some(note) = note else { return Ok(Found::Nothing) };
                let ended = end_unseen_by_us(&note, seen.as_ref(), self.means.clock.utc());
                let Some(ended) = ended else { return Ok(Found::Nothing) };
                if let Some(seen) = &seen {
                    // What it printed after we were gone.
                    let log = Follower::start(&self.means, &Arc::new(Mutex::new(engine)), seen, launch, &folder);
                    log.finish(run::LOG_WITHIN).await;
                }
                if let Some(began) = seen.map(|seen| seen.state.started_at) {
                    self.remember(&folder, &Note { began, ..note })?;
                }
                Ok(Found::Ended(ended))
            }
        }
    }
}

/// The end of a run that nobody was told of, by the note and by what is there now.
fn end_unseen_by_us(note: &Note, seen: Option<&Inspect>, now: UtcMs) -> Option<Ended> {
    let since = note.running_since.map(UtcMs);
    match seen.filter(|seen| seen.id == note.container) {
        Some(seen) => {
            let started_at = seen.started_at().filter(|_| seen.state.started_at != note.told)?;
            Some(Ended { exit: seen.exit(false), at: seen.finished_at().unwrap_or(now), started_at })
        }
        // It was removed, or made anew by somebody.
        None => since.map(|started_at| Ended { exit: Exit::Unseen, at: now, started_at }),
    }
}

/// The note of a run that is under way.
fn under_way(seen: &Inspect, told: String) -> Note {
    let began = seen.state.started_at.clone();
    Note { container: seen.id.clone(), told, began, running_since: seen.started_at().map(|at| at.0) }
}

fn container_of(launch: &Launch) -> Result<&Container, Refusal> {
    match &launch.program {
        Program::Container(container) => Ok(container),
        Program::Process(_) => Err(lasting("this unit is no container".to_owned())),
    }
}

fn lasting(words: String) -> Refusal {
    Refusal { passing: false, no_engine: false, words }
}

impl Backend for Docker {
    fn start<'a>(&'a self, launch: &'a Launch) -> BoxFuture<'a, Result<Box<dyn Instance>, Refusal>> {
        Box::pin(self.begin(launch))
    }

    fn adopt<'a>(&'a self, launch: &'a Launch) -> BoxFuture<'a, Result<Found, Refusal>> {
        Box::pin(self.look_for(launch))
    }

    fn settle<'a>(&'a self, id: &'a UnitId) -> BoxFuture<'a, ()> {
        Box::pin(async {
            let folder = self.folder_of(id);
            let Some(note) = note::read(&folder) else { return };
            let settled = Note { told: note.began.clone(), running_since: None, ..note };
            if let Err(refusal) = self.remember(&folder, &settled) {
                tracing::warn!("the end of a container will be told again: {refusal}");
            }
        })
    }
}
