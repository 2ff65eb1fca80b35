//! What is written of looks, changes and ourselves.

use std::time::Duration;

use model::address::Address;
use model::expect::Expectations;
use model::fault::{Fault, FaultKind};
use model::observation::Look;
use model::phase::Phase;
use model::reading::{Depth, Track};
use model::status::{StatusRules, StatusState};
use model::target::{Options, Target, Watch};

use super::*;
use crate::influx::settings::tests::read;

/// A target on the Board.
pub(crate) fn target(id: &str, group: Option<&str>, status: Status) -> Arc<TargetNow> {
    let spec = Target {
        id: TargetId::parse(id).expect("an id"),
        name: format!("Cam, {id}"),
        kind: "rtsp",
        address: Address::parse("rtsp://h/x").expect("a URL"),
        group: group.map(str::to_owned),
        tags: Vec::new(),
        parents: Vec::new(),
        enabled: true,
        watch: Watch::Periodic,
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(5),
        retries: 0,
        depth: Depth::Media,
        rules: StatusRules::default(),
        expect: Expectations::default(),
        options: Options::default(),
    };
    let state = StatusState { status, ..StatusState::unknown(UtcMs(0)) };
    Arc::new(TargetNow {
        spec: Arc::new(spec),
        state,
        paused: false,
        last: None,
        verdict: None,
        beats: Arc::new([]),
        incident: None,
        next_due: None,
        session: None,
        counts: model::tally::Counts::default(),
        revision: 1,
    })
}

/// A Board of such targets.
pub(crate) fn board(targets: &[Arc<TargetNow>]) -> Board {
    let index = targets.iter().enumerate().map(|(i, t)| (t.spec.id.clone(), i)).collect();
    Board {
        at: UtcMs(0),
        started_at: UtcMs(0),
        version: 1,
        targets: targets.into(),
        index: Arc::new(index),
        health: model::board::Health::default(),
        tally: Arc::default(),
        config_hash: String::new(),
        timezone: "UTC".to_owned(),
    }
}

/// A look at a target.
pub(crate) fn seen(id: &str, at: i64) -> Observation {
    Observation {
        target: TargetId::parse(id).expect("an id"),
        at: UtcMs(at),
        took: Duration::from_micros(12_500),
        attempts: 1,
        look: Look::default(),
    }
}

/// Nothing to complain of.
pub(crate) fn pass() -> Verdict {
    Verdict { grade: Grade::Pass, reasons: Vec::new() }
}

/// Only the status and the loss count.
const SCORING: Scoring =
    Scoring { weights: [0.5, 0.0, 0.5, 0.0], full_bitrate_bps: 1.0, full_latency: Duration::from_secs(1) };

fn scribe(more: &[(&str, &str)]) -> Scribe {
    let pairs: Vec<_> = [("url", "http://h"), ("database", "d")].iter().chain(more).copied().collect();
    Scribe::new(Arc::new(read(&pairs).expect("good")))
}

#[test]
fn a_good_look_with_all_that_was_measured() {
    let mut look = seen("cam-1", 1000);
    look.look.phases.add(Phase::Connect, Duration::from_millis(2));
    look.look.phases.add(Phase::Media, Duration::from_micros(10_500));
    let reading = &mut look.look.reading;
    let mut video = Track::new(Media::Video, "h264");
    (video.width, video.height, video.fps) = (Some(1920), Some(1080), Some(25.0));
    reading.tracks.push(video);
    reading.int(fact::MEASURED_BITRATE_BPS, 2_000_000);
    reading.num(fact::LOSS_RATIO, 0.25);
    reading.num(fact::JITTER_MS, 1.5);
    reading.int(fact::LISTENERS, 7);
    reading.time(fact::CERT_EXPIRES_AT, UtcMs(61_000));
    reading.flag(fact::CERT_UNCHECKED, true);
    reading.text(fact::SERVER, "GStreamer");
    let now = target("cam-1", Some("North hall"), Status::Up);
    let head = "streampulse_look,group=North\\ hall,kind=rtsp,name=Cam\\,\\ cam-1,target=cam-1 status=\"up\",status_value=1i,up=1i,grade=\"pass\",passed=1i,took_ms=12.5,attempts=1i,phase_connect_ms=2,phase_media_ms=10.5,score=87.5,bitrate_bps=2000000,fps=25,width=1920i,height=1080i,cert_expires_in_s=60";
    let all = format!(
        "{head},cert_unchecked=1,jitter_ms=1.5,listeners=7,loss_ratio=0.25,measured_bitrate_bps=2000000 1000\n"
    );
    assert_eq!(scribe(&[]).look(&now, &look, &pass(), &SCORING).as_deref(), Some(all.as_str()));
    let few = format!("{head},jitter_ms=1.5,loss_ratio=0.25 1000\n");
    assert_eq!(scribe(&[("facts", "false")]).look(&now, &look, &pass(), &SCORING).as_deref(), Some(few.as_str()));
}

#[test]
fn a_bad_look_names_its_fault_and_a_change_its_reason() {
    let mut look = seen("cam-2", 5);
    look.look.fault = Some(Fault::new(FaultKind::AuthRequired, Phase::Describe, "wants a password"));
    let now = target("cam-2", None, Status::Down);
    let bad = Verdict { grade: Grade::Fail, reasons: Vec::new() };
    let mut scribe = scribe(&[("prefix", "sp.")]);
    let line = scribe.look(&now, &look, &bad, &SCORING).expect("a point");
    assert_eq!(
        &*line,
        "sp.look,kind=rtsp,name=Cam\\,\\ cam-2,target=cam-2 status=\"down\",status_value=3i,up=0i,grade=\"fail\",passed=0i,took_ms=12.5,attempts=1i,fault=\"auth_required\",fault_phase=\"describe\",score=0 5\n"
    );
    let change = StatusChange { from: Status::Up, to: Status::Down, at: UtcMs(9), reason: "it says \"no\"".to_owned() };
    let line = scribe.change(&now, &change).expect("a point");
    assert_eq!(
        &*line,
        "sp.status,kind=rtsp,name=Cam\\,\\ cam-2,target=cam-2 from=\"up\",to=\"down\",from_value=1i,to_value=3i,reason=\"it says \\\"no\\\"\" 9\n"
    );
}

#[test]
fn no_two_points_of_a_series_have_one_time() {
    let mut scribe = scribe(&[]);
    let (a, b) = (target("a", None, Status::Up), target("b", None, Status::Up));
    let mut at = |now: &TargetNow, ms: i64| {
        let line = scribe.look(now, &seen(now.spec.id.as_str(), ms), &pass(), &SCORING).expect("a point");
        line.trim_end().rsplit(' ').next().and_then(|t| t.parse::<i64>().ok()).expect("a time")
    };
    // Another target has a series of its own; a clock that was set back is believed.
    let asked = [(&a, 100), (&a, 100), (&b, 100), (&a, 101), (&a, 50), (&a, 5000), (&a, 100), (&a, 101)];
    let given: Vec<i64> = asked.iter().map(|(now, ms)| at(now, *ms)).collect();
    assert_eq!(given, [100, 101, 100, 102, 103, 5000, 100, 101]);
    scribe.forget(&board(&[b]));
    assert_eq!(scribe.newest.len(), 1);
}

#[test]
fn own_figures_are_told() {
    let targets = [target("a", None, Status::Up), target("b", None, Status::Down)];
    let own = Own { looks: 10, per_s: 2.5, missed: 1, queued: 3, dropped: 4 };
    let vitals =
        Vitals { rounds: 9, late_p99: Duration::from_millis(16), store_ok: true, store_queue: 6, ..Vitals::default() };
    let line = scribe(&[]).own(UtcMs(60_000), &board(&targets), &own, &vitals).expect("a point");
    for part in [
        "streampulse_self uptime_s=60,targets=2i",
        "targets_up=1i",
        "targets_down=1i",
        "targets_paused=0i",
        "looks=10i,looks_per_s=2.5,events_missed=1i",
        "late_p99_ms=16",
        "store_ok=1i,store_queue=6i",
        "influxdb_queue=3i,influxdb_dropped=4i 60000\n",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}
