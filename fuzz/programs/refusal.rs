//! libFuzzer on the target `refusal`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::targets::refusal(input));
