//! Suggestions for mistyped words.

use std::sync::Arc;

use machine_driver::{DriverKind, FlagKind, FlagSpec};
use machine_types::nearest;

use crate::cli::argv::Flag;

/// Names of these commands in other tools: Docker, Kubernetes, Vagrant, Multipass and GNU/Linux.
const COMMANDS: [(&str, &[&str]); 6] = [
    ("rm", &["delete", "del", "remove", "destroy", "terminate"]),
    ("ls", &["ps", "list", "get", "machines"]),
    (
        "ssh",
        &["exec", "shell", "run", "attach", "login", "connect"],
    ),
    ("inspect", &["info", "describe", "show", "get-config"]),
    ("scp", &["cp", "copy"]),
    ("create", &["new", "launch", "up", "add"]),
];

fn called<'a>(table: &[(&'a str, &[&str])], name: &str) -> Option<&'a str> {
    let mut known = table.iter();
    let found = known.find(|(_, others)| others.contains(&name));
    found.map(|(known, _)| *known)
}

/// Returns the nearest known name, whatever the case of its letters.
pub(crate) fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    // A short form is no mistyped long one.
    let known = known.filter(|known| known.len() > 1);
    nearest(&lower, known)
}

/// Returns the command that is nearest to a mistyped one, or that has this name in another tool.
pub(crate) fn command<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    if let Some(command) = called(&COMMANDS, &lower) {
        return Some(command);
    }
    let others = COMMANDS
        .iter()
        .flat_map(|(_, others)| others.iter().copied());
    let near = near(name, known.chain(others))?;
    Some(called(&COMMANDS, near).unwrap_or(near))
}

/// Returns the driver that is nearest to a mistyped one, or that this name stands for.
pub(crate) fn driver(name: &str, kinds: &[Arc<dyn DriverKind>]) -> Option<&'static str> {
    let lower = name.to_lowercase();
    let mut others = kinds.iter();
    let meant = others.find(|kind| kind.other_names().contains(&&*lower));
    let known = kinds.iter().map(|kind| kind.name());
    meant
        .map(|kind| kind.name())
        .or_else(|| near(&lower, known))
}

/// Returns the flag that has this name in another tool.
pub(crate) fn flag(name: &str) -> Option<&'static str> {
    match name {
        "verbose" => Some("debug"),
        "V" => Some("version"),
        _ => None,
    }
}

/// Returns the flag that this name of a driver's flag means, both without the driver's prefix.
pub(crate) fn driver_flag<'a>(kind: &dyn DriverKind, name: &'a str) -> &'a str {
    called(kind.flag_synonyms(), name).unwrap_or(name)
}

/// Returns a flag with its dashes.
pub(crate) fn dashed(flag: &Flag) -> String {
    match flag.spec.name.len() {
        1 => format!("-{}", flag.spec.name),
        _ => format!("--{}", flag.spec.name),
    }
}

/// Returns the separate forms of short switches that were typed as one: `-yf`.
pub(crate) fn joined_switches(name: &str, flags: &[Flag]) -> Option<String> {
    let is_switch = |letter: char| {
        let name = letter.to_string();
        let mut switches = flags.iter().filter(|flag| flag.spec.kind == FlagKind::Bool);
        switches.any(|flag| flag.is_called(&name))
    };
    let is_joined = name.chars().count() > 1 && name.chars().all(is_switch);
    let letters = name.chars().map(|letter| format!("-{letter}"));
    is_joined.then(|| letters.collect::<Vec<_>>().join(" "))
}

/// Returns a hint if a word begins with a dash that is no hyphen, as editors and web pages make of one.
pub(crate) fn not_a_hyphen(word: &str) -> Option<String> {
    // Hyphens of Unicode, figure dash, en dash, em dash, horizontal bar and minus sign.
    let is_dash = |c: char| matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}');
    let name = word.trim_start_matches(|c: char| c == '-' || is_dash(c));
    let dashes = word.strip_suffix(name)?;
    let dash = dashes.chars().find(|c| is_dash(*c))?;
    let written = if name.chars().count() == 1 { "-" } else { "--" };
    (!name.is_empty()).then(|| {
        format!(
            "'{dash}' in {word} is no hyphen (U+{:04X}): write {written}{name}",
            u32::from(dash)
        )
    })
}

/// Returns what a number flag expects, for an invalid value.
pub(crate) fn number(spec: &FlagSpec, value: &str) -> String {
    let example = match spec.kind {
        FlagKind::Int { default } => default,
        _ => 1,
    };
    let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
    let expected = match digits.is_empty() {
        true => format!("such as {example}"),
        false => format!("such as {digits}, without a unit"),
    };
    format!(
        "--{} takes a whole number, {expected} ({})",
        spec.name, spec.help
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_command_is_found_in_any_case() {
        let command = |name| command(name, ["ls", "create", "inspect", "stop"].into_iter());
        for (name, meant) in [
            ("CREATE", Some("create")),
            ("Ls", Some("ls")),
            ("lss", Some("ls")),
            ("conect", Some("ssh")),
            ("Remove", Some("rm")),
            ("m1", None),
            ("is", None),
        ] {
            assert_eq!(command(name), meant, "{name}");
        }
    }

    #[test]
    fn a_dash_of_another_kind_is_named() {
        assert_eq!(
            not_a_hyphen("\u{2013}toy-region").unwrap(),
            "'\u{2013}' in \u{2013}toy-region is no hyphen (U+2013): write --toy-region"
        );
        for word in ["--debug", "m1", "-", "a\u{2013}b"] {
            assert_eq!(not_a_hyphen(word), None);
        }
    }

    #[test]
    fn a_number_is_told_without_its_unit() {
        let size = FlagSpec::int("root-size", 16, "Size in GB");
        assert_eq!(
            number(&size, "20G"),
            "--root-size takes a whole number, such as 20, without a unit (Size in GB)"
        );
        assert_eq!(
            number(&size, "big"),
            "--root-size takes a whole number, such as 16 (Size in GB)"
        );
    }
}
