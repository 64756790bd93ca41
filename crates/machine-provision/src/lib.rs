//! Turns a Linux host into a Docker engine that answers over TLS.
//!
//! Owns what runs on the host: one POSIX `sh` script, sent over a [`Remote`] with its values on standard input, that
//! detects the system, waits for its first boot, installs Docker where it is missing, and writes certificates and the
//! drop-in of the unit. It changes what differs and restarts the engine only if something did. Does not make
//! certificates, connect, or check the engine from outside: `libmachine`, which calls it, does.
//!
//! Each family of distributions has one file in `families/` and one row in its table.
//!
//! ```
//! use machine_provision::{InstallSource, host_name};
//!
//! assert_eq!(InstallSource::parse(""), InstallSource::Url("https://get.docker.com".into()));
//! assert_eq!(InstallSource::parse("file:///opt/docker.sh"), InstallSource::File("/opt/docker.sh".into()));
//! // sethostname(2) takes 64 characters.
//! assert_eq!(host_name(&"n".repeat(80)).len(), 64);
//! ```

mod answer;
mod daemon_json;
mod engine;
mod error;
mod failure;
mod families;
mod flags;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
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
