#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = connector::Manifest::parse(text);
    let _ = serde_json::from_str::<calls::flow::Flow>(text);
});
