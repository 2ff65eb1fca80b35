//! The section `mqtt`: its keys are the sink's own, and nothing is published unless it is switched on.

use std::sync::Arc;

use model::conf::{Field, Problem, Section};
use sink::mqtt::Settings;

use super::tree::Item;

/// Keys of `mqtt`.
pub(super) static MQTT: &[Field] = sink::mqtt::FIELDS;

/// Checks the section, where there is one.
pub(super) fn mqtt(root: &Item, problems: &mut Vec<Problem>) -> Option<Arc<Settings>> {
    read(root.get("mqtt").filter(|item| !item.is_null())?, problems)
}

/// Checks a section.
pub(super) fn read(item: &Item, problems: &mut Vec<Problem>) -> Option<Arc<Settings>> {
    let node = item.node_of(MQTT);
    let section = Section::check(&node, MQTT, "mqtt", problems);
    Settings::read(&section, problems).map(Arc::new)
}
