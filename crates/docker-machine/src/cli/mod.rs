//! The command line: grammar, flags, parsing, help.

pub mod argv;
mod declare;
pub mod options;
mod parse;
pub mod usage;

pub use parse::*;
