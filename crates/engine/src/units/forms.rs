//! The forms of units: what people may set, checked before anything is touched, kept as one JSON object, handed over when the
//! unit is launched. Starts and ends nothing: the task that owns the units does.

pub(crate) mod arguments;
pub mod values;
