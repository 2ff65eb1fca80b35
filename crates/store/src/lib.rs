//! L2: history in SQLite: one writer, named readers, roll-ups, retention, check. Sees `model` only; std threads, no tokio.

mod error;
mod store;
mod types;

pub use error::StoreError;
pub use store::Store;
pub use types::{
    AuditRow, Identity, IncidentRow, ObservationRow, Opened, Resolution, Restored, Rollup, Settings, StatusChangeRow,
    StoreHealth, Write,
};
