//! Units from outside: an engine with runs that a test directs, under paused time.

use std::sync::Arc;
use std::time::Duration;

use model::event::What;
use model::secret::Secret;
use model::status::Status;
use model::time::{Clock, UtcMs};
use model::unit::board::UnitNow;
use model::unit::spec::{
    Budget, Heal, HealthCheck, HealthSource, LogRules, Measure, Policy, Process, Program, ReadyCheck, Restart, Stop,
    Unit,
};
use model::unit::{Cause, Exit, State, Wanted};
use supervise::backend::Refusal;
use tokio::sync::watch;

use crate::config::{ConfigFile, Overrides, Services};
use crate::testing::backend::{Stage, Staged};
use crate::testing::{PausedClock, Scripted, id, store};
use crate::units::{Backends, UnitCommand, UnitError};
use crate::{Engine, Handle, Start, Supervision};

const SOON: Duration = Duration::from_secs(120);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn unit(name: &str, change: impl FnOnce(&mut Unit)) -> Arc<Unit> {
    let mut unit = Unit {
        id: id(name),
        name: name.to_owned(),
        description: String::new(),
        group: None,
        tags: vec![],
        autostart: true,
        enabled: true,
        program: Program::Process(Process {
            argv: vec!["/bin/true".to_owned()],
            cwd: "/".into(),
            env: vec![],
            secret_env: vec![("T".to_owned(), Secret::new("t"))],
            user: None,
            umask: None,
            limits: vec![],
            pid_file: None,
        }),
        fallback: None,
        needs: vec![],
        targets: vec![],
        restart: Restart {
            policy: Policy::Always,
            success: vec![],
            first: s(1),
            longest: s(30),
            factor: 2.0,
            jitter: 0.0,
            steady: s(60),
            limit: 5,
            limit_within: s(60),
        },
        ready: vec![],
        ready_within: s(30),
        stop: Stop { signal: "TERM", grace: s(10) },
        health: vec![],
        heal: Heal { restart: true, cool_down: s(30), per_hour: 4 },
        budgets: vec![],
        logs: LogRules { file_bytes: 1 << 20, files: 3 },
        queue: None,
        form: None,
    };
    change(&mut unit);
    Arc::new(unit)
}

fn services(units: Vec<Arc<Unit>>) -> Arc<Services> {
    Arc::new(Services { units, warnings: vec![] })
}

/// A folder, runs that outlive engines, and an engine.
struct Rig {
    folder: tempfile::TempDir,
    clock: Arc<dyn Clock>,
    stage: Arc<Stage>,
    services: watch::Sender<Arc<Services>>,
    running: Option<(Engine, Handle)>,
}

impl Rig {
    async fn new(units: Vec<Arc<Unit>>) -> Self {
        let clock: Arc<dyn Clock> = PausedClock::new();
        let stage = Stage::new(Arc::clone(&clock));
        let folder = tempfile::tempdir().unwrap();
        let text = "targets:\n  - {id: cam, url: \"http://cam.test/\", interval: 1s}\n  - {id: hole, url: \"http://hole.test/\", interval: 1s, timeout: 1s}\n";
        std::fs::write(folder.path().join("streampulse.yaml"), text).unwrap();
        let mut rig = Self { folder, clock, stage, services: watch::Sender::new(services(units)), running: None };
        rig.begin().await;
        rig
    }

    async fn begin(&mut self) {
        let backend = Arc::new(Staged(Arc::clone(&self.stage)));
        let supervision = Supervision {
            units: Some(self.services.subscribe()),
            folder: self.folder.path().join("services"),
            backends: Backends { processes: backend.clone(), containers: backend },
            counter: None,
        };
        let start = Start {
            config_file: ConfigFile::new(self.folder.path().join("streampulse.yaml")),
            store: store(self.folder.path(), Arc::clone(&self.clock)),
            clock: Arc::clone(&self.clock),
            env: Arc::new(|_| None),
            overrides: Overrides::default(),
            sinks: Default::default(),
            supervision: Some(supervision),
        };
        let looker = Scripted::new(Arc::clone(&self.clock));
        let (engine, handle, _) = Engine::start_with(start, looker).await.unwrap();
        self.running = Some((engine, handle));
    }

    async fn end(&mut self) {
        let (engine, handle) = self.running.take().unwrap();
        let store = handle.store().clone();
        engine.stop(s(5)).await;
        drop(handle);
        assert!(tokio::task::spawn_blocking(move || store.close(SOON)).await.unwrap());
    }

    fn handle(&self) -> &Handle {
        &self.running.as_ref().unwrap().1
    }

    fn now(&self, name: &str) -> Arc<UnitNow> {
        Arc::clone(self.handle().units().now().get(&id(name)).expect("a unit"))
    }

    /// Waits until a unit is so.
    async fn until(&self, name: &str, is: impl Fn(&UnitNow) -> bool) -> Arc<UnitNow> {
        let (mut board, name) = (self.handle().units().board(), id(name));
        let so = board.wait_for(|board| board.get(&name).is_some_and(|unit| is(unit)));
        match tokio::time::timeout(SOON, so).await {
            Ok(board) => Arc::clone(board.unwrap().get(&name).unwrap()),
            Err(_) => panic!("{name} is {:?}", self.handle().units().now().get(&name)),
        }
    }

    async fn until_state(&self, name: &str, state: State) -> Arc<UnitNow> {
        self.until(name, |unit| unit.state == state).await
    }

    async fn command(&self, name: &str, command: UnitCommand) -> Result<(Wanted, bool), UnitError> {
        let taken = self.handle().units().command(&id(name), command, "eva").await;
        taken.map(|taken| (taken.wanted, taken.changed))
    }

    /// The timeline, oldest first.
    async fn timeline(&self, name: &str) -> Vec<(State, Cause, String)> {
        let store = self.handle().store().clone();
        let name = id(name);
        let read = move || {
            assert!(store.flush(SOON));
            store.unit_changes(&name, (UtcMs(0), UtcMs(i64::MAX)), 100).unwrap()
        };
        let mut all = tokio::task::spawn_blocking(read).await.unwrap();
        all.reverse();
        all.into_iter().map(|change| (change.state, change.cause, change.reason)).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_unit_starts_is_stopped_and_started_by_command_and_the_wish_outlives_a_restart() {
    let mut rig = Rig::new(vec![unit("a", |_| ()), unit("off", |u| u.autostart = false)]).await;
    let now = rig.until_state("a", State::Running).await;
    assert_eq!((now.wanted, now.run.as_ref().unwrap().identity.pid), (Wanted::Running, 1));
    assert_eq!(now.reason, "started as process 1");
    assert_eq!((rig.now("off").state, rig.stage.begun("off")), (State::Stopped, 0));

    assert_eq!(rig.command("a", UnitCommand::Start).await, Ok((Wanted::Running, false)));
    assert_eq!(rig.command("a", UnitCommand::Stop).await, Ok((Wanted::Stopped, true)));
    let now = rig.until_state("a", State::Stopped).await;
    assert_eq!(now.last_end.as_ref().map(|end| end.exit), Some(Exit::Code(0)));
    assert_eq!(rig.command("a", UnitCommand::Stop).await, Ok((Wanted::Stopped, false)));
    assert_eq!(rig.command("off", UnitCommand::Restart).await, Ok((Wanted::Running, true)));
    rig.until_state("off", State::Running).await;
    assert_eq!(rig.command("nobody", UnitCommand::Stop).await, Err(UnitError::NoSuchUnit));

    rig.end().await;
    assert_eq!(rig.stage.running(), ["off"], "units outlive the engine");
    rig.begin().await;
    let now = rig.until_state("off", State::Running).await;
    assert_eq!((now.cause, rig.stage.begun("off")), (Cause::Adopted, 1));
    assert_eq!(rig.now("a").state, State::Stopped);
    let timeline = rig.timeline("a").await;
    let states: Vec<_> = timeline.iter().map(|(state, cause, _)| (*state, *cause)).collect();
    assert_eq!(
        states,
        [
            (State::Starting, Cause::Boot),
            (State::Running, Cause::Launch),
            (State::Stopping, Cause::Command),
            (State::Stopped, Cause::Command),
        ]
    );
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_dies_backs_off_and_is_given_up_with_its_last_lines_in_view() {
    let rig = Rig::new(vec![unit("a", |_| ())]).await;
    rig.until_state("a", State::Running).await;
    let folder = rig.handle().units().folder(&id("a"));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("output.log"), "2023-12-20T19:05:01.1Z stderr F no such table: queue\n").unwrap();
    rig.stage.direct("a", |script| script.dies = Some(Exit::Code(3)));
    let mut events = rig.handle().subscribe();
    rig.stage.ends("a", Exit::Signal { number: 9, out_of_memory: false });
    let now = rig.until_state("a", State::BackingOff).await;
    assert!(now.next_start.unwrap() > rig.clock.utc(), "{now:?}");
    assert_eq!(now.last_end.as_ref().unwrap().last_lines, ["no such table: queue"]);
    let now = rig.until_state("a", State::Failed).await;
    assert_eq!((rig.stage.begun("a"), now.restarts), (5, 4));
    assert!(now.reason.starts_with("gave up after 5 starts within 60.0 s; the last: exit code 3"), "{}", now.reason);
    let mut told = 0;
    while let Ok(event) = events.try_recv() {
        told += usize::from(matches!(&event.what, What::UnitChanged(name, _) if *name == id("a")));
    }
    assert!(told >= 10, "{told}");
    rig.stage.direct("a", |script| script.dies = None);
    assert_eq!(rig.command("a", UnitCommand::Start).await, Ok((Wanted::Running, true)));
    rig.until_state("a", State::Running).await;
}

#[tokio::test(start_paused = true)]
async fn what_ended_while_nobody_watched_is_told_and_what_was_given_up_stays_so() {
    let mut rig = Rig::new(vec![unit("a", |u| u.restart.policy = Policy::OnFailure), unit("b", |_| ())]).await;
    rig.until_state("a", State::Running).await;
    rig.until_state("b", State::Running).await;
    rig.stage.direct("b", |script| {
        script.refuse = Some(Refusal { passing: false, no_engine: false, words: "/opt/b is no program".to_owned() });
    });
    rig.stage.ends("b", Exit::Code(1));
    let now = rig.until_state("b", State::Failed).await;
    assert_eq!(now.reason, "could not be started: /opt/b is no program");
    rig.end().await;
    rig.stage.ends("a", Exit::Code(7));
    rig.begin().await;
    let now = rig.until_state("a", State::Running).await;
    assert_eq!((rig.stage.begun("a"), now.last_end.as_ref().map(|end| end.exit)), (2, Some(Exit::Code(7))));
    assert_eq!((rig.now("b").state, rig.now("b").reason.as_str()), (State::Failed, now_reason()));
    rig.end().await;
}

fn now_reason() -> &'static str {
    "could not be started: /opt/b is no program"
}

#[tokio::test(start_paused = true)]
async fn order_of_start_and_end_follows_needs() {
    let units = vec![
        unit("web", |u| u.needs = vec![id("api")]),
        unit("api", |u| u.needs = vec![id("db")]),
        unit("db", |u| u.ready = vec![ReadyCheck::Stays(s(3))]),
    ];
    let rig = Rig::new(units).await;
    let waiting = rig.until("web", |unit| unit.state == State::Starting).await;
    assert_eq!(waiting.waits_for, [id("api")]);
    rig.until_state("web", State::Running).await;
    assert_eq!(rig.stage.take_log(), ["+db", "+api", "+web"]);
    rig.command("db", UnitCommand::Restart).await.unwrap();
    rig.until("web", |unit| unit.state == State::Starting).await;
    rig.until_state("web", State::Running).await;
    assert_eq!(rig.stage.take_log(), ["-web", "-api", "-db", "+db", "+api", "+web"]);
    // A needed one that dies takes nobody with it.
    rig.stage.ends("db", Exit::Code(1));
    rig.until_state("db", State::BackingOff).await;
    assert_eq!((rig.now("api").state, rig.now("web").state), (State::Running, State::Running));
}

#[tokio::test(start_paused = true)]
async fn the_file_of_services_takes_effect_while_units_run() {
    let rig = Rig::new(vec![unit("a", |_| ()), unit("b", |_| ()), unit("c", |_| ())]).await;
    for name in ["a", "b", "c"] {
        rig.until_state(name, State::Running).await;
    }
    rig.stage.take_log();
    let other = |u: &mut Unit| {
        if let Program::Process(process) = &mut u.program {
            process.argv.push("--new".to_owned());
        }
    };
    let now = vec![unit("b", other), unit("c", |u| u.stop.grace = s(11)), unit("d", |_| ())];
    rig.services.send_replace(services(now));
    rig.until_state("d", State::Running).await;
    let b = rig.until("b", |unit| unit.run.as_ref().is_some_and(|run| run.identity.pid == 2)).await;
    assert_eq!((b.cause, b.pending), (Cause::Launch, false));
    let mut log = rig.stage.take_log();
    log.sort();
    assert_eq!(log, ["+b", "+d", "-a", "-b"], "c goes on");
    assert!(rig.now("c").pending, "its new grace counts from its next start");
    let ids: Vec<String> = rig.handle().units().now().units.iter().map(|unit| unit.spec.id.to_string()).collect();
    assert_eq!(ids, ["b", "c", "d"]);
    rig.services.send_replace(services(vec![unit("c", |u| u.enabled = false)]));
    let c = rig.until_state("c", State::Stopped).await;
    assert_eq!((c.wanted, c.reason.contains("disabled")), (Wanted::Running, true), "{}", c.reason);
    assert!(matches!(rig.command("c", UnitCommand::Start).await, Err(UnitError::Refused(_))));
    assert_eq!(rig.stage.running(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_holds_nobody() {
    let rig = Rig::new(vec![unit("stuck", |_| ()), unit("a", |_| ())]).await;
    rig.until_state("stuck", State::Running).await;
    rig.until_state("a", State::Running).await;
    rig.stage.direct("stuck", |script| script.hangs = true);
    assert_eq!(rig.command("stuck", UnitCommand::Stop).await, Ok((Wanted::Stopped, true)));
    rig.stage.ends("a", Exit::Code(1));
    rig.until_state("a", State::BackingOff).await;
    let began = tokio::time::Instant::now();
    rig.until_state("a", State::Running).await;
    assert!(began.elapsed() < s(2), "{:?}", began.elapsed());
    let stuck = rig.until("stuck", |unit| unit.reason.contains("no answer within 20 s")).await;
    assert!(stuck.reason.starts_with("it could not be "), "{}", stuck.reason);
    rig.until("a", |unit| unit.usage.is_some()).await;
    rig.stage.direct("stuck", |script| script.hangs = false);
    rig.until_state("stuck", State::Stopped).await;
}

#[tokio::test(start_paused = true)]
async fn a_deaf_one_is_killed_after_its_grace() {
    let rig = Rig::new(vec![unit("deaf", |_| ())]).await;
    rig.until_state("deaf", State::Running).await;
    rig.stage.direct("deaf", |script| script.deaf = true);
    rig.command("deaf", UnitCommand::Stop).await.unwrap();
    let now = rig.until_state("deaf", State::Stopped).await;
    assert_eq!(now.last_end.as_ref().unwrap().exit, Exit::Signal { number: 9, out_of_memory: false });
    assert_eq!(rig.stage.take_log(), ["+deaf", "-deaf", "!deaf"]);
}

#[tokio::test(start_paused = true)]
async fn health_by_a_watched_target_and_start_checks_by_one() {
    let check = HealthCheck {
        what: HealthSource::Target(id("hole")),
        every: s(1),
        timeout: s(1),
        fails: 2,
        start_period: Duration::ZERO,
    };
    let units =
        vec![unit("a", |u| u.health = vec![check]), unit("b", |u| u.ready = vec![ReadyCheck::Target(id("cam"))])];
    let rig = Rig::new(units).await;
    rig.until_state("b", State::Running).await;
    let timeline = rig.timeline("b").await;
    assert!(
        timeline.iter().any(|(state, cause, _)| (*state, *cause) == (State::Running, Cause::Ready)),
        "{timeline:?}"
    );
    rig.until("a", |unit| unit.restarts == 1).await;
    let timeline = rig.timeline("a").await;
    let healed = timeline.iter().find(|(state, ..)| *state == State::Stopping).unwrap();
    assert_eq!(healed.1, Cause::Target);
    assert!(healed.2.starts_with("restarted: target hole: down: "), "{}", healed.2);
    // Its bounds hold: no second one within the cool-down.
    tokio::time::sleep(s(20)).await;
    assert_eq!(rig.now("a").restarts, 1);
    rig.until("a", |unit| unit.restarts == 2).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_used_is_kept_and_budgets_act_when_it_lasts() {
    let budget = Budget { measure: Measure::Memory, most: f64::from(1 << 20), during: s(12), restart: true };
    let rig = Rig::new(vec![unit("a", |u| u.budgets = vec![budget])]).await;
    rig.until_state("a", State::Running).await;
    tokio::time::sleep(s(200)).await;
    assert_eq!((rig.stage.begun("a"), rig.handle().units().recent(&id("a")).len() >= 38), (1, true));
    rig.stage.direct("a", |script| script.usage.memory_bytes = 3 << 20);
    rig.until("a", |unit| unit.restarts == 1).await;
    rig.stage.direct("a", |script| script.usage.memory_bytes = 1 << 20);
    let timeline = rig.timeline("a").await;
    assert!(
        timeline.iter().any(|(_, cause, words)| *cause == Cause::Limit && words.contains("3.0 MiB is above 1.0 MiB"))
    );
    let store = rig.handle().store().clone();
    let samples = tokio::task::spawn_blocking(move || {
        assert!(store.flush(SOON));
        store.unit_samples(&id("a"), (UtcMs(0), UtcMs(i64::MAX)), 0).unwrap()
    });
    let samples = samples.await.unwrap();
    assert!(samples.len() >= 3, "{samples:?}");
    assert_eq!((samples[1].memory_avg, samples[1].processes), (1 << 20, 1));
}

#[tokio::test(start_paused = true)]
async fn targets_of_one_that_is_stopped_on_purpose_are_not_blamed() {
    let rig = Rig::new(vec![unit("a", |u| u.targets = vec![id("hole")])]).await;
    rig.until_state("a", State::Running).await;
    let (mut board, hole) = (rig.handle().board(), id("hole"));
    let mut until = async |status: Status| {
        let so = board.wait_for(|board| board.get(&hole).is_some_and(|target| target.state.status == status));
        assert!(tokio::time::timeout(SOON, so).await.is_ok(), "{status}");
    };
    until(Status::Down).await;
    rig.command("a", UnitCommand::Stop).await.unwrap();
    until(Status::Maintenance).await;
    rig.command("a", UnitCommand::Start).await.unwrap();
    until(Status::Down).await;
    // One that dies is no purpose.
    rig.stage.direct("a", |script| script.dies = Some(Exit::Code(1)));
    rig.stage.ends("a", Exit::Code(1));
    rig.until_state("a", State::Failed).await;
    tokio::time::sleep(s(5)).await;
    until(Status::Down).await;
}

#[path = "form_tests.rs"]
mod form_tests;
