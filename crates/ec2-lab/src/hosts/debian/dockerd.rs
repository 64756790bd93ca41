//! The dockerd that runs the real hosts: a separate one, started by the lab.

use std::fs::{self, File};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::net::UnixDatagram;
use tokio::process::Command;
use tokio::time::timeout;

use super::{DebianError, PROGRAMS, last_lines, run};

/// The Docker network of the hosts.
pub(super) const NETWORK: &str = "ec2-lab";

/// dockerd needs about a second; this allows for a machine under load.
const START: Duration = Duration::from_secs(60);

/// A running dockerd. Dropping it ends its containers and the dockerd itself.
#[derive(Debug)]
pub(super) struct Dockerd {
    socket: PathBuf,
    process: Mutex<std::process::Child>,
}

impl Dockerd {
    /// Starts it on a directory and waits until it is ready. First ends a dockerd that an earlier, killed lab left
    /// behind on the same directory.
    pub(super) async fn start(directory: &Path) -> Result<Self, DebianError> {
        let run = directory.join("run");
        let file = |path: &Path, source| DebianError::File {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(&run).map_err(|source| file(&run, source))?;
        let pid_file = run.join("dockerd.pid");
        end_old(directory, &pid_file).await;
        let (socket, ready, log) = (
            run.join("docker.sock"),
            run.join("ready"),
            directory.join("dockerd.log"),
        );
        for old in [&socket, &ready] {
            let _ = fs::remove_file(old);
        }
        // dockerd notifies systemd when it is ready (sd_notify(3)); the lab takes systemd's part here.
        let notified = UnixDatagram::bind(&ready).map_err(|source| file(&ready, source))?;
        let output = File::create(&log).map_err(|source| file(&log, source))?;
        let errors = output.try_clone().map_err(|source| file(&log, source))?;
        // Prevents dockerd from reading the configuration of another dockerd of this machine.
        let config = run.join("daemon.json");
        fs::write(&config, "{}").map_err(|source| file(&config, source))?;
        let host = format!("unix://{}", socket.display());
        let process = std::process::Command::new("dockerd")
            .arg("--config-file")
            .arg(&config)
            .args(["--bridge=none", "--iptables=false"])
            .args([
                "--ip6tables=false",
                "--ip-forward=false",
                "--ip-masq=false",
                "--userland-proxy=false",
            ])
            .arg("--host")
            .arg(host)
            .arg("--data-root")
            .arg(directory.join("data"))
            .arg("--exec-root")
            .arg(run.join("exec"))
            .arg("--pidfile")
            .arg(&pid_file)
            .env("PATH", PROGRAMS)
            .env("NOTIFY_SOCKET", &ready)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|source| DebianError::Run {
                program: "dockerd".to_owned(),
                source,
            })?;
        let dockerd = Self {
            socket,
            process: Mutex::new(process),
        };
        if dockerd.is_ready(&notified).await {
            return Ok(dockerd);
        }
        let text = fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        Err(DebianError::Failed {
            what: "the start of the lab's dockerd".to_owned(),
            output: lines.join("\n"),
        })
    }

    /// Waits until dockerd reports that it is ready; false if it has exited.
    async fn is_ready(&self, notified: &UnixDatagram) -> bool {
        let mut message = [0; 256];
        let ready = async {
            loop {
                // A dockerd that exits sends no notification: check for it from time to time.
                match timeout(Duration::from_millis(200), notified.recv(&mut message)).await {
                    Ok(Ok(length)) if message.get(..length).is_some_and(is_ready_message) => {
                        return true;
                    }
                    Ok(Err(_)) => return false,
                    Ok(Ok(_)) | Err(_) if self.has_exited() => return false,
                    Ok(Ok(_)) | Err(_) => {}
                }
            }
        };
        timeout(START, ready).await.unwrap_or(false)
    }

    fn has_exited(&self) -> bool {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(process.try_wait(), Ok(None))
    }

    /// Runs the docker client; a non-zero exit status is an error.
    pub(super) async fn docker(&self, words: &[&str]) -> Result<Output, DebianError> {
        run(
            &format!("docker {}", words.first().unwrap_or(&"")),
            &mut self.client(words),
        )
        .await
    }

    /// Runs the docker client, whatever its exit status.
    pub(super) async fn try_docker(&self, words: &[&str]) -> Result<Output, DebianError> {
        let output = self
            .client(words)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await;
        output.map_err(|source| DebianError::Run {
            program: "docker".to_owned(),
            source,
        })
    }

    /// Returns a docker client command for this dockerd's socket.
    pub(super) fn client(&self, words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        let host = format!("unix://{}", self.socket.display());
        command
            .env("PATH", PROGRAMS)
            .env("DOCKER_HOST", host)
            .env("DOCKER_CONFIG", "/nonexistent")
            .args(words);
        command
    }

    /// Removes the containers and networks of earlier labs on this data root.
    pub(super) async fn clear(&self) -> Result<(), DebianError> {
        let listed = self.docker(&["ps", "--all", "--quiet"]).await?;
        let ids = String::from_utf8_lossy(&listed.stdout).into_owned();
        let mut words = vec!["rm", "--force", "--volumes"];
        words.extend(ids.split_whitespace());
        if words.len() > 3 {
            self.docker(&words).await?;
        }
        self.docker(&["network", "prune", "--force"]).await?;
        self.docker(&["volume", "prune", "--force"])
            .await
            .map(|_| ())
    }

    /// Creates the hosts' network.
    pub(super) async fn network(&self, subnet: &str, gateway: IpAddr) -> Result<(), DebianError> {
        let gateway = gateway.to_string();
        let words = [
            "network",
            "create",
            "--subnet",
            subnet,
            "--gateway",
            &gateway,
            NETWORK,
        ];
        self.docker(&words).await.map(|_| ())
    }

    /// Returns whether an image is loaded.
    pub(super) async fn has_image(&self, name: &str) -> bool {
        let found = self.try_docker(&["image", "inspect", name]).await;
        found.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let client = |words: &[&str]| {
            let mut command = std::process::Command::new("docker");
            let host = format!("unix://{}", self.socket.display());
            command
                .env("PATH", PROGRAMS)
                .env("DOCKER_HOST", host)
                .args(words)
                .stdin(Stdio::null())
                .output()
        };
        // Best effort: the next start removes the rest.
        if let Ok(listed) = client(&["ps", "--all", "--quiet"]) {
            let ids = String::from_utf8_lossy(&listed.stdout).into_owned();
            let ids: Vec<&str> = ids.split_whitespace().collect();
            if !ids.is_empty() {
                let removed = client(&[&["rm", "--force", "--volumes"], &ids[..]].concat());
                let _ = removed.map(|output| last_lines(&output));
            }
        }
        let _ = client(&["network", "rm", NETWORK]);
        let process = self
            .process
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(pid) = i32::try_from(process.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = process.wait();
    }
}

/// Returns whether a message reports readiness. A message may contain several assignments, one per line.
fn is_ready_message(message: &[u8]) -> bool {
    message
        .split(|byte| *byte == b'\n')
        .any(|line| line == b"READY=1")
}

/// Ends a dockerd that a killed lab left behind on this directory, whose lock this process holds.
async fn end_old(directory: &Path, pid_file: &Path) {
    let text = fs::read_to_string(pid_file).unwrap_or_default();
    let Some(pid) = text.trim().parse().ok().and_then(Pid::from_raw) else {
        return;
    };
    let command = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    let data = directory.join("data").to_string_lossy().into_owned();
    if !String::from_utf8_lossy(&command).contains(&data) {
        return;
    }
    let _ = kill_process(pid, Signal::TERM);
    // It is not a child process, so poll until it has disappeared.
    for _ in 0..300 {
        if test_kill_process(pid).is_err() {
            return;
        }
        crate::hosts::pause(Duration::from_millis(100)).await;
    }
    let _ = kill_process(pid, Signal::KILL);
}
