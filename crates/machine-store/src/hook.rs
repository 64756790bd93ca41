//! The seam at which tests make the disk fail.

use std::io;
use std::path::Path;

/// What is about to be done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileOp {
    /// Opening a file and reading it.
    Read,
    /// Reading a directory's entries.
    List,
    /// Making a directory.
    MakeDirectory,
    /// Making a file.
    Create,
    /// Writing to a file that is open.
    Write,
    /// Fsync of a file.
    Sync,
    /// Fsync of a directory.
    SyncDirectory,
    /// Renaming; the path is the new one.
    Rename,
    /// Removing a file or a tree.
    Remove,
    /// Opening and locking a lock's file.
    Lock,
}

/// Is called before every operation on a file. In the binary it is `()`, which does nothing.
pub trait FileHook: Send + Sync {
    /// Lets the operation happen, or makes it fail without happening; may end the process.
    ///
    /// # Errors
    /// Becomes the operation's error.
    fn before(&self, op: FileOp, path: &Path) -> io::Result<()>;
}

impl FileHook for () {
    fn before(&self, _op: FileOp, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}
