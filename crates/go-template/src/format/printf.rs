//! The format string of `printf`: flags, width, precision, argument numbers, and marks for their misuse.

use super::{Flags, Printer};
use crate::value::Value;

/// The largest width or precision, as in Go; a larger one is ignored.
const MAX_NUMBER: usize = 1_000_000;

/// The reading position in a format string and among its arguments.
struct Directive<'f> {
    format: &'f [u8],
    at: usize,
    arguments: &'f [Value],
    argument: usize,
    /// Whether the argument numbers of this directive are valid.
    good: bool,
    /// Whether any directive names its argument: then unused arguments are not reported.
    reordered: bool,
}

impl Printer {
    /// Formats the arguments according to the format string.
    pub(crate) fn printf(&mut self, format: &[u8], arguments: &[Value]) {
        let mut directive = Directive {
            format,
            at: 0,
            arguments,
            argument: 0,
            good: true,
            reordered: false,
        };
        while !self.overflowed && directive.at < format.len() {
            let rest = &format[directive.at..];
            let text = rest.iter().position(|&b| b == b'%').unwrap_or(rest.len());
            self.write(&rest[..text]);
            directive.at += text;
            if directive.at < format.len() {
                directive.at += 1;
                self.directive(&mut directive);
            }
        }
        self.flags = Flags::default();
        let unused = arguments.get(directive.argument..).unwrap_or_default();
        if !directive.reordered && !unused.is_empty() {
            self.extra(unused);
        }
    }

    fn extra(&mut self, unused: &[Value]) {
        self.write("%!(EXTRA ");
        for (index, value) in unused.iter().enumerate() {
            if index > 0 {
                self.write(", ");
            }
            if !matches!(value, Value::Nil) {
                self.write(format!("{}=", value.type_name()));
            }
            self.print_argument(value, 'v');
        }
        self.write(")");
    }

    fn directive(&mut self, directive: &mut Directive<'_>) {
        self.flags = directive.flags();
        directive.good = true;
        let mut indexed = directive.argument_number();
        if directive.accept(b'*') {
            match directive.integer_argument() {
                None => self.write("%!(BADWIDTH)"),
                Some(width) => {
                    self.flags.width = Some(width.unsigned_abs() as usize);
                    if width < 0 {
                        self.flags.minus = true;
                        self.flags.zero = false;
                    }
                }
            }
            indexed = false;
        } else {
            self.flags.width = directive.number();
            // A number after [n] is not a width.
            directive.good &= !(indexed && self.flags.width.is_some());
        }
        // A point at the very end is read as a verb, and reported as a bad one.
        if directive.at + 1 < directive.format.len() && directive.accept(b'.') {
            directive.good &= !indexed;
            indexed = directive.argument_number();
            if directive.accept(b'*') {
                let precision = directive
                    .integer_argument()
                    .and_then(|number| usize::try_from(number).ok());
                self.flags.precision = precision;
                if precision.is_none() {
                    self.write("%!(BADPREC)");
                }
                indexed = false;
            } else {
                self.flags.precision = Some(directive.number().unwrap_or(0));
            }
        }
        if !indexed {
            directive.argument_number();
        }
        match directive.verb() {
            None => self.write("%!(NOVERB)"),
            Some('%') => self.write("%"),
            Some(verb) => self.apply(verb, directive),
        }
    }

    fn apply(&mut self, verb: char, directive: &mut Directive<'_>) {
        if !directive.good {
            return self.write(format!("%!{verb}(BADINDEX)"));
        }
        let Some(value) = directive.arguments.get(directive.argument) else {
            return self.write(format!("%!{verb}(MISSING)"));
        };
        directive.argument += 1;
        if verb == 'v' {
            self.flags.sharp_v = std::mem::take(&mut self.flags.sharp);
            self.flags.plus_v = std::mem::take(&mut self.flags.plus);
        }
        self.print_argument(value, verb);
    }
}

impl Directive<'_> {
    fn accept(&mut self, byte: u8) -> bool {
        let found = self.format.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        while let Some(byte) = self.format.get(self.at) {
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => break,
            }
            self.at += 1;
        }
        flags
    }

    /// Reads a decimal number. A number that is too large consumes the rest of the format, as in Go.
    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit) = self
            .format
            .get(self.at)
            .filter(|byte| byte.is_ascii_digit())
        {
            let so_far = number.unwrap_or(0);
            if so_far > MAX_NUMBER {
                self.at = self.format.len();
                return None;
            }
            number = Some(so_far * 10 + usize::from(digit - b'0'));
            self.at += 1;
        }
        number
    }

    /// Takes the next argument as a width or precision.
    fn integer_argument(&mut self) -> Option<i64> {
        let value = self.arguments.get(self.argument)?;
        self.argument += 1;
        let number = match value.underlying() {
            Value::Int(number) => *number,
            Value::Byte(number) => i64::from(*number),
            _ => return None,
        };
        (number.unsigned_abs() <= MAX_NUMBER as u64).then_some(number)
    }

    /// Reads `[n]`; true when the brackets contain a number.
    fn argument_number(&mut self) -> bool {
        if self.format.get(self.at) != Some(&b'[') {
            return false;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        // Shorter than `[n]`: not an argument number, closed or not.
        let close = rest.iter().position(|&b| b == b']');
        let Some(close) = close.filter(|_| rest.len() >= 3) else {
            self.good = false;
            self.at += 1;
            return false;
        };
        let end = self.at + close + 1;
        let inside = &rest[1..close];
        let number = std::str::from_utf8(inside)
            .ok()
            .filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse::<usize>().ok())
            .filter(|&number| number <= MAX_NUMBER * 10);
        self.at = end;
        match number {
            Some(number) if (1..=self.arguments.len()).contains(&number) => {
                self.argument = number - 1;
                true
            }
            other => {
                self.good = false;
                other.is_some()
            }
        }
    }

    fn verb(&mut self) -> Option<char> {
        let rest = self.format.get(self.at..).filter(|rest| !rest.is_empty())?;
        let (c, size) = match rest
            .utf8_chunks()
            .next()
            .and_then(|chunk| chunk.valid().chars().next())
        {
            Some(c) => (c, c.len_utf8()),
            None => (char::REPLACEMENT_CHARACTER, 1),
        };
        self.at += size;
        Some(c)
    }
}
