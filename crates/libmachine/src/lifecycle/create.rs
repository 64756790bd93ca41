//! `create`: creates a machine with an engine that answers over TLS, or rolls back.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use machine_driver::{Driver, DriverError, DriverErrorKind, KeyMaterial, KeyPlan, Options, Plan};
use machine_ops::{Cx, Event, Span, SpanKind, SpanOutcome, within};
use machine_provision::InstallSource;
use machine_store::{
    AuthOptions, EngineOptions, HostOptions, MachineFile, MachineRecord, NewFile, PoolMember,
    StoreError, SwarmOptions,
};
use machine_types::MachineName;

use crate::access::key::make_key;
use crate::access::login::wait_for_login;
use crate::access::login::{check_login, login_limits};
use crate::certificates::issue::check_shared_certificates;
use crate::certificates::renewal::bootstrap_certificates;
use crate::half_made::half_made;
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

/// Default timeout of a whole create. GitLab Runner kills the process after an hour, and a rollback needs its time
/// before that.
pub const CREATE_LIMIT: Duration = Duration::from_secs(50 * 60);

/// Options of `create`.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// The machine's name, as typed by the user.
    pub name: String,
    /// The driver's name.
    pub driver: String,
    /// The driver's flags.
    pub options: Options,
    /// Configuration of the engine.
    pub engine: EngineOptions,
    /// Options of classic swarm.
    pub swarm: SwarmOptions,
    /// `--tls-san`.
    pub tls_sans: Vec<String>,
    /// `--hostname-override`, or empty.
    pub hostname_override: String,
    /// `--custom-install-script`: an absolute path, or empty. The script replaces the installation and configuration of
    /// Docker.
    pub custom_install_script: String,
    /// Further options of provisioning.
    pub provisioning: Provisioning,
    /// The pool of the machine. Such a machine has no TLS: its engine listens on its local socket only.
    pub pool: Option<PoolMember>,
    /// Timeout of the whole create.
    pub limit: Duration,
}

/// Durations of the phases of a create.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CreateTimes {
    /// From the first call to a confirmed launch.
    pub launch: Duration,
    /// From the launch until sshd accepts the connection of the first successful login.
    pub boot: Duration,
    /// This login.
    pub ssh: Duration,
    /// From the login to an engine that answers over TLS.
    pub docker: Duration,
}

/// Creates a machine. On failure removes everything that was created. The machine's directory stays only if a resource
/// could not be removed, for a later `rm`.
///
/// Any number of creates may run at once, including the first ones in a store. A cancellation takes effect between two
/// calls and rolls back.
///
/// # Errors
/// [`Error::Configuration`] and [`Error::PreCreate`]: nothing was created. [`Error::Create`] lists what is left behind.
pub async fn create(library: &Library, request: CreateRequest) -> Result<CreateTimes, Error> {
    let name: MachineName = request.name.parse()?;
    let kind = library.kind(&request.driver)?;
    if library.store.exists(&name) {
        return Err(already_exists(library, &name).await);
    }
    let mut base = library.base(&name, &request.swarm, String::new());
    let has_tls = request.pool.is_none();
    base.exposes_engine = has_tls;
    // Flags first: an invalid command line must not create a store.
    let driver = kind
        .configure(&base, &request.options)
        .map_err(Error::Configuration)?;
    check_options(library, &*driver, &request).await?;
    let cx = library.context_about(&name);
    cx.phase(format!("{name} · pre-create checks"));
    base.store_id = library.store.ensure_id(&cx).await?.as_str().to_owned();
    let driver = kind
        .configure(&base, &request.options)
        .map_err(Error::Configuration)?;
    let begun = library.ambient.monotonic();
    let (provisioning, limit) = (request.provisioning, request.limit);
    let prepared = prepare(library, &name, driver, request, &cx).await;
    let (mut work, key) = match prepared {
        Ok(prepared) => prepared,
        // The log is that of the other create.
        Err(error @ Error::AlreadyExists { .. }) => return Err(error),
        Err(error) => {
            if !library.store.exists(&name) {
                begin_log(library, &name, &cx);
                library.store.prune_logs();
            }
            return Err(error);
        }
    };
    let cx = work.cx.clone();
    begin_log(library, &name, &cx);
    let bring_up = bring_up(library, &mut work, &key, provisioning);
    let bring_up = unless_removed(&library.store, &name, &cx, bring_up);
    let spent = library.ambient.monotonic().saturating_sub(begun);
    let left = limit.saturating_sub(spent);
    match within(&cx, "create", left, bring_up).await {
        Ok(times) => Ok(times),
        Err(error) => {
            let error = roll_back(library, work, error).await;
            library.store.prune_logs();
            Err(error)
        }
    }
}

/// Returns the error of a name that is taken.
async fn already_exists(library: &Library, name: &MachineName) -> Error {
    let machine = library.open(name.as_str()).await.ok();
    let half_made = machine.and_then(|machine| half_made(library, &machine));
    Error::AlreadyExists {
        name: name.to_string(),
        half_made: half_made.map(|half_made| half_made.text(name.as_str())),
    }
}

/// Opens the log of a create: the receiver of events writes it. A create goes on without one.
fn begin_log(library: &Library, name: &MachineName, cx: &Cx) {
    match library.store.begin_log(name) {
        Ok(path) => cx.events.emit(Event::Log(path)),
        Err(error) => cx.debug(format!("no log of this create: {}", one_line(error))),
    }
}

/// Checks what needs the cloud, and makes the machine's directory. Nothing is launched yet.
async fn prepare(
    library: &Library,
    name: &MachineName,
    mut driver: Box<dyn Driver>,
    request: CreateRequest,
    cx: &Cx,
) -> Result<(Work, KeyMaterial), Error> {
    let has_tls = request.pool.is_none();
    let identity = library.store.identity()?;
    if let Some(unconfirmed) = identity.and_then(|identity| identity.unconfirmed)
        && unconfirmed.machines.is_some()
    {
        let hint = confirmation_hint(&unconfirmed);
        cx.warn(format!("{unconfirmed}: {hint}"));
    }
    // Nothing exists yet: the checks need not end, as calls of a create must.
    let checked = cx.cancel.or(driver.preflight(cx));
    let checked = within(cx, "create", request.limit, checked).await;
    let checked = checked.map_err(Error::Cancelled)?;
    // Some flags can be checked only with the cloud. These checks leave nothing behind either.
    if let Err(error) = checked {
        if error.kind != DriverErrorKind::Configuration && has_tls {
            bootstrap_certificates(library, cx).await?;
            cx.say("Running pre-create checks...");
        }
        return Err(before_creation(error));
    }
    if has_tls {
        bootstrap_certificates(library, cx).await?;
        check_shared_certificates(library, !is_left_alone(&*driver))?;
    }
    cx.say("Running pre-create checks...");
    cx.say("Creating machine...");
    // The machines of a pool do not wait for what others left: the removals of the pool do that.
    if has_tls {
        settle_in_passing(library).await;
    }

    let key = make_key(library, &driver.key_plan()).await?;
    let mut record = MachineRecord::new(
        name,
        driver.name(),
        driver.save(),
        host_options(library, name, &request),
    );
    record.pool = request.pool;
    let files: Vec<NewFile<'_>> = key
        .files
        .iter()
        .map(|file| NewFile {
            name: &file.name,
            mode: file.mode,
            contents: file.contents.expose(),
        })
        .collect();
    let lock = match library.store.try_lock_machine(name)? {
        Some(lock) => lock,
        None => return Err(already_exists(library, name).await),
    };
    match library.store.create(&lock, &record, &files) {
        Err(StoreError::AlreadyExists { .. }) => {
            return Err(already_exists(library, name).await);
        }
        created => created?,
    }
    let cx = library.context_over(name, Remembering::over(library.store.journal(&lock)));
    let machine = Machine {
        name: name.clone(),
        record,
        driver,
    };
    Ok((Work { machine, lock, cx }, key.material))
}

/// Runs those checks of a create that need no network.
///
/// # Errors
/// Same as [`create`](crate::create), as far as the request itself shows them.
pub async fn check(library: &Library, request: &CreateRequest) -> Result<(), Error> {
    let name: MachineName = request.name.parse()?;
    let base = library.base(&name, &request.swarm, String::new());
    let kind = library.kind(&request.driver)?;
    let driver = kind
        .configure(&base, &request.options)
        .map_err(Error::Configuration)?;
    check_options(library, &*driver, request).await
}

/// Returns the records of the last create of a name, also of a failed one, as the receiver of events wrote them. Returns
/// `None` if there are none.
///
/// # Errors
/// Fails if the file cannot be read.
pub fn create_log(library: &Library, name: &str) -> Result<Option<String>, Error> {
    match name.parse::<MachineName>() {
        Ok(name) => Ok(library.store.read_log(&name)?),
        Err(_) => Ok(None),
    }
}

/// Runs all checks of a create and returns the plan. Logs in to a host that exists already. Creates nothing, neither
/// locally nor in the cloud, and changes nothing on a host.
///
/// # Errors
/// Same as [`create`](crate::create), except for errors that only a launch or a provisioning can show.
pub async fn rehearse(library: &Library, request: &CreateRequest) -> Result<Plan, Error> {
    let name: MachineName = request.name.parse()?;
    let kind = library.kind(&request.driver)?;
    if library.store.exists(&name) {
        return Err(already_exists(library, &name).await);
    }
    // A missing store, or one that was made elsewhere, has no ID for a new machine, and gets none.
    let id = library
        .store
        .identity()?
        .and_then(|identity| identity.current);
    let id = id.map_or_else(|| "new".to_owned(), |id| id.as_str().to_owned());
    let base = library.base(&name, &request.swarm, id);
    let mut driver = kind
        .configure(&base, &request.options)
        .map_err(Error::Configuration)?;
    check_options(library, &*driver, request).await?;
    let key = driver.key_plan();
    if matches!(key, KeyPlan::Copy { .. }) {
        make_key(library, &key).await?;
    }
    let cx = library.context();
    driver.preflight(&cx).await.map_err(before_creation)?;
    let plan = driver.rehearse(&cx).await.map_err(before_creation)?;
    if driver.cloud().is_none()
        && let Some(mut endpoint) = driver.ssh()
    {
        // The copy of the key does not exist yet.
        if let KeyPlan::Copy { private, .. } = key {
            endpoint.key = Some(private);
        }
        check_login(library, &name, &endpoint, &cx).await?;
    }
    Ok(plan)
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
        return ready(library, work).map(|()| times);
    }

    loop {
        let ended = match come_up(library, work, provisioning, cx, &mut times).await {
            Err(Error::Driver(error)) if error.kind == DriverErrorKind::Capacity => error,
            Err(error) => return Err(error),
            Ok(()) => return ready(library, work).map(|()| times),
        };
        phase = Phase::begin(cx, "launch");
        let moved = work.machine.driver.relaunch(&ended, cx).await;
        if !moved.map_err(Error::DriverCreate)? {
            return Err(Error::Driver(ended));
        }
        library.save(work)?;
        // Another host may get the address of the terminated one.
        let _ = std::fs::remove_file(host_key_file(library, &work.machine.name));
        times.launch += phase.end();
    }
}

/// Records that a machine of a pool is ready. For other machines, their certificates show it.
fn ready(library: &Library, work: &mut Work) -> Result<(), Error> {
    if let Some(pool) = &mut work.machine.record.pool {
        pool.ready = true;
        library.save(work)?;
    }
    Ok(())
}

/// Waits until a launched machine accepts a login, then sets it up.
async fn come_up(
    library: &Library,
    work: &mut Work,
    provisioning: Provisioning,
    cx: &Cx,
    times: &mut CreateTimes,
) -> Result<(), Error> {
    cx.say("Waiting for machine to be running, this may take a few minutes...");
    let boot = Phase::begin(cx, "boot");
    work.machine.driver.await_address(cx).await?;
    library.save(work)?;

    cx.say("Detecting operating system of created instance...");
    cx.say("Waiting for SSH to be available...");
    let machine = &work.machine;
    let coming_up = async {
        let limits = login_limits(library, machine);
        let session = wait_for_login(library, machine, limits, None, cx).await?;
        let (boot, ssh) = boot.end_before("ssh", session.login_took());
        let begun = Phase::begin(cx, "docker");
        set_up(library, machine, &session, provisioning, cx).await?;
        Ok((boot, ssh, begun.end()))
    };
    (times.boot, times.ssh, times.docker) = library.while_it_lives(machine, cx, coming_up).await?;
    Ok(())
}

/// Removes what a failed create has made, and reports what could not be removed.
async fn roll_back(library: &Library, work: Work, error: Error) -> Error {
    let Work { machine, lock, cx } = work;
    let removed = made(&*machine.driver, &cx);
    if !removed.is_empty() {
        let removed = removed.join(", ");
        cx.phase(format!("{} · removing {removed}", machine.name));
    }
    let left = match undo_machine(&*machine.driver, &cx).await {
        Ok(report) => left(report),
        Err(error) => vec![Left {
            what: format!("whatever the journal of {} names", machine.name),
            why: one_line(error),
        }],
    };
    // The directory of a machine with leftover resources stays, so that a later rm finds them.
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

/// Checks whether provisioning would fail, before anything is created that a rollback would have to remove, and warns
/// of options whose effect differs from what the user typed.
async fn check_options(
    library: &Library,
    driver: &dyn Driver,
    request: &CreateRequest,
) -> Result<(), Error> {
    let warnings = match is_left_alone(driver) {
        true => swarm_warning(&request.swarm).into_iter().collect(),
        false => provisioning_warnings(request).await?,
    };
    let cx = library.context();
    for warning in warnings {
        cx.warn(format!("WARNING: {warning}"));
    }
    Ok(())
}

/// Returns the warnings about the options of provisioning.
///
/// # Errors
/// Provisioning would fail.
pub(crate) async fn provisioning_warnings(request: &CreateRequest) -> Result<Vec<String>, Error> {
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
    let mut warnings = machine_provision::check(&engine_config(&request.engine), name, &scripts)
        .await
        .map_err(|error| Error::Options(Box::new(error)))?;
    warnings.extend(swarm_warning(&request.swarm));
    Ok(warnings)
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

/// Returns whether the user manages the engine: there is nothing to wait for and nothing to set up.
fn is_left_alone(driver: &dyn Driver) -> bool {
    matches!(driver.key_plan(), KeyPlan::Nothing) && driver.ssh().is_none()
}

/// Returns the warning for any option of classic swarm.
fn swarm_warning(swarm: &SwarmOptions) -> Option<String> {
    let lists = [&swarm.arbitrary_flags, &swarm.arbitrary_join_flags];
    let is_wanted = swarm.is_swarm
        || swarm.is_experimental
        || !swarm.discovery.is_empty()
        || !swarm.address.is_empty()
        || lists
            .iter()
            .any(|list| list.iter().flatten().next().is_some());
    is_wanted.then(|| {
        "classic swarm is recorded and NOT set up: no agent and no master is started on the machine. Use Docker's \
         swarm mode: docker swarm init"
            .to_owned()
    })
}

/// Converts a driver error from before anything was created.
fn before_creation(error: DriverError) -> Error {
    match error.kind {
        DriverErrorKind::Configuration => Error::Configuration(error),
        DriverErrorKind::Cancelled => Error::Driver(error),
        _ => Error::PreCreate(error),
    }
}

/// Converts a driver error from the creation. Some checks run together with the first resource's creation, so that
/// no other process can intervene.
fn while_creating(error: DriverError) -> Error {
    match error.kind {
        DriverErrorKind::PreCreate => Error::PreCreate(error),
        _ => Error::DriverCreate(error),
    }
}

/// A timed phase of a create.
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

    /// Ends the phase before the last `took`, which are the next phase. Returns the durations of both.
    fn end_before(self, next: &'static str, took: Duration) -> (Duration, Duration) {
        let (started, begun) = self.begun;
        let whole = self.cx.ambient.monotonic().saturating_sub(begun);
        let took = took.min(whole);
        let first = whole - took;
        for (name, started, took) in [(self.name, started, first), (next, started + first, took)] {
            self.cx.events.emit(Event::Ended(Span {
                kind: SpanKind::Phase,
                name: name.to_owned(),
                started,
                took,
                outcome: SpanOutcome::Ok,
                fields: BTreeMap::new(),
            }));
        }
        (first, took)
    }
}
