//! Fuzz target: `wire::fuzz_bodies::mqtt_packets`. Holds no check of its own.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wire::fuzz_bodies::mqtt_packets(bytes));
