//! The script's text.
//!
//! It is always the same: what differs between two runs comes on standard input.

use std::fmt::Write as _;

use machine_ssh::shell_quote;

use crate::families::{FAMILIES, OTHER};

/// Returns the script that runs on the host, as a person reads it.
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

/// Returns the command line that runs the script as root.
pub(crate) fn command(text: &str) -> String {
    format!(
        "machine_script={}\n{}",
        shell_quote(text),
        include_str!("host/as_root.sh")
    )
}
