//! Forms from outside: values reach what is launched, a change is tried, kept or taken back, also over the end of a process. In
//! the rig of the tests beside this.

use std::collections::BTreeMap;
use std::path::PathBuf;

use model::unit::form::{Form, Goes, Key, KeyType, Value};

use super::*;

fn key(name: &str, ty: KeyType, default: Option<Value>, to: Goes) -> Key {
    Key {
        name: name.to_owned(),
        title: name.to_owned(),
        description: String::new(),
        ty,
        default,
        required: false,
        to: vec![to],
    }
}

fn with_form(file: PathBuf) -> Arc<Unit> {
    let workers = KeyType::Integer { min: 1, max: 16 };
    let keys = vec![
        key("workers", workers, Some(Value::Integer(4)), Goes::Option("--workers".to_owned())),
        key("token", KeyType::Secret, None, Goes::Env("TOKEN".to_owned())),
    ];
    unit("a", |u| {
        u.form = Some(Form { file, keys });
        u.ready = vec![ReadyCheck::Stays(s(1))];
    })
}

async fn rig() -> Rig {
    let mut rig = Rig::new(vec![]).await;
    rig.services.send_replace(services(vec![with_form(rig.folder.path().join("a.json"))]));
    rig.end().await;
    rig.begin().await;
    rig.until_state("a", State::Running).await;
    rig
}

impl Rig {
    async fn set(&self, name: &str, value: Option<Value>) -> Result<BTreeMap<String, Value>, UnitError> {
        let patch = BTreeMap::from([(name.to_owned(), value)]);
        self.handle().units().set_form(&id("a"), patch, "eva").await.map(|view| view.values)
    }

    fn argument(&self) -> String {
        self.stage.launched("a").0.last().cloned().unwrap_or_default()
    }

    fn kept(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("a.json")).unwrap_or_default()
    }

    /// Waits until nothing is on trial.
    async fn settled(&self) -> Option<String> {
        let trial = self.folder.path().join("a.json.before-trial");
        let wait = async {
            while trial.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(SOON, wait).await.expect("it is settled");
        self.handle().units().form(&id("a")).await.expect("a form").note
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_restarts_what_runs_and_is_kept_when_it_comes_up() {
    let rig = rig().await;
    assert_eq!(rig.argument(), "4", "the default");
    assert!(matches!(rig.set("workers", Some(Value::Integer(17))).await, Err(UnitError::Invalid(_))));
    assert_eq!((rig.stage.begun("a"), rig.kept()), (1, String::new()), "a bad value touches nothing");
    let values = rig.set("workers", Some(Value::Integer(6))).await.expect("good");
    assert_eq!(values["workers"], Value::Integer(6));
    let now = rig
        .until("a", |unit| unit.state == State::Running && unit.run.as_ref().is_some_and(|r| r.identity.pid == 2))
        .await;
    assert_eq!(now.restarts, 0, "somebody commanded it");
    assert!(rig.settled().await.expect("a note").contains("came up with it"));
    assert_eq!(rig.argument(), "6");
    let causes: Vec<Cause> = rig.timeline("a").await.into_iter().map(|(_, cause, _)| cause).collect();
    assert!(causes.contains(&Cause::Form), "{causes:?}");
    // What is so already restarts nothing; a secret is masked and not shown.
    rig.set("workers", Some(Value::Integer(6))).await.expect("good");
    assert_eq!(rig.stage.begun("a"), 2);
    let values = rig.set("token", Some(Value::Text("s3cret".to_owned()))).await.expect("good");
    assert!(!values.contains_key("token"));
    rig.until("a", |unit| unit.state == State::Running && unit.run.as_ref().is_some_and(|r| r.identity.pid == 3)).await;
    assert_eq!((rig.stage.launched("a").1, rig.argument().as_str()), (1, "6"));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_does_not_come_up_is_taken_back() {
    let rig = rig().await;
    rig.set("workers", Some(Value::Integer(6))).await.expect("good");
    rig.until("a", |unit| unit.state == State::Running && unit.run.as_ref().is_some_and(|r| r.identity.pid == 2)).await;
    rig.settled().await;
    let good = rig.kept();
    rig.stage.direct("a", |script| script.dies_of = Some("9"));
    rig.set("workers", Some(Value::Integer(9))).await.expect("a good value in itself");
    let back = |unit: &UnitNow| unit.state == State::Running && unit.run.as_ref().is_some_and(|r| r.identity.pid >= 4);
    rig.until("a", back).await;
    assert_eq!((rig.argument().as_str(), rig.kept()), ("6", good));
    let note = rig.settled().await.expect("a note");
    assert!(note.contains("last good values are back") && note.contains("exit code 2"), "{note}");
    let told = rig.timeline("a").await;
    let words = told.iter().any(|(_, cause, words)| *cause == Cause::Form && words.contains("last good ones are back"));
    assert!(words, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_trial_goes_on_over_the_end_of_a_process() {
    let mut rig = rig().await;
    rig.stage.direct("a", |script| script.dies_of = Some("9"));
    rig.set("workers", Some(Value::Integer(9))).await.expect("a good value in itself");
    // As after a kill: the file says that a change is on trial, and nobody is there who began it.
    rig.end().await;
    if !rig.folder.path().join("a.json.before-trial").exists() {
        return; // it was taken back before the end came
    }
    rig.begin().await;
    rig.until_state("a", State::Running).await;
    rig.settled().await;
    assert_eq!((rig.argument().as_str(), rig.kept().as_str()), ("4", ""), "there was no file before");
}

#[tokio::test(start_paused = true)]
async fn one_that_stands_still_just_has_its_values_and_bad_ones_refuse_the_start() {
    let rig = rig().await;
    rig.command("a", UnitCommand::Stop).await.expect("stopped");
    rig.until_state("a", State::Stopped).await;
    rig.set("workers", Some(Value::Integer(7))).await.expect("good");
    assert_eq!((rig.stage.begun("a"), rig.settled().await), (1, None));
    rig.command("a", UnitCommand::Start).await.expect("started");
    rig.until_state("a", State::Running).await;
    assert_eq!(rig.argument(), "7");
    std::fs::write(rig.folder.path().join("a.json"), "{\"workers\": 99}").expect("written");
    rig.command("a", UnitCommand::Restart).await.expect("taken");
    let now = rig.until_state("a", State::Failed).await;
    assert!(
        now.reason.contains("its form: workers: in ") && now.reason.contains("99 is out of range"),
        "{}",
        now.reason
    );
    rig.set("workers", Some(Value::Integer(3))).await.expect("mended");
    rig.until_state("a", State::Running).await;
    assert_eq!(rig.argument(), "3", "another chance");
}
