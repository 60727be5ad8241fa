#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let file = std::env::temp_dir().join(format!("trunkline-fuzz-{}.wav", std::process::id()));
    media::fuzzing::recording(data, &file);
});
