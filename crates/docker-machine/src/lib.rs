//! Command line of docker-machine: parsing, the tables of commands and drivers, output.
//!
//! Builds drivers, store and library. It is the only crate that uses the environment of the process, which `main`
//! reads into a [`World`]. Contains no use cases: those are in `libmachine`. Called by `main` and by tests.
//!
//! ```
//! use docker_machine::cli::{Cli, Request};
//! use docker_machine::environment::Environment;
//! use docker_machine::{commands, drivers};
//!
//! let (drivers, environment) = (drivers::table(), Environment::default());
//! let cli = Cli { commands: commands::TABLE, drivers: &drivers, environment: &environment, columns: 80 };
//! let parsed = cli.parse(&["rm".to_owned(), "-f".to_owned(), "runner-1".to_owned()]).unwrap();
//! let Request::Run(command, arguments) = parsed.request else { panic!("not a command") };
//! assert_eq!((command.about().name, arguments.words), ("rm", vec!["runner-1".to_owned()]));
//! ```

pub mod cli;
pub mod commands;
mod context;
mod descriptors;
pub mod drivers;
pub mod environment;
pub mod failure;
mod fetch;
mod fleeting;
mod listing;
pub mod output;
mod remote;
pub mod runner_config;
pub mod signals;
pub mod telemetry;
pub mod version;

use std::sync::Arc;

use machine_driver::Options;
use machine_types::ExitStatus;

use cli::{Arguments, Cli, Command, Request};
pub use context::{Context, World};
use failure::Failure;
use output::console::{Console, Stream};
use telemetry::{Telemetry, Wanted};

/// Runs the command line and returns the exit status.
pub async fn run(world: World) -> ExitStatus {
    if let Some(role) = fleeting::Role::of(&world) {
        return fleeting::run(world, role).await;
    }
    let console = world.console.clone();
    let drivers = drivers::table();
    let cli = Cli {
        commands: commands::TABLE,
        drivers: &drivers,
        environment: &world.environment,
        columns: console.terminals().help_width(),
    };
    let parsed = cli.parse(world.args.get(1..).unwrap_or_default());
    let invocation = match parsed {
        Ok(invocation) => invocation,
        Err(error) => return end(&world, Failure::from(error)).await,
    };
    match invocation.request {
        Request::Help(text) => console.line(Stream::Out, &text),
        Request::Version => console.line(Stream::Out, &version::line()),
        Request::Run(command, arguments) => {
            let (global, warnings) = (invocation.global, invocation.warnings);
            return execute(world, &global, &warnings, command, *arguments).await;
        }
    }
    match all_written(&console) {
        Ok(()) => ExitStatus::Success,
        Err(failure) => end(&world, failure).await,
    }
}

async fn execute(
    world: World,
    global: &Options,
    warnings: &[String],
    command: &dyn Command,
    arguments: Arguments,
) -> ExitStatus {
    let console = world.console.clone();
    let wanted = Wanted {
        debug: global.bool("debug"),
        evaluated: command.is_evaluated(),
        create_log: command.about().name == "create",
        ..wanted(&world)
    };
    let telemetry = Telemetry::new(wanted, world.console.clone(), world.ambient.clone());
    let telemetry = Arc::new(telemetry);
    // A report of a failure needs the version first.
    telemetry.debug(&version::line());
    warnings.iter().for_each(|warning| telemetry.warn(warning));
    if let Some(other) = world.environment.get("MACHINE_LOG")
        && other != "json"
    {
        let text = format!("WARNING: $MACHINE_LOG is ignored: {other:?} is not json");
        console.line(Stream::Err, &text);
    }
    let store = match context::store_path(&world, global) {
        Ok(store) => store,
        Err(_) if !command.needs_store(&arguments) => context::NO_STORE.into(),
        Err(failure) => return end(&world, failure).await,
    };
    let context = Context::new(world, store, global, drivers::table(), telemetry.clone());
    if !command.only_looks() {
        (context.world.listen)(context.world.cancel.clone());
    }
    if !command.leaves_no_trace() {
        libmachine::warn_of_age(&context.library);
    }
    let suspicion = arguments.suspicion.clone();
    let mut ended = command.run(&context, arguments).await;
    if command.is_evaluated() && ended.is_ok() {
        ended = all_written(&console);
    }
    let at_terminal = console.terminals().out;
    let suspicion = suspicion.as_ref();
    let failure = ended
        .err()
        .map(|failure| failure.with_suspicion(suspicion).short(at_terminal));
    if let Some(help) = failure.as_ref().and_then(Failure::help) {
        console.line(Stream::Out, help);
    }
    if failure.is_some() && context.world.cancel.reason() == Some("SIGINT") {
        console.interrupted();
    }
    telemetry
        .finish(command.about().name, failure.as_ref())
        .await;
    failure.map_or(ExitStatus::Success, |failure| failure.status())
}

/// Fails if standard output is incomplete, for commands whose only result is their output.
fn all_written(console: &Console) -> Result<(), Failure> {
    match console.lost() {
        Some(why) => Err(Failure::new(format!(
            "cannot write to standard output: {why}"
        ))),
        None => Ok(()),
    }
}

async fn end(world: &World, failure: Failure) -> ExitStatus {
    let failure = failure.short(world.console.terminals().out);
    if let Some(help) = failure.help() {
        world.console.line(Stream::Out, help);
    }
    // Programs that read the log need this failure, too.
    Telemetry::new(wanted(world), world.console.clone(), world.ambient.clone())
        .finish("unknown", Some(&failure))
        .await;
    failure.status()
}

/// Returns the outputs that the environment enables.
fn wanted(world: &World) -> Wanted {
    let path = |name| {
        world
            .environment
            .get(name)
            .map(|path| world.directory.join(path))
    };
    Wanted {
        debug: false,
        evaluated: false,
        create_log: false,
        json_log: world.environment.get("MACHINE_LOG") == Some("json"),
        trace: path("MACHINE_TRACE"),
        metrics: path("MACHINE_METRICS_FILE"),
    }
}
