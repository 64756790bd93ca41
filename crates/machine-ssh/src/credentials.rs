//! What to log in with.

use std::path::{Path, PathBuf};

use machine_types::SshEndpoint;

/// What to log in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// This private key and no other. A key that cannot be read ends the attempt, and a wait.
    KeyFile(PathBuf),
    /// The same. Where the file is encrypted, the agent signs, if it holds this key.
    KeyFileWithAgent {
        /// The private key's file.
        file: PathBuf,
        /// The agent's socket, the value of `SSH_AUTH_SOCK`.
        agent: PathBuf,
    },
    /// The agent's keys, first those of these private key files, then the files, in order, until one is accepted. Files
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
        match (&endpoint.key, agent) {
            (Some(key), None) => Self::KeyFile(key.clone()),
            (Some(key), Some(agent)) => Self::KeyFileWithAgent {
                file: key.clone(),
                agent: agent.to_owned(),
            },
            (None, agent) => Self::AgentThenKeyFiles {
                agent: agent.map(Path::to_owned),
                files: files.to_owned(),
            },
        }
    }
}
