//! Declares the commands and their flags to clap, from the tables.

use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction};
use machine_driver::{DriverKind, FlagKind, FlagSpec};

use crate::cli::argv::Flag;
use crate::cli::command::Command;
use crate::cli::flags::{all_flags, global_flags};
use crate::cli::options::Owner;
use crate::environment::Environment;

/// Purpose of a declaration to clap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Canonical command lines, in which every flag has a value.
    Parsing,
    /// Help, completions and the man page: flags as users type them.
    Showing,
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
    /// Returns a command by its name; `h` is short for `help`.
    pub fn find(&self, name: &str) -> Option<&'static dyn Command> {
        let name = if name == "h" { "help" } else { name };
        let mut commands = self.commands.iter().copied();
        commands.find(|command| command.about().name == name)
    }

    /// Declares some commands to clap, with the flags of one driver. Declaring all of them would take most of the run
    /// time of a short command.
    pub(super) fn clap(
        &self,
        commands: &[&dyn Command],
        driver: Option<&dyn DriverKind>,
        purpose: For,
    ) -> clap::Command {
        let examples = driver.map(DriverKind::examples).unwrap_or_default();
        let flags = driver.map(DriverKind::flags).unwrap_or_default();
        self.clap_with(commands, &flags, examples, purpose)
    }

    /// Declares everything to clap, with the flags of all drivers: for completions and the man page.
    pub fn clap_whole(&self) -> clap::Command {
        self.clap_of_all(For::Showing)
    }

    pub(super) fn clap_of_all(&self, purpose: For) -> clap::Command {
        let flags: Vec<FlagSpec> = self.drivers.iter().flat_map(|kind| kind.flags()).collect();
        let examples = self.drivers.iter().flat_map(|kind| kind.examples());
        let examples: Vec<&str> = examples.copied().collect();
        self.clap_with(self.commands, &flags, &examples, purpose)
    }

    fn clap_with(
        &self,
        commands: &[&dyn Command],
        driver: &[FlagSpec],
        creates: &[&str],
        purpose: For,
    ) -> clap::Command {
        let mut program = clap::Command::new("docker-machine")
            .about("Create and manage machines running Docker.")
            .version(crate::version::version())
            .override_usage("docker-machine [OPTIONS] COMMAND [ARG...]")
            .after_help("Run 'docker-machine COMMAND --help' for more information on a command.")
            .no_binary_name(true)
            .disable_help_flag(true)
            .disable_version_flag(true)
            .disable_help_subcommand(true)
            .term_width(self.columns)
            .subcommand_value_name("COMMAND")
            .subcommand_help_heading("Commands")
            .next_help_heading("Options")
            .args(
                global_flags()
                    .iter()
                    .map(|flag| argument(flag, Owner::Binary, purpose)),
            );
        for command in commands {
            program = program.subcommand(self.clap_command(*command, driver, creates, purpose));
        }
        program
    }

    fn clap_command(
        &self,
        command: &dyn Command,
        driver: &[FlagSpec],
        creates: &[&str],
        purpose: For,
    ) -> clap::Command {
        let about = command.about();
        let arguments = match about.arguments {
            "" => String::new(),
            arguments => format!(" {arguments}"),
        };
        let (grouped, ungrouped): (Vec<Flag>, Vec<Flag>) = all_flags(command)
            .into_iter()
            .partition(|flag| !flag.spec.group.is_empty());
        let mut declared = clap::Command::new(about.name)
            .about(about.summary)
            .long_about(
                format!("{}\n\n{}", about.summary, about.details)
                    .trim_end()
                    .to_owned(),
            )
            .override_usage(format!(
                "docker-machine {} [OPTIONS]{arguments}",
                about.name
            ))
            .disable_help_flag(true)
            .disable_version_flag(true)
            .next_help_heading("Options")
            .args(
                ungrouped
                    .iter()
                    .map(|flag| argument(flag, Owner::Binary, purpose)),
            )
            .arg(Arg::new("words").value_name("ARG").num_args(0..).hide(true));
        let mut after = String::new();
        if command.takes_driver_flags() {
            let names: Vec<_> = self.drivers.iter().map(|kind| kind.name()).collect();
            after.push_str(&format!("Drivers: {}.\n", names.join(", ")));
            if driver.is_empty() {
                after.push_str(&format!(
                    "Run 'docker-machine {} --driver NAME --help' for a driver's own options.\n",
                    about.name
                ));
            }
            declared = declared.next_help_heading("Options of the driver").args(
                driver
                    .iter()
                    .map(|spec| argument(&Flag::new(spec.clone()), Owner::Driver, purpose)),
            );
        }
        let mut examples = command.examples().to_vec();
        if about.name == "create" {
            examples.extend(creates);
            if driver.is_empty() {
                let firsts = self.drivers.iter().map(|kind| kind.examples().first());
                examples.extend(firsts.flatten());
            }
        }
        for (index, example) in examples.into_iter().enumerate() {
            let heading = if index == 0 { EXAMPLES } else { "" };
            let example = continued(example, self.columns);
            after.push_str(&format!("{heading}{example}\n"));
        }
        declared
            .args(
                grouped
                    .iter()
                    .map(|flag| argument(flag, Owner::Binary, purpose)),
            )
            .after_help(after.trim().to_owned())
    }
}

/// Heading of the examples in help.
pub(super) const EXAMPLES: &str = "\nExamples:\n";

/// Indents an example. Continues one that is too long for the terminal with a backslash, so that a copy of it runs.
fn continued(example: &str, columns: usize) -> String {
    let (mut text, mut width, mut is_quoted) = (String::from("  "), 2, false);
    let mut words = String::new();
    for word in example.split(' ') {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        is_quoted ^= word.matches('\'').count() % 2 == 1;
        // The shell reads no backslash inside quotes.
        if is_quoted {
            continue;
        }
        let length = words.chars().count();
        if width > 2 && width + 1 + length + 2 > columns {
            text.push_str(" \\\n      ");
            width = 6;
        } else if width > 2 {
            text.push(' ');
            width += 1;
        }
        text.push_str(&words);
        width += length;
        words.clear();
    }
    text + &words
}

/// Metavariables in help, by the end of the flag's name.
const METAVARIABLES: [(&str, &str); 43] = [
    ("ami", "AMI"),
    ("block-duration-minutes", "MINUTES"),
    ("ca-cert", "FILE"),
    ("ca-key", "FILE"),
    ("cidr", "CIDR"),
    ("config", "FILE"),
    ("client-cert", "FILE"),
    ("client-key", "FILE"),
    ("device-name", "DEVICE"),
    ("driver", "DRIVER"),
    ("endpoint", "URL"),
    ("engine-env", "NAME=VALUE"),
    ("engine-label", "KEY=VALUE"),
    ("engine-opt", "FLAG=VALUE"),
    ("filter", "KEY=VALUE"),
    ("format", "FORMAT"),
    ("install-script", "FILE"),
    ("install-url", "URL"),
    ("instance-type", "TYPE"),
    ("ip-address", "ADDRESS"),
    ("keypair-name", "NAME"),
    ("label", "KEY=VALUE"),
    ("max-lifetime", "DURATION"),
    ("older-than", "DURATION"),
    ("port", "PORT"),
    ("region", "REGION"),
    ("registry-mirror", "URL"),
    ("root-size", "GB"),
    ("security-group", "GROUP"),
    ("shell", "SHELL"),
    ("sort", "KEY"),
    ("spot-price", "DOLLARS"),
    ("ssh-key", "FILE"),
    ("ssh-keypath", "FILE"),
    ("ssh-user", "USER"),
    ("storage-path", "DIRECTORY"),
    ("subnet-id", "SUBNET"),
    ("tag", "KEY=VALUE"),
    ("timeout", "SECONDS"),
    ("url", "URL"),
    ("userdata", "FILE"),
    ("vpc-id", "VPC"),
    ("zone", "ZONE"),
];

/// Maximum number of values of a flag that its metavariable lists.
const MOST_SHOWN: usize = 5;

/// Returns the metavariable of a flag, which shows the type of its value.
fn metavariable(flag: &str, otherwise: &'static str) -> &'static str {
    let is_of = |end: &str| {
        let before = flag.strip_suffix(end);
        before.is_some_and(|before| before.is_empty() || before.ends_with('-'))
    };
    let found = METAVARIABLES.iter().find(|(end, _)| is_of(end));
    found.map_or(otherwise, |(_, name)| name)
}

fn argument(flag: &Flag, owner: Owner, purpose: For) -> Arg {
    let spec = &flag.spec;
    let mut help = spec.help.to_owned();
    match spec.kind {
        // An alias has the default of the original flag.
        _ if spec.help.starts_with("Same as ") => {}
        FlagKind::String { default } if !default.is_empty() => {
            help.push_str(&format!(" [default: {default}]"));
        }
        // Zero is no default: without the flag, other rules apply.
        FlagKind::Int { default: 0 } => {}
        FlagKind::Int { default } => help.push_str(&format!(" [default: {default}]")),
        FlagKind::List { default } if !default.is_empty() => {
            help.push_str(&format!(" [default: {}]", default.join(", ")));
        }
        _ => {}
    }
    if matches!(spec.kind, FlagKind::List { .. }) {
        help.push_str(" (repeatable)");
    }
    match (spec.env, spec.kind, owner) {
        (None, ..) => {}
        // As in the Go binary, whose help names it although it is ignored.
        (Some(env), FlagKind::List { .. }, Owner::Driver) => {
            help.push_str(&format!(" (${env} is ignored)"));
        }
        (Some(env), ..) => help.push_str(&format!(" [${env}]")),
    }
    let mut argument = Arg::new(spec.name).action(ArgAction::Append).help(help);
    // Help shows `-y`; the canonical form is `--y`.
    argument = match (spec.name.chars().next(), spec.name.len()) {
        (Some(letter), 1) => argument.short(letter).alias(spec.name),
        _ => argument.long(spec.name),
    };
    if !spec.group.is_empty() {
        argument = argument.help_heading(spec.group);
    }
    if let Some(letter) = flag.short.and_then(|short| short.chars().next()) {
        argument = argument.short(letter);
    }
    // Completions offer these values; the command decides whether it accepts others.
    if purpose == For::Showing && !flag.values.is_empty() {
        argument = argument
            .value_parser(PossibleValuesParser::new(&flag.values))
            .hide_possible_values(true);
    }
    match spec.kind {
        FlagKind::Bool if purpose == For::Showing => argument.action(ArgAction::SetTrue),
        FlagKind::Bool => argument.num_args(1),
        FlagKind::Switch { .. } => argument.num_args(0..=1).value_name("WORD"),
        FlagKind::Int { .. } => argument
            .num_args(1)
            .value_name(metavariable(spec.name, "NUMBER")),
        FlagKind::String { .. } | FlagKind::List { .. } => {
            let name = match spec.values.len() {
                1..=MOST_SHOWN => spec.values.join("|"),
                _ => metavariable(spec.name, "VALUE").to_owned(),
            };
            argument.num_args(1).value_name(name)
        }
    }
}

/// Returns the name of a command; empty for none.
pub(super) fn name_of(command: Option<&dyn Command>) -> &'static str {
    command
        .map(|command| command.about().name)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::continued;

    #[test]
    fn an_example_that_is_too_long_can_still_be_copied() {
        assert_eq!(continued("a -b c", 20), "  a -b c");
        assert_eq!(
            continued("docker-machine ls --format '{{.Name}} {{.URL}}' m1", 32),
            "  docker-machine ls --format \\\n      '{{.Name}} {{.URL}}' m1"
        );
    }
}
