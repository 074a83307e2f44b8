//! libFuzzer on the target `gallery`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::targets::gallery(input));
