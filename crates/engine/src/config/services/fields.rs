//! The keys of the file of services, each declared once: the loader checks against these tables, and the schema and the
//! reference page are made from them. The defaults are those of a service that must run for months; each says why.

use std::time::Duration;

use model::conf::{Field, Type};
use model::target::MAX_ID_BYTES;

use super::super::fields::{TAG, TEXT};

/// Longest path or argument, in bytes (`PATH_MAX` of Linux).
const MAX_PATH_BYTES: usize = 4096;
/// Longest query on a queue, in bytes.
const MAX_QUERY_BYTES: usize = 8192;
/// Longest time that anything of a service may be told to take: what waits longer than a day is no supervision.
const DAY: Duration = Duration::from_secs(86_400);
/// Shortest pause between two starts: below this, a program that cannot run takes the machine for itself.
const LEAST_PAUSE: Duration = Duration::from_millis(100);
/// Greatest limit in bytes: beyond what any machine has.
const MOST_BYTES: u64 = 1 << 50;
/// Most open files that a limit may name (`fs.nr_open` of Linux).
const MOST_FILES: i64 = 1 << 30;

const PATH: Type = Type::Text { max: MAX_PATH_BYTES };
const ID: Type = Type::Text { max: MAX_ID_BYTES };
const WORDS: Type = Type::Text { max: 400 };
const QUERY: Type = Type::Text { max: MAX_QUERY_BYTES };
const BYTES: Type = Type::Size { min: 0, max: MOST_BYTES };

const fn between(min: Duration, max: Duration) -> Type {
    Type::Duration { min, max }
}

/// A bound of a number: all whole numbers up to it are exact.
const BOUND: Type = Type::Number { min: -1e15, max: 1e15 };
const PAUSE: Type = between(LEAST_PAUSE, DAY);
const UP_TO_A_DAY: Type = between(Duration::from_millis(1), DAY);
const EVERY: Type = between(Duration::from_secs(1), DAY);
const DEADLINE: Type = between(Duration::from_millis(100), Duration::from_secs(300));

/// Words for `kind`.
pub(in crate::config) const KINDS: &[&str] = &["process", "docker", "detect"];
/// Words for `policy`, as in `model::unit::spec::Policy`.
const POLICIES: &[&str] = &["always", "on_failure", "never"];
/// Words for `signal`.
pub(super) const SIGNALS: [&str; 6] = ["TERM", "INT", "QUIT", "HUP", "USR1", "USR2"];
/// Words for `protocol` of a port.
pub(super) const PROTOCOLS: [&str; 2] = ["tcp", "udp"];
/// Words for `measure`, as in `model::unit::spec::Measure`.
const MEASURES: &[&str] = &["cpu", "memory", "descriptors", "threads"];
/// Words for `type` of a key of a form.
pub(super) const TYPES: [&str; 6] = ["text", "secret", "integer", "number", "bool", "path"];
/// Words for `must`, as in `model::unit::form::Must`.
pub(super) const MUSTS: [&str; 4] = ["nothing", "read_folder", "write_folder", "file_in_folder"];

/// Keys of the file.
pub(in crate::config) static SERVICES: [Field; 1] = [Field::new(
    "services",
    Type::MapOf(&Type::Section(&UNIT)),
    "Services by id: lower case letters, digits, `.`, `_` and `-`. The id keys the history of a service: one that is renamed begins anew.",
)];

/// Keys of a service.
pub(in crate::config) static UNIT: [Field; 23] = [
    Field::new("name", TEXT, "Name for people. Without this key it is the id."),
    Field::new("description", WORDS, "What it does, for people.").default(""),
    Field::new("group", TEXT, "Group for people."),
    Field::new("tags", Type::List(&TAG), "Tags for people and filters."),
    Field::new("enabled", Type::Bool, "Whether it may run at all. A service that is switched off here is stopped, and no command starts it.").default("true"),
    Field::new("autostart", Type::Bool, "Whether it is started when StreamPulse meets it for the first time. Afterwards it is as the last command left it, also after a restart of the machine.").default("true"),
    Field::new("kind", Type::Choice(KINDS), "What runs: `process`, `docker`, or `detect`, which is `docker` where one of the paths in `detect_by` exists and `process` otherwise. Without this key it is what the one section of the two says."),
    Field::new("process", Type::Section(&PROCESS), "The process, with kind `process` and as fallback of a container."),
    Field::new("docker", Type::Section(&DOCKER), "The container, with kind `docker`."),
    Field::new("fallback", Type::Bool, "Whether the section `process` runs in place of the container where no container engine can be reached.").default("false"),
    Field::new("detect_by", Type::List(&PATH), "With kind `detect`: paths of which one must exist for a container, such as the compose file.").default("/.dockerenv"),
    Field::new("needs", Type::List(&ID), "Services that must run before this one starts; it is stopped before they are."),
    Field::new("targets", Type::List(&ID), "Targets of the configuration that show its output: they are not blamed while it is stopped on purpose."),
    Field::new("restart", Type::Section(&RESTART), "When it is started again after it ended by itself."),
    Field::new("ready", Type::Sections(&READY), "What must be so before it counts as started; all of it. Without this key: that it still runs after 1s, by which most slips in a configuration have shown themselves. `[]` asks for nothing."),
    Field::new("ready_within", between(Duration::from_secs(1), DAY), "Longest wait for that; then the start has failed.").default("60s"),
    Field::new("stop", Type::Section(&STOP), "How it is ended."),
    Field::new("health", Type::Sections(&HEALTH), "What says that it is well."),
    Field::new("heal", Type::Section(&HEAL), "Whether and how often bad health restarts it."),
    Field::new("budgets", Type::Sections(&BUDGET), "What it may use; acts only when exceeded for a while."),
    Field::new("logs", Type::Section(&LOGS), "How much of its output is kept."),
    Field::new("queue", Type::Section(&QUEUE), "Where the queue that it works through is counted."),
    Field::new("form", Type::Section(&FORM), "What people may set of it on the page."),
];

/// Keys of a process.
pub(in crate::config) static PROCESS: [Field; 10] = [
    Field::new("argv", Type::List(&PATH), "Program, by its whole path, and arguments, one per item. No shell reads it. `{key}` stands for the value of a key of the form whose `to` says `argument: true`; where there is such a key, `{{` and `}}` are braces.").required(),
    Field::new("cwd", PATH, "Folder in which it runs. A path that does not begin with a slash counts from the folder of this file.").default("/"),
    Field::new("env", Type::MapOf(&PATH), "Its environment. There are `PATH`, `LANG` and `LC_ALL` besides, and nothing else."),
    Field::new("secret_env", Type::MapOf(&Type::Secret), "The same for values that are masked in its output and shown nowhere."),
    Field::new("user", TEXT, "User by name or number. Without this key it is the user of StreamPulse; another takes StreamPulse to run as root."),
    Field::new("run_group", TEXT, "Group by name or number. Without this key it is the user's."),
    Field::new("more_groups", Type::List(&TEXT), "Further groups by name or number. Without this key: those in which the system lists the user."),
    Field::new("umask", Type::Text { max: 4 }, "Permissions that new files do not get, in octal digits, such as `027`."),
    Field::new("limits", Type::Section(&LIMITS), "Limits that the kernel enforces (`setrlimit`)."),
    Field::new("pid_file", PATH, "File to which its process number is written while it runs, for other tools. StreamPulse itself trusts no such file."),
];

/// Keys of the limits, as in `model::unit::spec::Limit`.
pub(in crate::config) static LIMITS: [Field; 7] = [
    Field::new("open_files", Type::Integer { min: 16, max: MOST_FILES }, "Open files."),
    Field::new(
        "processes",
        Type::Integer { min: 1, max: MOST_FILES },
        "Processes of its user, those of other services included.",
    ),
    Field::new(
        "address_space",
        Type::Size { min: 1 << 20, max: MOST_BYTES },
        "Address space of one process. Mostly far more than its memory: a budget is the better bound.",
    ),
    Field::new("core", BYTES, "Size of a core dump; 0 makes none."),
    Field::new("file_size", BYTES, "Size of a file that it writes."),
    Field::new("locked_memory", BYTES, "Locked memory."),
    Field::new(
        "cpu_time",
        between(Duration::from_secs(1), Duration::from_secs(366 * 86_400)),
        "Processor time of one process, after which the kernel ends it.",
    ),
];

/// Keys of a container.
pub(in crate::config) static DOCKER: [Field; 3] = [
    Field::new("container", TEXT, "Its name.").required(),
    Field::new("socket", PATH, "Socket of the container engine. Without this key: where engines usually listen."),
    Field::new(
        "create",
        Type::Section(&CREATE),
        "What it is made of. Without this key a container that others made is started and stopped, and never made or removed.",
    ),
];

/// Keys of a container that is made.
pub(in crate::config) static CREATE: [Field; 13] = [
    Field::new("image", TEXT, "Image by name.").required(),
    Field::new("pull", Type::Bool, "Whether an image that is not there is fetched. An image that is there is never fetched again: what runs changes only with this file.").default("true"),
    Field::new("argv", Type::List(&PATH), "Command in place of the image's. `{key}` as in a process."),
    Field::new("env", Type::MapOf(&PATH), "Environment."),
    Field::new("secret_env", Type::MapOf(&Type::Secret), "Environment whose values are masked in the output and shown nowhere."),
    Field::new("mounts", Type::Sections(&MOUNT), "Folders of this machine within the container."),
    Field::new("ports", Type::Sections(&PORT), "Ports of this machine that lead into the container."),
    Field::new("user", TEXT, "User within the container, such as `1000:1000`."),
    Field::new("cwd", PATH, "Folder within the container in which it runs."),
    Field::new("network", TEXT, "Network of the engine."),
    Field::new("memory", Type::Size { min: 6 << 20, max: MOST_BYTES }, "Memory limit."),
    Field::new("cpus", Type::Number { min: 0.01, max: 4096.0 }, "Processors, such as 1.5."),
    Field::new("pids", Type::Integer { min: 1, max: 1 << 22 }, "Most processes within the container."),
];

/// Keys of a folder within a container.
pub(in crate::config) static MOUNT: [Field; 3] = [
    Field::new(
        "source",
        PATH,
        "Folder or file of this machine; counts from the folder of this file when it does not begin with a slash.",
    )
    .required(),
    Field::new("target", PATH, "Where it is within the container.").required(),
    Field::new("read_only", Type::Bool, "Whether the container may not write to it.").default("false"),
];

/// Keys of a port.
pub(in crate::config) static PORT: [Field; 4] = [
    Field::new("host", Type::Integer { min: 1, max: 65_535 }, "Port on this machine.").required(),
    Field::new("container", Type::Integer { min: 1, max: 65_535 }, "Port within the container. Without this key it is the same."),
    Field::new("ip", TEXT, "Address on this machine. The default is reachable from this machine alone; `0.0.0.0` goes past most firewalls.").default("127.0.0.1"),
    Field::new("protocol", Type::Choice(&PROTOCOLS), "`tcp` or `udp`.").default("tcp"),
];

/// Keys of the rule of restarts.
pub(in crate::config) static RESTART: [Field; 9] = [
    Field::new("policy", Type::Choice(POLICIES), "After which ends: `always`, `on_failure` (a success is an end that was meant), `never`.").default("on_failure"),
    Field::new("success", Type::List(&Type::Integer { min: 0, max: 255 }), "Exit codes beside 0 that are a success."),
    Field::new("first", PAUSE, "Pause before the first start again: long enough for a port or a lock to come free, short enough not to be missed.").default("1s"),
    Field::new("longest", PAUSE, "Longest pause: what comes back is found within a minute.").default("60s"),
    Field::new("factor", Type::Number { min: 1.0, max: 100.0 }, "What a pause is multiplied by for the next one.").default("2"),
    Field::new("jitter", Type::Number { min: 0.0, max: 1.0 }, "Part of a pause that is random: services that fail together do not start together.").default("0.2"),
    Field::new("steady", UP_TO_A_DAY, "A run of this length makes the next pause the first again.").default("60s"),
    Field::new("limit", Type::Integer { min: 0, max: 1_000_000 }, "Starts within `limit_within` after which it is given up until somebody commands it: what failed so often fails again, and somebody should look. 0 never gives up.").default("5"),
    Field::new("limit_within", UP_TO_A_DAY, "See `limit`.").default("10m"),
];

/// Keys of a start check.
pub(in crate::config) static READY: [Field; 5] = [
    Field::new("stays", UP_TO_A_DAY, "It still runs after this long."),
    Field::new("tcp", TEXT, "A connection to this `host:port` is accepted."),
    Field::new("http", PATH, "This URL answers with a status below 400."),
    Field::new("log", Type::Text { max: 1000 }, "A line of its output matches this regular expression."),
    Field::new("target", ID, "This target of the configuration is up, by a look that began after the start."),
];

/// Keys of how it is ended.
pub(in crate::config) static STOP: [Field; 2] = [
    Field::new("signal", Type::Choice(&SIGNALS), "The first signal, to the whole group of processes.").default("TERM"),
    Field::new("grace", between(Duration::ZERO, Duration::from_secs(3600)), "Longest wait until everything of it is killed. The default is that of container engines; a program that must finish its work wants more.").default("10s"),
];

/// Keys of a health check.
pub(in crate::config) static HEALTH: [Field; 12] = [
    Field::new("http", PATH, "This URL answers with a status below 400."),
    Field::new("tcp", TEXT, "A connection to this `host:port` is accepted."),
    Field::new("exec", ID, "This command of the file of commands ends with 0."),
    Field::new("heartbeat", PATH, "This file was written within `max_age`."),
    Field::new("output", UP_TO_A_DAY, "A line of output came within this time."),
    Field::new("target", ID, "This target of the configuration is not down."),
    Field::new("container", Type::Bool, "What the container engine says of the container's own health check."),
    Field::new("max_age", UP_TO_A_DAY, "With `heartbeat`: oldest that counts.").default("120s"),
    Field::new("every", EVERY, "From one check to the next.").default("10s"),
    Field::new("timeout", DEADLINE, "Deadline of one check.").default("5s"),
    Field::new("fails", Type::Integer { min: 1, max: 1000 }, "How many in a row must fail: one failure is a hiccup.")
        .default("3"),
    Field::new("start_period", between(Duration::ZERO, DAY), "Failures within this time after the start do not count.")
        .default("30s"),
];

/// Keys of what bad health does.
pub(in crate::config) static HEAL: [Field; 3] = [
    Field::new(
        "restart",
        Type::Bool,
        "Whether bad health, a target that is down and silence restart it; otherwise they are only told.",
    )
    .default("true"),
    Field::new(
        "cool_down",
        between(Duration::ZERO, DAY),
        "Least time between two such restarts: it needs time to become well.",
    )
    .default("60s"),
    Field::new(
        "per_hour",
        Type::Integer { min: 0, max: 3600 },
        "Most such restarts in an hour: what restarts do not heal, more restarts do not heal either.",
    )
    .default("6"),
];

/// Keys of a budget.
pub(in crate::config) static BUDGET: [Field; 4] = [
    Field::new(
        "measure",
        Type::Choice(MEASURES),
        "`cpu` (percent of one core), `memory` (a size), `descriptors` or `threads`, over all its processes.",
    )
    .required(),
    Field::new("most", Type::Text { max: 32 }, "Most of it: `150` for one core and a half, `8GiB`, `1000`.").required(),
    Field::new(
        "during",
        between(Duration::from_secs(5), DAY),
        "For how long it must be exceeded without a break: peaks are no trouble.",
    )
    .default("60s"),
    Field::new(
        "restart",
        Type::Bool,
        "Whether it is restarted then, as often as `heal` allows; otherwise it is only told.",
    )
    .default("false"),
];

/// Keys of how much output is kept.
pub(in crate::config) static LOGS: [Field; 2] = [
    Field::new(
        "file_size",
        Type::Size { min: 64 << 10, max: 1 << 30 },
        "Size at which a file is closed and the next begun.",
    )
    .default("10MiB"),
    Field::new(
        "files",
        Type::Integer { min: 1, max: 100 },
        "Most files, the newest included: with the defaults a service can never fill a disk.",
    )
    .default("5"),
];

/// Keys of a queue.
pub(in crate::config) static QUEUE: [Field; 8] = [
    Field::new("sqlite", Type::Section(&SQLITE), "Queries on an SQLite file, which is only read."),
    Field::new("http", PATH, "URL of a JSON document with an object of counts by state."),
    Field::new(
        "member",
        TEXT,
        "With `http`: path of members to that object, with dots. Without it, the document itself.",
    )
    .default(""),
    Field::new("command", ID, "Command of the file of commands that prints such JSON."),
    Field::new(
        "file",
        PATH,
        "File with such JSON; counts from the folder of this file when it does not begin with a slash.",
    ),
    Field::new("max_age", UP_TO_A_DAY, "With `file`: oldest that counts.").default("120s"),
    Field::new("every", EVERY, "From one count to the next.").default("30s"),
    Field::new("timeout", DEADLINE, "Deadline of one count.").default("5s"),
];

/// Keys of a queue in SQLite.
pub(in crate::config) static SQLITE: [Field; 5] = [
    Field::new("file", PATH, "The file; counts from the folder of this file when it does not begin with a slash.")
        .required(),
    Field::new("counts", QUERY, "Two columns: state, count.").required(),
    Field::new("rate_per_hour", QUERY, "One number: how many were completed within the last hour."),
    Field::new("oldest_waiting", QUERY, "One number: when the oldest waiting one came, in seconds since 1970."),
    Field::new("stuck", QUERY, "One number: how many are in progress for too long."),
];

/// Keys of a form.
pub(in crate::config) static FORM: [Field; 2] = [
    Field::new("file", PATH, "Where the values are kept, as one JSON object; counts from the folder of this file when it does not begin with a slash.").required(),
    Field::new("keys", Type::MapOf(&Type::Section(&KEY)), "The keys of that object, in the order in which a page shows them.").required(),
];

/// Keys of a key of a form.
pub(in crate::config) static KEY: [Field; 11] = [
    Field::new("type", Type::Choice(&TYPES), "`text`, `secret` (never shown again), `integer`, `number`, `bool`, or `path`.").default("text"),
    Field::new("title", TEXT, "Title for people. Without this key it is the name of the key."),
    Field::new("description", WORDS, "What it means, with its unit.").default(""),
    Field::new("default", PATH, "Its value where nobody set one. `${NAME:-value}` takes it from the environment."),
    Field::new("required", Type::Bool, "Whether the service cannot start without it.").default("false"),
    Field::new("min", BOUND, "Least, with `integer` and `number`."),
    Field::new("max", BOUND, "Greatest, with `integer` and `number`; most bytes with `text`, where it is 4096 unless given."),
    Field::new("pattern", Type::Text { max: 1000 }, "Regular expression that the whole text must match."),
    Field::new("enum", Type::List(&WORDS), "The only values, with `text`."),
    Field::new("must", Type::Choice(&MUSTS), "What must be so of a `path` before anything is touched: `read_folder` and `write_folder` ask for a folder with these rights, `file_in_folder` that the file's folder exists.").default("nothing"),
    Field::new("to", Type::Section(&TO), "Where its value goes when the service is launched; nowhere without this key (the program reads the JSON file itself then)."),
];

/// Keys of where a value goes.
pub(in crate::config) static TO: [Field; 3] = [
    Field::new(
        "option",
        Type::Text { max: 200 },
        "This option and the value, at the end of the arguments, such as `--max-workers`. A `bool` is the option alone, or nothing.",
    ),
    Field::new("argument", Type::Bool, "In place of `{key}` in the arguments.").default("false"),
    Field::new(
        "env",
        Type::Text { max: 200 },
        "This environment variable, the only way for a secret. A `bool` is `true` or `false`.",
    ),
];

/// Every section with its path, in the order of the reference.
pub(in crate::config) fn sections() -> [(&'static str, &'static [Field]); 19] {
    [
        ("services.ID", &UNIT),
        ("services.ID.process", &PROCESS),
        ("services.ID.process.limits", &LIMITS),
        ("services.ID.docker", &DOCKER),
        ("services.ID.docker.create", &CREATE),
        ("services.ID.docker.create.mounts[]", &MOUNT),
        ("services.ID.docker.create.ports[]", &PORT),
        ("services.ID.restart", &RESTART),
        ("services.ID.ready[]", &READY),
        ("services.ID.stop", &STOP),
        ("services.ID.health[]", &HEALTH),
        ("services.ID.heal", &HEAL),
        ("services.ID.budgets[]", &BUDGET),
        ("services.ID.logs", &LOGS),
        ("services.ID.queue", &QUEUE),
        ("services.ID.queue.sqlite", &SQLITE),
        ("services.ID.form", &FORM),
        ("services.ID.form.keys.KEY", &KEY),
        ("services.ID.form.keys.KEY.to", &TO),
    ]
}
