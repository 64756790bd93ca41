//! Renders help: commands in groups, the short form of `-h`.

use machine_driver::DriverKind;

use crate::cli::argv::{Flag, Line};
use crate::cli::command::Command;
use crate::cli::declare::{Cli, EXAMPLES, For, name_of};
use crate::cli::flags::all_flags;
use crate::failure::Help;

/// The groups of commands, in the order of help. Commands that are in none follow under [`OTHERS`].
const GROUPS: [(&str, &[&str]); 3] = [
    (
        "Machines",
        &[
            "create", "ls", "inspect", "status", "start", "stop", "restart", "kill", "rm",
        ],
    ),
    (
        "Connections",
        &[
            "env", "config", "url", "ip", "active", "ssh", "scp", "mount",
        ],
    ),
    (
        "Maintenance",
        &[
            "doctor",
            "logs",
            "trace",
            "prune",
            "provision",
            "upgrade",
            "regenerate-certs",
            "update-labels",
        ],
    ),
];
const OTHERS: &str = "Other commands";

/// Puts the entries of clap's list of commands under the headings of their groups.
pub(super) fn grouped(help: &str) -> String {
    let Some((before, list)) = help.split_once("Commands:\n") else {
        return help.to_owned();
    };
    let (list, after) = list.split_once("\n\n").unwrap_or((list, ""));
    // An entry is the line of a command and the lines that continue its description.
    let mut entries: Vec<(&str, String)> = Vec::new();
    for line in list.lines() {
        let name = line
            .strip_prefix("  ")
            .filter(|rest| !rest.starts_with(' '));
        match (name, entries.last_mut()) {
            (Some(rest), _) => {
                let name = rest.split_whitespace().next().unwrap_or_default();
                entries.push((name, format!("{line}\n")));
            }
            (None, Some((_, entry))) => entry.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    let mut text = before.to_owned();
    for (heading, names) in GROUPS {
        text.push_str(&format!("{heading}:\n"));
        for name in names {
            let at = entries.iter().position(|(entry, _)| entry == name);
            text.extend(at.map(|at| entries.remove(at).1));
        }
        text.push('\n');
    }
    text.push_str(&format!("{OTHERS}:\n"));
    text.extend(entries.into_iter().map(|(_, entry)| entry));
    text + "\n" + after
}

/// Lists the names of the flags of each group, for short help.
pub(super) fn names_of_groups(flags: &[Flag], columns: usize) -> String {
    let mut groups: Vec<&str> = Vec::new();
    for flag in flags {
        if !flag.spec.group.is_empty() && !groups.contains(&flag.spec.group) {
            groups.push(flag.spec.group);
        }
    }
    let mut text = String::new();
    for group in groups {
        text.push_str(&format!("{group}:"));
        let mut width = usize::MAX;
        for flag in flags.iter().filter(|flag| flag.spec.group == group) {
            let name = format!("--{}", flag.spec.name);
            if width.saturating_add(name.len() + 1) > columns {
                text.push_str(&format!("\n  {name}"));
                width = name.len() + 2;
            } else {
                text.push_str(&format!(" {name}"));
                width += name.len() + 1;
            }
        }
        text.push_str("\n\n");
    }
    text
}

impl Cli<'_> {
    pub(super) fn help_as_asked(
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
        let groups = names_of_groups(&flags, self.columns);
        rendered(program, Some(command), |command| {
            let after = command.get_after_help().map(ToString::to_string);
            let after = with_one_example(&after.unwrap_or_default());
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
            None => grouped(&text).trim_end().to_owned(),
        }
    }

    /// Returns the help of a command, and the command line that prints it.
    pub(super) fn help_of(
        &self,
        command: Option<&dyn Command>,
        driver: Option<&dyn DriverKind>,
    ) -> Help {
        Help {
            text: self.help(command, driver),
            command_line: command_line(command, driver),
        }
    }
}

/// Removes the examples after the first.
fn with_one_example(after: &str) -> String {
    let Some((before, examples)) = after.split_once(EXAMPLES.trim_start()) else {
        return after.to_owned();
    };
    let mut text = format!("{before}{}", EXAMPLES.trim_start());
    for line in examples.lines() {
        text.push_str(&format!("{line}\n"));
        if !line.ends_with('\\') {
            break;
        }
    }
    text.trim_end().to_owned()
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

#[cfg(test)]
mod tests {
    use machine_driver::FlagSpec;

    use super::*;

    #[test]
    fn commands_are_in_groups_and_unknown_ones_come_last() {
        let help = "Usage: x\n\nCommands:\n  rm    Remove\n        machines\n  new   New\n  ssh   Log in\n\nOptions:\n  -h\n";
        assert_eq!(
            grouped(help),
            "Usage: x\n\nMachines:\n  rm    Remove\n        machines\n\nConnections:\n  ssh   Log in\n\nMaintenance:\n\nOther commands:\n  new   New\n\nOptions:\n  -h\n"
        );
    }

    #[test]
    fn short_help_names_the_flags_of_groups() {
        let flag = |name, group| Flag::new(FlagSpec::bool(name, "").group(group));
        let flags = [
            flag("toy-region", "Place"),
            flag("debug", ""),
            flag("toy-zone", "Place"),
            flag("toy-price", "Price"),
        ];
        assert_eq!(
            names_of_groups(&flags, 20),
            "Place:\n  --toy-region\n  --toy-zone\n\nPrice:\n  --toy-price\n\n"
        );
        assert_eq!(
            names_of_groups(&flags, 80),
            "Place:\n  --toy-region --toy-zone\n\nPrice:\n  --toy-price\n\n"
        );
    }
}
