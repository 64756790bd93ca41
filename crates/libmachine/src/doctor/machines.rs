//! Checks each machine: version, certificate, state, and the connections to its sshd and its engine.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use machine_driver::{Check, Status, Verdict};
use machine_ssh::{ConnectError, HostKeys, Layer, connect};
use machine_store::{CONFIG_VERSION, MachineFile};
use machine_tls::{DialError, Dialer};
use machine_types::{DockerUrl, MachineState, SshEndpoint};

use super::{TIMEOUT, failed};
use crate::access::address::copy_at;
use crate::access::connect::DIAL;
use crate::access::connect::{dial, in_place};
use crate::doctor::certificates::examine_own_certificate;
use crate::half_made::HalfMade;
use crate::half_made::half_made;
use crate::list::{NoState, Query, states};
use crate::machine::Machine;
use crate::machine::{credentials, host_key_file};
use crate::{Error, Library};
use machine_types::one_line;

/// Maximum number of machines to connect to at once. A process has 1024 descriptors by default (getrlimit(2)), and each
/// machine takes two.
const AT_ONCE: usize = 256;

/// The timeout of a login.
const LOGIN: Duration = Duration::from_secs(10);

impl Library {
    pub(super) async fn examine_machines(&self, machines: &[Machine]) -> Vec<Check> {
        let mut states = states(self, machines, Query::Ids, TIMEOUT).await;
        let examined = machines.iter().enumerate().map(|(index, machine)| {
            let status = states.remove(&index);
            self.examine_machine(machine, status.unwrap_or(Ok(MachineState::Timeout.into())))
        });
        let checks: Vec<Vec<Check>> = iter(examined).buffered(AT_ONCE).collect().await;
        checks.concat()
    }

    async fn examine_machine(
        &self,
        machine: &Machine,
        status: Result<Status, NoState>,
    ) -> Vec<Check> {
        let name = machine.name.as_str();
        let subject = format!("machine {name}");
        let mut checks = Vec::new();
        let moved = status
            .as_ref()
            .ok()
            .and_then(|status| copy_at(self, machine, status));
        if let Some(moved) = &moved {
            let saved = machine.address().unwrap_or_else(|| "none".to_owned());
            checks.push(Check::notable(
                &subject,
                format!(
                    "its address is {}; the saved one is {saved}",
                    moved.address().unwrap_or_default()
                ),
                "docker-machine ls saves it",
            ));
        }
        let machine = moved.as_ref().unwrap_or(machine);
        let state = status.map(|status| status.state);
        let version = machine.record.config_version;
        if version > CONFIG_VERSION {
            checks.push(Check::notable(
                &subject,
                format!("its config.json has version {version}: it is read, and never rewritten"),
                "use the docker-machine that wrote it",
            ));
        }
        if let Err(error) = self.store.entries(&machine.name) {
            let remedy = "restore its .journal: rm goes by it";
            checks.push(failed(&subject, error, remedy));
        }
        let server = self.store.file(&machine.name, MachineFile::Server);
        checks.extend(examine_own_certificate(self, name, &server));
        let remove = format!("docker-machine rm {name}");
        if let Some(half_made) = half_made(self, machine) {
            let text = half_made.text(name);
            checks.push(match half_made {
                HalfMade::Creating { .. } => Check::notable(&subject, text, "wait for it"),
                HalfMade::Interrupted => {
                    Check::wrong(&subject, "its create was interrupted", remove)
                }
            });
            return checks;
        }
        match state {
            Ok(MachineState::Running) => {
                checks.extend(self.examine_routes(machine, &subject).await);
            }
            Ok(MachineState::Error) => {
                let found = "there is no such instance, or it has ended";
                checks.push(Check::wrong(&subject, found, remove));
            }
            Ok(MachineState::Timeout) => {
                checks.push(Check::wrong(
                    &subject,
                    format!(
                        "its state is unknown: no answer within {} s",
                        TIMEOUT.as_secs()
                    ),
                    "try again",
                ));
            }
            Ok(state) if machine.driver.saved_address().is_none() => checks.push(Check::notable(
                &subject,
                format!(
                    "{state}, without an address: it is being created, or its create was killed"
                ),
                format!("if no command uses it: {remove}"),
            )),
            Ok(state) => checks.push(Check::notable(
                &subject,
                state.to_string(),
                format!("docker-machine start {name}, if it should run"),
            )),
            Err(why) if why.is_gone => checks.push(Check::wrong(&subject, why.text, remove)),
            Err(why) => checks.push(Check::wrong(&subject, why.text, "see the lines above")),
        }
        checks
    }

    /// Tries the connections to sshd and to the engine in parallel.
    async fn examine_routes(&self, machine: &Machine, subject: &str) -> Vec<Check> {
        let sshd = async {
            let endpoint = machine.driver.ssh()?;
            let port = DockerUrl {
                host: endpoint.host.clone(),
                port: endpoint.port,
            };
            let reached = Dialer::plain(DIAL).reach(&port).await;
            let check = route(subject, "SSH", &port, reached.map_err(Error::Dial), machine);
            if check.verdict != Verdict::Right {
                return Some(check);
            }
            Some(match self.try_login(machine, &endpoint).await {
                Ok(()) => Check::right(
                    subject,
                    format!("{}, login as {}", check.found, endpoint.user),
                ),
                Err(error) => {
                    let advice = error.layer().map_or("check its key file", Layer::advice);
                    Check::wrong(subject, format!("SSH: {}", one_line(error)), advice)
                }
            })
        };
        let engine = async {
            machine.has_tls().ok()?;
            let url = machine.driver.docker_host()?;
            let Some(endpoint) = DockerUrl::parse(&url) else {
                return Some(Check::notable(
                    subject,
                    format!("{url} cannot be connected to"),
                    "",
                ));
            };
            let dialled = dial(self, machine, &url, &self.context()).await;
            let dialled = dialled.map_err(|error| in_place(&machine.name, error));
            Some(route(subject, "Docker", &endpoint, dialled, machine))
        };
        let (sshd, engine) = tokio::join!(sshd, engine);
        sshd.into_iter().chain(engine).collect()
    }
}

impl Library {
    /// Logs in once. Pins no host key, which would change the store.
    async fn try_login(
        &self,
        machine: &Machine,
        endpoint: &SshEndpoint,
    ) -> Result<(), ConnectError> {
        let pinned = host_key_file(self, &machine.name);
        let host_keys = match pinned.exists() {
            true => HostKeys::AcceptPinnedOnly(pinned),
            false => HostKeys::AcceptAny,
        };
        let credentials = credentials(self, endpoint);
        let cx = self.context();
        let session = connect(endpoint, &credentials, &host_keys, &cx, LOGIN).await?;
        session.close().await;
        Ok(())
    }
}

fn route(
    subject: &str,
    what: &str,
    to: &DockerUrl,
    reached: Result<(), Error>,
    machine: &Machine,
) -> Check {
    let (name, port) = (&machine.name, to.port);
    let error = match reached {
        Ok(()) => return Check::right(subject, format!("{what} answers at {}", to.authority())),
        Err(error) => error,
    };
    let remedy = match &error {
        _ if machine.driver.ssh().is_none() => {
            "start it on its host: the driver knows only its URL".to_owned()
        }
        Error::NotPinned { name, .. } => format!("docker-machine provision {name}"),
        Error::Dial(DialError::Refused { .. }) => {
            format!("nothing listens there: docker-machine restart {name}, then provision")
        }
        Error::Dial(dial) if dial.is_silence() => format!(
            "let port {port} through in the security groups, network ACLs and firewalls on the way"
        ),
        _ => format!("docker-machine regenerate-certs -f {name}"),
    };
    Check::wrong(subject, format!("{what}: {}", one_line(error)), remedy)
}
