//! The storage directory: its layout, its locks, and its crash safety.
//!
//! Owns the layout, the locks, atomic files, `config.json` in all its versions, the file of the journal, tombstones and the
//! id of the store. Knows nothing of drivers and certificates, prints nothing, and does not read the environment: base
//! directory, clock and random numbers are arguments. Called by `libmachine`.
//!
//! ```
//! use std::sync::Arc;
//!
//! use machine_ops::SystemAmbient;
//! use machine_store::{MachineFile, Store};
//!
//! let store = Store::new("/var/lib/machines", Arc::new(SystemAmbient::new()));
//! let name = "runner-1".parse().unwrap();
//! let config = store.file(&name, MachineFile::Config);
//! assert_eq!(config.to_str(), Some("/var/lib/machines/machines/runner-1/config.json"));
//! ```
//!
//! ```text
//! BASE/                       0700, created on first use
//!   certs/                    0700: ca.pem ca-key.pem cert.pem key.pem
//!   machines/                 0700: every real directory without a leading dot is a machine
//!     NAME/                   0700, appears by rename, complete
//!       config.json           0600, replaced by rename
//!       id_rsa id_rsa.pub ca.pem cert.pem key.pem server.pem server-key.pem
//!       .journal              0600, JSON lines, each one fsynced
//!       .known_hosts          0600, OpenSSH's format
//!     .creating-NAME-HEX/     a directory that is not complete yet
//!     .removing-NAME-HEX/     a directory of a removed machine
//!     .docker-machine-directory  0600: distinguishes this directory from a mount point without its disk
//!   .docker-machine-store-id  0600: the store's identity, and where it was created
//!   .locks/                   0700: .NAME for a machine, .-bootstrap for the certificates, .-store-id
//!   .logs/NAME                0600: records of the last create of this name; may be removed at any time
//!   .marks/                   0700: the time of each last warning
//!   .sightings.json          0600: when `prune` first saw a detached volume
//!   .DRIVER-CACHE.json        0600: cache that a driver's processes share; may be removed at any time
//!   .tombstones/NAME-HEX/     0700: .journal and config.json of a machine that may still exist in the cloud
//! ```
//!
//! # Crashes
//! Every write is: temporary file, fsync, rename, fsync of the directory ([`machine_ops::files`]). Files that a crash
//! leaves behind have names that begin with a dot. Later operations sweep them: at once where they hold the machine's
//! lock, after an hour otherwise.
//!
//! # Links and mounts
//! The base and a machine's directory may be symbolic links to another disk; `machines` may be a mount. Reading
//! follows links, except for files that only docker-machine writes (all whose names begin with a dot); it rejects a
//! path that is not a regular file (without waiting for a FIFO's other end), and has a size limit. Writing never
//! follows a link at the end of a path: it replaces it. A lock file that has a second hard link is locked, but not
//! written.
//!
//! # Two managers on one store
//! Locks are `flock` on files that are open for writing. On local disks and on NFSv4 (Linux maps them to byte-range
//! locks, which the server keeps) they work between hosts; a lock's holder is identified by a process id that is
//! valid on its own host only. On NFSv3 without lockd, on NFS mounted with `nolock` or `local_lock=flock`, and on
//! most FUSE file systems, they work within one host only: use one manager there. Readers never take a lock.

mod create;
mod create_log;
mod disk;
mod error;
mod examine;
mod host_options;
mod identity;
mod journal;
mod layout;
mod lock;
mod machines_directory;
mod marks;
mod migrate;
mod place;
mod record;
mod remove;
mod sightings;
mod store;
mod tombstone;

pub use create::NewFile;
pub use create_log::LARGEST_LOG;
pub use error::StoreError;
pub use examine::Oddity;
pub use host_options::{AuthOptions, EngineOptions, HostOptions, SwarmOptions};
pub use identity::{StoreCondition, StoreId, StoreIdentity, Unconfirmed};
pub use journal::FileJournal;
pub use layout::{MachineFile, below};
pub use lock::{BootstrapLock, MachineLock, PoolLock};
pub use place::{Medium, Place, Surroundings};
pub use record::{CONFIG_VERSION, MachineRecord, PoolDocker, PoolMember};
pub use sightings::{Sighting, Sightings};
pub use store::{Access, Store};
// Tests make disk operations fail through this hook.
pub use machine_ops::files::{FileHook, FileOp};
pub use tombstone::{Tombstone, TombstoneLock};
