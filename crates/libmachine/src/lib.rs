//! The use-cases of docker-machine: create, start, stop, restart, kill, remove, provision,
//! certificates, list, connect, log in, prune.
//!
//! Owns what a command *does*, over a store, drivers, SSH, TLS and the provisioner. Refuses to
//! print, to parse, and to read the environment: it tells [`machine_flow::Events`], and the binary
//! hands in [`Settings`]. Every use-case is a method of [`Library`].

mod age;
mod by_tags;
mod certificates;
mod connect;
mod create;
mod doctor;
mod error;
mod journal;
mod key;
mod labels;
mod library;
mod lifecycle;
mod list;
mod machine;
mod provisioning;
mod prune;
mod removal_request;
mod remove;
mod renewal;
mod rollback;
mod shell;
mod tombstones;
mod watch;

pub use connect::Connection;
pub use create::{CreateRequest, CreateTimes};
pub use doctor::DoctorRequest;
pub use error::{Error, Left};
pub use library::{CertificatePaths, Library, Settings};
pub use list::{Active, ListItem, ListOptions};
pub use machine::Machine;
pub use provisioning::Provisioning;
pub use prune::{Found, PruneOptions, Pruned};
pub use remove::{RemoveOptions, Removed};
pub use shell::{Location, Login, SshDetails};

// What the binary needs of the rooms below, which it does not see.
pub use machine_flow::{
    Ambient, Cancel, Cx, Event, Events, Hook, Look, MemoryJournal, Span, SpanKind, SpanOutcome,
    SystemAmbient, WaitError, WaitPolicy, wait_until_ready,
};
pub use machine_provision::{FetchScript, RemoteError};
pub use machine_ssh::{Copy, ExitStatus as RemoteExit, Pty, WindowSize};
pub use machine_store::MachineRecord;
