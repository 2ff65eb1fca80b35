//! What a look at a target saw: tracks and facts, each with its unit. Owns no judgement.

use std::collections::BTreeMap;

use crate::phase::words;
use crate::time::UtcMs;

words! {
    /// What a track carries.
    Media {
        /// Moving pictures.
        Video = "video",
        /// Sound.
        Audio = "audio",
        /// Anything else: metadata, subtitles.
        Data = "data",
    }
}

/// One track. What the protocol did not tell is `None`, never a guess.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// What it carries.
    pub media: Media,
    /// Codec by the name that ffprobe prints (`h264`, `hevc`, `aac`, `pcm_mulaw`, `mjpeg`).
    pub codec: String,
    /// Profile by the name that ffprobe prints (`Main`, `High`, `LC`).
    pub profile: Option<String>,
    /// Visible width in pixels, cropping applied.
    pub width: Option<u32>,
    /// Visible height in pixels, cropping applied.
    pub height: Option<u32>,
    /// Declared frames per second.
    pub fps: Option<f64>,
    /// Declared bits per second.
    pub bitrate_bps: Option<u64>,
    /// Samples per second and channel.
    pub sample_rate_hz: Option<u32>,
    /// Number of audio channels.
    pub channels: Option<u32>,
    /// Whether media of this track was received (and not only announced).
    pub proven: bool,
}

impl Track {
    /// A track of which only codec and media are known.
    #[must_use]
    pub fn new(media: Media, codec: impl Into<String>) -> Self {
        Self {
            media,
            codec: codec.into(),
            profile: None,
            width: None,
            height: None,
            fps: None,
            bitrate_bps: None,
            sample_rate_hz: None,
            channels: None,
            proven: false,
        }
    }
}

/// The value of a fact.
#[derive(Clone, Debug, PartialEq)]
pub enum FactValue {
    /// Words.
    Text(String),
    /// A count or a code.
    Int(i64),
    /// A measure; its unit stands in the key.
    Num(f64),
    /// Yes or no.
    Flag(bool),
    /// A point in time.
    Time(UtcMs),
    /// Rows of one form, at most [`MAX_ROWS`]: values of a plugin, file systems, interfaces.
    Rows(Vec<Row>),
}

/// Most rows of one fact: as many as a page shows without becoming a list of everything.
pub const MAX_ROWS: usize = 64;

/// One row of a fact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// What the row is about, as `/home` or `eth0`. Names come from outside; they need not be unique.
    pub name: String,
    /// Its values by key; units stand in the keys, as with facts. Never rows again.
    pub cells: BTreeMap<&'static str, FactValue>,
}

impl Row {
    /// A row without values.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), cells: BTreeMap::new() }
    }

    /// The same row with one more value.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: FactValue) -> Self {
        self.cells.insert(key, value);
        self
    }
}

/// Keys of facts. A key carries its unit and never changes its meaning; new kinds add theirs here.
pub mod fact {
    /// HTTP or RTSP status code of the last reply (integer).
    pub const STATUS_CODE: &str = "status_code";
    /// `Server` header or the like (text).
    pub const SERVER: &str = "server";
    /// When the peer's certificate ends (time).
    pub const CERT_EXPIRES_AT: &str = "cert_expires_at";
    /// The certificate was not checked because the configuration says so (flag).
    pub const CERT_UNCHECKED: &str = "cert_unchecked";
    /// TLS version (text, as `TLSv1.3`).
    pub const TLS_VERSION: &str = "tls_version";
    /// RTP over `tcp` or `udp` (text).
    pub const TRANSPORT: &str = "transport";
    /// RTP packets received (integer).
    pub const RTP_PACKETS: &str = "rtp_packets";
    /// RTP packets missing by sequence number, from the first packet of each track to the end of the look (integer).
    pub const RTP_LOST: &str = "rtp_lost";
    /// Distance of the packets of a transport stream, in bytes: 188, or 192, 204, 208 with additions (integer).
    pub const PACKET_BYTES: &str = "packet_bytes";
    /// Packets of a transport stream that came (integer).
    pub const TS_PACKETS: &str = "ts_packets";
    /// Bits per second of a transport stream, everything in it counted (integer).
    pub const TS_BITRATE_BPS: &str = "ts_bitrate_bps";
    /// Bit rates PID by PID, the largest first, in kbit/s (text, as `256 h264 498, 257 aac 67, 0 pat 15 kbit/s`).
    pub const PID_BITRATES: &str = "pid_bitrates";
    /// Part of the packets of a transport stream that only fill, from 0 to 1 (number).
    pub const NULL_RATIO: &str = "null_ratio";
    /// Programs that a transport stream lists (integer).
    pub const PROGRAMS: &str = "programs";
    /// Times that the counters of a transport stream's packets did not go on (integer; TR 101 290, 1.4).
    pub const CONTINUITY_ERRORS: &str = "continuity_errors";
    /// Times that the packets of a transport stream had to be searched for anew (integer; TR 101 290, 1.1).
    pub const SYNC_LOSSES: &str = "sync_losses";
    /// Packets of a transport stream that are marked as damaged (integer; TR 101 290, 2.1).
    pub const TRANSPORT_ERRORS: &str = "transport_errors";
    /// Tables of a transport stream with a wrong checksum (integer; TR 101 290, 2.2).
    pub const TABLE_ERRORS: &str = "table_errors";
    /// Packets of a transport stream that cannot be read without a key (integer).
    pub const SCRAMBLED_PACKETS: &str = "scrambled_packets";
    /// Longest time between two program association tables, in milliseconds (number; TR 101 290, 1.3).
    pub const PAT_INTERVAL_MS: &str = "pat_interval_ms";
    /// Longest time between two maps of a program, in milliseconds (number; TR 101 290, 1.5).
    pub const PMT_INTERVAL_MS: &str = "pmt_interval_ms";
    /// Longest time between two references of a program clock, in milliseconds (number; TR 101 290, 2.3).
    pub const PCR_INTERVAL_MS: &str = "pcr_interval_ms";
    /// Spread of how late the references of a program clock arrived compared to what they say, in milliseconds (number).
    pub const PCR_JITTER_MS: &str = "pcr_jitter_ms";
    /// Largest error of a program clock reference against a constant bit rate, in nanoseconds (number; TR 101 290, 2.4).
    pub const PCR_ACCURACY_NS: &str = "pcr_accuracy_ns";
    /// RTP packets that came after a later one (integer).
    pub const RTP_REORDERED: &str = "rtp_reordered";
    /// Pictures per second that came, and not those that were announced (number).
    pub const MEASURED_FPS: &str = "measured_fps";
    /// Part of the packets that did not come, from 0 to 1 (number).
    pub const LOSS_RATIO: &str = "loss_ratio";
    /// Round-trip time to the peer, mean over the look, in milliseconds (number).
    pub const RTT_MS: &str = "rtt_ms";
    /// Jitter of the packets' arrival, in milliseconds (number; RFC 3550 section 6.4.1 where packets carry a media time;
    /// of the worst track).
    pub const JITTER_MS: &str = "jitter_ms";
    /// Longest time between two key frames of the video that the look, or the last seconds of a held session, saw, in
    /// milliseconds (integer). A held session tells the time since the last one where that is longer.
    pub const KEYFRAME_INTERVAL_MS: &str = "keyframe_interval_ms";
    /// How long ago a live playlist or manifest last went on, in milliseconds (integer).
    pub const PLAYLIST_AGE_MS: &str = "playlist_age_ms";
    /// Bits of media per second that came, all selected tracks together, without packet headers (integer).
    pub const MEASURED_BITRATE_BPS: &str = "measured_bitrate_bps";
    /// Body bytes received (integer).
    pub const BODY_BYTES: &str = "body_bytes";
    /// Redirects followed (integer).
    pub const REDIRECTS: &str = "redirects";
    /// `Content-Type` of the reply (text).
    pub const CONTENT_TYPE: &str = "content_type";
    /// Size of the frame looked at, in bytes (integer).
    pub const FRAME_BYTES: &str = "frame_bytes";
    /// HEAD was refused and GET used instead (flag).
    pub const HEAD_REFUSED: &str = "head_refused";
    /// What the look did not prove although it seems to be meant, and what would (text, one sentence).
    pub const HINT: &str = "hint";
    /// Program that encodes the stream, as its metadata says (text).
    pub const ENCODER: &str = "encoder";
    /// Picture size that the metadata claims, where the pictures say otherwise (text, as `1920x1080`).
    pub const DECLARED_SIZE: &str = "declared_size";
    /// Frames per second that the metadata claims, where the pictures say otherwise (number).
    pub const DECLARED_FPS: &str = "declared_fps";
    /// Name of a radio stream, as its server says (text).
    pub const STREAM_NAME: &str = "stream_name";
    /// Genre of a radio stream, as its server says (text).
    pub const STREAM_GENRE: &str = "stream_genre";
    /// What a radio stream says it is playing (text).
    pub const STREAM_TITLE: &str = "stream_title";
    /// Listeners of a radio stream, as its server says (integer).
    pub const LISTENERS: &str = "listeners";
    /// Bits per second of the sound, measured over the frames received (integer).
    pub const SOUND_BITRATE_BPS: &str = "sound_bitrate_bps";
    /// Address that was connected to (text).
    pub const PEER: &str = "peer";
    /// Names of the findings of this look, separated by commas (text).
    pub const FINDINGS: &str = "findings";
    /// `live`, `event` (live, and everything stays) or `vod` (text).
    pub const PLAYLIST_TYPE: &str = "playlist_type";
    /// Variants that a multivariant playlist offers (integer).
    pub const VARIANTS: &str = "variants";
    /// The variant that was looked at: its declared size and bit rate (text).
    pub const VARIANT: &str = "variant";
    /// Declared longest duration of a segment, in seconds (integer).
    pub const TARGET_DURATION_S: &str = "target_duration_s";
    /// Segments that the playlist lists (integer).
    pub const SEGMENTS: &str = "segments";
    /// Number of the newest segment of the playlist (integer).
    pub const MEDIA_SEQUENCE: &str = "media_sequence";
    /// How it is known that a live stream advances, or why it is not (text).
    pub const ADVANCE: &str = "advance";
    /// Age of the newest media by the clock of the stream and by ours, in milliseconds (integer).
    pub const LIVE_LATENCY_MS: &str = "live_latency_ms";
    /// Periods that a manifest has (integer).
    pub const PERIODS: &str = "periods";
    /// When this state of a manifest was published, as it says (time).
    pub const PUBLISHED_AT: &str = "published_at";
    /// Shortest time between two updates that a manifest announces, in milliseconds (integer).
    pub const UPDATE_PERIOD_MS: &str = "update_period_ms";
    /// How far back a live stream can be played, by the segments it lists, in milliseconds (integer).
    pub const WINDOW_MS: &str = "window_ms";
    /// The stream's own clock minus ours, in milliseconds (integer).
    pub const CLOCK_OFFSET_MS: &str = "clock_offset_ms";
    /// Cues of SCTE-35 that the playlist carries (integer).
    pub const SCTE35_CUES: &str = "scte35_cues";
    /// Container of the segments: `mpegts`, `fmp4`, or the codec of packed audio (text).
    pub const SEGMENT_FORMAT: &str = "segment_format";
    /// Declared duration of the segment looked at, in seconds (measure).
    pub const SEGMENT_DURATION_S: &str = "segment_duration_s";
    /// Size of the segment looked at, in bytes, when the server says it or all of it was read (integer).
    pub const SEGMENT_BYTES: &str = "segment_bytes";
    /// Size by declared duration of the segment looked at, in bits per second (integer).
    pub const SEGMENT_BITRATE_BPS: &str = "segment_bitrate_bps";
    /// How the segments or packets are encrypted (text).
    pub const ENCRYPTION: &str = "encryption";
    /// Version of the peer (text, as `1.5.1`).
    pub const SRT_VERSION: &str = "srt_version";
    /// How long lost packets are waited for, as both peers agreed, in milliseconds (integer).
    pub const SRT_LATENCY_MS: &str = "srt_latency_ms";
    /// Length of the key that the media is encrypted with, in bits; 0 when it is not (integer).
    pub const SRT_KEY_BITS: &str = "srt_key_bits";
    /// Packets of media that arrived, each counted once (integer).
    pub const SRT_PACKETS: &str = "srt_packets";
    /// Packets that were missing when a later one came; most are sent again in time (integer).
    pub const SRT_LOST: &str = "srt_lost";
    /// Packets that arrived marked as sent again (integer).
    pub const SRT_RETRANSMITTED: &str = "srt_retransmitted";
    /// Packets that arrived twice (integer).
    pub const SRT_DUPLICATES: &str = "srt_duplicates";
    /// Packets that arrived after they had been given up (integer).
    pub const SRT_BELATED: &str = "srt_belated";
    /// Packets that did not arrive within the latency and were given up (integer).
    pub const SRT_DROPPED: &str = "srt_dropped";
    /// Packets that no key of ours opens (integer).
    pub const SRT_UNDECRYPTED: &str = "srt_undecrypted";
    /// Bits per second that the link could carry, by the time between pairs of packets sent back to back (integer).
    pub const SRT_BANDWIDTH_BPS: &str = "srt_bandwidth_bps";
    /// Bits of payload per second that arrived (integer).
    pub const SRT_RECEIVE_BPS: &str = "srt_receive_bps";
    /// How much the round-trip time varies, in milliseconds (number).
    pub const RTT_VARIANCE_MS: &str = "rtt_variance_ms";
    /// Which stream a caller says that it brings: the resource of its stream id (text).
    pub const SRT_RESOURCE: &str = "srt_resource";
    /// Time since the session was opened that is being held, in seconds (integer). Stands in every live observation and
    /// in no other.
    pub const HELD_FOR_S: &str = "held_for_s";
    /// Sessions opened anew since the target is watched (integer).
    pub const RECONNECTS: &str = "reconnects";
    /// Media packets of a held session (integer).
    pub const PACKETS: &str = "packets";
    /// Packets of a held session that should have come and did not (integer).
    pub const PACKETS_LOST: &str = "packets_lost";
    /// Bits of video per second that came, without packet headers (integer).
    pub const VIDEO_BITRATE_BPS: &str = "video_bitrate_bps";
    /// Bits of sound per second that came, without packet headers (integer).
    pub const AUDIO_BITRATE_BPS: &str = "audio_bitrate_bps";
    /// Largest step from one timestamp of a track to its next within the last seconds, in milliseconds (number).
    pub const TIMESTAMP_GAP_MS: &str = "timestamp_gap_ms";
    /// Times that the timestamps of a held session jumped and went on from elsewhere (integer).
    pub const TIMESTAMP_JUMPS: &str = "timestamp_jumps";
    /// Longest silence of a track within the last seconds, in milliseconds (number).
    pub const ARRIVAL_GAP_MS: &str = "arrival_gap_ms";
    /// What a streaming encoder says it is doing: `idle`, `connecting`, `streaming`, `flushing`, `interrupted`; of a pair the
    /// first one, and a fault's kind where it could not be asked (text).
    pub const ENCODER_STATE: &str = "encoder_state";
    /// Bits per second that an encoder says it sends (integer).
    pub const ENCODER_BITRATE_BPS: &str = "encoder_bitrate_bps";
    /// How long an encoder says it has been streaming, in seconds (integer).
    pub const STREAMING_FOR_S: &str = "streaming_for_s";
    /// How full an encoder's cache is, in percent (measure).
    pub const CACHE_PERCENT: &str = "cache_percent";
    /// Name of the format of the pictures, as an encoder writes it (text, as `1920x1080p29.97`).
    pub const VIDEO_FORMAT: &str = "video_format";
    /// Temperature of a device, in degrees Celsius, where it tells one (measure).
    pub const TEMPERATURE_C: &str = "temperature_c";
    /// Where an encoder streams to, by the name of the service (text).
    pub const PLATFORM: &str = "platform";
    /// Which server of the service, by its name (text).
    pub const PLATFORM_SERVER: &str = "platform_server";
    /// Quality that an encoder is set to, by its name (text).
    pub const QUALITY: &str = "quality";
    /// Name that people gave a device, else its model (text).
    pub const DEVICE: &str = "device";
    /// Model of a device (text).
    pub const DEVICE_MODEL: &str = "device_model";
    /// Version of a device's software (text).
    pub const FIRMWARE: &str = "firmware";
    /// Protocol by which a device answered, where there are several (text).
    pub const PROTOCOL: &str = "protocol";
    /// Age of the answer when it was asked for by another look, in milliseconds (integer).
    pub const ANSWER_AGE_MS: &str = "answer_age_ms";
    /// State of an event, a broadcast or a stream as its platform says it, in the platform's word (text).
    pub const EVENT_STATE: &str = "event_state";
    /// Whether a platform receives the stream, in the platform's word (text).
    pub const STREAM_STATE: &str = "stream_state";
    /// What a platform thinks of the stream that it receives, in the platform's word (text).
    pub const STREAM_HEALTH: &str = "stream_health";
    /// Age of what a platform says of the health of a stream, in seconds (integer).
    pub const STREAM_HEALTH_AGE_S: &str = "stream_health_age_s";
    /// People who watch, as the platform counts them (integer).
    pub const VIEWERS: &str = "viewers";
    /// Which encoder of a pair streams: `primary`, `secondary`, `both` or `neither` (text).
    pub const LIVE_DEVICE: &str = "live_device";
    /// The same of the second encoder of a pair as [`ENCODER_STATE`] (text).
    pub const SECONDARY_STATE: &str = "secondary_state";
    /// The same of the second encoder of a pair as [`ENCODER_BITRATE_BPS`] (integer).
    pub const SECONDARY_BITRATE_BPS: &str = "secondary_bitrate_bps";
    /// The same of the second encoder of a pair as [`STREAMING_FOR_S`] (integer).
    pub const SECONDARY_STREAMING_FOR_S: &str = "secondary_streaming_for_s";
    /// The same of the second encoder of a pair as [`CACHE_PERCENT`] (measure).
    pub const SECONDARY_CACHE_PERCENT: &str = "secondary_cache_percent";
    /// The same of the second encoder of a pair as [`VIDEO_FORMAT`] (text).
    pub const SECONDARY_VIDEO_FORMAT: &str = "secondary_video_format";
    /// The same of the second encoder of a pair as [`TEMPERATURE_C`] (measure).
    pub const SECONDARY_TEMPERATURE_C: &str = "secondary_temperature_c";
    /// The same of the second encoder of a pair as [`PLATFORM`] (text).
    pub const SECONDARY_PLATFORM: &str = "secondary_platform";
    /// The same of the second encoder of a pair as [`DEVICE`] (text).
    pub const SECONDARY_DEVICE: &str = "secondary_device";
    /// Echoes of ICMP sent in this look (integer).
    pub const ECHOES_SENT: &str = "echoes_sent";
    /// Echoes of this look that were answered (integer).
    pub const ECHOES_ANSWERED: &str = "echoes_answered";
    /// Answers that came once more (integer).
    pub const ECHO_DUPLICATES: &str = "echo_duplicates";
    /// Shortest round trip of this look, in milliseconds (measure).
    pub const RTT_MIN_MS: &str = "rtt_min_ms";
    /// Longest round trip of this look, in milliseconds (measure).
    pub const RTT_MAX_MS: &str = "rtt_max_ms";
    /// Standard deviation of the round trips of this look, in milliseconds, as ping prints it (measure).
    pub const RTT_MDEV_MS: &str = "rtt_mdev_ms";
    /// Mean round trip over the looks since the start, newer ones weighing more, in milliseconds (measure).
    pub const RTT_ROLLING_MS: &str = "rtt_rolling_ms";
    /// Loss over the looks since the start, newer ones weighing more, 0 to 1 (measure).
    pub const LOSS_ROLLING_RATIO: &str = "loss_rolling_ratio";
    /// Routers that the last reply might still have passed (integer).
    pub const REPLY_TTL: &str = "reply_ttl";
    /// Sort of socket that echoes went through: `unprivileged` or `raw` (text).
    pub const ICMP_SOCKET: &str = "icmp_socket";
    /// When the newest call of a push target came (time).
    pub const LAST_CALL_AT: &str = "last_call_at";
    /// When a run began whose end was not told yet (time).
    pub const RUN_STARTED_AT: &str = "run_started_at";
    /// How long the newest run took from the call of its beginning to that of its end, in milliseconds (measure).
    pub const RUN_TOOK_MS: &str = "run_took_ms";
    /// What a caller says that it measured, in milliseconds (measure).
    pub const REPORTED_PING_MS: &str = "reported_ping_ms";
    /// Exit code of a command, or of what a caller ran (integer).
    pub const EXIT_CODE: &str = "exit_code";
    /// First line that a plugin printed, or the words of a caller (text).
    pub const MESSAGE: &str = "message";
    /// Further lines that a plugin printed (text).
    pub const LONG_OUTPUT: &str = "long_output";
    /// Values that a plugin printed (rows of `value`, `unit`, `warn`, `crit`, `min`, `max`).
    pub const PERFDATA: &str = "perfdata";
    /// Name of a machine (text).
    pub const HOST_NAME: &str = "host_name";
    /// Version of a machine's kernel (text).
    pub const KERNEL: &str = "kernel";
    /// What the figures are about: the whole machine, or a container with its limits (text).
    pub const SCOPE: &str = "scope";
    /// Time since a machine started, in seconds (integer).
    pub const UPTIME_S: &str = "uptime_s";
    /// Processors of a machine (integer).
    pub const CPUS: &str = "cpus";
    /// Processors that a container may keep busy (measure).
    pub const CPU_LIMIT: &str = "cpu_limit";
    /// Part of the processors' time in use, 0 to 1; of what a container may use where it has a limit (measure).
    pub const CPU_USED_RATIO: &str = "cpu_used_ratio";
    /// Part of the processors' time in programs, 0 to 1 (measure).
    pub const CPU_USER_RATIO: &str = "cpu_user_ratio";
    /// Part of the processors' time in the kernel, 0 to 1 (measure).
    pub const CPU_SYSTEM_RATIO: &str = "cpu_system_ratio";
    /// Part of the processors' time waiting for disks, 0 to 1 (measure).
    pub const CPU_IOWAIT_RATIO: &str = "cpu_iowait_ratio";
    /// Part of the processors' time serving interrupts, 0 to 1 (measure).
    pub const CPU_IRQ_RATIO: &str = "cpu_irq_ratio";
    /// Part of the processors' time that the hypervisor gave to others, 0 to 1 (measure).
    pub const CPU_STEAL_RATIO: &str = "cpu_steal_ratio";
    /// Load average of one minute (measure).
    pub const LOAD_1: &str = "load_1";
    /// Load average of five minutes (measure).
    pub const LOAD_5: &str = "load_5";
    /// Load average of fifteen minutes (measure).
    pub const LOAD_15: &str = "load_15";
    /// Memory of a machine, or what a container may use of it, in bytes (integer).
    pub const MEMORY_SIZE_BYTES: &str = "memory_size_bytes";
    /// Memory that is not available to new programs, in bytes (integer).
    pub const MEMORY_USED_BYTES: &str = "memory_used_bytes";
    /// The same as part of the memory, 0 to 1 (measure).
    pub const MEMORY_USED_RATIO: &str = "memory_used_ratio";
    /// Size of the swap, in bytes (integer).
    pub const SWAP_SIZE_BYTES: &str = "swap_size_bytes";
    /// Part of the swap in use, 0 to 1 (measure).
    pub const SWAP_USED_RATIO: &str = "swap_used_ratio";
    /// File systems (rows of `size_bytes`, `free_bytes`, `used_ratio`, `files_used_ratio`).
    pub const FILE_SYSTEMS: &str = "file_systems";
    /// Disks (rows of `read_bytes_per_s`, `written_bytes_per_s`, `busy_ratio`).
    pub const DISKS: &str = "disks";
    /// Interfaces (rows of `in_bps`, `out_bps`, `errors_per_s`, `drops_per_s`).
    pub const INTERFACES: &str = "interfaces";
    /// Sensors of temperature (rows of `temperature_c`, `critical_c`).
    pub const TEMPERATURES: &str = "temperatures";
    /// Size of something, in bytes (integer).
    pub const SIZE_BYTES: &str = "size_bytes";
    /// What is left of it for programs without privileges, in bytes (integer).
    pub const FREE_BYTES: &str = "free_bytes";
    /// Part of it in use, 0 to 1, as `df` counts (measure).
    pub const USED_RATIO: &str = "used_ratio";
    /// Part of the number of files (inodes) in use, 0 to 1 (measure).
    pub const FILES_USED_RATIO: &str = "files_used_ratio";
    /// Bytes read in a second (integer).
    pub const READ_BYTES_PER_S: &str = "read_bytes_per_s";
    /// Bytes written in a second (integer).
    pub const WRITTEN_BYTES_PER_S: &str = "written_bytes_per_s";
    /// Part of the time in which it had something to do, 0 to 1 (measure).
    pub const BUSY_RATIO: &str = "busy_ratio";
    /// Bits per second that came in (integer).
    pub const IN_BPS: &str = "in_bps";
    /// Bits per second that went out (integer).
    pub const OUT_BPS: &str = "out_bps";
    /// Errors in a second, both ways (measure).
    pub const ERRORS_PER_S: &str = "errors_per_s";
    /// Packets dropped in a second, both ways (measure).
    pub const DROPS_PER_S: &str = "drops_per_s";
    /// Temperature that the maker of a sensor calls critical, in degrees Celsius (measure).
    pub const CRITICAL_C: &str = "critical_c";
    /// Processors that StreamPulse itself keeps busy; 1 is one of them (measure).
    pub const OWN_CPUS: &str = "own_cpus";
    /// Memory of StreamPulse itself, in bytes (integer).
    pub const OWN_MEMORY_BYTES: &str = "own_memory_bytes";
    /// Threads of StreamPulse itself (integer).
    pub const OWN_THREADS: &str = "own_threads";
    /// Files and sockets that StreamPulse itself has open (integer).
    pub const OWN_OPEN_FILES: &str = "own_open_files";
}

words! {
    /// How deep a probe looks, and how much a reading proves.
    Depth {
        /// The peer answers.
        Reach = "reach",
        /// The peer describes the stream.
        Describe = "describe",
        /// Media of every selected track was received.
        Media = "media",
    }
}

words! {
    /// How grave a finding is by the standard of the protocol.
    Severity {
        /// Worth knowing; changes no verdict.
        Note = "note",
        /// Against the standard, or a trouble that players feel: the stream is degraded.
        Warning = "warning",
        /// Beyond a bound that the configuration sets for failure: the target is down.
        Failure = "failure",
    }
}

/// Something found in what the peer sent, or in what was measured, that does not end the look. What ends it is a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its name in the reference of its kind: snake_case, never changes.
    pub name: &'static str,
    /// How grave.
    pub severity: Severity,
    /// One sentence, lower case, with the actual value, without secrets.
    pub text: String,
}

/// Facts of one look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Tracks in the order of the stream.
    pub tracks: Vec<Track>,
    /// Facts by key (see [`fact`]).
    pub facts: BTreeMap<&'static str, FactValue>,
    /// What was proven; `None` for kinds that carry no media or when nothing was.
    pub proven: Option<Depth>,
    /// What was found beside the facts, in the order in which it was found.
    pub findings: Vec<Finding>,
}

impl Reading {
    /// Notes a text fact.
    pub fn text(&mut self, key: &'static str, value: impl Into<String>) {
        self.facts.insert(key, FactValue::Text(value.into()));
    }

    /// Notes an integer fact.
    pub fn int(&mut self, key: &'static str, value: i64) {
        self.facts.insert(key, FactValue::Int(value));
    }

    /// Notes a measure.
    pub fn num(&mut self, key: &'static str, value: f64) {
        self.facts.insert(key, FactValue::Num(value));
    }

    /// Notes a flag.
    pub fn flag(&mut self, key: &'static str, value: bool) {
        self.facts.insert(key, FactValue::Flag(value));
    }

    /// Notes a point in time.
    pub fn time(&mut self, key: &'static str, value: UtcMs) {
        self.facts.insert(key, FactValue::Time(value));
    }

    /// Notes rows; those beyond [`MAX_ROWS`] are left out. No rows are no fact.
    pub fn rows(&mut self, key: &'static str, mut rows: Vec<Row>) {
        rows.truncate(MAX_ROWS);
        if !rows.is_empty() {
            self.facts.insert(key, FactValue::Rows(rows));
        }
    }

    /// Notes a finding.
    pub fn find(&mut self, name: &'static str, severity: Severity, text: impl Into<String>) {
        self.findings.push(Finding { name, severity, text: text.into() });
    }

    /// The first track of a medium.
    #[must_use]
    pub fn track(&self, media: Media) -> Option<&Track> {
        self.tracks.iter().find(|t| t.media == media)
    }
}
