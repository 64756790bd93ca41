//! Names of files and directories. Does not access the disk.

use std::path::{Path, PathBuf};

use machine_types::MachineName;

pub(crate) const MACHINES: &str = "machines";
pub(crate) const CERTS: &str = "certs";
pub(crate) const LOCKS: &str = ".locks";
pub(crate) const LOGS: &str = ".logs";
pub(crate) const MARKS: &str = ".marks";
pub(crate) const SIGHTINGS: &str = ".sightings.json";
pub(crate) const TOMBSTONES: &str = ".tombstones";
pub(crate) const STORE_ID: &str = ".docker-machine-store-id";
/// The prefix of a machine's directory during its creation.
pub(crate) const CREATING: &str = ".creating-";
/// The prefix of a machine's directory during its removal.
pub(crate) const REMOVING: &str = ".removing-";

/// A file in a machine's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MachineFile {
    /// The configuration.
    Config,
    /// The private half of the SSH key, of any algorithm.
    SshKey,
    /// The SSH key's public half.
    SshPublicKey,
    /// A copy of the CA's certificate.
    Ca,
    /// A copy of the client certificate.
    Cert,
    /// A copy of the client certificate's key.
    Key,
    /// The certificate that was issued to this machine's engine: the pin.
    Server,
    /// The engine's key.
    ServerKey,
    /// The journal of the machine's remote resources.
    Journal,
    /// The pinned host keys, in OpenSSH's format.
    KnownHosts,
}

impl MachineFile {
    /// Returns the file's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config.json",
            Self::SshKey => "id_rsa",
            Self::SshPublicKey => "id_rsa.pub",
            Self::Ca => "ca.pem",
            Self::Cert => "cert.pem",
            Self::Key => "key.pem",
            Self::Server => "server.pem",
            Self::ServerKey => "server-key.pem",
            Self::Journal => ".journal",
            Self::KnownHosts => ".known_hosts",
        }
    }

    /// Returns the file's mode, the same as the Go binary's under umask 022: certificates are world-readable, but only
    /// the owner can enter the directory.
    pub const fn mode(self) -> u32 {
        match self {
            Self::Ca | Self::Cert | Self::Server => 0o644,
            _ => 0o600,
        }
    }
}

/// Returns the path of an entry of a store, as Go's `filepath.Join` writes it: the working directory adds no dot.
pub fn below(base: &Path, name: &str) -> PathBuf {
    match base == Path::new(".") {
        true => name.into(),
        false => base.join(name),
    }
}

/// Paths below one base directory.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    base: PathBuf,
}

impl Layout {
    pub(crate) fn new(base: PathBuf) -> Self {
        Self { base }
    }

    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    pub(crate) fn under(&self, name: &str) -> PathBuf {
        below(&self.base, name)
    }

    pub(crate) fn machines(&self) -> PathBuf {
        self.under(MACHINES)
    }

    pub(crate) fn directory(&self, name: &MachineName) -> PathBuf {
        self.machines().join(name.as_str())
    }

    pub(crate) fn creating(&self, name: &MachineName, chance: u64) -> PathBuf {
        self.machines()
            .join(format!("{CREATING}{name}-{chance:016x}"))
    }

    pub(crate) fn removing(&self, name: &MachineName, chance: u64) -> PathBuf {
        self.machines()
            .join(format!("{REMOVING}{name}-{chance:016x}"))
    }

    /// Returns the lock file. Its name begins with a dot like all files of this program; no machine name begins with
    /// `-`.
    pub(crate) fn lock(&self, name: &str) -> PathBuf {
        self.under(LOCKS).join(format!(".{name}"))
    }
}

/// Returns the machine's name from a directory's name `PREFIX NAME - 16 hex digits`.
pub(crate) fn name_between(text: &str, prefix: &str) -> Option<MachineName> {
    let (name, chance) = text.strip_prefix(prefix)?.rsplit_once('-')?;
    let is_chance = chance.len() == 16 && chance.bytes().all(|b| b.is_ascii_hexdigit());
    if is_chance { name.parse().ok() } else { None }
}
