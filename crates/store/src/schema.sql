-- The shape of the history file: the truth that every upgraded file is compared with.
-- Times are milliseconds since 1970 (UTC). Durations say their unit. Small lists are numbers (see codes.rs).
-- To change the shape: edit this file, add upgrade/vN.sql and its line in upgrade.rs.

-- One row for the life of the file. alive_at is written in every batch, at least every second: after a crash it tells
-- until when somebody was looking.
CREATE TABLE life (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    created_at INTEGER NOT NULL,
    alive_at INTEGER NOT NULL
) STRICT;

-- Every target that was ever seen. Rows elsewhere point to uid, so that a rename is one update. An id that is no valid
-- target id (it has a tilde) belongs to history whose id another target took over. A uid is never used again.
CREATE TABLE targets (
    uid INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    retired_at INTEGER,
    paused INTEGER NOT NULL CHECK (paused IN (0, 1))
) STRICT;

-- Reasons that occur again and again, stored once. Bounded; when it is full, reasons stand in the rows themselves.
-- used_on (days since 1970) lets retention forget what nothing refers to any more.
CREATE TABLE texts (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE,
    used_on INTEGER NOT NULL
) STRICT;

-- One row per look, clustered by target and time: every question is about one target and a range, and no second index
-- is needed. Two looks in one millisecond (a clock set back) are moved apart by one.
CREATE TABLE observations (
    target INTEGER NOT NULL REFERENCES targets (uid),
    at INTEGER NOT NULL,
    took_us INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    grade INTEGER NOT NULL,
    status INTEGER NOT NULL,
    fault INTEGER,
    phase INTEGER,
    reason ANY,          -- NULL: none; integer: texts.id; text: itself
    phases BLOB,         -- durations by phase (see codes.rs)
    PRIMARY KEY (target, at)
) STRICT, WITHOUT ROWID;

-- Tracks, facts and reasons of the newest look of each target as JSON, so that a restart can show them.
CREATE TABLE readings (
    target INTEGER PRIMARY KEY REFERENCES targets (uid),
    at INTEGER NOT NULL,
    json TEXT NOT NULL
) STRICT;

-- Status changes. The status before is that of the row before. at never falls within a target; n counts changes of
-- one millisecond.
CREATE TABLE changes (
    target INTEGER NOT NULL REFERENCES targets (uid),
    at INTEGER NOT NULL,
    n INTEGER NOT NULL,
    status INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (target, at, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE incidents (
    row INTEGER PRIMARY KEY,
    target INTEGER NOT NULL REFERENCES targets (uid),
    opened_at INTEGER NOT NULL,
    closed_at INTEGER CHECK (closed_at >= opened_at),
    worst INTEGER NOT NULL,
    cause TEXT NOT NULL,
    UNIQUE (target, opened_at)
) STRICT;
CREATE INDEX incidents_by_time ON incidents (opened_at);
-- A target has at most one open incident, and restore asks for it.
CREATE UNIQUE INDEX incidents_open ON incidents (target) WHERE closed_at IS NULL;

-- Roll-ups, clustered by time: what is written now lies together, what retention removes lies together, and a reader
-- knows the keys it wants. No reference to targets: following it back would read the whole table. Durations are of looks that did not fail; least and most are NULL when they equal the sum.
CREATE TABLE minutes (
    at INTEGER NOT NULL,
    target INTEGER NOT NULL,
    ok INTEGER NOT NULL,
    warn INTEGER NOT NULL,
    fail INTEGER NOT NULL,
    took_sum_us INTEGER,
    took_min_us INTEGER,
    took_max_us INTEGER,
    phases BLOB,         -- count and sum by phase (see codes.rs)
    PRIMARY KEY (at, target)
) STRICT, WITHOUT ROWID;

CREATE TABLE hours (
    at INTEGER NOT NULL,
    target INTEGER NOT NULL,
    ok INTEGER NOT NULL,
    warn INTEGER NOT NULL,
    fail INTEGER NOT NULL,
    took_sum_us INTEGER,
    took_min_us INTEGER,
    took_max_us INTEGER,
    phases BLOB,
    PRIMARY KEY (at, target)
) STRICT, WITHOUT ROWID;

-- up_ms and down_ms are filled in when retention removes the status changes that they follow from.
CREATE TABLE days (
    at INTEGER NOT NULL,
    target INTEGER NOT NULL,
    ok INTEGER NOT NULL,
    warn INTEGER NOT NULL,
    fail INTEGER NOT NULL,
    took_sum_us INTEGER,
    took_min_us INTEGER,
    took_max_us INTEGER,
    phases BLOB,
    up_ms INTEGER,
    down_ms INTEGER,
    PRIMARY KEY (at, target)
) STRICT, WITHOUT ROWID;

-- Users, sessions, tokens, settings: small texts that other crates give a meaning.
CREATE TABLE documents (
    ns TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (ns, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    row INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

-- What is remembered of each alert over a restart, as JSON that engine gives a meaning.
CREATE TABLE alert_states (
    key TEXT NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (key)
) STRICT, WITHOUT ROWID;

-- Alerts, open ones and ended ones. alert names it in all its messages; it can begin again later, in a row of its own.
-- target is NULL where the alert is about none, or about StreamPulse itself; flags are words that engine gives a meaning.
CREATE TABLE alerts (
    row INTEGER PRIMARY KEY,
    alert TEXT NOT NULL,
    rule TEXT NOT NULL,
    target INTEGER REFERENCES targets (uid),
    severity INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    ended_at INTEGER CHECK (ended_at >= began_at),
    cause TEXT NOT NULL,
    acked_by TEXT,
    note TEXT,
    flags TEXT NOT NULL,
    UNIQUE (alert, began_at)
) STRICT;
CREATE INDEX alerts_by_time ON alerts (began_at);
CREATE INDEX alerts_of_target ON alerts (target, began_at);

-- Messages to people, one row per channel: waiting (0), sent (1) or dead (2). json is the notification, made by engine.
-- Each channel is served in order of row. next_at is not before when a waiting one is tried; created_at is when it was
-- handed over, or put back by somebody after it was dead.
CREATE TABLE outbox (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    key TEXT NOT NULL,
    json TEXT NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
    attempts INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    last_error TEXT,
    created_at INTEGER NOT NULL,
    done_at INTEGER CHECK ((done_at IS NULL) = (state = 0)),
    UNIQUE (channel, key)
) STRICT;
CREATE INDEX outbox_waiting ON outbox (channel, row) WHERE state = 0;
CREATE INDEX outbox_done ON outbox (state, done_at) WHERE state > 0;

-- Every unit that the file of services ever named. wanted: whether it is to run; only a command changes that. restarts
-- counts the starts that nobody commanded. A uid is never used again.
CREATE TABLE units (
    uid INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    wanted INTEGER NOT NULL CHECK (wanted IN (0, 1)),
    restarts INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    retired_at INTEGER
) STRICT;

-- The timeline of a unit: state after each entry, what caused it, who asked. Where a run ended with it: how (see codes.rs)
-- and with which number, when, after how long, and its last lines as a JSON array. n counts entries of one millisecond.
CREATE TABLE unit_changes (
    unit INTEGER NOT NULL REFERENCES units (uid),
    at INTEGER NOT NULL,
    n INTEGER NOT NULL,
    state INTEGER NOT NULL,
    cause INTEGER NOT NULL,
    reason TEXT NOT NULL,
    actor TEXT,
    ended INTEGER,
    ended_number INTEGER,
    ended_at INTEGER CHECK ((ended_at IS NULL) = (ended IS NULL)),
    ran_ms INTEGER CHECK ((ran_ms IS NULL) = (ended IS NULL)),
    last_lines TEXT,
    PRIMARY KEY (unit, at, n)
) STRICT, WITHOUT ROWID;

-- What a unit used, by the minute: percent of one core, bytes in memory, bytes read and written within the minute, most
-- threads, descriptors and processes. queue: the newest counts by state as a JSON array of pairs.
CREATE TABLE unit_samples (
    unit INTEGER NOT NULL REFERENCES units (uid),
    at INTEGER NOT NULL,
    cpu_avg REAL,
    cpu_max REAL,
    memory_avg INTEGER NOT NULL,
    memory_max INTEGER NOT NULL,
    read_bytes INTEGER,
    written_bytes INTEGER,
    threads INTEGER NOT NULL,
    descriptors INTEGER,
    processes INTEGER NOT NULL,
    queue TEXT,
    rate REAL,
    PRIMARY KEY (unit, at)
) STRICT, WITHOUT ROWID;
