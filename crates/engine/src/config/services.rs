//! The file of services: what StreamPulse runs. A file of its own that no request over HTTP can write: who may say what runs
//! is who may write files on this machine. Starts and ends nothing: that is reconciling.

mod checks;
pub(super) mod fields;
mod form;
mod names;
mod order;
mod part;
mod program;

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::conf::{Place, Problem, Section, words};
use model::unit::UnitId;
use model::unit::spec::{Heal, HealthSource, LogRules, Policy, Program, QueueSource, ReadyCheck, Restart, Stop, Unit};
use probe::commands::Commands;

use super::env::expand;
use super::load::in_order;
use super::tree::Item;
use super::{Config, ConfigFile, Env, parse};
use fields::{HEAL, LOGS, RESTART, SERVICES, SIGNALS, STOP, UNIT};
use form::Receivers;
use names::Names;
use part::Reader;

/// Permission bits with which others than the owner could say what runs.
const OTHERS_WRITE: u32 = 0o022;
/// Most services: each is written by hand, and each has a process that watches it.
const MAX_SERVICES: usize = 1000;

/// What a file of services says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Services {
    /// The services, in the order of the file. Ids are unique.
    pub units: Vec<Arc<Unit>>,
    /// What is accepted but should be looked at, in the order of the file.
    pub warnings: Vec<Problem>,
}

impl Services {
    /// The service with this identity.
    #[must_use]
    pub fn get(&self, id: &UnitId) -> Option<&Arc<Unit>> {
        self.units.iter().find(|unit| unit.id == *id)
    }
}

/// Where the services are when nobody says: `services.yaml` beside the configuration file.
#[must_use]
pub fn services_default(config: &Path) -> PathBuf {
    config.with_file_name("services.yaml")
}

/// Hash of a file that is not there and need not be.
const ABSENT: &str = "no file";

/// A file of services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicesFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whether somebody asked for this file: without, its absence means that there are no services.
    pub named: bool,
}

impl ServicesFile {
    /// The file that was named, else the one beside the configuration.
    #[must_use]
    pub fn new(named: Option<&Path>, config: &Path) -> Self {
        let path = named.map_or_else(|| services_default(config), Path::to_path_buf);
        Self { path, named: named.is_some() }
    }

    /// The text and its hash; `None` where there is no file and none is asked for. Blocks on the disk.
    ///
    /// # Errors
    /// It cannot be read, or others than its owner may write it.
    pub(crate) fn text(&self) -> Result<(Option<String>, String), Problem> {
        if !self.named && !self.path.exists() {
            return Ok((None, ABSENT.to_owned()));
        }
        if let Some(problem) = writable_by_others(&self.path) {
            return Err(problem);
        }
        ConfigFile::new(&self.path).read().map(|(text, hash)| (Some(text), hash))
    }

    /// Reads and checks the file. Blocks on the disk.
    ///
    /// # Errors
    /// Every problem at once, also when others than its owner may write the file.
    pub fn read(&self, env: Env<'_>) -> Result<Services, Vec<Problem>> {
        match self.text().map_err(|problem| vec![problem])? {
            (Some(text), _) => self.load(&text, env),
            (None, _) => Ok(Services::default()),
        }
    }

    /// What a text of this file says.
    pub(crate) fn load(&self, text: &str, env: Env<'_>) -> Result<Services, Vec<Problem>> {
        services_of(text, &folder_of(&self.path), env)
    }
}

/// That others than its owner may write a file that says what runs.
fn writable_by_others(path: &Path) -> Option<Problem> {
    let mode = fs::metadata(path).map(|data| data.permissions().mode()).unwrap_or_default();
    let message =
        format!("others than its owner may write this file (mode {:03o}), and it says what is run", mode & 0o777);
    (mode & OTHERS_WRITE != 0).then(|| Problem::new(None, "", message).with_remedy("chmod go-w FILE"))
}

/// The folder from which relative paths in a file count, as a whole path where that can be told.
fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf())
}

/// What services name and the other files do not know: targets of the configuration, commands of the file of commands. Warnings,
/// since these files change one after the other.
#[must_use]
pub fn check_services(services: &Services, config: &Config, commands: Option<&Commands>) -> Vec<Problem> {
    let targets: HashSet<&UnitId> = config.targets.iter().map(|target| &target.id).collect();
    let mut warnings = Vec::new();
    for unit in &services.units {
        let mut warn = |key: String, message: String, remedy: String| {
            warnings.push(Problem::new(None, format!("services.{}.{key}", unit.id), message).with_remedy(remedy));
        };
        let mut target = |key: String, id: &UnitId| {
            if !targets.contains(id) {
                let near = words::nearest(id.as_str(), targets.iter().map(|id| id.as_str()));
                let remedy =
                    near.map_or("add it to the configuration".to_owned(), |near| format!("did you mean {near}?"));
                warn(key, format!("the configuration has no target {id}"), remedy);
            }
        };
        unit.targets.iter().for_each(|id| target("targets".to_owned(), id));
        for (i, check) in unit.ready.iter().enumerate() {
            if let ReadyCheck::Target(id) = check {
                target(format!("ready[{i}].target"), id);
            }
        }
        for (i, check) in unit.health.iter().enumerate() {
            if let HealthSource::Target(id) = &check.what {
                target(format!("health[{i}].target"), id);
            }
        }
        let Some(commands) = commands else { continue };
        let mut command = |key: String, name: &str| {
            if let Err(why) = commands.get(name) {
                warn(key, why, "define it in the file of commands".to_owned());
            }
        };
        for (i, check) in unit.health.iter().enumerate() {
            if let HealthSource::Exec(name) = &check.what {
                command(format!("health[{i}].exec"), name);
            }
        }
        if let Some(QueueSource::Command(name)) = unit.queue.as_ref().map(|queue| &queue.source) {
            command("queue.command".to_owned(), name);
        }
    }
    warnings
}

/// Checks the text of a file of services whose relative paths count from `base`. Asks the disk whether programs and folders
/// are there, which are warnings, and who users are.
///
/// # Errors
/// Every problem at once, in the order of the file.
pub fn services_of(text: &str, base: &Path, env: Env<'_>) -> Result<Services, Vec<Problem>> {
    load(text, base, env, &Names::of_machine())
}

fn load(text: &str, base: &Path, env: Env<'_>, names: &Names) -> Result<Services, Vec<Problem>> {
    let mut root = parse::parse(text)?.unwrap_or_else(Item::empty_map);
    let expansion = expand(&mut root, env);
    let mut reader = Reader { base, names, problems: Vec::new(), warnings: Vec::new() };
    let node = root.node_of(&SERVICES);
    Section::check(&node, &SERVICES, "", &mut reader.problems);
    let none = Item::empty_map();
    let all = root.get("services").filter(|item| item.is_map()).unwrap_or(&none);
    let mut ids = Vec::new();
    let mut found: Vec<(Unit, Option<Place>)> = Vec::new();
    for entry in all.entries() {
        let path = format!("services.{}", entry.key);
        ids.push(entry.key.as_str());
        let id = UnitId::parse(&entry.key);
        if let Err(why) = &id {
            let problem =
                Problem::new(Some(entry.key_place), &path, format!("{:?} cannot name a service: {why}", entry.key));
            reader.problems.push(problem.with_remedy("write the name for people under `name`"));
        }
        if !entry.value.is_map() {
            // Anything but nothing is told already, as what it is.
            if entry.value.is_null() {
                let problem = Problem::new(Some(entry.value.place), &path, "the service is empty");
                reader.problems.push(problem.with_remedy("write `process:` and, below it, `argv: [/path/of/program]`"));
            }
            continue;
        }
        let place = entry.value.get("needs").map(|needs| needs.place);
        // One that is wrong still takes part in what needs what, under a name that no file can give.
        let known = id.clone().unwrap_or_else(|_| UnitId::from_name(&entry.key));
        let before = reader.problems.len();
        match unit(&mut reader, &entry.value, &path, known) {
            Some(unit) => found.push((unit, place)),
            None if reader.problems.len() == before => {
                // A service never disappears in silence, whatever else is wrong with this reading.
                reader.problems.push(Problem::new(Some(entry.value.place), &path, "the service cannot be used"));
            }
            None => {}
        }
    }
    if ids.len() > MAX_SERVICES {
        let message = format!("{} services, at most {MAX_SERVICES} are accepted", ids.len());
        reader.problems.push(Problem::new(Some(all.place), "services", message));
    }
    let needing: Vec<_> = found
        .iter()
        .map(|(unit, place)| order::Needing { unit, place: *place, path: format!("services.{}.needs", unit.id) })
        .collect();
    order::check(&needing, &ids, &mut reader.problems);
    let mut warnings = std::mem::take(&mut reader.warnings);
    let problems = in_order(expansion.clean(reader.problems, &mut warnings));
    if !problems.is_empty() {
        return Err(problems);
    }
    let units = found.into_iter().map(|(unit, _)| Arc::new(unit)).collect();
    Ok(Services { units, warnings: in_order(warnings) })
}

/// Reads one service. What is wrong is among the problems; without what runs there is nothing to answer.
fn unit(reader: &mut Reader<'_>, item: &Item, path: &str, id: UnitId) -> Option<Unit> {
    let node = item.node_of(&UNIT);
    let section = Section::check(&node, &UNIT, path, &mut reader.problems);
    let process = program::process(reader, item, path);
    let container = program::container(reader, item, path);
    let receivers = Receivers { process: process.as_ref(), container: container.as_ref() };
    let form = form::form(reader, item, path, &receivers);
    let docker = is_docker(reader, &section, item)?;
    let fallback = section.bool("fallback").unwrap_or_default();
    if fallback && process.is_none() && section.node("process").is_none() {
        reader.wrong(
            &section,
            "fallback",
            "there is no section `process` that could run",
            "add it, or take the key away",
        );
    }
    if !docker && fallback && section.text("kind").as_deref() != Some("detect") {
        reader.wrong(&section, "fallback", "a process needs no fallback", "take the key away, or set `kind: docker`");
    }
    let health = checks::health(reader, item, path, docker);
    let ready = checks::ready(reader, item, path);
    let budgets = checks::budgets(reader, item, path);
    let queue = checks::queue(reader, item, path);
    let restart = restart(reader, item, path);
    let stop = reader.section(item, path, "stop", &STOP, |_, section| stop(section));
    let heal = reader.section(item, path, "heal", &HEAL, |_, section| heal(section));
    let logs = reader.section(item, path, "logs", &LOGS, |_, section| logs(section));
    let needs = ids(reader, &section, "needs");
    let targets = ids(reader, &section, "targets");
    let program = match docker {
        true => Program::Container(container?),
        false => Program::Process(process.clone()?),
    };
    Some(Unit {
        name: section.text("name").unwrap_or_else(|| id.to_string()),
        id,
        description: section.text("description").unwrap_or_default(),
        group: section.text("group"),
        tags: section.texts("tags"),
        autostart: section.bool("autostart").unwrap_or(true),
        enabled: section.bool("enabled").unwrap_or(true),
        fallback: process.filter(|_| docker && fallback),
        program,
        needs,
        targets,
        restart: restart?,
        ready,
        ready_within: section.duration("ready_within")?,
        stop: stop?,
        health,
        heal: heal?,
        budgets,
        logs: logs?,
        queue,
        form,
    })
}

/// Whether it is a container, by its kind, what it has, and what is there.
fn is_docker(reader: &mut Reader<'_>, section: &Section<'_>, item: &Item) -> Option<bool> {
    let has = |key: &str| item.get(key).is_some_and(|part| !part.is_null());
    let (process, docker) = (has("process"), has("docker"));
    let kind = section.text("kind");
    let problem = |key: &str, message: &str| Problem::new(section.place_of(key), section.path_of(key), message);
    if section.node("detect_by").is_some() && kind.as_deref() != Some("detect") {
        reader
            .problems
            .push(problem("detect_by", "detect_by has no effect here").with_remedy("it goes with `kind: detect`"));
    }
    let missing =
        |key: &str| problem("kind", &format!("the section `{key}` is missing")).with_remedy(format!("add `{key}:`"));
    match (kind.as_deref(), process, docker) {
        (Some("process"), true, _) | (None, true, false) => Some(false),
        (Some("docker"), _, true) | (None, false, true) => Some(true),
        (Some("detect"), true, true) => Some(section.texts("detect_by").iter().any(|path| reader.path(path).exists())),
        (Some("process"), false, _) => {
            reader.problems.push(missing("process"));
            None
        }
        (Some("docker"), _, false) => {
            reader.problems.push(missing("docker"));
            None
        }
        (Some("detect"), ..) => {
            reader.problems.push(missing(if process { "docker" } else { "process" }));
            None
        }
        (None, true, true) => {
            let told =
                problem("process", "it has the sections `process` and `docker`, and no `kind` says which one runs");
            reader.problems.push(told.with_remedy("add `kind: docker` or `kind: process`, or `kind: detect`"));
            None
        }
        (None, false, false) => {
            let told = problem("process", "nothing says what runs");
            reader.problems.push(told.with_remedy("add `process:` with its argv, or `docker:` with the container"));
            None
        }
        (Some(_), ..) => None, // a word that is none of ours, told already
    }
}

fn ids(reader: &mut Reader<'_>, section: &Section<'_>, key: &str) -> Vec<UnitId> {
    let mut ids = Vec::new();
    for text in section.texts(key) {
        match UnitId::parse(&text) {
            Ok(id) if ids.contains(&id) => {}
            Ok(id) => ids.push(id),
            Err(why) => reader.wrong(section, key, why, "an id"),
        }
    }
    ids
}

fn restart(reader: &mut Reader<'_>, item: &Item, path: &str) -> Option<Restart> {
    reader.section(item, path, "restart", &RESTART, |reader, section| {
        let (first, longest) = (section.duration("first")?, section.duration("longest")?);
        if first > longest {
            let key = if section.node("longest").is_some() { "longest" } else { "first" };
            reader.wrong(section, key, "the first pause is longer than the longest", "make `longest` the longer one");
        }
        Some(Restart {
            policy: Policy::from_word(&section.text("policy")?)?,
            success: section.texts("success").iter().filter_map(|code| code.parse().ok()).collect(),
            first,
            longest,
            factor: section.number("factor")?,
            jitter: section.number("jitter")?,
            steady: section.duration("steady")?,
            limit: section.integer("limit").and_then(|n| u32::try_from(n).ok())?,
            limit_within: section.duration("limit_within")?,
        })
    })
}

fn stop(section: &Section<'_>) -> Option<Stop> {
    let word = section.text("signal")?;
    let signal = SIGNALS.into_iter().find(|signal| *signal == word)?;
    Some(Stop { signal, grace: section.duration("grace")? })
}

fn heal(section: &Section<'_>) -> Option<Heal> {
    Some(Heal {
        restart: section.bool("restart")?,
        cool_down: section.duration("cool_down")?,
        per_hour: section.integer("per_hour").and_then(|n| u32::try_from(n).ok())?,
    })
}

fn logs(section: &Section<'_>) -> Option<LogRules> {
    Some(LogRules {
        file_bytes: section.size("file_size")?,
        files: section.integer("files").and_then(|n| u32::try_from(n).ok())?,
    })
}
