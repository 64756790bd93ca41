//! What to log in with.

use std::path::{Path, PathBuf};

use machine_types::SshEndpoint;

/// What to log in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// This private key and no other. A key that cannot be read ends the attempt, and a wait.
    KeyFile(PathBuf),
    /// The agent's keys, then these private key files, in order, until one is accepted. Files
    /// that do not exist are passed over, and so are encrypted ones; an agent that does not
    /// answer is like none.
    AgentThenKeyFiles {
        /// The agent's socket, the value of `SSH_AUTH_SOCK`.
        agent: Option<PathBuf>,
        /// `~/.ssh/id_ed25519` and the like.
        files: Vec<PathBuf>,
    },
}

impl Credentials {
    /// Chooses for an endpoint: its own key where it has one, else the agent and the user's keys.
    pub fn of(endpoint: &SshEndpoint, agent: Option<&Path>, files: &[PathBuf]) -> Self {
        match &endpoint.key {
            Some(key) => Self::KeyFile(key.clone()),
            None => Self::AgentThenKeyFiles {
                agent: agent.map(Path::to_owned),
                files: files.to_owned(),
            },
        }
    }
}
