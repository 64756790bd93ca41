//! Number constants as Go's parser reads them: `12`, `0x1F`, `1_000`, `1.5e3`, `0x1p-2` and `'a'`.
//!
//! Owns the choice between int and float, which in a template depends on how the number is written. Rejects complex
//! constants: no value here is complex.

use crate::quote::{self, Unit};

/// The value of a number constant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Constant {
    Int(i64),
    /// An integer that only fits in 64 bits without a sign: evaluating it is an error.
    Overflow,
    Float(f64),
}

/// Reads a number as written; the error is Go's message.
pub(crate) fn parse_number(text: &str) -> Result<Constant, String> {
    let unsigned = parse_integer(text);
    let (negative, magnitude) = match text.as_bytes().first() {
        Some(b'+') => (false, parse_integer(&text[1..])),
        Some(b'-') => (true, parse_integer(&text[1..])),
        _ => (false, unsigned),
    };
    let looks_float = text.contains(['.', 'e', 'E', 'p', 'P']) && !is_hex_integer(text);
    if let Some(magnitude) = magnitude {
        let value = i128::from(magnitude) * if negative { -1 } else { 1 };
        if let Ok(int) = i64::try_from(value) {
            return Ok(if looks_float {
                Constant::Float(int as f64)
            } else {
                Constant::Int(int)
            });
        }
        if unsigned.is_some() {
            return Ok(Constant::Overflow);
        }
    }
    match parse_float(text) {
        Some(_) if !text.contains(['.', 'e', 'E', 'p', 'P']) => {
            Err(format!("integer overflow: {}", quoted(text)))
        }
        Some(float) => Ok(Constant::Float(float)),
        None => Err(format!("illegal number syntax: {}", quoted(text))),
    }
}

/// Reads a character constant with its quotes.
pub(crate) fn parse_char(text: &str) -> Result<Constant, String> {
    let inside = text.get(1..).unwrap_or_default();
    let (unit, tail) =
        quote::unquote_unit(inside, '\'').map_err(|_| "invalid syntax".to_owned())?;
    if tail != "'" {
        return Err(format!("malformed character constant: {text}"));
    }
    Ok(Constant::Int(match unit {
        Unit::Char(c) => i64::from(u32::from(c)),
        Unit::Byte(b) => i64::from(b),
    }))
}

fn quoted(text: &str) -> String {
    quote::quote(text.as_bytes(), false)
}

/// Returns whether this is a hexadecimal integer: an `e` in `0x1e` is a digit, not an exponent.
fn is_hex_integer(text: &str) -> bool {
    text.len() > 2
        && (text.starts_with("0x") || text.starts_with("0X"))
        && !text.contains(['p', 'P'])
}

fn parse_integer(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (base, digits) = if let Some(digits) = lower.strip_prefix("0x") {
        (16, digits)
    } else if let Some(digits) = lower.strip_prefix("0b") {
        (2, digits)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (8, digits)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if !underscores_separate_digits(&lower) {
        return None;
    }
    let digits = digits.replace('_', "");
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    u64::from_str_radix(&digits, base).ok()
}

/// Checks underscores: Go allows one between two digits, and between a base prefix and a digit.
fn underscores_separate_digits(lower: &str) -> bool {
    let unsigned = lower.trim_start_matches(['+', '-']);
    let hex = unsigned.starts_with("0x");
    let prefixed = hex || unsigned.starts_with("0b") || unsigned.starts_with("0o");
    let body = if prefixed { &unsigned[2..] } else { unsigned };
    let mut after_digit = prefixed;
    let mut after_underscore = false;
    for c in body.chars() {
        let digit = c.is_ascii_digit() || (hex && c.is_ascii_hexdigit());
        if c == '_' && !after_digit || !digit && c != '_' && after_underscore {
            return false;
        }
        after_digit = digit;
        after_underscore = c == '_';
    }
    !after_underscore
}

fn parse_float(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    let unsigned = lower.trim_start_matches(['+', '-']);
    if text.contains('_') && !underscores_separate_digits(&lower) {
        return None;
    }
    let plain = lower.replace('_', "");
    let value = if unsigned.starts_with("0x") {
        parse_hex_float(&plain)?
    } else {
        // The lexer lets only digits, signs, points and exponents through, so "inf" and "nan" cannot occur here.
        plain.parse::<f64>().ok()?
    };
    value.is_finite().then_some(value)
}

/// Reads `0x1.8p3`; the exponent is mandatory. Digits beyond the precision of a float are cut off.
fn parse_hex_float(text: &str) -> Option<f64> {
    let negative = text.starts_with('-');
    let body = text.trim_start_matches(['+', '-']).strip_prefix("0x")?;
    let (mantissa, exponent) = body.split_once('p')?;
    let mut exponent = exponent.parse::<i32>().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0_u64;
    for (index, c) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u64::from(c.to_digit(16)?);
        let fractional = index >= whole.len();
        if value >> 48 == 0 {
            value = value << 4 | digit;
            exponent = exponent.checked_sub(if fractional { 4 } else { 0 })?;
        } else if !fractional {
            exponent = exponent.checked_add(4)?;
        }
    }
    let scaled = value as f64 * 2_f64.powi(exponent);
    Some(if negative { -scaled } else { scaled })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numbers_notation_decides_its_type() {
        for (text, expected) in [
            ("12", Constant::Int(12)),
            ("-12", Constant::Int(-12)),
            ("0x1e", Constant::Int(30)),
            ("0b101", Constant::Int(5)),
            ("0o17", Constant::Int(15)),
            ("017", Constant::Int(15)),
            ("1_000", Constant::Int(1000)),
            ("0x_ff", Constant::Int(255)),
            ("1e3", Constant::Float(1000.0)),
            ("0x1p-2", Constant::Float(0.25)),
            ("0x1.8p1", Constant::Float(3.0)),
            (".5", Constant::Float(0.5)),
            ("18446744073709551615", Constant::Overflow),
        ] {
            assert_eq!(parse_number(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn malformed_numbers_are_refused() {
        for text in [
            "1__0",
            "1_",
            "0x",
            "089",
            "1e999",
            "99999999999999999999",
            "1i",
            "+",
            ".",
        ] {
            assert!(parse_number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn characters_are_integers() {
        assert_eq!(parse_char("'a'"), Ok(Constant::Int(97)));
        assert_eq!(parse_char(r"'\n'"), Ok(Constant::Int(10)));
        assert_eq!(parse_char(r"'\u2603'"), Ok(Constant::Int(0x2603)));
        assert!(parse_char("'ab'").is_err());
    }
}
