//! Connection errors, by the layer that failed.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::{HostKeyError, KeyError};

/// The layer at which an attempt failed, in order, outermost first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// The name has no address.
    Address,
    /// No response from the address: no route, a firewall or security group, or a machine that has not booted.
    Route,
    /// The machine refuses the port: no sshd listens there, or not yet.
    Port,
    /// The port accepts the connection, but sends no SSH identification.
    Banner,
    /// The SSH key exchange did not complete.
    KeyExchange,
    /// The host key differs from the pinned one.
    HostKey,
    /// The login was refused: user or key.
    Authentication,
}

impl Layer {
    /// Returns a hint for a machine that does not get beyond this layer.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Address => "its name has no address here: check the name and this computer's DNS",
            Self::Route => {
                "nothing comes back from its address: check that its security groups and firewalls let the SSH port \
                 through, and that there is a route to it from here (a private address needs one into its network)"
            }
            Self::Port => {
                "it is up, and nothing listens on the SSH port: check the port, and that sshd runs there"
            }
            Self::Banner => {
                "something accepts connections on the SSH port that does not answer as sshd does: check the port, \
                 what is between here and there, and the machine's load"
            }
            Self::KeyExchange => {
                "its sshd and this program agree on no keys: check what is allowed in its sshd_config"
            }
            Self::HostKey => "its host key is another one than it was",
            Self::Authentication => {
                "its sshd refuses the login: check the user name, and that the key's public half is in that user's \
                 ~/.ssh/authorized_keys (each image of a cloud has its own user, for whom cloud-init puts it there)"
            }
        }
    }
}

impl Layer {
    /// Returns the reason why a wait continues, if this layer failed last.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Address => "the name has no address",
            Self::Route => "no answer",
            Self::Port => "connection refused",
            Self::Banner => "no SSH server answers",
            Self::KeyExchange => "no key exchange",
            Self::HostKey => "host key refused",
            Self::Authentication => "login refused",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "address",
            Self::Route => "route",
            Self::Port => "port",
            Self::Banner => "banner",
            Self::KeyExchange => "key exchange",
            Self::HostKey => "host key",
            Self::Authentication => "authentication",
        })
    }
}

/// An error of the SSH library.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ProtocolError(#[from] pub(crate) russh::Error);

/// Reason why an attempt to connect did not create a session. Nothing is left open.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name cannot be resolved.
    #[error("cannot resolve {host}")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's reason.
        #[source]
        source: io::Error,
    },
    /// No response from the address.
    #[error("{address} does not answer ({} s)", within.as_secs())]
    NoAnswer {
        /// `HOST:PORT`.
        address: String,
        /// The timeout of the attempt.
        within: Duration,
    },
    /// The network has no route to the machine.
    #[error("cannot reach {address}")]
    Unreachable {
        /// `HOST:PORT`.
        address: String,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// The machine is reachable, but its port is closed.
    #[error("{address} refuses connections")]
    Refused {
        /// `HOST:PORT`.
        address: String,
    },
    /// The connection was accepted, but no SSH server sent its identification.
    #[error("{address} accepts connections, but {what}")]
    Banner {
        /// `HOST:PORT`.
        address: String,
        /// The observed behaviour; remote text in it is printable and short.
        what: String,
    },
    /// The key exchange failed or did not complete in time.
    #[error("no key exchange with {address}")]
    KeyExchange {
        /// `HOST:PORT`.
        address: String,
        /// The protocol error.
        #[source]
        source: ProtocolError,
    },
    /// The key exchange or the login did not complete in time.
    #[error("{address} stopped answering during {layer} ({} s)", within.as_secs())]
    Stalled {
        /// `HOST:PORT`.
        address: String,
        /// The step that did not complete.
        layer: Layer,
        /// The timeout of the attempt.
        within: Duration,
    },
    /// The host key was not accepted, or could not be pinned.
    #[error("the host key of {address} is not accepted")]
    HostKey {
        /// `HOST:PORT`.
        address: String,
        /// The cause.
        #[source]
        source: HostKeyError,
    },
    /// The server refused the login.
    #[error("{address} refuses to log in {user} with {tried}")]
    Authentication {
        /// `HOST:PORT`.
        address: String,
        /// The login name.
        user: String,
        /// The offered keys: `the key /path/id_rsa`, `2 keys of the agent`.
        tried: String,
    },
    /// The connection ended during the login.
    #[error("{address} hung up during authentication of {user}")]
    HungUp {
        /// `HOST:PORT`.
        address: String,
        /// The login name.
        user: String,
        /// The protocol error.
        #[source]
        source: ProtocolError,
    },
    /// The private key cannot be used.
    #[error("cannot log in to {address}")]
    Key {
        /// `HOST:PORT`.
        address: String,
        /// The cause.
        #[source]
        source: KeyError,
    },
    /// The operation was cancelled.
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
}

impl ConnectError {
    /// Returns the layer that failed; `None` for a local failure: key file, cancellation.
    pub fn layer(&self) -> Option<Layer> {
        match self {
            Self::Resolve { .. } => Some(Layer::Address),
            Self::NoAnswer { .. } | Self::Unreachable { .. } => Some(Layer::Route),
            Self::Refused { .. } => Some(Layer::Port),
            Self::Banner { .. } => Some(Layer::Banner),
            Self::KeyExchange { .. } => Some(Layer::KeyExchange),
            Self::Stalled { layer, .. } => Some(*layer),
            Self::HostKey { .. } => Some(Layer::HostKey),
            Self::Authentication { .. } | Self::HungUp { .. } => Some(Layer::Authentication),
            Self::Key { .. } | Self::Cancelled(_) => None,
        }
    }
}
