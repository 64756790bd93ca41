//! All disk access, each operation behind the hook: size-limited reads, atomic writes, renames, removals.

use std::fs::{self, DirBuilder, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use machine_ops::Ambient;
use machine_ops::files::{self, Links, TEMPORARY};
use rustix::fs::{CWD, OFlags, RenameFlags};

use crate::{FileHook, FileOp, StoreError};

/// The age after which a temporary file is considered abandoned by a crashed writer.
pub(crate) const STALE: Duration = Duration::from_secs(3600);

/// The largest file that is copied before an append: the largest journal.
const APPEND_LIMIT: u64 = 16 << 20;

/// The disk, with clock, random numbers and hook.
#[derive(Clone)]
pub(crate) struct Disk {
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) hook: Arc<dyn FileHook>,
}

type Done<T = ()> = Result<T, StoreError>;

impl Disk {
    fn run<T>(
        &self,
        op: FileOp,
        action: &'static str,
        path: &Path,
        act: impl FnOnce() -> io::Result<T>,
    ) -> Done<T> {
        self.hook
            .before(op, path)
            .and_then(|()| act())
            .map_err(|source| StoreError::disk(action, path, source))
    }

    /// Reads a regular file of at most `limit` bytes. Follows links; never waits for a FIFO's writer.
    pub(crate) fn read(&self, path: &Path, limit: u64) -> Done<Vec<u8>> {
        Ok(self.read_with_metadata(path, limit, Links::Follow)?.0)
    }

    /// Reads a file that only docker-machine writes: does not follow a link.
    pub(crate) fn read_ours(&self, path: &Path, limit: u64) -> Done<Vec<u8>> {
        Ok(self.read_with_metadata(path, limit, Links::Refuse)?.0)
    }

    /// Reads a file, and returns the metadata of the file that was read.
    pub(crate) fn read_with_metadata(
        &self,
        path: &Path,
        limit: u64,
        links: Links,
    ) -> Done<(Vec<u8>, Metadata)> {
        self.run(FileOp::Read, "read", path, || Ok(()))?;
        Ok(files::read_with_metadata(path, limit, links)?)
    }

    /// Reads a regular UTF-8 text file.
    pub(crate) fn read_text(&self, path: &Path, limit: u64) -> Done<String> {
        String::from_utf8(self.read(path, limit)?).map_err(|_| StoreError::NotText {
            path: path.to_owned(),
        })
    }

    /// Lists a directory's entries, sorted; none if the directory does not exist.
    pub(crate) fn list(&self, directory: &Path) -> Done<Vec<fs::DirEntry>> {
        let listed = self.run(FileOp::List, "list", directory, || {
            fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()
        });
        let mut entries = match listed {
            Err(error) if error.is_missing() => return Ok(Vec::new()),
            other => other?,
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        Ok(entries)
    }

    /// Creates a directory and its missing parents, with mode 0700.
    pub(crate) fn make_directories(&self, path: &Path) -> Done {
        if path.is_dir() {
            return Ok(());
        }
        self.run(FileOp::MakeDirectory, "create", path, || {
            // A dangling link: create the directory that it points to.
            let named = fs::read_link(path).unwrap_or_default();
            let target = path.parent().unwrap_or(path).join(named);
            let target = if path.is_symlink() { &target } else { path };
            DirBuilder::new().recursive(true).mode(0o700).create(target)
        })?;
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => self.sync_directory(parent),
            _ => Ok(()),
        }
    }

    /// Creates one directory, with mode 0700, that must not exist.
    pub(crate) fn make_directory(&self, path: &Path) -> Done {
        self.run(FileOp::MakeDirectory, "create", path, || {
            DirBuilder::new().mode(0o700).create(path)
        })
    }

    /// Creates a file that must not exist, writes and fsyncs it. Removes it again on any error.
    pub(crate) fn write_new(&self, path: &Path, contents: &[u8], mode: u32) -> Done {
        let contents = |_: &Metadata| Ok(contents.to_vec());
        Ok(files::write_new(path, mode, &*self.hook, contents)?)
    }

    /// Replaces a file, or creates it: readers see the complete old or the complete new contents.
    pub(crate) fn write(&self, path: &Path, contents: &[u8], mode: u32) -> Done {
        self.write_with(path, mode, |_| Ok(contents.to_vec()))
    }

    /// Replaces a file with contents that depend on the new file.
    pub(crate) fn write_with(
        &self,
        path: &Path,
        mode: u32,
        contents: impl FnOnce(&Metadata) -> io::Result<Vec<u8>>,
    ) -> Done {
        self.sweep_files(files::parent(path));
        let unique = self.ambient.random();
        Ok(files::replace_with(
            path,
            mode,
            unique,
            &*self.hook,
            contents,
        )?)
    }

    /// Appends to a file at offset `length`, and fsyncs it; creates it if it is missing. On an error, truncates the
    /// file to `length` if the disk allows it. Replaces a file that has a second hard link.
    pub(crate) fn append(&self, path: &Path, length: u64, bytes: &[u8], mode: u32) -> Done {
        let is_new = !path.exists();
        let mut file = self.run(FileOp::Create, "append to", path, || {
            OpenOptions::new()
                .append(true)
                .create(true)
                .mode(mode)
                .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
                .open(path)
        })?;
        if !file
            .metadata()
            .is_ok_and(|found| files::has_one_name(&found))
        {
            let mut whole = self.read_ours(path, length.max(APPEND_LIMIT))?;
            whole.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            whole.extend_from_slice(bytes);
            return self.write(path, &whole, mode);
        }
        let written = self
            .run(FileOp::Write, "append to", path, || {
                file.set_len(length)?;
                file.write_all(bytes)
            })
            .and_then(|()| self.run(FileOp::Sync, "append to", path, || file.sync_all()));
        if written.is_err() {
            let _ = file.set_len(length);
        }
        written?;
        if is_new {
            self.sync_directory(files::parent(path))?;
        }
        Ok(())
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Done {
        self.run(FileOp::Rename, "rename to", to, || fs::rename(from, to))
    }

    /// Renames to a name that must not exist: `AlreadyExists` otherwise. Where the file system cannot guarantee that
    /// (NFS), checks first; meanwhile the machine's lock excludes other docker-machine processes.
    pub(crate) fn rename_new(&self, from: &Path, to: &Path) -> Done {
        self.run(
            FileOp::Rename,
            "rename to",
            to,
            || match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                    if fs::symlink_metadata(to).is_ok() {
                        return Err(io::ErrorKind::AlreadyExists.into());
                    }
                    fs::rename(from, to)
                }
                other => Ok(other?),
            },
        )
    }

    pub(crate) fn remove_file(&self, path: &Path) -> Done {
        let removed = self.run(FileOp::Remove, "remove", path, || fs::remove_file(path));
        forgive_missing(removed)
    }

    /// Removes a tree without following links.
    pub(crate) fn remove_tree(&self, path: &Path) -> Done {
        let removed = self.run(FileOp::Remove, "remove", path, || {
            if fs::symlink_metadata(path)?.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            }
        });
        forgive_missing(removed)
    }

    pub(crate) fn sync_directory(&self, path: &Path) -> Done {
        Ok(files::sync_directory(path, &*self.hook)?)
    }

    /// Returns whether an entry was last changed more than an hour ago.
    pub(crate) fn is_stale(&self, entry: &fs::DirEntry) -> bool {
        entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|changed| self.ambient.now().duration_since(changed).ok())
            .is_some_and(|age| age > STALE)
    }

    /// Removes temporary files that a crash left behind; the next sweep retries those that cannot be removed.
    pub(crate) fn sweep_files(&self, directory: &Path) {
        for entry in self.list(directory).unwrap_or_default() {
            let is_temporary = entry.file_name().to_string_lossy().starts_with(TEMPORARY);
            if is_temporary && self.is_stale(&entry) {
                let _ = self.remove_file(&entry.path());
            }
        }
    }
}

fn forgive_missing(done: Done) -> Done {
    match done {
        Err(error) if error.is_missing() => Ok(()),
        other => other,
    }
}

/// Converts flags: `open(2)` takes an `int`; no flag that is used here has the sign bit.
pub(crate) fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}
