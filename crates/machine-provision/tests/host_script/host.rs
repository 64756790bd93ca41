//! A host that is a directory: `MACHINE_ROOT` points to it. The programs are a few harmless tools of this machine,
//! and stubs that record their calls and then do what the test specifies.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use machine_ops::{Cx, Event, Events, MemoryJournal};
use machine_provision::{
    Certificates, EngineConfig, Exit, InstallSource, Job, Plan, ProvisionError, Remote,
    RemoteError, Report, TakeLine,
};
use machine_types::Secret;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};

/// Tools that read and write only the given paths.
const TOOLS: &[&str] = &[
    "cat", "chmod", "cp", "cut", "date", "env", "grep", "head", "ls", "mkdir", "mktemp", "mv",
    "rm", "sed", "script", "stat", "tail", "tee", "timeout", "touch", "tr", "true", "wc",
];

/// Programs that every host has.
const STUBS: &[&str] = &[
    "hostname",
    "hostnamectl",
    "id",
    "journalctl",
    "sleep",
    "sudo",
    "systemctl",
    "uname",
    "usermod",
];

/// A stub: records its call, and runs the commands that the test has put into `state/do/NAME`.
const STUB: &str = r#"#!/bin/sh
R=$MACHINE_ROOT S=$MACHINE_ROOT/state
name=${0##*/}
printf '%s\n' "$name${*:+ $*}" >>"$S/calls"
if [ -e "$S/do/$name" ]; then . "$S/do/$name"; fi
"#;

/// A simulation of systemd for the calls of the script.
const SYSTEMCTL: &str = r#"
unit=/usr/lib/systemd/system/docker.service
case "$*" in
"show -p FragmentPath docker.service") if [ -e "$R$unit" ]; then echo "FragmentPath=$unit"; else echo FragmentPath=; fi ;;
"show -p LoadState docker.service") echo "LoadState=$(cat "$S/load-state" 2>/dev/null || echo loaded)" ;;
"show -p ActiveState "*) printf 'ActiveState=%s\nUnitFileState=%s\nNeedDaemonReload=%s\n' "$(cat "$S/active")" "$(cat "$S/enabled")" "$(cat "$S/stale")" ;;
"show -p DropInPaths "*) echo "DropInPaths=$(cat "$S/drop-ins" 2>/dev/null)" ;;
"restart docker.service") if [ -e "$S/broken" ]; then echo failed >"$S/active"; echo "Job for docker.service failed." >&2; exit 1; fi; echo active >"$S/active" ;;
"enable docker.service") echo enabled >"$S/enabled" ;;
"is-active -q docker.service") [ "$(cat "$S/active")" = active ] ;;
"is-active -q firewalld.service") [ -e "$S/firewalld" ] ;;
esac
"#;

/// A simulated install script: creates a dockerd, its unit, and its group.
pub(crate) const INSTALL: &str = r#"
R=$MACHINE_ROOT S=$MACHINE_ROOT/state
echo "installs ${VERSION:-the newest}"
mkdir -p "$R/usr/bin" "$R/usr/lib/systemd/system"
cp "$S/stub" "$R/usr/bin/dockerd"
printf '[Service]\nExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock\n' >"$R/usr/lib/systemd/system/docker.service"
echo "echo \"Docker version ${VERSION:-29.1.2}, build 0000000\"" >"$S/do/dockerd"
"#;

pub(crate) const DEBIAN: &str =
    "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";

pub(crate) struct Host {
    directory: TempDir,
    /// The program that is `sh` on it.
    pub(crate) shell: &'static str,
    /// The login shell, if it is not `sh`.
    pub(crate) login_shell: Option<PathBuf>,
    /// Whether files are limited to a few KiB: the effect of a full disk, except for the error's name.
    pub(crate) full: bool,
}

impl Host {
    /// Debian 12 as root, without Docker.
    pub(crate) fn bare() -> Self {
        let host = Self {
            directory: TempDir::new().unwrap(),
            shell: "dash",
            login_shell: None,
            full: false,
        };
        for directory in [
            "state/do",
            "bin",
            "tools",
            "etc",
            "run/systemd/system",
            "tmp",
            "proc",
        ] {
            fs::create_dir_all(host.path(directory)).unwrap();
        }
        for name in TOOLS {
            symlink(program(name), host.path("tools").join(name)).unwrap();
        }
        host.put("/state/stub", STUB);
        host.make_executable("/state/stub");
        for name in STUBS {
            host.program(name, "");
        }
        host.program("systemctl", SYSTEMCTL);
        host.program(
            "id",
            r#"case "$*" in -u) echo 0 ;; -un) echo root ;; -nG*) echo users ;; esac"#,
        );
        host.program("uname", r#"cat "$S/host-name""#);
        host.program("hostname", r#"echo "$1" >"$S/host-name""#);
        host.program("apt-get", "");
        for (file, text) in [
            ("/etc/os-release", DEBIAN),
            ("/etc/hostname", "ip-10-0-0-1\n"),
            ("/state/host-name", "ip-10-0-0-1\n"),
            ("/etc/hosts", "127.0.0.1 localhost\n"),
            ("/state/active", "inactive\n"),
            ("/state/enabled", "enabled\n"),
            ("/state/stale", "no\n"),
            ("/state/calls", ""),
        ] {
            host.put(file, text);
        }
        host.web("https://get.docker.com", INSTALL);
        host
    }

    /// Debian 12 as root, with Docker, running.
    pub(crate) fn with_docker() -> Self {
        let host = Self::bare();
        host.install("/usr/bin/dockerd", "29.1.2");
        host.put("/state/active", "active\n");
        host
    }

    pub(crate) fn install(&self, dockerd: &str, version: &str) {
        self.put(dockerd, STUB);
        self.make_executable(dockerd);
        self.put(
            "/usr/lib/systemd/system/docker.service",
            &format!("[Service]\nExecStart={dockerd} -H fd://\n"),
        );
        self.put(
            "/state/do/dockerd",
            &format!("echo \"Docker version {version}, build 0000000\"\n"),
        );
    }

    /// Adds a page for curl.
    pub(crate) fn web(&self, url: &str, body: &str) {
        let file = url.replace('/', "_");
        self.put(&format!("/state/web/{file}"), body);
        self.program(
            "curl",
            r#"
while [ $# -gt 1 ]; do [ "$1" != -o ] || out=$2; shift; done
page=$S/web/$(printf %s "$1" | tr / _)
[ -e "$page" ] || { echo "curl: (6) Could not resolve host: $1" >&2; exit 6; }
cp "$page" "$out"
"#,
        );
    }

    /// Sets the commands of the program of that name.
    pub(crate) fn program(&self, name: &str, body: &str) {
        let link = self.path("bin").join(name);
        if !link.exists() {
            fs::copy(self.path("state/stub"), &link).unwrap();
        }
        self.put(&format!("/state/do/{name}"), body);
    }

    pub(crate) fn without(&self, name: &str) {
        fs::remove_file(self.path("bin").join(name)).unwrap();
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path.trim_start_matches('/'))
    }

    pub(crate) fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    pub(crate) fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.path(path)).unwrap().permissions().mode() & 0o777
    }

    pub(crate) fn make_executable(&self, path: &str) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Returns the calls of the stubs, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.read("/state/calls")
            .lines()
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn forget_calls(&self) {
        self.put("/state/calls", "");
    }

    pub(crate) fn count(&self, call: &str) -> usize {
        self.calls()
            .iter()
            .filter(|line| line.starts_with(call))
            .count()
    }

    pub(crate) fn drop_in(&self) -> String {
        self.read("/etc/systemd/system/docker.service.d/10-machine.conf")
    }

    /// Provisions it.
    pub(crate) async fn provision(&self, plan: &Plan) -> (Result<Report, ProvisionError>, Heard) {
        let (cx, heard) = context();
        let result = machine_provision::provision(self, plan, &cx).await;
        (result, heard)
    }

    pub(crate) async fn provisioned(&self, plan: &Plan) -> Report {
        match self.provision(plan).await {
            (Ok(report), _) => report,
            (Err(error), heard) => panic!("{error}\n{}", heard.debug()),
        }
    }

    pub(crate) async fn refusal(&self, plan: &Plan) -> (ProvisionError, Heard) {
        let (result, heard) = self.provision(plan).await;
        (result.unwrap_err(), heard)
    }
}

fn program(name: &str) -> PathBuf {
    ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        .iter()
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("this machine has no {name}"))
}

/// The shells of this machine with which the script is tested; Debian has the first two.
pub(crate) fn shells() -> Vec<&'static str> {
    ["dash", "bash", "busybox"]
        .into_iter()
        .filter(|shell| Path::new("/usr/bin").join(shell).exists())
        .collect()
}

#[async_trait]
impl Remote for Host {
    async fn run(
        &self,
        job: &Job<'_>,
        lines: &mut TakeLine<'_>,
        _cx: &Cx,
    ) -> Result<Exit, RemoteError> {
        let sh = self.path("tools/sh");
        let _ = fs::remove_file(&sh);
        symlink(program(self.shell), &sh)?;
        let path = format!(
            "{}:{}",
            self.path("bin").display(),
            self.path("tools").display()
        );
        let limit = "trap '' XFSZ; ulimit -f 8; ";
        let limit = if self.full { limit } else { "" };
        let command = format!("{limit}{}", job.command);
        let login_shell = self.login_shell.clone().unwrap_or(sh);
        let mut child = tokio::process::Command::new(login_shell)
            .args(["-c", &command])
            .env_clear()
            .env("PATH", path)
            .env("MACHINE_ROOT", self.directory.path())
            .current_dir(self.directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = child.stdin.take().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let lines = Mutex::new(lines);
        let input = async {
            // A script that ends early leaves the rest unread.
            let _ = stdin.write_all(job.input.expose().as_bytes()).await;
            drop(stdin);
        };
        let output = async { tokio::try_join!(read(stdout, &lines), read(stderr, &lines)) };
        let ((), taken) = tokio::join!(input, output);
        taken?;
        match child.wait().await?.code() {
            Some(code) => Ok(Exit::Code(code.try_into()?)),
            None => Err("the connection was lost".into()),
        }
    }
}

async fn read(
    stream: impl AsyncRead + Unpin,
    lines: &Mutex<&mut TakeLine<'_>>,
) -> Result<(), RemoteError> {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).await.unwrap() > 0 {
        let text = String::from_utf8_lossy(&line);
        let taken = lines.lock().unwrap()(text.trim_end_matches('\n'));
        if taken.is_break() {
            return Err("the reader has stopped".into());
        }
        line.clear();
    }
    Ok(())
}

/// The recorded messages.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<Event>>>);

impl Events for Heard {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Heard {
    fn all(&self, pick: impl Fn(&Event) -> Option<String>) -> Vec<String> {
        self.0.lock().unwrap().iter().filter_map(pick).collect()
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.all(|event| match event {
            Event::Say(line) => Some(line.clone()),
            _ => None,
        })
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        self.all(|event| match event {
            Event::Warn(line) => Some(line.clone()),
            _ => None,
        })
    }

    pub(crate) fn debug(&self) -> String {
        self.all(|event| match event {
            Event::Debug(line) => Some(line.clone()),
            _ => None,
        })
        .join("\n")
    }
}

pub(crate) fn context() -> (Cx, Heard) {
    let heard = Heard::default();
    let mut cx = Cx::new(Arc::new(MemoryJournal::default()));
    cx.events = Arc::new(heard.clone());
    (cx, heard)
}

/// Returns a plan without any option.
pub(crate) fn plan() -> Plan {
    Plan {
        machine: "m1".to_owned(),
        hostname: "m1".to_owned(),
        provider: "amazonec2".to_owned(),
        engine: EngineConfig::default(),
        engine_port: 2376,
        ipv6: false,
        engine_version: None,
        install: InstallSource::parse("https://get.docker.com"),
        fetch: None,
        certificates: Some(Certificates {
            ca: "-----BEGIN CERTIFICATE-----\nCA\n-----END CERTIFICATE-----\n".to_owned(),
            server: "-----BEGIN CERTIFICATE-----\nSERVER\n-----END CERTIFICATE-----\n".to_owned(),
            key: Secret::new(
                "-----BEGIN PRIVATE KEY-----\nVERYSECRET\n-----END PRIVATE KEY-----\n",
            ),
        }),
        open_firewall: false,
    }
}

pub(crate) fn list(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}
