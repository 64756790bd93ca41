//! `doctor --config`: the creates that GitLab Runner would run by its configuration file.
//!
//! GitLab Runner runs `docker-machine create --driver DRIVER --OPTION... NAME`, with `--` before each of
//! `MachineOptions`. The name is `runner-`, eight characters of the token, `-`, and `MachineName`, in which `%s` is the
//! Unix time and eight hexadecimal digits (executors/docker/machine, machine.go and name.go).

use libmachine::CreateRequest;
use machine_driver::Check;
use machine_types::masked;

use super::create;
use crate::cli::{Cli, Request};
use crate::context::Context;
use crate::failure::Failure;
use crate::runner_config::{EXECUTOR, Runner, RunnerConfig};

/// The findings in a configuration file, and the creates that they allow, each with its subject.
#[derive(Debug, Default)]
pub(super) struct RunnerChecks {
    pub(super) checks: Vec<Check>,
    pub(super) creates: Vec<(String, CreateRequest)>,
}

/// Reads a configuration file and checks its `[runners.machine]` tables, without network calls.
///
/// # Errors
/// Fails if the file cannot be read.
pub(super) fn read(cx: &Context, file: &str) -> Result<RunnerChecks, Failure> {
    let config = RunnerConfig::open(&cx.world.directory.join(file), file)
        .map_err(|error| Failure::chained("", &error))?;
    let mut found = RunnerChecks::default();
    for (name, runner) in config.docker_machine_runners() {
        let subject = format!("runner {name}");
        match create_of(cx, runner) {
            Ok((request, notes)) => {
                let options = runner.machine.machine_options.len();
                let line = format!("create --driver {} with {options} options", request.driver);
                found.checks.push(Check::right(&subject, line));
                let note = |note: String| Check::notable(&subject, masked(&note), "");
                found.checks.extend(notes.into_iter().map(note));
                found.creates.push((subject.clone(), request));
            }
            Err(wrong) => found.checks.push(Check {
                subject: subject.clone(),
                ..wrong
            }),
        }
        found.checks.extend(ignored(&subject, runner));
    }
    if found.checks.is_empty() {
        let text = format!("no [[runners]] section of {file} has the executor {EXECUTOR:?}");
        found.checks.push(Check::notable("runners", text, ""));
    }
    Ok(found)
}

/// Parses the command line of a runner's create, and returns its request and its warnings.
fn create_of(cx: &Context, runner: &Runner) -> Result<(CreateRequest, Vec<String>), Check> {
    let settings = &runner.machine;
    let wrong = |found: String, remedy: &str| Check::wrong("", masked(&found), remedy);
    let template = &settings.machine_name;
    if template.matches("%s").count() != 1 || template.matches('%').count() != 1 {
        let found = format!("MachineName {template:?} needs exactly one %s");
        return Err(wrong(
            found,
            "for example MachineName = \"gitlab-docker-machine-%s\"",
        ));
    }
    let unique = template.replace("%s", "1700000000-0a1b2c3d");
    let name = format!("runner-t0k3n123-{unique}");
    let with_name = settings.machine_options_with_name.iter();
    let options = settings.machine_options.iter().cloned();
    let options = options.chain(with_name.map(|option| option.replace("%s", &name)));
    let options: Vec<String> = options.collect();
    // The runner adds dashes: `----engine-opt` ends the flags.
    if let Some(option) = options.iter().find(|option| option.starts_with('-')) {
        let (option, _) = option.split_once('=').unwrap_or((option, ""));
        let found = format!("the entry {option:?} of MachineOptions begins with a dash");
        let name = option.trim_start_matches('-');
        return Err(wrong(found, &format!("write {name:?}")));
    }
    let mut argv = vec![
        "create".to_owned(),
        "--driver".to_owned(),
        settings.machine_driver.clone(),
    ];
    argv.extend(options.iter().map(|option| format!("--{option}")));
    argv.push(name);
    let drivers = crate::drivers::table();
    let cli = Cli {
        commands: super::TABLE,
        drivers: &drivers,
        environment: &cx.world.environment,
        columns: cx.world.console.terminals().help_width(),
    };
    let correct = "correct MachineDriver or MachineOptions";
    let parsed = cli.parse(&argv).map_err(|error| {
        let remedy = error.hint.unwrap_or_else(|| correct.to_owned());
        wrong(error.message, &remedy)
    })?;
    let Request::Run(_, arguments) = parsed.request else {
        return Err(wrong("an option asks for help".to_owned(), correct));
    };
    let request = create::request(&cx.world, *arguments);
    let request = request.map_err(|failure| wrong(failure.text().replace('\n', " "), correct))?;
    Ok((request, parsed.warnings))
}

/// Returns a note for each setting that GitLab Runner ignores.
fn ignored<'a>(subject: &'a str, runner: &'a Runner) -> impl Iterator<Item = Check> + 'a {
    let settings = &runner.machine;
    let sections = settings.autoscaling.iter();
    let unknown = sections.flat_map(|section| section.unknown.keys());
    let unknown = settings.unknown.keys().chain(unknown).map(move |key| {
        let found = format!("GitLab Runner does not know the setting {key}");
        Check::notable(subject, found, "check its spelling")
    });
    let off_peak = (!settings.off_peak_periods.is_empty()).then(|| {
        let found = "GitLab Runner ignores the OffPeak settings since version 14.0";
        Check::notable(subject, found, "use [[runners.machine.autoscaling]]")
    });
    unknown.chain(off_peak)
}
