//! L2: history in SQLite: one writer, named readers, roll-ups, retention, check. Sees `model` only; std threads, no tokio.

mod alerts;
mod apply;
mod ask;
mod backup;
mod codes;
mod connect;
mod error;
pub mod foreign;
mod legacy;
mod lock;
mod outbox;
mod pool;
mod queue;
mod reading_json;
mod retain;
mod rollup;
mod store;
mod types;
mod units;
mod upgrade;
mod verify;
mod writer;

pub use alerts::{AlertChange, AlertRecord, AlertRow};
pub use error::StoreError;
pub use outbox::{Letter, LetterChange, LetterRow, LetterState, OutboxCount};
pub use store::Store;
pub use types::{
    AuditRow, Identity, IncidentRow, ObservationRow, Opened, Resolution, Restored, Rollup, Settings, StatusChangeRow,
    StoreHealth, Write,
};
pub use units::{UnitKnown, UnitSample};
