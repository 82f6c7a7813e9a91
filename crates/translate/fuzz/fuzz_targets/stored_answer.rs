#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| translate::fuzzing::stored_answer(bytes));
