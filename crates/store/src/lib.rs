//! L2: history in SQLite: one writer, named readers, roll-ups, retention, check.
