//! The command line: grammar, flags, parsing, help.

pub mod argv;
mod command;
pub mod complete;
mod declare;
mod flags;
mod help;
mod hints;
pub mod options;
mod parse;
mod suspicion;
pub mod usage;

pub use command::{About, Arguments, Command, Usage};
pub use declare::Cli;
pub use flags::global_flags;
pub(crate) use parse::no_driver;
pub use parse::{Invocation, Request};
