//! The executable as a fleeting plugin of GitLab Runner: the plugin itself, and the children that do its work.

use std::cell::RefCell;
use std::io::{BufRead as _, stderr};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fleeting_plugin::{
    COMMAND, Children, Config, Level, Log, Machines, Opener, Service, Task, Told, Work,
    create_arguments, is_plugin, listen, serve,
};
use libmachine::{CreateRequest, Error, PoolMember, Removal, RemoveOptions};
use machine_driver::Options;
use machine_types::{ExitStatus, one_line};
use tokio::sync::{OnceCell, watch};

use crate::cli::{Arguments, Cli, Request};
use crate::commands::create;
use crate::context::{self, Context, World};
use crate::failure::Failure;
use crate::output::console::{Console, Stream};
use crate::telemetry::{Telemetry, Wanted};
use crate::{commands, drivers, signals, version};

/// The prefix of an executable that a runner looks for: `plugin = "docker-machine"` and
/// `plugin = "fleeting-plugin-docker-machine"` both name `fleeting-plugin-docker-machine`.
const PREFIX: &str = "fleeting-plugin-";

/// Roles of the executable that the command line does not have.
pub(crate) enum Role {
    /// The plugin, started by a runner.
    Plugin,
    /// A child of the plugin.
    Child,
    /// The plugin, started by a user.
    ByHand,
}

impl Role {
    /// Returns the role of this process; `None` for the command line.
    pub(crate) fn of(world: &World) -> Option<Self> {
        let mut args = world.args.iter();
        let program = args.next().map(String::as_str).unwrap_or_default();
        let is_named = || {
            let name = program.rsplit('/').next().unwrap_or_default();
            name.starts_with(PREFIX)
        };
        match args.next().map(String::as_str) {
            Some(COMMAND) => Some(Self::Child),
            _ if is_plugin(|name| owned(world, name)) => Some(Self::Plugin),
            None if is_named() => Some(Self::ByHand),
            _ => None,
        }
    }
}

fn owned(world: &World, name: &str) -> Option<String> {
    world.environment.get(name).map(str::to_owned)
}

/// Runs the process in a role.
pub(crate) async fn run(world: World, role: Role) -> ExitStatus {
    match role {
        Role::ByHand => {
            world.console.line(Stream::Err, &by_hand());
            ExitStatus::Failure
        }
        // The host ends the plugin by a call. systemd sends its signals to all processes of the runner, and a plugin that
        // ends by one is never started again.
        Role::Plugin => {
            signals::ignore();
            plugin(world).await
        }
        Role::Child => {
            signals::ignore();
            child(world).await
        }
    }
}

/// Returns the output of a plugin that a user starts.
fn by_hand() -> String {
    let kinds = drivers::table();
    let of_a_cloud = kinds
        .iter()
        .find_map(|kind| Some((kind.name(), kind.cloud()?)));
    let (driver, flag) = of_a_cloud.map_or(("NAME", "OPTION"), |(name, cloud)| {
        (
            name,
            cloud.place_flags().first().copied().unwrap_or("OPTION"),
        )
    });
    format!(
        "\
This is a fleeting plugin of GitLab Runner: the runner starts it. In the runner's config.toml:

  executor = \"docker-autoscaler\"
  [runners.autoscaler]
    plugin = \"fleeting-plugin-docker-machine\"
    [runners.autoscaler.plugin_config]
      name           = \"ci\"
      MachineDriver  = \"{driver}\"
      MachineName    = \"gitlab-docker-machine-%s\"
      MachineOptions = [\"{flag}=...\"]

'docker-machine convert-runner-config' converts an existing [runners.machine].
With arguments, this program is docker-machine: see 'docker-machine --help'."
    )
}

async fn plugin(world: World) -> ExitStatus {
    let ambient = world.ambient.clone();
    let log = Log::new(Box::new(stderr()), ambient.clone());
    let socket = match listen(|name| owned(&world, name), ambient.random()) {
        Ok(socket) => socket,
        Err(error) => {
            log.line(Level::Error, &one_line(error), &[]);
            return ExitStatus::Failure;
        }
    };
    // The host connects as soon as it has read this line.
    world.console.write(Stream::Out, socket.line().as_bytes());
    let opener = Pools {
        world: Arc::new(world),
        log: log.clone(),
    };
    let service = Service {
        opener: Box::new(opener),
        ambient,
        log,
        version: version::version().to_owned(),
        end: watch::Sender::new(false),
        opened: OnceCell::new(),
    };
    serve(socket, Arc::new(service)).await;
    ExitStatus::Success
}

/// Opens pools in the store that the environment and the configuration name.
struct Pools {
    world: Arc<World>,
    log: Log,
}

#[async_trait]
impl Opener for Pools {
    async fn open(&self, config: &Config) -> Result<Arc<dyn Machines>, String> {
        let failed = |failure: Failure| failure.text().replace("\n  ", "; ");
        let world = &*self.world;
        let storage = config.storage_path.as_deref().unwrap_or("".as_ref());
        let name = config.machine_name(0);
        let arguments = create_arguments(config, &name);
        let (global, request) = parse(world, storage, &arguments).map_err(failed)?;
        let kinds = drivers::table();
        let kind = kinds.iter().find(|kind| kind.name() == request.driver);
        if kind.is_none_or(|kind| kind.cloud().is_none()) {
            return Err(format!(
                "MachineDriver {:?} creates no machines: a pool needs one that does",
                request.driver
            ));
        }
        let store = context::store_path(world, &global).map_err(failed)?;
        let events = Arc::new(self.log.clone());
        let library = context::library(world, store, &global, kinds, events);
        libmachine::check(&library, &request)
            .await
            .map_err(|error| failed(Failure::from(error)))?;
        Ok(Arc::new(Children {
            config: config.clone(),
            library,
            log: self.log.clone(),
            lock: Mutex::default(),
            is_lost: AtomicBool::new(false),
            unknown: Mutex::default(),
        }))
    }
}

/// Parses the arguments of a create in a store.
fn parse(
    world: &World,
    storage: &Path,
    arguments: &[String],
) -> Result<(Options, CreateRequest), Failure> {
    let mut line = vec!["create".to_owned()];
    line.extend_from_slice(arguments);
    let (global, arguments) = parse_line(world, storage, line)?;
    Ok((global, create::request(world, arguments)?))
}

/// Parses a command line of docker-machine.
fn parse_line(
    world: &World,
    storage: &Path,
    command: Vec<String>,
) -> Result<(Options, Arguments), Failure> {
    let drivers = drivers::table();
    let cli = Cli {
        commands: commands::TABLE,
        drivers: &drivers,
        environment: &world.environment,
        columns: world.console.terminals().help_width(),
    };
    let mut line = command;
    // Otherwise the environment names the store, or the home directory.
    if !storage.as_os_str().is_empty() {
        line.insert(0, format!("--storage-path={}", storage.display()));
    }
    let invocation = cli.parse(&line)?;
    match invocation.request {
        Request::Run(_, arguments) => Ok((invocation.global, *arguments)),
        Request::Help(_) | Request::Version => {
            Err(Failure::new("MachineOptions do not describe a machine"))
        }
    }
}

/// Does the work that standard input describes, and reports it on standard output.
async fn child(world: World) -> ExitStatus {
    let mut line = String::new();
    let read = {
        let mut input = world.input.lock().unwrap_or_else(PoisonError::into_inner);
        input.read_line(&mut line)
    };
    let work = read.map_err(serde_json::Error::io);
    let work = work.and_then(|_| serde_json::from_str::<Work>(&line));
    let Ok(work) = work else {
        let message = format!("'{COMMAND}' is a part of the fleeting plugin, which starts it");
        world.console.line(Stream::Err, &message);
        return ExitStatus::Failure;
    };
    let wanted = Wanted {
        // Standard output has the reports only: no other line may look like one.
        evaluated: true,
        json_log: true,
        create_log: matches!(work.task, Task::Create(_)),
        ..match work.task {
            // Every 15 seconds.
            Task::States(_) => Wanted::default(),
            _ => crate::wanted(&world),
        }
    };
    let telemetry = Telemetry::new(wanted, world.console.clone(), world.ambient.clone());
    let telemetry = Arc::new(telemetry);
    let (command, ended) = match &work.task {
        Task::Create(name) => {
            cancel_at_the_end(&world);
            (
                "create",
                create(world, &work, name, telemetry.clone()).await,
            )
        }
        Task::Remove(names) => ("rm", remove(world, &work, names, telemetry.clone()).await),
        Task::States(names) => {
            cancel_at_the_end(&world);
            ("ls", states(world, &work, names, telemetry.clone()).await)
        }
        Task::RemoveOrphans => {
            cancel_at_the_end(&world);
            let removed = remove_orphans(world, &work, telemetry.clone());
            ("prune", removed.await)
        }
    };
    telemetry.finish(command, ended.as_ref().err()).await;
    ended.map_or_else(|failure| failure.status(), |()| ExitStatus::Success)
}

/// Opens the pool's store, and parses the create of a machine.
fn open(
    world: World,
    work: &Work,
    name: &str,
    telemetry: Arc<Telemetry>,
) -> Result<(Context, CreateRequest), Failure> {
    let arguments = create_arguments(&work.config, name);
    let (global, request) = parse(&world, &work.storage_path, &arguments)?;
    let store = context::store_path(&world, &global)?;
    let context = Context::new(world, store, &global, drivers::table(), telemetry);
    Ok((context, request))
}

async fn create(
    world: World,
    work: &Work,
    name: &str,
    telemetry: Arc<Telemetry>,
) -> Result<(), Failure> {
    let (console, cancel) = (world.console.clone(), world.cancel.clone());
    let limit = work.config.create_timeout;
    let created = match open(world, work, name, telemetry) {
        Ok((context, request)) => {
            let request = CreateRequest {
                pool: Some(PoolMember {
                    name: work.config.name.clone(),
                    docker: work.config.docker,
                    ready: false,
                }),
                limit,
                ..request
            };
            let created = libmachine::create(&context.library, request).await;
            created.map(drop).map_err(Failure::from)
        }
        Err(failure) => Err(failure),
    };
    let failure = created.err().map(|failure| match failure.cause() {
        CANCELLED if cancel.reason() != Some(PLUGIN) => {
            failure.with_hint(format!("create_timeout is {} s", limit.as_secs()))
        }
        _ => failure,
    });
    let told = match &failure {
        None => Told::Created,
        Some(failure) => Told::NotCreated {
            reason: failure.text().replace("\n  ", "; "),
            is_capacity: failure.cause() == CAPACITY,
        },
    };
    tell(&console, &told);
    failure.map_or(Ok(()), Err)
}

/// The reason of a create that the plugin cancels. Any other one is its time limit, since signals are ignored.
const PLUGIN: &str = "the plugin";

/// Causes of failures; see [`Error::cause`].
const CAPACITY: &str = "capacity";
const CANCELLED: &str = "cancelled";

/// Timeout of a query of the states.
const QUERY: Duration = Duration::from_secs(60);

async fn states(
    world: World,
    work: &Work,
    names: &[String],
    telemetry: Arc<Telemetry>,
) -> Result<(), Failure> {
    let console = world.console.clone();
    let (context, _) = open(world, work, &work.config.machine_name(0), telemetry)?;
    let names = names.iter().cloned().collect();
    for (name, state) in libmachine::member_states(&context.library, &names, QUERY).await {
        tell(&console, &Told::State(name, state));
    }
    Ok(())
}

async fn remove_orphans(
    world: World,
    work: &Work,
    telemetry: Arc<Telemetry>,
) -> Result<(), Failure> {
    let (config, console) = (&work.config, world.console.clone());
    let (context, request) = open(world, work, &config.machine_name(0), telemetry.clone())?;
    let is_member = |name: &str| config.is_member(name);
    let library = &context.library;
    let (driver, flags) = (request.driver.as_str(), &request.options);
    let ended = libmachine::remove_orphans(library, driver, flags, is_member).await;
    let repeated = "the attempt is repeated, and 'docker-machine prune' does it too";
    let (removed, left) = ended.map_err(|error| {
        let failure = Failure::of("cannot search for orphaned resources", &error);
        failure.with_hint(repeated.to_owned())
    })?;
    if removed > 0 {
        telemetry.warn(&format!("removed {removed} orphaned resources"));
    }
    if left.is_empty() {
        return Ok(());
    }
    tell(&console, &Told::Left);
    let left: Vec<String> = left
        .iter()
        .map(|left| format!("{}: {}", left.what, left.why))
        .collect();
    let text = format!("cannot remove orphaned resources: {}", left.join("; "));
    Err(Failure::new(text).with_hint(repeated.to_owned()))
}

async fn remove(
    world: World,
    work: &Work,
    names: &[String],
    telemetry: Arc<Telemetry>,
) -> Result<(), Failure> {
    let console = world.console.clone();
    let line = [&["rm".to_owned()], names].concat();
    let (global, _) = parse_line(&world, &work.storage_path, line)?;
    let options = RemoveOptions {
        force: false,
        places: drivers::places(&world.environment),
    };
    let store = context::store_path(&world, &global)?;
    let context = Context::new(world, store, &global, drivers::table(), telemetry.clone());
    let failures = RefCell::new(Vec::new());
    let progress = |name: &str, removal: Removal| {
        match removal {
            Removal::Ending => return tell(&console, &Told::Ending(name.to_owned())),
            Removal::Ended(Ok(removed)) => {
                for left in removed.left {
                    let (what, why) = (left.what, left.why);
                    telemetry.warn(&format!(
                        "{name}: left behind, and on record: {what} ({why})"
                    ));
                }
            }
            // Of a store that is not where it was, nothing is known.
            Removal::Ended(Err(Error::NotFound(_)))
                if libmachine::is_in_place(&context.library) => {}
            Removal::Ended(Err(error)) => {
                return failures.borrow_mut().push(Failure::from(error));
            }
        }
        tell(&console, &Told::Removed(name.to_owned()));
    };
    libmachine::remove_all(&context.library, names, &options, &progress).await;
    let failures = failures.into_inner();
    match failures.is_empty() {
        true => Ok(()),
        false => Err(Failure::joined(failures)),
    }
}

fn tell(console: &Console, told: &Told) {
    let line = serde_json::to_string(told).unwrap_or_default();
    console.line(Stream::Out, &line);
}

/// Cancels the operation when standard input ends: the plugin has closed it, or has ended.
fn cancel_at_the_end(world: &World) {
    let (input, cancel) = (world.input.clone(), world.cancel.clone());
    let watch = move || {
        let mut input = input.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing more is sent.
        let _ = std::io::copy(&mut *input, &mut std::io::sink());
        cancel.cancel(PLUGIN);
    };
    let thread = std::thread::Builder::new()
        .name("input".into())
        .stack_size(64 * 1024)
        .spawn(watch);
    // A create that nobody could cancel must not begin.
    if thread.is_err() {
        world.cancel.cancel(PLUGIN);
    }
}
