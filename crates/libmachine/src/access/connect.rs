//! `config`, `env`, `url`: is the machine there, and how does one talk to it?
//!
//! The answer comes from the machine itself, at its saved address. The cloud is asked only when
//! that fails, and only to say why: a throttled call must never make a healthy machine look dead
//! (GitLab Runner destroys it then).

use std::path::{Path, PathBuf};
use std::time::Duration;

use machine_ops::Cx;
use machine_store::MachineFile;
use machine_tls::{DialError, Dialer, EngineVersion};
use machine_types::{DockerUrl, MachineState};

use crate::access::address::Down;
use crate::access::address::{take_address, why_down};
use crate::certificates::issue::{dialer, not_pinned};
use crate::certificates::renewal::{bring_client_certificate, renew_own_client_certificate};
use crate::error::{Silence, not_running};
use crate::machine::Machine;
use crate::{Error, Library};
use machine_types::one_line;

/// How long a connection may take. With [`ASK`] it keeps a dead machine below five seconds.
pub(crate) const DIAL: Duration = Duration::from_millis(2500);

/// How long the cloud may take to say why a machine does not answer.
const ASK: Duration = Duration::from_secs(2);

/// How to talk to a machine's engine.
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
    /// The directory that holds all three: `DOCKER_CERT_PATH`.
    pub directory: PathBuf,
}

/// Tells how to talk to a machine's engine, having seen that it answers, over TLS, with the
/// certificate that this machine was given. Of a swarm's master, with `swarm`, the swarm's.
///
/// # Errors
/// [`Error::NotRunning`], the driver's where there is no such machine any more, else [`Error::Endpoint`] with
/// what the connection ran into; [`Error::NotSwarmMaster`], [`Error::SwarmNotStarted`].
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
        // The dial tells whether it matters.
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
            Down::Unknown => {}
        }
    }
    dialled.map_err(|reason| Error::Endpoint {
        host: authority(&url),
        silence: Silence::of(&reason),
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

/// Returns `DOCKER_HOST` for a machine that runs: its port accepts connections, or else the
/// cloud says that it runs.
///
/// # Errors
/// [`Error::NotRunning`]; the driver's where it cannot tell; [`Error::Dial`] where it does not in time.
pub async fn url(library: &Library, name: &str) -> Result<String, Error> {
    let mut machine = library.open(name).await?;
    let cx = library.context_about(&machine.name);
    let url = engine_url(library, &mut machine, &cx).await?;
    if machine.driver.ssh().is_none() {
        // Somebody else looks after it: the URL is what it is.
        return Ok(url);
    }
    let endpoint = DockerUrl::parse(&url).ok_or_else(|| Error::NoEngine(url.clone()))?;
    let Err(silence) = Dialer::plain(DIAL).reach(&endpoint).await else {
        return Ok(url);
    };
    let asked = tokio::time::timeout(ASK, machine.driver.state(&cx)).await;
    // Nobody says why within the time of a command that tells dead from alive.
    let status = asked.map_err(|_| Error::Dial(silence))??;
    if status.state != MachineState::Running {
        return Err(not_running(&machine, status.state));
    }
    take_address(library, &mut machine, &status, &cx);
    Ok(machine.driver.docker_host().unwrap_or(url))
}

/// Returns the version of a machine's engine.
///
/// # Errors
/// [`Error::EngineDown`]; [`Error::Engine`], [`Error::EngineRefused`] and [`Error::NoEngineToAsk`] of one that
/// runs.
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
        Down::Unknown => Err(error),
    }
}

/// Returns the saved URL; of a machine that runs and has none saved, the one of the address that its cloud knows.
async fn engine_url(library: &Library, machine: &mut Machine, cx: &Cx) -> Result<String, Error> {
    if let Some(url) = machine.driver.docker_host() {
        return Ok(url);
    }
    let unknown = || Error::NoAddress(machine.name.to_string());
    let asked = tokio::time::timeout(ASK, machine.driver.state(cx)).await;
    let status = asked.map_err(|_| unknown())??;
    if status.state != MachineState::Running {
        return Err(not_running(machine, status.state));
    }
    take_address(library, machine, &status, cx);
    let unknown = || Error::NoAddress(machine.name.to_string());
    machine.driver.docker_host().ok_or_else(unknown)
}

/// Connects, proves who we are, and checks who answers.
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
            not_pinned.unwrap_or_else(|| Error::Dial(explained(machine, error)))
        }),
        Err(reason) => Err(Error::Cancelled(reason)),
    }
}

/// Makes a machine's dialer; where a crash left a client certificate beside another one's key, with the shared
/// one instead.
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

/// Asks an engine for its version. One that does not take our certificate is asked again with a new one,
/// where the old one comes to its end.
pub(crate) async fn engine_version(
    library: &Library,
    machine: &Machine,
    within: Duration,
) -> Result<String, Error> {
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
            None => told(Err(explained(machine, error))),
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

/// Says what another certificate means: addresses of a cloud are given out again, those of other hosts are not.
fn explained(machine: &Machine, error: DialError) -> DialError {
    match (machine.driver.cloud(), error) {
        (None, DialError::OtherMachine { address }) => DialError::ProvisionedElsewhere { address },
        (_, error) => error,
    }
}

/// Returns `HOST:PORT` of a `tcp://` URL, and any other URL as it is.
fn authority(url: &str) -> String {
    DockerUrl::parse(url).map_or_else(|| url.to_owned(), |url| url.authority())
}
