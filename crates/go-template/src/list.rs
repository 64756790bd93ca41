//! The format of a listing: a template for each row, with an optional leading `table` for headers and columns.
//!
//! Owns the conventions of `docker-machine ls --format`: spaces around the template are dropped, `\t` and `
//! ` typed as two characters are a tab and a line feed, each row ends with a line feed. The caller defines the
//! columns.

use std::io::Write;

use crate::error::Error;
use crate::functions::Functions;
use crate::tabwriter::{self, Layout};
use crate::template::Template;
use crate::value::Value;

/// A parsed format of a listing.
#[derive(Debug)]
pub struct ListFormat {
    template: Template,
    table: bool,
}

impl ListFormat {
    /// Parses a format such as `{{.Name}}` or `table {{.Name}}\t{{.State}}`.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`]; the line feed after the template counts as its last line.
    pub fn parse(format: &str, functions: Functions) -> Result<Self, Error> {
        let columns = format.strip_prefix("table");
        let row = columns.unwrap_or(format).trim_matches(' ');
        let row = row.replace("\\t", "\t").replace("\\n", "\n") + "\n";
        let template = Template::parse_with("", &row, functions)?;
        Ok(Self {
            template,
            table: columns.is_some(),
        })
    }

    /// Writes the rows; in a table, after the headers and aligned by [`tabwriter::align`].
    ///
    /// # Errors
    ///
    /// [`Error::Execute`] for the first row, or the headers, that the template does not fit; the rows before it are
    /// written. [`Error::Write`].
    pub fn write<'v>(
        &self,
        headers: &'v Value,
        rows: impl IntoIterator<Item = &'v Value>,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        if !self.table {
            return rows
                .into_iter()
                .try_for_each(|row| self.template.execute_to(row, out));
        }
        let mut text = Vec::new();
        let executed = [headers]
            .into_iter()
            .chain(rows)
            .try_for_each(|row| self.template.execute_to(row, &mut text));
        out.write_all(&tabwriter::align(&text, Layout::LS))
            .map_err(Error::Write)?;
        executed
    }
}
