//! `/metrics` as scrapers meet it: who may read it, in which format, hostile names, targets that are gone, old names.

use std::collections::BTreeSet;

use serde_json::json;
use web::metrics::family::{FAMILIES, Names};

use crate::rig::{Client, PATIENCE, Reply, Rig, SERVER, TARGETS};

const HOSTILE: &str = "  - name: 'a\"b\\c </script> {x=\"1\"} 門'
    id: hostile
    group: '\"} 1'
    url: http://user:hunter2@127.0.0.1:9/d?token=hunter2token
    interval: 1h
";

async fn scrape(who: &Client, accept: &str) -> Reply {
    who.send_with("GET", "/metrics", &[("Accept", accept.to_owned())], None).await
}

/// Names of all samples, with those of histograms cut to their family.
fn names(text: &str) -> BTreeSet<String> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let name = |line: &str| line.split(['{', ' ']).next().unwrap_or_default().to_owned();
    let family = |name: String| {
        let cut = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        cut.filter(|cut| FAMILIES.iter().any(|f| f.name == *cut)).map(str::to_owned).unwrap_or(name)
    };
    samples.map(name).map(family).collect()
}

/// The value of a sample that is written exactly so.
fn value(text: &str, sample: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test]
async fn whoever_may_look_may_scrape_and_nobody_else() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    rig.looked().await;
    assert_eq!(rig.stranger().get("/metrics").await.status, 401);
    let refused = rig.at_status().get("/metrics").await;
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")), "{}", refused.text());
    assert!(!refused.text().contains("streampulse_"), "{}", refused.text());
    let program = rig.program(&admin, "viewer", true).await;
    assert_eq!(program.get("/metrics").await.status, 200);
    let at_status = Client { addr: rig.at_status().addr, ..program };
    assert_eq!(at_status.get("/metrics").await.status, 200, "the same token serves at the status listener");
    let wrong = Client { bearer: Some("sp_x_y".to_owned()), ..rig.at_status() };
    assert_eq!(wrong.get("/metrics").await.status, 401);
    // A session of the dashboard is no token: the status listener knows no cookies.
    let cookie = Client { addr: rig.at_status().addr, ..admin };
    assert_eq!(cookie.get("/metrics").await.status, 401);
    rig.stop().await;
}

#[tokio::test]
async fn addresses_that_the_configuration_names_need_no_token_at_the_status_listener() {
    for (networks, status) in [("[127.0.0.0/8]", 200), ("['::1', 10.0.0.0/8]", 401)] {
        let rig = Rig::with(&format!("{SERVER}metrics: {{open_to: {networks}}}\n{TARGETS}"), true).await;
        assert_eq!(rig.at_status().get("/metrics").await.status, status, "{networks}");
        assert_eq!(rig.stranger().get("/metrics").await.status, 401, "the dashboard's listener asks for a token");
        rig.stop().await;
    }
}

#[tokio::test]
async fn without_login_the_status_listener_stays_closed() {
    let server = "server: {listen: ['127.0.0.1:0'], status_listen: '127.0.0.1:0', login: false}\n";
    let rig = Rig::with(&format!("{server}{TARGETS}"), true).await;
    assert_eq!(rig.stranger().get("/metrics").await.status, 200);
    assert_eq!(rig.at_status().get("/metrics").await.status, 401);
    rig.stop().await;
}

#[tokio::test]
async fn both_formats_tell_the_same_and_name_what_the_table_says() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    rig.looked().await;
    let text = scrape(&admin, "text/plain").await;
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let open = scrape(&admin, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
    assert_eq!(open.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let (text, open) = (text.text(), open.text());
    assert!(open.ends_with("# EOF\n") && !text.contains("# EOF"), "{open}");
    assert_eq!(
        names(&text),
        names(&open.replace("# EOF\n", "")).into_iter().filter(|n| !n.contains("write_duration")).collect()
    );
    let known: BTreeSet<String> =
        FAMILIES.iter().filter(|f| f.names == Names::Own).map(|f| f.name.to_owned()).collect();
    assert!(names(&text).is_subset(&known), "{:?}", names(&text).difference(&known));
    for (sample, wanted) in [
        ("streampulse_target_up{target=\"good\"}", Some(1.0)),
        ("streampulse_target_up{target=\"bad\"}", Some(0.0)),
        ("streampulse_target_status{target=\"bad\",status=\"down\"}", Some(1.0)),
        ("streampulse_target_status{target=\"bad\",status=\"up\"}", None),
        ("streampulse_target_looks_total{target=\"bad\",result=\"fail\"}", Some(1.0)),
        ("streampulse_target_faults_total{target=\"bad\",fault=\"refused\"}", Some(1.0)),
        ("streampulse_target_incidents_total{target=\"bad\"}", Some(1.0)),
        ("streampulse_target_health_score{target=\"bad\"}", Some(0.0)),
        ("streampulse_target_health_score{target=\"good\"}", Some(100.0)),
        ("streampulse_target_health_score_measured_ratio{target=\"good\"}", Some(0.4)),
        ("streampulse_target_look_duration_seconds{target=\"good\"}", Some(0.012)),
        ("streampulse_faults_total{fault=\"refused\"}", Some(1.0)),
        ("streampulse_faults_total{fault=\"stale\"}", Some(0.0)),
        ("streampulse_incidents_total", Some(1.0)),
        ("streampulse_incidents_open", Some(1.0)),
        ("streampulse_targets{status=\"up\"}", Some(2.0)),
        ("streampulse_look_duration_seconds_count{kind=\"http\"}", Some(3.0)),
        ("streampulse_part_up{part=\"store\"}", Some(1.0)),
        ("streampulse_store_lost_rows_total", Some(0.0)),
    ] {
        assert_eq!(value(&text, sample), wanted, "{sample}\n{text}");
        assert_eq!(value(&open, sample), wanted, "{sample}\n{open}");
    }
    assert!(value(&text, "process_resident_memory_bytes").is_some_and(|b| b > 1e6), "{text}");
    rig.stop().await;
}

#[tokio::test]
async fn no_secret_no_place_and_no_broken_line_whatever_a_target_is_called() {
    let rig =
        Rig::with(&format!("{SERVER}metrics: {{legacy: [streampulse_2_1, rtmp_hmonitor]}}\n{TARGETS}{HOSTILE}"), true)
            .await;
    let admin = rig.admin().await;
    rig.looked().await;
    let text = admin.get("/metrics").await.text();
    for hidden in ["hunter2", "://", "127.0.0.1", "refused by", "connection to"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    let written =
        "name=\"a\\\"b\\\\c </script> {x=\\\"1\\\"} 門\",kind=\"http\",group=\"\\\"} 1\",watch=\"periodic\"} 1";
    assert!(text.contains(&format!("streampulse_target_info{{target=\"hostile\",{written}\n")), "{text}");
    assert!(text.contains("stream_up{stream=\"a\\\"b\\\\c </script> {x=\\\"1\\\"} 門\"} 1\n"), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let number = line.rsplit(' ').next().unwrap_or_default();
        assert!(number.parse::<f64>().is_ok(), "{line}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_target_that_is_removed_leaves_no_series_and_what_was_counted_stays() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    rig.looked().await;
    let before = admin.get("/metrics").await.text();
    assert!(before.contains("target=\"bad\""), "{before}");
    let reply = admin.send("DELETE", "/api/v1/targets/bad", None).await;
    assert!(reply.status < 300, "{}", reply.text());
    let after = admin.get("/metrics").await.text();
    assert!(!after.contains("\"bad\"") && after.contains("\"good\""), "{after}");
    for total in ["streampulse_faults_total{fault=\"refused\"}", "streampulse_incidents_total"] {
        assert_eq!(value(&after, total), Some(1.0), "{total}");
    }
    assert_eq!(value(&after, "streampulse_incidents_open"), Some(0.0));
    rig.stop().await;
}

#[tokio::test]
async fn a_paused_target_shows_no_measures() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    rig.looked().await;
    assert_eq!(admin.send("POST", "/api/v1/targets/good/pause", Some(json!({}))).await.status, 204);
    let shown = rig.handle.board().wait_for(|b| b.targets.iter().any(|t| t.paused)).await.map(|_| ());
    tokio::time::timeout(PATIENCE, async { shown.expect("runs") }).await.expect("paused");
    let text = admin.get("/metrics").await.text();
    assert_eq!(value(&text, "streampulse_target_status{target=\"good\",status=\"paused\"}"), Some(1.0), "{text}");
    for absent in ["up", "health_score", "look_duration_seconds"] {
        assert_eq!(value(&text, &format!("streampulse_target_{absent}{{target=\"good\"}}")), None, "{absent}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn old_names_come_where_the_configuration_wants_them_and_go_with_a_reload() {
    let rig = Rig::with(
        &format!("{SERVER}metrics: {{legacy: [streampulse_2_1, rtmp_hmonitor], sla_window_days: 7}}\n{TARGETS}"),
        true,
    )
    .await;
    let admin = rig.admin().await;
    rig.looked().await;
    let text = admin.get("/metrics").await.text();
    for (sample, wanted) in [
        ("stream_up{stream=\"Good\"}", 1.0),
        ("stream_up{stream=\"Bad\"}", 0.0),
        ("stream_latency_ms{stream=\"Good\"}", 12.0),
        ("stream_uptime_streak_seconds{stream=\"Bad\"}", 0.0),
        ("system_total_streams", 3.0),
        ("system_ok_streams", 2.0),
        ("system_fail_streams", 1.0),
        ("system_up", 0.0),
        ("stream_health_stream_status{stream_name=\"Good\",stream_type=\"http\"}", 1.0),
        ("stream_health_score{stream_name=\"Bad\",stream_type=\"http\"}", 0.0),
        ("stream_health_errors_total{stream_name=\"Bad\",stream_type=\"http\",error_type=\"refused\"}", 1.0),
    ] {
        assert_eq!(value(&text, sample), Some(wanted), "{sample}\n{text}");
    }
    assert!(value(&text, "stream_last_seen_age_seconds{stream=\"Good\"}").is_some_and(|age| age < 60.0), "{text}");
    // The window is counted when the process starts and once a minute: here it was counted before the first look.
    assert_eq!(value(&text, "system_total_samples_7d").map(|n| n <= 3.0), Some(true), "{text}");
    assert!(text.contains("# TYPE system_sla_ratio_7d gauge\n") && text.contains("system_ok_samples_7d "), "{text}");
    std::fs::write(rig.config_path(), format!("{SERVER}{TARGETS}")).expect("written");
    let mut settings = rig.handle.settings();
    let applied = settings.wait_for(|c| !c.metrics.streampulse_2_1).await.map(|_| ());
    tokio::time::timeout(PATIENCE, async { applied.expect("runs") }).await.expect("applied");
    let text = admin.get("/metrics").await.text();
    assert!(!text.contains("\nstream_") && !text.contains("\nsystem_"), "{text}");
    rig.stop().await;
}

#[tokio::test]
async fn a_crowd_of_scrapers_is_answered() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    rig.looked().await;
    let all = futures_util::future::join_all((0..60).map(|_| scrape(&admin, "*/*"))).await;
    assert!(all.iter().all(|reply| reply.status == 200 && reply.text().contains("streampulse_build_info")));
    rig.stop().await;
}

#[tokio::test]
async fn the_api_tells_the_score_its_parts_and_what_is_missing() {
    let rig = Rig::with(&format!("{SERVER}score: {{weights: {{bitrate: 0, latency: 0}}}}\n{TARGETS}"), true).await;
    let admin = rig.admin().await;
    rig.looked().await;
    let all = admin.get("/api/v1/targets").await.json();
    let of =
        |id: &str| all["targets"].as_array().and_then(|l| l.iter().find(|t| t["id"] == id)).expect(id)["score"].clone();
    let (good, bad) = (of("good"), of("bad"));
    assert_eq!((&good["value"], &good["missing"]), (&json!(100.0), &json!(["packet_loss"])), "{good}");
    assert_eq!(good["measured_ratio"], 0.667, "{good}");
    assert_eq!((&good["parts"][0]["part"], &good["parts"][0]["value"]), (&json!("status"), &json!(1.0)), "{good}");
    assert_eq!((&bad["value"], &good["parts"][1]["measured"]), (&json!(0.0), &json!(null)), "{bad}");
    assert_eq!(admin.send("POST", "/api/v1/targets/good/pause", Some(json!({}))).await.status, 204);
    let shown = rig.handle.board().wait_for(|b| b.targets.iter().any(|t| t.paused)).await.map(|_| ());
    tokio::time::timeout(PATIENCE, async { shown.expect("runs") }).await.expect("paused");
    assert_eq!(admin.get("/api/v1/targets/good").await.json()["score"], json!(null));
    rig.stop().await;
}
