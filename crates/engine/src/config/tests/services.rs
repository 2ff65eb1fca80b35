//! The file of services: what it may say, the slips that it tells, and the example that is shipped.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::unit::form::{Goes, KeyType, Value};
use model::unit::spec::{HealthSource, Limit, Measure, Policy, Program, QueueSource, ReadyCheck, Unit};

use super::{check_list, env, lines};
use crate::config::{Services, ServicesFile, check_services, services_default, services_of};

const SECOND: Duration = Duration::from_secs(1);

#[track_caller]
fn good(text: &str) -> Services {
    services_of(text, Path::new("/base"), &env).unwrap_or_else(|p| panic!("{}\n---\n{text}", lines(&p)))
}

#[track_caller]
fn one(rest: &str) -> Unit {
    let all = good(&format!("services:\n  a:\n    process: {{argv: [/bin/true]}}\n{rest}"));
    (*all.units[0]).clone()
}

#[test]
fn the_smallest_service_has_the_defaults_of_production() {
    let all = good("services: {a: {process: {argv: [/bin/true]}}}");
    assert_eq!(lines(&all.warnings), "");
    let unit = &all.units[0];
    assert_eq!((unit.id.as_str(), unit.name.as_str(), unit.enabled, unit.autostart), ("a", "a", true, true));
    let Program::Process(process) = &unit.program else { panic!("a process") };
    assert_eq!((process.argv.as_slice(), process.cwd.as_path()), (&["/bin/true".to_owned()][..], Path::new("/")));
    let restart = &unit.restart;
    assert_eq!((restart.policy, restart.first, restart.longest), (Policy::OnFailure, SECOND, 60 * SECOND));
    assert_eq!((restart.limit, restart.limit_within, restart.steady), (5, 600 * SECOND, 60 * SECOND));
    assert!((restart.factor - 2.0).abs() < f64::EPSILON && (restart.jitter - 0.2).abs() < f64::EPSILON);
    assert_eq!((unit.ready.as_slice(), unit.ready_within), (&[ReadyCheck::Stays(SECOND)][..], 60 * SECOND));
    assert_eq!((unit.stop.signal, unit.stop.grace), ("TERM", 10 * SECOND));
    assert_eq!((unit.heal.restart, unit.heal.cool_down, unit.heal.per_hour), (true, 60 * SECOND, 6));
    assert_eq!((unit.logs.file_bytes, unit.logs.files), (10 << 20, 5));
    assert!(unit.form.is_none() && unit.queue.is_none() && unit.fallback.is_none());
    assert!(good("# nothing yet\n").units.is_empty() && good("services:\n").units.is_empty());
    assert_eq!(one("    ready: []\n").ready, []);
}

#[test]
fn a_process_is_read_whole() {
    let text = "\
services:
  a:
    process:
      argv: [/bin/true, --password-file, /x]
      cwd: work
      env: {MODE: fast}
      secret_env: {TOKEN: '${CAM_PASSWORD}'}
      user: '0'
      run_group: 0
      more_groups: []
      umask: 027
      limits: {open_files: 4096, core: 0, address_space: 4GiB, cpu_time: 1h}
      pid_file: state/a.pid
    restart: {policy: always, success: [3, 143], limit: 0}
    ready:
      - {tcp: '[::1]:8554'}
      - {http: 'http://u:s3cr3t-pass@h/ready'}
      - {log: 'listening on [0-9]+'}
      - {target: door}
    health:
      - {http: 'https://h/', every: 5s, timeout: 1s, fails: 2, start_period: 0s}
      - {exec: check_a}
      - {heartbeat: state/beat, max_age: 30s}
      - {output: 10m}
      - {target: door}
    budgets:
      - {measure: memory, most: 8GiB}
      - {measure: cpu, most: 150%, during: 5m, restart: true}
      - {measure: threads, most: 100}
    queue: {file: state/queue.json, max_age: 10s}
";
    let all = good(text);
    assert!(!format!("{all:?}").contains("s3cr3t"), "no secret in what is printed");
    let unit = &all.units[0];
    let Program::Process(process) = &unit.program else { panic!("a process") };
    assert_eq!(process.cwd, Path::new("/base/work"));
    assert_eq!(process.pid_file.as_deref(), Some(Path::new("/base/state/a.pid")));
    assert_eq!(process.secret_env[0].1.expose(), "s3cr3t-pass");
    assert_eq!(process.user.as_ref().map(|o| (o.uid, o.gid)), Some((0, 0)));
    assert_eq!(process.umask, Some(0o027));
    let limits = [(Limit::OpenFiles, 4096), (Limit::AddressSpace, 4 << 30), (Limit::Core, 0), (Limit::CpuTime, 3600)];
    assert_eq!(process.limits, limits);
    assert_eq!((unit.ready.len(), unit.health.len(), unit.restart.limit), (4, 5, 0));
    assert_eq!(unit.restart.success, [3, 143]);
    assert!(
        matches!(&unit.health[2].what, HealthSource::Heartbeat(file, age) if file == Path::new("/base/state/beat") && *age == 30 * SECOND)
    );
    assert_eq!(unit.health[0].start_period, Duration::ZERO);
    let most: Vec<_> = unit.budgets.iter().map(|b| (b.measure, b.most, b.restart)).collect();
    let wanted =
        [(Measure::Memory, 8_589_934_592.0, false), (Measure::Cpu, 150.0, true), (Measure::Threads, 100.0, false)];
    assert_eq!(most, wanted);
    assert!(
        matches!(&unit.queue.as_ref().expect("a queue").source, QueueSource::File { file, .. } if file == Path::new("/base/state/queue.json"))
    );
    assert_eq!(
        lines(&all.warnings),
        "line 5, column 12: services.a.process.cwd: there is no folder /base/work (make it before the service starts)"
    );
}

#[test]
fn a_container_is_read_whole_and_its_fallback_too() {
    let text = "\
services:
  a:
    kind: docker
    fallback: true
    process: {argv: [/bin/true]}
    docker:
      container: contimg-stream
      socket: /run/docker.sock
      create:
        image: ghcr.io/x/y:1
        argv: [serve, --n=3]
        env: {A: b}
        mounts:
          - {source: /, target: /data, read_only: true}
        ports:
          - {host: 8080}
          - {host: 8080, container: 80, protocol: udp, ip: 0.0.0.0}
        memory: 2GiB
        cpus: 1.5
        pids: 100
    health:
      - {container: true}
";
    let unit = (*good(text).units[0]).clone();
    assert!(unit.fallback.is_some());
    let Program::Container(container) = &unit.program else { panic!("a container") };
    let create = container.create.as_ref().expect("created");
    assert_eq!(
        (create.memory, create.millicpus, create.pids, create.pull),
        (Some(2 << 30), Some(1500), Some(100), true)
    );
    assert_eq!(
        create.ports.iter().map(|p| (p.ip.to_string(), p.host, p.container, p.protocol)).collect::<Vec<_>>(),
        [("127.0.0.1".to_owned(), 8080, 8080, "tcp"), ("0.0.0.0".to_owned(), 8080, 80, "udp")]
    );
    assert!(create.mounts[0].read_only);
}

#[test]
fn what_is_there_decides_where_the_kind_is_to_be_detected() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "services: {a: {kind: detect, detect_by: [compose.yaml], fallback: true, process: {argv: [/bin/true]}, docker: {container: c}}}";
    let read = || services_of(text, folder.path(), &env).expect("good").units[0].clone();
    assert!(matches!(read().program, Program::Process(_)) && read().fallback.is_none());
    std::fs::write(folder.path().join("compose.yaml"), "").expect("written");
    assert!(matches!(read().program, Program::Container(_)) && read().fallback.is_some());
    let explicit = text.replace("kind: detect, detect_by: [compose.yaml], fallback: true", "kind: process");
    let said = services_of(&explicit, folder.path(), &env).expect("good");
    assert!(matches!(said.units[0].program, Program::Process(_)), "what the file says wins");
}

/// A service `a` with these further keys; gives exactly these problems.
#[track_caller]
fn refused(rest: &str, expected: &[&str]) {
    let text = format!("services: {{a: {{process: {{argv: [/bin/true]}}, {rest}}}}}");
    refused_file(&text, expected);
}

#[track_caller]
fn refused_file(text: &str, expected: &[&str]) {
    let told = services_of(text, Path::new("/base"), &env).expect_err(text);
    check_list(text, &told, expected);
}

#[test]
fn every_slip_is_told_with_its_place() {
    for (rest, words) in [
        ("nam: x", "did you mean name?"),
        ("needs: [a]", "a needs itself"),
        ("needs: [b]", "there is no service b"),
        ("kind: docker", "the section `docker` is missing"),
        ("kind: podman", "\"podman\" is not accepted here"),
        ("docker: {container: c}", "no `kind` says which one runs"),
        ("fallback: true", "a process needs no fallback"),
        ("detect_by: [/x]", "goes with `kind: detect`"),
        ("restart: {first: 2m}", "the first pause is longer"),
        ("restart: {policy: sometimes}", "accepted: always, on_failure, never"),
        ("restart: {factor: 0.5}", "out of range"),
        ("ready: [{}]", "one of stays, tcp, http, log, target is missing"),
        ("ready: [{tcp: 'h:1', stays: 1s}]", "it has stays and tcp"),
        ("ready: [{tcp: h}]", "no host with a port"),
        ("ready: [{tcp: '::1:80'}]", "no host with a port"),
        ("ready: [{http: 'ftp://h/'}]", "no http or https URL"),
        ("ready: [{log: '('}]", "no regular expression"),
        ("ready: [{target: 'A B'}]", "an id consists of"),
        ("health: [{container: true}]", "no health check of a container engine"),
        ("health: [{tcp: 'h:1', max_age: 1m}]", "max_age has no effect with tcp"),
        ("health: [{exec: '/bin/x y'}]", "cannot name a command"),
        ("budgets: [{measure: memory, most: lots}]", "no bound of memory"),
        ("budgets: [{measure: cpu, most: 0}]", "no bound of cpu"),
        ("budgets: [{measure: disk, most: 1}]", "accepted: cpu, memory"),
        ("stop: {signal: KILL}", "\"KILL\" is not accepted here"),
        ("logs: {file_size: 1KiB}", "out of range"),
        ("queue: {every: 5s}", "one of sqlite, http, command, file is missing"),
        ("queue: {sqlite: {file: x, counts: 'DELETE FROM q'}}", "this is no query"),
        ("queue: {command: c, member: x}", "member has no effect with command"),
        ("queue: {sqlite: {file: x}}", "counts is missing"),
        ("targets: ['Ü']", "an id consists of"),
    ] {
        refused(rest, &[words]);
    }
}

#[test]
fn every_slip_of_what_runs_is_told() {
    let process = |keys: &str| format!("services: {{a: {{process: {{{keys}}}}}}}");
    for (keys, words) in [
        ("argv: []", "there is no program"),
        ("argv: [true]", "no whole path of a program"),
        ("argv: ['/bin/{x}']", "no whole path of a program"),
        ("cwd: /", "argv is missing"),
        ("argv: [/bin/true], user: nobody-by-this-name", "there is no user"),
        ("argv: [/bin/true], run_group: '0'", "run_group without user"),
        ("argv: [/bin/true], umask: '099'", "no umask"),
        ("argv: [/bin/true], env: {'A B': c}", "cannot name a variable"),
        ("argv: [/bin/true], env: {A: b}, secret_env: {A: c}", "A stands in env too"),
        ("argv: [/bin/true], limits: {files: 3}", "unknown key files"),
        ("argv: [/bin/true], pid_file: ''", "this is no path"),
        ("argv: [/bin/true], shell: true", "unknown key shell"),
    ] {
        refused_file(&process(keys), &[words]);
    }
    let docker = |keys: &str| format!("services: {{a: {{docker: {{{keys}}}}}}}");
    for (keys, words) in [
        ("socket: /x", "container is missing"),
        ("container: 'a/b'", "cannot name a container"),
        ("container: c, create: {}", "image is missing"),
        ("container: c, create: {image: 'a b'}", "cannot name an image"),
        (
            "container: c, create: {image: i, ports: [{host: 80}, {host: 80}]}",
            "port 80 of 127.0.0.1 stands at items 0 and 1",
        ),
        ("container: c, create: {image: i, ports: [{host: 80, ip: here}]}", "is no address"),
        ("container: c, create: {image: i, mounts: [{source: /, target: x}]}", "is no whole path"),
    ] {
        refused_file(&docker(keys), &[words]);
    }
    refused_file("services: {a: {}}", &["nothing says what runs"]);
    refused_file("services: {a: 3}", &["services.a: expected a mapping, found a whole number"]);
    refused_file("services: {a: }", &["the service is empty"]);
    refused_file("services: {Ab: {process: {argv: [/bin/true]}}}", &["cannot name a service"]);
    refused_file("service: {}", &["did you mean services?"]);
    refused_file("services: [a]", &["expected a mapping"]);
}

#[test]
fn every_slip_of_a_form_is_told() {
    let form = |keys: &str| format!("form: {{file: f.json, keys: {{k: {{{keys}}}}}}}");
    for (keys, words) in [
        ("type: int", "accepted: text, secret, integer"),
        ("type: integer, default: x", "\"x\" is not a whole number"),
        ("type: integer, min: 1, max: 32, default: 33", "33 is out of range, accepted: 1 to 32"),
        ("type: integer, min: 0.5", "0.5 is no whole number"),
        ("type: number, min: 3, max: 2", "max 2 is less than min 3"),
        ("type: text, min: 3", "min has no effect with the type text"),
        ("type: bool, enum: [a]", "enum has no effect"),
        ("enum: [INFO, DEBUG], default: INF", "did you mean INFO?"),
        ("pattern: '('", "no regular expression"),
        ("pattern: '[a-z]+', default: 'A'", "not of the form"),
        ("type: path, must: exist", "accepted: nothing, read_folder"),
        ("type: secret, to: {option: --key}", "every user of a machine can read the arguments"),
        ("type: secret, to: {argument: true}", "every user of a machine can read the arguments"),
        ("to: {env: 'A B'}", "cannot name a variable"),
        ("to: {option: ''}", "is no option"),
        ("to: {argument: true}", "{k} stands in none"),
        ("to: {opt: x}", "unknown key opt"),
    ] {
        let text = format!("services: {{a: {{process: {{argv: [/bin/true]}}, {}}}}}", form(keys));
        let told = services_of(&text, Path::new("/base"), &env).expect_err(&text);
        assert!(lines(&told).contains(words), "{text}\n{}", lines(&told));
    }
    refused("form: {file: /, keys: {k: {}}}", &["is a folder"]);
    refused("form: {keys: {k: {}}}", &["file is missing"]);
    let both = "services: {a: {process: {argv: [/bin/true, '{k}', '{other}']}, form: {file: f, keys: {k: {to: {argument: true}}}}}}";
    refused_file(both, &["{other} stands in the arguments and is no key"]);
    let taken =
        "services: {a: {process: {argv: [/bin/true], env: {A: b}}, form: {file: f, keys: {k: {to: {env: A}}}}}}";
    refused_file(taken, &["A is set by the service's own env too"]);
    let braces = "services: {a: {process: {argv: [/bin/true, '{}']}, form: {file: f, keys: {k: {to: {option: -k}}}}}}";
    good(braces);
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_file() {
    let text = "\
services:
  a:
    procces: {}
    process: {argv: [true]}
  b:
    process: {argv: [/bin/true], umask: x}
    needs: [c]
    restart: {limit: -1}
";
    let expected = [
        "line 3, column 5: services.a.procces: unknown key procces (did you mean process?)",
        "line 4, column 21: services.a.process.argv: \"true\" is no whole path of a program",
        "line 6, column 41: services.b.process.umask: \"x\" is no umask",
        "line 8, column 22: services.b.restart.limit: -1 is out of range",
    ];
    refused_file(text, &expected);
}

#[test]
fn what_cannot_start_first_is_told_once() {
    let unit = |id: &str, needs: &str| format!("  {id}: {{process: {{argv: [/bin/true]}}, needs: [{needs}]}}\n");
    let text = format!("services:\n{}{}{}{}", unit("x", "a"), unit("a", "b"), unit("b", "c"), unit("c", "a"));
    refused_file(&text, &["services.a.needs: none of these could start first: a -> b -> c -> a"]);
    // A chain of a thousand is no circle, and no stack is used up by it.
    let long: String = (0..1000)
        .map(|i| unit(&format!("u{i}"), &if i < 999 { format!("u{}", i + 1) } else { String::new() }))
        .collect();
    assert_eq!(good(&format!("services:\n{long}")).units.len(), 1000);
}

#[test]
fn values_of_the_environment_stay_out_of_messages() {
    refused("restart: {policy: '${CAM_PASSWORD}'}", &["${CAM_PASSWORD}"]);
    refused("form: {file: f, keys: {k: {type: integer, default: '${CAM_PASSWORD}'}}}", &["is not a whole number"]);
    refused("name: '${NOT_SET}'", &["the environment variable NOT_SET is not set"]);
}

#[test]
fn programs_that_are_not_there_are_warnings() {
    let told = |argv: &str| lines(&good(&format!("services: {{a: {{process: {{argv: [{argv}]}}}}}}")).warnings);
    assert!(
        told("/no/such/program").contains("/no/such/program cannot be run: No such file"),
        "{}",
        told("/no/such/program")
    );
    assert!(told("/etc/passwd").contains("it is not executable") && told("/etc").contains("it is a folder"));
    assert_eq!(told("/bin/true"), "");
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = services_default(&folder.path().join("streampulse.yaml"));
    assert_eq!(file, folder.path().join("services.yaml"));
    let read = |named| ServicesFile { path: file.clone(), named }.read(&env);
    assert_eq!(read(false).map(|s| s.units.len()), Ok(0), "no file, no services");
    assert!(lines(&read(true).expect_err("named")).contains("there is no file"));
    std::fs::write(&file, "services: {a: {process: {argv: [/bin/true]}}}").expect("written");
    for (mode, refused) in [(0o600, false), (0o644, false), (0o664, true), (0o646, true)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("mode");
        let told = read(false).map(|s| s.units.len()).map_err(|p| lines(&p));
        assert_eq!(told.is_err(), refused, "{mode:o}: {told:?}");
        assert!(!refused || told.expect_err("refused").contains("chmod go-w"));
    }
}

/// The shipped example: the streaming converter of the DSA-110 pipeline with its sixteen settings.
#[test]
fn the_shipped_example_loads_and_is_the_seed() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/services.example.yaml");
    let text = std::fs::read_to_string(path).expect("the example");
    let load = |set: &dyn Fn(&str) -> Option<String>| {
        services_of(&text, Path::new("/srv"), set).unwrap_or_else(|p| panic!("{}", lines(&p)))
    };
    let all = load(&|_| None);
    let unit = &all.units[0];
    assert_eq!((all.units.len(), unit.id.as_str(), unit.autostart), (1, "streaming", false));
    let form = unit.form.as_ref().expect("a form");
    assert_eq!(form.file, Path::new("/srv/state/streaming_config.json"));
    let text = |value: &str| Some(Value::Text(value.to_owned()));
    let wanted = [
        ("input_dir", text("/data/incoming")),
        ("output_dir", text("/stage/dsa110-contimg/raw/ms")),
        ("queue_db", text("state/db/ingest.sqlite3")),
        ("registry_db", text("state/db/cal_registry.sqlite3")),
        ("scratch_dir", text("/stage/dsa110-contimg")),
        ("expected_subbands", Some(Value::Integer(16))),
        ("chunk_duration", Some(Value::Number(5.0))),
        ("log_level", text("INFO")),
        ("use_subprocess", Some(Value::Bool(true))),
        ("monitoring", Some(Value::Bool(true))),
        ("monitor_interval", Some(Value::Number(60.0))),
        ("poll_interval", Some(Value::Number(5.0))),
        ("worker_poll_interval", Some(Value::Number(5.0))),
        ("max_workers", Some(Value::Integer(4))),
        ("stage_to_tmpfs", Some(Value::Bool(false))),
        ("tmpfs_path", text("/dev/shm")),
    ];
    let found: Vec<_> = form.keys.iter().map(|key| (key.name.as_str(), key.default.clone())).collect();
    assert_eq!(found, wanted);
    assert_eq!(form.keys[5].ty, KeyType::Integer { min: 1, max: 32 });
    assert_eq!(form.keys[0].to, [Goes::Option("--input-dir".to_owned())]);
    assert_eq!(form.keys.iter().filter(|key| key.required).count(), 2);
    let Some(QueueSource::Sqlite { file, queries }) = unit.queue.as_ref().map(|q| &q.source) else { panic!("a queue") };
    assert_eq!(file, Path::new("/srv/state/db/ingest.sqlite3"));
    assert!(queries.rate_per_hour.is_some() && queries.oldest_waiting.is_some() && queries.stuck.is_some());
    // The variables that the original knows are its defaults here.
    let set = load(&|name| match name {
        "PIPELINE_STATE_DIR" => Some("/var/lib/contimg".to_owned()),
        "CONTIMG_EXPECTED_SUBBANDS" => Some("8".to_owned()),
        "CASA6_PYTHON" => Some("/bin/true".to_owned()),
        _ => None,
    });
    let form = set.units[0].form.as_ref().expect("a form");
    assert_eq!(form.file, Path::new("/var/lib/contimg/streaming_config.json"));
    assert_eq!(form.keys[5].default, Some(Value::Integer(8)));
}

#[test]
fn the_examples_of_the_guide_load() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/services.md");
    let guide = std::fs::read_to_string(path).expect("the guide");
    let mut seen = 0;
    for block in guide.split("```yaml\n").skip(1).filter(|block| block.starts_with("services:")) {
        // Whoever runs the test has no user of that name.
        let text = block.split("```").next().unwrap_or_default().replace("user: restream", "user: '0'");
        let loaded = services_of(&text, Path::new("/srv"), &env);
        assert!(loaded.is_ok(), "{text}\n{}", lines(&loaded.err().unwrap_or_default()));
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn what_the_other_files_do_not_know_is_a_warning() {
    let text = "services: {a: {process: {argv: [/bin/true]}, targets: [dor], ready: [{target: door}], health: [{target: gone}, {exec: c}], queue: {command: d}}}";
    let config = super::good("targets: [{name: door, url: 'http://h/'}]");
    let commands = crate::config::commands_of("commands: {c: {argv: [/bin/true]}}", &env).expect("good");
    let told = check_services(&good(text), &config, Some(&commands));
    check_list(
        text,
        &told,
        &[
            "services.a.targets: the configuration has no target dor (did you mean door?)",
            "services.a.health[0].target: the configuration has no target gone (add it",
            "services.a.queue.command: there is no command \"d\"; did you mean c?",
        ],
    );
    assert_eq!(check_services(&good(text), &config, None).len(), 2);
}
