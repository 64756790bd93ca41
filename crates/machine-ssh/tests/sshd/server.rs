//! An OpenSSH server for the tests.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use machine_ops::{Cx, MemoryJournal};
use machine_ssh::{Credentials, HostKeys, Session, connect};
use machine_types::SshEndpoint;
use tempfile::TempDir;

const SSHD: &str = "/usr/sbin/sshd";

/// Longer than any test takes on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Returns whether OpenSSH is installed.
pub(crate) fn available() -> bool {
    let there = Path::new(SSHD).exists() && Path::new("/usr/bin/ssh-keygen").exists();
    let wanted = std::env::var_os("LAB_REAL_SSHD").is_some_and(|value| value == "1");
    assert!(
        there || !wanted,
        "LAB_REAL_SSHD=1, and no OpenSSH at {SSHD}"
    );
    if !there {
        eprintln!("skipped: no OpenSSH at {SSHD}");
    }
    there
}

/// Skips the test if OpenSSH is not installed.
#[macro_export]
macro_rules! need_openssh {
    () => {
        if !$crate::server::available() {
            return;
        }
    };
}

pub(crate) fn cx() -> Cx {
    Cx::new(Arc::new(MemoryJournal::default()))
}

/// A port without a listener.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

pub(crate) fn me() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Runs a tool that must succeed, and returns its output.
pub(crate) fn tool(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Creates a key pair with ssh-keygen, and returns the private key's path.
pub(crate) fn keygen(directory: &Path, name: &str, options: &[&str]) -> PathBuf {
    let path = directory.join(name);
    let mut arguments = vec!["-q", "-N", "", "-C", "", "-f", path.to_str().unwrap()];
    arguments.extend(options);
    tool("ssh-keygen", &arguments);
    path
}

/// The server's directory, keys and address, and the running server.
pub(crate) struct Server {
    pub(crate) directory: TempDir,
    pub(crate) endpoint: SshEndpoint,
    options: String,
    sftp: &'static str,
    child: Option<Child>,
}

impl Server {
    /// Sets up a server that accepts one Ed25519 key. Does not start it.
    pub(crate) fn prepared() -> Self {
        let directory = tempfile::tempdir().unwrap();
        keygen(directory.path(), "host", &["-t", "ed25519"]);
        let key = keygen(directory.path(), "id", &["-t", "ed25519"]);
        let endpoint = SshEndpoint {
            host: "127.0.0.1".into(),
            port: free_port(),
            user: me(),
            key: Some(key),
        };
        let server = Self {
            directory,
            endpoint,
            options: String::new(),
            sftp: "Subsystem sftp internal-sftp\n",
            child: None,
        };
        server.authorize(&server.path("id.pub"));
        server
    }

    pub(crate) fn started() -> Self {
        let mut server = Self::prepared();
        server.start();
        server
    }

    /// Adds lines to its configuration.
    pub(crate) fn option(&mut self, line: &str) {
        self.options.push_str(line);
        self.options.push('\n');
    }

    /// Never blocks a client that fails often, as OpenSSH 9.8 and later do.
    pub(crate) fn without_penalties(&mut self) {
        let probe = ["-t", "-o", "PerSourcePenalties=no", "-f", "/dev/null", "-h"];
        let mut sshd = Command::new(SSHD);
        sshd.args(probe).arg(self.path("host"));
        if sshd.output().unwrap().status.success() {
            self.option("PerSourcePenalties no");
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Authorizes a public key.
    pub(crate) fn authorize(&self, public: &Path) {
        std::fs::copy(public, self.path("authorized")).unwrap();
    }

    /// Starts the server, and returns when it listens.
    pub(crate) fn start(&mut self) {
        // The privilege separation directory of sshd, which it needs when it runs as root.
        if me() == "root" {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let directory = self.directory.path().display();
        let config = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nPidFile none\n\
             AuthorizedKeysFile {directory}/authorized\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             {}PrintMotd no\nPrintLastLog no\n{}",
            self.endpoint.port, self.sftp, self.options
        );
        std::fs::write(self.path("sshd_config"), config).unwrap();
        let mut child = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(self.path("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        loop {
            match log.next() {
                Some(Ok(line)) if line.contains("Server listening") => break,
                Some(Ok(line)) => said.push(line),
                _ => panic!("sshd did not start: {said:?}"),
            }
        }
        // Reads the log continuously: sshd would block on a full pipe.
        std::thread::spawn(move || log.for_each(drop));
        self.child = Some(child);
    }

    /// Starts the server without SFTP, unless the options configure it.
    pub(crate) fn start_with_own_sftp(&mut self) {
        self.sftp = "";
        self.start();
    }

    /// Stops the listener. Open sessions continue.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn credentials(&self) -> Credentials {
        Credentials::KeyFile(self.path("id"))
    }

    pub(crate) async fn session(&self) -> Session {
        connect(
            &self.endpoint,
            &self.credentials(),
            &HostKeys::AcceptAny,
            &cx(),
            TIMEOUT,
        )
        .await
        .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns the mode of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Formats an error with all its causes, as the binary prints it.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
