//! The loop in paused time with scripted looks: cadence under black holes, lateness of thousands, panics, the end. Tests only.

mod holding;

use std::sync::atomic::{AtomicBool, Ordering};

use model::event::{Part, What};
use model::status::Status;

use super::*;
use crate::cadence::Punctuality;
use crate::testing::{PausedClock, Scripted, config, id, store, target, target_at};

const SECOND: Duration = Duration::from_secs(1);

struct Running {
    ends: Ends,
    script: Arc<Scripted>,
    tasks: Tasks,
    _folder: tempfile::TempDir,
}

async fn run_with(clock: Arc<dyn Clock>, targets: &[Arc<Target>], at_once: usize) -> Running {
    let folder = tempfile::tempdir().expect("a folder");
    let script = Scripted::new(Arc::clone(&clock));
    let tasks = Tasks::new();
    let looker: Arc<dyn Looker> = script.clone();
    let store = store(folder.path(), Arc::clone(&clock));
    let (shell, ends) = Shell::new(clock, store, looker, tasks.clone(), BTreeMap::new());
    tasks.spawn("engine", shell.run());
    let running = Running { ends, script, tasks, _folder: folder };
    running.load(targets, at_once).await;
    running
}

async fn run(targets: &[Arc<Target>]) -> Running {
    run_with(PausedClock::new(), targets, PROBES_AT_ONCE).await
}

impl Running {
    async fn load(&self, targets: &[Arc<Target>], at_once: usize) {
        let mut new = config(targets);
        new.probes_at_once = at_once;
        let (told, applied) = oneshot::channel();
        assert!(self.ends.asks.send(Ask::Config(Box::new(new), told)).await.is_ok());
        applied.await.expect("it takes effect");
    }

    async fn command(&self, command: Command) -> Answer {
        let (asker, answer) = oneshot::channel();
        assert!(self.ends.asks.send(Ask::Command(command, asker)).await.is_ok());
        answer.await.expect("an answer")
    }

    async fn punctuality(&self) -> Punctuality {
        let (asker, answer) = oneshot::channel();
        assert!(self.ends.asks.send(Ask::Punctuality(asker)).await.is_ok());
        answer.await.expect("an answer")
    }

    fn board(&self) -> Arc<Board> {
        Arc::clone(&self.ends.board.borrow())
    }

    fn status(&self, name: &str) -> Status {
        self.board().get(&id(name)).expect("a target").state.status
    }

    /// Waits for a Board of which this is true, for at most 100 s.
    async fn until(&self, what: &str, holds: impl Fn(&Board) -> bool) -> Arc<Board> {
        let mut board = self.ends.board.clone();
        let waited = tokio::time::timeout(SECOND * 100, board.wait_for(|b| holds(b))).await;
        Arc::clone(&waited.expect(what).expect("the loop runs"))
    }

    async fn end(self) {
        let (told, over) = oneshot::channel();
        assert!(self.ends.asks.send(Ask::Stop(told)).await.is_ok());
        over.await.expect("it ends");
        assert!(self.tasks.stop(SECOND).await);
    }
}

/// Lets time pass.
async fn pass(time: Duration) {
    let until = Instant::now() + time;
    tokio::time::sleep_until(until).await;
}

fn every_5s(name: String, host: &str) -> Arc<Target> {
    target_at(&name, host, |t| t.interval = SECOND * 5)
}

/// 450 targets that answer, 50 that accept and never do.
async fn check_black_holes(known_within: Duration, hole: impl Fn(usize) -> String, good: impl Fn(usize) -> String) {
    let mut targets: Vec<_> = (0..450).map(|i| every_5s(format!("good{i}"), &good(i))).collect();
    targets.extend((0..50).map(|i| every_5s(format!("hole{i}"), &hole(i))));
    let running = run(&targets).await;
    pass(known_within).await;
    for i in 0..50 {
        assert_eq!(running.status(&format!("hole{i}")), Status::Down, "hole{i} is known in time");
    }
    running.script.forget();
    pass(SECOND * 60).await;
    let begun = running.script.begun("good");
    assert_eq!(begun.len(), 450);
    for (id, at) in &begun {
        for pair in at.windows(2) {
            let off = (pair[1].0 - pair[0].0).abs_diff(SECOND * 5);
            assert!(off < Duration::from_millis(20), "{id} came {off:?} off its time");
        }
        assert!((11..=13).contains(&at.len()), "{id}: {} looks in 60 s", at.len());
    }
    for (id, at) in running.script.begun("hole") {
        assert!((5..=7).contains(&at.len()), "{id}: every 10 s, for a look takes 8 s of 5: {}", at.len());
    }
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn fifty_black_holes_make_no_healthy_target_late() {
    check_black_holes(SECOND * 15, |i| format!("h{i}.test"), |i| format!("g{i}.test")).await;
}

#[tokio::test(start_paused = true)]
async fn fifty_black_holes_on_one_port_make_no_healthy_target_late() {
    check_black_holes(SECOND * 20, |_| "shared.test:81".to_owned(), |_| "shared.test:80".to_owned()).await;
}

#[tokio::test(start_paused = true)]
async fn even_among_fifty_black_holes_of_the_same_server_nobody_is_late() {
    // Four permits, each held for the 2 s after which a look is taken to hang: 50 black holes are found out one after another.
    check_black_holes(SECOND * 60, |_| "shared.test:80".to_owned(), |_| "shared.test:80".to_owned()).await;
}

#[tokio::test(start_paused = true)]
async fn more_black_holes_than_permits_leave_room_for_those_who_answer() {
    let mut targets: Vec<_> = (0..20).map(|i| every_5s(format!("good{i}"), &format!("g{i}.test"))).collect();
    targets.extend((0..200).map(|i| every_5s(format!("hole{i}"), &format!("h{i}.test"))));
    let running = run_with(PausedClock::new(), &targets, 40).await;
    pass(SECOND * 100).await;
    running.script.forget();
    pass(SECOND * 50).await;
    let begun = running.script.begun("good");
    assert!(begun.len() == 20 && begun.values().all(|at| at.len() >= 10), "{begun:?}");
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_targets_begin_on_time() {
    let targets: Vec<_> = (0..10_000).map(|i| target_at(&format!("t{i}"), &format!("h{i}.test"), |_| ())).collect();
    let running = run_with(PausedClock::new(), &targets, PROBES_AT_ONCE).await;
    pass(SECOND * 25).await;
    let p = running.punctuality().await;
    assert!(p.rounds >= 20_000, "{p:?}");
    assert_eq!(p.missed, 0);
    assert!(p.quantile(0.99) <= Duration::from_millis(8) && p.worst < Duration::from_millis(250), "{p:?}");
    assert!(running.board().targets.iter().all(|t| t.state.status == Status::Up));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_look_is_a_fault_and_is_told() {
    let running = run(&[target("panics"), target("a")]).await;
    let board = running.until("both are looked at", |b| b.targets.iter().all(|t| !t.beats.is_empty())).await;
    let fault = board.get(&id("panics")).and_then(|t| t.last.clone()).and_then(|o| o.look.fault.clone());
    assert_eq!(fault.map(|f| f.kind), Some(model::fault::FaultKind::Internal));
    let board = running.until("the engine is unwell", |b| b.health.unwell.contains_key(&Part::Engine)).await;
    assert!(board.health.unwell[&Part::Engine].0.contains("planned panic of panics"), "{:?}", board.health);
    assert_eq!(running.status("a"), Status::Up);
    running.end().await;
}

/// A clock that panics once when it is told to: a mistake anywhere in a turn of the loop looks like this. The store's
/// thread asks the same clock and is spared.
struct Trap {
    inner: Arc<PausedClock>,
    armed: AtomicBool,
    of: std::thread::ThreadId,
}

impl Clock for Trap {
    fn utc(&self) -> model::time::UtcMs {
        let springs = std::thread::current().id() == self.of && self.armed.swap(false, Ordering::SeqCst);
        assert!(!springs, "planned panic of the loop");
        self.inner.utc()
    }

    fn mono(&self) -> Mono {
        self.inner.mono()
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_loop_loses_nothing_that_was_on_the_board() {
    let clock =
        Arc::new(Trap { inner: PausedClock::new(), armed: AtomicBool::new(false), of: std::thread::current().id() });
    let targets = [target("a"), target("refused"), target("paused"), target("slow")];
    let running = run_with(clock.clone(), &targets, 100).await;
    assert!(matches!(running.command(Command::Pause(id("paused"))).await, Answer::Done));
    let before = running.until("there is an incident", |b| b.targets.iter().any(|t| t.incident.is_some())).await;
    running.until("slow is looked at", |b| !b.targets[3].beats.is_empty()).await;
    clock.armed.store(true, Ordering::SeqCst);
    let after = running.until("it is told", |b| b.health.unwell.contains_key(&Part::Engine)).await;
    assert!(after.health.unwell[&Part::Engine].0.contains("planned panic of the loop"), "{:?}", after.health);
    assert_eq!((&after.config_hash, after.started_at), (&before.config_hash, before.started_at));
    assert!(after.version > before.version);
    let statuses: Vec<_> = after.targets.iter().map(|t| t.state.status).collect();
    assert_eq!(statuses, [Status::Up, Status::Down, Status::Paused, Status::Up]);
    assert_eq!(after.targets[1].incident, before.targets[1].incident, "the same incident goes on");
    let beats = after.targets[0].beats.len();
    running.until("it goes on", |b| b.targets[0].beats.len() > beats).await;
    assert!(matches!(running.command(Command::TestNow(id("a"))).await, Answer::Observed(_)));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_board_comes_at_once_when_idle_and_coalesced_when_busy() {
    let targets: Vec<_> = (0..200).map(|i| target(&format!("t{i}"))).collect();
    let running = run(&targets).await;
    pass(SECOND * 10).await;
    let before = running.board().version;
    pass(SECOND * 10).await;
    let made = running.board().version - before;
    assert!((50..=210).contains(&made), "{made} boards for 200 looks in 10 s");
    running.load(&[target("a")], 100).await;
    assert_eq!(running.board().targets.len(), 1, "who is told finds it on the Board");
    assert!(matches!(running.command(Command::Pause(id("a"))).await, Answer::Done));
    assert_eq!(running.status("a"), Status::Paused);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_comes_after_the_board_that_shows_it() {
    let running = run(&[]).await;
    let mut events = running.ends.events.subscribe();
    running.load(&[target("refused")], 100).await;
    loop {
        let event = events.recv().await.expect("not behind");
        if let What::IncidentOpened(incident) = &event.what {
            assert_eq!(running.board().targets[0].incident.as_ref(), Some(incident));
            break;
        }
    }
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_look_begins_soon_and_the_end_waits_for_nobody() {
    let targets: Vec<_> = (0..500).map(|i| target(&format!("hole{i}"))).collect();
    let running = run(&targets).await;
    let began = running.script.clock_now();
    pass(Duration::from_millis(300)).await;
    assert!(!running.script.begun("hole").is_empty(), "start-up to first look under 300 ms");
    pass(SECOND * 6).await;
    assert!(running.script.clock_now().0 - began.0 < SECOND * 7);
    let before = Instant::now();
    running.end().await;
    assert!(before.elapsed() < SECOND, "looks are cancelled, not waited for");
}
