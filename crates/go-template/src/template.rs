//! The entry point of the crate: parse a template once, execute it any number of times.

use std::io::Write;

use crate::error::Error;
use crate::exec::Execution;
use crate::functions::Functions;
use crate::limits::Limits;
use crate::node::Node;
use crate::parser::{self, Definitions};
use crate::value::Value;

/// A parsed template.
#[derive(Debug)]
pub struct Template {
    name: String,
    text: String,
    functions: Functions,
    limits: Limits,
    definitions: Definitions,
}

impl Template {
    /// Parses a template with the predefined functions. Errors begin with the name, which may be empty.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`] for text that Go's parser rejects, for complex numbers, and for blocks and parentheses nested
    /// deeper than 100.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        Self::parse_with(name, text, Functions::new())
    }

    /// Parses a template with additional functions.
    ///
    /// # Errors
    ///
    /// Same as [`Template::parse`].
    pub fn parse_with(name: &str, text: &str, functions: Functions) -> Result<Self, Error> {
        let definitions = parser::parse(name, text, &functions)?;
        Ok(Self {
            name: name.to_owned(),
            text: text.to_owned(),
            functions,
            limits: Limits::default(),
            definitions,
        })
    }

    /// Returns the template with other limits.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Executes the template and returns its output, with U+FFFD for bytes that are not UTF-8.
    ///
    /// # Errors
    ///
    /// [`Error::Execute`]; the output before the error is lost: see [`Template::execute_to`].
    pub fn execute(&self, data: &Value) -> Result<String, Error> {
        let mut out = Vec::new();
        self.execute_to(data, &mut out)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    /// Executes the template and writes its output as it is produced, in many small pieces.
    ///
    /// # Errors
    ///
    /// [`Error::Execute`] where the data does not fit the template or a limit is reached, and [`Error::Write`]. The
    /// output before the error has been written, as in Go.
    pub fn execute_to(&self, data: &Value, out: &mut dyn Write) -> Result<(), Error> {
        Execution::new(self, out).run(data)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn functions(&self) -> &Functions {
        &self.functions
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn definition(&self, name: &str) -> Option<&[Node]> {
        self.named_definition(name).map(|(_, body)| body)
    }

    pub(crate) fn named_definition(&self, name: &str) -> Option<(&str, &[Node])> {
        self.definitions
            .get_key_value(name)
            .map(|(name, body)| (name.as_str(), body.as_slice()))
    }
}
