//! Parses the whole command line into a command, its options and its positionals.
//!
//! [`crate::cli::argv`] has converted the words to the canonical form. This module has clap parse them, by the
//! declarations in `declare`, and reads the options. It does not run commands.

use clap::ArgMatches;
use clap::error::ErrorKind;
use machine_driver::{DriverKind, FlagSpec, Options};
use machine_types::masked;

use crate::cli::argv::{self, Flag, Grammar, Line, Refused, SyntaxError};
use crate::cli::command::{Arguments, Command, Usage};
use crate::cli::declare::{Cli, For, name_of};
use crate::cli::flags::{DEBUG_VARIABLE, all_flags, debug_flag, global_flags};
use crate::cli::hints;
use crate::cli::options::{self, Owner};
use crate::cli::suspicion;
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
        let normalized = argv::normalize(&self.grammar(args), args);
        let mut line = normalized.map_err(|refused| self.invalid(&refused, args))?;
        let command = match &line.command {
            Some(name) => match self.find(name) {
                Some(command) => Some(command),
                None => return Err(self.no_command(name, &line, args)),
            },
            None => None,
        };
        line.command = command.map(|command| command.about().name.to_owned());
        let driver = match command {
            Some(command) if command.takes_driver_flags() => {
                let found = self.driver(command, &line);
                // For `--drivr none` the wrong word is the flag, not the driver.
                found.map_err(|error| self.unknown_flag(&line, args).unwrap_or(error))?
            }
            _ => None,
        };
        let matches = self
            .clap(command.as_slice(), driver, For::Parsing)
            .try_get_matches_from(line.for_clap())
            .map_err(|error| {
                let about = command.filter(|_| !in_global(&line, &error));
                let help = self.help_of(about, driver);
                self.refused(&line, driver, &error, args).with_help(help)
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
                    let suspicion = suspicion::of(&self.known(command), command, &line, args);
                    Request::Run(
                        command,
                        Box::new(Arguments {
                            driver_name: driver.map(|driver| driver.name()).unwrap_or_default(),
                            options,
                            driver: driver_options,
                            words: line.words,
                            usage: self.usage(command, driver),
                            suspicion,
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
        Grammar {
            global: global_flags(),
            commands: self
                .commands
                .iter()
                .filter(may_be)
                .map(|command| (command.about().name, self.known(*command)))
                .collect(),
            raw: self
                .commands
                .iter()
                .filter(|command| command.takes_words_as_they_are())
                .map(|command| command.about().name)
                .collect(),
        }
    }

    /// Returns the flags of a command, with those of all drivers if it takes them.
    fn known(&self, command: &dyn Command) -> Vec<Flag> {
        let mut flags = all_flags(command);
        if command.takes_driver_flags() {
            let drivers = self.drivers.iter().flat_map(|kind| kind.flags());
            flags.extend(drivers.map(Flag::new));
        }
        flags
    }

    /// Returns the error of a flag that Go's syntax rejects.
    fn invalid(&self, refused: &Refused, args: &[String]) -> UsageError {
        let command = refused.command.as_deref().and_then(|name| self.find(name));
        let hint = match &refused.why {
            SyntaxError::NotANumber { flag, value, .. } => Some(hints::number(flag, value)),
            SyntaxError::NotABoolean { name, .. } => Some(format!(
                "--{name} takes true or false; without a value it is true"
            )),
            SyntaxError::ValueIsFlag { name, next } => Some(format!(
                "{next} is a flag; if it is meant as the value, write --{name}={next}"
            )),
            _ => None,
        };
        let takes_driver = takes_driver_flags(command);
        let driver = takes_driver.then(|| self.typed_driver(args)).flatten();
        UsageError::new(refused.why.to_string())
            .with_hint_if(hint)
            .with_help(self.help_of(command, driver))
    }

    /// Returns the driver that a line names, although the line is invalid.
    fn typed_driver(&self, args: &[String]) -> Option<&dyn DriverKind> {
        let is_driver = |flag: &str| ["-d", "-driver", "--driver"].contains(&flag);
        let words = args.iter().zip(args.iter().skip(1));
        let separate = words
            .filter(|(flag, _)| is_driver(flag))
            .map(|(_, name)| name.as_str());
        let joined = args
            .iter()
            .filter_map(|arg| arg.split_once('='))
            .filter(|(flag, _)| is_driver(flag))
            .map(|(_, name)| name);
        let mut names = separate
            .chain(joined)
            .chain(self.environment.get("MACHINE_DRIVER"));
        let name = names.next()?;
        let mut kinds = self.drivers.iter().map(|kind| &**kind);
        kinds.find(|kind| kind.name() == name)
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
        Err(error.with_hint(match hints::driver(name, self.drivers) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!(
                "choose one with --driver: {}. Plugin drivers are not loaded",
                known.join(", ")
            ),
        }))
    }

    /// Returns the flag on a line that no driver has.
    fn unknown_flag(&self, line: &Line, args: &[String]) -> Option<UsageError> {
        let all = self.clap_of_all(For::Parsing);
        let error = all.try_get_matches_from(line.for_clap()).err()?;
        let unknown = error.kind() == ErrorKind::UnknownArgument;
        unknown.then(|| self.refused(line, None, &error, args))
    }

    /// Converts an error of clap to the Go binary's wording, and adds a hint.
    fn refused(
        &self,
        line: &Line,
        driver: Option<&dyn DriverKind>,
        error: &clap::Error,
        args: &[String],
    ) -> UsageError {
        let flag = refused_flag(error).unwrap_or_default();
        let name = flag.trim_start_matches('-');
        let command = line.command.as_deref().and_then(|name| self.find(name));
        let hint = match command {
            Some(command) if !line.global.contains(&flag) => {
                self.hint_of_unknown(name, command, driver)
            }
            _ => self.hint_before_command(name, args),
        };
        UsageError::unknown_flag(name).with_hint_if(hint)
    }

    /// Returns a suggestion for an unknown flag of a command: another driver's flag, a flag at another position, a flag
    /// without its driver's prefix, or the nearest one.
    fn hint_of_unknown(
        &self,
        name: &str,
        command: &dyn Command,
        driver: Option<&dyn DriverKind>,
    ) -> Option<String> {
        let owner = |name: &str| {
            let mut kinds = self.drivers.iter();
            kinds.find(|kind| kind.flags().iter().any(|spec| spec.name == name))
        };
        if let Some(kind) = owner(name) {
            return Some(format!("it is an option of the driver {}", kind.name()));
        }
        let mut flags = all_flags(command);
        if let Some(switches) = hints::joined_switches(name, &flags) {
            return Some(format!("short options are given one by one: {switches}"));
        }
        let meant = hints::flag(name).unwrap_or(name);
        let global = global_flags();
        let is_meant = |flag: &&Flag| flag.is_called(meant) && !flag.is_called("version");
        if let Some(flag) = global.iter().find(is_meant) {
            let command = command.about().name;
            let flag = hints::dashed(flag);
            return Some(format!("did you mean 'docker-machine {flag} {command}'?"));
        }
        if command.takes_driver_flags() {
            let all = self.drivers.iter().map(|kind| &**kind);
            let kinds: Vec<_> = driver.into_iter().chain(all).collect();
            if let Some(prefixed) = prefixed(&kinds, name) {
                return Some(format!("did you mean '--{prefixed}'?"));
            }
            let kinds = kinds
                .iter()
                .take(if driver.is_some() { 1 } else { kinds.len() });
            flags.extend(kinds.flat_map(|kind| kind.flags()).map(Flag::new));
        }
        let near = hints::near(meant, flags.iter().map(|flag| flag.spec.name))?;
        Some(format!("did you mean '--{near}'?"))
    }

    /// Returns a suggestion for an unknown flag before the command.
    fn hint_before_command(&self, name: &str, args: &[String]) -> Option<String> {
        let global = global_flags();
        let meant = hints::flag(name).unwrap_or(name);
        if meant != name && global.iter().any(|flag| flag.is_called(meant)) {
            return Some(format!("did you mean '--{meant}'?"));
        }
        let command = args.iter().find_map(|arg| self.find(arg));
        let flags = command
            .map(|command| self.known(command))
            .unwrap_or_default();
        let kinds: Vec<_> = self.drivers.iter().map(|kind| &**kind).collect();
        let prefixed = prefixed(&kinds, name);
        let is_meant = |flag: &&Flag| flag.is_called(name) || Some(flag.spec.name) == prefixed;
        if let (Some(command), Some(flag)) = (command, flags.iter().find(is_meant)) {
            let flag = hints::dashed(flag) + &value_of(name, command, args);
            let command = command.about().name;
            return Some(masked(&format!(
                "{} goes after the command: docker-machine {command} {flag}",
                flag.split(' ').next().unwrap_or_default()
            )));
        }
        if let Some(near) = hints::near(name, global.iter().map(|flag| flag.spec.name)) {
            return Some(format!("did you mean '--{near}'?"));
        }
        let command = command?.about().name;
        Some(format!(
            "the options of a command go after it: 'docker-machine {command} --help' lists them"
        ))
    }

    /// Returns a flag on a line that belongs to a driver, and the driver's name.
    fn driver_of_flags(&self, line: &Line) -> Option<(&'static str, &'static str)> {
        self.drivers.iter().find_map(|kind| {
            let mut flags = kind.flags().into_iter();
            let flag = flags.find(|flag| argv::last_value(&line.flags, flag.name).is_some())?;
            Some((flag.name, kind.name()))
        })
    }

    /// Returns the error of a line whose first word is no command: it may be the value of an unknown flag before it.
    fn no_command(&self, name: &str, line: &Line, args: &[String]) -> UsageError {
        // A known flag has a value in the canonical form.
        if let Some(flag) = line.global.iter().find(|flag| !flag.contains('=')) {
            let flag = flag.trim_start_matches('-');
            return UsageError::unknown_flag(flag)
                .with_hint_if(self.hint_before_command(flag, args))
                .with_help(self.help_of(None, None));
        }
        let unknown = self.unknown_command(name);
        if unknown.hint.is_some() {
            return unknown;
        }
        if let Some(dashed) = hints::not_a_hyphen(name) {
            return unknown.with_hint(dashed);
        }
        let after = args.iter().skip_while(|arg| *arg != name).skip(1);
        let command = { after }.find_map(|arg| self.find(arg));
        unknown.with_hint_if(command.map(|command| {
            let command = command.about().name;
            format!("the command goes first: docker-machine {command} {name}")
        }))
    }

    /// Returns the error for an unknown command, with the nearest known one.
    pub fn unknown_command(&self, name: &str) -> UsageError {
        let names = self.commands.iter().map(|command| command.about().name);
        let near = hints::command(name, names);
        UsageError::new(format!(
            "docker-machine: '{name}' is not a docker-machine command. See 'docker-machine --help'."
        ))
        .with_hint_if(near.map(|command| format!("did you mean '{command}'?")))
    }
}

/// Returns the flag of a driver whose name, without the driver's prefix, was typed.
fn prefixed(kinds: &[&dyn DriverKind], name: &str) -> Option<&'static str> {
    let kinds = kinds.iter();
    kinds
        .filter_map(|kind| {
            let bare = name
                .strip_prefix(kind.name())
                .map(|name| name.trim_start_matches('-'));
            let bare = bare.unwrap_or(name);
            let meant = format!("{}-{}", kind.name(), hints::driver_flag(*kind, bare));
            let flags = kind.flags().into_iter().map(|spec| spec.name);
            { flags }.find(|flag| *flag == meant)
        })
        .next()
}

/// Returns the value that was typed for a flag before its command, with a space or an equals sign before it.
fn value_of(name: &str, command: &dyn Command, args: &[String]) -> String {
    let typed = |arg: &String| arg.starts_with('-') && arg.trim_start_matches('-') == name;
    let Some(at) = args.iter().position(typed) else {
        let joined = args.iter().find_map(|arg| {
            let (flag, value) = arg.split_once('=')?;
            (flag.starts_with('-') && flag.trim_start_matches('-') == name).then_some(value)
        });
        return joined.map(|value| format!(" {value}")).unwrap_or_default();
    };
    match args.get(at + 1) {
        Some(value) if value != command.about().name && !value.starts_with('-') => {
            format!(" {value}")
        }
        _ => String::new(),
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
