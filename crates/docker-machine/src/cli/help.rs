//! Layout of help: commands in groups, and the short form of `-h`.

use crate::cli::argv::Flag;

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
