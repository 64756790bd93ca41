//! `ssh`, `scp`, `mount`: a login on a machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use machine_ops::Cx;
use machine_ssh::{
    Command, Copy, ExitStatus, HostKeys, Place, Pty, Session, Sftp, WaitLimits, WindowSize,
    check_host_key, connect, wait_for_ssh,
};
use machine_store::StoreError;
use machine_types::{MachineName, SshEndpoint};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::access::address::Down;
use crate::access::address::why_down;
use crate::access::connect::DIAL;
use crate::machine::Machine;
use crate::machine::{credentials, host_key_file, host_keys};
use crate::{Error, Library};

/// Timeout of the first login to a launched machine. The Go binary tries for five minutes; images with much to do at
/// first boot need longer.
const FIRST_LOGIN: Duration = Duration::from_secs(15 * 60);

/// Timeout of the query for the machine's console after that. The console output only explains the error.
const DIAGNOSIS: Duration = Duration::from_secs(15);

/// Timeout of a login to a running machine.
const LOGIN: Duration = Duration::from_secs(30);

/// Settings to reach a machine with another program, such as rsync or sshfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshDetails {
    /// The address.
    pub host: String,
    /// The port of sshd.
    pub port: u16,
    /// The login name.
    pub user: String,
    /// The private key's file. `None` if the agent has the key, and its file is not known.
    pub key: Option<PathBuf>,
    /// The host keys that the machine may present.
    pub known_hosts: KnownHosts,
}

/// Host keys of a machine at its address, in OpenSSH's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownHosts {
    /// The machine's file of pinned keys.
    File(PathBuf),
    /// A line of such a file, with the key of a login just made. The store is read-only, and its file has no key, or
    /// another address.
    Line(String),
}

/// Which host key a login accepts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// The pinned key; on first contact any key, which is then pinned.
    #[default]
    Pinned,
    /// Any key. A key that differs from the pinned one replaces it, with a message.
    AcceptNew,
}

/// One end of a copy, as typed by the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A path on this computer.
    Local(PathBuf),
    /// A path on a machine, `[user@]machine:path`.
    Machine {
        /// The machine's name.
        name: String,
        /// A login name other than the machine's own.
        user: Option<String>,
        /// The path, relative to the login directory.
        path: String,
    },
}

/// A login on a machine, before any command runs.
pub struct Login {
    session: Session,
    cx: Cx,
}

impl Login {
    /// Runs a command, or a login shell, with the given streams for input, output and errors.
    ///
    /// # Errors
    /// Fails if the connection ends or a local stream fails. A non-zero exit status is not an error.
    pub async fn run(
        self,
        command: Option<&str>,
        stdin: impl AsyncRead + Send,
        stdout: impl AsyncWrite + Send,
        stderr: impl AsyncWrite + Send,
    ) -> Result<ExitStatus, Error> {
        let command = command_or_shell(command);
        let (session, cx) = (self.session, self.cx);
        let ran = session.pipe(&command, stdin, stdout, stderr, &cx).await;
        ran.map_err(Error::Session)
    }

    /// Runs a command or a login shell on a pseudo-terminal, and returns when it ends.
    ///
    /// # Errors
    /// Same as [`Login::run`].
    pub async fn on_terminal(
        self,
        pty: &Pty,
        command: Option<&str>,
        stdin: impl AsyncRead + Send,
        stdout: impl AsyncWrite + Send,
        resizes: mpsc::Receiver<WindowSize>,
    ) -> Result<ExitStatus, Error> {
        let (session, cx) = (self.session, self.cx);
        let command = command_or_shell(command);
        let ran = session.on_terminal(pty, &command, stdin, stdout, resizes, &cx);
        let ran = ran.await;
        ran.map_err(Error::Session)
    }
}

fn command_or_shell(text: Option<&str>) -> Command {
    text.map_or_else(Command::login_shell, |text| Command::new("command", text))
}

/// Logs in to a machine, optionally as another user. Takes up to half a minute and can be cancelled.
///
/// # Errors
/// Fails if the login fails; returns [`Error::NotRunning`] or the driver's error if the cloud reports the reason.
pub async fn log_in(library: &Library, name: &str, user: Option<&str>) -> Result<Login, Error> {
    let (mut machine, cx) = (library.open(name).await?, library.context());
    let session = find_login(library, &mut machine, user, &cx).await?;
    Ok(Login { session, cx })
}

/// Copies files between this computer and machines, or between two machines, over SFTP. Opens one session per login.
///
/// # Errors
/// Copies nothing if the login to a machine fails; otherwise the same as [`copy`](machine_ssh::copy).
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
            let sftp = sftp.map_err(|error| Error::Copy(error.into()))?;
            logins.push(SftpLogin {
                name,
                user: user.as_deref(),
                sftp: sftp.named(name),
                _session: session,
            });
        }
    }
    let from: Vec<Place<'_>> = from.iter().map(|from| place(from, &logins)).collect();
    machine_ssh::copy(&from, place(to, &logins), options, &cx)
        .await
        .map_err(Error::Copy)
}

/// Returns the settings to reach a machine with another program. Logs in once, so that its host key is pinned.
///
/// # Errors
/// Fails if the login fails.
pub async fn ssh_details(library: &Library, name: &str) -> Result<SshDetails, Error> {
    let (mut machine, cx) = (library.open(name).await?, library.context());
    let session = find_login(library, &mut machine, None, &cx).await?;
    // Not from the store: a new address need not be saved there.
    let endpoint = ssh_endpoint(&machine)?;
    let (host, port) = (&endpoint.host, endpoint.port);
    let known_hosts = match pins_of(library, &machine, &endpoint) {
        Some(pins) => KnownHosts::File(pins),
        // Without a line, OpenSSH refuses the connection.
        None => KnownHosts::Line(session.known_hosts_line(host, port).unwrap_or_default()),
    };
    let mut details = details(endpoint, known_hosts);
    // OpenSSH offers all keys of the agent first, and the server hangs up after a few (MaxAuthTries).
    details.key = session.key().map(Path::to_owned).or(details.key);
    session.close().await;
    Ok(details)
}

/// Returns the settings to reach a machine with OpenSSH. Logs in once if its host key is not yet pinned, the saved
/// address does not present the pinned key, or the machine has no key of its own.
///
/// # Errors
/// Fails if a login is needed and fails.
pub async fn openssh_details(library: &Library, name: &str) -> Result<SshDetails, Error> {
    let machine = library.open(name).await?;
    if let Ok(endpoint) = ssh_endpoint(&machine)
        && let Some(key) = &endpoint.key
        && let Some(pins) = pins_of(library, &machine, &endpoint)
    {
        // OpenSSH would block on a FIFO.
        if std::fs::metadata(key).is_ok_and(|found| !found.is_file()) {
            return Err(StoreError::NotAFile { path: key.clone() }.into());
        }
        let cx = library.context();
        let policy = HostKeys::AcceptPinnedOnly(pins.clone());
        let checked = check_host_key(&endpoint, &policy, &cx, DIAL, LOGIN).await;
        if checked.is_ok() {
            return Ok(details(endpoint, KnownHosts::File(pins)));
        }
        // The machine is stopped, or has another address, and its old one may be another host's now.
    }
    ssh_details(library, name).await
}

/// Returns the saved address and user of a machine. Makes no network call.
///
/// # Errors
/// Fails if the store has no such machine, or the machine has no SSH.
pub async fn saved_ssh_endpoint(library: &Library, name: &str) -> Result<SshEndpoint, Error> {
    ssh_endpoint(&library.open(name).await?)
}

/// Returns a machine's file of host keys if OpenSSH finds the address in it.
fn pins_of(library: &Library, machine: &Machine, endpoint: &SshEndpoint) -> Option<PathBuf> {
    let pins = host_key_file(library, &machine.name);
    machine_ssh::is_pinned(&pins, &endpoint.host, endpoint.port).then_some(pins)
}

fn details(endpoint: SshEndpoint, known_hosts: KnownHosts) -> SshDetails {
    SshDetails {
        host: endpoint.host,
        port: endpoint.port,
        user: endpoint.user,
        key: endpoint.key,
        known_hosts,
    }
}

/// Waits until a booting machine accepts a login. If the machine terminates meanwhile (reclaimed, failed), fails at
/// once with the cloud's reason.
pub(crate) async fn first_login(
    library: &Library,
    machine: &Machine,
    cx: &Cx,
) -> Result<Session, Error> {
    let limits = limits_while_booting(library, machine);
    let wait = wait_for_login(library, machine, limits, None, cx);
    library.while_it_lives(machine, cx, wait).await
}

/// Logs in to a machine that should be running. On a host of the user's, an error that no retry can fix ends the wait.
pub(crate) async fn login_to_work(
    library: &Library,
    machine: &Machine,
    host_key: HostKeyPolicy,
    cx: &Cx,
) -> Result<Session, Error> {
    let limits = login_limits(library, machine);
    let host_keys = match host_key {
        HostKeyPolicy::Pinned => None,
        HostKeyPolicy::AcceptNew => {
            Some(HostKeys::AcceptNew(host_key_file(library, &machine.name)))
        }
    };
    let wait = wait_for_login(library, machine, limits, host_keys, cx);
    library.while_it_lives(machine, cx, wait).await
}

/// Waits for a login. Does not watch the machine's state.
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

/// Checks that a host accepts a login, for a machine that does not exist yet. Pins no host key.
pub(crate) async fn check_login(
    library: &Library,
    name: &MachineName,
    endpoint: &SshEndpoint,
    cx: &Cx,
) -> Result<(), Error> {
    let credentials = credentials(library, endpoint);
    let connected = connect(endpoint, &credentials, &HostKeys::AcceptAny, cx, LOGIN).await;
    match connected {
        Ok(session) => {
            session.close().await;
            Ok(())
        }
        Err(source) => Err(Error::Login {
            name: name.to_string(),
            source: Box::new(source),
        }),
    }
}

/// Logs in to a running machine.
pub(crate) async fn login(library: &Library, machine: &Machine, cx: &Cx) -> Result<Session, Error> {
    let endpoint = ssh_endpoint(machine)?;
    login_at(library, &endpoint, machine, cx).await
}

/// Logs in to a machine, optionally as another user. If the login fails, queries the cloud for the reason, and logs in
/// at the machine's new address if that changed.
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
        Down::InPlace | Down::Unknown => Err(error),
    }
}

async fn login_at(
    library: &Library,
    endpoint: &SshEndpoint,
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

fn ssh_endpoint(machine: &Machine) -> Result<SshEndpoint, Error> {
    let (name, driver) = (machine.name.to_string(), &machine.driver);
    driver.ssh().ok_or_else(|| match driver.cloud() {
        // A cloud machine gets SSH together with its address.
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

/// Returns the limits of the wait for a login: a cloud machine may still be booting; another host is either up or down.
pub(crate) fn login_limits(library: &Library, machine: &Machine) -> WaitLimits {
    match machine.driver.cloud() {
        Some(_) => limits_while_booting(library, machine),
        None => WaitLimits::of_host_that_is_up(FIRST_LOGIN),
    }
}

/// Returns the limits for a machine that may still be booting. A login that is refused for long names the user: an
/// image installs the key for its own user alone.
fn limits_while_booting(library: &Library, machine: &Machine) -> WaitLimits {
    let limits = WaitLimits::from(FIRST_LOGIN);
    let driver = machine.driver.name();
    let flag = format!("{driver}-ssh-user");
    let kind = library.kind(driver);
    let has_flag = kind.is_ok_and(|kind| kind.flags().iter().any(|spec| spec.name == flag));
    match machine.driver.ssh() {
        Some(SshEndpoint { user, .. }) if has_flag && machine.driver.cloud().is_some() => limits.with_warning_of_refusals(format!(
            "({}) WARNING: the login as {user:?} has been refused for a minute: check that this is the user of the image; \
             a new machine gets another with --{flag}",
            machine.name
        )),
        _ => limits,
    }
}

/// File access to a machine as one of its users.
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
