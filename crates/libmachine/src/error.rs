//! Errors of the use cases.

use std::path::PathBuf;

use machine_driver::{DriverError, DriverErrorKind};
use machine_ops::JournalError;
use machine_provision::ProvisionError;
use machine_ssh::{
    ConnectError, KeyError, Layer, SftpError, SshError, TransferError, WaitForSshError,
};
use machine_store::{StoreError, Unconfirmed};
use machine_tls::{CertificateError, DialError};
use machine_types::{ExitStatus, InvalidName, MachineState};

/// The error of a use case. Its text describes its own layer only; the source chain has the rest.
///
/// Sentences that scripts match are word for word the Go binary's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store has no machine of this name.
    #[error(
        "Docker machine \"{0}\" does not exist. Use \"docker-machine ls\" to list machines. Use \"docker-machine create\" to add a new one."
    )]
    NotFound(String),
    /// A machine of this name exists already.
    #[error("Docker machine \"{name}\" already exists")]
    AlreadyExists {
        /// The name.
        name: String,
        /// Its engine was never set up, and the next step.
        half_made: Option<String>,
    },
    /// The name is not valid.
    #[error("Error creating machine")]
    InvalidName(#[from] InvalidName),
    /// The driver does not exist.
    #[error(
        "Driver \"{driver}\" not found. Do you have the plugin binary \"docker-machine-driver-{driver}\" accessible in your PATH?"
    )]
    UnknownDriver {
        /// The driver's name.
        driver: String,
        /// The available drivers.
        known: Vec<&'static str>,
    },
    /// A stored machine has a driver that this binary does not include.
    #[error("Driver {driver:?} not found. Do you have the plugin binary accessible in your PATH?")]
    StoredDriver {
        /// The driver's name.
        driver: String,
        /// The available drivers.
        known: Vec<&'static str>,
    },
    /// The driver's flags are invalid.
    #[error("Error setting machine configuration from flags provided")]
    Configuration(#[source] DriverError),
    /// The options for provisioning are invalid. Nothing was created.
    #[error("Error setting machine configuration from flags provided")]
    Options(#[source] Box<ProvisionError>),
    /// The machine's engine is managed by the user and must not be changed.
    #[error(
        "{0:?} was set up by a custom install script: its engine and certificates are that script's"
    )]
    CustomScript(String),
    /// The machine belongs to a pool: its engine has no TLS and no network port.
    #[error(
        "{name:?} belongs to the pool {pool:?}: its Docker is reached over SSH only: docker-machine ssh {name} docker ps"
    )]
    OfPool {
        /// The machine's name.
        name: String,
        /// The pool's name.
        pool: String,
    },
    /// Another process keeps the pool.
    #[error("the pool {pool:?} is kept by another plugin{}", process(*pid))]
    PoolKept {
        /// The pool's name.
        pool: String,
        /// The process that keeps it, if known.
        pid: Option<u32>,
    },
    /// A check failed before anything was created.
    #[error("Error with pre-create check")]
    PreCreate(#[source] DriverError),
    /// A create failed midway and was rolled back.
    #[error("Error creating machine")]
    Create {
        /// The cause.
        #[source]
        source: Box<Error>,
        /// Resources that the rollback removed.
        removed: Vec<String>,
        /// Resources that the rollback could not remove.
        left: Vec<Left>,
    },
    /// The driver failed while it was creating the machine.
    #[error("Error in driver during machine creation")]
    DriverCreate(#[source] DriverError),
    /// The driver failed in any other operation.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// Another process removed the machine while this one was working on it.
    #[error("Docker machine \"{0}\" was removed while it was being worked on")]
    Removed(String),
    /// `rm` could not remove all of the machine's resources; the machine stays in the store.
    #[error("Error removing host \"{name}\"")]
    Remove {
        /// The machine.
        name: String,
        /// The first error.
        #[source]
        source: Box<Error>,
        /// Resources that still exist.
        left: Vec<Left>,
    },
    /// The machine's configuration cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The machine does not run.
    #[error("Host is not running")]
    NotRunning {
        /// The machine.
        name: String,
        /// Its current state.
        state: MachineState,
        /// Why it no longer exists, if its cloud says so.
        gone: Option<String>,
        /// Whether its driver can start it.
        can_start: bool,
    },
    /// The machine is already running.
    #[error("Machine \"{0}\" is already running.")]
    AlreadyRunning(String),
    /// The machine is already stopped.
    #[error("Machine \"{0}\" is already stopped.")]
    AlreadyStopped(String),
    /// The machine did not stop within the timeout. It may still stop later.
    #[error("Machine {name:?} did not stop within {} s", within.as_secs())]
    NotStopped {
        /// The machine.
        name: String,
        /// The timeout.
        within: std::time::Duration,
    },
    /// The machine has no address, or its driver no URL.
    #[error("machine {0:?} has no address yet")]
    NoAddress(String),
    /// The driver has no SSH.
    #[error("machine {0:?} cannot be reached over SSH: its driver is \"{1}\"")]
    NoSsh(String, &'static str),
    /// The Docker endpoint did not prove that it belongs to this machine.
    #[error(
        "There was an error validating certificates for host {host:?}: {reason}\nYou can attempt to regenerate them using 'docker-machine regenerate-certs [name]'.\nBe advised that this will trigger a Docker daemon restart which might stop running containers.\n"
    )]
    Endpoint {
        /// `HOST:PORT`.
        host: String,
        /// Set if nothing answered there.
        silence: Option<Silence>,
        /// A machine whose engine was never set up, and the next step.
        half_made: Option<String>,
        /// The connection error. Part of a sentence that scripts read, and therefore not a source.
        reason: String,
    },
    /// The connection to the engine, or its verification, failed.
    #[error(transparent)]
    Dial(DialError),
    /// The certificate that the machine's engine was given is no longer on record. Without it, any host with the
    /// machine's address and a certificate of the same CA would be accepted.
    #[error(
        "cannot tell the engine of machine {name:?} from another machine's: {} is missing; 'docker-machine provision {name}' \
         makes a new one, over SSH, where the host key is pinned", path.display()
    )]
    NotPinned {
        /// The machine.
        name: String,
        /// The expected path of the certificate.
        path: PathBuf,
    },
    /// The engine did not answer a request.
    #[error("Unable to query docker version")]
    Engine(#[source] DialError),
    /// The engine's port is closed.
    #[error("Unable to query docker version: Cannot connect to the docker engine endpoint")]
    EngineRefused,
    /// The engine does not answer, and the cloud reports why: its machine does not run or does not exist.
    #[error("Unable to query docker version")]
    EngineDown(#[source] Box<Error>),
    /// The URL is not one that docker-machine can connect to.
    #[error("invalid engine address {0:?}: expected tcp://HOST:PORT")]
    NoEngine(String),
    /// The URL is not that of an engine with a version query.
    #[error(
        "Unable to query docker version: invalid engine address {0:?}: expected tcp://HOST:PORT"
    )]
    NoEngineToAsk(String),
    /// The engine was set up but cannot be reached from this computer.
    #[error("Docker was set up, and does not answer at {host}: {reason}")]
    EngineSilent {
        /// Its URL.
        host: String,
        /// The error of the last attempt.
        reason: String,
        /// A firewall on the machine that may block the connection.
        firewall: Option<machine_provision::Firewall>,
    },
    /// A swarm endpoint was requested for a machine that is not a swarm master.
    #[error("{0:?} is not a swarm master. The --swarm flag is intended for use with swarm masters")]
    NotSwarmMaster(String),
    /// A swarm endpoint was requested; the engine answers, but nothing listens at the endpoint.
    #[error(
        "Connection to Swarm cannot be checked but the certs are valid. Maybe swarm is not started"
    )]
    SwarmNotStarted,
    /// Certificates could not be generated.
    #[error("Error generating certificates")]
    Certificates(#[source] CertificateError),
    /// The files of the shared certificates could not be read or written.
    #[error("Error generating certificates")]
    CertificatesUnwritten(#[source] StoreError),
    /// A certificate file cannot be used.
    #[error("{path} cannot be used")]
    CertificateFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: CertificateError,
    },
    /// The key of a CA exists without its certificate.
    #[error(
        "certificate authority key already exists: {key}, but not its certificate, {certificate}"
    )]
    AuthorityIncomplete {
        /// The expected path of the certificate.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// A file of the user's, a key or a certificate, cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The SSH key cannot be read or generated.
    #[error("cannot make the machine's SSH key")]
    Key(#[source] KeyError),
    /// A launched machine does not accept the login.
    #[error("cannot log in to machine {name:?}")]
    FirstLogin {
        /// The machine.
        name: String,
        /// The cause.
        #[source]
        source: Box<WaitForSshError>,
        /// The tail of the machine's console, if it can be read.
        console: Option<String>,
    },
    /// A running machine does not accept the login.
    #[error("cannot log in to machine {name:?}")]
    Login {
        /// The machine.
        name: String,
        /// The cause.
        #[source]
        source: Box<ConnectError>,
    },
    /// A command or a shell on a machine failed.
    #[error(transparent)]
    Session(SshError),
    /// A copy failed.
    #[error(transparent)]
    Copy(TransferError),
    /// Provisioning failed.
    #[error("Error running provisioning")]
    Provision(#[source] Box<ProvisionError>),
    /// A signal cancelled the operation.
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
    /// `prune` cannot decide safely.
    #[error("refusing to prune: {0}")]
    Prune(String),
    /// The store was moved or copied: resources with its ID may belong to another store.
    #[error("refusing to prune: {0}: what carries its id may be in use")]
    StoreMadeElsewhere(Box<Unconfirmed>),
}

/// Returns the hint for a store of which this user may not read or write a file.
pub(crate) fn denied_hint() -> &'static str {
    "if the store is another user's, run docker-machine as that user, as root with sudo -H, or give --storage-path"
}

/// Returns the hint for a store that was created elsewhere, or whose machines are missing.
pub fn confirmation_hint(unconfirmed: &Unconfirmed) -> &'static str {
    match unconfirmed.machines {
        Some(_) => {
            "mount its disk; if it was replaced for good, docker-machine prune --store-moved lets prune remove what is not \
             on record any more, and docker-machine prune --store-copied leaves all that to others"
        }
        None => {
            "if it was moved, and is at no other place any more: docker-machine prune --store-moved; \
             if it is a copy: docker-machine prune --store-copied gives it an id of its own"
        }
    }
}

/// Why an engine does not answer, apart from certificate errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Nothing listens at the port.
    Refused,
    /// No answer, no route, or no address.
    Unreachable,
}

impl Silence {
    /// Returns why nothing answered; `None` if something did.
    pub(crate) fn of(error: &Error) -> Option<Self> {
        match error {
            Error::Dial(DialError::Refused { .. }) => Some(Self::Refused),
            Error::Dial(dial) if dial.is_silence() => Some(Self::Unreachable),
            _ => None,
        }
    }
}

/// A resource that still exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// `instance i-0abc in us-east-1`.
    pub what: String,
    /// The reason that it could not be removed.
    pub why: String,
}

impl Error {
    /// Returns the exit status of the process.
    pub fn exit(&self) -> ExitStatus {
        match self {
            Self::PreCreate(_) => ExitStatus::PreCreate,
            Self::Create { source, .. } => source.exit(),
            _ => ExitStatus::Failure,
        }
    }

    /// Returns a one-word code of the failure for metrics and logs. The same kind of failure has the same code.
    pub fn cause(&self) -> &'static str {
        if self.is_cancelled() {
            return "cancelled";
        }
        match self {
            Self::Create { source, .. } | Self::Remove { source, .. } => source.cause(),
            Self::DriverCreate(error) | Self::Driver(error) => driver_cause(error.kind),
            Self::InvalidName(_)
            | Self::AlreadyExists { .. }
            | Self::NotFound(_)
            | Self::UnknownDriver { .. }
            | Self::Configuration(_) => "usage",
            Self::PreCreate(error) => driver_cause(error.kind),
            Self::FirstLogin { .. } | Self::Login { .. } | Self::NoSsh(..) => "ssh",
            Self::Session(_) | Self::Copy(_) => "session",
            Self::Provision(_) => "provision",
            Self::Endpoint { .. }
            | Self::Dial(_)
            | Self::Engine(_)
            | Self::EngineRefused
            | Self::EngineDown(_)
            | Self::EngineSilent { .. } => "docker",
            Self::Certificates(_)
            | Self::CertificatesUnwritten(_)
            | Self::CertificateFile { .. }
            | Self::NotPinned { .. }
            | Self::AuthorityIncomplete { .. } => "certificates",
            Self::Store(_)
            | Self::StoredDriver { .. }
            | Self::StoreMadeElsewhere(_)
            | Self::Journal(_)
            | Self::File { .. } => "store",
            _ => "other",
        }
    }

    /// Returns a hint for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Configuration(error)
            | Self::PreCreate(error)
            | Self::DriverCreate(error)
            | Self::Driver(error) => error.hint.clone(),
            Self::Store(error) if error.is_denied() => Some(denied_hint().to_owned()),
            Self::Remove { name, source, .. }
                if matches!(&**source, Self::Store(error) if !error.is_denied()) =>
            {
                Some(format!(
                    "'docker-machine rm -f {name}' forgets the machine all the same, and keeps on record what may be left of it"
                ))
            }
            Self::Create {
                source,
                removed,
                left,
            } if source.is_cancelled() && left.is_empty() => Some(match removed.as_slice() {
                [] => "nothing was made".to_owned(),
                removed => format!("removed: {}; nothing is left", removed.join(", ")),
            }),
            Self::Create { source, .. } | Self::Remove { source, .. } => source.hint(),
            Self::Provision(error) | Self::Options(error) => error.hint(),
            Self::UnknownDriver { known, .. } => {
                Some(format!(
                    "choose one with --driver: {}. Plugin drivers are not loaded",
                    known.join(", ")
                ))
            }
            Self::InvalidName(invalid) => Some(invalid.hint()),
            Self::NotRunning { name, gone: Some(gone), .. } => {
                Some(format!("{gone}: docker-machine rm {name}"))
            }
            Self::NotRunning { name, can_start: false, .. } => Some(format!(
                "{name} does not accept SSH connections, and its driver cannot start it: check that the host is up and that its sshd runs"
            )),
            Self::NotRunning { name, state, .. } => Some(not_running_hint(name, *state)),
            Self::EngineDown(source) => source.hint(),
            Self::StoredDriver { known, .. } => Some(format!(
                "the drivers of this binary are {}. Plugin drivers are not loaded",
                known.join(", ")
            )),
            Self::StoreMadeElsewhere(unconfirmed) => Some(confirmation_hint(unconfirmed).to_owned()),
            Self::AuthorityIncomplete { certificate, .. } => Some(format!(
                "a machine has a copy of the certificate in its directory, ca.pem: put it back as {}. Without one, move the key away, and a new CA is made",
                certificate.display()
            )),
            Self::SwarmNotStarted => Some(
                "docker-machine records a classic swarm and starts none: start its containers by hand, or use Docker's swarm mode".to_owned(),
            ),
            Self::Copy(TransferError::NotAFile {
                is_directory: true, ..
            }) => {
                Some("a directory is copied with -r".to_owned())
            }
            Self::AlreadyExists { half_made, .. } => half_made.clone(),
            Self::Endpoint { half_made: Some(half_made), .. } => Some(half_made.clone()),
            Self::Endpoint { host, silence: Some(silence), .. } => Some(match silence {
                Silence::Refused => format!(
                    "nothing listens at {host}: check that Docker runs on the machine; new certificates do not help"
                ),
                Silence::Unreachable => format!(
                    "nothing answers at {host}: check the network, security groups and firewalls on the way; new certificates do not help"
                ),
            }),
            Self::EngineSilent {
                firewall: Some(firewall),
                ..
            } => Some(format!(
                "the machine says that its firewall {} is active: --open-firewall opens the port, and so does, it says, {}",
                firewall.name, firewall.opened_by
            )),
            Self::EngineSilent { .. } => Some(
                "check that the security groups and firewalls on the way let the port through"
                    .into(),
            ),
            Self::FirstLogin {
                name,
                source,
                console,
            } => {
                let advice = source.layer().map(|layer| advice(name, layer));
                let console = console
                    .as_ref()
                    .map(|tail| format!("the console of the machine ends with\n{tail}"));
                let parts: Vec<String> = advice.into_iter().chain(console).collect();
                Some(parts.join("\n")).filter(|hint| !hint.is_empty())
            }
            Self::Login { name, source } => source.layer().map(|layer| advice(name, layer)),
            _ => None,
        }
    }

    /// Returns whether a certificate and a key do not match, as after a crash between the writes of the two files.
    pub(crate) fn is_of_torn_pair(&self) -> bool {
        let source = match self {
            Self::CertificateFile { source, .. } => source,
            _ => return false,
        };
        matches!(source, CertificateError::KeyMismatch)
    }

    /// Returns the resources that are left behind.
    pub fn left(&self) -> &[Left] {
        match self {
            Self::Create { left, .. } | Self::Remove { left, .. } => left,
            _ => &[],
        }
    }

    /// Returns whether a signal ended the operation.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled(_) => true,
            Self::Create { source, .. } | Self::Remove { source, .. } => source.is_cancelled(),
            Self::DriverCreate(error) | Self::Driver(error) => {
                error.kind == DriverErrorKind::Cancelled
            }
            Self::Store(error) => matches!(error, StoreError::Cancelled(_)),
            Self::Provision(error) => matches!(**error, ProvisionError::Cancelled(_)),
            Self::Session(error) => matches!(error, SshError::Cancelled { .. }),
            Self::FirstLogin { source, .. } => matches!(**source, WaitForSshError::Cancelled(_)),
            Self::Login { source, .. } => matches!(**source, ConnectError::Cancelled(_)),
            Self::Copy(error) => {
                matches!(error, TransferError::Remote(SftpError::Cancelled(_)))
            }
            _ => false,
        }
    }
}

fn driver_cause(kind: DriverErrorKind) -> &'static str {
    match kind {
        DriverErrorKind::Configuration => "usage",
        DriverErrorKind::PreCreate => "pre-create",
        DriverErrorKind::NotFound => "not-found",
        DriverErrorKind::Denied => "denied",
        DriverErrorKind::Capacity => "capacity",
        DriverErrorKind::Unavailable => "unavailable",
        DriverErrorKind::Unsupported => "unsupported",
        DriverErrorKind::Ended => "ended",
        DriverErrorKind::Cancelled => "cancelled",
        DriverErrorKind::Store => "store",
        DriverErrorKind::Other => "other",
    }
}

/// Returns the state of a machine that does not run, and the next step.
fn not_running_hint(name: &str, state: MachineState) -> String {
    match state {
        MachineState::Starting => {
            format!("{name} is starting: wait until 'docker-machine status {name}' prints Running")
        }
        MachineState::Stopping => {
            format!("{name} is stopping: docker-machine start {name} waits for it")
        }
        MachineState::Stopped | MachineState::Saved | MachineState::Paused => {
            format!("{name} is stopped: docker-machine start {name}")
        }
        _ => format!("'docker-machine doctor {name}' says what is wrong with it"),
    }
}

/// Returns a hint for a failed login to a machine.
fn advice(name: &str, layer: Layer) -> String {
    match layer {
        Layer::HostKey => format!(
            "if the machine was set up anew: docker-machine provision --accept-new-host-key {name}. Otherwise another host \
             may be answering in its place"
        ),
        layer => layer.advice().to_owned(),
    }
}

/// Returns `, process 4711`, or nothing.
fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(", process {pid}"))
        .unwrap_or_default()
}
