//! SSH to a machine: one [`Session`] for commands, an interactive shell and files.
//!
//! Owns the connection (waits for a machine that is still booting, reports the layer that failed), the pinned host
//! key, and SSH key pairs. Does not read the environment: paths, the agent's socket, clock and cancellation are
//! arguments. Prints nothing and changes no terminal. The callers are the provisioner, `libmachine` and the tests of
//! the lab; they decide what to run.
//!
//! Uses russh, whose types do not leave this crate.
//!
//! ```
//! use machine_ssh::{KeyType, generate_key_pair, shell_quote};
//!
//! let pair = generate_key_pair(KeyType::Ed25519)?;
//! assert!(pair.public.starts_with("ssh-ed25519 "));
//! assert_eq!(shell_quote("it's"), r"'it'\''s'");
//! # Ok::<(), machine_ssh::KeyError>(())
//! ```

mod authenticate;
mod client;
mod command;
mod connect;
mod connect_error;
mod credentials;
mod dial;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod heard;
mod host_keys;
mod keys;
mod known_hosts;
mod listing;
mod place;
mod pump;
mod session;
mod session_error;
mod sftp;
mod sftp_stream;
mod shell;
mod status;
mod transfer;
mod transfer_error;
mod wait;
mod wildcard;
mod wire;

pub use authenticate::check_private_key;
pub use command::{Command, shell_quote};
pub use connect::{check_host_key, connect};
pub use connect_error::{ConnectError, Layer, ProtocolError};
pub use credentials::Credentials;
pub use host_keys::{HostKeyError, HostKeys};
pub use keys::{KeyError, KeyPair, KeyType, generate_key_pair, public_key_line};
pub use known_hosts::is_pinned;
pub use place::Place;
pub use session::Session;
pub use session_error::SshError;
pub use sftp::{Entry, EntryKind, Sftp, SftpError};
pub use shell::{Pty, WindowSize};
pub use status::{ExitStatus, Output};
pub use transfer::{Copy, copy};
pub use transfer_error::TransferError;
pub use wait::{WaitForSshError, WaitLimits, wait_for_ssh};
