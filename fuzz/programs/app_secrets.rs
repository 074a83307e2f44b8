//! libFuzzer on the target `app_secrets`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::targets::app_secrets(input));
