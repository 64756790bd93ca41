//! Strings: `%s`, `%q`, `%x` and their widths.

use super::Printer;
use crate::quote;
use crate::value::Value;

/// Counts characters as Go does: each byte that is not UTF-8 counts as one.
pub(crate) fn count_runes(text: &[u8]) -> usize {
    text.utf8_chunks()
        .map(|chunk| chunk.valid().chars().count() + chunk.invalid().len())
        .sum()
}

/// Cuts after the given number of characters.
fn truncate(text: &[u8], runes: usize) -> &[u8] {
    let mut left = runes;
    let mut end = 0;
    for chunk in text.utf8_chunks() {
        for size in chunk
            .valid()
            .chars()
            .map(char::len_utf8)
            .chain(chunk.invalid().iter().map(|_| 1))
        {
            if left == 0 {
                return &text[..end];
            }
            left -= 1;
            end += size;
        }
    }
    text
}

impl Printer {
    /// Writes a string; an unsuitable verb shows `value`.
    pub(super) fn format_string(&mut self, text: &[u8], verb: char, value: &Value) {
        match verb {
            'v' if self.flags.sharp_v => self.quoted(text),
            'v' | 's' => self.pad(self.cut(text)),
            'x' => self.hexadecimal(text, false),
            'X' => self.hexadecimal(text, true),
            'q' => self.quoted(text),
            _ => self.bad_verb(verb, value),
        }
    }

    fn cut<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        self.flags
            .precision
            .map_or(text, |runes| truncate(text, runes))
    }

    fn quoted(&mut self, text: &[u8]) {
        let text = self.cut(text);
        if self.flags.sharp && quote::can_backquote(text) {
            self.pad([b"`", text, b"`"].concat());
        } else {
            self.pad(quote::quote(text, self.flags.plus));
        }
    }

    fn hexadecimal(&mut self, text: &[u8], upper: bool) {
        let text = &text[..self.flags.precision.unwrap_or(text.len()).min(text.len())];
        let prefix = match (self.flags.sharp, upper) {
            (false, _) => "",
            (true, false) => "0x",
            (true, true) => "0X",
        };
        let mut digits = String::with_capacity(text.len() * 2);
        for (index, byte) in text.iter().enumerate() {
            if self.flags.space && index > 0 {
                digits.push(' ');
            }
            if self.flags.space || index == 0 {
                digits.push_str(prefix);
            }
            digits.push_str(&if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            });
        }
        self.pad(digits);
    }

    /// Writes `%T` and other text to which only width and precision apply.
    pub(super) fn plain(&mut self, text: &str) {
        self.pad(self.cut(text.as_bytes()));
    }
}
