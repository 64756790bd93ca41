//! `config`, `env`, `url`: check that a machine answers, and return its connection settings.
//!
//! Connects to the machine at its saved address. Queries the cloud only when that fails, and only for the reason:
//! a throttled call must not make a healthy machine look dead, since GitLab Runner then destroys it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use machine_ops::Cx;
use machine_store::MachineFile;
use machine_tls::{DialError, Dialer, EngineVersion};
use machine_types::{DockerUrl, MachineName, MachineState};

use crate::access::address::Down;
use crate::access::address::{not_running, take_address, why_down};
use crate::certificates::issue::{dialer, not_pinned};
use crate::certificates::renewal::{bring_client_certificate, renew_own_client_certificate};
use crate::error::Silence;
use crate::half_made::half_made;
use crate::machine::Machine;
use crate::{Error, Library};
use machine_types::one_line;

/// Timeout of a connection. Together with [`ASK`] it reports a dead machine in less than five seconds.
pub(crate) const DIAL: Duration = Duration::from_millis(2500);

/// Timeout of the cloud query for the reason why a machine does not answer.
const ASK: Duration = Duration::from_secs(2);

/// Connection settings of a machine's engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// `DOCKER_HOST`.
    pub url: String,
    /// The CA's certificate.
    pub ca: PathBuf,
    /// The client's certificate.
    pub cert: PathBuf,
    /// The client's key.
    pub key: PathBuf,
    /// The directory that holds all three files: `DOCKER_CERT_PATH`.
    pub directory: PathBuf,
}

/// Returns the connection settings of a machine's engine, after a TLS connection that proves the machine's own
/// certificate. With `swarm`, those of the swarm for a swarm's master.
///
/// # Errors
/// Returns [`Error::NotRunning`], or the driver's error if the machine no longer exists; else [`Error::Endpoint`]
/// with the reason that the connection failed. Also [`Error::NotSwarmMaster`] and [`Error::SwarmNotStarted`].
pub async fn connection(
    library: &Library,
    machine: &mut Machine,
    swarm: bool,
) -> Result<Connection, Error> {
    let cx = library.context_about(&machine.name);
    let mut engine = engine_url(library, machine, &cx).await?;
    let wanted = |machine: &Machine, engine: &str| match (swarm, machine.swarm_url()) {
        (false, _) => Ok(engine.to_owned()),
        (true, Some(url)) => Ok(url),
        (true, None) => Err(Error::NotSwarmMaster(machine.name.to_string())),
    };
    let mut url = wanted(machine, &engine)?;
    if let Err(error) = renew_own_client_certificate(library, machine, &cx).await {
        // The connection attempt below shows whether it matters.
        cx.debug(one_line(error));
    }
    let mut dialled = dial(library, machine, &url, &cx).await;
    let is_engine_there = |dialled: &Result<(), Error>| swarm && dialled.is_err();
    if is_engine_there(&dialled) && dial(library, machine, &engine, &cx).await.is_ok() {
        return Err(Error::SwarmNotStarted);
    }
    if dialled.is_err() {
        match why_down(library, machine, ASK, &cx).await {
            Down::Because(why) => return Err(why),
            Down::Moved => {
                engine = engine_url(library, machine, &cx).await?;
                url = wanted(machine, &engine)?;
                dialled = dial(library, machine, &url, &cx).await;
            }
            Down::InPlace => dialled = dialled.map_err(|error| in_place(&machine.name, error)),
            Down::Unknown => {}
        }
    }
    dialled.map_err(|reason| Error::Endpoint {
        host: authority(&url),
        silence: Silence::of(&reason),
        half_made: half_made(library, machine).map(|it| it.text(machine.name.as_str())),
        reason: one_line(reason),
    })?;
    let file = |file| library.store.file(&machine.name, file);
    Ok(Connection {
        url,
        ca: file(MachineFile::Ca),
        cert: file(MachineFile::Cert),
        key: file(MachineFile::Key),
        directory: library.store.directory(&machine.name),
    })
}

/// Returns `DOCKER_HOST` of a running machine: its port accepts connections, or the cloud reports that it runs.
///
/// # Errors
/// Returns [`Error::NotRunning`], the driver's error if it cannot query the state, or [`Error::Dial`] on a timeout.
pub async fn url(library: &Library, name: &str) -> Result<String, Error> {
    let mut machine = library.open(name).await?;
    let cx = library.context_about(&machine.name);
    let url = engine_url(library, &mut machine, &cx).await?;
    if machine.driver.ssh().is_none() {
        // The user manages this engine: return the URL unchanged.
        return Ok(url);
    }
    let endpoint = DockerUrl::parse(&url).ok_or_else(|| Error::NoEngine(url.clone()))?;
    let Err(silence) = Dialer::plain(DIAL).reach(&endpoint).await else {
        return Ok(url);
    };
    let asked = tokio::time::timeout(ASK, machine.driver.state(&cx)).await;
    // The cloud did not answer within the time limit of this command.
    let status = asked.map_err(|_| Error::Dial(silence))??;
    if status.state != MachineState::Running {
        return Err(not_running(library, &machine, status.state, ASK, &cx).await);
    }
    take_address(library, &mut machine, &status, &cx);
    Ok(machine.driver.docker_host().unwrap_or(url))
}

/// Returns the version of a machine's engine.
///
/// # Errors
/// Returns [`Error::EngineDown`]; for a running machine [`Error::Engine`], [`Error::EngineRefused`] or
/// [`Error::NoEngineToAsk`].
pub async fn docker_version(library: &Library, name: &str) -> Result<String, Error> {
    let mut machine = library.open(name).await?;
    let error = match engine_version(library, &machine, DIAL).await {
        Err(
            error @ (Error::Engine(_)
            | Error::EngineRefused
            | Error::EngineDown(_)
            | Error::NoEngineToAsk(_)),
        ) => error,
        told => return told,
    };
    let cx = library.context_about(&machine.name);
    match why_down(library, &mut machine, ASK, &cx).await {
        Down::Because(why) => Err(Error::EngineDown(Box::new(why))),
        Down::Moved => engine_version(library, &machine, DIAL).await,
        Down::InPlace => Err(in_place(&machine.name, error)),
        Down::Unknown => Err(error),
    }
}

/// Returns the saved URL. If a running machine has none, returns the URL of the address that its cloud reports.
async fn engine_url(library: &Library, machine: &mut Machine, cx: &Cx) -> Result<String, Error> {
    machine.has_tls()?;
    if let Some(url) = machine.driver.docker_host() {
        return Ok(url);
    }
    let unknown = || Error::NoAddress(machine.name.to_string());
    let asked = tokio::time::timeout(ASK, machine.driver.state(cx)).await;
    let status = asked.map_err(|_| unknown())??;
    if status.state != MachineState::Running {
        return Err(not_running(library, machine, status.state, ASK, cx).await);
    }
    take_address(library, machine, &status, cx);
    let unknown = || Error::NoAddress(machine.name.to_string());
    machine.driver.docker_host().ok_or_else(unknown)
}

/// Connects with the client certificate and verifies the server's.
pub(crate) async fn dial(
    library: &Library,
    machine: &Machine,
    url: &str,
    cx: &Cx,
) -> Result<(), Error> {
    let engine = DockerUrl::parse(url).ok_or_else(|| Error::NoEngine(url.to_owned()))?;
    let dialer = whole_dialer(library, machine, DIAL, cx).await?;
    match cx.cancel.or(dialer.check(&engine)).await {
        Ok(dialled) => dialled.map_err(|error| {
            let not_pinned = not_pinned(library, machine, &error);
            not_pinned.unwrap_or_else(|| explained(machine, Error::Dial(error)))
        }),
        Err(reason) => Err(Error::Cancelled(reason)),
    }
}

/// Returns a machine's dialer. If a crash left a client certificate next to the key of another one, the dialer uses
/// the shared client certificate.
async fn whole_dialer(
    library: &Library,
    machine: &Machine,
    within: Duration,
    cx: &Cx,
) -> Result<Dialer, Error> {
    let made = dialer(library, machine, within);
    if !matches!(&made, Err(error) if error.is_of_torn_pair()) {
        return made;
    }
    if let Err(error) = bring_client_certificate(library, machine, cx).await {
        cx.debug(one_line(error));
    }
    dialer(library, machine, within)
}

/// Queries an engine's version. If the engine rejects a client certificate that is about to expire, retries with a
/// new one.
pub(crate) async fn engine_version(
    library: &Library,
    machine: &Machine,
    within: Duration,
) -> Result<String, Error> {
    machine.has_tls()?;
    let url = match (machine.driver.docker_host(), machine.driver.cloud()) {
        (Some(url), _) => url,
        (None, Some(_)) => {
            let unknown = Error::NoAddress(machine.name.to_string());
            return Err(Error::EngineDown(Box::new(unknown)));
        }
        (None, None) => String::new(),
    };
    if let Some(socket) = url.strip_prefix("unix://") {
        let asked = Dialer::version_at_socket(Path::new(socket), within).await;
        return told(asked);
    }
    let engine = DockerUrl::parse(&url).ok_or(Error::NoEngineToAsk(url))?;
    let cx = library.context_about(&machine.name);
    let dialed = whole_dialer(library, machine, within, &cx).await?;
    let mut asked = dialed.version(&engine).await;
    if let Err(DialError::Rejected { .. }) = asked {
        match renew_own_client_certificate(library, machine, &cx).await {
            Ok(true) => asked = dialer(library, machine, within)?.version(&engine).await,
            Ok(false) => {}
            Err(error) => cx.debug(one_line(error)),
        }
    }
    match asked {
        Err(error) => match not_pinned(library, machine, &error) {
            Some(not_pinned) => Err(not_pinned),
            None => told(Err(error)).map_err(|error| explained(machine, error)),
        },
        answered => told(answered),
    }
}

fn told(asked: Result<EngineVersion, DialError>) -> Result<String, Error> {
    match asked {
        Ok(said) => Ok(machine_types::printable(said.version.as_bytes())),
        Err(DialError::Refused { .. }) => Err(Error::EngineRefused),
        Err(error) => Err(Error::Engine(error)),
    }
}

/// Explains a wrong certificate: clouds reassign addresses, other hosts keep theirs.
fn explained(machine: &Machine, error: Error) -> Error {
    match machine.driver.cloud() {
        None => in_place(&machine.name, error),
        Some(_) => error,
    }
}

/// Explains a wrong certificate at an address that is the machine's: another store replaced it.
pub(crate) fn in_place(machine: &MachineName, error: Error) -> Error {
    use DialError::OtherMachine;
    let elsewhere = |address| DialError::ProvisionedElsewhere {
        machine: machine.to_string(),
        address,
    };
    match error {
        Error::Dial(OtherMachine { address }) => Error::Dial(elsewhere(address)),
        Error::Engine(OtherMachine { address }) => Error::Engine(elsewhere(address)),
        error => error,
    }
}

/// Returns `HOST:PORT` of a `tcp://` URL, and any other URL unchanged.
fn authority(url: &str) -> String {
    DockerUrl::parse(url).map_or_else(|| url.to_owned(), |url| url.authority())
}
