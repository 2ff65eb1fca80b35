//! The section `influxdb`: its keys are the sink's own, and without the section nothing is written.

use std::sync::Arc;

use model::conf::{Field, Problem, Section};
use sink::influx::Settings;

use super::tree::Item;

/// Keys of `influxdb`.
pub(super) static INFLUXDB: &[Field] = sink::influx::FIELDS;

/// Checks the section, where there is one.
pub(super) fn influxdb(root: &Item, problems: &mut Vec<Problem>) -> Option<Arc<Settings>> {
    let item = root.get("influxdb").filter(|item| !item.is_null())?;
    let node = item.node_of(INFLUXDB);
    let section = Section::check(&node, INFLUXDB, "influxdb", problems);
    Settings::read(&section, problems).map(Arc::new)
}
