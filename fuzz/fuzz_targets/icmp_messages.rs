//! Fuzz target: `wire::fuzz_bodies::icmp_messages`. Holds no check of its own.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wire::fuzz_bodies::icmp_messages(bytes));
