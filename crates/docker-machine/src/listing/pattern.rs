//! `--filter name=`: patterns of Go's `regexp`, implemented on top of the crate `regex-lite`.
//!
//! Both have nearly the same syntax. This module handles the differences: it escapes what Go takes literally, rejects
//! what Go rejects, and expands `\Q...\E`. The rules are those of RE2, <https://github.com/google/re2/wiki/Syntax>.

use regex_lite::Regex;

/// Maximum repeat count in Go.
const MOST_REPETITIONS: u32 = 1000;

/// A pattern that Go rejects, too. The sentences are Go's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PatternError {
    #[error("error parsing regexp: invalid nested repetition operator: `{0}`")]
    NestedRepetition(String),
    #[error("error parsing regexp: invalid repeat count: `{0}`")]
    RepeatCount(String),
    #[error("error parsing regexp: `{0}`")]
    Other(String, #[source] regex_lite::Error),
}

/// Compiles a pattern with Go's syntax.
pub(crate) fn compile(pattern: &str) -> Result<Regex, PatternError> {
    let translated = translate(pattern)?;
    Regex::new(&translated).map_err(|error| PatternError::Other(pattern.to_owned(), error))
}

fn translate(pattern: &str) -> Result<String, PatternError> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    // The repetition operator before the current position.
    let mut repeated = String::new();
    while let Some(first) = rest.chars().next() {
        let (piece, taken) = match first {
            '\\' => escape(rest),
            '[' => class(rest),
            _ => (first.to_string(), first.len_utf8()),
        };
        match repetition(rest) {
            Some((operator, count)) => {
                let whole = format!("{repeated}{operator}");
                if count > MOST_REPETITIONS {
                    return Err(PatternError::RepeatCount(operator.to_owned()));
                }
                if !repeated.is_empty() {
                    return Err(PatternError::NestedRepetition(whole));
                }
                out.push_str(operator);
                rest = &rest[operator.len()..];
                if let Some(lazy) = rest.strip_prefix('?') {
                    out.push('?');
                    rest = lazy;
                }
                repeated = operator.to_owned();
                continue;
            }
            // A brace that begins no repetition is literal.
            None if first == '{' => out.push_str("\\{"),
            None => out.push_str(&piece),
        }
        repeated.clear();
        rest = &rest[taken..];
    }
    Ok(out)
}

/// Returns the repetition operator at the start of a text, and the largest number in it.
fn repetition(text: &str) -> Option<(&str, u32)> {
    if text.starts_with(['*', '+', '?']) {
        return Some((&text[..1], 0));
    }
    let inside = text.strip_prefix('{')?.split_once('}')?.0;
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if least.is_empty() || !number(least) || !number(most) {
        return None;
    }
    let count = |digits: &str| match digits {
        "" => 0,
        digits => digits.parse().unwrap_or(u32::MAX),
    };
    Some((&text[..inside.len() + 2], count(least).max(count(most))))
}

/// Translates an escape sequence; returns its length in the input.
fn escape(text: &str) -> (String, usize) {
    if let Some(quoted) = text.strip_prefix("\\Q") {
        let end = quoted.find("\\E").unwrap_or(quoted.len());
        let closed = usize::from(end < quoted.len()) * 2;
        return (regex_lite::escape(&quoted[..end]), 2 + end + closed);
    }
    let taken = 1 + text[1..].chars().next().map_or(0, char::len_utf8);
    let class = ["\\p{", "\\P{", "\\x{"].iter().any(|c| text.starts_with(c));
    let end = text.find('}').filter(|_| class).map(|end| end + 1);
    let taken = end.unwrap_or(taken);
    (text[..taken].to_owned(), taken)
}

/// Translates a character class. Inside it, Go has no operators and no classes except `[:alpha:]` and the like.
fn class(text: &str) -> (String, usize) {
    let mut out = String::from("[");
    let mut at = 1;
    if text[at..].starts_with('^') {
        out.push('^');
        at += 1;
    }
    let begin = at;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if c == ']' && at > begin {
            out.push(']');
            return (out, at + 1);
        }
        let (piece, taken) = match c {
            '\\' => escape(rest),
            '[' if rest.starts_with("[:") && rest.contains(":]") => {
                let end = rest.find(":]").map_or(rest.len(), |end| end + 2);
                (rest[..end].to_owned(), end)
            }
            '[' | ']' | '&' | '~' => (format!("\\{c}"), 1),
            c => (c.to_string(), c.len_utf8()),
        };
        out.push_str(&piece);
        at += taken;
    }
    // An unterminated class is an error, which regex-lite reports.
    (text.to_owned(), text.len())
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn what_go_takes_is_taken() {
        for (pattern, text) in [
            ("^n[12]$", "n1"),
            ("n{1}", "n1"),
            ("n+?", "n1"),
            ("a{", "xa{"),
            ("a{,2}", "a{,2}"),
            ("{", "{"),
            (r"\Qa.b\E+", "a.bb"),
            (r"\Qa.b", "a.b"),
            ("[[a]", "["),
            ("[]a]", "]"),
            ("[a&&b]", "&"),
            ("[[:alpha:]]+1", "n1"),
            (r"\x{6e}", "n"),
            ("(?i)N1", "n1"),
            ("(?P<x>n)", "n"),
            ("(?:n)1", "n1"),
            ("", "n1"),
        ] {
            assert!(compile(pattern).unwrap().is_match(text), "{pattern}");
        }
        assert!(!compile(r"\Qa.b\E").unwrap().is_match("axb"));
    }

    #[test]
    fn what_go_refuses_is_refused() {
        let why = |pattern: &str| compile(pattern).unwrap_err().to_string();
        for pattern in ["**", "x**", "x*+", "n{1,2}{3}", "x??*"] {
            assert!(
                why(pattern).starts_with("error parsing regexp"),
                "{pattern}"
            );
        }
        assert_eq!(
            why("n{1,2}{3}"),
            "error parsing regexp: invalid nested repetition operator: `{1,2}{3}`"
        );
        assert_eq!(
            why("n{1001}"),
            "error parsing regexp: invalid repeat count: `{1001}`"
        );
        for pattern in ["(", ")", "[", "*", "+", "(?=n)", r"\1", r"\Z", "[z-a]"] {
            assert_eq!(why(pattern), format!("error parsing regexp: `{pattern}`"));
        }
    }
}
