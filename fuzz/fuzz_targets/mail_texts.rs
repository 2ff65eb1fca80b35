//! Fuzz target: `wire::fuzz_bodies::mail_texts`. Holds no check of its own.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wire::fuzz_bodies::mail_texts(bytes));
