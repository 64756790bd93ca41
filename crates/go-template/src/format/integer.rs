//! Integers: `%d`, `%b`, `%o`, `%x`, `%c`, `%q`, `%U`.

use super::Printer;
use crate::quote;
use crate::value::Value;

/// An integer as the verbs use it: a sign and a magnitude.
#[derive(Clone, Copy)]
pub(super) struct Integer {
    pub(super) negative: bool,
    pub(super) magnitude: u64,
    /// The 64 bits, which `%c`, `%q` and `%U` interpret as a code point.
    pub(super) bits: u64,
    /// `%#v` writes unsigned integers in hexadecimal.
    pub(super) signed: bool,
}

impl From<i64> for Integer {
    fn from(value: i64) -> Self {
        Self {
            negative: value < 0,
            magnitude: value.unsigned_abs(),
            bits: value as u64,
            signed: true,
        }
    }
}

impl From<u64> for Integer {
    fn from(value: u64) -> Self {
        Self {
            negative: false,
            magnitude: value,
            bits: value,
            signed: false,
        }
    }
}

impl Printer {
    pub(super) fn format_integer(&mut self, integer: Integer, verb: char, value: &Value) {
        let magnitude = integer.magnitude;
        match verb {
            'v' if self.flags.sharp_v && !integer.signed => {
                self.number(integer, &format!("{magnitude:x}"), "0x");
            }
            'v' | 'd' => self.number(integer, &magnitude.to_string(), ""),
            'b' => self.number(
                integer,
                &format!("{magnitude:b}"),
                if self.flags.sharp { "0b" } else { "" },
            ),
            'o' | 'O' => self.octal(integer, verb),
            'x' => self.number(
                integer,
                &format!("{magnitude:x}"),
                if self.flags.sharp { "0x" } else { "" },
            ),
            'X' => self.number(
                integer,
                &format!("{magnitude:X}"),
                if self.flags.sharp { "0X" } else { "" },
            ),
            'c' => self.pad(code_point(integer.bits).to_string()),
            'q' => self.pad(quote::quote_char(code_point(integer.bits), self.flags.plus)),
            'U' => self.unicode(integer.bits),
            _ => self.bad_verb(verb, value),
        }
    }

    /// Writes sign, prefix and digits; a precision, or zero padding, adds zeros before the digits.
    fn number(&mut self, integer: Integer, digits: &str, prefix: &str) {
        let digits = match self.minimal_digits(integer) {
            // With a precision of zero, the value zero prints nothing.
            Some(0) if integer.magnitude == 0 => {
                return self.write_padding(self.flags.width.unwrap_or(0), b' ');
            }
            minimum => zero_extended(digits, minimum.unwrap_or(0)),
        };
        let sign = if integer.negative {
            "-"
        } else if self.flags.plus {
            "+"
        } else if self.flags.space {
            " "
        } else {
            ""
        };
        self.pad_with(format!("{sign}{prefix}{digits}"), b' ');
    }

    fn octal(&mut self, integer: Integer, verb: char) {
        let digits = format!("{:o}", integer.magnitude);
        let minimum = self.minimal_digits(integer);
        // `%#o` requires a leading zero, which the digits may already have.
        let has_zero =
            digits.starts_with('0') || minimum.is_some_and(|minimum| minimum > digits.len());
        let zero = if self.flags.sharp && !has_zero {
            "0"
        } else {
            ""
        };
        let prefix = if verb == 'O' { "0o" } else { "" };
        self.number(integer, &digits, &format!("{prefix}{zero}"));
    }

    /// Returns the minimum number of digits that the precision or the zero flag requires.
    fn minimal_digits(&self, integer: Integer) -> Option<usize> {
        let flags = self.flags;
        if flags.precision.is_some() {
            return flags.precision;
        }
        let signed = integer.negative || flags.plus || flags.space;
        let width = flags.width.filter(|_| flags.zero && !flags.minus)?;
        // The value zero is printed even if the width leaves no room.
        Some(width.saturating_sub(usize::from(signed)).max(1))
    }

    fn unicode(&mut self, bits: u64) {
        let digits = format!("{bits:X}");
        let minimum = self.flags.precision.unwrap_or(0).max(4);
        let mut text = format!("U+{}", zero_extended(&digits, minimum));
        let printable = u32::try_from(bits)
            .ok()
            .and_then(char::from_u32)
            .filter(|&c| quote::is_print(c));
        if let Some(c) = printable.filter(|_| self.flags.sharp) {
            text.push_str(&format!(" '{c}'"));
        }
        self.pad_with(text, b' ');
    }
}

fn zero_extended(digits: &str, minimum: usize) -> String {
    let mut text = "0".repeat(minimum.saturating_sub(digits.len()));
    text.push_str(digits);
    text
}

fn code_point(bits: u64) -> char {
    u32::try_from(bits)
        .ok()
        .and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}
