//! The result of provisioning.

/// The result of provisioning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The host's system.
    pub os: Os,
    /// Whether the host was changed.
    pub changed: bool,
    /// Whether Docker was installed, or its release changed.
    pub installed: bool,
    /// Whether the engine was started or restarted.
    pub restarted: bool,
    /// The engine's release, as `dockerd --version` prints it; empty after a custom script.
    pub docker_version: String,
    /// An active firewall that appears to block the engine's port: for the error of a failed connection.
    pub firewall: Option<Firewall>,
}

/// The host's system, from its `os-release`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Os {
    /// `ID`: `debian`, `amzn`.
    pub id: String,
    /// `ID_LIKE`, space-separated; may be empty.
    pub id_like: String,
    /// `VERSION_ID`; empty for rolling releases.
    pub version: String,
    /// The row of the family table: `debian`, `amazon`, `redhat`, `suse`, `systemd`.
    pub family: String,
}

/// A firewall of the host that may block a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firewall {
    /// `firewalld` or `ufw`.
    pub name: String,
    /// The command, for root, that opens the port.
    pub opened_by: String,
}
