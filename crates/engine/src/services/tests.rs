//! The watcher of the file of services with a real file, in paused time. Tests only.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;
use crate::config::Overrides;
use crate::testing::PausedClock;

struct Watched {
    file: PathBuf,
    services: watch::Receiver<Arc<Services>>,
    asks: mpsc::Receiver<Ask>,
    tasks: net::task::Tasks,
    _folder: tempfile::TempDir,
}

fn text(ids: &str) -> String {
    let one = |id: &str| format!("  {id}: {{process: {{argv: [/bin/true]}}}}\n");
    format!("services:\n{}", ids.split(' ').filter(|id| !id.is_empty()).map(one).collect::<String>())
}

fn write(file: &std::path::Path, text: &str) {
    std::fs::write(file, text).expect("written");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).expect("mode");
}

async fn start(content: Option<&str>, named: bool) -> anyhow::Result<Watched> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("services.yaml");
    if let Some(content) = content {
        write(&file, content);
    }
    let services = ServicesFile { path: file.clone(), named };
    let rules = Rules {
        env: Arc::new(|_| None),
        overrides: Overrides { services: Some(services.clone()), ..Overrides::default() },
    };
    let (first, hash) = super::first(&rules).await?;
    let (told, services_now) = watch::channel(Arc::new(first));
    let config = crate::config::load("targets: []", &|_| None, &Overrides::default()).expect("good");
    let (_, settings) = watch::channel(Arc::new(config));
    let (engine, asks) = mpsc::channel(8);
    let watch = ServicesWatch::new(services, rules, PausedClock::new(), engine, settings, (told, hash));
    let tasks = net::task::Tasks::new();
    tasks.spawn("watch", watch.run(tasks.cancelled()));
    Ok(Watched { file, services: services_now, asks, tasks, _folder: folder })
}

impl Watched {
    fn ids(&self) -> Vec<String> {
        self.services.borrow().units.iter().map(|unit| unit.id.to_string()).collect()
    }

    /// What the engine is told next.
    async fn told(&mut self) -> Option<String> {
        match tokio::time::timeout(Duration::from_secs(100), self.asks.recv()).await.expect("in time") {
            Some(Ask::Services(refused)) => refused,
            _ => panic!("something else"),
        }
    }

    async fn until(&mut self, ids: &str) {
        let wanted: Vec<&str> = ids.split(' ').filter(|id| !id.is_empty()).collect();
        let is = |s: &Arc<Services>| s.units.iter().map(|unit| unit.id.as_str()).eq(wanted.iter().copied());
        let waited = tokio::time::timeout(Duration::from_secs(100), self.services.wait_for(is)).await;
        drop(waited.expect(ids).expect("it watches"));
    }
}

/// Lets time pass in small pieces, so that the watcher can read the disk in between.
async fn pass(time: Duration) {
    let until = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_and_a_bad_one_changes_nothing() {
    let mut watched = start(Some(&text("a b")), false).await.expect("good");
    assert_eq!(watched.ids(), ["a", "b"]);
    write(&watched.file, &text("a b c"));
    watched.until("a b c").await;
    assert_eq!(watched.told().await, None);
    write(&watched.file, "services: {a: {process: {argv: [/bin/true]}, nam: x, grup: y}}");
    let refused = watched.told().await.expect("refused");
    assert!(refused.contains("services.yaml: line 1") && refused.contains("did you mean name?"), "{refused}");
    assert!(refused.contains("(and 1 more)"), "{refused}");
    assert_eq!(watched.ids(), ["a", "b", "c"], "what runs goes on");
    pass(Duration::from_secs(10)).await;
    assert!(watched.asks.try_recv().is_err(), "told once");
    write(&watched.file, &text("a b c"));
    assert_eq!(watched.told().await, None, "as in effect again");
    write(&watched.file, &text("c"));
    watched.until("c").await;
    assert!(watched.tasks.stop(Duration::from_secs(5)).await);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_others_may_write_by_now_is_refused_and_heals() {
    let mut watched = start(Some(&text("a")), true).await.expect("good");
    std::fs::set_permissions(&watched.file, std::fs::Permissions::from_mode(0o666)).expect("mode");
    assert!(watched.told().await.expect("refused").contains("chmod go-w"));
    write(&watched.file, &text("a"));
    assert_eq!(watched.told().await, None);
    assert_eq!(watched.ids(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_goes_ends_nothing_and_one_that_comes_is_read() {
    let mut watched = start(None, false).await.expect("no file, no services");
    pass(Duration::from_secs(10)).await;
    assert!(watched.asks.try_recv().is_err(), "nothing is wrong with that");
    write(&watched.file, &text("a"));
    watched.until("a").await;
    assert_eq!(watched.told().await, None);
    std::fs::remove_file(&watched.file).expect("there");
    assert!(watched.told().await.expect("refused").contains("put it back"));
    assert_eq!(watched.ids(), ["a"]);
    write(&watched.file, "");
    assert!(watched.told().await.expect("refused").contains("half-written"));
    write(&watched.file, "services: {}\n");
    watched.until("").await;
}

#[tokio::test(start_paused = true)]
async fn half_written_files_take_nothing_away() {
    let mut watched = start(Some(&text("a b c")), false).await.expect("good");
    let whole = text("a b c d");
    // Empty, cut inside a word, and cut so that it loads with fewer services: each for less time than it takes to believe it.
    for part in ["", &whole[..whole.len() - 20], &text("a")] {
        write(&watched.file, part);
        pass(Duration::from_millis(700)).await;
        assert_eq!(watched.ids(), ["a", "b", "c"]);
    }
    write(&watched.file, &whole);
    watched.until("a b c d").await;
    assert_eq!(watched.told().await, None, "nothing was refused");
}

#[tokio::test(start_paused = true)]
async fn a_bad_file_is_no_start() {
    let error = start(Some("services: {a: {}}"), false).await.err().expect("refused").to_string();
    assert!(error.contains("services.yaml: line 1") && error.contains("nothing says what runs"), "{error}");
    let error = start(None, true).await.err().expect("refused").to_string();
    assert!(error.contains("there is no file"), "{error}");
}
