//! Parses and executes arbitrary bytes as a template, and aligns them as a table. No input may cause a panic.
//!
//! `cargo +nightly fuzz run template` in `crates/go-template`.

#![no_main]

use go_template::{Functions, Limits, ListFormat, Template, Value, tabwriter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    tabwriter::align(bytes, tabwriter::Layout::LS);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let data: Value = serde_json::json!({
        "a": {"b": [1, 2.5, "x", null, {"c": true}]}, "s": "h\u{e9}llo", "n": -3, "t": true, "e": []
    })
    .into();
    let limits = Limits::default().with_steps(2_000).with_bytes(1 << 16).with_depth(200);
    if let Ok(template) = Template::parse_with("fuzz", text, Functions::with_json()) {
        let _ = template.with_limits(limits).execute(&data);
    }
    let _ = ListFormat::parse(text, Functions::new());
});
