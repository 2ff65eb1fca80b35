//! Tests of reading what engines tell: real answers, and what ends mean.

use super::*;

/// Of Docker 20.10, cut to what is read and a little more.
const RUNNING: &str = r#"{"Id":"a866","Created":"2026-11-20T19:01:21.05Z","Path":"sh","State":{"Status":"running","Running":true,
"Paused":false,"Restarting":false,"OOMKilled":false,"Dead":false,"Pid":3187,"ExitCode":0,"Error":"","StartedAt":
"2026-11-20T19:01:21.273487066Z","FinishedAt":"0001-01-01T00:00:00Z"},"Image":"sha256:23b9","HostConfig":{"Memory":33554432},
"Config":{"Tty":false,"Env":null,"Labels":{},"StopSignal":"SIGINT"}}"#;
/// Of Podman 4: offsets, a number for the signal, another name for health.
const PODMAN: &str = r#"{"Id":"b1","State":{"Running":false,"Pid":0,"ExitCode":137,"OOMKilled":true,"StartedAt":
"2026-11-20T20:01:21.5+01:00","FinishedAt":"2026-11-20T20:01:22.5+01:00","Healthcheck":{"Status":"unhealthy"}},"Config":
{"StopSignal":2,"Labels":null}}"#;

#[test]
fn answers_of_engines_are_read() {
    let seen: Inspect = serde_json::from_str(RUNNING).expect("Docker's answer");
    assert_eq!((seen.pid(), seen.started_at(), seen.finished_at()), (Some(3187), Some(UtcMs(1_795_201_281_273)), None));
    assert_eq!((seen.stop_signal().as_str(), seen.healthy(), seen.host_config.memory), ("INT", None, 33_554_432));
    let seen: Inspect = serde_json::from_str(PODMAN).expect("Podman's answer");
    // The same instant, whatever zone it is written in.
    assert_eq!((seen.pid(), seen.started_at()), (None, Some(UtcMs(1_795_201_281_500))));
    assert_eq!((seen.stop_signal().as_str(), seen.healthy()), ("2", Some(false)));
    assert_eq!(seen.exit(false), Exit::Signal { number: 9, out_of_memory: true });
}

#[test]
fn what_an_end_means() {
    let signal = |number, out_of_memory| Exit::Signal { number, out_of_memory };
    for (code, oom, exit) in [
        (0, false, Exit::Code(0)),
        (0, true, Exit::Code(0)),
        (3, false, Exit::Code(3)),
        (1, true, signal(9, true)),
        (137, true, signal(9, true)),
        (137, false, signal(9, false)),
        (143, false, signal(15, false)),
        (127, false, Exit::Code(127)),
        (128, false, Exit::Code(128)),
        (200, false, Exit::Code(200)),
        (255, false, Exit::Code(255)),
        (-1, false, Exit::Code(-1)),
    ] {
        assert_eq!(exit_of(code, oom), exit, "{code} {oom}");
    }
    let mut seen: Inspect = serde_json::from_str(RUNNING).expect("Docker's answer");
    seen.state.exit_code = 255;
    assert_eq!((seen.exit(false), seen.exit(true)), (Exit::Code(255), Exit::Unseen));
}
