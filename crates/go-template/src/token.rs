//! The tokens of a template, and how parse errors show them.

use crate::quote;

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    End,
    Text,
    LeftDelimiter,
    RightDelimiter,
    Space,
    Assign,
    Declare,
    Pipe,
    LeftParen,
    RightParen,
    Other,
    Bool,
    Char,
    Number,
    Complex,
    String,
    RawString,
    Field,
    Identifier,
    Variable,
    Keyword,
}

/// A token, with its start (in bytes) and its line (from 1).
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) position: usize,
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl Token {
    /// Returns whether this is the given keyword.
    pub(crate) fn is_keyword(&self, word: &str) -> bool {
        self.kind == Kind::Keyword && self.text == word
    }

    /// Returns the token as parse errors show it.
    pub(crate) fn describe(&self) -> String {
        match self.kind {
            Kind::End => "EOF".to_owned(),
            Kind::Error => self.text.clone(),
            Kind::Keyword => format!("<{}>", self.text),
            // Go's messages cut a token after ten bytes.
            _ if self.text.len() > 10 => {
                let head: String = self.text.chars().take(10).collect();
                format!("{}...", quote::quote(head.as_bytes(), false))
            }
            _ => quote::quote(self.text.as_bytes(), false),
        }
    }
}
