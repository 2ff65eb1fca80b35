//! The keys of the configuration, each declared once: the loader checks against these tables, and the schema, the
//! reference page and the forms are made from them. Keys of a kind are declared by the kind.

use std::time::Duration;

use model::address::MAX_URL_BYTES;
use model::conf::{Field, Type};
use model::limits::{MAX_INTERVAL, MAX_RETRIES, MAX_TIMEOUT, MIN_INTERVAL, MIN_TIMEOUT, PROBES_AT_ONCE};
use model::target::MAX_ID_BYTES;

use super::alerts::{ALERTS, CONNECTIVITY};
use super::channels::{BASE_URL, CHANNEL};
use super::influxdb::INFLUXDB;
use super::maintenance::WINDOW;
use super::metrics::METRICS;
use super::mqtt::MQTT;
use super::score::SCORE;

const DAY: Duration = Duration::from_secs(86_400);
/// Longest a name, a group or the name of a template may be, in bytes: it stands in tables and messages.
const MAX_NAME_BYTES: usize = 200;
/// Longest a tag may be, in bytes.
const MAX_TAG_BYTES: usize = 64;
/// Longest history that is kept.
const MAX_KEEP: Duration = Duration::from_secs(100 * 366 * 86_400);
/// Most looks in a row that a threshold may ask for.
const MAX_THRESHOLD: i64 = 1000;

pub(super) const TEXT: Type = Type::Text { max: MAX_NAME_BYTES };
pub(super) const TAG: Type = Type::Text { max: MAX_TAG_BYTES };
const LOOK: Type = Type::Duration { min: Duration::from_millis(1), max: MAX_TIMEOUT };
const CERT: Type = Type::Duration { min: Duration::ZERO, max: MAX_KEEP };
const PIXELS: Type = Type::Integer { min: 1, max: 65_535 };
const FPS: Type = Type::Number { min: 0.1, max: 1000.0 };
/// Up to 10 Gbit/s: more than any stream has.
const KBPS: Type = Type::Number { min: 0.1, max: 10_000_000.0 };
const PERCENT: Type = Type::Number { min: 0.0, max: 100.0 };
const SPAN: Type = Type::Duration { min: Duration::from_millis(1), max: DAY };

/// Words for `watch`, as in `model::target::Watch`.
const WATCHES: &[&str] = &["periodic", "continuous"];
/// Words for `depth`, as in `model::reading::Depth`.
const DEPTHS: &[&str] = &["reach", "describe", "media"];

/// Keys of the file itself.
pub(super) static TOP: &[Field] = &[
    Field::new(
        "timezone",
        TEXT,
        "IANA name of the time zone in which times are shown, such as Europe/Zurich. Stored times are always UTC.",
    )
    .default("UTC"),
    Field::new("server", Type::Section(&SERVER), "Where the dashboard and the API listen, and who may use them."),
    Field::new("store", Type::Section(&STORE), "How long history is kept."),
    Field::new("probing", Type::Section(&PROBING), "How many looks may be under way at once."),
    Field::new(
        "defaults",
        Type::Section(&DEFAULTS),
        "Keys that every target has unless it, or one of its templates, says otherwise.",
    ),
    Field::new("templates", Type::Any, "Named sets of target keys; a target takes one with `template: name`."),
    Field::new("targets", Type::Sections(TARGET), "What is watched."),
    Field::new("score", Type::Section(&SCORE), "How the health score is made."),
    Field::new("alerts", Type::Section(&ALERTS), "What people are told of, how often, and through which channels."),
    Field::new(
        "maintenance",
        Type::Sections(WINDOW),
        "Planned work, during which nothing is judged and nobody is told.",
    ),
    Field::new("connectivity", Type::Section(&CONNECTIVITY), "How StreamPulse knows that it has a network itself."),
    Field::new(
        "influxdb",
        Type::Section(INFLUXDB),
        "Where looks and changes are written to by the line protocol of InfluxDB.",
    ),
    Field::new("metrics", Type::Section(&METRICS), "Who may read `/metrics`, and further names that it answers with."),
    BASE_URL,
    Field::new("channels", Type::Sections(CHANNEL), "Ways by which people are told of alerts."),
    Field::new("mqtt", Type::Section(MQTT), "Publishes by MQTT."),
];

/// Keys of `server`.
pub(super) static SERVER: [Field; 6] = [
    Field::new("listen", Type::List(&TEXT), "Addresses with port where the dashboard and the API are served. `0.0.0.0:8000` is reachable from other machines, `127.0.0.1:8000` from this one alone.").default("127.0.0.1:8000"),
    Field::new("status_listen", TEXT, "Address with port of a read-only status (status, health) that needs no login and shows no secret. Off unless given."),
    Field::new("login", Type::Bool, "Whether people must sign in. `false` is accepted only while every address in `listen` is a loopback address.").default("true"),
    Field::new("tls_cert", Type::Text { max: 4096 }, "PEM file with the server's certificate chain. Together with `tls_key`, the dashboard is served by HTTPS."),
    Field::new("tls_key", Type::Text { max: 4096 }, "PEM file with the certificate's private key."),
    Field::new("session", Type::Duration { min: Duration::from_secs(60), max: Duration::from_secs(365 * 86_400) }, "How long a sign-in lasts without use.").default("12h"),
];

const KEEP: Type = Type::Duration { min: Duration::from_secs(3600), max: MAX_KEEP };

/// Keys of `store`.
pub(super) static STORE: [Field; 5] = [
    Field::new("keep_observations", KEEP, "How long single looks are kept.").default("7d"),
    Field::new("keep_minutes", KEEP, "How long figures per minute are kept.").default("30d"),
    Field::new("keep_hours", KEEP, "How long figures per hour are kept.").default("400d"),
    Field::new("keep_days", KEEP, "How long figures per day are kept.").default("3650d"),
    Field::new(
        "keep_changes",
        KEEP,
        "How long status changes and incidents are kept. Availability is computed from them.",
    )
    .default("730d"),
];

#[allow(clippy::cast_possible_wrap)] // a few thousand
const AT_ONCE: Type = Type::Integer { min: 1, max: 64 * PROBES_AT_ONCE as i64 };

/// Keys of `probing`.
pub(super) static PROBING: [Field; 2] = [
    Field::new("at_once", AT_ONCE, "Looks under way at once in the whole process.").default("1024"),
    Field::new(
        "at_once_per_host",
        AT_ONCE,
        "Looks under way at once towards one host and port. Cameras allow few sessions.",
    )
    .default("4"),
];

const GROUP: Field = Field::new("group", TEXT, "Group under which the target stands on the dashboard.");
const TAGS: Field = Field::new("tags", Type::List(&TAG), "Words to filter by.");
const ENABLED: Field =
    Field::new("enabled", Type::Bool, "`false` keeps the target and its history but does not look at it.")
        .default("true");
const INTERVAL: Field = Field::new(
    "interval",
    Type::Duration { min: MIN_INTERVAL, max: MAX_INTERVAL },
    "From the start of one look to the start of the next.",
)
.default("10s");
const TIMEOUT: Field = Field::new("timeout", Type::Duration { min: MIN_TIMEOUT, max: MAX_TIMEOUT }, "Deadline of one look. Without this key it is 70 % of the interval, and between 1s and 8s. A look never begins while the previous one of the same target is under way.").default("7s");
const RETRIES: Field = Field::new(
    "retries",
    Type::Integer { min: 0, max: MAX_RETRIES as i64 },
    "Further attempts within a round, after a fault that may pass. Each may take the whole timeout again: fail_after is the quicker guard against chance.",
)
.default("0");
const DEPTH: Field = Field::new("depth", Type::Choice(DEPTHS), "How deep to look at media: `reach` (it answers), `describe` (it describes the stream), `media` (packets of every track arrive). For kinds that carry media.").default("media");
const WATCH: Field = Field::new("watch", Type::Choice(WATCHES), "`periodic`: one look after another, each with a connection of its own. `continuous`: one session is held, its media is measured every second, packets that stop are noticed within 2 s, and a session that ended is opened again. Then `interval` is from one judgement to the next, `timeout` the deadline until media flows, and `retries` has no effect. For kinds that can hold a session; in `defaults` and templates it is meant for those alone.").default("periodic");
const FAIL_AFTER: Field = Field::new(
    "fail_after",
    Type::Integer { min: 1, max: MAX_THRESHOLD },
    "Bad looks in a row until the target is down or degraded.",
)
.default("2");
const RECOVER_AFTER: Field = Field::new(
    "recover_after",
    Type::Integer { min: 1, max: MAX_THRESHOLD },
    "Good looks in a row until the target is up again.",
)
.default("1");
const PARENTS: Field = Field::new(
    "parents",
    Type::List(&Type::Text { max: MAX_ID_BYTES }),
    "Ids of targets without which this one cannot work, such as the router it is behind. While one of them is down, people are told of that one alone, with what it explains.",
);
const EXPECTED: Field = Field::new(
    "expect",
    Type::Section(&EXPECT),
    "What is expected beyond that the look succeeds. Merged key by key with templates and defaults.",
);

/// Keys of `defaults`, which are also those of every target.
pub(super) static DEFAULTS: [Field; 12] =
    [GROUP, TAGS, ENABLED, WATCH, INTERVAL, TIMEOUT, RETRIES, DEPTH, FAIL_AFTER, RECOVER_AFTER, PARENTS, EXPECTED];

/// Keys of a target, whatever its kind.
pub(super) static TARGET: &[Field] = &[
    Field::new(
        "name",
        TEXT,
        "Name for people. Unique. Needed unless the target has an `id`, which is then its name. A renamed target keeps its history where it has an `id` of its own, or where its address stays.",
    ),
    Field::new(
        "url",
        Type::Text { max: MAX_URL_BYTES },
        "Where it is, as in rtsp://user:password@host:554/path. The password is never shown.",
    )
    .required(),
    Field::new("kind", TEXT, "How to look at it. Guessed from the URL when absent."),
    Field::new(
        "id",
        Type::Text { max: MAX_ID_BYTES },
        "Identity that keys the history: a-z, 0-9, dot, underscore, hyphen. Made from the name when absent; one of the two must be there.",
    ),
    GROUP,
    TAGS,
    ENABLED,
    Field::new(
        "template",
        Type::List(&TEXT),
        "Name of a template, or a list of names; later ones go before earlier ones, the target's own keys before all.",
    ),
    WATCH,
    INTERVAL,
    TIMEOUT,
    RETRIES,
    DEPTH,
    FAIL_AFTER,
    RECOVER_AFTER,
    PARENTS,
    EXPECTED,
];

/// Keys of `expect`.
pub(super) static EXPECT: [Field; 29] = [
    Field::new("warn_after", LOOK, "A look that takes longer makes the target degraded."),
    Field::new("fail_after", LOOK, "A look that takes longer counts as failed."),
    Field::new("video", Type::Bool, "`true`: there must be a video track; `false`: there must be none."),
    Field::new("audio", Type::Bool, "`true`: there must be an audio track; `false`: there must be none."),
    Field::new("video_codec", Type::List(&TAG), "Accepted video codecs by ffprobe's names: h264, hevc, mjpeg, ..."),
    Field::new("audio_codec", Type::List(&TAG), "Accepted audio codecs by ffprobe's names: aac, opus, pcm_mulaw, ..."),
    Field::new("min_width", PIXELS, "Least width in pixels."),
    Field::new("min_height", PIXELS, "Least height in pixels."),
    Field::new("min_fps", FPS, "Least declared frame rate, per second."),
    Field::new("min_bitrate_kbps", KBPS, "Least measured bit rate, in kbit/s."),
    Field::new("warn_min_bitrate_kbps", KBPS, "A lower measured bit rate makes the target degraded."),
    Field::new("max_bitrate_kbps", KBPS, "Highest measured bit rate, in kbit/s."),
    Field::new("warn_max_bitrate_kbps", KBPS, "A higher measured bit rate makes the target degraded."),
    Field::new(
        "min_measured_fps",
        FPS,
        "Least frame rate of the pictures that really came, per second. Short looks measure it roughly.",
    ),
    Field::new("warn_min_measured_fps", FPS, "Fewer pictures per second make the target degraded."),
    Field::new("max_loss_percent", PERCENT, "Highest part of packets (or echoes) lost, in percent."),
    Field::new("warn_max_loss_percent", PERCENT, "More loss makes the target degraded."),
    Field::new("max_latency", SPAN, "Longest mean round-trip time (ping, SRT)."),
    Field::new("warn_max_latency", SPAN, "A longer round-trip time makes the target degraded."),
    Field::new("max_jitter", SPAN, "Highest jitter of packets or echoes."),
    Field::new("warn_max_jitter", SPAN, "More jitter makes the target degraded."),
    Field::new(
        "max_keyframe_interval",
        SPAN,
        "Longest time between two key frames. Judged when a look saw two of them.",
    ),
    Field::new("warn_max_keyframe_interval", SPAN, "A longer time between key frames makes the target degraded."),
    Field::new("max_playlist_age", SPAN, "Longest time since a live playlist or manifest went on."),
    Field::new("warn_max_playlist_age", SPAN, "An older playlist makes the target degraded."),
    Field::new(
        "max_live_latency",
        SPAN,
        "Longest way from the clock of the stream to ours, where the stream tells the time.",
    ),
    Field::new("warn_max_live_latency", SPAN, "A longer live latency makes the target degraded."),
    Field::new("warn_cert", CERT, "A certificate that ends within this time makes the target degraded; 0s never does.")
        .default("14d"),
    Field::new("fail_cert", CERT, "A certificate that ends within this time counts as failed."),
];

/// Expectations that only media can meet.
pub(super) const MEDIA_EXPECTATIONS: [&str; 19] = [
    "video",
    "audio",
    "video_codec",
    "audio_codec",
    "min_width",
    "min_height",
    "min_fps",
    "min_bitrate_kbps",
    "warn_min_bitrate_kbps",
    "max_bitrate_kbps",
    "warn_max_bitrate_kbps",
    "min_measured_fps",
    "warn_min_measured_fps",
    "max_keyframe_interval",
    "warn_max_keyframe_interval",
    "max_playlist_age",
    "warn_max_playlist_age",
    "max_live_latency",
    "warn_max_live_latency",
];

const _: () = assert!(DAY.as_secs() * 14 < MAX_KEEP.as_secs());
