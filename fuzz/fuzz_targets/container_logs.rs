//! Fuzz target: `wire::fuzz_bodies::container_logs`. Holds no check of its own.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wire::fuzz_bodies::container_logs(bytes));
