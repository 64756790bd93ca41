//! Go's `text/template` for JSON values and values shaped like Go structs.
//!
//! `docker-machine inspect -f` and `ls --format` take templates that were written for the Go program, so this crate
//! owns the output of such a template, byte for byte: the language, the predefined functions, Go's `fmt` verbs and
//! types, Go's error messages, and `text/tabwriter` for the table of `ls`. It does not support functions in data,
//! complex numbers, methods with arguments and other delimiters, because no caller needs them. A `range` over a named
//! integer visits plain integers. The only I/O is to the given writer. The crate does not depend on machine types.
//!
//! ```
//! use go_template::{Functions, Template, Value};
//!
//! let machine: Value = serde_json::json!({"Name": "n1", "Labels": ["a", "b"], "Memory": 1048576}).into();
//! let template = Template::parse_with("", "{{.Name}}: {{json .Labels}} {{.Memory}}", Functions::with_json())?;
//! assert_eq!(template.execute(&machine)?, r#"n1: ["a","b"] 1.048576e+06"#);
//! # Ok::<(), go_template::Error>(())
//! ```

mod apply;
mod builtin;
mod compare;
mod convert;
mod datum;
mod duration;
mod error;
mod escape;
mod eval;
mod exec;
mod expression;
mod format;
mod frame;
mod functions;
mod json;
mod lexer;
mod limits;
mod list;
mod node;
mod number;
mod parser;
mod quote;
pub mod tabwriter;
mod template;
mod token;
mod value;

pub use error::{Error, ExecuteError, ParseError};
pub use functions::Functions;
pub use limits::Limits;
pub use list::ListFormat;
pub use template::Template;
pub use value::{Element, GoString, List, Map, Named, Pointer, Struct, Value};
