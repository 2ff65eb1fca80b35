-- Version 2: what is remembered of alerts, their history, and the outbox of messages to people.

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
