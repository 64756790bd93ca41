//! The options and faults of a simulated host.
//!
//! Plain data that a test sets; this module has no behaviour. Tests set it through
//! [`SimulatedHosts`](super::SimulatedHosts), and all sibling modules read it.

use std::collections::BTreeMap;
use std::time::Duration;

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
    /// The connection is closed without an answer; no command runs.
    DropConnection,
    /// The command runs to its end, and the connection is closed before its exit status is sent.
    DropBeforeStatus,
    /// The request is refused (`SSH_MSG_CHANNEL_FAILURE`).
    Refuse,
    /// The command starts after this delay.
    Delay(Duration),
    /// Returns this result instead of running the command.
    Fail {
        /// The exit status.
        status: u8,
        /// Its standard error.
        stderr: String,
    },
}

/// The result of starting dockerd.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DockerStart {
    /// It starts if its unit, flags and files are correct.
    #[default]
    Works,
    /// It exits with this line in the journal.
    Fails(String),
    /// It never reports that it is ready: `systemctl` waits until the host is gone.
    Hangs,
    /// systemd considers it active, but it does not listen.
    NeverListens,
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
    /// The port of sshd; 22 would require root.
    pub ssh_port: u16,
    /// sshd's identification string, without the line end.
    pub ssh_identification: String,
    /// Raw bytes sent before the identification string (RFC 4253, 4.2, allows lines there).
    pub before_identification: Vec<u8>,
    /// The banner sent during authentication (RFC 4252, 5.4), unchanged.
    pub login_banner: Option<String>,
    /// When sshd begins to listen; before, connections are refused.
    pub listens: Moment,
    /// When sshd sends its identification string; before, it accepts connections and sends nothing.
    pub greets: Moment,
    /// When the key pair's key is added to `authorized_keys`; before, it is refused.
    pub accepts_key: Moment,
    /// When `cloud-init status --wait` returns.
    pub cloud_init_done: Moment,
    /// Whether a reboot generates a new host key. Otherwise the first one is kept.
    pub new_host_key_at_reboot: bool,
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
    /// Its API version.
    pub docker_api_version: String,
    /// The minimum API version; Docker 29 has 1.44.
    pub docker_min_api_version: String,
    /// The result of starting dockerd.
    pub docker_start: DockerStart,
    /// Whether an installation fails, and its last line of output.
    pub install_fails: Option<String>,
    /// The pages for `curl` and `wget` outside loopback: body by URL. No other page is reachable.
    pub web: BTreeMap<String, Vec<u8>>,
    /// A delay before each command.
    pub exec_delay: Duration,
    /// Faults by the number of the exec request on this host, starting at 1.
    pub exec_faults: BTreeMap<u64, ExecFault>,
    /// The maximum size of a file that a command writes, in 512-byte blocks: simulates a full disk, except for the
    /// error's name (EFBIG, "File too large", instead of ENOSPC).
    pub file_size_limit: Option<u64>,
    /// Common programs that this image lacks: of sudo, systemctl, journalctl, hostnamectl, cloud-init, curl, wget and
    /// the package manager.
    pub without: Vec<String>,
    /// Additional programs of this machine that commands on the host may use, by name.
    pub more_tools: Vec<String>,
}

impl Default for HostOptions {
    fn default() -> Self {
        let web = BTreeMap::from([(
            "https://get.docker.com".to_owned(),
            include_bytes!("stubs/install-docker").to_vec(),
        )]);
        Self {
            os_release: DEBIAN_12.to_owned(),
            ssh_port: 2222,
            ssh_identification: "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7".to_owned(),
            before_identification: Vec::new(),
            login_banner: None,
            listens: Moment::AtOnce,
            greets: Moment::AtOnce,
            accepts_key: Moment::AtOnce,
            cloud_init_done: Moment::AtOnce,
            new_host_key_at_reboot: false,
            host_key: None,
            attack: None,
            sudo_refuses: None,
            docker: DockerAtBoot::default(),
            docker_version: "29.1.2".to_owned(),
            docker_api_version: "1.52".to_owned(),
            docker_min_api_version: "1.44".to_owned(),
            docker_start: DockerStart::default(),
            install_fails: None,
            web,
            exec_delay: Duration::ZERO,
            exec_faults: BTreeMap::new(),
            file_size_limit: None,
            without: Vec::new(),
            more_tools: Vec::new(),
        }
    }
}

/// The package manager of a distribution, which determines other properties of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packages {
    Apt,
    Dnf,
    Zypper,
    None,
}

impl HostOptions {
    /// Returns whether its packages start their services.
    pub(super) fn starts_what_it_installs(&self) -> bool {
        self.packages() == Packages::Apt
    }

    /// Returns the package manager for `/etc/os-release`, by ID, then ID_LIKE.
    pub(super) fn packages(&self) -> Packages {
        let field = |name: &str| {
            self.os_release
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                .map(|value| value.trim_matches(['"', '\'']))
                .unwrap_or_default()
        };
        let words = [field("ID"), field("ID_LIKE")].join(" ");
        for word in words.split_whitespace() {
            match word {
                "debian" | "ubuntu" => return Packages::Apt,
                "fedora" | "rhel" | "centos" | "amzn" | "ol" | "rocky" | "almalinux" => {
                    return Packages::Dnf;
                }
                "suse" | "sles" | "opensuse" => return Packages::Zypper,
                _ => {}
            }
        }
        Packages::None
    }
}

/// `/etc/os-release` of Debian 12.
pub const DEBIAN_12: &str = r#"PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
SUPPORT_URL="https://www.debian.org/support"
BUG_REPORT_URL="https://bugs.debian.org/"
"#;
