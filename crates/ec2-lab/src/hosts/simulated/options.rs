//! What a simulated host is like and how it misbehaves.
//!
//! Owns the knobs alone: plain data that a test fills in. Nothing here acts. Called by tests
//! through [`SimulatedHosts`](super::SimulatedHosts) and read by every other file of this room.

use std::collections::BTreeMap;
use std::time::Duration;

/// When something about a booting host comes true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Moment {
    /// From the first instant.
    #[default]
    AtOnce,
    /// That long after the boot began.
    After(Duration),
    /// When a test says so through [`HostView`](super::HostView).
    WhenTold,
}

/// What the image brings along of Docker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DockerAtBoot {
    /// Nothing: it has to be installed.
    Missing,
    /// Docker's own packages: `/usr/bin/dockerd`, the unit under `/usr/lib/systemd/system`.
    #[default]
    DockerCe,
    /// Debian's package `docker.io`: `/usr/sbin/dockerd`, the unit under `/lib/systemd/system`.
    DockerIo,
}

/// What becomes of one exec request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecFault {
    /// It is accepted and never ends; nothing runs.
    Hang,
    /// The connection ends without an answer; nothing runs.
    DropConnection,
    /// The command runs to its end, and the connection is cut before its exit status is told.
    DropBeforeStatus,
    /// The request is refused (`SSH_MSG_CHANNEL_FAILURE`).
    Refuse,
    /// It begins that much later.
    Delay(Duration),
    /// Instead of the command this is what comes back.
    Fail {
        /// The exit status.
        status: u8,
        /// What it prints on standard error.
        stderr: String,
    },
}

/// How dockerd takes a start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DockerStart {
    /// It comes up when its unit, flags and files are right.
    #[default]
    Works,
    /// It exits with this line in the journal.
    Fails(String),
    /// It never reports that it is ready: `systemctl` waits until the host is gone.
    Hangs,
    /// systemd believes that it is up, but nothing listens.
    NeverListens,
}

/// Everything about one host. `Default` is a Debian 12 with Docker, ready at once.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The text of `/etc/os-release`.
    pub os_release: String,
    /// The port of sshd. 22 would need root.
    pub ssh_port: u16,
    /// sshd's identification string, without the line end.
    pub ssh_identification: String,
    /// Raw bytes sent before the identification string (RFC 4253, 4.2, allows lines there).
    pub before_identification: Vec<u8>,
    /// The banner sent during authentication (RFC 4252, 5.4), as it stands.
    pub login_banner: Option<String>,
    /// When sshd listens; before that, connections are refused.
    pub listens: Moment,
    /// When sshd says its identification string; before that, it accepts and is silent.
    pub greets: Moment,
    /// When the key pair's key is in `authorized_keys`; before that, it is refused.
    pub accepts_key: Moment,
    /// When `cloud-init status --wait` returns.
    pub cloud_init_done: Moment,
    /// Whether a reboot brings another host key. Else the first one is kept.
    pub new_host_key_at_reboot: bool,
    /// What sudo says instead of running anything, such as `sudo: a password is required`.
    pub sudo_refuses: Option<String>,
    /// Docker on the image.
    pub docker: DockerAtBoot,
    /// The Docker release that runs, or that an installation brings.
    pub docker_version: String,
    /// Its API version.
    pub docker_api_version: String,
    /// The oldest API version it answers; Docker 29 has 1.44.
    pub docker_min_api_version: String,
    /// How dockerd takes a start.
    pub docker_start: DockerStart,
    /// Whether an installation fails, and with which last line.
    pub install_fails: Option<String>,
    /// What `curl` and `wget` find outside loopback: body by URL. Nothing else is reachable.
    pub web: BTreeMap<String, Vec<u8>>,
    /// Time before each command begins.
    pub exec_delay: Duration,
    /// Faults by the number of the exec request on this host, counted from 1.
    pub exec_faults: BTreeMap<u64, ExecFault>,
    /// No file that a command writes can grow beyond so many 512-byte blocks: a full disk, but
    /// for the error's name (EFBIG, "File too large", where a disk says ENOSPC).
    pub file_size_limit: Option<u64>,
    /// Usual programs that this image lacks: of sudo, systemctl, journalctl, hostnamectl,
    /// cloud-init, curl, wget and the package manager.
    pub without: Vec<String>,
    /// Further programs of this machine that commands on the host may use, by name.
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

/// The package manager of a distribution, which decides what else a host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packages {
    Apt,
    Dnf,
    Zypper,
    None,
}

impl HostOptions {
    /// Whether its packages start their services.
    pub(super) fn starts_what_it_installs(&self) -> bool {
        self.packages() == Packages::Apt
    }

    /// The package manager that `/etc/os-release` stands for, by ID, then ID_LIKE.
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
