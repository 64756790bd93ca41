//! `ssh`, `scp`, `mount`: a login on a machine.

use std::path::PathBuf;
use std::time::Duration;

use machine_ops::Cx;
use machine_ssh::{
    Command, ConnectError, Copy, ExitStatus, HostKeys, Place, Pty, Session, Sftp, WaitLimits,
    WindowSize, check_host_key, connect, wait_for_ssh,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::access::address::Down;
use crate::access::address::why_down;
use crate::access::connect::DIAL;
use crate::machine::Machine;
use crate::machine::{credentials, host_key_file, host_keys};
use crate::{Error, Library};

/// How long a machine that was just launched may take to let us in: the Go binary tries for five
/// minutes; images with much to do at first boot need longer.
const FIRST_LOGIN: Duration = Duration::from_secs(15 * 60);

/// How long its console is asked for then: it is no more than an explanation.
const DIAGNOSIS: Duration = Duration::from_secs(15);

/// How long a machine that runs may take to let us in.
const LOGIN: Duration = Duration::from_secs(30);

/// How to reach a machine with a program of one's own: rsync, sshfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshDetails {
    /// The address.
    pub host: String,
    /// The port of sshd.
    pub port: u16,
    /// The login name.
    pub user: String,
    /// The private key's file.
    pub key: Option<PathBuf>,
    /// The pinned host keys, in OpenSSH's format.
    pub known_hosts: PathBuf,
}

/// Which host key a login accepts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// The pinned one; at first contact any, which is pinned.
    #[default]
    Pinned,
    /// Any; one that is not pinned takes the place of the pinned one, which is said.
    AcceptNew,
}

/// One end of a copy, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A path of this computer.
    Local(PathBuf),
    /// A path of a machine, `[user@]machine:path`.
    Machine {
        /// The machine's name.
        name: String,
        /// Another login name than the machine's own.
        user: Option<String>,
        /// The path, relative to the login's directory.
        path: String,
    },
}

/// A login on a machine, on which nothing runs yet.
pub struct Login {
    session: Session,
    cx: Cx,
}

impl Login {
    /// Runs a command between three streams.
    ///
    /// # Errors
    /// Where the connection ends, or a stream of ours fails. A status but 0 is not one.
    pub async fn run(
        self,
        command: &str,
        stdin: impl AsyncRead + Send,
        stdout: impl AsyncWrite + Send,
        stderr: impl AsyncWrite + Send,
    ) -> Result<ExitStatus, Error> {
        let command = Command::new("command", command);
        let (session, cx) = (self.session, self.cx);
        let ran = session.pipe(&command, stdin, stdout, stderr, &cx).await;
        ran.map_err(Error::Session)
    }

    /// Runs a command on a pseudo-terminal, or an interactive shell, and returns when it has ended.
    ///
    /// # Errors
    /// As [`Login::run`].
    pub async fn on_terminal(
        self,
        pty: &Pty,
        command: Option<&str>,
        stdin: impl AsyncRead + Send,
        stdout: impl AsyncWrite + Send,
        resizes: mpsc::Receiver<WindowSize>,
    ) -> Result<ExitStatus, Error> {
        let (session, cx) = (self.session, self.cx);
        let command = command.map(|text| Command::new("command", text));
        let ran = session.on_terminal(pty, command.as_ref(), stdin, stdout, resizes, &cx);
        let ran = ran.await;
        ran.map_err(Error::Session)
    }
}

/// Logs in to a machine, as another user if told so. Takes up to half a minute, and may be cancelled meanwhile.
///
/// # Errors
/// Where nobody can log in; [`Error::NotRunning`] and the driver's where the cloud says why.
pub async fn log_in(library: &Library, name: &str, user: Option<&str>) -> Result<Login, Error> {
    let (mut machine, cx) = (library.open(name).await?, library.context());
    let session = find_login(library, &mut machine, user, &cx).await?;
    Ok(Login { session, cx })
}

/// Copies between here and machines, and between two machines, over SFTP. Of each login there is one session.
///
/// # Errors
/// Where a machine cannot be logged in to, nothing is copied; else as [`copy`](machine_ssh::copy).
pub async fn copy(
    library: &Library,
    from: &[Location],
    to: &Location,
    options: Copy<'_>,
) -> Result<(), Error> {
    let cx = library.context();
    let mut logins: Vec<SftpLogin<'_>> = Vec::new();
    for location in from.iter().chain([to]) {
        let Location::Machine { name, user, .. } = location else {
            continue;
        };
        if !logins.iter().any(|login| login.is_of(location)) {
            let session = location_session(library, name, user.as_deref(), &cx).await?;
            let sftp = session.sftp(&cx).await;
            logins.push(SftpLogin {
                name,
                user: user.as_deref(),
                sftp: sftp.map_err(|error| Error::Copy(error.into()))?,
                _session: session,
            });
        }
    }
    let from: Vec<Place<'_>> = from.iter().map(|from| place(from, &logins)).collect();
    machine_ssh::copy(&from, place(to, &logins), options, &cx)
        .await
        .map_err(Error::Copy)
}

/// Tells how to reach a machine with a program of one's own, having logged in once, so that
/// its host key is pinned.
///
/// # Errors
/// Where nobody can log in.
pub async fn ssh_details(library: &Library, name: &str) -> Result<SshDetails, Error> {
    let (mut machine, cx) = (library.open(name).await?, library.context());
    let session = find_login(library, &mut machine, None, &cx).await?;
    session.close().await;
    // Not from the store: a new address need not be saved there.
    details(library, &machine)
}

/// Tells how to reach a machine with OpenSSH. Logs in once where its host key is not yet pinned, or where the saved
/// address does not show the pinned key.
///
/// # Errors
/// Where nobody can log in, and it has to be.
pub async fn openssh_details(library: &Library, name: &str) -> Result<SshDetails, Error> {
    let machine = library.open(name).await?;
    let known = details(library, &machine).ok();
    let is_pinned =
        |known: &SshDetails| machine_ssh::is_pinned(&known.known_hosts, &known.host, known.port);
    let Some(known) = known.filter(is_pinned) else {
        return ssh_details(library, name).await;
    };
    let pins = HostKeys::AcceptPinnedOnly(known.known_hosts.clone());
    let (endpoint, cx) = (ssh_endpoint(&machine)?, library.context());
    if check_host_key(&endpoint, &pins, &cx, DIAL, LOGIN)
        .await
        .is_ok()
    {
        return Ok(known);
    }
    // The machine is stopped, or has another address, and its old one may be another host's now.
    match ssh_details(library, name).await {
        // It has no other address. OpenSSH reports the host key, as under the Go program.
        Err(Error::Login { source, .. }) if matches!(*source, ConnectError::HostKey { .. }) => {
            Ok(known)
        }
        found => found,
    }
}

/// Tells how to reach a machine, without a look at it.
///
/// # Errors
/// For a machine that the store does not know, or that has no SSH.
pub async fn saved_ssh_details(library: &Library, name: &str) -> Result<SshDetails, Error> {
    details(library, &library.open(name).await?)
}

fn details(library: &Library, machine: &Machine) -> Result<SshDetails, Error> {
    let endpoint = ssh_endpoint(machine)?;
    Ok(SshDetails {
        host: endpoint.host,
        port: endpoint.port,
        user: endpoint.user,
        key: endpoint.key,
        known_hosts: host_key_file(library, &machine.name),
    })
}

/// Waits for a machine that is coming up. One that ends meanwhile (reclaimed, failed) ends
/// the wait at once, with the cloud's reason.
pub(crate) async fn first_login(
    library: &Library,
    machine: &Machine,
    cx: &Cx,
) -> Result<Session, Error> {
    let wait = wait_for_login(library, machine, FIRST_LOGIN.into(), None, cx);
    library.while_it_lives(machine, cx, wait).await
}

/// Logs in to a machine that should be up: of a host that nobody starts, what waiting does not mend ends the wait.
pub(crate) async fn login_to_work(
    library: &Library,
    machine: &Machine,
    host_key: HostKeyPolicy,
    cx: &Cx,
) -> Result<Session, Error> {
    let limits = login_limits(machine);
    let host_keys = match host_key {
        HostKeyPolicy::Pinned => None,
        HostKeyPolicy::AcceptNew => {
            Some(HostKeys::AcceptNew(host_key_file(library, &machine.name)))
        }
    };
    let wait = wait_for_login(library, machine, limits, host_keys, cx);
    library.while_it_lives(machine, cx, wait).await
}

/// Waits for a login. Does not watch the machine.
pub(crate) async fn wait_for_login(
    library: &Library,
    machine: &Machine,
    limits: WaitLimits,
    policy: Option<HostKeys>,
    cx: &Cx,
) -> Result<Session, Error> {
    let endpoint = ssh_endpoint(machine)?;
    let credentials = credentials(library, &endpoint);
    let policy = policy.unwrap_or_else(|| host_keys(library, &machine.name));
    match wait_for_ssh(&endpoint, &credentials, &policy, cx, limits).await {
        Ok(session) => Ok(session),
        Err(machine_ssh::WaitForSshError::Cancelled(reason)) => Err(Error::Cancelled(reason)),
        Err(source) => Err(Error::FirstLogin {
            name: machine.name.to_string(),
            source: Box::new(source),
            console: timeout(DIAGNOSIS, machine.driver.diagnose(cx))
                .await
                .unwrap_or_default(),
        }),
    }
}

/// Logs in to a machine that runs.
pub(crate) async fn login(library: &Library, machine: &Machine, cx: &Cx) -> Result<Session, Error> {
    let endpoint = ssh_endpoint(machine)?;
    login_at(library, &endpoint, machine, cx).await
}

/// Logs in to a machine, as another user if told so. Where nobody lets us in, asks the cloud why, and
/// logs in at the machine's other address where it has one now.
async fn find_login(
    library: &Library,
    machine: &mut Machine,
    user: Option<&str>,
    cx: &Cx,
) -> Result<Session, Error> {
    let endpoint = |machine: &Machine| {
        let mut endpoint = ssh_endpoint(machine)?;
        endpoint.user = user.map_or(endpoint.user, str::to_owned);
        Ok(endpoint)
    };
    let error = match endpoint(machine) {
        Ok(known) => match login_at(library, &known, machine, cx).await {
            Err(error @ Error::Login { .. }) => error,
            session => return session,
        },
        Err(error @ Error::NoAddress(_)) => error,
        Err(error) => return Err(error),
    };
    if cx.cancel.reason().is_some() {
        return Err(error);
    }
    match why_down(library, machine, DIAGNOSIS, cx).await {
        Down::Because(why) => Err(why),
        Down::Moved => login_at(library, &endpoint(machine)?, machine, cx).await,
        Down::Unknown => Err(error),
    }
}

async fn login_at(
    library: &Library,
    endpoint: &machine_types::SshEndpoint,
    machine: &Machine,
    cx: &Cx,
) -> Result<Session, Error> {
    let (credentials, host_keys) = (
        credentials(library, endpoint),
        host_keys(library, &machine.name),
    );
    let connected = connect(endpoint, &credentials, &host_keys, cx, LOGIN).await;
    connected.map_err(|source| Error::Login {
        name: machine.name.to_string(),
        source: Box::new(source),
    })
}

fn ssh_endpoint(machine: &Machine) -> Result<machine_types::SshEndpoint, Error> {
    let (name, driver) = (machine.name.to_string(), &machine.driver);
    driver.ssh().ok_or_else(|| match driver.cloud() {
        // A cloud's machine has SSH once it has an address.
        Some(_) if driver.saved_address().is_none() => Error::NoAddress(name),
        _ => Error::NoSsh(name, driver.name()),
    })
}

async fn location_session(
    library: &Library,
    name: &str,
    user: Option<&str>,
    cx: &Cx,
) -> Result<Session, Error> {
    let mut machine = library.open(name).await?;
    find_login(library, &mut machine, user, cx).await
}

/// Returns how long a login is waited for: a machine of a cloud may still be booting, another host is up or is not.
pub(crate) fn login_limits(machine: &Machine) -> WaitLimits {
    match machine.driver.cloud() {
        Some(_) => FIRST_LOGIN.into(),
        None => WaitLimits::of_host_that_is_up(FIRST_LOGIN),
    }
}

/// The files of a machine, as one of its users.
struct SftpLogin<'a> {
    name: &'a str,
    user: Option<&'a str>,
    sftp: Sftp,
    _session: Session,
}

impl SftpLogin<'_> {
    fn is_of(&self, location: &Location) -> bool {
        match location {
            Location::Machine { name, user, .. } => {
                self.name == name && self.user == user.as_deref()
            }
            Location::Local(_) => false,
        }
    }
}

fn place<'a>(location: &'a Location, logins: &'a [SftpLogin<'_>]) -> Place<'a> {
    let login = logins.iter().find(|login| login.is_of(location));
    match (location, login) {
        (Location::Machine { path, .. }, Some(login)) => Place::Remote(&login.sftp, path),
        (Location::Machine { path, .. }, None) => Place::Local(path.as_ref()),
        (Location::Local(path), _) => Place::Local(path),
    }
}
