//! Machine states.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a machine, as `docker-machine status` and `ls` print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MachineState {
    /// Unknown; shown as an empty string.
    None,
    /// Running.
    Running,
    /// Suspended in memory.
    Paused,
    /// Suspended to disk.
    Saved,
    /// Shut down; its disk is kept.
    Stopped,
    /// Shutting down.
    Stopping,
    /// Starting: launched, but not reachable yet.
    Starting,
    /// Failed, or gone.
    Error,
    /// The state query timed out.
    Timeout,
}

impl MachineState {
    /// Every state, in the Go binary's order.
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::Running,
        Self::Paused,
        Self::Saved,
        Self::Stopped,
        Self::Stopping,
        Self::Starting,
        Self::Error,
        Self::Timeout,
    ];

    /// Returns the word for the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Running => "Running",
            Self::Paused => "Paused",
            Self::Saved => "Saved",
            Self::Stopped => "Stopped",
            Self::Stopping => "Stopping",
            Self::Starting => "Starting",
            Self::Error => "Error",
            Self::Timeout => "Timeout",
        }
    }
}

impl fmt::Display for MachineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
