//! Turns a Linux host into a Docker engine that is reachable over TLS.
//!
//! Owns the code that runs on the host: one POSIX `sh` script, sent over a [`Remote`] with its parameters on standard
//! input. It detects the system, waits for the first boot, installs Docker if it is missing, and writes certificates
//! and the unit's drop-in. It changes only what differs and restarts the engine only if something changed.
//! `libmachine` calls it, and makes the certificates, opens the connection and checks the engine from outside.
//!
//! One file of `families/` per family of distributions, one row each in its table.

mod answer;
mod daemon_json;
mod engine;
mod error;
mod failure;
mod families;
mod flags;
mod host_name;
mod inherited;
mod parameters;
mod plan;
mod progress;
mod provision;
mod remote;
mod report;
mod script;
mod sections;
mod unit;

pub use error::{ProvisionError, Stage};
pub use host_name::host_name;
pub use plan::{Certificates, EngineConfig, FetchScript, InstallSource, Plan};
pub use provision::{check, provision, replace_certificates, run_custom_script, upgrade, warnings};
pub use remote::{Exit, Job, Remote, RemoteError, TakeLine};
pub use report::{Firewall, Os, Report};
