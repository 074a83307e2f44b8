//! libFuzzer on the target `grant`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::targets::grant(input));
