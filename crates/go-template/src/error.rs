//! What can go wrong with a template, in Go's words.

use std::io;

use crate::quote;

/// Why a template was not parsed or not executed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a template. Nothing was written.
    #[error("template: {name}:{line}: {message}")]
    Parse {
        /// The name given to [`Template::parse`](crate::Template::parse).
        name: String,
        /// The line, from 1, that the parser had reached.
        line: usize,
        /// Go's sentence.
        message: String,
    },
    /// The template met data it cannot handle, or one of its [`Limits`](crate::Limits). What came before is written.
    #[error("template: {name}:{line}:{column}: executing {} at <{context}>: {message}", quote::quote(.executing.as_bytes(), false))]
    Execute {
        /// The name given to [`Template::parse`](crate::Template::parse).
        name: String,
        /// The line, from 1.
        line: usize,
        /// The byte in the line, from 0.
        column: usize,
        /// The template that was running: the main one, or one of its definitions.
        executing: String,
        /// The expression at fault.
        context: String,
        /// Go's sentence.
        message: String,
    },
    /// The output could not be written; a part of it may have been.
    #[error("cannot write the template's output")]
    Write(#[source] io::Error),
}
