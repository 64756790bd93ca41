//! Calls the predefined functions, and builds the strings of the printing functions.

use crate::builtin::{self, Builtin};
use crate::datum::{Datum, indirect};
use crate::escape;
use crate::exec::Execution;
use crate::format::Printer;
use crate::value::{GoString, Value};

impl Execution<'_, '_> {
    /// Calls a predefined function; `callee` is the source text of its first argument.
    pub(crate) fn apply(
        &mut self,
        function: Builtin,
        arguments: Vec<Datum>,
        callee: Option<String>,
    ) -> Result<Datum, String> {
        if let (Builtin::Index | Builtin::Slice, [item, indexes @ ..]) =
            (function, arguments.as_slice())
        {
            return match function {
                Builtin::Index => builtin::index(item, indexes),
                _ => builtin::slice(item, indexes).map(Datum::plain),
            };
        }
        if let (Builtin::Len, [argument]) = (function, arguments.as_slice()) {
            return Ok(Datum::plain(
                i64::try_from(builtin::len(argument)?).unwrap_or(i64::MAX),
            ));
        }
        let values: Vec<Value> = arguments
            .into_iter()
            .map(|argument| argument.value)
            .collect();
        let first = values.first().unwrap_or(&Value::Nil);
        let text = match function {
            Builtin::Not => return Ok(Datum::plain(!first.is_true())),
            Builtin::Call => return Err(builtin::call(first, callee)),
            Builtin::Print => self.formatted(|printer| printer.print(&values))?,
            Builtin::Println => self.formatted(|printer| printer.println(&values))?,
            Builtin::Printf => {
                let format = match first {
                    Value::String(format) => format.clone(),
                    _ => GoString::from(""),
                };
                self.formatted(|printer| {
                    printer.printf(format.as_bytes(), values.get(1..).unwrap_or_default())
                })?
            }
            Builtin::Html => escape::html(&self.joined(&values)?),
            Builtin::Js => escape::js(&self.joined(&values)?),
            Builtin::Urlquery => escape::urlquery(&self.joined(&values)?),
            comparison => return builtin::comparison(comparison, &values).map(Datum::plain),
        };
        Ok(Datum::plain(Value::String(text.into())))
    }

    /// Formats the arguments of an escaping function as bare actions would.
    fn joined(&self, values: &[Value]) -> Result<Vec<u8>, String> {
        let values: Vec<Value> = values.iter().map(printable).collect();
        self.formatted(|printer| printer.print(&values))
    }

    fn formatted(&self, write: impl FnOnce(&mut Printer)) -> Result<Vec<u8>, String> {
        let mut printer = Printer::new(self.bytes_left());
        write(&mut printer);
        if printer.overflowed() {
            return Err("text is too long".to_owned());
        }
        Ok(printer.into_bytes())
    }
}

/// Returns the value that an action prints: the struct behind a pointer, or a placeholder for a nil value.
pub(crate) fn printable(value: &Value) -> Value {
    match indirect(value) {
        Some(Value::Nil) => Value::from("<no value>"),
        Some(value) => value,
        None => value.clone(),
    }
}
