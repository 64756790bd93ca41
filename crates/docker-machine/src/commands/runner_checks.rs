//! `doctor --config`: the creates that GitLab Runner would run by its configuration file.
//!
//! GitLab Runner runs `docker-machine create --driver DRIVER --OPTION... NAME`, with `--` before each of
//! `MachineOptions`. The name is `runner-`, eight characters of the token, `-`, and `MachineName`, in which `%s` is the
//! Unix time and eight hexadecimal digits (executors/docker/machine, machine.go and name.go). The fleeting plugin runs
//! the creates of its `plugin_config`.

use fleeting_plugin::{Config, create_arguments};
use libmachine::CreateRequest;
use machine_driver::Check;
use machine_types::{masked, one_line};

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
    let of_executor = config.docker_machine_runners();
    let of_executor = of_executor.map(|(name, runner)| (name, runner, create_line(runner)));
    let of_plugin = config.plugin_runners();
    let of_plugin = of_plugin.map(|(name, runner)| (name, runner, plugin_line(runner)));
    for (name, runner, line) in of_executor.chain(of_plugin) {
        let subject = format!("runner {name}");
        match line.and_then(|line| parse(cx, &line)) {
            Ok((request, notes)) => {
                let line = format!("create --driver {}", request.driver);
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
        let text = format!(
            "no [[runners]] section of {file} has the executor {EXECUTOR:?}, or this program as its plugin"
        );
        found.checks.push(Check::notable("runners", text, ""));
    }
    Ok(found)
}

/// A finding that stops the check of a create. The caller sets its subject.
fn wrong(found: &str, remedy: &str) -> Check {
    Check::wrong("", masked(found), remedy)
}

/// Returns the command line of a create of the executor docker+machine.
fn create_line(runner: &Runner) -> Result<Vec<String>, Check> {
    let settings = &runner.machine;
    let template = &settings.machine_name;
    if template.matches("%s").count() != 1 || template.matches('%').count() != 1 {
        let found = format!("MachineName {template:?} needs exactly one %s");
        return Err(wrong(
            &found,
            "for example MachineName = \"gitlab-docker-machine-%s\"",
        ));
    }
    let unique = template.replace("%s", "1700000000-0a1b2c3d");
    let name = format!("runner-t0k3n123-{unique}");
    let with_name = settings.machine_options_with_name.iter();
    let options = settings.machine_options.iter().cloned();
    let options = options.chain(with_name.map(|option| option.replace("%s", &name)));
    let mut line = vec![format!("--driver={}", settings.machine_driver)];
    line.extend(options.map(|option| format!("--{option}")));
    line.push(name);
    Ok(line)
}

/// Returns the command line of a create of the fleeting plugin.
fn plugin_line(runner: &Runner) -> Result<Vec<String>, Check> {
    let config = serde_json::to_vec(&runner.autoscaler.plugin_config).unwrap_or_default();
    let config = Config::parse(&config);
    let config = config.map_err(|error| wrong(&one_line(error), "correct plugin_config"))?;
    Ok(create_arguments(&config, &config.machine_name(0)))
}

/// Returns what is wrong with an entry of `MachineOptions`, in one line. An unknown driver has no known options.
pub(super) fn mistake(cx: &Context, driver: &str, option: &str) -> Option<String> {
    let line = |option: Option<String>| {
        let driver = Some(format!("--driver={driver}"));
        let words = [driver, option, Some("m1".to_owned())];
        words.into_iter().flatten().collect::<Vec<_>>()
    };
    parse(cx, &line(None)).ok()?;
    let wrong = parse(cx, &line(Some(format!("--{option}")))).err()?;
    let remedy = match wrong.remedy.as_str() {
        CORRECT | "" => String::new(),
        remedy => format!(": {remedy}"),
    };
    let found = match wrong.found.contains("MachineOptions") {
        true => wrong.found,
        false => format!("MachineOptions: {}", wrong.found),
    };
    Some(found + &remedy)
}

/// Remedy for an option if no better one is known.
const CORRECT: &str = "correct MachineDriver or MachineOptions";

/// Parses the command line of a create, and returns its request and its warnings.
fn parse(cx: &Context, line: &[String]) -> Result<(CreateRequest, Vec<String>), Check> {
    // The runner adds dashes.
    if let Some(option) = line.iter().find(|option| option.starts_with("---")) {
        let option = option.strip_prefix("--").unwrap_or(option);
        let (option, _) = option.split_once('=').unwrap_or((option, ""));
        let found = format!("the entry {option:?} of MachineOptions begins with a dash");
        let name = option.trim_start_matches('-');
        return Err(wrong(&found, &format!("write {name:?}")));
    }
    // The value may be a secret.
    let is_blank = |c: char| c.is_whitespace();
    let mut names = line
        .iter()
        .map(|option| option.split_once('=').map_or(option.as_str(), |it| it.0));
    if let Some(option) = names.find(|name| name.starts_with("--") && name.contains(is_blank)) {
        let name = option.split(is_blank).next().unwrap_or_default();
        let name = name.trim_start_matches('-');
        let found = format!("the entry {name:?} of MachineOptions has a blank before its value");
        return Err(wrong(&found, &format!("write \"{name}=VALUE\"")));
    }
    let drivers = crate::drivers::table();
    let cli = Cli {
        commands: super::TABLE,
        drivers: &drivers,
        environment: &cx.world.environment,
        columns: cx.world.console.terminals().help_width(),
    };
    let correct = CORRECT;
    let argv = [&["create".to_owned()], line].concat();
    let parsed = cli.parse(&argv).map_err(|error| {
        let remedy = error.hint.unwrap_or_else(|| correct.to_owned());
        wrong(&error.message, &remedy)
    })?;
    let Request::Run(_, arguments) = parsed.request else {
        return Err(wrong("an option asks for help", correct));
    };
    let request = create::request(&cx.world, *arguments);
    let request = request.map_err(|failure| wrong(&failure.text().replace('\n', " "), correct))?;
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
