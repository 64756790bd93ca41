//! Sanitizes untrusted text for terminal and log output.

use std::borrow::Cow;

use crate::masked::masked;

/// The maximum number of characters of untrusted text in a message.
const LONGEST: usize = 400;

/// Sanitizes bytes from a remote host for a message on a terminal: one line, no control characters or escapes
/// (`\u{1b}` and the like are spelled out), no characters that reorder or hide text, at most 400 characters, `…`
/// where text was cut.
pub fn printable(bytes: &[u8]) -> String {
    printable_within(bytes, LONGEST)
}

/// Same as [`printable`], with at most `longest` characters.
pub fn printable_within(bytes: &[u8], longest: usize) -> String {
    // A character has at most four bytes: the rest cannot be quoted anyway.
    let (bytes, cut) = match bytes.get(..longest.saturating_mul(4)) {
        Some(start) if start.len() < bytes.len() => (start, true),
        _ => (bytes, false),
    };
    let text = String::from_utf8_lossy(bytes);
    quote(text.trim(), cut, longest)
}

/// Escapes characters that a terminal interprets or that hide text (`\u{1b}`), and keeps everything else: lines, tabs,
/// length. For all text that goes to a terminal or a log, including the program's own.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut spelled = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match is_harmful(character) {
            true => spelled.extend(character.escape_unicode()),
            false => spelled.push(character),
        }
    }
    Cow::Owned(spelled)
}

/// Returns a message for display: secrets are masked, and characters that a terminal interprets are escaped. For all
/// text that goes to standard error, to a log, or among the lines of a command.
pub fn shown(text: &str) -> String {
    harmless(&masked(text)).into_owned()
}

/// Returns whether a terminal interprets a character (C0 and C1 of ECMA-48, except line ends and tabs), or whether it
/// reorders or hides text.
pub fn is_harmful(character: char) -> bool {
    let is_layout = matches!(character, '\n' | '\t');
    (character.is_control() && !is_layout) || is_deceptive(character)
}

/// Sanitizes the end of a longer text, such as the output of a command: the last 400 characters, lines joined by ` |
/// `.
pub fn printable_tail(bytes: &[u8]) -> String {
    let start = bytes.len().saturating_sub(LONGEST * 4);
    let text = String::from_utf8_lossy(bytes.get(start..).unwrap_or_default());
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let joined = lines.join(" | ");
    let length = joined.chars().count();
    if start == 0 && length <= LONGEST {
        return quote(&joined, false, LONGEST * 8);
    }
    let tail: String = joined
        .chars()
        .skip(length.saturating_sub(LONGEST))
        .collect();
    format!("…{}", quote(&tail, false, LONGEST * 8))
}

fn quote(text: &str, cut: bool, longest: usize) -> String {
    let mut quoted = String::new();
    let mut cut = cut;
    for (index, character) in text.chars().enumerate() {
        if index == longest {
            cut = true;
            break;
        }
        match character {
            '\n' | '\r' | '\t' => quoted.push(' '),
            c if c.is_control() || is_deceptive(c) => {
                quoted.extend(c.escape_unicode());
            }
            c => quoted.push(c),
        }
    }
    if cut {
        quoted.push('…');
    }
    quoted
}

/// Returns whether a character has no shape of its own but changes how its neighbours are read: Unicode's
/// bidirectional controls, zero-width characters, line and paragraph separators, tags, the BOM.
fn is_deceptive(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_spelled_out() {
        assert_eq!(
            printable(b"\x1b]0;title\x07hi\x9b31m\r\n"),
            "\\u{1b}]0;title\\u{7}hi\u{fffd}31m"
        );
        assert_eq!(
            printable("a\u{9b}b\u{202e}c".as_bytes()),
            "a\\u{9b}b\\u{202e}c"
        );
        assert_eq!(printable("Zürich 東京".as_bytes()), "Zürich 東京");
        assert_eq!(printable(b"two\nlines\n"), "two lines");
    }

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        let text = "a\tb\nc Zürich 東京";
        assert!(matches!(harmless(text), Cow::Borrowed(same) if same == text));
        assert_eq!(
            harmless("\x1b[2J\r\u{9b}\u{202e}\x7f\n"),
            "\\u{1b}[2J\\u{d}\\u{9b}\\u{202e}\\u{7f}\n"
        );
    }

    #[test]
    fn length_is_bounded() {
        let long = printable(&vec![b'a'; 1 << 20]);
        assert_eq!(long.chars().count(), LONGEST + 1);
        assert!(long.ends_with('…'));
        let exact = vec![b'a'; LONGEST];
        assert_eq!(printable(&exact).len(), LONGEST);
        assert!(printable(&vec![0x1b; 1 << 20]).len() < LONGEST * 8);
    }

    #[test]
    fn a_tail_is_the_end() {
        assert_eq!(printable_tail(b"one\n\ntwo\x1b\n"), "one | two\\u{1b}");
        assert_eq!(printable_tail(b""), "");
        let mut long = "x".repeat(5000).into_bytes();
        long.extend_from_slice(b"\nE: the reason\n");
        let tail = printable_tail(&long);
        assert!(tail.starts_with("…x") && tail.ends_with("x | E: the reason"));
        assert_eq!(tail.chars().count(), LONGEST + 1);
    }
}
