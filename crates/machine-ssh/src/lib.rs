//! SSH to a machine: one [`Session`] for commands, an interactive shell and files.
//!
//! Owns the connection (how a machine that is still booting is waited for, which layer failed
//! when it is not reached), the pin of its host key, and SSH key pairs. Refuses the ambient
//! world: paths, the agent's socket, clock and cancellation are handed in; nothing is printed,
//! no terminal is touched. The provisioner, `libmachine` and the lab's tests call it; what a
//! command means is theirs to know.
//!
//! The library below is russh; its types do not leave this crate.

mod authenticate;
mod command;
mod connect;
mod connect_error;
mod credentials;
mod dial;
mod heard;
mod host_keys;
mod keys;
mod known_hosts;
mod place;
mod pump;
mod session;
mod session_error;
mod sftp;
mod shell;
mod status;
mod transfer;
mod wait;
mod wildcard;
mod wire;

pub use authenticate::check_private_key;
pub use command::{Command, shell_quote};
pub use connect::connect;
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
pub use transfer::{Copy, TransferError, copy};
pub use wait::{WaitForSshError, WaitLimits, wait_for_ssh};
