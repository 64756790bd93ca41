//! Parses the whole command line into a command, its options and its positionals.
//!
//! [`crate::cli::argv`] has converted the words to the canonical form. This module has clap parse them, by the
//! declarations in `declare`, and reads the options. It does not run commands.

use clap::ArgMatches;
use clap::error::ErrorKind;
use machine_driver::{DriverKind, FlagSpec, Options};
use machine_types::nearest;

use crate::cli::argv::{self, Flag, Grammar, Line, SyntaxError};
use crate::cli::command::{Arguments, Command, Usage};
use crate::cli::declare::{Cli, For, name_of};
use crate::cli::flags::{DEBUG_VARIABLE, all_flags, debug_flag, global_flags};
use crate::cli::hints;
use crate::cli::options::{self, Owner};
use crate::cli::usage::{UsageError, refused_flag};
use crate::environment::Environment;

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

/// Creates the error of a `create` without a driver: this binary lacks virtualbox, the Go binary's default.
pub(crate) fn no_driver(names: &[&'static str]) -> UsageError {
    let flags: Vec<_> = names
        .iter()
        .map(|name| format!("--driver {name}"))
        .collect();
    UsageError::new("no driver given").with_hint(format!("choose one: {}", flags.join(", ")))
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
                            usage: self.usage(command, driver),
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

    /// Returns the help of a command for its usage errors.
    fn usage(&self, command: &'static dyn Command, driver: Option<&dyn DriverKind>) -> Usage {
        let (commands, columns) = (self.commands, self.columns);
        let drivers = self.drivers.to_vec();
        let driver = driver.map(DriverKind::name);
        Usage::new(move || {
            let cli = Cli {
                commands,
                drivers: &drivers,
                environment: &Environment::default(),
                columns,
            };
            let mut kinds = drivers.iter().map(|kind| &**kind);
            cli.help_of(
                Some(command),
                kinds.find(|kind| Some(kind.name()) == driver),
            )
        })
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

fn takes_driver_flags(command: Option<&'static dyn Command>) -> bool {
    command.is_some_and(|command| command.takes_driver_flags())
}

fn specs(flags: Vec<Flag>) -> Vec<FlagSpec> {
    flags.into_iter().map(|flag| flag.spec).collect()
}

/// Returns whether the flag that clap rejected is before the command.
fn in_global(line: &Line, error: &clap::Error) -> bool {
    let refused = refused_flag(error);
    refused.is_some_and(|flag| line.global.contains(&flag))
}
