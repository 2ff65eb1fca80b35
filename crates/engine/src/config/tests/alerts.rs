//! Rules, maintenance windows, references and parents: what is read, and every way in which it can be wrong.

use std::time::Duration;

use model::alert::{Condition, MonthDay, Schedule, Severity, Side};
use model::status::Status;
use model::time::UtcMs;

use super::{check, check_warnings, good};

const TARGETS: &str = "targets:
  - {name: router, url: 'ping://192.0.2.1', group: site, tags: [core]}
  - {name: cam, url: 'http://192.0.2.2/', parents: [router], group: site}
";
/// Behind everything, so that the lines before it stay where they are.
const CHANNELS: &str = "
channels:
  - {name: ops, kind: ntfy, topic_secret: t}
  - {name: a, kind: ntfy, topic_secret: t, limit: 0}
  - {name: b, kind: ntfy, topic_secret: t}
";

fn with(text: &str) -> String {
    format!("{TARGETS}{text}")
}

fn with_channels(text: &str) -> String {
    format!("{TARGETS}{text}{CHANNELS}")
}

#[test]
fn a_file_that_says_nothing_has_no_rules_and_the_defaults() {
    let alerts = good(TARGETS).alerts;
    assert_eq!(alerts, model::alert::AlertSettings::default());
    assert_eq!(good(TARGETS).targets[1].parents, [model::target::TargetId::parse("router").expect("valid")]);
}

#[test]
fn default_rules_stand_in_where_there_are_channels() {
    let alerts = good(&with_channels("alerts: {channels: [ops]}\n")).alerts;
    let names: Vec<_> = alerts.rules.iter().map(|r| (r.name.as_str(), r.severity)).collect();
    let wanted = [
        ("Down", Severity::Critical),
        ("Certificate", Severity::Warning),
        ("Service", Severity::Critical),
        ("StreamPulse itself", Severity::Critical),
    ];
    assert_eq!(names, wanted);
    assert!(alerts.rules.iter().all(|r| r.channels == ["ops"] && r.recovery));
    // Without a word about channels, all of them are told.
    let alerts = good(&with_channels("")).alerts;
    assert!(alerts.rules.len() == 4 && alerts.rules.iter().all(|r| r.channels == ["ops", "a", "b"]));
    assert_eq!((alerts.limits["ops"], alerts.limits["a"]), (Some(60), None));
    check(
        &with_channels("alerts: {channels: [ops, opps], rules: [{name: r, status: down, channels: c}]}\n"),
        &[
            "alerts.channels: there is no channel \"opps\" (did you mean ops?)",
            "alerts.rules[0].channels: there is no channel \"c\"",
        ],
    );
}

#[test]
fn rules_are_read() {
    let alerts = good(&with_channels(
        "alerts:
  channels: [ops]
  group_window: 0s
  rules:
    - {name: down, status: [down, unknown], for: 30s, severity: critical, remind: 1h, groups: site, except_tags: core}
    - {name: slow, reading: bitrate_kbps, below: 500, clear: 600, clear_for: 1m, channels: [a, b], recovery: false}
    - {name: cert, certificate: 7d}
    - {name: login, fault: [auth_required, forbidden]}
    - {name: sinks, sink: any}
    - {name: own, own: [store, config]}
",
    ))
    .alerts;
    let [down, slow, cert, login, sinks, own] = alerts.rules.as_slice() else { panic!("{:?}", alerts.rules) };
    assert_eq!(down.when, Condition::Status(vec![Status::Down, Status::Unknown]));
    assert_eq!((down.lasts, down.remind), (Duration::from_secs(30), Some(Duration::from_secs(3600))));
    assert_eq!(
        (down.channels.as_slice(), down.scope.groups.as_slice()),
        (&["ops".to_owned()][..], &["site".to_owned()][..])
    );
    let Condition::Reading(level) = &slow.when else { panic!("{slow:?}") };
    assert_eq!((level.measure.name, level.side, level.raise, level.clear), ("bitrate_kbps", Side::Below, 500.0, 600.0));
    assert_eq!((slow.channels.len(), slow.recovery, slow.severity), (2, false, Severity::Warning));
    assert_eq!(cert.when, Condition::Certificate(Duration::from_secs(7 * 86_400)));
    assert!(matches!(&login.when, Condition::Fault(kinds) if kinds.len() == 2));
    assert_eq!(
        (&sinks.when, own.when.to_string()),
        (&Condition::Sink(vec![]), "StreamPulse: store or config unwell".into())
    );
}

#[test]
fn every_mistake_in_a_rule_is_told_at_once() {
    check(
        &with(
            "alerts:
  rules:
    - {name: a}
    - {name: b, status: down, fault: refused}
    - {name: c, reading: bitrate, below: 5}
    - {name: d, reading: loss_percent}
    - {name: e, reading: loss_percent, above: 5, clear: 6}
    - {name: f, status: down, above: 5}
    - {name: g, own: any, groups: site}
    - {name: h, status: donw}
    - {name: i, status: down, targets: [camm]}
    - {name: '', status: down}
    - {status: down, fro: 5s}
",
        ),
        &[
            "alerts.rules[0].status: the rule does not say what it watches for (write one of status, fault,",
            "alerts.rules[1].status: the rule watches for several things: status, fault",
            "alerts.rules[2].reading: there is no measure \"bitrate\"",
            "alerts.rules[3].reading: the rule has neither above nor below",
            "alerts.rules[4].clear: at 6 it would be good again and still above 5",
            "alerts.rules[5].above: above is for `reading`, and this rule watches status",
            "alerts.rules[6]: a rule about StreamPulse itself",
            "alerts.rules[7].status: \"donw\" is not accepted here",
            "alerts.rules[8].targets: there is no target with the id \"camm\" (did you mean cam?)",
            "alerts.rules[9].name: a rule has a name in one line",
            "alerts.rules[10].name: name is missing",
            "alerts.rules[10].fro: unknown key fro (did you mean for?)",
        ],
    );
    check(
        &with("alerts: {rules: [{name: a, status: down}, {name: a, status: down}]}"),
        &["alerts.rules[1].name: the name \"a\" is that of another rule too"],
    );
    check_warnings(
        &with("alerts: {rules: [{name: a, status: down, groups: [sight], tags: core}]}"),
        &["alerts.rules[0].groups: no target has the group \"sight\""],
    );
}

#[test]
fn windows_are_read_in_their_zone() {
    let alerts = good(&with(
        "timezone: America/New_York
maintenance:
  - {name: once, from: '2026-12-01 22:00', until: '2026-12-02 06:00', timezone: Europe/Zurich}
  - {name: weekly, days: [weekends, mon], from: '22:00', until: '06:00', groups: site}
  - {name: monthly, day: last, from: '01:00', until: '02:30'}
  - {name: cron, cron: '30 2 * * sun', duration: 90m}
",
    ))
    .alerts;
    let [once, weekly, monthly, cron] = alerts.maintenance.as_slice() else { panic!("{:?}", alerts.maintenance) };
    // 21:00 UTC to 05:00 UTC: Zurich is one hour ahead in winter.
    let wanted = Schedule::Once { from: UtcMs(1_796_158_800_000), until: UtcMs(1_796_187_600_000) };
    assert_eq!((&once.schedule, once.zone.as_str()), (&wanted, "Europe/Zurich"));
    let Schedule::Weekly { days, span } = weekly.schedule else { panic!("{weekly:?}") };
    assert_eq!(days, [true, false, false, false, false, true, true]);
    assert_eq!((span.from_min, span.until_min, weekly.zone.as_str()), (22 * 60, 6 * 60, "America/New_York"));
    assert!(matches!(monthly.schedule, Schedule::Monthly { day: MonthDay::Last, .. }));
    assert!(matches!(cron.schedule, Schedule::Cron { lasts, .. } if lasts == Duration::from_secs(5400)));
}

#[test]
fn every_mistake_in_a_window_is_told_at_once() {
    check(
        &with(
            "maintenance:
  - {name: a, from: '22:00', until: '06:00'}
  - {name: b, days: [mon], day: 3, from: '22:00', until: '06:00'}
  - {name: c, days: [mon], from: '25:00', until: '06:00'}
  - {name: d, day: 32, from: '22:00', until: '06:00'}
  - {name: e, cron: '61 * * * *', duration: 1h}
  - {name: f, cron: '1 * * * *'}
  - {name: g, from: '2026-12-02 22:00', until: '2026-12-01 22:00'}
  - {name: h, days: mon, from: '22:00'}
  - {name: i, days: mon, from: '22:00', until: '23:00', timezone: Europe/Zürich}
",
        ),
        &[
            "maintenance[0].from: \"22:00\" is no date with a time of day",
            "maintenance[0].until: \"06:00\" is no date",
            "maintenance[1].day: the window has days and day",
            "maintenance[2].from: \"25:00\" is no time of day",
            "maintenance[3].day: \"32\" is no day of a month",
            "maintenance[4].cron: \"61\" is no minute",
            "maintenance[5].duration: duration is missing",
            "maintenance[6].until: the window ends before it begins",
            "maintenance[7].until: until is missing",
            "maintenance[8].timezone: there is no time zone \"Europe/Zürich\"",
        ],
    );
}

#[test]
fn parents_exist_and_go_round_in_no_circle() {
    let target =
        |name: &str, parents: &str| format!("  - {{name: {name}, url: 'http://h/{name}', parents: {parents}}}\n");
    let file = |targets: &[(&str, &str)]| {
        "targets:\n".to_owned() + &targets.iter().map(|(n, p)| target(n, p)).collect::<String>()
    };
    check(&file(&[("a", "[b]")]), &["targets[0].parents: there is no target b"]);
    check(&file(&[("a", "[a]")]), &["targets[0].parents: the parents go round in a circle: a → a"]);
    check(
        &file(&[("a", "[b]"), ("b", "[c, d]"), ("c", "[a]"), ("d", "~"), ("e", "[a]")]),
        &["targets[0].parents: the parents go round in a circle: a → b → c → a"],
    );
    good(&file(&[("a", "[b, c]"), ("b", "[d]"), ("c", "[d]"), ("d", "~")]));
    // What the defaults say of all is not meant for the one they name.
    let all = good(
        "defaults: {parents: [gate]}\ntargets:\n  - {name: gate, url: 'http://g/'}\n  - {name: a, url: 'http://a/'}\n",
    );
    assert_eq!((all.targets[0].parents.len(), all.targets[1].parents.len()), (0, 1));
}

#[test]
fn references_are_targets() {
    check(
        &with("connectivity: {references: [router, dns]}"),
        &["connectivity.references: there is no target with the id \"dns\""],
    );
    assert_eq!(good(&with("connectivity: {references: router}")).alerts.references.len(), 1);
}

#[test]
fn rules_about_services() {
    let text = with_channels(
        "alerts:\n  rules:\n    - {name: a, service: [failed, unhealthy], services: conv}\n    - {name: b, service_reading: queue_in_progress, above: 10, clear: 5}\n    - {name: c, service_reading: restarts_per_hour, above: 3}\n",
    );
    let alerts = good(&text).alerts;
    let words: Vec<String> = alerts.rules.iter().map(|rule| rule.when.to_string()).collect();
    let wanted = [
        "service is failed or unhealthy",
        "service: queue_in_progress above 10 until 5",
        "service: restarts_per_hour above 3 until 3",
    ];
    assert_eq!(words, wanted);
    for (rule, words) in [
        ("service: broken", "\"broken\" is not accepted here"),
        ("service_reading: queue_stuk", "the rule has neither above nor below"),
        ("service_reading: memory_mb, above: 1", "did you mean memory_mib?"),
        ("service: failed, above: 1", "above is for `reading`"),
        ("service: failed, services: 'A B'", "an id consists of"),
        ("status: down, services: a", "services is for `service`"),
        ("service: failed, targets: [cam]", "has no targets"),
    ] {
        let text = with_channels(&format!("alerts:\n  rules:\n    - {{name: a, {rule}}}\n"));
        let told = super::load(&text).expect_err(rule);
        assert!(super::lines(&told).contains(words), "{rule}: {}", super::lines(&told));
    }
}
