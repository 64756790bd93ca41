//! Formatting of values by type and verb, and the nesting of lists, maps and structs.

use super::Printer;
use super::integer::Integer;
use crate::value::{List, Map, Named, Pointer, Struct, Value};

impl Printer {
    /// Formats one argument of a print function.
    pub(super) fn print_argument(&mut self, value: &Value, verb: char) {
        match (value, verb) {
            (Value::Nil, 'v' | 'T') => self.pad("<nil>"),
            (Value::Nil, _) => self.bad_verb(verb, value),
            (_, 'T') => self.plain(&value.type_name()),
            (_, 'p') => self.print_address(value),
            // `%w` is for errors, and Go rejects it here.
            (_, 'w') => self.bad_verb(verb, value),
            (Value::Named(named), _) if self.prints_as_text(verb) => self.print_named(named, verb),
            _ => self.print_value(value, verb, 0),
        }
    }

    /// Returns whether the verb uses a `String` method.
    fn prints_as_text(&self, verb: char) -> bool {
        !self.marking && !self.flags.sharp_v && matches!(verb, 'v' | 's' | 'x' | 'X' | 'q')
    }

    fn print_named(&mut self, named: &Named, verb: char) {
        self.format_string(named.text.as_bytes(), verb, &named.underlying);
    }

    /// Formats a value that may be nested.
    pub(super) fn print_value(&mut self, value: &Value, verb: char, depth: usize) {
        if let Value::Named(named) = value
            && depth > 0
            && self.prints_as_text(verb)
        {
            return self.print_named(named, verb);
        }
        match value.underlying() {
            Value::Nil => self.write(if self.flags.sharp_v {
                "interface {}(nil)"
            } else {
                "<nil>"
            }),
            Value::Bool(truth) => match verb {
                't' | 'v' => self.pad(truth.to_string()),
                _ => self.bad_verb(verb, value),
            },
            Value::Int(int) => self.format_integer(Integer::from(*int), verb, value),
            Value::Byte(byte) => self.format_integer(Integer::from(u64::from(*byte)), verb, value),
            Value::Float(float) => self.format_float(*float, verb, value),
            Value::String(text) => self.format_string(text.as_bytes(), verb, value),
            Value::List(list) => self.print_list(list, verb, depth),
            Value::Map(map) => self.print_map(map, verb, depth),
            Value::Struct(fields) => self.print_struct(fields, verb, depth),
            Value::Pointer(pointer) => self.print_pointer(pointer, value, verb, depth),
            Value::Named(_) => {}
        }
    }

    fn separate(&mut self, index: usize) {
        if index > 0 {
            self.write(if self.flags.sharp_v { ", " } else { " " });
        }
    }

    /// Writes the opening of a list, map or struct: its type in Go syntax, else `plain`.
    fn open(&mut self, type_name: &str, plain: &str) {
        if self.flags.sharp_v {
            self.write(format!("{type_name}{{"));
        } else {
            self.write(plain);
        }
    }

    fn close(&mut self, plain: &str) {
        self.write(if self.flags.sharp_v { "}" } else { plain });
    }

    fn print_list(&mut self, list: &List, verb: char, depth: usize) {
        let type_name = format!("[]{}", list.element.type_name());
        if self.flags.sharp_v && list.items.is_none() {
            return self.write(format!("{type_name}(nil)"));
        }
        self.open(&type_name, "[");
        for (index, item) in list.items().iter().enumerate() {
            self.separate(index);
            self.print_value(item, verb, depth + 1);
        }
        self.close("]");
    }

    fn print_map(&mut self, map: &Map, verb: char, depth: usize) {
        self.open(&format!("map[string]{}", map.element.type_name()), "map[");
        for (index, (key, item)) in map.entries().iter().enumerate() {
            self.separate(index);
            self.print_value(&Value::from(&**key), verb, depth + 1);
            self.write(":");
            self.print_value(item, verb, depth + 1);
        }
        self.close("]");
    }

    fn print_struct(&mut self, value: &Struct, verb: char, depth: usize) {
        self.open(&value.type_name, "{");
        for (index, (name, field)) in value.fields().iter().enumerate() {
            self.separate(index);
            if self.flags.plus_v || self.flags.sharp_v {
                self.write(format!("{name}:"));
            }
            self.print_value(field, verb, depth + 1);
        }
        self.write("}");
    }

    fn print_pointer(&mut self, pointer: &Pointer, value: &Value, verb: char, depth: usize) {
        if let Some(target) = pointer.target()
            && depth == 0
        {
            self.write("&");
            return self.print_struct(target, verb, depth + 1);
        }
        let address = pointer.address();
        match verb {
            'v' if self.flags.sharp_v => {
                let shown = if address == 0 {
                    "nil".to_owned()
                } else {
                    format!("{address:#x}")
                };
                self.write(format!("({})({shown})", pointer.type_name()));
            }
            'v' if address == 0 => self.pad("<nil>"),
            'v' => self.write_address(address),
            'b' | 'o' | 'd' | 'x' | 'X' => self.format_integer(Integer::from(address), verb, value),
            _ => self.bad_verb(verb, value),
        }
    }

    fn print_address(&mut self, value: &Value) {
        match value {
            Value::Pointer(pointer) => self.write_address(pointer.address()),
            Value::List(list) => {
                self.write_address(list.items.as_ref().map_or(0, |items| items.as_ptr() as u64))
            }
            Value::Map(map) => self.write_address(map.entries.as_ptr() as u64),
            _ => self.bad_verb('p', value),
        }
    }

    /// Writes `0x...`; `#` removes the prefix.
    fn write_address(&mut self, address: u64) {
        let outer = self.flags;
        self.flags.sharp = !outer.sharp;
        self.format_integer(Integer::from(address), 'x', &Value::Nil);
        self.flags = outer;
    }
}
