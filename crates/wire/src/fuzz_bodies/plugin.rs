//! Fuzz body: what monitoring plugins print.

use crate::plugin;

/// Output of monitoring plugins: everything is bounded, and a range that is written is read back.
pub fn plugin_output(bytes: &[u8]) {
    let output = plugin::parse(bytes);
    assert!(output.message.len() <= plugin::MAX_TEXT_BYTES && output.long.len() <= plugin::MAX_TEXT_BYTES);
    assert!(output.values.len() <= plugin::MAX_VALUES);
    for value in &output.values {
        assert!(!value.label.is_empty() && value.label.len() <= plugin::MAX_LABEL_BYTES);
        assert!(value.unit.len() <= plugin::MAX_UNIT_BYTES && value.value.is_none_or(f64::is_finite));
        for range in [value.warn, value.crit].into_iter().flatten() {
            assert_eq!(plugin::Range::parse(&range.to_string()), Some(range));
        }
    }
}
