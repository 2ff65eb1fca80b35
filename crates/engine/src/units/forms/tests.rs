//! Forms at their boundary: a change on a real disk, what is refused, what is left after being killed, what comes back.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::*;
use crate::config::services_of;

const SERVICE: &str = "
services:
  a:
    process:
      argv: [/bin/true, '--in={input}', '{{}}']
      env: {MODE: slow}
    form:
      file: state/a.json
      keys:
        input: {type: path, must: read_folder, required: true, to: {argument: true}}
        workers: {type: integer, min: 1, max: 16, default: 4, to: {option: --workers, env: WORKERS}}
        rate: {type: number, min: 0.5, max: 10, default: 1}
        level: {enum: [INFO, DEBUG], default: INFO, to: {option: --level}}
        name: {pattern: '[a-z]+', to: {option: --name}}
        verbose: {type: bool, default: false, to: {option: --verbose}}
        token: {type: secret, to: {env: TOKEN}}
";

struct Bench {
    folder: tempfile::TempDir,
    unit: Arc<Unit>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let services = services_of(SERVICE, folder.path(), &|_| None).expect("good");
        Self { unit: Arc::clone(&services.units[0]), folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("state/a.json")
    }

    fn write(&self, text: &str) {
        fs::create_dir_all(self.folder.path().join("state")).expect("made");
        fs::write(self.file(), text).expect("written");
    }

    fn text(&self) -> Option<String> {
        fs::read_to_string(self.file()).ok()
    }

    fn open(&self) -> FormStore {
        FormStore::open(&self.unit).expect("a form").expect("readable")
    }

    /// Names in the state folder, sorted.
    fn names(&self) -> Vec<String> {
        let all = fs::read_dir(self.folder.path().join("state")).into_iter().flatten();
        let mut names: Vec<String> =
            all.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn patch(pairs: &[(&str, Option<Value>)]) -> BTreeMap<String, Option<Value>> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn text(value: &str) -> Option<Value> {
    Some(Value::Text(value.to_owned()))
}

fn number(value: i64) -> Option<Value> {
    Some(Value::Integer(value))
}

#[track_caller]
fn invalid(result: Result<bool, UnitError>) -> String {
    match result {
        Err(UnitError::Invalid(problems)) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_change_keeps_the_rest_and_what_the_form_does_not_know() {
    let bench = Bench::new();
    bench.write("{\"workers\": 2.0, \"theirs\": {\"a\": [1, null]}, \"level\": null, \"name\": \"x\"}");
    let mut form = bench.open();
    let here = bench.folder.path().to_str().expect("utf-8").to_owned();
    assert_eq!(form.begin(&patch(&[("input", text(&here)), ("rate", number(3)), ("name", None)]), false), Ok(true));
    let json: serde_json::Value = serde_json::from_str(&bench.text().expect("written")).expect("JSON");
    let wanted = serde_json::json!({"input": here, "workers": 2, "rate": 3.0, "theirs": {"a": [1, null]}});
    assert_eq!(json, wanted, "set, reset, kept; a default is not written");
    let view = bench.open().view(None);
    assert_eq!(view.values.get("workers"), Some(&Value::Integer(2)));
    assert_eq!(view.values.get("level"), text("INFO").as_ref(), "defaults are filled in");
    assert_eq!((view.secrets_set.len(), view.pending, view.note), (0, false, None));
    assert_eq!(form.begin(&patch(&[("workers", number(2))]), true), Ok(false), "it is so already");
    assert!(bench.text().expect("there").starts_with("{\n  \"input\": "), "in the order of the form");
}

#[test]
fn bad_values_touch_nothing_and_are_told_together() {
    let bench = Bench::new();
    let here = bench.folder.path().to_str().expect("utf-8").to_owned();
    for before in [None, Some(format!("{{\"input\": {here:?}, \"workers\": 3}}"))] {
        before.iter().for_each(|text| bench.write(text));
        let mut form = bench.open();
        let told = invalid(form.begin(
            &patch(&[
                ("workers", number(17)),
                ("wrokers", number(3)),
                ("rate", Some(Value::Number(0.1))),
                ("level", text("DEBUGG")),
                ("name", text("X1")),
                ("verbose", text("yes")),
                ("input", text("")),
                ("token", text("***")),
            ]),
            true,
        ));
        for words in [
            "workers: 17 is out of range, accepted: 1 to 16",
            "wrokers: the form has no key wrokers (did you mean workers?)",
            "rate: 0.1 is out of range",
            "did you mean DEBUG?",
            "name: \"X1\" is not of the form [a-z]+",
            "verbose: expected true or false, found a text",
            "input: this is no path",
            "token: this is the mask",
        ] {
            assert!(told.contains(words), "{words}\n{told}");
        }
        assert_eq!(told.lines().count(), 8, "{told}");
        assert_eq!(bench.text(), before, "nothing was touched");
        assert_eq!(bench.names().len(), usize::from(before.is_some()));
    }
    let mut form = bench.open();
    let told = invalid(form.begin(&patch(&[("input", text("/no/such/folder"))]), true));
    assert!(told.contains("there is no folder /no/such/folder"), "{told}");
    let told = invalid(form.begin(&patch(&[("input", None)]), true));
    assert!(told.contains("input is missing"), "{told}");
    let told = invalid(form.begin(&patch(&[("name", text("-x"))]), true));
    assert!(told.contains("not of the form"), "{told}");
    let told = invalid(form.begin(&patch(&[("input", text("--help"))]), true));
    assert!(told.contains("would take it for an option"), "{told}");
    assert_eq!(bench.names(), ["a.json"]);
}

#[test]
fn values_that_somebody_wrote_by_hand_are_checked_too() {
    let bench = Bench::new();
    bench.write("{\"input\": \"/\", \"workers\": 99, \"verbose\": \"no\"}");
    let mut form = bench.open();
    let told = form.check_values().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(told.contains("a.json: 99 is out of range") && told.contains("expected true or false"), "{told}");
    assert!(form.view(None).note.expect("told").contains("expected true or false"));
    let told = invalid(form.begin(&patch(&[("workers", number(5))]), false));
    assert!(told.contains("verbose") && !told.contains("99"), "{told}");
    assert_eq!(form.begin(&patch(&[("workers", number(5)), ("verbose", None)]), false), Ok(true));
    assert_eq!((form.check_values(), form.check_places()), (vec![], vec![]));
    for bad in ["", "[]", "{\"a\": ", "{\"token\": \"s3cret\","] {
        bench.write(bad);
        let error = FormStore::open(&bench.unit).expect("a form").expect_err(bad).to_string();
        assert!(error.contains("a.json") && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn an_edit_by_hand_meanwhile_is_noticed_and_stays() {
    let bench = Bench::new();
    bench.write("{\"input\": \"/\"}");
    let mut form = bench.open();
    bench.write("{\"input\": \"/\", \"workers\": 9}");
    let told = form.begin(&patch(&[("workers", number(5))]), false).expect_err("refused").to_string();
    assert!(told.contains("changed by somebody else"), "{told}");
    assert_eq!(form.values().get("workers"), Some(&Value::Integer(9)), "what was written by hand is seen now");
    assert_eq!(form.begin(&patch(&[("workers", number(5))]), false), Ok(true), "whoever asks again knows it");
    // Also at the last moment, between the check and the writing.
    let form_file = FormFile::new(&form.form, None);
    let stale = form_file.write(&form.form, &form.kept, Some("another"), true);
    assert!(matches!(stale, Err(FileError::Changed(_))), "{stale:?}");
    assert!(!form.is_on_trial() && !bench.names().iter().any(|name| name.ends_with(".new")), "{:?}", bench.names());
}

#[test]
fn a_change_that_does_not_come_up_is_taken_back_also_by_the_next_process() {
    let bench = Bench::new();
    bench.write("{\"input\": \"/\", \"workers\": 2}");
    let good = bench.text();
    let mut form = bench.open();
    assert_eq!(form.begin(&patch(&[("workers", number(3))]), true), Ok(true));
    assert!(form.is_on_trial());
    // A second change while the first is on trial: the last good values are still those before both.
    assert_eq!(form.begin(&patch(&[("workers", number(5))]), true), Ok(true));
    let mut next = bench.open();
    assert!(next.is_on_trial() && next.values()["workers"] == Value::Integer(5));
    next.roll_back("exit code 1").expect("taken back");
    assert_eq!((bench.text(), next.is_on_trial()), (good, false));
    let note = next.view(None).note.expect("a note");
    assert!(note.contains("last good values are back: exit code 1"), "{note}");

    assert_eq!(next.begin(&patch(&[("workers", number(7))]), true), Ok(true));
    next.commit().expect("kept");
    assert!(!next.is_on_trial() && bench.text().expect("there").contains("\"workers\": 7"));
    assert_eq!(next.begin(&patch(&[("workers", number(8))]), true), Ok(true));
    bench.write("{\"input\": \"/\", \"workers\": 16}");
    assert!(next.roll_back("exit code 1").is_err());
    assert_eq!(next.values()["workers"], Value::Integer(16), "what somebody wrote by hand stays");
    assert!(!next.is_on_trial());
}

#[test]
fn where_there_was_no_file_there_is_none_again() {
    let bench = Bench::new();
    let mut form = bench.open();
    assert_eq!(form.begin(&patch(&[("input", text("/"))]), true), Ok(true));
    form.roll_back("it ended at once").expect("taken back");
    assert_eq!((bench.text(), bench.names()), (None, vec!["a.json.bak.1".to_owned()]));
    assert_eq!(form.values().get("input"), None);
    assert_eq!(form.begin(&patch(&[("input", text("/"))]), true), Ok(true));
}

#[test]
fn killed_between_any_two_steps_the_file_is_whole_and_the_last_good_is_known() {
    for with_file in [true, false] {
        for steps in 0..=6 {
            let bench = Bench::new();
            if with_file {
                bench.write("{\"input\": \"/\", \"workers\": 2}");
            }
            let before = bench.text();
            let form = bench.open();
            let mut changed = form.kept.clone();
            changed
                .values
                .extend([("input".to_owned(), Value::Text("/".to_owned())), ("workers".to_owned(), Value::Integer(3))]);
            let done = form.file.write_until(&form.form, &changed, form.kept.hash.as_deref(), true, steps);
            assert!(done.is_ok(), "{done:?}");
            // The next process: whole, either as before or as changed, and in the second case with the way back.
            let mut next = bench.open();
            assert!(next.kept.problems.is_empty());
            if bench.text() != before {
                assert!(next.is_on_trial() && steps >= 5, "{steps}");
                assert_eq!(next.values()["workers"], Value::Integer(3));
            }
            if next.is_on_trial() {
                next.roll_back("killed").expect("taken back");
                assert_eq!(bench.text(), before, "{steps}");
            }
            assert_eq!(next.begin(&patch(&[("input", text("/")), ("workers", number(4))]), false), Ok(true), "{steps}");
            assert_eq!(bench.open().values()["workers"], Value::Integer(4));
            assert!(!bench.names().iter().any(|name| name.ends_with(".new")), "{:?}", bench.names());
        }
    }
}

#[test]
fn ten_forerunners_stay_with_their_times_and_secrets_are_private() {
    let bench = Bench::new();
    bench.write("{\"input\": \"/\", \"workers\": 1}");
    fs::set_permissions(bench.file(), fs::Permissions::from_mode(0o644)).expect("mode");
    let written = fs::metadata(bench.file()).expect("there").modified().expect("a time");
    let mut form = bench.open();
    for workers in 2..=13 {
        assert_eq!(form.begin(&patch(&[("workers", number(workers)), ("token", text("s3cret"))]), false), Ok(true));
        if workers == 2 {
            let backup = fs::metadata(bench.folder.path().join("state/a.json.bak.1")).expect("there");
            assert_eq!(backup.modified().expect("a time"), written);
        }
    }
    let names = bench.names();
    assert_eq!(names.len(), 11, "{names:?}");
    let read = |name: &str| fs::read_to_string(bench.folder.path().join("state").join(name)).expect("there");
    assert!(read("a.json.bak.1").contains("\"workers\": 12") && read("a.json.bak.10").contains("\"workers\": 3"));
    assert_eq!(fs::metadata(bench.file()).expect("there").mode() & 0o777, 0o600);
    let view = form.view(None);
    assert_eq!((view.secrets_set, view.values.contains_key("token")), (vec!["token".to_owned()], false));
    assert_eq!(form.begin(&patch(&[("token", None)]), false), Ok(true));
    assert!(form.view(None).secrets_set.is_empty());
}

#[test]
fn what_is_launched_gets_the_values() {
    let bench = Bench::new();
    bench.write("{\"input\": \"/srv/in put\", \"verbose\": true, \"name\": \"x\", \"token\": \"s3cret\"}");
    let form = bench.open();
    let mut program = bench.unit.program.clone();
    let masks = form.fill(&mut program).expect("filled");
    assert_eq!(masks, [Secret::new("s3cret")]);
    let Program::Process(process) = program else { panic!("a process") };
    let wanted =
        ["/bin/true", "--in=/srv/in put", "{}", "--workers", "4", "--level", "INFO", "--name", "x", "--verbose"];
    assert_eq!(process.argv, wanted);
    let env = [("MODE".to_owned(), "slow".to_owned()), ("WORKERS".to_owned(), "4".to_owned())];
    assert_eq!(process.env, env);
    assert_eq!(process.secret_env, [("TOKEN".to_owned(), Secret::new("s3cret"))]);
    bench.write("{}");
    let told = bench.open().fill(&mut bench.unit.program.clone()).expect_err("no input");
    assert!(told.contains("input has no value"), "{told}");
    assert!(bench.open().check_values()[0].to_string().contains("input is missing"));
    assert!(bench.open().view(Some(&form.values())).pending && !form.view(Some(&form.values())).pending);
}

#[test]
fn the_schema_is_one_of_json_schema() {
    let bench = Bench::new();
    let form = bench.unit.form.as_ref().expect("a form");
    let schema = schema(form, "A");
    let properties = &schema["properties"];
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["required"], serde_json::json!(["input"]));
    assert_eq!(schema["x-order"][1], "workers");
    let workers = serde_json::json!({"title": "workers", "type": "integer", "minimum": 1, "maximum": 16, "default": 4});
    assert_eq!(properties["workers"], workers);
    assert_eq!(properties["level"]["enum"], serde_json::json!(["INFO", "DEBUG"]));
    assert_eq!(
        (&properties["token"]["writeOnly"], &properties["name"]["pattern"]),
        (&true.into(), &"^(?:[a-z]+)$".into())
    );
    assert_eq!(properties["input"]["x-must"], "read_folder");
}

/// A full disk: the file is on a file system of its own that holds less than the change.
#[test]
fn a_full_disk_leaves_the_file_as_it_was() {
    let bench = Bench::new();
    bench.write("{\"input\": \"/\", \"workers\": 2}");
    let before = bench.text();
    // In a process of its own: the limit of the size of files cannot be taken back.
    let exe = std::env::current_exe().expect("this program");
    let name = "units::forms::tests::writes_beyond_a_limit";
    let out = std::process::Command::new("/bin/sh")
        .args(["-c", "ulimit -f 0; trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(exe)
        .args(["--exact", name, "--nocapture"])
        .env("FORM_FOLDER", bench.folder.path())
        .output()
        .expect("runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    assert_eq!(bench.text(), before);
    assert_eq!(bench.names(), ["a.json"], "no half-written file stays");
}

/// The other half of the test above; nothing by itself.
#[test]
fn writes_beyond_a_limit() {
    let Some(folder) = std::env::var_os("FORM_FOLDER") else { return };
    let services = services_of(SERVICE, Path::new(&folder), &|_| None).expect("good");
    let mut form = FormStore::open(&services.units[0]).expect("a form").expect("readable");
    let told = form.begin(&patch(&[("workers", number(3))]), true).expect_err("no room");
    assert!(matches!(&told, UnitError::Io(words) if words.contains("cannot write")), "{told:?}");
    assert!(!form.is_on_trial() && form.values()["workers"] == Value::Integer(2));
}
