//! Parses the whole command line into a command, its options and its positionals.
//!
//! [`crate::cli::argv`] has converted the words to the canonical form. This module has clap parse them, by the
//! declarations in `declare`, and reads the options. It also renders help. It does not run commands.

use std::sync::Arc;

use clap::ArgMatches;
use clap::error::ErrorKind;
use machine_driver::{DriverKind, FlagSpec, Options};
use machine_types::nearest;

use crate::cli::argv::{self, Flag, Grammar, Line, SyntaxError};
use crate::cli::command::Command;
use crate::cli::options::{self, Owner};
use crate::cli::usage::{UsageError, refused_flag};
use crate::cli::{help, hints};
use crate::environment::Environment;
use crate::failure::{Failure, Help};

use crate::cli::declare::For;

/// A parsed command line.
pub struct Invocation {
    /// The flags before the command.
    pub global: Options,
    /// The request.
    pub request: Request,
    /// Warnings about ignored environment variables, for standard error.
    pub warnings: Vec<String>,
}

/// Requested action.
pub enum Request {
    /// `--help`, or an empty command line.
    Help(String),
    /// `--version`.
    Version,
    /// A command.
    Run(&'static dyn Command, Box<Arguments>),
}

/// Arguments of a command.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// Flags of the command.
    pub options: Options,
    /// Driver name, of `create`.
    pub driver_name: &'static str,
    /// Driver flags, of `create`.
    pub driver: Options,
    /// Positionals.
    pub words: Vec<String>,
    /// Help that is printed with a usage error.
    pub usage: Usage,
}

/// Help of a command, rendered on first use, because rendering takes longer than most commands.
#[derive(Clone, Default)]
pub struct Usage {
    commands: &'static [&'static dyn Command],
    drivers: Vec<Arc<dyn DriverKind>>,
    command: Option<&'static dyn Command>,
    driver: &'static str,
    columns: usize,
}

impl std::fmt::Debug for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(name_of(self.command))
    }
}

impl Usage {
    /// Creates a usage failure: the message, with this help on standard output.
    pub fn failure(&self, message: impl Into<String>) -> Failure {
        UsageError::new(message).with_help(self.help()).into()
    }

    fn help(&self) -> Help {
        let driver = self.drivers.iter().find(|kind| kind.name() == self.driver);
        let cli = Cli {
            commands: self.commands,
            drivers: &self.drivers,
            environment: &Environment::default(),
            columns: self.columns,
        };
        cli.help_of(
            self.command.map(|command| command as &dyn Command),
            driver.map(|kind| &**kind),
        )
    }
}

/// Creates the error of a `create` without a driver: this binary lacks virtualbox, the Go binary's default.
pub(crate) fn no_driver(names: &[&'static str]) -> UsageError {
    let flags: Vec<_> = names
        .iter()
        .map(|name| format!("--driver {name}"))
        .collect();
    UsageError::new("no driver given").with_hint(format!("choose one: {}", flags.join(", ")))
}

/// The environment variable equivalent to `--debug`.
const DEBUG_VARIABLE: &str = "MACHINE_DEBUG";

fn debug_flag() -> FlagSpec {
    FlagSpec::bool(
        "debug",
        "Log every step, API call and wait with its duration",
    )
    .env(DEBUG_VARIABLE)
}

/// The flags before the command.
pub fn global_flags() -> Vec<Flag> {
    let text = |name, env, help| Flag::new(FlagSpec::string(name, help).env(env));
    let switch = |name, help| FlagSpec::bool(name, help);
    vec![
        Flag::new(debug_flag()).short("D"),
        text(
            "storage-path",
            "MACHINE_STORAGE_PATH",
            "Where machines and certificates are kept, instead of ~/.docker/machine",
        )
        .short("s"),
        text(
            "tls-ca-cert",
            "MACHINE_TLS_CA_CERT",
            "The CA's certificate, instead of certs/ca.pem",
        ),
        text(
            "tls-ca-key",
            "MACHINE_TLS_CA_KEY",
            "The CA's private key, instead of certs/ca-key.pem",
        ),
        text(
            "tls-client-cert",
            "MACHINE_TLS_CLIENT_CERT",
            "The client's certificate, instead of certs/cert.pem",
        ),
        text(
            "tls-client-key",
            "MACHINE_TLS_CLIENT_KEY",
            "The client's private key, instead of certs/key.pem",
        ),
        text(
            "github-api-token",
            "MACHINE_GITHUB_API_TOKEN",
            "Accepted, and not used",
        ),
        Flag::new(switch("native-ssh", "Accepted: SSH is always native").env("MACHINE_NATIVE_SSH")),
        text(
            "bugsnag-api-token",
            "MACHINE_BUGSNAG_API_TOKEN",
            "Accepted: nothing is ever sent anywhere",
        ),
        help_flag(),
        Flag::new(switch("version", "Print the version")).short("v"),
    ]
}

fn help_flag() -> Flag {
    Flag::new(FlagSpec::bool("help", "Print help")).short("h")
}

/// The command line of this binary, for one table of drivers.
pub struct Cli<'a> {
    /// The commands, in the order of help.
    pub commands: &'static [&'static dyn Command],
    /// The drivers.
    pub drivers: &'a [Arc<dyn DriverKind>],
    /// Environment variables, which provide values of flags.
    pub environment: &'a Environment,
    /// Maximum width of help, in columns.
    pub columns: usize,
}

impl Cli<'_> {
    /// Parses a command line without the program name.
    ///
    /// # Errors
    /// Returns [`UsageError`] with the message of the Go binary and the matching help.
    pub fn parse(&self, args: &[String]) -> Result<Invocation, UsageError> {
        // Read first, as in the Go binary. It is the only variable whose invalid value is an error.
        if let Some(value) = self.environment.get(DEBUG_VARIABLE)
            && !argv::fits(&debug_flag(), value)
        {
            return Err(UsageError::new(format!(
                "Error parsing boolean value from {DEBUG_VARIABLE}: {value:?} is neither true nor false"
            )));
        }
        let mut line = argv::normalize(&self.grammar(args), args).map_err(|refused| {
            let command = refused.command.as_deref().and_then(|name| self.find(name));
            let error = UsageError::new(refused.why.to_string());
            let error = match &refused.why {
                SyntaxError::NotANumber { flag, value, .. } => {
                    error.with_hint(hints::number(flag, value))
                }
                SyntaxError::ValueIsFlag { name, next } => error.with_hint(format!(
                    "{next} is a flag; if it is meant as the value, write --{name}={next}"
                )),
                _ => error,
            };
            error.with_help(self.help_of(command, None))
        })?;
        let command = match &line.command {
            Some(name) => Some(self.find(name).ok_or_else(|| self.unknown_command(name))?),
            None => None,
        };
        line.command = command.map(|command| command.about().name.to_owned());
        let driver = match command {
            Some(command) if command.takes_driver_flags() => {
                let found = self.driver(command, &line);
                // For `--drivr none` the wrong word is the flag, not the driver.
                found.map_err(|error| self.unknown_flag(&line).unwrap_or(error))?
            }
            _ => None,
        };
        let matches = self
            .clap(command.as_slice(), driver, For::Parsing)
            .try_get_matches_from(line.for_clap())
            .map_err(|error| {
                let about = command.filter(|_| !in_global(&line, &error));
                let help = self.help_of(about, driver);
                self.refused(&line, driver, &error).with_help(help)
            })?;
        let mut warnings = Vec::new();
        let mut read = |flags: Vec<FlagSpec>, owner, matches: &ArgMatches| {
            options::read(flags, owner, matches, self.environment, &mut warnings)
        };
        let global = read(specs(global_flags()), Owner::Binary, &matches);
        let request = match (command, matches.subcommand_matches(name_of(command))) {
            _ if global.bool("help") => Request::Help(self.help_as_asked(None, None, &line)),
            _ if global.bool("version") => Request::Version,
            (Some(command), Some(matches)) => {
                let options = read(specs(all_flags(command)), Owner::Binary, matches);
                if options.bool("help") {
                    Request::Help(self.help_as_asked(Some(command), driver, &line))
                } else {
                    let drivers_flags = driver.map(|driver| driver.flags()).unwrap_or_default();
                    let driver_options = read(drivers_flags, Owner::Driver, matches);
                    Request::Run(
                        command,
                        Box::new(Arguments {
                            driver_name: driver.map(|driver| driver.name()).unwrap_or_default(),
                            options,
                            driver: driver_options,
                            words: line.words,
                            usage: Usage {
                                commands: self.commands,
                                drivers: self.drivers.to_vec(),
                                command: Some(command),
                                driver: driver.map(|driver| driver.name()).unwrap_or_default(),
                                columns: self.columns,
                            },
                        }),
                    )
                }
            }
            _ => Request::Help(self.help(None, None)),
        };
        Ok(Invocation {
            global,
            request,
            warnings,
        })
    }

    /// Returns a command by its name; `h` is short for `help`.
    pub fn find(&self, name: &str) -> Option<&'static dyn Command> {
        let name = if name == "h" { "help" } else { name };
        let mut commands = self.commands.iter().copied();
        commands.find(|command| command.about().name == name)
    }

    fn help_as_asked(
        &self,
        command: Option<&dyn Command>,
        driver: Option<&dyn DriverKind>,
        line: &Line,
    ) -> String {
        match line.short_help {
            true => self.short_help(command, driver),
            false => self.help(command, driver),
        }
    }

    /// Renders the help of `-h`: without the long description of a command, with the names alone of the flags in groups;
    /// without the options of the program.
    fn short_help(&self, command: Option<&dyn Command>, driver: Option<&dyn DriverKind>) -> String {
        let more = format!("Run '{}' for more.", command_line(command, driver));
        let Some(command) = command else {
            let text = self.help(None, None);
            let (text, _) = text.split_once("\nOptions:\n").unwrap_or((&text, ""));
            return format!("{text}\n{more}");
        };
        let mut flags = all_flags(command);
        if command.takes_driver_flags() {
            let of_driver = driver.map(DriverKind::flags).unwrap_or_default();
            flags.splice(0..0, of_driver.into_iter().map(Flag::new));
        }
        let program = self.clap(&[command], driver, For::Showing);
        let groups = help::names_of_groups(&flags, self.columns);
        rendered(program, Some(command), |command| {
            let after = command.get_after_help().cloned().unwrap_or_default();
            let after = format!("{groups}{after}\n\n{more}");
            let is_grouped = |arg: &clap::Arg| {
                flags
                    .iter()
                    .any(|flag| arg.get_id() == flag.spec.name && !flag.spec.group.is_empty())
            };
            command
                .mut_args(|arg| match is_grouped(&arg) {
                    true => arg.hide(true),
                    false => arg,
                })
                .after_help(after.trim().to_owned())
        })
    }

    /// Renders the help of a command, with a driver's flags if it takes them; for `None`, the help of the program.
    pub fn help(&self, command: Option<&dyn Command>, driver: Option<&dyn DriverKind>) -> String {
        let program = match &command {
            Some(_) => self.clap(command.as_slice(), driver, For::Showing),
            None => self.clap(self.commands, driver, For::Showing),
        };
        let text = rendered(program, command, |command| {
            let about = command.get_long_about().cloned().unwrap_or_default();
            command.about(about)
        });
        match command {
            Some(_) => text,
            None => help::grouped(&text).trim_end().to_owned(),
        }
    }

    /// Returns the help of a command, and the command line that prints it.
    fn help_of(&self, command: Option<&dyn Command>, driver: Option<&dyn DriverKind>) -> Help {
        Help {
            text: self.help(command, driver),
            command_line: command_line(command, driver),
        }
    }

    /// Returns the grammar of the commands whose names are on the line.
    fn grammar(&self, args: &[String]) -> Grammar {
        let may_be = |command: &&&dyn Command| args.iter().any(|arg| arg == command.about().name);
        let of = |command: &dyn Command| {
            let mut flags = all_flags(command);
            if command.takes_driver_flags() {
                let drivers = self.drivers.iter().flat_map(|kind| kind.flags());
                flags.extend(drivers.map(Flag::new));
            }
            (command.about().name, flags)
        };
        Grammar {
            global: global_flags(),
            commands: self
                .commands
                .iter()
                .filter(may_be)
                .map(|command| of(*command))
                .collect(),
            raw: self
                .commands
                .iter()
                .filter(|command| command.takes_words_as_they_are())
                .map(|command| command.about().name)
                .collect(),
        }
    }

    /// Returns the driver of a command. Returns `None` if the command needs none, if only help is requested, or if no
    /// driver is given and nothing on the line depends on it.
    fn driver(
        &self,
        command: &dyn Command,
        line: &Line,
    ) -> Result<Option<&dyn DriverKind>, UsageError> {
        let typed = argv::last_value(&line.flags, "driver").filter(|name| !name.is_empty());
        let given = typed.or_else(|| self.environment.get("MACHINE_DRIVER"));
        let only_help = argv::last_value(&line.flags, "help").is_some();
        let known: Vec<_> = self.drivers.iter().map(|kind| kind.name()).collect();
        let Some(name) = given else {
            return match self.driver_of_flags(line) {
                Some((flag, kind)) if command.needs_driver() && !only_help => {
                    Err(no_driver(&known).with_hint(format!(
                        "--{flag} is an option of the driver {kind}: add --driver {kind}"
                    )))
                }
                _ => Ok(None),
            };
        };
        if let Some(kind) = self.drivers.iter().find(|kind| kind.name() == name) {
            return Ok(Some(kind.as_ref()));
        }
        let error = UsageError::new(format!(
            "Driver {name:?} not found. Do you have the plugin binary \"docker-machine-driver-{name}\" accessible in your PATH?"
        ));
        Err(error.with_hint(match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!(
                "choose one with --driver: {}. Plugin drivers are not loaded",
                known.join(", ")
            ),
        }))
    }

    /// Returns the flag on a line that no driver has.
    fn unknown_flag(&self, line: &Line) -> Option<UsageError> {
        let all = self.clap_of_all(For::Parsing);
        let error = all.try_get_matches_from(line.for_clap()).err()?;
        let unknown = error.kind() == ErrorKind::UnknownArgument;
        unknown.then(|| self.refused(line, None, &error))
    }

    /// Converts an error of clap to the Go binary's wording. Adds a suggestion: another driver's flag, a flag at
    /// another position, a flag without its driver's prefix, or the nearest one.
    fn refused(
        &self,
        line: &Line,
        driver: Option<&dyn DriverKind>,
        error: &clap::Error,
    ) -> UsageError {
        let refused = UsageError::of_clap(error);
        let flag = refused_flag(error).unwrap_or_default();
        let name = flag.trim_start_matches('-');
        let has =
            |kind: &dyn DriverKind, name: &str| kind.flags().iter().any(|spec| spec.name == name);
        if let Some(kind) = self.drivers.iter().find(|kind| has(&***kind, name)) {
            let kind = kind.name();
            return refused.with_hint(format!("it is an option of the driver {kind}"));
        }
        let command = line.command.as_deref().unwrap_or_default();
        let flags = match self.find(command) {
            Some(command) => all_flags(command),
            None => Vec::new(),
        };
        let dashed = |flag: &Flag| match flag.spec.name.len() {
            1 => format!("-{}", flag.spec.name),
            _ => format!("--{}", flag.spec.name),
        };
        let meant = hints::flag(name).unwrap_or(name);
        if line.global.contains(&flag) {
            if meant != name {
                return refused.with_hint(format!("did you mean '--{meant}'?"));
            }
            return match flags.iter().find(|flag| flag.is_called(name)) {
                Some(flag) => refused.with_hint(format!(
                    "{} stands behind the command: docker-machine {command} {}",
                    dashed(flag),
                    dashed(flag)
                )),
                None => refused,
            };
        }
        let global = global_flags();
        let is_meant = |flag: &&Flag| flag.is_called(meant) && flag.spec.name != "version";
        if let Some(flag) = global.iter().find(is_meant) {
            return refused.with_hint(format!(
                "did you mean 'docker-machine {} {command}'?",
                dashed(flag)
            ));
        }
        let all = self.drivers.iter().map(|kind| &**kind);
        let prefixed = driver
            .into_iter()
            .chain(all)
            .map(|kind| (kind, format!("{}-{name}", kind.name())))
            .find(|(kind, name)| has(*kind, name));
        match prefixed {
            Some((_, name)) if !flags.is_empty() && takes_driver_flags(self.find(command)) => {
                refused.with_hint(format!("did you mean '--{name}'?"))
            }
            _ => refused,
        }
    }

    /// Returns a flag on a line that belongs to a driver, and the driver's name.
    fn driver_of_flags(&self, line: &Line) -> Option<(&'static str, &'static str)> {
        self.drivers.iter().find_map(|kind| {
            let mut flags = kind.flags().into_iter();
            let flag = flags.find(|flag| argv::last_value(&line.flags, flag.name).is_some())?;
            Some((flag.name, kind.name()))
        })
    }

    /// Returns the error for an unknown command, with the nearest known one.
    pub fn unknown_command(&self, name: &str) -> UsageError {
        let error = self
            .clap(self.commands, None, For::Parsing)
            .try_get_matches_from([name]);
        let unknown = UsageError::new(format!(
            "docker-machine: '{name}' is not a docker-machine command. See 'docker-machine --help'."
        ));
        match hints::command(name) {
            Some(command) => unknown.with_hint(format!("did you mean '{command}'?")),
            None => unknown.with_suggestion(error.err().as_ref()),
        }
    }
}

fn name_of(command: Option<&dyn Command>) -> &'static str {
    command
        .map(|command| command.about().name)
        .unwrap_or_default()
}

/// Returns the command line that prints the help of a command.
fn command_line(command: Option<&dyn Command>, driver: Option<&dyn DriverKind>) -> String {
    let mut command_line = "docker-machine".to_owned();
    if let Some(command) = command {
        command_line.push_str(&format!(" {}", command.about().name));
    }
    if let Some(driver) = driver {
        command_line.push_str(&format!(" --driver {}", driver.name()));
    }
    command_line + " --help"
}

/// Renders help, of a command after a change.
fn rendered(
    mut program: clap::Command,
    command: Option<&dyn Command>,
    change: impl FnOnce(clap::Command) -> clap::Command,
) -> String {
    program.build();
    // Uses clap's short form, which has no empty lines between options.
    let text = match program.find_subcommand(name_of(command)) {
        Some(command) => change(command.clone()).render_help().to_string(),
        None => program.render_help().to_string(),
    };
    // clap leaves a trailing space on the lines that it wraps.
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}

fn takes_driver_flags(command: Option<&'static dyn Command>) -> bool {
    command.is_some_and(|command| command.takes_driver_flags())
}

fn specs(flags: Vec<Flag>) -> Vec<FlagSpec> {
    flags.into_iter().map(|flag| flag.spec).collect()
}

/// Returns the flags of a command, including the one that every command has.
pub(crate) fn all_flags(command: &dyn Command) -> Vec<Flag> {
    let mut flags = command.flags();
    flags.push(help_flag());
    flags
}

/// Returns whether the flag that clap rejected is before the command.
fn in_global(line: &Line, error: &clap::Error) -> bool {
    let refused = refused_flag(error);
    refused.is_some_and(|flag| line.global.contains(&flag))
}
