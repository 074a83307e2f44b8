//! libFuzzer on the target `redact`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::targets::redact(input));
