//! The command line: grammar, flags, parsing, help.

pub mod argv;
mod command;
pub mod complete;
mod declare;
mod help;
mod hints;
pub mod options;
mod parse;
pub mod usage;

pub use command::{About, Command};
pub(crate) use parse::no_driver;
pub use parse::{Arguments, Cli, Invocation, Request, Usage, global_flags};
