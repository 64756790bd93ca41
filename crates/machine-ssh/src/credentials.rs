//! Credentials for a login.

use std::path::{Path, PathBuf};

use machine_types::SshEndpoint;

/// Credentials for a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// This private key only. An unreadable key ends the attempt, and a wait.
    KeyFile(PathBuf),
    /// This private key only. If the file is encrypted, the agent signs, provided that it holds this key.
    KeyFileWithAgent {
        /// The private key's file.
        file: PathBuf,
        /// The agent's socket, the value of `SSH_AUTH_SOCK`.
        agent: PathBuf,
    },
    /// First the agent's keys, with those of these private key files in front, then the files, in order, until one is
    /// accepted. Skips files that do not exist or are encrypted. An agent that does not respond counts as absent.
    AgentThenKeyFiles {
        /// The agent's socket, the value of `SSH_AUTH_SOCK`.
        agent: Option<PathBuf>,
        /// `~/.ssh/id_ed25519` and the like.
        files: Vec<PathBuf>,
    },
}

impl Credentials {
    /// Selects the credentials for an endpoint: its own key if it has one, else the agent and the user's keys.
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
