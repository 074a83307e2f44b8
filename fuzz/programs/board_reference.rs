//! libFuzzer on the target `board_reference`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::targets::board_reference(input));
