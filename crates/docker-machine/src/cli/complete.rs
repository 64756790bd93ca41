//! Completion: the candidates at the cursor of an incomplete command line.
//!
//! A pure function over the tables of commands and drivers. The scripts of the shells call it by
//! `docker-machine completion candidates WORD...`.

use std::sync::Arc;

use machine_driver::{DriverKind, FlagKind};

use crate::cli::argv::Flag;
use crate::cli::command::Command;
use crate::cli::flags::{all_flags, global_flags};

/// The shells that `completion` supports, as its help names them.
pub const SHELLS: &str = "bash|zsh|fish";

/// A candidate for completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The word.
    pub word: String,
    /// A description, for shells that show one.
    pub about: &'static str,
}

/// What to offer for a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The kind of words.
    pub completion: Completion,
    /// The storage directory on the line, as typed.
    pub storage_path: Option<String>,
}

/// The kind of words to offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// These candidates.
    Words(Vec<Candidate>),
    /// Names of machines.
    Machines,
    /// Names of machines with a colon, and file names.
    Locations,
    /// Any word: the shell offers file names.
    Anything,
}

fn words<'a>(all: impl IntoIterator<Item = (&'a str, &'static str)>) -> Completion {
    let candidate = |(word, about): (&str, _)| Candidate {
        word: word.to_owned(),
        about,
    };
    Completion::Words(all.into_iter().map(candidate).collect())
}

/// Completes the last word of `line`, which holds the words after the program name.
pub fn complete(
    commands: &[&'static dyn Command],
    drivers: &[Arc<dyn DriverKind>],
    line: &[String],
) -> Offer {
    let mut storage_path = None;
    let completion = completion(commands, drivers, line, &mut storage_path);
    Offer {
        completion,
        storage_path,
    }
}

fn completion(
    commands: &[&'static dyn Command],
    drivers: &[Arc<dyn DriverKind>],
    line: &[String],
    storage_path: &mut Option<String>,
) -> Completion {
    // bash splits a word at equals signs and colons.
    let (current, before) = match line.split_last() {
        Some((current, _)) if current == "=" || current == ":" => ("", line),
        Some((current, before)) => (current.as_str(), before),
        None => ("", line),
    };
    let mut command: Option<&dyn Command> = None;
    let mut driver: Option<&str> = None;
    // The flag whose value is the next word.
    let mut open: Option<Flag> = None;
    // The flag whose value is the word before, and the part of this value before an equals sign.
    let mut closed: Option<(Flag, &str)> = None;
    let mut prefix = String::new();
    for word in before {
        if word == "=" {
            if let Some((flag, key)) = closed.take() {
                prefix = format!("{key}=");
                open = Some(flag);
            }
            continue;
        }
        closed = None;
        if let Some(flag) = open.take() {
            prefix.clear();
            match flag.spec.name {
                "driver" => driver = Some(word),
                STORAGE_PATH => *storage_path = Some(word.clone()),
                _ => {}
            }
            closed = Some((flag, word));
        } else if word.starts_with('-') {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.as_str(), None),
            };
            let flag = find(flags(command, driver, drivers), name);
            match (value, flag) {
                (None, flag) => open = flag.filter(takes_a_word),
                (Some(value), Some(flag)) if flag.spec.name == "driver" => driver = Some(value),
                (Some(value), Some(flag)) if flag.spec.name == STORAGE_PATH => {
                    *storage_path = Some(value.to_owned());
                }
                (Some(_), _) => {}
            }
        } else if command.is_none() {
            let mut all = commands.iter().copied();
            command = all.find(|command| command.about().name == word);
        }
    }
    if let Some(flag) = open {
        return match flag.values.is_empty() {
            true => Completion::Anything,
            false => {
                let values = flag.values.into_iter();
                words(values.filter_map(|value| Some((value.strip_prefix(&*prefix)?, ""))))
            }
        };
    }
    if let Some((name, _)) = current.split_once('=').filter(|_| current.starts_with('-')) {
        let values = find(flags(command, driver, drivers), name).map(|flag| flag.values);
        let values = values.unwrap_or_default().into_iter();
        let candidate = |value| Candidate {
            word: format!("{name}={value}"),
            about: "",
        };
        return Completion::Words(values.map(candidate).collect());
    }
    if current.starts_with('-') {
        return Completion::Words(
            flags(command, driver, drivers)
                .iter()
                .map(|flag| Candidate {
                    word: match flag.spec.name.len() {
                        1 => format!("-{}", flag.spec.name),
                        _ => format!("--{}", flag.spec.name),
                    },
                    about: flag.spec.help,
                })
                .collect(),
        );
    }
    let names = || {
        let abouts = commands.iter().map(|command| command.about());
        words(abouts.map(|about| (about.name, about.summary)))
    };
    let Some(about) = command.map(Command::about) else {
        return names();
    };
    match about.arguments {
        "[COMMAND]" => names(),
        SHELLS => words(SHELLS.split('|').map(|shell| (shell, ""))),
        _ if before.last().is_some_and(|word| word == ":") => words([]),
        arguments if arguments.contains("MACHINE:]") => Completion::Locations,
        arguments if about.name != "create" && takes_machines(arguments) => Completion::Machines,
        _ => Completion::Anything,
    }
}

/// The flag of the store, which has the machines to offer.
const STORAGE_PATH: &str = "storage-path";

fn takes_machines(arguments: &str) -> bool {
    arguments.contains("NAME")
}

/// Returns the flags at the cursor: the global ones, or those of a command, including the driver's if it takes them.
fn flags(
    command: Option<&dyn Command>,
    driver: Option<&str>,
    drivers: &[Arc<dyn DriverKind>],
) -> Vec<Flag> {
    let Some(command) = command else {
        return global_flags();
    };
    let mut flags = all_flags(command);
    if command.takes_driver_flags() {
        let wanted = drivers
            .iter()
            .filter(|kind| driver.is_none_or(|driver| kind.name() == driver));
        flags.extend(wanted.flat_map(|kind| kind.flags()).map(Flag::new));
    }
    flags
}

/// Finds a flag by its name or short form, with its dashes.
fn find(flags: Vec<Flag>, name: &str) -> Option<Flag> {
    let mut flags = flags.into_iter();
    flags.find(|flag| flag.is_called(name.trim_start_matches('-')))
}

fn takes_a_word(flag: &Flag) -> bool {
    !matches!(flag.spec.kind, FlagKind::Bool | FlagKind::Switch { .. })
}
