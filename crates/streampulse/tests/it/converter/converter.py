"""A small converter that works through a queue in SQLite, as the one of the DSA-110 pipeline does: the fixture of the tests of services."""

import argparse
import os
import signal
import sqlite3
import sys
import time

STATES = "CREATE TABLE IF NOT EXISTS ingest_queue (group_id TEXT PRIMARY KEY, state TEXT, received_at REAL, last_update REAL)"

parser = argparse.ArgumentParser()
parser.add_argument("--input-dir", required=True)
parser.add_argument("--output-dir", required=True)
parser.add_argument("--queue-db", required=True)
parser.add_argument("--max-workers", type=int, default=4)
parser.add_argument("--poll-interval", type=float, default=0.05)
parser.add_argument("--log-level", default="INFO")
parser.add_argument("--monitoring", action="store_true")
args = parser.parse_args()

going = True


def end(*_):
    global going
    going = False


signal.signal(signal.SIGTERM, end)
if args.log_level == "ERROR":
    print("ImportError: no module named casatools", file=sys.stderr, flush=True)
    sys.exit(3)
# Only now: this line is what its service waits for as a sign that it has started.
print(f"begins with workers={args.max_workers} level={args.log_level} token={os.environ.get('UPLOAD_TOKEN', '')}", flush=True)

queue = sqlite3.connect(args.queue_db, timeout=10, isolation_level=None)
queue.execute("PRAGMA journal_mode=WAL")
queue.execute(STATES)
# Groups that were under way when the one before was killed are waiting again.
queue.execute("UPDATE ingest_queue SET state = 'pending' WHERE state = 'in_progress'")
while going:
    found = [name for name in sorted(os.listdir(args.input_dir)) if name.endswith(".hdf5")]
    now = time.time()
    queue.executemany("INSERT OR IGNORE INTO ingest_queue VALUES (?, 'pending', ?, ?)", [(name, now, now) for name in found])
    row = queue.execute("SELECT group_id FROM ingest_queue WHERE state = 'pending' ORDER BY group_id LIMIT 1").fetchone()
    if row is None:
        time.sleep(args.poll_interval)
        continue
    queue.execute("UPDATE ingest_queue SET state = 'in_progress', last_update = ? WHERE group_id = ?", (time.time(), row[0]))
    with open(os.path.join(args.output_dir, row[0] + ".ms"), "w") as out:
        out.write("measurement set\n")
    queue.execute("UPDATE ingest_queue SET state = 'completed', last_update = ? WHERE group_id = ?", (time.time(), row[0]))
    print(f"converted {row[0]}", flush=True)
print("ends", flush=True)
