//! A real OpenSSH server, as a machine of a store.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::flows::Home;

const PROGRAM: &str = "/usr/sbin/sshd";

/// A server that accepts one key for the user who runs the test. Dropping it ends it; sessions continue.
#[derive(Debug)]
pub struct Sshd {
    directory: TempDir,
    address: SocketAddr,
    child: Child,
}

impl Sshd {
    /// Starts a server on loopback, or prints that the test is skipped.
    ///
    /// # Panics
    /// OpenSSH is installed, and the server does not start.
    pub fn start(what: &str) -> Option<Self> {
        Self::launch(what, Command::new(PROGRAM))
    }

    /// Starts a server whose users have another login shell, or prints that the test is skipped: only root can mount
    /// another list of users.
    ///
    /// # Panics
    /// Same as [`Sshd::start`].
    pub fn start_with_shell(what: &str, shell: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            crate::left_out(what, "not root");
            return None;
        }
        let inside = "users=$(mktemp) && sed \"s,[^:]*$,$0,\" /etc/passwd >$users && mount --bind $users /etc/passwd \
                      && rm $users && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", inside, shell, PROGRAM]);
        Self::launch(what, command)
    }

    fn launch(what: &str, mut program: Command) -> Option<Self> {
        if !Path::new(PROGRAM).is_file() {
            crate::left_out(what, "no OpenSSH server");
            return None;
        }
        let directory = TempDir::with_prefix("sshd-").unwrap();
        for key in ["host", "id"] {
            new_key(&directory.path().join(key));
        }
        // The directory to which sshd restricts its unprivileged process, if it runs as root.
        if rustix::process::geteuid().is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        // SFTP sessions start there, and not in the home directory of the user who runs the test.
        std::fs::create_dir(directory.path().join("home")).unwrap();
        let address = free_address();
        let root = directory.path().display();
        let config = format!(
            "Port {}\nListenAddress {}\nHostKey {root}/host\nPidFile none\nAuthorizedKeysFile {root}/id.pub\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin yes\nPrintMotd no\nPrintLastLog no\nSubsystem sftp internal-sftp -d {root}/home\n",
            address.port(),
            address.ip()
        );
        let path = directory.path().join("sshd_config");
        std::fs::write(&path, config).unwrap();
        let mut child = program
            .args(["-D", "-e", "-f"])
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let listening = log.find(|line| line.as_ref().unwrap().contains("Server listening"));
        assert!(listening.is_some(), "sshd did not start");
        // The log must be read continuously, because sshd would block on a full pipe.
        std::thread::spawn(move || log.for_each(drop));
        Some(Self {
            directory,
            address,
            child,
        })
    }

    /// Adds it to a store as a machine of driver `generic`.
    pub fn adopt(&self, home: &Home, name: &str) {
        let key = self.directory.path().join("id");
        adopt(home, name, self.address, &key);
    }

    /// The beginning of a command line of OpenSSH's scp that reaches it.
    pub fn openssh_scp(&self) -> String {
        format!(
            "scp -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -P {} -i {}/id",
            self.address.port(),
            self.directory.path().display()
        )
    }

    /// A directory on the machine, which is this computer.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // A server that has already ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An SSH agent that holds keys, killed when dropped.
#[derive(Debug)]
pub struct Agent(Child);

impl Agent {
    /// Starts an agent for the runs of a home.
    ///
    /// # Panics
    /// There is no ssh-agent, or a key is encrypted.
    pub fn start(home: &mut Home, keys: &[PathBuf]) -> Self {
        let socket = home.path().join("agent");
        let mut agent = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The agent prints its socket once it listens.
        let mut line = String::new();
        let stdout = agent.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let added = Command::new("ssh-add")
            .arg("-q")
            .args(keys)
            .env("SSH_AUTH_SOCK", &socket)
            .status();
        assert!(added.unwrap().success());
        home.set("SSH_AUTH_SOCK", socket);
        Self(agent)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // An agent that has exited cannot be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Adds a host to a store as a machine of driver `generic`, as `create` would have saved it.
pub fn adopt(home: &Home, name: &str, address: SocketAddr, key: &Path) {
    let machine = home.machine(name);
    std::fs::create_dir_all(&machine).unwrap();
    let saved = machine.join("id_rsa");
    std::fs::copy(key, &saved).unwrap();
    let user = Command::new("id").arg("-un").output().unwrap().stdout;
    let config = json!({
        "ConfigVersion": 3,
        "Driver": {
            "IPAddress": address.ip().to_string(),
            "MachineName": name,
            "SSHUser": String::from_utf8(user).unwrap().trim(),
            "SSHPort": address.port(),
            "SSHKeyPath": saved,
            "StorePath": home.store(),
            "EnginePort": 2376,
            "SSHKey": "",
        },
        "DriverName": "generic",
        "HostOptions": {
            "EngineOptions": {"TlsVerify": true},
            "SwarmOptions": {},
            "AuthOptions": {"StorePath": machine, "CertDir": home.store().join("certs")},
        },
        "Name": name,
    });
    std::fs::write(machine.join("config.json"), config.to_string()).unwrap();
}

/// Makes a key pair with ssh-keygen, the private half at this path.
///
/// # Panics
/// There is no ssh-keygen.
pub fn new_key(path: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(path)
        .status();
    assert!(made.unwrap().success());
}

/// Returns an address of loopback on which no process listens.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
