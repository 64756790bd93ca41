//! The options and faults of a simulated host.
//!
//! Plain data that a test sets; this module has no behaviour. Tests set it through
//! [`SimulatedHosts`](super::SimulatedHosts), and all sibling modules read it.

use std::collections::BTreeMap;
use std::time::Duration;

/// The port of sshd; 22 would require root.
pub(super) const SSH_PORT: u16 = 2222;

/// The moment of an event during a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Moment {
    /// Immediately.
    #[default]
    AtOnce,
    /// After this time since the start of the boot.
    After(Duration),
    /// On a test's command through [`HostView`](super::HostView).
    WhenTold,
}

/// The Docker installation of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DockerAtBoot {
    /// None: it has to be installed.
    Missing,
    /// Docker's own packages: `/usr/bin/dockerd`, the unit under `/usr/lib/systemd/system`.
    #[default]
    DockerCe,
    /// Debian's package `docker.io`: `/usr/sbin/dockerd`, the unit under `/lib/systemd/system`.
    DockerIo,
}

/// A fault of one exec request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecFault {
    /// The request is accepted and never ends; no command runs.
    Hang,
    /// The command runs to its end, and the connection is closed before its exit status is sent.
    DropBeforeStatus,
    /// The request is refused (`SSH_MSG_CHANNEL_FAILURE`).
    Refuse,
}

/// Attack of a hostile host on its SSH clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// Before a command begins, opens this number of channels of every type to the client.
    OpenChannels(usize),
    /// An SFTP directory listing returns names endlessly.
    EndlessListing,
    /// An SFTP directory listing returns responses without names endlessly.
    EmptyListing,
    /// Each entry in an SFTP listing is a directory with 50,000 entries.
    DeepTree,
    /// Each file that SFTP reads has an announced size of five bytes, and does not end.
    EndlessFile,
    /// SFTP error messages and names in listings are long and contain control characters.
    Escapes,
}

/// The options of one host. The default is a Debian 12 with Docker, ready at once.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The text of `/etc/os-release`.
    pub os_release: String,
    /// When sshd begins to listen; before, connections are refused.
    pub listens: Moment,
    /// When sshd sends its identification string; before, it accepts connections and sends nothing.
    pub greets: Moment,
    /// When the key pair's key is added to `authorized_keys`; before, it is refused.
    pub accepts_key: Moment,
    /// sshd's private host key in OpenSSH's format; none: a new Ed25519 key.
    pub host_key: Option<String>,
    /// The attack on clients, if any.
    pub attack: Option<Attack>,
    /// The message with which sudo refuses every command, such as `sudo: a password is required`.
    pub sudo_refuses: Option<String>,
    /// The Docker installation of the image.
    pub docker: DockerAtBoot,
    /// The running Docker release, or the one that an installation installs.
    pub docker_version: String,
    /// Whether dockerd fails to start, and its line in the journal.
    pub docker_start_fails: Option<String>,
    /// Whether an installation fails, and its last line of output.
    pub install_fails: Option<String>,
    /// The pages for `curl` and `wget`: body by URL. No other page is reachable.
    pub web: BTreeMap<String, Vec<u8>>,
    /// Faults by the number of the exec request on this host, starting at 1.
    pub exec_faults: BTreeMap<u64, ExecFault>,
    /// The maximum size of a file that a command writes, in 512-byte blocks: simulates a full disk, except for the
    /// error's name (EFBIG, "File too large", instead of ENOSPC).
    pub file_size_limit: Option<u64>,
    /// Common programs that this image lacks: of sudo, hostnamectl, cloud-init, curl, wget and the package manager.
    pub without: Vec<String>,
}

impl Default for HostOptions {
    fn default() -> Self {
        let web = BTreeMap::from([(
            "https://get.docker.com".to_owned(),
            include_bytes!("stubs/install-docker").to_vec(),
        )]);
        Self {
            os_release: DEBIAN_12.to_owned(),
            listens: Moment::AtOnce,
            greets: Moment::AtOnce,
            accepts_key: Moment::AtOnce,
            host_key: None,
            attack: None,
            sudo_refuses: None,
            docker: DockerAtBoot::default(),
            docker_version: "29.1.2".to_owned(),
            docker_start_fails: None,
            install_fails: None,
            web,
            exec_faults: BTreeMap::new(),
            file_size_limit: None,
            without: Vec::new(),
        }
    }
}

/// `/etc/os-release` of Debian 12.
const DEBIAN_12: &str = r#"PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
SUPPORT_URL="https://www.debian.org/support"
BUG_REPORT_URL="https://bugs.debian.org/"
"#;
