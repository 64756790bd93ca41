//! Machines whose create is running or was interrupted.

use std::time::{Duration, SystemTime};

use machine_store::MachineFile;

use crate::Library;
use crate::machine::Machine;

/// A machine whose engine was never set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HalfMade {
    /// Its create is running.
    Creating {
        /// The process ID of the create, if known.
        pid: Option<u32>,
        /// Time since the create started.
        age: Duration,
    },
    /// Its create was killed, or the computer went down.
    Interrupted,
}

impl HalfMade {
    /// Returns one line about the machine's state and the next step.
    pub(crate) fn text(&self, name: &str) -> String {
        match self {
            Self::Creating { pid, age } => {
                let process = pid
                    .map(|pid| format!("process {pid}, "))
                    .unwrap_or_default();
                format!("Creating ({process}{}s)", age.as_secs())
            }
            Self::Interrupted => format!("create was interrupted: docker-machine rm {name}"),
        }
    }
}

/// Returns the state of an incomplete create. Returns `None` for a machine whose engine was set up or is managed by the
/// user, and for one that the Go binary made, which keeps no journal.
pub(crate) fn half_made(library: &Library, machine: &Machine) -> Option<HalfMade> {
    let is_ours = machine.driver.ssh().is_some() || machine.driver.cloud().is_some();
    // The client certificate is written just before the server's, which may have been lost since.
    let files = [MachineFile::Server, MachineFile::Cert];
    let mut files = files
        .map(|file| library.store.file(&machine.name, file))
        .into_iter();
    let has_engine = match &machine.record.pool {
        Some(pool) => pool.ready,
        None => files.any(|file| file.exists()),
    };
    if !is_ours || has_engine || !machine.record.host_options.custom_install_script.is_empty() {
        return None;
    }
    let entries = library.store.entries(&machine.name).ok()?;
    let begun = Duration::from_millis(entries.first()?.at);
    let Some(pid) = library.store.holder(&machine.name) else {
        return Some(HalfMade::Interrupted);
    };
    let now = library.ambient.now().duration_since(SystemTime::UNIX_EPOCH);
    Some(HalfMade::Creating {
        pid,
        age: now.unwrap_or_default().saturating_sub(begun),
    })
}
