//! The journal of a simulated host, as far as journalctl and `systemctl status` use it.

use std::sync::Mutex;

use super::host::lock;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) unit: String,
    pub(super) process: String,
    pub(super) text: String,
}

/// All lines since the creation of the host.
#[derive(Debug, Default)]
pub(super) struct Journal(Mutex<Vec<Entry>>);

impl Journal {
    /// Writes a line from systemd about a unit.
    pub(super) fn systemd(&self, unit: &str, text: impl Into<String>) {
        self.write(unit, "systemd[1]", text.into());
    }

    /// Writes a line from dockerd.
    pub(super) fn dockerd(&self, text: impl Into<String>) {
        self.write("docker.service", "dockerd[812]", text.into());
    }

    fn write(&self, unit: &str, process: &str, text: String) {
        lock(&self.0).push(Entry {
            unit: unit.to_owned(),
            process: process.to_owned(),
            text,
        });
    }

    /// Returns the last lines of a unit, or of all units; `None` returns all lines.
    pub(super) fn tail(&self, unit: Option<&str>, lines: Option<usize>) -> Vec<Entry> {
        let all = lock(&self.0);
        let mut wanted: Vec<Entry> = all
            .iter()
            .filter(|entry| unit.is_none_or(|unit| entry.unit == unit))
            .cloned()
            .collect();
        let spare = lines.map_or(0, |lines| wanted.len().saturating_sub(lines));
        wanted.drain(..spare);
        wanted
    }
}

impl Entry {
    /// Formats the line in journalctl's short format. The time is a constant: tests compare text.
    pub(super) fn short(&self, host_name: &str) -> String {
        format!(
            "Jan 01 00:00:00 {host_name} {}: {}",
            self.process, self.text
        )
    }
}
