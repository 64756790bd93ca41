//! The script's parameters: shell assignments.

use machine_ops::Cx;
use machine_ssh::shell_quote;
use machine_types::{Secret, masked};

/// Assignments to variables of the script.
#[derive(Default)]
pub(crate) struct Parameters {
    assignments: Vec<(&'static str, Secret)>,
}

/// The parameters whose values `--debug` shows, with secrets masked.
const SHOWN: &[&str] = &[
    "p_mode",
    "p_hostname",
    "p_port",
    "p_tls",
    "p_flags",
    "p_inherited",
    "p_storage_driver",
    "p_install",
    "p_install_default",
    "p_install_name",
    "p_engine_version",
    "p_open_firewall",
];

impl Parameters {
    /// Sets a variable. Command substitution, with which the script reads files back, drops trailing line ends: so
    /// they are dropped here too, and added again when the file is written.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.assignments.retain(|(other, _)| *other != name);
        self.assignments
            .push((name, Secret::new(value.trim_end_matches('\n'))));
    }

    /// Returns one line of shell for each variable.
    pub(crate) fn assignments(&self) -> Secret {
        let mut text = String::new();
        for (name, value) in &self.assignments {
            let quoted = Secret::new(shell_quote(value.expose()));
            text.push_str(name);
            text.push('=');
            text.push_str(quoted.expose());
            text.push('\n');
        }
        Secret::new(text)
    }

    /// Shows the variables in `--debug`; of a possible secret only its length.
    pub(crate) fn show(&self, cx: &Cx) {
        for (name, value) in &self.assignments {
            cx.debug(if SHOWN.contains(name) {
                format!("{name}={}", shell_quote(&masked(value.expose())))
            } else {
                format!("{name}=… # {} bytes", value.expose().len())
            });
        }
    }
}
