//! The machine's files, by SFTP.

use std::sync::Arc;

use machine_flow::Cx;

use crate::SshError;
use crate::session::Connection;

/// The machine's files. Paths are relative to the login's directory; `~` has no meaning.
pub struct Sftp {
    _private: (),
}

impl Sftp {
    pub(crate) async fn start(_connection: Arc<Connection>, _cx: &Cx) -> Result<Self, SftpError> {
        todo!()
    }
}

/// A file or directory on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whether it is a directory (a link to one counts).
    pub directory: bool,
    /// Its length in bytes.
    pub size: u64,
    /// Its permissions, the lower nine bits of its mode.
    pub mode: u32,
}

/// Why something with the machine's files failed.
#[derive(Debug, thiserror::Error)]
pub enum SftpError {
    /// There is no SFTP on this session.
    #[error("cannot start SFTP")]
    Start(#[source] SshError),
    /// The machine's answer about one path.
    #[error("{path}: {reason}")]
    Remote {
        /// The path as it was given.
        path: String,
        /// `No such file or directory`, `Permission denied`, or the server's words, printable.
        reason: String,
    },
    /// The operation was cancelled.
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
}
