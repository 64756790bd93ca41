//! `docker.service` of a simulated host, as systemd sees it.
//!
//! Owns the loaded unit (which ignores changes on disk until `daemon-reload`), the state, and the endpoint of a
//! started dockerd. Called by the host at boot and by its `systemctl`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::counters::count;
use super::docker_api::{self, Daemon};
use super::dockerd_flags::DockerdFlags;
use super::host::Host;
use super::options::DockerStart;
use super::systemd_unit::{self, Unit, within};

pub(super) const UNIT: &str = "docker.service";

/// The service.
#[derive(Debug, Default)]
pub(super) struct DockerService(Mutex<Service>);

#[derive(Debug, Default)]
struct Service {
    loaded: Option<Unit>,
    state: State,
    daemon: Option<Daemon>,
    endpoints: Vec<JoinHandle<()>>,
}

/// systemd's ActiveState.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    #[default]
    Inactive,
    Activating,
    Active,
    Failed,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Activating => "activating",
            Self::Active => "active",
            Self::Failed => "failed",
        }
    }
}

/// The cause of a failed start, as systemctl distinguishes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartError {
    /// There is no such unit.
    NotFound,
    /// systemd rejects the unit's settings.
    BadSetting,
    /// The process exited.
    Exited,
    /// The process runs but never reports that it is ready.
    Hangs,
}

/// The data of `systemctl show` and `status`.
#[derive(Debug, Clone)]
pub(super) struct Status {
    pub(super) state: State,
    pub(super) unit: Option<Unit>,
    /// Whether the files have changed since they were loaded.
    pub(super) stale: bool,
}

impl DockerService {
    /// Reads the unit's files again.
    pub(super) async fn reload_files(&self, host: &Host) {
        self.0.lock().await.loaded = Unit::load(&host.root, UNIT);
    }

    pub(super) async fn status(&self, host: &Host) -> Status {
        let mut service = self.0.lock().await;
        let on_disk = Unit::load(&host.root, UNIT);
        // systemd loads a unit on the first query for it.
        if service.loaded.is_none() {
            service.loaded.clone_from(&on_disk);
        }
        Status {
            state: service.state,
            stale: service.loaded != on_disk,
            unit: service.loaded.clone(),
        }
    }

    /// Returns the running daemon.
    pub(super) async fn daemon(&self) -> Option<Daemon> {
        self.0.lock().await.daemon.clone()
    }

    /// Starts dockerd unless it runs.
    ///
    /// # Errors
    /// The start failed. The cause is in the journal, and the state is `failed`.
    pub(super) async fn start(&self, host: &Arc<Host>) -> Result<(), StartError> {
        let mut service = self.0.lock().await;
        let started = match service.state {
            State::Active => Ok(()),
            State::Activating => Err(StartError::Hangs),
            State::Inactive | State::Failed => service.start(host).await,
        };
        drop(service);
        wait_where_it_hangs(started).await
    }

    /// Stops dockerd if it runs, and starts it.
    ///
    /// # Errors
    /// Same as [`start`](Self::start).
    pub(super) async fn restart(&self, host: &Arc<Host>) -> Result<(), StartError> {
        let mut service = self.0.lock().await;
        // systemd rejects an invalid unit before it stops the running one.
        service.command_line(host)?;
        if service.state == State::Active {
            count(&host.counters.docker_restarts);
            service.stop().await;
            host.journal.systemd(
                UNIT,
                "Stopped docker.service - Docker Application Container Engine.",
            );
        }
        let started = service.start(host).await;
        drop(service);
        wait_where_it_hangs(started).await
    }

    /// Stops dockerd; succeeds also if it does not run.
    pub(super) async fn stop(&self) {
        self.0.lock().await.stop().await;
    }

    /// Clears the state that systemd keeps in memory.
    pub(super) async fn power_off(&self) {
        let mut service = self.0.lock().await;
        service.stop().await;
        service.loaded = None;
    }

    /// Clears a failure.
    pub(super) async fn reset_failed(&self) {
        let mut service = self.0.lock().await;
        if service.state == State::Failed {
            service.state = State::Inactive;
        }
    }
}

impl Service {
    async fn stop(&mut self) {
        for endpoint in self.endpoints.drain(..) {
            endpoint.abort();
            // The port is free once the task has ended.
            let _ = endpoint.await;
        }
        self.daemon = None;
        self.state = State::Inactive;
    }

    /// Returns the loaded unit with the single command line of a service.
    fn command_line(&mut self, host: &Host) -> Result<(Unit, String), StartError> {
        if self.loaded.is_none() {
            self.loaded = Unit::load(&host.root, UNIT);
        }
        let unit = self.loaded.clone().ok_or(StartError::NotFound)?;
        let mut lines = unit.exec_start();
        lines.retain(|line| match systemd_unit::words(line) {
            Ok(_) => true,
            Err(reason) => {
                host.journal
                    .systemd(UNIT, format!("{reason}, ignoring: ExecStart={line}"));
                false
            }
        });
        let [line] = lines[..] else {
            host.journal.systemd(UNIT, match lines.len() {
                0 => "docker.service: Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing.",
                _ => "docker.service: Service has more than one ExecStart= setting, which is only allowed for Type=oneshot services. Refusing.",
            });
            return Err(StartError::BadSetting);
        };
        let line = line.to_owned();
        Ok((unit, line))
    }

    async fn start(&mut self, host: &Arc<Host>) -> Result<(), StartError> {
        let (unit, line) = self.command_line(host)?;
        count(&host.counters.docker_starts);
        host.journal.systemd(
            UNIT,
            "Starting docker.service - Docker Application Container Engine...",
        );
        match self.run(host, &unit, &line).await {
            Ok(()) => {
                self.state = State::Active;
                host.journal.dockerd("API listen on /run/docker.sock");
                host.journal.systemd(
                    UNIT,
                    "Started docker.service - Docker Application Container Engine.",
                );
                Ok(())
            }
            Err(Exit::Hangs) => {
                self.state = State::Activating;
                Err(StartError::Hangs)
            }
            Err(exit) => {
                self.stop().await;
                self.state = State::Failed;
                match exit {
                    Exit::Hangs => {}
                    Exit::Dockerd(reason) => {
                        host.journal.dockerd(reason);
                        host.journal.systemd(
                            UNIT,
                            "docker.service: Main process exited, code=exited, status=1/FAILURE",
                        );
                    }
                    Exit::Systemd(reason) => host.journal.systemd(UNIT, reason),
                }
                host.journal
                    .systemd(UNIT, "docker.service: Failed with result 'exit-code'.");
                host.journal.systemd(
                    UNIT,
                    "Failed to start docker.service - Docker Application Container Engine.",
                );
                Err(StartError::Exited)
            }
        }
    }

    /// Runs dockerd according to the unit, until it reports that it is ready.
    async fn run(&mut self, host: &Arc<Host>, unit: &Unit, line: &str) -> Result<(), Exit> {
        let environment = unit.environment(&host.root).map_err(|file| {
            Exit::Systemd(format!(
                "docker.service: Failed to load environment files: No such file or directory ({})",
                file.display()
            ))
        })?;
        let argv = systemd_unit::command(line, &environment).map_err(Exit::Systemd)?;
        let Some((program, arguments)) = argv.split_first() else {
            return Err(Exit::Systemd(
                "docker.service: ExecStart= has no program".to_owned(),
            ));
        };
        // exists() follows the link: a dangling link counts as missing.
        if !within(&host.root, program).exists() {
            return Err(Exit::Systemd(format!(
                "docker.service: Failed to locate executable {program}: No such file or directory"
            )));
        }
        let behaviour = host.options().docker_start.clone();
        match &behaviour {
            DockerStart::Fails(reason) => return Err(Exit::Dockerd(reason.clone())),
            DockerStart::Hangs => return Err(Exit::Hangs),
            DockerStart::Works | DockerStart::NeverListens => {}
        }
        let flags = DockerdFlags::read(arguments, &host.root).map_err(Exit::Dockerd)?;
        let tls = docker_api::tls(&flags, &host.root).map_err(Exit::Dockerd)?;
        let daemon = describe(host, flags);
        for address in addresses(host, &daemon.flags).map_err(Exit::Dockerd)? {
            if behaviour == DockerStart::NeverListens {
                continue;
            }
            let listener = docker_api::listen(address).map_err(Exit::Dockerd)?;
            host.sockets.add(&listener);
            let counting = Arc::clone(host);
            let seen = move || count(&counting.counters.docker_requests);
            let serving = docker_api::serve(listener, tls.clone(), daemon.clone(), seen);
            self.endpoints.push(tokio::spawn(serving));
            host.journal.dockerd(format!("API listen on {address}"));
        }
        self.daemon = Some(daemon);
        Ok(())
    }
}

/// `systemctl start` returns when the service is ready; here that never happens (TimeoutStartSec=0).
async fn wait_where_it_hangs(started: Result<(), StartError>) -> Result<(), StartError> {
    match started {
        Err(StartError::Hangs) => std::future::pending().await,
        other => other,
    }
}

/// The cause of a failed start.
enum Exit {
    Hangs,
    Systemd(String),
    Dockerd(String),
}

fn describe(host: &Host, flags: DockerdFlags) -> Daemon {
    let options = host.options();
    let pretty = options
        .os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    Daemon {
        version: options.docker_version.clone(),
        api_version: options.docker_api_version.clone(),
        min_api_version: options.docker_min_api_version.clone(),
        host_name: host.name(),
        pretty_os: pretty.unwrap_or("Linux").trim_matches('"').to_owned(),
        flags,
    }
}

/// Returns the sockets to open at the host's own address. `0.0.0.0` means that address; the host's loopback is not
/// reachable from outside.
fn addresses(host: &Host, flags: &DockerdFlags) -> Result<Vec<SocketAddr>, String> {
    let own = host.spec().address;
    let mut addresses = Vec::new();
    for endpoint in flags.all("host") {
        if endpoint.starts_with("unix://") || endpoint.starts_with("fd://") {
            continue;
        }
        let invalid =
            || format!("failed to load listeners: invalid bind address format: {endpoint}");
        let place = endpoint.strip_prefix("tcp://").ok_or_else(invalid)?;
        let (name, port) = place.rsplit_once(':').ok_or_else(invalid)?;
        let port = port.parse().map_err(|_| invalid())?;
        match name.trim_matches(['[', ']']) {
            "" | "0.0.0.0" | "::" => addresses.push(SocketAddr::new(own, port)),
            "127.0.0.1" | "localhost" | "::1" => {}
            name => match name.parse::<IpAddr>() {
                Ok(address) if address == own => addresses.push(SocketAddr::new(own, port)),
                _ => {
                    return Err(format!(
                        "failed to load listeners: listen tcp {place}: bind: cannot assign requested address"
                    ));
                }
            },
        }
    }
    Ok(addresses)
}
