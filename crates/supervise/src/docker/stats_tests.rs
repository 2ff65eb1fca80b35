//! Tests of reading counters: cgroups 1 and 2, engines that tell less, and the command.

use super::*;

/// Docker 20.10 on cgroups 1.
const V1: &str = r#"{"read":"2026-11-20T19:01:22.309741679Z","preread":"0001-01-01T00:00:00Z","pids_stats":{"current":2},
"blkio_stats":{"io_service_bytes_recursive":[{"major":8,"minor":0,"op":"Read","value":4096},{"major":8,"minor":0,"op":"Write",
"value":100},{"major":9,"minor":0,"op":"Read","value":4},{"major":8,"minor":0,"op":"Total","value":4196}]},
"cpu_stats":{"cpu_usage":{"total_usage":226033155,"percpu_usage":[209432358,16600797]},"system_cpu_usage":69885580000000,
"online_cpus":2},"memory_stats":{"usage":507904,"stats":{"total_inactive_file":7904,"inactive_file":1},"limit":33554432}}"#;
/// Docker 25 on cgroups 2.
const V2: &str = r#"{"read":"2026-11-20T19:01:24.309741679Z","pids_stats":{"current":3,"limit":100},"blkio_stats":
{"io_service_bytes_recursive":[{"major":254,"minor":0,"op":"read","value":81920},{"major":254,"minor":0,"op":"write","value":0}]},
"cpu_stats":{"cpu_usage":{"total_usage":1226033155},"system_cpu_usage":69889580000000,"online_cpus":2},"memory_stats":
{"usage":1000000,"stats":{"anon":1,"inactive_file":400000},"limit":8000000000}}"#;
/// An engine without the counters of memory and blocks.
const BARE: &str = r#"{"read":"2026-11-20T19:01:25.309741679Z","cpu_stats":{"cpu_usage":{"total_usage":1726033155}},
"memory_stats":{},"blkio_stats":{"io_service_bytes_recursive":null}}"#;

#[test]
fn counters_of_all_engines_are_read() {
    let v1 = read(V1.as_bytes()).expect("counters");
    assert_eq!((v1.memory, v1.limit, v1.pids), (Some(500_000), Some(33_554_432), Some(2)));
    assert_eq!((v1.read_bytes, v1.written_bytes), (Some(4100), Some(100)));
    let v2 = read(V2.as_bytes()).expect("counters");
    assert_eq!((v2.memory, v2.read_bytes, v2.written_bytes), (Some(600_000), Some(81_920), Some(0)));
    let bare = read(BARE.as_bytes()).expect("counters");
    assert_eq!((bare.memory, bare.limit, bare.read_bytes, bare.pids), (None, None, None, None));
    assert!(read(b"{}").is_err() && read(b"[]").is_err());
}

#[test]
fn percent_is_of_one_core() {
    let [v1, v2, bare] = [V1, V2, BARE].map(|text| read(text.as_bytes()).expect("counters"));
    // One second of processor time in four of two processors, which is two seconds by the clock.
    assert_eq!(v2.cpu_since(&v1), Some(50.0));
    // Half a second in one by the time of reading.
    assert_eq!(bare.cpu_since(&v2), Some(50.0));
    // A container that was started anew counts from zero again.
    assert_eq!(v1.cpu_since(&v2), None);
    assert_eq!(v1.cpu_since(&v1), None);
}

#[test]
fn what_the_command_prints_is_read() {
    let row = r#"{"BlockIO":"8.19kB / 0B","CPUPerc":"99.87%","Container":"x","ID":"x","MemPerc":"2.03%","MemUsage":
"664KiB / 32MiB","Name":"x","NetIO":"0B / 0B","PIDs":"1"}"#;
    let sample = read_row(row.as_bytes()).expect("a row");
    assert_eq!((sample.memory, sample.limit), (Some(679_936), Some(33_554_432)));
    assert_eq!((sample.read_bytes, sample.written_bytes, sample.pids), (Some(8190), Some(0), Some(1)));
    assert_eq!(sample.cpu_since(&Sample::default()), Some(99.87));
    for (text, bytes) in [
        ("1.5GiB", Some(1_610_612_736)),
        (" 12 MB ", Some(12_000_000)),
        ("0B", Some(0)),
        ("--", None),
        ("5", None),
        ("5 parsecs", None),
        ("-1B", None),
        ("NaNB", None),
    ] {
        assert_eq!(size(text), bytes, "{text}");
    }
}
