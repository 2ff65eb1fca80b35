//! The kind `host`: recorded machines, bounds, and a machine that does not answer. The trees stand in `testdata/host`.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use model::conf::{Node, Value};
use model::observation::Observation;
use model::reading::{FactValue, Severity, fact as key};
use model::target::Target;
use model::verdict::{Grade, judge};
use net::clock::SystemClock;
use probe::kind::Probe;
use probe::run::Prober;
use support::{fact, outcome, words};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

fn text(value: &str) -> Value {
    Value::Str(value.to_owned())
}

fn list(names: &[&str]) -> Value {
    Value::List(names.iter().map(|name| Node::bare(text(name))).collect())
}

fn of(name: &str, number: i64) -> Value {
    Value::Map(vec![(name.to_owned(), Node::bare(Value::Int(number)))])
}

/// A copy of a recorded machine that a test may change.
fn machine(name: &str) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a recorded machine").map(|entry| entry.expect("an entry")) {
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).expect("copied");
            }
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/host").join(name), folder.path());
    folder
}

fn target(machine: &TempDir, options: &[(&str, Value)]) -> Target {
    let mut target = support::target("host://local", &[]);
    target.options.0.insert("root".to_owned(), text(machine.path().to_str().expect("a plain path")));
    target.options.0.extend(options.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    target
}

async fn look(target: &Target, probe: &dyn Probe) -> Observation {
    Prober::new(Arc::new(SystemClock::new())).observe(target, probe, &CancellationToken::new()).await
}

/// The last of two looks, between which the machine worked.
async fn looks(machine: &TempDir, options: &[(&str, Value)], work: impl FnOnce(&Path)) -> Observation {
    let target = target(machine, options);
    let probe = probe::kind::build(&target).expect("good options");
    let first = look(&target, &*probe).await;
    assert_eq!(outcome(&first), "up", "{:?}", first.look);
    work(machine.path());
    look(&target, &*probe).await
}

fn rewrite(folder: &Path, file: &str, old: &str, new: &str) {
    let text = fs::read_to_string(folder.join(file)).expect(file);
    assert!(text.contains(old), "{file} holds {old}");
    fs::write(folder.join(file), text.replacen(old, new, 1)).expect("written");
}

fn number(seen: &Observation, key: &str) -> f64 {
    match seen.look.reading.facts.get(key) {
        Some(FactValue::Num(value)) => *value,
        other => panic!("{key} is {other:?}: {:?}", seen.look),
    }
}

/// Names of the rows of a fact.
fn rows(seen: &Observation, key: &str) -> Vec<String> {
    match seen.look.reading.facts.get(key) {
        Some(FactValue::Rows(rows)) => rows.iter().map(|row| row.name.clone()).collect(),
        other => panic!("{key} is {other:?}: {:?}", seen.look),
    }
}

fn cell(seen: &Observation, key: &str, row: &str, cell: &str) -> f64 {
    let Some(FactValue::Rows(rows)) = seen.look.reading.facts.get(key) else { panic!("{key}: {:?}", seen.look) };
    let row = rows.iter().find(|found| found.name == row).expect(row);
    match row.cells.get(cell) {
        Some(FactValue::Num(value)) => *value,
        Some(FactValue::Int(value)) => *value as f64,
        other => panic!("{cell} is {other:?}"),
    }
}

/// Names of the findings that are more than notes.
fn found(seen: &Observation) -> Vec<(&'static str, Severity)> {
    let grave = seen.look.reading.findings.iter().filter(|finding| finding.severity != Severity::Note);
    grave.map(|finding| (finding.name, finding.severity)).collect()
}

/// Ten seconds of work: of 4000 ticks 2000 were idle, 400 waited for disks, 200 were stolen.
fn work(folder: &Path) {
    rewrite(
        folder,
        "proc/stat",
        "cpu  40000 1000 20000 800000 9000 500 1500 3000",
        "cpu  40900 1100 20200 802000 9400 600 1600 3200",
    );
    rewrite(folder, "proc/1/net/dev", "eth0: 900000000", "eth0: 901000000");
    rewrite(folder, "proc/diskstats", "sda 90000 1000 4000000", "sda 90000 1000 4002000");
}

#[tokio::test]
async fn a_server_tells_all_about_itself() {
    let seen = looks(&machine("server"), &[("warn_disk", Value::Int(100))], work).await;
    assert_eq!((outcome(&seen).as_str(), found(&seen)), ("up", vec![]), "{:?}", seen.look);
    for (key, expected) in [
        (key::HOST_NAME, "encoder-7"),
        (key::KERNEL, "6.1.0-13-amd64"),
        (key::SCOPE, "the whole machine"),
        (key::CPUS, "4"),
        (key::UPTIME_S, "864000"),
        (key::MEMORY_SIZE_BYTES, "16384000000"),
        (key::MEMORY_USED_BYTES, "12288000000"),
        (key::SWAP_SIZE_BYTES, "2048000000"),
        (key::OWN_MEMORY_BYTES, "20971520"),
        (key::OWN_THREADS, "7"),
    ] {
        assert_eq!(fact(&seen, key), expected, "{key}");
    }
    for (key, expected) in [
        (key::CPU_USED_RATIO, 0.4),
        (key::CPU_USER_RATIO, 0.25),
        (key::CPU_SYSTEM_RATIO, 0.05),
        (key::CPU_IOWAIT_RATIO, 0.1),
        (key::CPU_IRQ_RATIO, 0.05),
        (key::CPU_STEAL_RATIO, 0.05),
        (key::LOAD_1, 3.2),
        (key::LOAD_5, 2.0),
        (key::LOAD_15, 1.1),
        (key::MEMORY_USED_RATIO, 0.75),
        (key::SWAP_USED_RATIO, 0.25),
    ] {
        assert_eq!(number(&seen, key), expected, "{key}: {:?}", seen.look);
    }
}

#[tokio::test]
async fn rows_are_what_people_look_for() {
    let seen = looks(&machine("server"), &[("warn_disk", Value::Int(100))], work).await;
    // Partitions, drives without a medium and mounted files are no disks; a second mount of a device is none of its own.
    assert_eq!(rows(&seen, key::DISKS), ["dm-0", "sda"]);
    assert!(cell(&seen, key::DISKS, "sda", key::READ_BYTES_PER_S) > 0.0);
    assert_eq!(rows(&seen, key::FILE_SYSTEMS), ["/", "/boot", "/srv/my recordings"]);
    let used = cell(&seen, key::FILE_SYSTEMS, "/boot", key::USED_RATIO);
    assert!((0.0..=1.0).contains(&used) && cell(&seen, key::FILE_SYSTEMS, "/", key::SIZE_BYTES) > 0.0);
    // Neither the loop, nor the end of a container, nor one that never carried anything.
    assert_eq!(rows(&seen, key::INTERFACES), ["eth0"]);
    let rate = cell(&seen, key::INTERFACES, "eth0", key::IN_BPS);
    assert!(rate > 0.0 && cell(&seen, key::INTERFACES, "eth0", key::OUT_BPS) == 0.0, "{rate}");
    let names = ["coretemp Package id 0", "coretemp temp2", "nvme Composite", "nvme Composite #2"];
    assert_eq!(rows(&seen, key::TEMPERATURES), names, "a sensor at -128 °C is not connected");
    assert_eq!(cell(&seen, key::TEMPERATURES, names[0], key::TEMPERATURE_C), 61.0);
    assert_eq!(cell(&seen, key::TEMPERATURES, names[0], key::CRITICAL_C), 100.0);
}

#[tokio::test]
async fn a_container_is_told_by_its_limits() {
    let seen = looks(&machine("container"), &[("warn_disk", Value::Int(100))], |folder| {
        rewrite(folder, "sys/fs/cgroup/cpu.stat", "usage_usec 5000000", "usage_usec 5000001");
    })
    .await;
    assert!(
        fact(&seen, key::SCOPE).starts_with("a container with 512 MiB of memory and 1.50 processors"),
        "{:?}",
        seen.look
    );
    assert_eq!(fact(&seen, key::MEMORY_SIZE_BYTES), "536870912");
    // What can be thrown away at once is not in use.
    assert_eq!(fact(&seen, key::MEMORY_USED_BYTES), "268435456");
    assert_eq!(number(&seen, key::CPU_LIMIT), 1.5);
    assert!(number(&seen, key::CPU_USED_RATIO) < 0.001, "of the container, and not of the machine");
    // The overlay on the root counts, a single file that is mounted does not.
    assert_eq!(rows(&seen, key::FILE_SYSTEMS), ["/", "/data"]);
    assert_eq!(rows(&seen, key::TEMPERATURES), ["cpu-thermal thermal_zone0"]);
    let seen = looks(&machine("container_v1"), &[("warn_disk", Value::Int(100))], |_| ()).await;
    assert!(fact(&seen, key::SCOPE).starts_with("a container with 256 MiB of memory;"), "{:?}", seen.look);
    assert_eq!(number(&seen, key::MEMORY_USED_RATIO), 0.5);
}

async fn check_bound(
    options: Vec<(&'static str, Value)>,
    mut expected: Vec<(&'static str, Severity)>,
    says: &'static str,
) {
    let machine = machine("server");
    let seen = looks(&machine, &options, work).await;
    let kept = found(&seen);
    // How many files the disk of this machine could hold, nobody knows: some set no limit.
    expected.retain(|finding| finding.0 != "files_full" || kept.contains(finding));
    assert_eq!(kept, expected, "{options:?}: {:?}", seen.look);
    let verdict = judge(&target(&machine, &[]).expect, &seen);
    assert!(verdict.headline().contains(says), "{options:?}: {verdict:?}");
    let worst = expected.iter().map(|(_, severity)| *severity).max();
    let grade = match worst {
        Some(Severity::Failure) => Grade::Fail,
        Some(_) => Grade::Warn,
        None => Grade::Pass,
    };
    assert_eq!(verdict.grade, grade, "{options:?}");
}

#[tokio::test]
async fn bounds_warn_and_fail_with_the_actual_value() {
    let (warning, failure) = (Severity::Warning, Severity::Failure);
    let int = Value::Int;
    let mut cases = JoinSet::new();
    for (options, expected, says) in [
        (vec![("warn_cpu", int(40))], vec![("cpu_high", warning)], "in use by 40 %, the bound is 40 %"),
        (vec![("warn_cpu", int(30)), ("fail_cpu", int(40))], vec![("cpu_high", failure)], "the bound is 40 %"),
        (vec![("warn_cpu", int(41))], vec![], ""),
        (vec![("fail_memory", int(75))], vec![("memory_high", failure)], "memory is in use by 75 %"),
        (vec![("warn_swap", int(25))], vec![("swap_high", warning)], "swap is in use by 25 %"),
        (vec![("warn_load", Value::Float(0.5))], vec![("load_high", warning)], "0.50 per processor"),
        (vec![("fail_disk_of", of("/boot", 0))], vec![("disk_full", failure), ("files_full", failure)], "/boot is "),
        (
            vec![("warn_disk_of", of("/nowhere", 99))],
            vec![("mount_missing", failure)],
            "nothing is mounted on /nowhere",
        ),
        (vec![("mounts", list(&["/boot", "/gone"]))], vec![("mount_missing", failure)], "nothing is mounted on /gone"),
        (vec![("warn_temperature", int(61))], vec![("temperature_high", warning)], "Package id 0 is at 61.0 °C"),
        (vec![("interfaces", list(&["eth0", "eth7"]))], vec![("interface_missing", failure)], "no interface eth7"),
        (vec![("interfaces", list(&["eth1"]))], vec![("interface_down", failure)], "eth1 is down"),
        (
            vec![("min_out_kbps", of("eth0", 1))],
            vec![("traffic_low", failure)],
            "0 kbit/s goes out on eth0, expected at least 1",
        ),
        (
            vec![("max_in_kbps", of("eth0", 1)), ("warn_max_in_kbps", of("eth0", 0))],
            vec![("traffic_high", failure)],
            "comes in on eth0, expected at most 1 kbit/s",
        ),
        (vec![("warn_max_in_kbps", of("eth0", 10_000_000))], vec![], ""),
    ] {
        let options = [vec![("warn_disk", int(100))], options].concat();
        cases.spawn(check_bound(options, expected, says));
    }
    cases.join_all().await;
    // What the maker calls critical is a warning without any bound.
    let seen = looks(&machine("server"), &[("warn_disk", Value::Int(100))], |folder| {
        rewrite(folder, "sys/class/hwmon/hwmon0/temp1_input", "61000", "100000");
    })
    .await;
    assert_eq!(found(&seen), [("temperature_critical", warning)]);
}

#[tokio::test]
async fn this_machine_is_told_without_any_setting() {
    let target = support::target("host://local", &[]);
    let probe = probe::kind::build(&target).expect("no options");
    let seen = look(&target, &*probe).await;
    assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
    // The first look takes two readings.
    assert!((0.0..=1.0).contains(&number(&seen, key::CPU_USED_RATIO)));
    assert!(number(&seen, key::MEMORY_USED_RATIO) > 0.0 && number(&seen, key::OWN_CPUS) >= 0.0);
    assert!(rows(&seen, key::FILE_SYSTEMS).contains(&"/".to_owned()));
    assert!(seen.look.phases.iter().map(|(_, took)| took).sum::<Duration>() >= Duration::from_millis(400));
}

#[tokio::test]
async fn what_hangs_is_named_and_asked_by_one_thread_only() {
    let machine = machine("server");
    let pipe = machine.path().join("proc/diskstats");
    fs::remove_file(&pipe).expect("removed");
    // Whoever opens a pipe waits until somebody writes to it, as with a file system whose server is gone.
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let mut target = target(&machine, &[]);
    target.timeout = Duration::from_millis(200);
    let probe = probe::kind::build(&target).expect("good options");
    for _ in 0..3 {
        let seen = look(&target, &*probe).await;
        assert_eq!(outcome(&seen), "timed_out (transfer)", "{:?}", seen.look);
        assert_eq!(words(&seen), "no answer from the files in /proc: it hangs");
    }
    // The one thread that waits is let go, and from then on there is only a file.
    let writer = fs::OpenOptions::new().write(true).open(&pipe).expect("somebody waits at the pipe");
    fs::remove_file(&pipe).expect("removed");
    drop(writer);
    target.timeout = Duration::from_secs(5);
    let seen = look(&target, &*probe).await;
    assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
}

#[tokio::test]
async fn a_machine_that_hides_itself_is_unknown() {
    let machine = machine("server");
    fs::remove_file(machine.path().join("proc/stat")).expect("removed");
    let target = target(&machine, &[]);
    let seen = look(&target, &*probe::kind::build(&target).expect("good options")).await;
    assert_eq!(outcome(&seen), "tool_missing (transfer)", "{:?}", seen.look);
    assert!(words(&seen).contains("ProcSubset"), "{}", words(&seen));
}

#[tokio::test]
async fn nonsense_in_the_files_is_left_out() {
    let machine = machine("server");
    for file in [
        "proc/meminfo",
        "proc/loadavg",
        "proc/uptime",
        "proc/diskstats",
        "proc/1/net/dev",
        "proc/1/mounts",
        "proc/self/stat",
    ] {
        fs::write(machine.path().join(file), b"\xff cpu : ) 1 \\0 :::\n\n:").expect("written");
    }
    fs::write(machine.path().join("proc/stat"), "cpu 1 2\n").expect("written");
    let seen = looks(&machine, &[("warn_disk", Value::Int(100))], |_| ()).await;
    assert_eq!((outcome(&seen).as_str(), found(&seen)), ("up", vec![]), "{:?}", seen.look);
    for key in [key::CPU_USED_RATIO, key::LOAD_1, key::MEMORY_SIZE_BYTES, key::UPTIME_S, key::INTERFACES, key::OWN_CPUS]
    {
        assert_eq!(fact(&seen, key), "-", "{key}");
    }
}

#[test]
fn only_this_machine_can_be_named() {
    for url in ["host://192.0.2.1", "host://local:80", "host://me@local", "host://local/x"] {
        let problems = probe::kind::build(&support::target(url, &[])).err().expect(url);
        assert!(problems[0].to_string().contains("write host://local"), "{problems:?}");
    }
    let problems = probe::kind::build(&support::target("host://local", &[("root", "proc")])).err().expect("relative");
    assert!(problems[0].to_string().contains("not absolute"), "{problems:?}");
}
