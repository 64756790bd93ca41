//! JSON as Go's `encoding/json` writes it, for output that is compared byte for byte.

use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

/// Returns a value as indented JSON: four spaces, keys in their order.
pub(crate) fn pretty(value: &Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer =
        Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    // Serializing a value to a vector cannot fail.
    let _ = value.serialize(&mut serializer);
    escape(&String::from_utf8_lossy(&bytes))
}

/// Returns a value as JSON on one line.
pub(crate) fn line(value: &Value) -> String {
    escape(&value.to_string())
}

/// Escapes the characters that Go escapes for HTML and JavaScript. They occur only inside strings.
fn escape(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_reads_as_go_writes_it() {
        let value = json!({"b": [1, "<&>"], "a": {}, "c": [], "d": "\u{2028}é"});
        assert_eq!(
            pretty(&value),
            "{\n    \"b\": [\n        1,\n        \"\\u003c\\u0026\\u003e\"\n    ],\n    \"a\": {},\n    \"c\": [],\n    \"d\": \"\\u2028é\"\n}"
        );
        assert_eq!(line(&json!({"a": ">"})), r#"{"a":"\u003e"}"#);
    }
}
