//! Splits a template into tokens: text, and the words inside `{{ }}`.
//!
//! Owns trim markers, comments and the syntax of words. Does not check grammar; a token of kind [`Kind::Error`]
//! carries Go's message and is always the last. The parser is the only caller.

use crate::quote;
use crate::token::{Kind, Token};

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

const KEYWORDS: [&str; 12] = [
    ".", "block", "break", "continue", "define", "else", "end", "if", "range", "nil", "template",
    "with",
];

/// Splits the whole text; the last token is `End` or `Error`.
pub(crate) fn tokens(input: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        input,
        start: 0,
        at: 0,
        line: 1,
        parens: 0,
        tokens: Vec::new(),
    };
    if let Err(message) = lexer.text() {
        lexer.tokens.push(Token {
            kind: Kind::Error,
            position: lexer.start,
            line: lexer.line,
            text: message,
        });
    }
    lexer.tokens
}

struct Lexer<'t> {
    input: &'t str,
    /// Where the current token begins, and the line of that position.
    start: usize,
    line: usize,
    /// The next character to read.
    at: usize,
    parens: usize,
    tokens: Vec<Token>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.input[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn accept(&mut self, set: &str) -> bool {
        let found = self.peek().is_some_and(|c| set.contains(c));
        if found {
            self.next();
        }
        found
    }

    fn accept_run(&mut self, set: &str) {
        while self.accept(set) {}
    }

    fn pending(&self) -> &'t str {
        &self.input[self.start..self.at]
    }

    fn skip(&mut self) {
        self.line += self.pending().matches('\n').count();
        self.start = self.at;
    }

    fn emit(&mut self, kind: Kind) {
        let text = self.pending().to_owned();
        self.tokens.push(Token {
            kind,
            position: self.start,
            line: self.line,
            text,
        });
        self.skip();
    }

    fn text(&mut self) -> Result<(), String> {
        while let Some(offset) = self.rest().find(LEFT) {
            let delimiter = self.at + offset;
            let inside = &self.input[delimiter + LEFT.len()..];
            let text = &self.input[self.at..delimiter];
            let trimmed = if has_left_trim(inside) {
                text.trim_end_matches(SPACES)
            } else {
                text
            };
            self.at += trimmed.len();
            if !trimmed.is_empty() {
                self.emit(Kind::Text);
            }
            self.at = delimiter;
            self.skip();
            self.delimited()?;
        }
        self.at = self.input.len();
        if self.at > self.start {
            self.emit(Kind::Text);
        }
        self.emit(Kind::End);
        Ok(())
    }

    /// Reads a comment or an action, from its left delimiter to its right one.
    fn delimited(&mut self) -> Result<(), String> {
        self.at += LEFT.len();
        let marker = if has_left_trim(self.rest()) { 2 } else { 0 };
        if self.rest()[marker..].starts_with("/*") {
            self.at += marker;
            self.skip();
            return self.comment();
        }
        self.emit(Kind::LeftDelimiter);
        self.at += marker;
        self.skip();
        self.parens = 0;
        while !self.word()? {}
        Ok(())
    }

    fn comment(&mut self) -> Result<(), String> {
        // Past the opening mark first: `/*/` does not close itself.
        self.at += 2;
        self.at += self.rest().find("*/").ok_or("unclosed comment")? + 2;
        let trim = self
            .right_delimiter()
            .ok_or("comment ends before closing delimiter")?;
        self.at += RIGHT.len() + if trim { 2 } else { 0 };
        self.skip();
        if trim {
            self.skip_spaces();
        }
        Ok(())
    }

    /// Returns whether the input continues with a right delimiter: `Some(true)` when a trim marker precedes it.
    fn right_delimiter(&self) -> Option<bool> {
        let rest = self.rest();
        if has_right_trim(rest) && rest[2..].starts_with(RIGHT) {
            Some(true)
        } else {
            rest.starts_with(RIGHT).then_some(false)
        }
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(SPACES).len();
        self.skip();
    }

    fn emit_right_delimiter(&mut self, trim: bool) {
        if trim {
            self.at += 2;
            self.skip();
        }
        self.at += RIGHT.len();
        self.emit(Kind::RightDelimiter);
        if trim {
            self.skip_spaces();
        }
    }

    /// Reads one word of an action; true when it was the right delimiter.
    fn word(&mut self) -> Result<bool, String> {
        if let Some(trim) = self.right_delimiter() {
            if self.parens > 0 {
                return Err("unclosed left paren".to_owned());
            }
            self.emit_right_delimiter(trim);
            return Ok(true);
        }
        let Some(c) = self.next() else {
            return Err("unclosed action".to_owned());
        };
        match c {
            ' ' | '\t' | '\r' | '\n' => return Ok(self.space()),
            '=' => self.emit(Kind::Assign),
            ':' => {
                if self.next() != Some('=') {
                    return Err("expected :=".to_owned());
                }
                self.emit(Kind::Declare);
            }
            '|' => self.emit(Kind::Pipe),
            '"' => self.quoted('"', Kind::String, "unterminated quoted string")?,
            '\'' => self.quoted('\'', Kind::Char, "unterminated character constant")?,
            '`' => {
                let end = self
                    .rest()
                    .find('`')
                    .ok_or("unterminated raw quoted string")?;
                self.at += end + 1;
                self.emit(Kind::RawString);
            }
            '$' => self.name(Kind::Variable)?,
            '.' if self.peek().is_some_and(|c| !c.is_ascii_digit()) => self.name(Kind::Field)?,
            '.' | '+' | '-' | '0'..='9' => {
                self.at = self.start;
                self.number()?;
            }
            c if is_alphanumeric(c) => self.identifier()?,
            '(' => {
                self.parens += 1;
                self.emit(Kind::LeftParen);
            }
            ')' => {
                self.parens = self.parens.checked_sub(1).ok_or("unexpected right paren")?;
                self.emit(Kind::RightParen);
            }
            c if c.is_ascii() && quote::is_print(c) => self.emit(Kind::Other),
            c => {
                return Err(format!(
                    "unrecognized character in action: {}",
                    quote::unicode_name(c)
                ));
            }
        }
        Ok(false)
    }

    /// Reads a run of spaces, the first of which is already read. The last one may belong to a trim marker.
    fn space(&mut self) -> bool {
        while self.accept(" \t\r\n") {}
        let last = self.at - 1;
        let behind = &self.input[last..];
        if has_right_trim(behind) && behind[2..].starts_with(RIGHT) {
            self.at = last;
            if self.at == self.start {
                self.emit_right_delimiter(true);
                return true;
            }
        }
        self.emit(Kind::Space);
        false
    }

    fn quoted(&mut self, quote: char, kind: Kind, unterminated: &str) -> Result<(), String> {
        loop {
            match self.next() {
                Some('\\') => {
                    if matches!(self.next(), None | Some('\n')) {
                        return Err(unterminated.to_owned());
                    }
                }
                None | Some('\n') => return Err(unterminated.to_owned()),
                Some(c) if c == quote => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    /// Reads a field or variable, whose first character (`.` or `$`) is already read.
    fn name(&mut self, kind: Kind) -> Result<(), String> {
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        self.check_terminator()?;
        let dot = self.pending() == ".";
        self.emit(if dot { Kind::Keyword } else { kind });
        Ok(())
    }

    fn identifier(&mut self) -> Result<(), String> {
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        self.check_terminator()?;
        let kind = match self.pending() {
            word if KEYWORDS.contains(&word) => Kind::Keyword,
            "true" | "false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.emit(kind);
        Ok(())
    }

    fn check_terminator(&mut self) -> Result<(), String> {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => Ok(()),
            _ if self.rest().starts_with(RIGHT) => Ok(()),
            Some(c) => Err(format!("bad character {}", quote::unicode_name(c))),
        }
    }

    fn number(&mut self) -> Result<(), String> {
        let mut kind = Kind::Number;
        let mut good = self.scan_number();
        if good && matches!(self.peek(), Some('+' | '-')) {
            good = self.scan_number() && self.pending().ends_with('i');
            kind = Kind::Complex;
        }
        if !good {
            return Err(format!(
                "bad number syntax: {}",
                quote::quote(self.pending().as_bytes(), false)
            ));
        }
        self.emit(kind);
        Ok(())
    }

    /// Reads text that looks like a number; its conversion decides whether it is one.
    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        let mut exponent = "eE";
        if self.accept("0") {
            if self.accept("xX") {
                (digits, exponent) = ("0123456789abcdefABCDEF_", "pP");
            } else if self.accept("oO") {
                (digits, exponent) = ("01234567_", "");
            } else if self.accept("bB") {
                (digits, exponent) = ("01_", "");
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        if self.accept(exponent) {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }
}

fn has_left_trim(inside: &str) -> bool {
    inside
        .strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(SPACES))
}

fn has_right_trim(text: &str) -> bool {
    text.starts_with(SPACES) && text[1..].starts_with('-')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}
