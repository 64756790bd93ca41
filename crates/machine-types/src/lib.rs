//! The shared types of all crates: names, states, addresses, secrets, exit codes.
//!
//! Owns types and their text forms. Does no I/O: nothing here reads a file, the environment, the clock or the
//! network.

mod address;
mod exit;
mod masked;
mod name;
mod nearest;
mod one_line;
mod printable;
mod secret;
mod state;
mod unquoted;

pub use address::{DOCKER_PORT, DockerUrl, SshEndpoint};
pub use exit::ExitStatus;
pub use masked::masked;
pub use name::{InvalidName, MachineName};
pub use nearest::nearest;
pub use one_line::{one_line, without_error_numbers};
pub use printable::{printable, printable_tail};
pub use secret::Secret;
pub use state::MachineState;
pub use unquoted::unquoted;

/// A list as Go writes it: `null` where it was never set, `[]` where it was set to an empty list.
pub type GoList = Option<Vec<String>>;
