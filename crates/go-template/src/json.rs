//! JSON as Go's `encoding/json` writes it: keys of maps sorted, `<`, `>` and `&` escaped.

use crate::format::json_number;
use crate::value::Value;

/// Writes a value; `indent` is the indentation of one level, and `None` writes a single line.
pub(crate) fn encode(value: &Value, indent: Option<&str>) -> String {
    let mut encoder = Encoder {
        out: String::new(),
        indent,
        level: 0,
    };
    encoder.value(value);
    encoder.out
}

struct Encoder<'i> {
    out: String,
    indent: Option<&'i str>,
    level: usize,
}

impl Encoder<'_> {
    fn value(&mut self, value: &Value) {
        match value.underlying() {
            Value::Nil | Value::Named(_) => self.out.push_str("null"),
            Value::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Value::Int(value) => self.out.push_str(&value.to_string()),
            Value::Byte(value) => self.out.push_str(&value.to_string()),
            Value::Float(value) => self.out.push_str(&json_number(*value)),
            Value::String(text) => self.string(text.as_bytes()),
            Value::List(list) if list.items.is_none() => self.out.push_str("null"),
            Value::List(list) => {
                self.sequence('[', ']', list.items(), |encoder, item| encoder.value(item))
            }
            Value::Map(map) => self.members(map.entries()),
            Value::Struct(value) => self.members(value.fields()),
            Value::Pointer(pointer) => match pointer.target() {
                Some(target) => self.members(target.fields()),
                None => self.out.push_str("null"),
            },
        }
    }

    fn members<K: AsRef<str>>(&mut self, members: &[(K, Value)]) {
        self.sequence('{', '}', members, |encoder, (key, value)| {
            encoder.string(key.as_ref().as_bytes());
            encoder
                .out
                .push_str(if encoder.indent.is_some() { ": " } else { ":" });
            encoder.value(value);
        });
    }

    fn sequence<T>(
        &mut self,
        open: char,
        close: char,
        items: &[T],
        mut each: impl FnMut(&mut Self, &T),
    ) {
        self.out.push(open);
        self.level += 1;
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.new_line();
            each(self, item);
        }
        self.level -= 1;
        if !items.is_empty() {
            self.new_line();
        }
        self.out.push(close);
    }

    fn new_line(&mut self) {
        if let Some(indent) = self.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(self.level));
        }
    }

    fn string(&mut self, text: &[u8]) {
        self.out.push('"');
        for chunk in text.utf8_chunks() {
            chunk.valid().chars().for_each(|c| self.character(c));
            for _ in chunk.invalid() {
                self.out.push_str("\\ufffd");
            }
        }
        self.out.push('"');
    }

    fn character(&mut self, c: char) {
        match c {
            '"' => self.out.push_str("\\\""),
            '\\' => self.out.push_str("\\\\"),
            '\n' => self.out.push_str("\\n"),
            '\r' => self.out.push_str("\\r"),
            '\t' => self.out.push_str("\\t"),
            '\x08' => self.out.push_str("\\b"),
            '\x0c' => self.out.push_str("\\f"),
            // Escaped for HTML and JavaScript, which is Go's default.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..' ' => {
                self.out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => self.out.push(c),
        }
    }
}
