//! Every number that bounds the web server, with its reason.

use std::time::Duration;

/// Largest body of a request. The greatest of ours, a target with all its keys, has a few KiB.
pub const BODY_BYTES: usize = 1024 * 1024;
/// Largest body from somebody who is not signed in yet: a name, a token and a password with every letter escaped. On every
/// connection at once it is little memory.
pub const SIGN_IN_BODY_BYTES: usize = 16 * 1024;
/// Largest body that carries the text of a configuration: the file itself may have
/// [`model::limits::MAX_CONFIG_BYTES`], and JSON escapes take room.
pub const CONFIG_BODY_BYTES: usize = 2 * model::limits::MAX_CONFIG_BYTES;
/// Longest time for a body to arrive.
pub const BODY_TIME: Duration = Duration::from_secs(30);
/// Longest time for a request's head to arrive, and for a kept connection to wait for the next one.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// Largest head of a request.
pub const HEAD_BYTES: usize = 32 * 1024;
/// Most header fields of a request.
pub const HEAD_FIELDS: usize = 64;
/// Longest time for a TLS handshake.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// A client that takes nothing for this long is disconnected, so that it holds no reader of the history.
pub const WRITE_STALL: Duration = Duration::from_secs(20);
/// Connections at once; each costs some 30 KiB.
pub const CONNECTIONS: usize = 1024;
/// Connections at once from one address: a browser opens six for each page; a proxy may bring many people.
pub const CONNECTIONS_PER_ADDRESS: usize = 512;
/// Event streams at once.
pub const EVENT_CLIENTS: usize = 256;
/// Batches of changes that a client of the event stream may be behind before it starts anew from the whole board.
pub const EVENT_BACKLOG: usize = 64;
/// Changes are gathered for this long before they are sent.
pub const EVENT_EVERY: Duration = Duration::from_millis(100);
/// How long the event hub waits for the desk of the configuration, so that a slow disk stops no event stream.
pub const VIEW_TIME: Duration = Duration::from_secs(1);
/// A sign of life on every event stream; the page gives up after two and a half of them.
pub const PING_EVERY: Duration = Duration::from_secs(10);
/// Exports at once: each holds a reader of the history.
pub const EXPORTS: usize = 2;
/// Chunks of an export that wait for the client.
pub const EXPORT_CHUNKS: usize = 8;
/// Size of a chunk of an export.
pub const EXPORT_CHUNK_BYTES: usize = 32 * 1024;
/// Rows of a page when the request does not say.
pub const DEFAULT_ROWS: usize = 100;
/// Most rows of a page.
pub const MAX_ROWS: usize = 1000;
/// Most roll-ups of an answer: a month of minutes is 43,200 rows, more than any chart shows.
pub const MAX_ROLLUPS: i64 = 50_000;
/// Status changes of an answer.
pub const MAX_CHANGES: usize = 5000;
/// Availability is computed this often: 30 to 70 ms for 2,000 targets.
pub const AVAILABILITY_EVERY: Duration = Duration::from_secs(30);
/// The same during the first minute, when targets get their first figures.
pub const AVAILABILITY_YOUNG: Duration = Duration::from_secs(3);
/// Looks of the window of StreamPulse 2.1.1 are counted this often: a row per target and day.
pub const SAMPLES_EVERY: Duration = Duration::from_secs(60);
/// Looks of `/probe` at once: half of those that people may try out, so that scrapers never take all.
pub const PROBE_CALLS: usize = engine::handle::TRIES_AT_ONCE / 2;
/// Users and tokens are read again this often, because the command line may change them beside us.
pub const PEOPLE_EVERY: Duration = Duration::from_secs(1);
/// How old a picture may be when the request does not say.
pub const PICTURE_AGE: Duration = Duration::from_secs(5);
/// Greatest age of a picture that a request may accept.
pub const MAX_PICTURE_AGE: Duration = Duration::from_secs(60);
/// Most frames that wait for a viewer of a moving preview.
pub const PREVIEW_FRAMES: usize = 2;
/// Longest moving preview, with room for the camera to answer.
pub const PREVIEW_TIME: Duration = Duration::from_secs(15);
/// How long a change of the configuration may take until the board shows it.
pub const APPLY_TIME: Duration = Duration::from_secs(3);
/// Times of one window in a part of a calendar: every hour of a month, and room.
pub const MAX_TIMES: usize = 1_000;
/// Sinks and channels that are tried out at once: each is a press of a button.
pub const SINK_TESTS: usize = 4;
/// Longest time for trying one out, whatever its own deadline.
pub const SINK_TEST_TIME: Duration = Duration::from_secs(30);
/// Largest body with values of a service's form: twice a form of a hundred keys with long texts.
pub const UNIT_BODY_BYTES: usize = 256 * 1024;
/// Longest wait for a command on a service or for its form: it only writes small files, on disks that may hang.
pub const UNIT_TIME: Duration = Duration::from_secs(10);
/// A service whose measured values alone change is told to pages at most this often.
pub const SERVICE_VALUES_EVERY: Duration = Duration::from_secs(5);
/// Lines of a service's output when the request does not say, and of one event of a stream of them.
pub const LOG_LINES: usize = 200;
/// Most lines of a service's output in an answer: more than anybody reads on a page.
pub const MAX_LOG_LINES: usize = 5000;
/// Most text of an answer with lines of output, in bytes; the oldest are left out.
pub const LOG_BYTES: usize = 4 * 1024 * 1024;
/// Most of one line that is shown, in bytes; the download has all of it.
pub const LOG_LINE_BYTES: usize = 16 * 1024;
/// Longest text that is searched in output, in bytes.
pub const LOG_SEARCH_BYTES: usize = 256;
/// Reads of output at once: a search goes through all that is kept of a service.
pub const LOG_READS: usize = 4;
/// Followers of output at once; each looks at a file four times a second.
pub const LOG_FOLLOWERS: usize = 64;
/// How often a follower of output looks for more.
pub const LOG_EVERY: Duration = Duration::from_millis(250);
/// Rows of the history page of StreamPulse 2.x.
pub const COMPAT_HISTORY_ROWS: usize = 50;

const _: () = assert!(BODY_BYTES <= CONFIG_BODY_BYTES);
const _: () = assert!(DEFAULT_ROWS <= MAX_ROWS);
