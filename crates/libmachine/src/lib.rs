//! The use cases of docker-machine: create, start, stop, restart, kill, remove, provision, certificates, list, connect,
//! log in, prune.
//!
//! Implements the commands over a store, drivers, SSH, TLS and the provisioner. Does not print, parse or read the
//! environment: it emits [`machine_ops::Events`], and the binary, which calls it, passes [`Settings`].
//!
//! ```
//! use std::sync::Arc;
//!
//! use libmachine::{Cancel, CertificatePaths, Library, Settings};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = std::env::temp_dir().join("libmachine-example-without-machines");
//! let settings = Settings {
//!     certificates: CertificatePaths::of_store(&store),
//!     store,
//!     user: "alice".to_owned(),
//!     ssh_agent: None,
//!     user_keys: Vec::new(),
//! };
//! let library = Library::new(settings, Vec::new(), Arc::new(()), Cancel::new());
//! assert!(library.names()?.is_empty());
//! assert!(matches!(library.open("runner-1").await, Err(libmachine::Error::NotFound(_))));
//! # Ok::<(), libmachine::Error>(())
//! # }).unwrap();
//! ```

mod access;
mod certificates;
mod doctor;
mod error;
mod half_made;
mod journal;
mod library;
mod lifecycle;
mod list;
mod machine;
mod pool;
mod recovery;

pub use access::connect::{Connection, connection, docker_version, url};
pub use access::login::{
    HostKeyPolicy, KnownHosts, Location, Login, SshDetails, copy, log_in, openssh_details,
    saved_ssh_endpoint, ssh_details,
};
pub use certificates::renewal::warn_of_age;
pub use doctor::{DoctorRequest, examine};
pub use error::{Error, Left, Silence, confirmation_hint};
pub use library::{
    CertificatePaths, Library, Settings, is_in_place, is_in_use, is_unknown, sound_names,
};
pub use lifecycle::create::{
    CREATE_LIMIT, CreateRequest, CreateTimes, check, create, create_log, rehearse,
};
pub use lifecycle::labels::update_labels;
pub use lifecycle::power::{kill, restart, start, stop};
pub use lifecycle::provisioning::{Provisioning, provision, regenerate_certificates, upgrade};
pub use list::{Active, ListItem, ListOptions, StoredMachine, list};
pub use machine::{Machine, inspect, state};
pub use pool::{
    Member, MemberAccess, MemberState, Stage, lock_pool, member_access, member_states, pool_members,
};
pub use recovery::prune::{
    Found, PruneOptions, Pruned, StoreOrigin, confirm_origin, prune, remove_orphans,
};
pub use recovery::remove::{Removal, RemoveOptions, Removed, remove, remove_all};

// Re-exports for the binary, which does not depend on the lower crates.
pub use machine_driver::{Addresses, Options};
pub use machine_ops::files;
pub use machine_ops::{
    Ambient, Cancel, Cx, Event, Events, Hook, Look, MemoryJournal, Span, SpanKind, SpanOutcome,
    SystemAmbient, WaitError, WaitPolicy, Waiting, wait_until_ready,
};
pub use machine_provision::{FetchScript, RemoteError};
pub use machine_ssh::{Copy, ExitStatus as RemoteExit, Pty, WindowSize};
pub use machine_store::{
    EngineOptions, HostOptions, LARGEST_LOG, MachineRecord, PoolDocker, PoolLock, PoolMember,
    SwarmOptions,
};
