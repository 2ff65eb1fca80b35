-- Version 3: units that StreamPulse runs, their timelines, and what they used.

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
