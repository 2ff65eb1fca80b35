//! The table of metric families: name, type, labels and what each means. The answer, the reference page and the tests of the
//! dashboard and the rules are made from it; there is no other list.

use std::fmt::Write as _;

/// What sort of figure a family holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// May go up and down.
    Gauge,
    /// Only grows until the process starts anew. Its name ends in `_total`.
    Counter,
    /// Durations by bucket.
    Histogram,
    /// Always 1: the labels tell. Its name ends in `_info`.
    Info,
}

impl Type {
    /// The word in the text formats; `open` is OpenMetrics.
    #[must_use]
    pub const fn word(self, open: bool) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
            Self::Info if open => "info",
            Self::Info => "gauge",
        }
    }
}

/// To which names a family belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Those of this program.
    Own,
    /// Those that `/probe` answers with; the ones without our prefix are those of blackbox_exporter.
    Probe,
    /// Those of StreamPulse 2.1.1, answered with where the configuration says so.
    StreamPulse21,
    /// Those of RTMP_HMonitor, likewise.
    RtmpHmonitor,
}

/// One family.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name. `<N>` stands for the days of the window in names of StreamPulse 2.1.1.
    pub name: &'static str,
    /// What sort.
    pub ty: Type,
    /// Its labels, `le` of a histogram not among them.
    pub labels: &'static [&'static str],
    /// What it means, in one line.
    pub help: &'static str,
    /// To which names it belongs.
    pub names: Names,
}

macro_rules! families {
    ($($names:ident { $($id:ident $ty:ident $name:literal [$($label:literal),*] $help:literal)+ })+) => {
        /// A family of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Id { $($(#[doc = $help] $id,)+)+ }
        /// The table, in the order of the answer.
        pub static FAMILIES: &[Family] = &[$($(
            Family { name: $name, ty: Type::$ty, labels: &[$($label),*], help: $help, names: Names::$names },
        )+)+];
    };
}

families! {
Own {
    BuildInfo Info "streampulse_build_info" ["version"] "Version of StreamPulse."
    PartUp Gauge "streampulse_part_up" ["part"] "Whether a part of StreamPulse is well (1) or not (0)."
    Targets Gauge "streampulse_targets" ["status"] "Targets by status."
    IncidentsOpen Gauge "streampulse_incidents_open" [] "Incidents that are open."
    Incidents Counter "streampulse_incidents_total" [] "Incidents that were opened."
    Looks Counter "streampulse_looks_total" ["kind", "result"] "Looks that were judged, judgements of held sessions among them, by kind of target and result (pass, warn, fail)."
    Faults Counter "streampulse_faults_total" ["fault"] "Faults that ended looks, by kind of fault."
    LookDuration Histogram "streampulse_look_duration_seconds" ["kind"] "How long looks took, and how long sessions that are held took to be opened, by kind of target."
    PhaseDuration Histogram "streampulse_look_phase_duration_seconds" ["kind", "phase"] "The same by phase."
    Rounds Counter "streampulse_engine_rounds_total" [] "Rounds of looks that began by the cadence."
    Missed Counter "streampulse_engine_missed_rounds_total" [] "Points of a cadence at which nothing began because the round before was not over."
    Lateness Histogram "streampulse_engine_start_delay_seconds" [] "How much later than due rounds began."
    LatenessMax Gauge "streampulse_engine_start_delay_max_seconds" [] "The most that a round began later than due since the start."
    BoardAge Gauge "streampulse_engine_board_age_seconds" [] "Age of the snapshot that this answer was written from."
    StoreQueue Gauge "streampulse_store_queue_rows" [] "Rows that wait to be written to the history."
    StoreLost Counter "streampulse_store_lost_rows_total" [] "Rows that were given up because the queue was full or the file refused them."
    StoreSize Gauge "streampulse_store_size_bytes" [] "Size of the history with its write-ahead log."
    StoreCommit Gauge "streampulse_store_last_commit_timestamp_seconds" [] "When rows were last committed to the history."
    SinkUp Gauge "streampulse_sink_up" ["sink", "kind"] "Whether a sink or channel works as far as is known: connected, or its last delivery succeeded. Absent before the first attempt."
    SinkSent Counter "streampulse_sink_sent_total" ["sink", "kind"] "Messages, points or notifications that were delivered."
    SinkFailed Counter "streampulse_sink_failed_total" ["sink", "kind"] "Deliveries that failed and were or are tried again."
    SinkDropped Counter "streampulse_sink_dropped_total" ["sink", "kind"] "What was given up or replaced by something newer."
    SinkQueue Gauge "streampulse_sink_queue_items" ["sink", "kind"] "What waits to be delivered."
    SinkLast Gauge "streampulse_sink_last_success_timestamp_seconds" ["sink", "kind"] "When something was last delivered."
    WriteDuration Gauge "streampulse_metrics_write_duration_seconds" [] "How long the answer before this one took to write."
    ProcessCpu Counter "process_cpu_seconds_total" [] "Processor time of this process, in user and system mode."
    ProcessStart Gauge "process_start_time_seconds" [] "When this process started."
    ProcessResident Gauge "process_resident_memory_bytes" [] "Resident memory of this process."
    ProcessVirtual Gauge "process_virtual_memory_bytes" [] "Virtual memory of this process."
    ProcessFds Gauge "process_open_fds" [] "Files and sockets that this process has open."
    ProcessMaxFds Gauge "process_max_fds" [] "Files and sockets that this process may have open."
    ProcessThreads Gauge "process_threads" [] "Threads of this process."
    TargetInfo Info "streampulse_target_info" ["target", "name", "kind", "group", "watch"] "What a target is; joined to the others by the label target."
    TargetUp Gauge "streampulse_target_up" ["target"] "1 while a target is up or degraded, 0 while it is down. Absent while that is not known, or nobody looks."
    TargetStatus Gauge "streampulse_target_status" ["target", "status"] "1 for the status that a target has (up, degraded, down, unknown, paused, maintenance); the others are absent."
    TargetSince Gauge "streampulse_target_status_since_timestamp_seconds" ["target"] "Since when it has that status."
    TargetLooks Counter "streampulse_target_looks_total" ["target", "result"] "Looks that were judged, judgements of a held session among them, by result (pass, warn, fail)."
    TargetFaults Counter "streampulse_target_faults_total" ["target", "fault"] "Faults that ended looks, by kind of fault; kinds that did not occur are absent."
    TargetIncidents Counter "streampulse_target_incidents_total" ["target"] "Incidents that were opened."
    TargetIncident Gauge "streampulse_target_incident_open" ["target"] "Whether an incident is open (1) or not (0)."
    TargetAvailability Gauge "streampulse_target_availability_ratio" ["target", "window"] "Part of the counted time that it was up or degraded over 24h, 7d and 30d; computed twice a minute. Absent where no time counted."
    TargetScore Gauge "streampulse_target_health_score" ["target"] "Health score from 0 to 100, of what was measured. Absent while the target is not judged."
    TargetScored Gauge "streampulse_target_health_score_measured_ratio" ["target"] "Part of all weights of the health score that was measured."
    TargetScorePart Gauge "streampulse_target_health_score_part_ratio" ["target", "part"] "How good a part of the health score is (status, bitrate, packet_loss, latency); what was not measured is absent."
    TargetLooked Gauge "streampulse_target_last_look_timestamp_seconds" ["target"] "When the newest look began that was judged."
    TargetDuration Gauge "streampulse_target_look_duration_seconds" ["target"] "How long the newest look took; of a held session, how long it took to be opened."
    TargetPhase Gauge "streampulse_target_look_phase_duration_seconds" ["target", "phase"] "The same by phase."
    TargetBitrate Gauge "streampulse_target_media_bytes_per_second" ["target"] "Bytes of media per second that came; by the size of a segment, or of the sound, where nothing better is known."
    TargetFrames Gauge "streampulse_target_frames_per_second" ["target"] "Pictures per second that came."
    TargetLoss Gauge "streampulse_target_packet_loss_ratio" ["target"] "Part of the packets or echoes that did not come."
    TargetRtt Gauge "streampulse_target_round_trip_seconds" ["target"] "Mean round-trip time."
    TargetJitter Gauge "streampulse_target_jitter_seconds" ["target"] "Jitter of the arrival of packets or echoes."
    TargetKeyframes Gauge "streampulse_target_keyframe_interval_seconds" ["target"] "Longest time between two key frames that was seen."
    TargetPlaylist Gauge "streampulse_target_playlist_age_seconds" ["target"] "How long ago a live playlist or manifest last went on."
    TargetLatency Gauge "streampulse_target_live_latency_seconds" ["target"] "Age of the newest media by the clock of the stream and by ours."
    TargetCertificate Gauge "streampulse_target_certificate_expiry_timestamp_seconds" ["target"] "When the certificate of the peer ends."
    TargetTrack Info "streampulse_target_track_info" ["target", "track", "media", "codec", "received"] "A track of the stream; received says whether its media came, or was only announced. A codec that is not known by name is other."
    TargetWidth Gauge "streampulse_target_video_width_pixels" ["target"] "Width of the first video track."
    TargetHeight Gauge "streampulse_target_video_height_pixels" ["target"] "Height of the first video track."
    TargetViewers Gauge "streampulse_target_viewers" ["target"] "Who watches or listens, as the platform or server counts."
    TargetSession Gauge "streampulse_target_session_live" ["target"] "Whether media flows in the session of a target that is watched continuously (1) or not (0)."
    TargetSessionSince Gauge "streampulse_target_session_since_timestamp_seconds" ["target"] "Since when the session does what it does."
    TargetReconnects Counter "streampulse_target_session_reconnects_total" ["target"] "Sessions that were opened again after one had ended."
    ServiceInfo Info "streampulse_service_info" ["service", "name", "kind", "group"] "What a service is; joined to the others by the label service."
    ServiceUp Gauge "streampulse_service_up" ["service"] "1 while a service runs, its start checks passed and its health is not bad, else 0."
    ServiceState Gauge "streampulse_service_state" ["service", "state"] "1 for the state that a service has (stopped, starting, running, stopping, backing_off, failed, finished), 0 for the others."
    ServiceSince Gauge "streampulse_service_state_since_timestamp_seconds" ["service"] "Since when it has that state."
    ServiceWanted Gauge "streampulse_service_wanted" ["service"] "Whether somebody wants it to run (1) or not (0)."
    ServiceHealthy Gauge "streampulse_service_healthy" ["service"] "Whether its health checks are good (1) or bad (0). Absent without checks, and until they said something."
    ServiceRestarts Counter "streampulse_service_restarts_total" ["service"] "Starts that nobody commanded; goes on over restarts of StreamPulse."
    ServiceNextStart Gauge "streampulse_service_next_start_timestamp_seconds" ["service"] "When it is started again, while it waits for that."
    ServiceStart Gauge "streampulse_service_start_time_seconds" ["service"] "When the run that is under way began."
    ServiceUptime Gauge "streampulse_service_uptime_seconds" ["service"] "For how long the run that is under way goes on."
    ServiceOutput Gauge "streampulse_service_last_output_timestamp_seconds" ["service"] "When its output last brought a line."
    ServiceHeartbeat Gauge "streampulse_service_last_heartbeat_timestamp_seconds" ["service"] "When its heartbeat file was last written."
    ServiceCpu Gauge "streampulse_service_cpu_ratio" ["service"] "Processor time that all its processes used per time; 1 is one core."
    ServiceMemory Gauge "streampulse_service_memory_bytes" ["service"] "Memory of all its processes, what they share counted once where that can be read."
    ServiceMemoryLimit Gauge "streampulse_service_memory_limit_bytes" ["service"] "Memory that it may use, where a limit is set."
    ServiceRead Counter "streampulse_service_storage_read_bytes_total" ["service"] "Bytes read from storage since the run began."
    ServiceWritten Counter "streampulse_service_storage_written_bytes_total" ["service"] "Bytes written to storage since the run began."
    ServiceThreads Gauge "streampulse_service_threads" ["service"] "Threads of all its processes."
    ServiceFds Gauge "streampulse_service_open_fds" ["service"] "Files and sockets that its processes have open."
    ServiceProcesses Gauge "streampulse_service_processes" ["service"] "Its processes."
    ServiceQueueUp Gauge "streampulse_service_queue_up" ["service"] "Whether its queue could be counted the last time (1) or not (0)."
    ServiceQueue Gauge "streampulse_service_queue_items" ["service", "state"] "Items of its queue by state; states beyond 32 and such that are no plain words are counted as other."
    ServiceQueueRate Gauge "streampulse_service_queue_rate_per_hour" ["service"] "Items that were completed within the last hour."
    ServiceQueueOldest Gauge "streampulse_service_queue_oldest_waiting_timestamp_seconds" ["service"] "When the oldest item came that waits."
    ServiceQueueStuck Gauge "streampulse_service_queue_stuck_items" ["service"] "Items that are in progress for too long."
    ServiceQueueCounted Gauge "streampulse_service_queue_counted_timestamp_seconds" ["service"] "When its queue was last counted."
}
Probe {
    ProbeSuccess Gauge "probe_success" [] "1 when the look succeeded and found what the module expects, else 0."
    ProbeDuration Gauge "probe_duration_seconds" [] "How long the look took."
    ProbeDns Gauge "probe_dns_lookup_time_seconds" [] "How long the name took to be resolved; 0 for an address."
    ProbeHttp Gauge "probe_http_duration_seconds" ["phase"] "Duration by phase in the words of blackbox_exporter: resolve, connect, tls, processing, transfer."
    ProbeStatusCode Gauge "probe_http_status_code" [] "Status code of the last reply of HTTP, or of RTSP."
    ProbeRedirects Gauge "probe_http_redirects" [] "Redirects that were followed."
    ProbeIcmp Gauge "probe_icmp_duration_seconds" ["phase"] "Duration of echoes by phase: resolve, rtt."
    ProbeCertificate Gauge "probe_ssl_earliest_cert_expiry" [] "When the certificate of the peer ends, in seconds since 1970."
    ProbeDegraded Gauge "streampulse_probe_degraded" [] "1 when the look would make a target degraded, else 0."
    ProbeFault Gauge "streampulse_probe_fault" ["fault", "phase"] "1 for the fault that ended the look, with the phase in which it did."
    ProbePhase Gauge "streampulse_probe_phase_duration_seconds" ["phase"] "Duration by phase."
    ProbeBitrate Gauge "streampulse_probe_media_bytes_per_second" [] "Bytes of media per second that came."
    ProbeFrames Gauge "streampulse_probe_frames_per_second" [] "Pictures per second that came."
    ProbeLoss Gauge "streampulse_probe_packet_loss_ratio" [] "Part of the packets or echoes that did not come."
    ProbeRtt Gauge "streampulse_probe_round_trip_seconds" [] "Mean round-trip time."
    ProbeJitter Gauge "streampulse_probe_jitter_seconds" [] "Jitter of the arrival of packets or echoes."
    ProbeKeyframes Gauge "streampulse_probe_keyframe_interval_seconds" [] "Longest time between two key frames that was seen."
    ProbePlaylist Gauge "streampulse_probe_playlist_age_seconds" [] "How long ago a live playlist or manifest last went on."
    ProbeLatency Gauge "streampulse_probe_live_latency_seconds" [] "Age of the newest media by the clock of the stream and by ours."
    ProbeTrack Info "streampulse_probe_track_info" ["track", "media", "codec", "received"] "A track of the stream, as for targets."
    ProbeWidth Gauge "streampulse_probe_video_width_pixels" [] "Width of the first video track."
    ProbeHeight Gauge "streampulse_probe_video_height_pixels" [] "Height of the first video track."
}
StreamPulse21 {
    OldUp Gauge "stream_up" ["stream"] "1 while the newest look was no failure, else 0."
    OldLatency Gauge "stream_latency_ms" ["stream"] "How long the newest look took, in milliseconds."
    OldAge Gauge "stream_last_seen_age_seconds" ["stream"] "Age of the newest look, in seconds; 999999 without one."
    OldStreak Gauge "stream_uptime_streak_seconds" ["stream"] "How long it has been up or degraded, in seconds; 0 while it is not."
    OldTotal Gauge "system_total_streams" [] "Streams that are configured."
    OldOk Gauge "system_ok_streams" [] "Streams whose newest look was no failure."
    OldFail Gauge "system_fail_streams" [] "The other streams."
    OldSystem Gauge "system_up" [] "1 while every stream is up, else 0."
    OldOkSamples Gauge "system_ok_samples_<N>d" [] "Looks of the window that were no failure."
    OldSamples Gauge "system_total_samples_<N>d" [] "Looks of the window."
    OldRatio Gauge "system_sla_ratio_<N>d" [] "Part of the looks of the window that were no failure, 0 to 1."
}
RtmpHmonitor {
    HealthStatus Gauge "stream_health_stream_status" ["stream_name", "stream_type"] "1 while the stream is up or degraded, 0 while it is down or not known."
    HealthBitrate Gauge "stream_health_stream_bitrate" ["stream_name", "stream_type"] "Bits of media per second."
    HealthScore Gauge "stream_health_score" ["stream_name", "stream_type"] "Health score, 0 to 100."
    HealthLoss Gauge "stream_health_packet_loss" ["stream_name", "stream_type"] "Packets lost, in percent."
    HealthLatency Gauge "stream_health_latency" ["stream_name", "stream_type"] "Latency in milliseconds, as the health score takes it."
    HealthPing Gauge "stream_health_network_ping_latency" ["target"] "Round-trip time of targets of the kind ping, in milliseconds."
    HealthPingLoss Gauge "stream_health_network_packet_loss" ["target"] "Echoes lost of targets of the kind ping, in percent."
    HealthInfo Info "stream_health_system_info" ["version"] "Version of StreamPulse."
    HealthErrors Counter "stream_health_errors_total" ["stream_name", "stream_type", "error_type"] "Faults that ended looks, by kind of fault."
}
}

/// The page `docs/reference/metrics.md`.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(INTRODUCTION);
    for (names, title) in [
        (Names::Own, "Metrics"),
        (Names::Probe, "What `/probe` answers with"),
        (Names::StreamPulse21, "Names of StreamPulse 2.1.1: `legacy: streampulse_2_1`"),
        (Names::RtmpHmonitor, "Names of RTMP_HMonitor: `legacy: rtmp_hmonitor`"),
    ] {
        // Writing to a String cannot fail.
        let _ = write!(out, "\n## {title}\n\n| name | type | labels | meaning |\n|---|---|---|---|\n");
        for family in FAMILIES.iter().filter(|f| f.names == names) {
            let labels = family.labels.iter().map(|l| format!("`{l}`")).collect::<Vec<_>>().join(", ");
            let ty = family.ty.word(true);
            let _ = writeln!(out, "| `{}` | {ty} | {labels} | {} |", family.name, family.help);
        }
    }
    out
}

const INTRODUCTION: &str = "\
# Metrics

Every name that `/metrics` and `/probe` answer with. This page is generated from the table that the answer is written from
(`UPDATE=1 cargo test -p web` writes it anew); [the guide](../guide/prometheus.md) tells how to scrape them.

Counters begin at 0 with the process. Durations are in seconds, sizes in bytes, rates in bytes per second, ratios from 0 to 1.
A sample that cannot be known is absent, and never 0 in its place. What was measured of a target is absent while nobody looks
at it.
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_page_is_the_golden_file() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, reference()).expect("writable");
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(golden == reference(), "docs/reference/metrics.md is out of date: run the tests once with UPDATE=1");
    }

    #[test]
    fn names_are_unique_and_end_as_their_type_asks_for() {
        let mut seen = BTreeSet::new();
        for family in FAMILIES {
            assert!(seen.insert(family.name), "{} is there twice", family.name);
            assert_eq!(family.name.ends_with("_total"), family.ty == Type::Counter, "{}", family.name);
            assert_eq!(family.name.ends_with("_info"), family.ty == Type::Info, "{}", family.name);
            let begins = |with: &[&str]| with.iter().any(|p| family.name.starts_with(p));
            let names = match family.name {
                _ if begins(&["probe_", "streampulse_probe_"]) => Names::Probe,
                _ if begins(&["streampulse_", "process_"]) => Names::Own,
                _ if begins(&["stream_health_"]) => Names::RtmpHmonitor,
                _ => Names::StreamPulse21,
            };
            assert_eq!(names, family.names, "{}", family.name);
            assert!(family.help.ends_with('.') && !family.help.contains(['\n', '\\', '|']), "{}", family.name);
        }
    }
}
