//! libFuzzer on the target `model_files`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::targets::model_files(input));
