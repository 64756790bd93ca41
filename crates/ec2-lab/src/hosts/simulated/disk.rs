//! The root prefix of a simulated host, and its programs.
//!
//! Owns the files on disk: one [`Shelf`] of stubs and links to this machine's own tools for all hosts, and per host a
//! tree of a few directories, files and symbolic links, so that hundreds of hosts cost milliseconds each. Does not
//! control running hosts.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::options::{DockerAtBoot, HostOptions};
use super::systemd_unit::FRAGMENT;
use crate::hosts::HostSpec;

/// Stubs by file name. `@TOOLS@` is the placeholder for the directory of the real tools.
const STUBS: &[(&str, &str)] = &[
    ("host-call", include_str!("stubs/host-call")),
    ("nothing", include_str!("stubs/nothing")),
    ("sudo", include_str!("stubs/sudo")),
    ("id", include_str!("stubs/id")),
    ("whoami", include_str!("stubs/whoami")),
    ("hostname", include_str!("stubs/hostname")),
    ("hostnamectl", include_str!("stubs/hostnamectl")),
    ("uname", include_str!("stubs/uname")),
    ("chown", include_str!("stubs/chown")),
    ("install", include_str!("stubs/install")),
    ("usermod", include_str!("stubs/usermod")),
];

/// Programs of every host: name, and its stub.
const EVERYWHERE: &[(&str, &str)] = &[
    ("id", "id"),
    ("whoami", "whoami"),
    ("logname", "whoami"),
    ("hostname", "hostname"),
    ("uname", "uname"),
    ("chown", "chown"),
    ("chgrp", "chown"),
    ("install", "install"),
    ("usermod", "usermod"),
    ("groupadd", "nothing"),
    ("modprobe", "nothing"),
    ("sysctl", "nothing"),
    ("sync", "nothing"),
];

/// Programs of a host unless [`HostOptions::without`] names them.
const USUALLY: &[(&str, &str)] = &[
    ("sudo", "sudo"),
    ("systemctl", "host-call"),
    ("journalctl", "host-call"),
    ("hostnamectl", "hostnamectl"),
    ("cloud-init", "nothing"),
    ("curl", "host-call"),
    ("wget", "host-call"),
];

/// The programs of this machine that a host may use unchanged: those that read and write only the given paths.
/// Commands on a host cannot reach any other program of this machine.
const TOOLS: &[&str] = &[
    "[",
    "awk",
    "base64",
    "basename",
    "bash",
    "cat",
    "chmod",
    "cksum",
    "cmp",
    "comm",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "diff",
    "dirname",
    "du",
    "echo",
    "egrep",
    "env",
    "expr",
    "false",
    "fgrep",
    "find",
    "flock",
    "fold",
    "fuser",
    "getconf",
    "getent",
    "grep",
    "groups",
    "gunzip",
    "gzip",
    "head",
    "join",
    "kill",
    "ln",
    "ls",
    "md5sum",
    "mkdir",
    "mkfifo",
    "mktemp",
    "mv",
    "nice",
    "nl",
    "nohup",
    "nproc",
    "numfmt",
    "od",
    "openssl",
    "paste",
    "pgrep",
    "printenv",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "realpath",
    "rev",
    "rm",
    "rmdir",
    "rsync",
    "scp",
    "sed",
    "seq",
    "setsid",
    "sftp-server",
    "sh",
    "sha1sum",
    "sha256sum",
    "sha512sum",
    "shuf",
    "sleep",
    "sort",
    "split",
    "ss",
    "stat",
    "stdbuf",
    "stty",
    "tac",
    "tail",
    "tar",
    "tee",
    "test",
    "timeout",
    "touch",
    "tr",
    "true",
    "truncate",
    "tty",
    "uniq",
    "unlink",
    "wc",
    "which",
    "xargs",
    "xxd",
    "yes",
    "zcat",
];

/// This machine's program directories; the environment is not read.
const PROGRAMS: &[&str] = &[
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
    "/usr/sbin",
    "/sbin",
    "/run/current-system/sw/bin",
];

const DIRECTORIES: &[&str] = &[
    "etc/apt",
    "etc/default",
    "etc/ssh",
    "etc/systemd/system",
    "proc",
    "root",
    "run/lab",
    "tmp",
    "usr/bin",
    "usr/lib/systemd/system",
    "usr/local/bin",
    "usr/local/sbin",
    "usr/sbin",
    "var/lib/cloud/instance",
    "var/log",
];

/// The files that all hosts of a lab share: stubs and links to tools.
#[derive(Debug)]
pub(super) struct Shelf {
    stubs: PathBuf,
    common: PathBuf,
    tools: PathBuf,
    hosts: PathBuf,
}

impl Shelf {
    /// Creates the shelf below an existing directory.
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        let shelf = Self {
            stubs: directory.join("stubs"),
            common: directory.join("common"),
            tools: directory.join("tools"),
            hosts: directory.join("hosts"),
        };
        for made in [&shelf.stubs, &shelf.common, &shelf.tools, &shelf.hosts] {
            fs::create_dir_all(made)?;
        }
        let tools = shelf.tools.to_string_lossy();
        for (name, text) in STUBS {
            let path = shelf.stubs.join(name);
            fs::write(&path, text.replace("@TOOLS@", &tools))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        for (name, stub) in EVERYWHERE {
            shelf.link(stub, &shelf.common.join(name))?;
        }
        for name in TOOLS.iter().chain(&["install", "uname"]) {
            shelf.offer(name)?;
        }
        Ok(shelf)
    }

    /// Makes a program of this machine available to the hosts, if it exists.
    fn offer(&self, name: &str) -> io::Result<()> {
        let real = PROGRAMS
            .iter()
            .map(|directory| Path::new(directory).join(name));
        match real.into_iter().find(|path| path.is_file()) {
            Some(real) => link(&real, &self.tools.join(name)),
            None => Ok(()),
        }
    }

    fn link(&self, stub: &str, name: &Path) -> io::Result<()> {
        link(&self.stubs.join(stub), name)
    }

    /// Returns the root prefix of an instance.
    pub(super) fn root(&self, instance_id: &str) -> PathBuf {
        self.hosts.join(instance_id)
    }

    /// Returns the `PATH` of commands on the host with that root.
    pub(super) fn search_path(&self, root: &Path) -> String {
        let root = root.display();
        format!(
            "{root}/usr/local/sbin:{root}/usr/local/bin:{root}/usr/sbin:{root}/usr/bin:{}:{}",
            self.common.display(),
            self.tools.display()
        )
    }

    /// Creates the tree of a new host.
    pub(super) fn make_root(&self, host: &HostSpec, options: &HostOptions) -> io::Result<PathBuf> {
        let root = self.root(&host.instance_id);
        for directory in DIRECTORIES {
            fs::create_dir_all(root.join(directory))?;
        }
        for (merged, real) in [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib")] {
            link(Path::new(real), &root.join(merged))?;
        }
        fs::create_dir_all(home(&root, &host.user).join(".ssh"))?;
        let name = host_name(host);
        fs::write(root.join("etc/os-release"), &options.os_release)?;
        fs::write(root.join("etc/hostname"), format!("{name}\n"))?;
        fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n")?;
        fs::write(root.join("etc/group"), "root:x:0:\n")?;
        fs::write(
            root.join("var/lib/cloud/instance/user-data.txt"),
            &host.user_data,
        )?;
        let is_amazon = options.os_release.contains("amzn");
        let manager = if is_amazon { "dnf" } else { "apt-get" };
        for (name, stub) in USUALLY.iter().copied().chain([(manager, "host-call")]) {
            if !options.without.iter().any(|absent| absent == name) {
                self.link(stub, &root.join("usr/bin").join(name))?;
            }
        }
        self.install_docker(&root, options.docker)?;
        Ok(root)
    }

    /// Updates the tree for a boot: runtime files of the host's name, address and sudo.
    pub(super) fn boot(root: &Path, host: &HostSpec, options: &HostOptions) -> io::Result<()> {
        let run = root.join("run/lab");
        fs::remove_dir_all(root.join("run")).or_else(absent_is_fine)?;
        fs::create_dir_all(&run)?;
        // The sign of systemd, sd_booted(3).
        fs::create_dir_all(root.join("run/systemd/system"))?;
        let name = fs::read(root.join("etc/hostname")).unwrap_or_default();
        fs::write(run.join("hostname"), name)?;
        fs::write(run.join("address"), format!("{}\n", host.address))?;
        if let Some(refusal) = &options.sudo_refuses {
            fs::write(run.join("sudo-refuses"), format!("{refusal}\n"))?;
        }
        Ok(())
    }

    /// Installs Docker's programs and unit into a tree.
    pub(super) fn install_docker(&self, root: &Path, package: DockerAtBoot) -> io::Result<()> {
        let (directory, command) = match package {
            DockerAtBoot::Missing => return Ok(()),
            DockerAtBoot::DockerCe => (
                "usr/bin",
                "/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock",
            ),
            DockerAtBoot::DockerIo => (
                "usr/sbin",
                "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS",
            ),
        };
        self.link("host-call", &root.join(directory).join("dockerd"))?;
        fs::create_dir_all(root.join("etc/docker"))?;
        let group = root.join("etc/group");
        let groups = fs::read_to_string(&group)?;
        if !groups.contains("docker:") {
            fs::write(group, groups + "docker:x:999:\n")?;
        }
        fs::write(
            within(root, FRAGMENT),
            include_str!("stubs/docker.service").replace("@COMMAND@", command),
        )
    }
}

/// Returns the location on this machine of a path on the host, which may begin with the root already.
pub(super) fn within(root: &Path, path: &str) -> PathBuf {
    let path = Path::new(path);
    if path.starts_with(root) {
        path.to_owned()
    } else {
        root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Returns the home directory of a user under a root.
pub(super) fn home(root: &Path, user: &str) -> PathBuf {
    match user {
        "root" => root.join("root"),
        user => root.join("home").join(user),
    }
}

/// Returns whether `/etc/group` lets a user use Docker's socket, whose group is `docker`.
pub(super) fn may_use_docker(root: &Path, user: &str) -> bool {
    let groups = fs::read_to_string(root.join("etc/group")).unwrap_or_default();
    let docker = groups.lines().find(|line| line.starts_with("docker:"));
    let members = docker.and_then(|line| line.rsplit(':').next());
    user == "root" || members.is_some_and(|members| members.split(',').any(|name| name == user))
}

/// Returns EC2's name of a host: its private address.
fn host_name(host: &HostSpec) -> String {
    format!("ip-{}", host.address.to_string().replace(['.', ':'], "-"))
}

fn link(target: &Path, name: &Path) -> io::Result<()> {
    symlink(target, name).or_else(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Ok(()),
        _ => Err(error),
    })
}

fn absent_is_fine(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}
