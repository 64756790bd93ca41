//! Output for people and shells: console, prompts, progress, quoting.

pub(crate) mod age;
pub mod console;
pub(crate) mod env_output;
pub(crate) mod go_json;
pub(crate) mod progress;
pub mod prompt;
pub(crate) mod quote;
pub mod terminal;
