//! Go's string and character literals: reading them and writing them.
//!
//! Owns the escape rules of the Go specification ("String literals", "Rune literals") and the set of printable
//! characters. The parser reads literals with it; `%q`, `%#v` and error messages write them. Rejects malformed
//! literals and never guesses.

/// The literal is not valid Go; Go's own message is "invalid syntax".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidSyntax;

/// A unit of a literal: a whole character, or a single byte written as `\x..` or `\ooo`.
pub(crate) enum Unit {
    Char(char),
    Byte(u8),
}

/// Reads an interpreted (`"..."`) or raw (`` `...` ``) string literal with its quotes.
pub(crate) fn unquote(literal: &str) -> Result<Vec<u8>, InvalidSyntax> {
    if let Some(raw) = strip(literal, '`') {
        // The specification drops carriage returns from raw strings.
        return Ok(raw.bytes().filter(|&b| b != b'\r').collect());
    }
    let mut rest = strip(literal, '"').ok_or(InvalidSyntax)?;
    let mut text = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let (unit, tail) = unquote_unit(rest, '"')?;
        match unit {
            Unit::Char(c) => push_char(&mut text, c),
            Unit::Byte(b) => text.push(b),
        }
        rest = tail;
    }
    Ok(text)
}

fn strip(literal: &str, quote: char) -> Option<&str> {
    literal.strip_prefix(quote)?.strip_suffix(quote)
}

/// Appends a character in UTF-8.
pub(crate) fn push_char(text: &mut Vec<u8>, c: char) {
    text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Reads the first unit of a literal's content and returns the rest.
pub(crate) fn unquote_unit(text: &str, quote: char) -> Result<(Unit, &str), InvalidSyntax> {
    let mut chars = text.chars();
    match chars.next().ok_or(InvalidSyntax)? {
        c if c == quote || c == '\n' => Err(InvalidSyntax),
        '\\' => unquote_escape(chars.as_str(), quote),
        c => Ok((Unit::Char(c), chars.as_str())),
    }
}

fn unquote_escape(text: &str, quote: char) -> Result<(Unit, &str), InvalidSyntax> {
    let mut chars = text.chars();
    let letter = chars.next().ok_or(InvalidSyntax)?;
    let rest = chars.as_str();
    let plain = match letter {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '\\' => '\\',
        c if c == quote => c,
        'x' => {
            let (value, rest) = digits(rest, 2, 16)?;
            return Ok((
                Unit::Byte(u8::try_from(value).map_err(|_| InvalidSyntax)?),
                rest,
            ));
        }
        'u' | 'U' => {
            let (value, rest) = digits(rest, if letter == 'u' { 4 } else { 8 }, 16)?;
            return Ok((
                Unit::Char(char::from_u32(value).ok_or(InvalidSyntax)?),
                rest,
            ));
        }
        '0'..='7' => {
            let (value, rest) = digits(text, 3, 8)?;
            return Ok((
                Unit::Byte(u8::try_from(value).map_err(|_| InvalidSyntax)?),
                rest,
            ));
        }
        _ => return Err(InvalidSyntax),
    };
    Ok((Unit::Char(plain), rest))
}

fn digits(text: &str, count: usize, base: u32) -> Result<(u32, &str), InvalidSyntax> {
    let head = text.get(..count).ok_or(InvalidSyntax)?;
    if !head.chars().all(|c| c.is_digit(base)) {
        return Err(InvalidSyntax);
    }
    let value = u32::from_str_radix(head, base).map_err(|_| InvalidSyntax)?;
    Ok((value, &text[count..]))
}

/// Writes `text` as an interpreted literal, as `%q` does; with `ascii` as `%+q` does.
pub(crate) fn quote(text: &[u8], ascii: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            escape_char(&mut out, c, '"', ascii);
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

/// Writes a character as a single-quoted literal, as `%q` does of an integer.
pub(crate) fn quote_char(c: char, ascii: bool) -> String {
    let mut out = String::from("'");
    escape_char(&mut out, c, '\'', ascii);
    out.push('\'');
    out
}

fn escape_char(out: &mut String, c: char, quote: char, ascii: bool) {
    let letter = match c {
        '\x07' => 'a',
        '\x08' => 'b',
        '\x0c' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\x0b' => 'v',
        '\\' => '\\',
        c if c == quote => c,
        c if is_print(c) && (c.is_ascii() || !ascii) => return out.push(c),
        c if c < ' ' || c == '\x7f' => return out.push_str(&format!("\\x{:02x}", u32::from(c))),
        c if u32::from(c) < 0x10000 => return out.push_str(&format!("\\u{:04x}", u32::from(c))),
        c => return out.push_str(&format!("\\U{:08x}", u32::from(c))),
    };
    out.push('\\');
    out.push(letter);
}

/// Returns whether Go prints the character as itself: letters, marks, numbers, punctuation, symbols, the ASCII space.
///
/// The standard library's debug escape leaves the same classes alone, except for combining marks at the start of a
/// string: hence the letter in front. Go's and Rust's Unicode versions may differ.
pub(crate) fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    let mut text = String::from("a");
    text.push(c);
    text.escape_debug().count() == 2
}

/// Returns whether a raw literal can hold the text: valid UTF-8 in one line, no backquote, no byte order mark.
pub(crate) fn can_backquote(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    text.chars()
        .all(|c| c == '\t' || (c >= ' ' && !matches!(c, '`' | '\x7f' | '\u{feff}')))
}

/// Writes a character as `%#U` does: `U+002B '+'`.
pub(crate) fn unicode_name(c: char) -> String {
    let code = u32::from(c);
    if is_print(c) {
        format!("U+{code:04X} '{c}'")
    } else {
        format!("U+{code:04X}")
    }
}
