//! libFuzzer on the target `listing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::targets::listing(input));
