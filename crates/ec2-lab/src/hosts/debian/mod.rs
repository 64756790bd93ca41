//! Real hosts: Debian 12 with systemd, sshd and dockerd, each booted in a container.
//!
//! Owns a separate dockerd (data root, socket and network apart from any other), the image that it boots, and the
//! containers. Requires root; [`DebianHosts::possible`] checks that. The containers can reach only the lab and each
//! other. Used with the lab's endpoint through [`Hosts`], and directly by tests that use another EC2.
//!
//! Leaves behind the cached image, in the caller's directory. All processes end with the value, also in a panic;
//! after a SIGKILL the next start in the same directory cleans up first. A directory is used by one process at a
//! time; others wait.
//! same directory clears up first. One process at a time uses a directory, others wait.

mod container;
mod dockerd;
mod image;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::process::Command;

use super::{HostError, HostSpec, Hosts};
use dockerd::Dockerd;

pub use image::DebianImage;

/// The options of the lab and its hosts.
#[derive(Debug, Clone)]
pub struct DebianOptions {
    /// The cache, and the state while the lab runs. The path may have 60 bytes at most, because sockets are created
    /// below it.
    pub directory: PathBuf,
    /// The subnet of the hosts, in CIDR notation.
    pub subnet: String,
    /// This machine's own address in that subnet: a test binds its servers to it.
    pub gateway: IpAddr,
    /// The image of a host, unless [`DebianHosts::boot_image`] names another.
    pub image: DebianImage,
    /// The delay between sshd's start and the key in `authorized_keys`; `None`: the key comes before sshd.
    pub key_after: Option<Duration>,
    /// Whether `/etc/hostname` and `/etc/hosts` stay Docker's bind mounts, as in a system container: they can be
    /// written to, but not replaced.
    pub names_are_mounts: bool,
    /// Whether `/usr/bin/dockerd` is a link to Debian's `/usr/sbin/dockerd`.
    pub dockerd_in_usr_bin: bool,
}

impl DebianOptions {
    /// Returns options with the subnet 172.31.0.0/16, which EC2's default VPCs have, and Docker installed.
    #[must_use]
    pub fn in_directory(directory: PathBuf) -> Self {
        Self {
            directory,
            subnet: "172.31.0.0/16".to_owned(),
            gateway: IpAddr::from([172, 31, 255, 254]),
            image: DebianImage::WithDocker,
            key_after: None,
            names_are_mounts: false,
            dockerd_in_usr_bin: false,
        }
    }

    /// Returns `$XDG_CACHE_HOME/docker-machine-lab`, else `$HOME/.cache/docker-machine-lab`, from the values of those
    /// variables.
    #[must_use]
    pub fn cache_directory(
        xdg_cache_home: Option<&OsStr>,
        home: Option<&OsStr>,
    ) -> Option<PathBuf> {
        let set =
            |value: Option<&OsStr>| value.filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = set(xdg_cache_home).or_else(|| Some(set(home)?.join(".cache")))?;
        Some(cache.join("docker-machine-lab"))
    }
}

/// Errors of the lab of real hosts.
#[derive(Debug, thiserror::Error)]
pub enum DebianError {
    /// This machine lacks a requirement.
    #[error("real hosts are not possible here: {0}")]
    Impossible(String),
    /// A file or directory of the lab could not be used.
    #[error("{path}")]
    File {
        /// The path.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("cannot run {program}")]
    Run {
        /// Its name.
        program: String,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A program failed.
    #[error("{what} failed: {output}")]
    Failed {
        /// Its task.
        what: String,
        /// The last lines of its output.
        output: String,
    },
}

/// The lab's real hosts.
#[derive(Debug)]
pub struct DebianHosts {
    options: DebianOptions,
    dockerd: Dockerd,
    hosts: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<container::Container>>>>,
    /// Held for the lab's lifetime; the kernel releases it with the process.
    _lock: File,
}

/// Debian's program directories; the environment is not read.
const PROGRAMS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl DebianHosts {
    /// Checks whether this machine can run real hosts, without starting any process.
    ///
    /// # Errors
    /// A description of what is missing.
    pub fn possible(options: &DebianOptions) -> Result<(), String> {
        if !rustix::process::geteuid().is_root() {
            return Err("they need root".to_owned());
        }
        let mut needed = vec!["docker", "dockerd", "containerd", "tar"];
        if !image::is_cached(&options.directory) {
            needed.extend(["debootstrap", "chroot", "gzip"]);
        }
        let missing: Vec<&str> = needed
            .into_iter()
            .filter(|name| find(name).is_none())
            .collect();
        if !missing.is_empty() {
            return Err(format!(
                "these programs are missing: {}",
                missing.join(", ")
            ));
        }
        if options.directory.as_os_str().len() > 60 {
            return Err(format!(
                "{} is too long a path",
                options.directory.display()
            ));
        }
        Ok(())
    }

    /// Starts the lab: waits for other processes that use the directory, removes their remains, builds the image if
    /// it is not cached (a minute or two, and the only step that needs the network), and starts a dockerd with the
    /// lab's network.
    ///
    /// # Errors
    /// What is missing or has failed. No process remains; an incomplete image is not cached.
    pub async fn prepare(options: DebianOptions) -> Result<Self, DebianError> {
        Self::possible(&options).map_err(DebianError::Impossible)?;
        let directory = &options.directory;
        let broken = |path: &Path| {
            let path = path.to_owned();
            move |source| DebianError::File { path, source }
        };
        fs::create_dir_all(directory).map_err(broken(directory))?;
        let path = directory.join("lock");
        let lock = File::create(&path).map_err(broken(&path))?;
        let waiting = lock.try_clone().map_err(broken(&path))?;
        let locked = tokio::task::spawn_blocking(move || waiting.lock()).await;
        locked
            .map_err(std::io::Error::other)
            .and_then(|locked| locked)
            .map_err(broken(&path))?;

        let archive = image::cached(directory).await?;
        let dockerd = Dockerd::start(directory).await?;
        dockerd.clear().await?;
        dockerd.network(&options.subnet, options.gateway).await?;
        image::load(&dockerd, &archive).await?;
        Ok(Self {
            options,
            dockerd,
            hosts: Mutex::default(),
            _lock: lock,
        })
    }

    /// Boots a host from an image other than the options'. Same as [`Hosts::boot`] for a host that exists: it then
    /// boots from its own disk.
    ///
    /// # Errors
    /// The container cannot be created or started.
    pub async fn boot_image(&self, spec: HostSpec, image: DebianImage) -> Result<(), DebianError> {
        let id = spec.instance_id.clone();
        let known = self.find(&id);
        if let Some(host) = known {
            return host.lock().await.boot_again(&self.dockerd, spec).await;
        }
        let made = container::Container::create(&self.dockerd, &self.options, image, spec).await?;
        self.hosts()
            .insert(id, Arc::new(tokio::sync::Mutex::new(made)));
        Ok(())
    }

    /// Runs a program on a host as root, without sshd, for a test that inspects the host.
    ///
    /// # Errors
    /// There is no such host, or docker cannot be run. The output contains the program's own status.
    pub async fn exec(&self, instance_id: &str, argv: &[&str]) -> Result<Output, DebianError> {
        let host = self.find(instance_id).ok_or_else(|| DebianError::Failed {
            what: format!("exec on {instance_id}"),
            output: "there is no such host".to_owned(),
        })?;
        let name = host.lock().await.name().to_owned();
        let mut words = vec!["exec", name.as_str()];
        words.extend(argv);
        self.dockerd.try_docker(&words).await
    }

    /// Returns the console output of systemd and the services.
    ///
    /// # Errors
    /// Same as [`exec`](Self::exec).
    pub async fn logs(&self, instance_id: &str) -> Result<String, DebianError> {
        let output = self
            .dockerd
            .try_docker(&["logs", "--tail", "300", &container::name(instance_id)])
            .await?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr))
    }

    /// Returns this machine's address in the hosts' subnet.
    #[must_use]
    pub fn gateway(&self) -> IpAddr {
        self.options.gateway
    }

    /// Ends all hosts and the dockerd. Dropping has the same effect.
    pub fn shutdown(self) {}

    fn hosts(
        &self,
    ) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<tokio::sync::Mutex<container::Container>>>>
    {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, instance_id: &str) -> Option<Arc<tokio::sync::Mutex<container::Container>>> {
        self.hosts().get(instance_id).cloned()
    }
}

#[async_trait]
impl Hosts for DebianHosts {
    async fn boot(&self, host: HostSpec) -> Result<(), HostError> {
        let (instance_id, address) = (host.instance_id.clone(), host.address);
        self.boot_image(host, self.options.image)
            .await
            .map_err(|error| HostError {
                instance_id,
                address,
                reason: reasons(&error),
            })
    }

    async fn stop(&self, instance_id: &str) {
        if let Some(host) = self.find(instance_id) {
            host.lock().await.stop(&self.dockerd).await;
        }
    }

    async fn reboot(&self, instance_id: &str) {
        if let Some(host) = self.find(instance_id) {
            let mut host = host.lock().await;
            let spec = host.spec().clone();
            // A host that fails to boot again appears as an unreachable one.
            let _ = host.boot_again(&self.dockerd, spec).await;
        }
    }

    async fn terminate(&self, instance_id: &str) {
        let host = self.hosts().remove(instance_id);
        if let Some(host) = host {
            host.lock().await.remove(&self.dockerd).await;
        }
    }

    async fn console(&self, instance_id: &str) -> String {
        self.logs(instance_id).await.unwrap_or_default()
    }
}

/// Returns the error with its causes, on one line.
fn reasons(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Returns the path of a program of this machine.
fn find(name: &str) -> Option<PathBuf> {
    PROGRAMS
        .split(':')
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.is_file())
}

/// Runs a program to its end.
async fn run(what: &str, command: &mut Command) -> Result<Output, DebianError> {
    let program = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    let output = command
        .env("PATH", PROGRAMS)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| DebianError::Run { program, source })?;
    if output.status.success() {
        return Ok(output);
    }
    Err(DebianError::Failed {
        what: what.to_owned(),
        output: last_lines(&output),
    })
}

/// Returns the last lines of a program's output.
fn last_lines(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
