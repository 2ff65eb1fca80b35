//! The section `metrics`.

use super::{check, good};

#[test]
fn metrics_are_closed_and_without_legacy_names_unless_the_file_says_otherwise() {
    let none = good("targets: []").metrics;
    assert!(none.open_to.is_empty() && !none.streampulse_2_1 && !none.rtmp_hmonitor, "{none:?}");
    assert_eq!(none.sla_window_days, 30);
    let some = good("metrics: {open_to: [127.0.0.1, '10.0.0.0/8'], legacy: rtmp_hmonitor, sla_window_days: 7}").metrics;
    assert_eq!(
        (some.open_to.len(), some.streampulse_2_1, some.rtmp_hmonitor, some.sla_window_days),
        (2, false, true, 7)
    );
    check(
        "metrics:\n  open_to: [everybody]\n  legacy: [streampulse_2_2]\n  sla_window_days: 0\n",
        &["\"everybody\" is no address", "streampulse_2_1", "0 is out of range"],
    );
}
