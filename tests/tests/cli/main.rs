//! The command line: recorded cases of the Go program, bad input, completions, documents, architecture.

mod architecture;
mod bad_input;
mod completions;
mod convert_runner_config;
mod doctor;
mod documents;
mod hostile_answers;
mod listing;
mod logs;
mod mistakes;
mod model;
mod monitoring;
mod reference;
mod short_commands;
mod streams;
mod terminal;
