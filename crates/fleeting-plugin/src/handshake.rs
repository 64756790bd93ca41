//! The handshake of hashicorp/go-plugin: the environment that a host sets, and the line that it reads.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode};
use tokio::net::UnixListener;

/// The variable that a host of fleeting plugins sets, and its value.
pub const COOKIE_NAME: &str = "FLEETING_INSTANCE_GROUP_PLUGIN";
const COOKIE: &str = "4c6410b1-cb78-4962-8c76-ab936d0ea908";

/// The version of fleeting's protocol.
const VERSION: &str = "0";

/// Why a handshake fails.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The host speaks other versions of the protocol only.
    #[error(
        "the host speaks version {0} of the fleeting protocol, and this plugin version {VERSION}"
    )]
    Version(String),
    /// The host wants TLS, which no known host of fleeting plugins does.
    #[error(
        "the host wants TLS (PLUGIN_CLIENT_CERT is set), and this plugin speaks over its socket without it"
    )]
    Tls,
    /// The socket cannot be made.
    #[error("cannot listen on {}: {source}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// A socket that a host can connect to. Its file is removed when this is dropped.
pub struct Socket {
    /// The listener.
    pub listener: UnixListener,
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Socket {
    /// Returns the line for the host: version of go-plugin's protocol, version of fleeting's, network, address, format.
    pub fn line(&self) -> String {
        format!("1|{VERSION}|unix|{}|grpc|\n", self.path.display())
    }
}

/// Returns whether a host of fleeting plugins started this process.
pub fn is_plugin(environment: impl Fn(&str) -> Option<String>) -> bool {
    environment(COOKIE_NAME).as_deref() == Some(COOKIE)
}

/// Listens as the host's environment says. `random` makes the socket's name unique.
///
/// # Errors
/// The host wants what this plugin does not do, or the socket cannot be made.
pub fn listen(
    environment: impl Fn(&str) -> Option<String>,
    random: u64,
) -> Result<Socket, HandshakeError> {
    if environment("PLUGIN_CLIENT_CERT").is_some_and(|value| !value.is_empty()) {
        return Err(HandshakeError::Tls);
    }
    if let Some(versions) = environment("PLUGIN_PROTOCOL_VERSIONS")
        && !versions.split(',').any(|version| version.trim() == VERSION)
    {
        return Err(HandshakeError::Version(versions));
    }
    let given = environment("PLUGIN_UNIX_SOCKET_DIR").filter(|directory| !directory.is_empty());
    let temporary = || environment("TMPDIR").filter(|directory| !directory.is_empty());
    let directory = given
        .or_else(temporary)
        .unwrap_or_else(|| "/tmp".to_owned());
    let path = Path::new(&directory).join(format!("docker-machine-{random:016x}.sock"));
    let group = environment("PLUGIN_UNIX_SOCKET_GROUP").filter(|group| !group.is_empty());
    let listener = bind(&path, group.as_deref()).map_err(|source| HandshakeError::Socket {
        path: path.clone(),
        source,
    })?;
    Ok(Socket { listener, path })
}

/// Binds a socket that only its owner can connect to, and the members of `group`, by name or number.
fn bind(path: &Path, group: Option<&str>) -> io::Result<UnixListener> {
    // The directory may be open to everybody: from its first moment on, the socket must not be.
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = bound?;
    if let Some(group) = group {
        let gid = group_id(group)?;
        rustix::fs::chown(path.as_os_str().as_bytes(), None, Some(Gid::from_raw(gid)))?;
        rustix::fs::chmod(path, Mode::from_raw_mode(0o660))?;
    }
    Ok(listener)
}

/// Returns the number of a group. Reads /etc/group (group(5)), since a static executable cannot ask the C library.
fn group_id(group: &str) -> io::Result<u32> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let text = std::fs::read_to_string("/etc/group")?;
    let groups: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            Some((fields.next()?, fields.nth(1)?))
        })
        .collect();
    let number = groups.get(group).and_then(|number| number.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("there is no group {group:?} in /etc/group")))
}
