//! The file of host keys that OpenSSH reads.

use std::path::{Path, PathBuf};

use libmachine::{KnownHosts, SshDetails, files};
use machine_types::one_line;

use crate::context::Context;
use crate::failure::Failure;

/// A machine's file in the store, or a temporary file, which is removed on drop.
pub(crate) enum KnownHostsFile {
    Stored(PathBuf),
    Temporary(PathBuf),
}

impl KnownHostsFile {
    /// Returns the file for a machine. Creates a temporary one if the store's does not have its key and address.
    ///
    /// # Errors
    /// Fails if the temporary file cannot be written.
    pub(crate) fn of(cx: &Context, details: &SshDetails) -> Result<Self, Failure> {
        let line = match &details.known_hosts {
            KnownHosts::File(path) => return Ok(Self::Stored(path.clone())),
            KnownHosts::Line(line) => line,
        };
        let directory = cx.world.environment.get("TMPDIR").unwrap_or("/tmp");
        let unique = cx.world.ambient.random();
        let path = Path::new(directory).join(format!("docker-machine-known-hosts-{unique:016x}"));
        match files::write_new(&path, 0o600, &(), |_| Ok(line.clone().into_bytes())) {
            Ok(()) => Ok(Self::Temporary(path)),
            Err(error) => Err(Failure::new(one_line(error))),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Stored(path) | Self::Temporary(path) => path,
        }
    }
}

impl Drop for KnownHostsFile {
    fn drop(&mut self) {
        if let Self::Temporary(path) = self {
            // It holds a public key: a file that cannot be removed does no harm.
            let _ = std::fs::remove_file(path);
        }
    }
}
