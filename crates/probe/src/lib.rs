//! L2: how to look at a target: one file per kind, one table.
