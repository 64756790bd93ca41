//! Errors of parsing and execution, in Go's wording.

use std::io;

use crate::quote;

/// Why a template was not parsed or not executed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a template. No output was written.
    #[error(transparent)]
    Parse(#[from] Box<ParseError>),
    /// The template met data that it cannot handle, or reached one of its [`Limits`](crate::Limits). The output
    /// before the error is written.
    #[error(transparent)]
    Execute(#[from] Box<ExecuteError>),
    /// The output could not be written; a part of it may have been.
    #[error("cannot write the template's output")]
    Write(#[source] io::Error),
}

/// The position and cause of a parse error.
#[derive(Debug, thiserror::Error)]
#[error("template: {name}:{line}: {message}")]
pub struct ParseError {
    /// The name given to [`Template::parse`](crate::Template::parse).
    pub name: String,
    /// The line, from 1, that the parser had reached.
    pub line: usize,
    /// Go's message.
    pub message: String,
}

/// The position and cause of an execution error.
#[derive(Debug, thiserror::Error)]
#[error("template: {name}:{line}:{column}: executing {} at <{context}>: {message}", quote::quote(.executing.as_bytes(), false))]
pub struct ExecuteError {
    /// The name given to [`Template::parse`](crate::Template::parse).
    pub name: String,
    /// The line, from 1.
    pub line: usize,
    /// The byte in the line, from 0.
    pub column: usize,
    /// The template that was running: the main one, or one of its definitions.
    pub executing: String,
    /// The expression at fault.
    pub context: String,
    /// Go's message.
    pub message: String,
}
