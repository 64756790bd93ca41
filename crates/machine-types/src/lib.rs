//! Names, states, addresses, secrets and exit codes: the types that every other crate uses.
//!
//! Owns types and their text forms. Performs no I/O: reads no file, environment variable, clock or socket. Called by all
//! other crates.
//!
//! ```
//! use machine_types::{DockerUrl, MachineName};
//!
//! let name: MachineName = "runner-1".parse()?;
//! assert!("../runner".parse::<MachineName>().is_err());
//! assert_eq!(DockerUrl::new("10.0.0.7").to_string(), "tcp://10.0.0.7:2376");
//! # Ok::<(), machine_types::InvalidName>(())
//! ```

mod address;
mod duration;
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
pub use duration::duration;
pub use exit::ExitStatus;
pub use masked::masked;
pub use name::{InvalidName, MachineName};
pub use nearest::nearest;
pub use one_line::{one_line, without_error_numbers};
pub use printable::{harmless, is_harmful, printable, printable_tail, printable_within, shown};
pub use secret::Secret;
pub use state::MachineState;
pub use unquoted::unquoted;

/// A list as Go writes it: `null` where it was never set, `[]` where it was set to an empty list.
pub type GoList = Option<Vec<String>>;
