//! What was found and done on a host.

/// What provisioning found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The host's system.
    pub os: Os,
    /// Whether anything on the host was changed.
    pub changed: bool,
    /// Whether Docker was installed, or moved to another release.
    pub installed: bool,
    /// Whether the engine was started or restarted.
    pub restarted: bool,
    /// The engine's release, as `dockerd --version` has it; empty where a custom script did the work.
    pub docker_version: String,
    /// A firewall that is active and, as far as it tells, hides the engine's port: for the error
    /// of a connection that does not come about.
    pub firewall: Option<Firewall>,
}

/// What a host runs, from its `os-release`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Os {
    /// `ID`: `debian`, `amzn`.
    pub id: String,
    /// `ID_LIKE`, space-separated; may be empty.
    pub id_like: String,
    /// `VERSION_ID`; empty for rolling releases.
    pub version: String,
    /// The row of the family's table: `debian`, `amazon`, `redhat`, `suse`, `systemd`.
    pub family: String,
}

/// A firewall of the host that may hide a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firewall {
    /// `firewalld` or `ufw`.
    pub name: String,
    /// The command, for root, that opens the port.
    pub opened_by: String,
}
