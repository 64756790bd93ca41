//! `create`: from a command line to an engine that answers over TLS, or to nothing at all.

use std::path::Path;
use std::time::{Duration, SystemTime};

use machine_driver::{Driver, DriverError, DriverErrorKind, KeyMaterial, KeyPlan, Options};
use machine_ops::{Cx, SpanKind, SpanOutcome, within};
use machine_provision::InstallSource;
use machine_store::{
    AuthOptions, EngineOptions, HostOptions, MachineFile, MachineRecord, NewFile, StoreError,
    SwarmOptions,
};
use machine_types::MachineName;

use crate::access::key::make_key;
use crate::access::login::login_limits;
use crate::access::login::wait_for_login;
use crate::certificates::issue::{bootstrap_certificates, check_shared_certificates};
use crate::journal::Remembering;
use crate::lifecycle::provisioning::set_up;
use crate::lifecycle::provisioning::{Provisioning, engine_config};
use crate::machine::host_key_file;
use crate::machine::{Machine, Work};
use crate::recovery::removal_request::unless_removed;
use crate::recovery::rollback::{left, made, undo_machine};
use crate::recovery::tombstones::settle_in_passing;
use crate::{Error, Left, Library, confirmation_hint};
use machine_types::one_line;

/// The limit over a whole create: GitLab Runner kills the process after an hour, and a rollback
/// must have its time before that.
const LIMIT: Duration = Duration::from_secs(50 * 60);

/// What `create` was asked for.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// The machine's name, as typed.
    pub name: String,
    /// The driver's name.
    pub driver: String,
    /// The driver's flags.
    pub options: Options,
    /// How the engine is set up.
    pub engine: EngineOptions,
    /// Classic swarm.
    pub swarm: SwarmOptions,
    /// `--tls-san`.
    pub tls_sans: Vec<String>,
    /// `--hostname-override`, or nothing.
    pub hostname_override: String,
    /// `--custom-install-script`: an absolute path, or nothing. It replaces installing and configuring
    /// Docker altogether.
    pub custom_install_script: String,
    /// What provisioning does besides.
    pub provisioning: Provisioning,
}

/// Where the time of a create went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CreateTimes {
    /// From the first call to a certain launch.
    pub launch: Duration,
    /// From there to an address.
    pub boot: Duration,
    /// From there to a login.
    pub ssh: Duration,
    /// From there to an engine that answers over TLS.
    pub docker: Duration,
}

/// Creates a machine. When it fails, whatever was made is removed again; the machine's
/// directory stays only if something of it could not be, for a later `rm`.
///
/// Any number of creates may run at once, the very first ones included. A cancellation ends
/// it between two calls, and rolls back.
///
/// # Errors
/// [`Error::Configuration`] and [`Error::PreCreate`]: nothing was made. [`Error::Create`]: with
/// what is left behind.
pub async fn create(library: &Library, request: CreateRequest) -> Result<CreateTimes, Error> {
    let name: MachineName = request.name.parse()?;
    let kind = library.kind(&request.driver)?;
    if library.store.exists(&name) {
        return Err(Error::AlreadyExists(request.name));
    }
    let mut base = library.base(&name, &request.swarm, String::new());
    // Flags first: a command line that makes no sense must not even make a store.
    let driver = kind
        .configure(&base, &request.options)
        .map_err(Error::Configuration)?;
    if !is_left_alone(&*driver) {
        check_provisioning(library, &request).await?;
    }
    let cx = library.context_about(&name);
    cx.phase(format!("{name} · pre-create checks"));
    base.store_id = library.store.ensure_id(&cx).await?.as_str().to_owned();
    let identity = library.store.identity()?;
    if let Some(unconfirmed) = identity.and_then(|identity| identity.unconfirmed)
        && unconfirmed.machines.is_some()
    {
        let hint = confirmation_hint(&unconfirmed);
        cx.warn(format!("{unconfirmed}: {hint}"));
    }
    let mut driver = kind
        .configure(&base, &request.options)
        .map_err(Error::Configuration)?;

    let checked = driver.preflight(&cx).await;
    // Some flags can be judged only by asking the cloud; they leave nothing behind either.
    if let Err(error) = checked {
        if error.kind != DriverErrorKind::Configuration {
            bootstrap_certificates(library, &cx).await?;
            cx.say("Running pre-create checks...");
        }
        return Err(before_creation(error));
    }
    bootstrap_certificates(library, &cx).await?;
    check_shared_certificates(library, !is_left_alone(&*driver))?;
    cx.say("Running pre-create checks...");
    cx.say("Creating machine...");
    settle_in_passing(library).await;

    let key = make_key(library, &driver.key_plan()).await?;
    let record = MachineRecord::new(
        &name,
        driver.name(),
        driver.save(),
        host_options(library, &name, &request),
    );
    let files: Vec<NewFile<'_>> = key
        .files
        .iter()
        .map(|file| NewFile {
            name: &file.name,
            mode: file.mode,
            contents: file.contents.expose(),
        })
        .collect();
    let lock = match library.store.try_lock_machine(&name)? {
        Some(lock) => lock,
        None => return Err(Error::AlreadyExists(request.name)),
    };
    match library.store.create(&lock, &record, &files) {
        Err(StoreError::AlreadyExists { .. }) => {
            return Err(Error::AlreadyExists(request.name));
        }
        created => created?,
    }
    let cx = library.context_over(&name, Remembering::over(library.store.journal(&lock)));
    let machine = Machine {
        name: name.clone(),
        record,
        driver,
    };
    let mut work = Work { machine, lock, cx };
    let cx = work.cx.clone();
    let bring_up = bring_up(library, &mut work, &key.material, request.provisioning);
    let bring_up = unless_removed(&library.store, &name, &cx, bring_up);
    match within(&cx, "create", LIMIT, bring_up).await {
        Ok(times) => Ok(times),
        Err(error) => Err(roll_back(library, work, error).await),
    }
}

/// Checks all of a create that can be checked, and returns the plan: a line for each thing that
/// would be made or used. Makes nothing, here or in the cloud.
///
/// # Errors
/// As [`create`](crate::create), but for what only a launch can tell.
pub async fn rehearse(library: &Library, request: &CreateRequest) -> Result<Vec<String>, Error> {
    let name: MachineName = request.name.parse()?;
    let kind = library.kind(&request.driver)?;
    if library.store.exists(&name) {
        return Err(Error::AlreadyExists(request.name.clone()));
    }
    // A store that is not there yet, or was made elsewhere, has no id for a new machine, and gets none.
    let id = library
        .store
        .identity()?
        .and_then(|identity| identity.current);
    let id = id.map_or_else(|| "new".to_owned(), |id| id.as_str().to_owned());
    let base = library.base(&name, &request.swarm, id);
    let mut driver = kind
        .configure(&base, &request.options)
        .map_err(Error::Configuration)?;
    if !is_left_alone(&*driver) {
        check_provisioning(library, request).await?;
    }
    if let plan @ KeyPlan::Copy { .. } = driver.key_plan() {
        make_key(library, &plan).await?;
    }
    let cx = library.context();
    driver.preflight(&cx).await.map_err(before_creation)?;
    driver.rehearse(&cx).await.map_err(before_creation)
}

async fn bring_up(
    library: &Library,
    work: &mut Work,
    key: &KeyMaterial,
    provisioning: Provisioning,
) -> Result<CreateTimes, Error> {
    let cx = &work.cx.clone();
    let mut times = CreateTimes::default();
    let mut phase = Phase::begin(cx, "launch");
    work.machine
        .driver
        .create(key, cx)
        .await
        .map_err(while_creating)?;
    library.save(work)?;
    times.launch = phase.end();
    if is_left_alone(&*work.machine.driver) {
        return Ok(times);
    }

    loop {
        let ended = match come_up(library, work, provisioning, cx, &mut times).await {
            Err(Error::Driver(error)) if error.kind == DriverErrorKind::Capacity => error,
            result => return result.map(|()| times),
        };
        phase = Phase::begin(cx, "launch");
        let moved = work.machine.driver.relaunch(&ended, cx).await;
        if !moved.map_err(Error::DriverCreate)? {
            return Err(Error::Driver(ended));
        }
        library.save(work)?;
        // Another host may get the address of the one that ended.
        let _ = std::fs::remove_file(host_key_file(library, &work.machine.name));
        times.launch += phase.end();
    }
}

/// Waits until a launched machine can be logged in to, and sets it up.
async fn come_up(
    library: &Library,
    work: &mut Work,
    provisioning: Provisioning,
    cx: &Cx,
    times: &mut CreateTimes,
) -> Result<(), Error> {
    cx.say("Waiting for machine to be running, this may take a few minutes...");
    let phase = Phase::begin(cx, "boot");
    work.machine.driver.await_address(cx).await?;
    library.save(work)?;
    times.boot = phase.end();

    cx.say("Detecting operating system of created instance...");
    cx.say("Waiting for SSH to be available...");
    let machine = &work.machine;
    let begun = Phase::begin(cx, "ssh");
    let coming_up = async {
        let limits = login_limits(machine);
        let session = wait_for_login(library, machine, limits, None, cx).await?;
        let ssh = begun.end();
        let begun = Phase::begin(cx, "docker");
        set_up(library, machine, &session, provisioning, cx).await?;
        Ok((ssh, begun.end()))
    };
    (times.ssh, times.docker) = library.while_it_lives(machine, cx, coming_up).await?;
    Ok(())
}

/// Removes what a failed create has made, and says what it could not.
async fn roll_back(library: &Library, work: Work, error: Error) -> Error {
    let Work { machine, lock, cx } = work;
    let removed = made(&*machine.driver, &cx);
    let left = match undo_machine(&*machine.driver, &cx).await {
        Ok(report) => left(report),
        Err(error) => vec![Left {
            what: format!("whatever the journal of {} names", machine.name),
            why: one_line(error),
        }],
    };
    // A machine of which something is left keeps its directory, so that a later rm finds it.
    if left.is_empty()
        && let Err(error) = library.store.remove(lock)
    {
        cx.warn(one_line(error));
    }
    if left.is_empty() && matches!(error, Error::PreCreate(_)) {
        return error;
    }
    Error::Create {
        source: Box::new(error),
        removed,
        left,
    }
}

/// Finds what would make provisioning fail, while there is nothing yet that would have to go again.
async fn check_provisioning(library: &Library, request: &CreateRequest) -> Result<(), Error> {
    let name = match request.hostname_override.as_str() {
        "" => &request.name,
        name => name,
    };
    let custom = Path::new(&request.custom_install_script);
    let install = InstallSource::parse(&request.engine.install_url);
    let scripts = match &install {
        _ if !request.custom_install_script.is_empty() => vec![custom],
        InstallSource::File(path) => vec![path.as_path()],
        InstallSource::Url(_) | InstallSource::Shell(_) => vec![],
    };
    let warnings = machine_provision::check(&engine_config(&request.engine), name, &scripts)
        .await
        .map_err(|error| Error::Options(Box::new(error)))?;
    let cx = library.context();
    warnings.into_iter().for_each(|warning| cx.warn(warning));
    if asks_for_swarm(&request.swarm) {
        cx.warn(
            "classic swarm is recorded and NOT set up: no agent and no master is started on the machine. Use Docker's swarm mode: docker swarm init",
        );
    }
    Ok(())
}

fn host_options(library: &Library, name: &MachineName, request: &CreateRequest) -> HostOptions {
    let text = |path: &Path| path.display().to_string();
    let file = |file| text(&library.store.file(name, file));
    let certificates = &library.settings.certificates;
    HostOptions {
        engine_options: request.engine.clone(),
        swarm_options: request.swarm.clone(),
        auth_options: AuthOptions {
            cert_dir: text(&certificates.directory),
            ca_cert_path: text(&certificates.ca),
            ca_private_key_path: text(&certificates.ca_key),
            server_cert_path: file(MachineFile::Server),
            server_key_path: file(MachineFile::ServerKey),
            client_key_path: text(&certificates.client_key),
            client_cert_path: text(&certificates.client),
            server_cert_sans: Some(request.tls_sans.clone()),
            store_path: text(&library.store.directory(name)),
            ..AuthOptions::default()
        },
        hostname_override: request.hostname_override.clone(),
        custom_install_script: request.custom_install_script.clone(),
        ..HostOptions::default()
    }
}

/// Whether somebody else looks after the engine: there is nothing to wait for, nothing to set up.
fn is_left_alone(driver: &dyn Driver) -> bool {
    matches!(driver.key_plan(), KeyPlan::Nothing) && driver.ssh().is_none()
}

/// Tells whether any of the options of classic swarm asks for something.
fn asks_for_swarm(swarm: &SwarmOptions) -> bool {
    let lists = [&swarm.arbitrary_flags, &swarm.arbitrary_join_flags];
    swarm.is_swarm
        || swarm.is_experimental
        || !swarm.discovery.is_empty()
        || !swarm.address.is_empty()
        || lists
            .iter()
            .any(|list| list.iter().flatten().next().is_some())
}

/// Tells what kind of failure it is where nothing has been made yet.
fn before_creation(error: DriverError) -> Error {
    match error.kind {
        DriverErrorKind::Configuration => Error::Configuration(error),
        DriverErrorKind::Cancelled => Error::Driver(error),
        _ => Error::PreCreate(error),
    }
}

/// Tells what kind of failure it is where the driver was at work: some checks come with the first thing that is
/// made, so that no other process can come in between.
fn while_creating(error: DriverError) -> Error {
    match error.kind {
        DriverErrorKind::PreCreate => Error::PreCreate(error),
        _ => Error::DriverCreate(error),
    }
}

/// A part of a create, timed.
struct Phase {
    cx: Cx,
    name: &'static str,
    begun: (SystemTime, Duration),
}

impl Phase {
    fn begin(cx: &Cx, name: &'static str) -> Self {
        Self {
            begun: (cx.ambient.now(), cx.ambient.monotonic()),
            cx: cx.clone(),
            name,
        }
    }

    fn end(self) -> Duration {
        let took = self.cx.ambient.monotonic().saturating_sub(self.begun.1);
        self.cx
            .ended(SpanKind::Phase, self.name, self.begun, SpanOutcome::Ok);
        took
    }
}
