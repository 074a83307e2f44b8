//! libFuzzer on the target `urls`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::targets::urls(input));
