//! libFuzzer on the target `key_ring`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::targets::key_ring(input));
