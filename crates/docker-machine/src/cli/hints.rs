//! Suggestions for mistyped words.

use machine_driver::{FlagKind, FlagSpec};

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

/// Returns the command that has this name in another tool.
pub(crate) fn command(name: &str) -> Option<&'static str> {
    let mut known = COMMANDS.iter();
    known
        .find(|(_, others)| others.contains(&name))
        .map(|(command, _)| *command)
}

/// Returns the flag that has this name in another tool.
pub(crate) fn flag(name: &str) -> Option<&'static str> {
    (name == "verbose").then_some("debug")
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
