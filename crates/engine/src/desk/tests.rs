//! The engine with a real configuration file and history, in paused time, with scripted looks: reloads and edits. Tests only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use model::board::Board;
use model::conf::Value;
use model::event::{Event, Part, What};
use model::status::Status;
use tokio::sync::broadcast;

use super::*;
use crate::config::hash;
use crate::testing::{PausedClock, Scripted, id, store};
use crate::{Engine, Handle, Start};

const SECOND: Duration = Duration::from_secs(1);

struct Running {
    engine: Engine,
    handle: Handle,
    events: Mutex<broadcast::Receiver<Arc<Event>>>,
    file: PathBuf,
    folder: tempfile::TempDir,
}

/// A configuration of these targets, one line each; `!` before a name disables it.
fn text(names: &str) -> String {
    let target = |name: &str| {
        let (enabled, name) = name.strip_prefix('!').map_or((true, name), |name| (false, name));
        format!("  - {{ name: {name}, url: \"http://{name}.test/\", enabled: {enabled} }}\n")
    };
    let targets: String = names.split(' ').filter(|n| !n.is_empty()).map(target).collect();
    if targets.is_empty() { "targets: []\n".to_owned() } else { format!("# kept\ntargets:\n{targets}") }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("writable");
}

async fn start_in(folder: tempfile::TempDir, file: PathBuf) -> anyhow::Result<Running> {
    let clock: Arc<dyn Clock> = PausedClock::new();
    let started = Arc::clone(&clock);
    let start = Start {
        config_file: ConfigFile::new(&file),
        store: store(folder.path(), Arc::clone(&clock)),
        clock,
        env: Arc::new(|_| None),
        overrides: Overrides::default(),
        sinks: Default::default(),
        supervision: None,
    };
    let (engine, handle, _) = Engine::start_with(start, Scripted::new(started)).await?;
    let events = Mutex::new(handle.subscribe());
    Ok(Running { engine, handle, events, file, folder })
}

async fn start(names: &str) -> Running {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("streampulse.yaml");
    write(&file, &text(names));
    start_in(folder, file).await.expect("it starts")
}

impl Running {
    fn board(&self) -> Arc<Board> {
        self.handle.now()
    }

    fn names(&self) -> Vec<String> {
        self.board().targets.iter().map(|t| t.spec.name.clone()).collect()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Board) -> bool) -> Arc<Board> {
        let mut board = self.handle.board();
        let waited = tokio::time::timeout(SECOND * 100, board.wait_for(|b| holds(b))).await;
        Arc::clone(&waited.expect(what).expect("the loop runs"))
    }

    async fn until_looked_at(&self) {
        self.until("all are looked at", |b| b.targets.iter().all(|t| !t.spec.enabled || !t.beats.is_empty())).await;
    }

    /// What was told of the configuration since it was asked last.
    fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        let mut events = self.events.lock().expect("no panic while locked");
        while let Ok(event) = events.try_recv() {
            told.extend(match &event.what {
                What::ConfigApplied { added, changed, removed, .. } => {
                    Some(format!("+{added:?} ~{changed:?} -{removed:?}"))
                }
                What::ConfigRejected(problems) => Some(format!("rejected: {}", problems[0])),
                What::Well(Part::Config) => Some("well".to_owned()),
                _ => None,
            });
        }
        told
    }

    async fn end(self) -> tempfile::TempDir {
        self.engine.stop(SECOND * 5).await;
        self.folder
    }
}

/// Lets time pass in small pieces, so that the desk can read the disk in between.
async fn pass(time: Duration) {
    let until = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn doesnt_reload_unchanged() {
    let running = start("a b").await;
    running.until_looked_at().await;
    let before = running.board();
    write(&running.file, &text("a b"));
    pass(SECOND * 8).await;
    assert_eq!(running.told(), [] as [&str; 0]);
    assert!(Arc::ptr_eq(&before.targets[0].spec, &running.board().targets[0].spec));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn reload_changes_only_what_changed() {
    let running = start("a b c").await;
    running.until_looked_at().await;
    let before = running.board();
    write(&running.file, &text("a !b d"));
    let after = running.until("d is there", |b| b.get(&id("d")).is_some()).await;
    assert_eq!(running.told(), ["+[d] ~[b] -[c]"]);
    assert_eq!(running.names(), ["a", "b", "d"]);
    let (old, new) = (before.get(&id("a")).expect("there"), after.get(&id("a")).expect("there"));
    assert!(Arc::ptr_eq(&old.spec, &new.spec), "what is the same stays");
    assert_eq!(after.get(&id("b")).map(|t| (t.state.status, t.beats.len())), Some((Status::Paused, 1)));
    assert_eq!(after.config_hash, hash(&text("a !b d")));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn bad_file_changes_nothing() {
    let running = start("a").await;
    running.until_looked_at().await;
    let before = running.board();
    write(&running.file, "targets:\n  - name: a\n    url: http://a.test/\n    intervall: 10s\n");
    let after = running.until("it is refused", |b| !b.health.config_problems.is_empty()).await;
    assert!(after.health.config_problems[0].to_string().contains("did you mean interval?"));
    assert!(after.health.unwell.contains_key(&Part::Config));
    assert_eq!(after.config_hash, before.config_hash);
    let view = running.handle.config().await;
    assert_eq!((view.in_effect_hash, view.problems.len()), (before.config_hash.clone(), 1));
    assert!(view.text.contains("intervall"));
    let looked = running.board().targets[0].beats.len();
    running.until("what ran goes on", |b| b.targets[0].beats.len() > looked).await;
    assert_eq!(running.told().len(), 1, "told once");
    write(&running.file, &text("a"));
    running.until("it is as before", |b| b.health.config_problems.is_empty()).await;
    assert_eq!(running.told(), ["well"]);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn deleted() {
    let running = start("a").await;
    running.until_looked_at().await;
    std::fs::remove_file(&running.file).expect("there");
    let board = running.until("it is told", |b| !b.health.config_problems.is_empty()).await;
    assert_eq!(board.targets.len(), 1);
    assert_eq!(running.told(), ["rejected: configuration file is gone; what ran goes on (put it back)"]);
    write(&running.file, &text("a b"));
    running.until("it is back", |b| b.targets.len() == 2).await;
    assert_eq!(running.told(), ["well", "+[b] ~[] -[]"]);
    assert!(running.board().health.unwell.is_empty());
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn half_written() {
    let running = start("a b c").await;
    running.until_looked_at().await;
    let (whole, first) = (text("a b c d"), text("a"));
    // Empty, cut inside a word, and cut so that it loads with fewer targets: each for less time than it takes to believe it.
    for part in ["", &whole[..whole.len() - 20], &first] {
        write(&running.file, part);
        pass(Duration::from_millis(700)).await;
    }
    write(&running.file, &whole);
    running.until("the whole file is in effect", |b| b.targets.len() == 4).await;
    assert_eq!(running.told(), ["+[d] ~[] -[]"], "nothing was refused and nothing was taken away");
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn symlinked() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, two, file) = (folder.path().join("1"), folder.path().join("2"), folder.path().join("streampulse.yaml"));
    write(&one, &text("a"));
    write(&two, &text("a b"));
    std::os::unix::fs::symlink(&one, &file).expect("a link");
    let running = start_in(folder, file.clone()).await.expect("it starts");
    assert_eq!(running.names(), ["a"]);
    std::fs::remove_file(&file).expect("there");
    std::os::unix::fs::symlink(&two, &file).expect("a link");
    running.until("the other file is in effect", |b| b.targets.len() == 2).await;
    write(&two, &text("a b c"));
    running.until("its content is followed", |b| b.targets.len() == 3).await;
    // An editor that saves by renaming over the link replaces the link by a file.
    let new = running.folder.path().join("new");
    write(&new, &text("z"));
    std::fs::rename(&new, &file).expect("renamed");
    running.until("the new file is in effect", |b| b.targets.len() == 1).await;
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_page_applies_and_edits_through_the_same_path() {
    let running = start("a").await;
    let handle = &running.handle;
    let old = handle.config().await;
    let new = handle.apply_config(text("a b"), &old.hash).await.expect("applied");
    assert_eq!((running.names(), &running.board().config_hash), (vec!["a".into(), "b".into()], &new), "at once");
    assert!(
        matches!(handle.apply_config(text("a"), &old.hash).await, Err(ApplyError::Changed { found }) if found == new)
    );
    assert!(
        matches!(handle.apply_config("targets: 3".into(), &new).await, Err(ApplyError::Problems(p)) if !p.is_empty())
    );
    assert_eq!(std::fs::read_to_string(&running.file).expect("there"), text("a b"));

    let fields = vec![
        ("name".to_owned(), Value::Str("c".to_owned())),
        ("url".to_owned(), Value::Str("http://c.test/".to_owned())),
    ];
    let edited = handle.edit_config(vec![Edit::AddTarget { fields }], Some(&new)).await.expect("edited");
    assert_eq!(running.names(), ["a", "b", "c"]);
    assert!(std::fs::read_to_string(&running.file).expect("there").starts_with("# kept\n"));
    let stale = handle.edit_config(vec![Edit::RemoveTarget { id: id("a") }], Some(&new)).await;
    assert!(matches!(stale, Err(ApplyError::Changed { found }) if found == edited));
    handle.edit_config(vec![Edit::RemoveTarget { id: id("a") }], None).await.expect("edited");
    assert_eq!(running.names(), ["b", "c"]);
    pass(SECOND * 8).await;
    assert_eq!(running.told().len(), 3, "what was applied is not found as a change once more");
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_needs_a_restart_is_said() {
    let running = start("a").await;
    let changed = format!("server: {{ listen: \"127.0.0.1:9\" }}\n{}", text("a"));
    let paths = |p: &[Problem]| p.iter().map(|p| p.path.clone()).collect::<Vec<_>>();
    assert_eq!(running.handle.validate(&changed).map(|p| paths(&p)), Ok(vec!["server.listen".to_owned()]));
    assert!(running.handle.validate("targets: 3").is_err());
    let hash = running.handle.config().await.hash;
    running.handle.apply_config(changed, &hash).await.expect("applied");
    let view = running.handle.config().await;
    assert_eq!((paths(&view.warnings), view.problems), (vec!["server.listen".to_owned()], vec![]));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_what_was_known() {
    let running = start("refused paused a").await;
    running.until_looked_at().await;
    running.handle.pause(&id("paused")).await.expect("paused");
    let before = running.until("there is an incident", |b| b.targets[0].incident.is_some()).await;
    let file = running.file.clone();
    let folder = running.end().await;
    // The lock of the history goes with its last handle, which a task of the first engine may still hold for a moment.
    let running = start_in(folder, file).await.expect("it starts again");
    let after = running.board();
    let statuses: BTreeMap<_, _> = after.targets.iter().map(|t| (t.spec.name.as_str(), t.state.status)).collect();
    let wanted = [("a", Status::Unknown), ("paused", Status::Paused), ("refused", Status::Unknown)];
    assert_eq!(statuses, BTreeMap::from(wanted));
    assert_eq!(after.targets[0].incident, before.targets[0].incident, "the same incident is still open");
    assert!(after.targets.iter().all(|t| !t.beats.is_empty()));
    running.until("it is looked at", |b| b.targets[0].state.status == Status::Down).await;
    assert_eq!(running.board().targets[0].incident, before.targets[0].incident, "and goes on");
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_configuration_is_no_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("streampulse.yaml");
    write(&file, "targets:\n  - nam: a\n");
    let error = start_in(folder, file).await.err().expect("refused").to_string();
    assert!(error.contains("did you mean name?") && error.lines().count() > 1, "{error}");
}

#[tokio::test(start_paused = true)]
async fn trying_a_target_stores_nothing_and_counts_for_nobody() {
    let running = start("a").await;
    running.until_looked_at().await;
    let spec = (*crate::testing::target("refused")).clone();
    let (seen, verdict) = running.handle.try_target(spec).await.expect("looked");
    assert_eq!((seen.look.fault.map(|f| f.kind.as_str()), verdict.grade.as_str()), (Some("refused"), "fail"));
    assert_eq!(running.names(), ["a"]);
    let (tasks, results) = (net::task::Tasks::new(), Arc::new(Mutex::new(Vec::new())));
    for i in 0..20 {
        let (handle, results) = (running.handle.clone(), Arc::clone(&results));
        let spec = (*crate::testing::target(&format!("hole{i}"))).clone();
        tasks.spawn("try", async move {
            let tried = handle.try_target(spec).await.map(|_| ());
            results.lock().expect("no panic while locked").push(tried);
        });
    }
    assert!(tasks.stop(SECOND * 60).await);
    let results = results.lock().expect("no panic while locked").clone();
    let busy = results.iter().filter(|r| **r == Err(crate::handle::CommandError::Busy)).count();
    assert_eq!((results.len(), busy), (20, 4), "eight look for 8 s, eight wait for that, the rest for 10 s in vain");
    running.end().await;
}
