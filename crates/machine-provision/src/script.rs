//! The script's text.
//!
//! It is always the same: assignments before it set the parameters of a run.

use std::fmt::Write as _;

use machine_ssh::shell_quote;
use machine_types::Secret;

use crate::families::{FAMILIES, OTHER};
use crate::parameters::Parameters;

/// Returns the script that runs on the host, unquoted.
pub(crate) fn text() -> String {
    let mut text = String::new();
    for part in [
        include_str!("host/1_tell.sh"),
        include_str!("host/2_system.sh"),
        include_str!("host/3_install.sh"),
        include_str!("host/4_configure.sh"),
    ] {
        text.push_str(part);
        text.push('\n');
    }
    for family in FAMILIES {
        text.push_str(family.functions);
        text.push('\n');
    }
    text.push_str(
        "family_of() { # words of os-release\n    for id in $1; do\n        case $id in\n",
    );
    for family in FAMILIES.iter().filter(|family| !family.ids.is_empty()) {
        let _ = writeln!(
            text,
            "        {}) echo {}; return ;;",
            family.ids.join(" | "),
            family.name
        );
    }
    let _ = writeln!(text, "        esac\n    done\n    echo {OTHER}\n}}\n");
    text.push_str(include_str!("host/5_main.sh"));
    text
}

/// The command line that runs [`input`]. It is valid in every login shell, including fish and csh.
pub(crate) const COMMAND: &str = r#"sh -c 'eval "$(cat)"'"#;

/// Returns the standard input with which [`COMMAND`] runs a script as root, with its parameters.
pub(crate) fn input(text: &str, parameters: &Parameters) -> Secret {
    let assignments = parameters.assignments();
    let script = Secret::new(format!("{}{text}", assignments.expose()));
    let quoted = Secret::new(shell_quote(script.expose()));
    Secret::new(format!(
        "machine_input={}\n{}",
        quoted.expose(),
        include_str!("host/as_root.sh")
    ))
}
