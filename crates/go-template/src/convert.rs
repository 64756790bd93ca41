//! Converts Rust values and decoded JSON to template values.

use crate::value::{List, Map, Named, Pointer, Struct, Value};

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text.into())
    }
}

impl From<List> for Value {
    fn from(list: List) -> Self {
        Value::List(list)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Value::Map(map)
    }
}

impl From<Struct> for Value {
    fn from(value: Struct) -> Self {
        Value::Struct(value)
    }
}

impl From<Pointer> for Value {
    fn from(pointer: Pointer) -> Self {
        Value::Pointer(pointer)
    }
}

impl From<Named> for Value {
    fn from(named: Named) -> Self {
        Value::Named(named)
    }
}

/// Decodes as Go's `encoding/json` does into an `interface{}`: every number becomes a float.
impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Value::Nil,
            serde_json::Value::Bool(value) => Value::Bool(value),
            serde_json::Value::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(text) => Value::from(text),
            serde_json::Value::Array(items) => List::new(items.into_iter().map(Value::from)).into(),
            serde_json::Value::Object(entries) => Map::new(
                entries
                    .into_iter()
                    .map(|(key, value)| (key, Value::from(value))),
            )
            .into(),
        }
    }
}
