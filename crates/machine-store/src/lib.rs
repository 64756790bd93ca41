//! The storage directory: what lies where, who may write it when, and how it survives a crash.
//!
//! Owns the layout, the locks, atomic files, `config.json` in all its versions, the journal's file,
//! tombstones and the store's id. Refuses to know what a driver or a certificate is, to print, and to read
//! the environment: base directory, clock and randomness are handed in. `libmachine` calls it.
//!
//! ```text
//! BASE/                       0700, made when first needed
//!   certs/                    0700: ca.pem ca-key.pem cert.pem key.pem
//!   machines/                 0700: every real directory without a leading dot is a machine
//!     NAME/                   0700, appears by rename, complete
//!       config.json           0600, replaced by rename
//!       id_rsa id_rsa.pub ca.pem cert.pem key.pem server.pem server-key.pem
//!       .journal              0600, JSON lines, each one fsynced
//!       .known_hosts          0600, OpenSSH's format
//!     .creating-NAME-HEX/     a directory that is not complete yet
//!     .removing-NAME-HEX/     a directory that is no machine any more
//!   .docker-machine-store-id  0600: what tells this store from all others, and where it was made
//!   .locks/                   0700: .NAME for a machine, .-bootstrap for the certificates, .-store-id
//!   .marks/                   0700: which warning was given when
//!   .sightings.json          0600: since when `prune` has seen a detached volume
//!   .DRIVER-CACHE.json        0600: what processes of a driver share; may be removed at any time
//!   .tombstones/NAME-HEX/     0700: .journal and config.json of a machine that may live on
//! ```
//!
//! # Crashes
//! Every write is: temporary file, fsync, rename, fsync of the directory ([`machine_ops::files`]). What a crash leaves behind is
//! dot-named and swept in passing: at once where the machine's lock is held, after an hour otherwise.
//!
//! # Links and mounts
//! The base and a machine's directory may be symbolic links to another disk; `machines` may be a mount.
//! Reading follows links, but for files that only docker-machine writes (all that are dot-named); it refuses what is
//! no regular file (without waiting for a FIFO's other end), and is bounded. Writing never follows a link at the end
//! of a path: it replaces it. A lock's file that has a second name is locked, and not written.
//!
//! # Two managers on one store
//! Locks are `flock` on files that are open for writing. On local disks and on NFSv4 (Linux maps them to
//! byte-range locks, which the server keeps) they hold between hosts; a lock's holder is told by a process id
//! that means something on its own host only. On NFSv3 without lockd, on NFS mounted with `nolock` or
//! `local_lock=flock`, and on most FUSE file systems, they hold within one host only: there, one manager.
//! Readers take no lock anywhere.

mod create;
mod disk;
mod error;
mod examine;
mod identity;
mod journal;
mod layout;
mod lock;
mod marks;
mod migrate;
mod place;
mod record;
mod remove;
mod sightings;
mod store;
mod tombstone;

pub use create::NewFile;
pub use error::StoreError;
pub use examine::Oddity;
pub use identity::{StoreCondition, StoreId, StoreIdentity, Unconfirmed};
pub use journal::FileJournal;
pub use layout::MachineFile;
pub use lock::{BootstrapLock, MachineLock};
pub use place::{Medium, Place, Surroundings};
pub use record::{CONFIG_VERSION, MachineRecord};
pub use sightings::Sightings;
pub use store::{Access, Store};
// The seam at which tests make the disk fail.
pub use machine_ops::files::{FileHook, FileOp};
pub use tombstone::{Tombstone, TombstoneLock};
