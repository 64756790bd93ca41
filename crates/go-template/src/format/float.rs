//! Floats: `%v`, `%e`, `%f`, `%g`, `%b`, `%x`, and the numbers of JSON.

use super::Printer;
use crate::value::Value;

/// The shortest precision that reads back as the same number.
const SHORTEST: Option<usize> = None;

impl Printer {
    pub(super) fn format_float(&mut self, number: f64, verb: char, value: &Value) {
        let (format, precision) = match verb {
            'v' => ('g', SHORTEST),
            'b' | 'g' | 'G' | 'x' | 'X' => (verb, SHORTEST),
            'e' | 'E' | 'f' => (verb, Some(6)),
            'F' => ('f', Some(6)),
            _ => return self.bad_verb(verb, value),
        };
        let precision = self.flags.precision.or(precision);
        let mut digits = unsigned(number.abs(), format, precision);
        let negative = number.is_sign_negative() && !number.is_nan();
        let sign = match (negative, self.flags.plus, self.flags.space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        };
        if !number.is_finite() {
            return self.pad_with(format!("{sign}{digits}"), b' ');
        }
        if self.flags.sharp && format != 'b' {
            digits = with_point(&digits, format, precision);
        }
        if self.flags.zero && !self.flags.minus {
            let taken = sign.len() + digits.len();
            let zeros = self.flags.width.unwrap_or(0).saturating_sub(taken);
            self.write(sign);
            self.write_padding(zeros, b'0');
            self.write(digits);
        } else {
            self.pad(format!("{sign}{digits}"));
        }
    }
}

fn unsigned(number: f64, format: char, precision: Option<usize>) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return "Inf".to_owned();
    }
    match format {
        'e' => exponential(number, precision),
        'E' => exponential(number, precision).to_uppercase(),
        'f' => fixed(number, precision),
        'G' => general(number, precision).to_uppercase(),
        'b' => binary(number),
        'x' => hexadecimal(number, precision),
        'X' => hexadecimal(number, precision).to_uppercase(),
        _ => general(number, precision),
    }
}

fn fixed(number: f64, precision: Option<usize>) -> String {
    match precision {
        Some(places) => padded_fraction(format!("{number:.*}", places.min(MAX_DIGITS)), places),
        None => format!("{number}"),
    }
}

/// The maximum number of digits of a float; the standard library formats at most 65535 of them.
const MAX_DIGITS: usize = 1100;

fn padded_fraction(text: String, places: usize) -> String {
    text + &"0".repeat(places.saturating_sub(MAX_DIGITS))
}

/// Splits a number into mantissa and exponent as Rust writes them: `1.5`, `-7`.
fn split(number: f64, places: Option<usize>) -> (String, i32) {
    let text = match places {
        Some(places) => format!("{number:.*e}", places.min(MAX_DIGITS)),
        None => format!("{number:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.to_owned(), exponent.parse().unwrap_or(0))
}

fn exponential(number: f64, places: Option<usize>) -> String {
    let (mantissa, exponent) = split(number, places);
    let mantissa = padded_fraction(mantissa, places.unwrap_or(0));
    join(&mantissa, 'e', exponent)
}

/// Joins mantissa and exponent; Go always writes the sign of an exponent, and at least two digits.
fn join(mantissa: &str, letter: char, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}{letter}{sign}{:02}", exponent.abs())
}

/// Formats with `%e` for exponents below -4 or not below the precision, else with `%f`; without trailing zeros.
fn general(number: f64, precision: Option<usize>) -> String {
    let (mantissa, exponent) = split(number, precision.map(|digits| digits.max(1) - 1));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_end_matches('0');
    let threshold = match precision {
        // Go treats the shortest form as six digits: 1e+06.
        None => 6,
        Some(precision) => {
            let precision = precision.max(1);
            let whole = usize::try_from(exponent + 1).unwrap_or(0);
            if precision > digits.len() && digits.len() >= whole {
                digits.len()
            } else {
                precision
            }
        }
    };
    let threshold = i32::try_from(threshold).unwrap_or(i32::MAX);
    if number != 0.0 && (exponent < -4 || exponent >= threshold) {
        let mantissa = if mantissa.contains('.') {
            mantissa.trim_end_matches('0').trim_end_matches('.')
        } else {
            &mantissa
        };
        return join(mantissa, 'e', exponent);
    }
    positional(digits, exponent)
}

/// Writes `digits` (the first of which has the value of ten to the exponent) without an exponent.
fn positional(digits: &str, exponent: i32) -> String {
    if digits.is_empty() {
        return "0".to_owned();
    }
    match usize::try_from(exponent) {
        Err(_) => format!(
            "0.{}{digits}",
            "0".repeat(exponent.unsigned_abs() as usize - 1)
        ),
        Ok(exponent) if exponent + 1 >= digits.len() => {
            format!("{digits}{}", "0".repeat(exponent + 1 - digits.len()))
        }
        Ok(exponent) => format!("{}.{}", &digits[..=exponent], &digits[exponent + 1..]),
    }
}

/// Returns the 53 bits of the mantissa as an integer, and its exponent of two.
fn parts(number: f64) -> (u64, i32) {
    let bits = number.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let fraction = bits & ((1 << 52) - 1);
    // 1075 is the bias of 1023 plus the 52 bits of the fraction; subnormal numbers have no leading one.
    if exponent == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, exponent - 1075)
    }
}

fn binary(number: f64) -> String {
    let (mantissa, exponent) = parts(number);
    format!("{mantissa}p{exponent:+}")
}

/// Formats as `0x1.8p+01`: one bit before the point.
fn hexadecimal(number: f64, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = parts(number);
    if mantissa == 0 {
        exponent = 0;
    } else {
        let shift = mantissa.leading_zeros() as i32 - 11;
        mantissa <<= shift;
        exponent += 52 - shift;
    }
    if let Some(places) = precision.filter(|&places| places < 13) {
        let cut = 52 - 4 * places as u32;
        let (half, rest) = (1_u64 << (cut - 1), mantissa & ((1 << cut) - 1));
        let odd = mantissa >> cut & 1 == 1;
        mantissa = mantissa >> cut << cut;
        if rest > half || (rest == half && odd) {
            mantissa += 1 << cut;
        }
        if mantissa >> 53 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let all = format!("{:013x}", mantissa & ((1 << 52) - 1));
    let fraction = match precision {
        None => all.trim_end_matches('0').to_owned(),
        Some(places) if places <= 13 => all[..places].to_owned(),
        Some(places) => all.clone() + &"0".repeat(places - 13),
    };
    let point = if fraction.is_empty() { "" } else { "." };
    join(
        &format!("0x{}{point}{fraction}", mantissa >> 52),
        'p',
        exponent,
    )
}

/// Applies `#`: a decimal point in any case, and for `%g` the trailing zeros.
fn with_point(text: &str, format: char, precision: Option<usize>) -> String {
    let letters: &[char] = if matches!(format, 'x' | 'X') {
        &['p', 'P']
    } else {
        &['e', 'E']
    };
    let (mantissa, tail) = text.split_at(text.find(letters).unwrap_or(text.len()));
    let digits = match format {
        'g' | 'G' | 'x' => precision.unwrap_or(6),
        _ => 0,
    };
    let mut significant = mantissa
        .trim_start_matches(['0', '.'])
        .chars()
        .filter(|&c| c != '.')
        .count();
    let mut mantissa = mantissa.to_owned();
    if !mantissa.contains('.') {
        significant += usize::from(mantissa == "0");
        mantissa.push('.');
    }
    mantissa.push_str(&"0".repeat(digits.saturating_sub(significant)));
    mantissa + tail
}

/// Writes a number as `encoding/json` does: an exponent only below 1e-6 and from 1e21 on.
pub(crate) fn json_number(number: f64) -> String {
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let number = number.abs();
    if number != 0.0 && !(1e-6..1e21).contains(&number) {
        let (mantissa, exponent) = split(number, SHORTEST);
        return format!("{sign}{mantissa}e{exponent:+}");
    }
    format!("{sign}{}", fixed(number, SHORTEST))
}
