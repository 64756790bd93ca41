//! What the script is told: shell assignments.

use machine_ops::Cx;
use machine_ssh::shell_quote;
use machine_types::{Secret, masked};

/// Assignments to variables of the script.
#[derive(Default)]
pub(crate) struct Parameters {
    assignments: Vec<(&'static str, Secret)>,
}

/// Those whose values `--debug` shows, without the secrets in them.
const SHOWN: &[&str] = &[
    "p_mode",
    "p_hostname",
    "p_port",
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
    /// Sets a variable. A shell's command substitution, which files are read back with, drops line
    /// ends at the end: so they are left out here, and written again with the file.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.assignments.retain(|(other, _)| *other != name);
        self.assignments
            .push((name, Secret::new(value.trim_end_matches('\n'))));
    }

    /// Returns one line of shell for each.
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

    /// Tells `--debug` what is set, and of what may be secret only how long it is.
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
