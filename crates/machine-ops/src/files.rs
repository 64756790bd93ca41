//! Small files that processes share. All code reads, replaces and opens them through this module.
//!
//! Nothing here waits for the other end of a FIFO, reads more than a limit, accepts a device or a directory as a
//! file, or writes through a link. Files are replaced atomically: temporary file, fsync, rename, fsync of the
//! directory. A temporary file is named `.writing-NAME-HEX`; the store removes those that a crash leaves behind.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The prefix of a file's name until the file is complete.
pub const TEMPORARY: &str = ".writing-";

/// The next operation on a file.
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
    /// Opening and locking a lock file.
    Lock,
}

/// Called before every operation on a file, so that tests can make it fail. The binary uses `()`, which does nothing.
pub trait FileHook: Send + Sync {
    /// Allows the operation, or makes it fail without executing it; may end the process.
    ///
    /// # Errors
    /// The error becomes the operation's error.
    fn before(&self, op: FileOp, path: &Path) -> io::Result<()>;
}

impl FileHook for () {
    fn before(&self, _op: FileOp, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// The cause of a failed read or write.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system reported an error.
    #[error("cannot {action} {}", path.display())]
    Disk {
        /// `read`, `create`, `write`, `rename to`, `sync`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// A directory, a FIFO, a socket, a device, or a link where none is followed.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file larger than the limit.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
}

impl FileError {
    /// Returns whether the file does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Disk { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Returns the operating system's error, or an equivalent one.
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Disk { source, .. } => source,
            other => io::Error::new(io::ErrorKind::InvalidInput, other),
        }
    }
}

/// Whether a link at the end of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// For files of the user, such as keys and certificates.
    Follow,
    /// For files that only docker-machine writes.
    Refuse,
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// [`FileError`] names the file.
pub fn read(path: &Path, limit: u64, links: Links) -> Result<Vec<u8>, FileError> {
    Ok(read_with_metadata(path, limit, links)?.0)
}

/// Reads a UTF-8 text file of at most `limit` bytes. It must be a regular file.
///
/// # Errors
/// [`FileError`] names the file; text that is not UTF-8 is [`io::ErrorKind::InvalidData`].
pub fn read_text(path: &Path, limit: u64, links: Links) -> Result<String, FileError> {
    String::from_utf8(read(path, limit, links)?).map_err(|_| {
        let source = io::Error::new(io::ErrorKind::InvalidData, "it is not text");
        FileError::disk("read", path, source)
    })
}

/// Reads a regular file of at most `limit` bytes, and returns the metadata of the file that was read.
///
/// # Errors
/// [`FileError`] names the file.
pub fn read_with_metadata(
    path: &Path,
    limit: u64,
    links: Links,
) -> Result<(Vec<u8>, Metadata), FileError> {
    let (file, metadata) = open(path, links, OpenOptions::new().read(true))?;
    // One read for the contents, one that finds the end.
    let size = metadata.len().min(limit).saturating_add(1);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    let read = file
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| FileError::disk("read", path, source))?;
    if read as u64 > limit {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    Ok((bytes, metadata))
}

/// Opens a file that processes lock, read and change in place; creates it if it is missing. Does not follow a link
/// and does not change the contents. Check [`has_one_name`] before writing.
///
/// # Errors
/// [`FileError`] names the file.
pub fn open_shared(path: &Path, mode: u32) -> Result<(File, Metadata), FileError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    open(path, Links::Refuse, options.mode(mode))
}

/// Returns whether a file has one hard link only. Another name may belong to a backup or to another user, so such a
/// file must not be changed in place.
pub fn has_one_name(metadata: &Metadata) -> bool {
    metadata.nlink() <= 1
}

fn open(
    path: &Path,
    links: Links,
    options: &mut OpenOptions,
) -> Result<(File, Metadata), FileError> {
    let not_a_file = || FileError::NotAFile {
        path: path.to_owned(),
    };
    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    if links == Links::Refuse {
        flags |= OFlags::NOFOLLOW;
    }
    let opened = options.custom_flags(flags.bits().cast_signed()).open(path);
    let file = opened.map_err(|source| match source.raw_os_error() {
        Some(code) if links == Links::Refuse && code == rustix::io::Errno::LOOP.raw_os_error() => {
            not_a_file()
        }
        _ => FileError::disk("open", path, source),
    })?;
    let metadata = file
        .metadata()
        .map_err(|source| FileError::disk("open", path, source))?;
    if !metadata.is_file() {
        return Err(not_a_file());
    }
    Ok((file, metadata))
}

/// Replaces a file, or creates it: readers see the complete old or the complete new contents. `unique` distinguishes
/// the temporary files of concurrent writers. A link is replaced, not followed.
///
/// # Errors
/// [`FileError`] names the file; the old one is then kept.
pub fn replace(path: &Path, contents: &[u8], mode: u32, unique: u64) -> Result<(), FileError> {
    replace_with(path, mode, unique, &(), |_| Ok(contents.to_vec()))
}

/// Replaces a file that may be lost in a power failure: no fsync.
///
/// # Errors
/// Same as [`replace`].
pub fn replace_cache(
    path: &Path,
    contents: &[u8],
    mode: u32,
    unique: u64,
) -> Result<(), FileError> {
    let temporary = temporary(path, unique);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)
        .and_then(|mut file| file.write_all(contents))
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        let _ = fs::remove_file(&temporary);
        FileError::disk("write", path, source).about(path)
    })
}

/// Removes the temporary files of a file that a crash left behind. The caller must prevent concurrent replacement of
/// the file.
pub fn sweep(path: &Path) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beginning = format!("{TEMPORARY}{name}-");
    for entry in fs::read_dir(parent(path)).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&beginning) {
            // A file that cannot be removed does no harm.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Replaces a file with contents that depend on the new file (a rename keeps the inode), and with a hook.
///
/// # Errors
/// Same as [`replace`].
pub fn replace_with(
    path: &Path,
    mode: u32,
    unique: u64,
    hook: &dyn FileHook,
    contents: impl FnOnce(&Metadata) -> io::Result<Vec<u8>>,
) -> Result<(), FileError> {
    let temporary = temporary(path, unique);
    write_new(&temporary, mode, hook, contents).map_err(|error| error.about(path))?;
    let renamed = hook
        .before(FileOp::Rename, path)
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(source) = renamed {
        // The first error is returned; a file that cannot be removed is removed by a later sweep.
        let _ = fs::remove_file(&temporary);
        return Err(FileError::disk("rename to", path, source));
    }
    sync_directory(parent(path), hook)
}

fn temporary(path: &Path, unique: u64) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parent(path).join(format!("{TEMPORARY}{name}-{unique:016x}"))
}

/// Creates a file that must not exist, writes and fsyncs it. Removes it again on any error.
///
/// # Errors
/// [`FileError`] names the file.
pub fn write_new(
    path: &Path,
    mode: u32,
    hook: &dyn FileHook,
    contents: impl FnOnce(&Metadata) -> io::Result<Vec<u8>>,
) -> Result<(), FileError> {
    let mut file = hook
        .before(FileOp::Create, path)
        .and_then(|()| {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
                .open(path)
        })
        .map_err(|source| FileError::disk("create", path, source))?;
    let written = file.metadata().and_then(|metadata| {
        let contents = contents(&metadata)?;
        hook.before(FileOp::Write, path)?;
        file.write_all(&contents)?;
        hook.before(FileOp::Sync, path)?;
        file.sync_all()
    });
    written.map_err(|source| {
        let _ = fs::remove_file(path);
        FileError::disk("write", path, source)
    })
}

/// Makes a rename in a directory durable.
///
/// # Errors
/// [`FileError`] names the directory.
pub fn sync_directory(path: &Path, hook: &dyn FileHook) -> Result<(), FileError> {
    let synced = hook
        .before(FileOp::SyncDirectory, path)
        .and_then(|()| File::open(path)?.sync_all());
    match synced {
        // File systems that cannot fsync a directory return this error; there is no alternative.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other.map_err(|source| FileError::disk("sync", path, source)),
    }
}

/// Returns the parent directory of a file.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

impl FileError {
    fn disk(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Disk {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Replaces the temporary file in an error by the target file: the user knows only the target.
    fn about(self, path: &Path) -> Self {
        let Self::Disk { action, source, .. } = self else {
            return self;
        };
        let directory = Some(parent(path)).filter(|directory| !directory.is_dir());
        let source = match directory {
            Some(missing) if source.kind() == io::ErrorKind::NotFound => {
                let said = format!("there is no directory {}", missing.display());
                io::Error::new(io::ErrorKind::NotFound, said)
            }
            _ => source,
        };
        Self::disk(action, path, source)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn special_and_oversized_files_are_refused_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "text").unwrap();
        symlink("file", at("link")).unwrap();
        symlink("/dev/zero", at("endless")).unwrap();
        File::create(at("huge")).unwrap().set_len(1 << 40).unwrap();
        let fifo = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), fifo).unwrap();
        assert_eq!(read(&at("link"), 4, Links::Follow).unwrap(), b"text");
        for (name, links) in [
            ("link", Links::Refuse),
            ("endless", Links::Follow),
            ("fifo", Links::Follow),
            (".", Links::Follow),
        ] {
            let error = read(&at(name), 4, links).unwrap_err();
            assert!(matches!(error, FileError::NotAFile { .. }), "{error}");
        }
        for name in ["file", "huge"] {
            let error = read(&at(name), 3, Links::Follow).unwrap_err();
            assert!(matches!(error, FileError::TooLarge { .. }), "{error}");
        }
        assert!(
            read(&at("none"), 3, Links::Follow)
                .unwrap_err()
                .is_missing()
        );
        for name in ["link", "fifo", "."] {
            open_shared(&at(name), 0o600).unwrap_err();
        }
        let (_, metadata) = open_shared(&at("new"), 0o600).unwrap();
        assert!(has_one_name(&metadata));
        fs::hard_link(at("new"), at("second")).unwrap();
        assert!(!has_one_name(&open_shared(&at("new"), 0o600).unwrap().1));
    }

    #[test]
    fn replacing_is_atomic_and_does_not_follow_links() {
        let directory = tempfile::tempdir().unwrap();
        let (path, victim) = (directory.path().join("a"), directory.path().join("victim"));
        fs::write(&victim, "precious").unwrap();
        type Write = fn(&Path, &[u8], u32, u64) -> Result<(), FileError>;
        for write in [replace as Write, replace_cache as Write] {
            let _ = fs::remove_file(&path);
            symlink(&victim, &path).unwrap();
            write(&path, b"new", 0o600, 7).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"new");
            assert!(!path.is_symlink());
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert_eq!(fs::read(&victim).unwrap(), b"precious");
            assert_eq!(names(directory.path()), ["a", "victim"]);
            // An existing name is not overwritten.
            let planted = directory.path().join(".writing-a-0000000000000007");
            symlink(&victim, &planted).unwrap();
            write(&path, b"newer", 0o600, 7).unwrap_err();
            assert_eq!(fs::read(&victim).unwrap(), b"precious");
            sweep(&path);
            assert!(!planted.is_symlink());
            let missing = directory.path().join("none/a");
            let error = write(&missing, b"", 0o600, 7).unwrap_err().into_io();
            assert!(
                error.to_string().contains("there is no directory"),
                "{error}"
            );
        }
    }
}
