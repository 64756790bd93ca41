//! GitLab's fleeting plugin: a pool of machines for the docker-autoscaler and instance executors.
//!
//! Owns the protocol (gRPC over a socket, see `proto/`), the states of a pool's instances, and the processes that create
//! and remove them. Does not create machines itself: a child process of the same executable does, with `libmachine`.
//! Called by the binary, which passes an [`Opener`] for the configured pool.
//!
//! ```
//! use fleeting_plugin::Config;
//!
//! let json = br#"{"name": "ci", "MachineDriver": "toy", "MachineName": "runner-%s"}"#;
//! let config = Config::parse(json)?;
//! assert!(config.is_member("runner-ci-1f2e3d4c"));
//! # Ok::<(), fleeting_plugin::ConfigError>(())
//! ```

mod children;
mod config;
mod group;
mod handshake;
mod log;
mod machines;
mod proto;
mod server;
mod service;

pub use children::{COMMAND, Children, Task, Told, Work, create_arguments};
pub use config::{Config, ConfigError};
pub use group::{Group, State};
pub use handshake::{COOKIE_NAME, HandshakeError, Socket, is_plugin, listen};
pub use log::{Level, Log};
pub use machines::{CreateFailure, Machines, Orphans, Progress};
pub use server::serve;
pub use service::{Opener, Service, Updates};
