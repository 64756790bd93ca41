//! The use-cases of docker-machine: create, start, stop, restart, kill, remove, provision,
//! certificates, list, connect, log in, prune.
//!
//! Owns what a command *does*, over a store, drivers, SSH, TLS and the provisioner. Refuses to
//! print, to parse, and to read the environment: it tells [`machine_ops::Events`], and the binary
//! hands in [`Settings`]. Every use-case is a method of [`Library`].

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
mod recovery;

pub use access::connect::Connection;
pub use access::login::{HostKeyPolicy, Location, Login, SshDetails};
pub use doctor::DoctorRequest;
pub use error::{CONFIRM_ORIGIN, Error, Left, Silence};
pub use library::{CertificatePaths, Library, Settings};
pub use lifecycle::create::{CreateRequest, CreateTimes};
pub use lifecycle::provisioning::Provisioning;
pub use list::{Active, ListItem, ListOptions, StoredMachine};
pub use machine::Machine;
pub use recovery::prune::{Found, PruneOptions, Pruned, StoreOrigin};
pub use recovery::remove::{RemoveOptions, Removed};

// What the binary needs of the rooms below, which it does not see.
pub use machine_ops::files;
pub use machine_ops::{
    Ambient, Cancel, Cx, Event, Events, Hook, Look, MemoryJournal, Span, SpanKind, SpanOutcome,
    SystemAmbient, WaitError, WaitPolicy, Waiting, wait_until_ready,
};
pub use machine_provision::{FetchScript, RemoteError};
pub use machine_ssh::{Copy, ExitStatus as RemoteExit, Pty, WindowSize};
pub use machine_store::{EngineOptions, HostOptions, MachineRecord, SwarmOptions};
