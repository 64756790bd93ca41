//! `provision`, `regenerate-certs`, `upgrade`, and the last phase of `create`: set up an engine that answers over TLS.

use std::path::Path;
use std::time::Duration;

use machine_ops::{Cx, Look, WaitError, WaitPolicy, wait_until};
use machine_provision::{Certificates, EngineConfig, InstallSource, Plan, ProvisionError, Report};
use machine_ssh::Session;
use machine_store::{EngineOptions, PoolDocker};
use machine_tls::Issued;
use machine_types::{DOCKER_PORT, GoList};

use crate::access::connect::dial;
use crate::access::login::HostKeyPolicy;
use crate::access::reach::reach;
use crate::certificates::issue::{
    copy_shared_certificates, keep_server_certificate, renew_client_certificate,
    server_certificate, trust_shared_authorities,
};
use crate::certificates::renewal::renew_shared_certificates;
use crate::machine::{Machine, Work};
use crate::{Error, Library};
use machine_types::one_line;

/// Timeout of a restarted engine's first answer. It first loads its containers and its network.
const ENGINE: Duration = Duration::from_secs(90);

/// Options of one provisioning run that are not in the machine's record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Provisioning {
    /// `--open-firewall`: opens the engine's port in a firewall on the machine, permanently. Otherwise the firewall is
    /// only reported if the engine cannot be reached.
    pub open_firewall: bool,
    /// `--accept-new-host-key`.
    pub host_key: HostKeyPolicy,
    /// Whether to replace the machine's certificate even if it is still valid.
    pub(crate) new_certificate: bool,
}

impl Provisioning {
    /// Returns the options for `--open-firewall`.
    pub fn new(open_firewall: bool) -> Self {
        Self {
            open_firewall,
            ..Self::default()
        }
    }
}

/// A machine's plan, and the certificate in it that is not yet saved as the machine's own.
struct Planned {
    plan: Plan,
    /// `None` for an engine without TLS.
    server: Option<Issued>,
}

/// Provisions a machine again: changes what differs, and restarts the engine only if something changed.
///
/// # Errors
/// Fails if SSH or a step on the machine fails, or the engine does not answer.
pub async fn provision(
    library: &Library,
    name: &str,
    provisioning: Provisioning,
) -> Result<(), Error> {
    let mut work = library.open_for_work(name).await?;
    warn_of_options(&work.machine, &work.cx);
    work.cx.say("Waiting for SSH to be available...");
    let session = reach(library, &mut work, provisioning.host_key).await?;
    let Work { machine, cx, .. } = &work;
    set_up(library, machine, &session, provisioning, cx).await
}

/// Issues a new server certificate for a machine and installs it; changes nothing else on the machine. With
/// `client_certs`, issues a new client certificate first.
///
/// # Errors
/// Same as [`provision`](crate::provision). Until the machine has the new certificate, the old one is accepted too.
pub async fn regenerate_certificates(
    library: &Library,
    name: &str,
    client_certs: bool,
    host_key: HostKeyPolicy,
) -> Result<(), Error> {
    let mut work = library.open_for_work(name).await?;
    refuse_custom(&work.machine)?;
    work.machine.has_tls()?;
    if client_certs {
        work.cx.say("Regenerating local certificates");
        renew_client_certificate(library, &work.cx).await?;
    }
    work.cx.say("Waiting for SSH to be available...");
    let session = reach(library, &mut work, host_key).await?;
    let Work { machine, cx, .. } = &work;
    prepare_certificates(library, machine, cx).await?;
    let provisioning = Provisioning {
        new_certificate: true,
        ..Provisioning::default()
    };
    let planned = plan(library, machine, provisioning)?;
    let report = machine_provision::replace_certificates(&session, &planned.plan, cx).await;
    adopt(library, machine, planned, report, cx).await
}

/// Upgrades a machine's engine to the newest or the requested release, and saves which one that was.
///
/// # Errors
/// Same as [`provision`](crate::provision).
pub async fn upgrade(
    library: &Library,
    name: &str,
    engine_version: Option<String>,
    host_key: HostKeyPolicy,
) -> Result<(), Error> {
    let mut work = library.open_for_work(name).await?;
    refuse_custom(&work.machine)?;
    let engine = &mut work.machine.record.host_options.engine_options;
    engine.engine_version = engine_version.unwrap_or_default();
    warn_of_options(&work.machine, &work.cx);
    work.cx.say("Waiting for SSH to be available...");
    let session = reach(library, &mut work, host_key).await?;
    let Work { machine, cx, .. } = &work;
    prepare_certificates(library, machine, cx).await?;
    cx.say("Upgrading docker...");
    let planned = plan(library, machine, Provisioning::default())?;
    let report = machine_provision::upgrade(&session, &planned.plan, cx).await;
    adopt(library, machine, planned, report, cx).await?;
    library.save(&mut work)
}

/// Sets up an engine over an existing session, and checks it from this computer.
pub(crate) async fn set_up(
    library: &Library,
    machine: &Machine,
    session: &Session,
    provisioning: Provisioning,
    cx: &Cx,
) -> Result<(), Error> {
    let pool = machine.record.pool.as_ref();
    if pool.is_some_and(|pool| pool.docker == PoolDocker::Expect) {
        return Ok(());
    }
    cx.say("Detecting the provisioner...");
    prepare_certificates(library, machine, cx).await?;
    let options = &machine.record.host_options;
    if !options.custom_install_script.is_empty() {
        let script = Path::new(&options.custom_install_script);
        let name = machine.name.as_str();
        let host = host_name_of(machine);
        machine_provision::run_custom_script(session, name, host, script, cx)
            .await
            .map_err(|error| Error::Provision(Box::new(error)))?;
        return match pool {
            Some(_) => Ok(()),
            None => copy_shared_certificates(library, machine, cx).await,
        };
    }
    let planned = plan(library, machine, provisioning)?;
    let report = machine_provision::provision(session, &planned.plan, cx).await;
    adopt(library, machine, planned, report, cx).await
}

/// Saves the certificates of a provisioned engine, and waits until it answers. An engine without TLS has none, and was
/// checked on the machine.
async fn adopt(
    library: &Library,
    machine: &Machine,
    planned: Planned,
    report: Result<Report, ProvisionError>,
    cx: &Cx,
) -> Result<(), Error> {
    let report = report.map_err(|error| Error::Provision(Box::new(error)))?;
    let Some(server) = planned.server else {
        return Ok(());
    };
    adopt_certificates(library, machine, &server, cx).await?;
    check_engine(library, machine, &report, cx).await
}

/// Renews the shared certificates if needed, and adds them to the certificates that the machine's directory trusts. The
/// engine may keep using the older ones.
async fn prepare_certificates(library: &Library, machine: &Machine, cx: &Cx) -> Result<(), Error> {
    if machine.record.pool.is_some() {
        return Ok(());
    }
    renew_shared_certificates(library, cx).await?;
    cx.say("Copying certs to the local machine directory...");
    trust_shared_authorities(library, machine)
}

/// Saves the certificates that the engine now uses as the machine's own. They include the client certificate, which the
/// engine may not have accepted before.
async fn adopt_certificates(
    library: &Library,
    machine: &Machine,
    server: &Issued,
    cx: &Cx,
) -> Result<(), Error> {
    copy_shared_certificates(library, machine, cx).await?;
    keep_server_certificate(library, machine, server)
}

fn plan(
    library: &Library,
    machine: &Machine,
    provisioning: Provisioning,
) -> Result<Planned, Error> {
    let name = machine.name.to_string();
    let address = machine
        .driver
        .saved_address()
        .ok_or_else(|| Error::NoAddress(name.clone()))?;
    let auth = &machine.record.host_options.auth_options;
    let server = match machine.record.pool {
        Some(_) => None,
        None => {
            let renew = provisioning.new_certificate;
            Some(server_certificate(library, machine, &address, renew)?)
        }
    };
    let certificates = match &server {
        Some(server) => Some(Certificates {
            ca: library.store.read_text(auth.ca_cert_path.as_ref())?,
            server: server.certificate.clone(),
            key: server.key.clone(),
        }),
        None => None,
    };
    let engine = &machine.record.host_options.engine_options;
    let engine_version = engine.engine_version.clone();
    let plan = Plan {
        hostname: host_name_of(machine).to_owned(),
        machine: name,
        provider: machine.driver.name().to_owned(),
        engine_port: machine
            .driver
            .docker_url()
            .map_or(DOCKER_PORT, |url| url.port),
        ipv6: address.contains(':'),
        engine_version: Some(engine_version).filter(|version| !version.is_empty()),
        install: InstallSource::parse(&engine.install_url),
        fetch: library.fetch.clone(),
        engine: engine_config(engine),
        certificates,
        open_firewall: provisioning.open_firewall,
    };
    Ok(Planned { plan, server })
}

/// Waits until the engine answers over TLS with the machine's own certificate.
async fn check_engine(
    library: &Library,
    machine: &Machine,
    report: &Report,
    cx: &Cx,
) -> Result<(), Error> {
    cx.say("Checking connection to Docker...");
    let url = machine
        .driver
        .docker_host()
        .ok_or_else(|| Error::NoAddress(machine.name.to_string()))?;
    let policy = WaitPolicy::backing_off(Duration::from_millis(20), Duration::from_secs(2), ENGINE);
    let waited = wait_until(cx, "docker", policy, async || {
        match dial(library, machine, &url, cx).await {
            Ok(()) => Ok(Look::Ready(())),
            Err(Error::Dial(error)) if error.is_silence() => Ok(Look::Pending(one_line(error))),
            Err(error) => Err(error),
        }
    });
    let reason = match waited.await {
        Ok(()) => {
            cx.say("Docker is up and running!");
            return Ok(());
        }
        Err(WaitError::Cancelled(reason)) => return Err(Error::Cancelled(reason)),
        Err(WaitError::TimedOut { last, .. }) => last,
        Err(WaitError::Failed(error)) => one_line(error),
    };
    Err(Error::EngineSilent {
        host: url,
        reason,
        firewall: report.firewall.clone(),
    })
}

/// Returns the host name for the machine. Longer names are shortened later.
fn host_name_of(machine: &Machine) -> &str {
    match machine.record.host_options.hostname_override.as_str() {
        "" => machine.name.as_str(),
        name => name,
    }
}

/// Warns about options whose effect differs from what the user typed.
fn warn_of_options(machine: &Machine, cx: &Cx) {
    let options = &machine.record.host_options;
    if options.custom_install_script.is_empty() {
        let warnings = machine_provision::warnings(&engine_config(&options.engine_options));
        for warning in warnings {
            cx.warn(format!("WARNING: {warning}"));
        }
    }
}

fn refuse_custom(machine: &Machine) -> Result<(), Error> {
    let script = &machine.record.host_options.custom_install_script;
    match script.is_empty() {
        true => Ok(()),
        false => Err(Error::CustomScript(machine.name.to_string())),
    }
}

/// Returns the engine options that provisioning applies.
pub(crate) fn engine_config(options: &EngineOptions) -> EngineConfig {
    let list = |list: &GoList| list.clone().unwrap_or_default();
    EngineConfig {
        arbitrary_flags: list(&options.arbitrary_flags),
        env: list(&options.env),
        insecure_registry: list(&options.insecure_registry),
        labels: list(&options.labels),
        registry_mirror: list(&options.registry_mirror),
        storage_driver: options.storage_driver.clone(),
        install_url: options.install_url.clone(),
    }
}
