//! Go's `fmt`: the output of `print`, `printf`, `println` and the bare `{{.Field}}`.
//!
//! Owns flags, verbs and Go's marks for misuse (`%!d(string=x)`). Formatting never fails: a value that cannot be
//! formatted is written as such a mark. Output beyond the printer's limit is cut off and [`Printer::overflowed`]
//! reports it. Called by `eval` and the built-in functions.

mod float;
mod integer;
mod printf;
mod text;
mod values;

pub(crate) use float::json_number;
pub(crate) use text::count_runes;

use crate::value::Value;

/// The part of a directive between `%` and the verb.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flags {
    pub(crate) width: Option<usize>,
    pub(crate) precision: Option<usize>,
    pub(crate) minus: bool,
    pub(crate) plus: bool,
    pub(crate) sharp: bool,
    pub(crate) space: bool,
    pub(crate) zero: bool,
    /// `%+v`: field names.
    pub(crate) plus_v: bool,
    /// `%#v`: Go syntax.
    pub(crate) sharp_v: bool,
}

/// Collects formatted text.
pub(crate) struct Printer {
    out: Vec<u8>,
    limit: usize,
    overflowed: bool,
    flags: Flags,
    /// Inside a `%!verb(...)` mark, where `String` methods are not used.
    marking: bool,
}

impl Printer {
    /// Makes a printer that keeps at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            out: Vec::new(),
            limit,
            overflowed: false,
            flags: Flags::default(),
            marking: false,
        }
    }

    /// Returns whether output was cut off.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Returns the output.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Writes the values with their default formats, and spaces between those that are not strings.
    pub(crate) fn print(&mut self, values: &[Value]) {
        let mut after_string = true;
        for value in values {
            let is_string = matches!(value.underlying(), Value::String(_));
            if !is_string && !after_string {
                self.write(" ");
            }
            self.print_argument(value, 'v');
            after_string = is_string;
        }
    }

    /// Writes the values with their default formats, spaces between all of them, and a line feed.
    pub(crate) fn println(&mut self, values: &[Value]) {
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.write(" ");
            }
            self.print_argument(value, 'v');
        }
        self.write("\n");
    }

    pub(crate) fn write(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        let room = self.limit.saturating_sub(self.out.len());
        self.overflowed |= text.len() > room;
        self.out.extend_from_slice(&text[..text.len().min(room)]);
    }

    fn write_padding(&mut self, count: usize, fill: u8) {
        let room = self.limit.saturating_sub(self.out.len());
        self.overflowed |= count > room;
        self.out.resize(self.out.len() + count.min(room), fill);
    }

    /// Writes text, padded to the width of the flags, counted in characters.
    fn pad(&mut self, text: impl AsRef<[u8]>) {
        let fill = if self.flags.zero && !self.flags.minus {
            b'0'
        } else {
            b' '
        };
        self.pad_with(text, fill);
    }

    fn pad_with(&mut self, text: impl AsRef<[u8]>, fill: u8) {
        let text = text.as_ref();
        let missing = self
            .flags
            .width
            .unwrap_or(0)
            .saturating_sub(text::count_runes(text));
        if self.flags.minus {
            self.write(text);
            self.write_padding(missing, b' ');
        } else {
            self.write_padding(missing, fill);
            self.write(text);
        }
    }

    /// Writes Go's mark for a verb that does not suit the value: `%!d(string=x)`.
    fn bad_verb(&mut self, verb: char, value: &Value) {
        self.write(format!("%!{verb}("));
        if matches!(value, Value::Nil) {
            self.write("<nil>");
        } else {
            self.write(format!("{}=", value.type_name()));
            let outer = std::mem::replace(&mut self.marking, true);
            self.print_value(value, 'v', 0);
            self.marking = outer;
        }
        self.write(")");
    }
}

/// The maximum size of a value in an error message, in bytes.
const SHOWN: usize = 1 << 16;

/// Formats a value as `%v` does, for an error message.
pub(crate) fn display(value: &Value) -> String {
    show(value, 'v')
}

/// Formats a value as `%s` does, for an error message.
pub(crate) fn display_as_string(value: &Value) -> String {
    show(value, 's')
}

fn show(value: &Value, verb: char) -> String {
    let mut printer = Printer::new(SHOWN);
    printer.print_argument(value, verb);
    String::from_utf8_lossy(&printer.out).into_owned()
}
