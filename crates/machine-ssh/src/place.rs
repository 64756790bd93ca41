//! One end of a copy: a local path or a path on a machine, with a common interface.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use machine_types::printable;
use tokio::fs;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::wildcard;
use crate::{Entry, EntryKind, Sftp, TransferError};

/// One end of a copy.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// A path on this computer.
    Local(&'a Path),
    /// A path on a machine, relative to the login directory. An empty path and `~` are that directory.
    Remote(&'a Sftp, &'a str),
}

/// A [`Place`] that owns its path.
#[derive(Clone)]
pub(crate) enum Spot<'a> {
    Local(PathBuf),
    Remote(&'a Sftp, String),
}

/// Checks a name from a directory listing, which is untrusted: a malicious machine could list
/// `../.ssh/authorized_keys`.
pub(crate) fn plain_name(directory: &str, name: &str) -> Result<(), TransferError> {
    match name {
        "" | "." | ".." => {}
        name if name.contains(['/', '\0']) => {}
        _ => return Ok(()),
    }
    Err(TransferError::BadName {
        path: directory.to_owned(),
        name: printable(name.as_bytes()),
    })
}

impl<'a> Spot<'a> {
    /// Resolves a leading `~` as scp(1) does.
    pub(crate) async fn of(place: Place<'a>) -> Result<Self, TransferError> {
        Ok(match place {
            Place::Local(path) => Self::Local(path.to_owned()),
            Place::Remote(sftp, path) => Self::Remote(sftp, sftp.without_tilde(path).await?),
        })
    }

    /// Returns the paths that a source matches. Patterns in local paths are left to the user's shell.
    pub(crate) async fn expanded(self) -> Result<Vec<Self>, TransferError> {
        match self {
            Self::Local(_) => Ok(vec![self]),
            Self::Remote(sftp, path) => {
                let paths = wildcard::expand(sftp, &path).await?;
                Ok(paths.into_iter().map(|p| Self::Remote(sftp, p)).collect())
            }
        }
    }

    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// Returns whether the path is another one or lies below it, where that can be told.
    pub(crate) async fn is_in(&self, other: &Self) -> bool {
        let same_place = match (self, other) {
            (Self::Local(_), Self::Local(_)) => true,
            // Another user, or another name of the machine, has the same files.
            (Self::Remote(one, _), Self::Remote(other, _)) => one.host() == other.host(),
            _ => false,
        };
        same_place
            && match (self.real_path().await, other.real_path().await) {
                (Some(path), Some(other)) => path.starts_with(other),
                _ => false,
            }
    }

    /// Returns the absolute path without links; the last component need not exist.
    async fn real_path(&self) -> Option<PathBuf> {
        match self {
            Self::Remote(sftp, path) => sftp.real_path(path).await.map(PathBuf::from),
            Self::Local(path) => match (fs::canonicalize(path).await, path.parent()) {
                (Err(_), Some(parent)) => {
                    let parent = fs::canonicalize(parent).await.ok()?;
                    Some(parent.join(path.file_name()?))
                }
                (found, _) => found.ok(),
            },
        }
    }

    /// Returns the path for messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Local(path) => path.display().to_string(),
            Self::Remote(sftp, path) => sftp.shown(path),
        }
    }

    /// Returns whether the path can only be that of a directory.
    pub(crate) fn ends_in_slash(&self) -> bool {
        match self {
            Self::Local(path) => path.as_os_str().as_bytes().ends_with(b"/"),
            Self::Remote(_, path) => path.ends_with('/'),
        }
    }

    /// Returns the last component of the path as given, so that `d/.` is not `d`. Returns `None` for `.`, `..`, the
    /// root and the login directory, whose content is copied to the target itself.
    pub(crate) fn base_name(&self) -> Result<Option<String>, TransferError> {
        let path = match self {
            Self::Local(path) => path.as_os_str().as_bytes(),
            Self::Remote(_, path) => path.as_bytes(),
        };
        let end = path.iter().rposition(|byte| *byte != b'/');
        let path = path.get(..=end.unwrap_or(0)).unwrap_or_default();
        let name = path.rsplit(|byte| *byte == b'/').next();
        match name.unwrap_or_default() {
            b"" | b"." | b".." => Ok(None),
            name => match std::str::from_utf8(name) {
                Ok(name) => Ok(Some(name.to_owned())),
                Err(_) => Err(self.failed(not_utf8())),
            },
        }
    }

    /// Returns the path of a directory entry.
    pub(crate) fn child(&self, name: &str) -> Result<Self, TransferError> {
        plain_name(&self.name(), name)?;
        Ok(match self {
            Self::Local(path) => Self::Local(path.join(name)),
            Self::Remote(sftp, path) if path.is_empty() => Self::Remote(sftp, name.to_owned()),
            Self::Remote(sftp, path) => {
                Self::Remote(sftp, format!("{}/{name}", path.trim_end_matches('/')))
            }
        })
    }

    /// Returns the directory that contains this path.
    pub(crate) fn parent(&self) -> Self {
        match self {
            Self::Local(path) => Self::Local(match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
                _ => PathBuf::from("."),
            }),
            Self::Remote(sftp, path) => Self::Remote(
                sftp,
                match path.rsplit_once('/') {
                    Some(("", _)) => "/".to_owned(),
                    Some((parent, _)) => parent.to_owned(),
                    None => String::new(),
                },
            ),
        }
    }

    /// Returns the number of free bytes in the file system of an existing path, including those reserved for root.
    /// Returns `None` if the file system or the machine does not tell.
    pub(crate) async fn free_space(&self) -> Option<u64> {
        match self {
            Self::Local(path) => {
                let path = path.clone();
                let found = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&path));
                let found = found.await.ok()?.ok()?;
                (found.f_blocks > 0).then(|| found.f_bfree.saturating_mul(found.f_frsize))
            }
            Self::Remote(sftp, path) => sftp.free_space(path).await,
        }
    }

    pub(crate) async fn entry(&self) -> Result<Entry, TransferError> {
        match self {
            Self::Local(path) => match fs::metadata(path).await {
                Ok(found) => Ok(local_entry(&found)),
                Err(error) => Err(self.failed(error)),
            },
            Self::Remote(sftp, path) => Ok(sftp.entry(path).await?),
        }
    }

    pub(crate) async fn entry_if_any(&self) -> Result<Option<Entry>, TransferError> {
        match self {
            Self::Local(path) => match fs::metadata(path).await {
                Ok(found) => Ok(Some(local_entry(&found))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(self.failed(error)),
            },
            Self::Remote(sftp, path) => Ok(sftp.entry_if_any(path).await?),
        }
    }

    /// Lists the names in a directory. Names that SFTP cannot represent are separate errors.
    pub(crate) async fn names(&self) -> Result<Vec<Result<String, TransferError>>, TransferError> {
        let path = match self {
            Self::Remote(sftp, path) => {
                let names = sftp.names(path).await?;
                return Ok(names.into_iter().map(Ok).collect());
            }
            Self::Local(path) => path,
        };
        let mut names = Vec::new();
        let mut listing = fs::read_dir(path).await.map_err(|e| self.failed(e))?;
        while let Some(entry) = listing.next_entry().await.map_err(|e| self.failed(e))? {
            let name = entry.file_name().into_string();
            names.push(name.map_err(|name| Self::Local(path.join(name)).failed(not_utf8())));
        }
        Ok(names)
    }

    /// Creates a directory. With a mode, the directory is writable for its owner until [`Spot::close_directory`] sets
    /// that mode.
    pub(crate) async fn make_directory(&self, mode: Option<u32>) -> Result<(), TransferError> {
        match self {
            Self::Local(path) => {
                let mut builder = fs::DirBuilder::new();
                builder.mode(mode.map_or(0o777, |mode| mode | WHILE_COPIED));
                builder.create(path).await.map_err(|e| self.failed(e))
            }
            Self::Remote(sftp, path) => {
                sftp.make_directory(path).await?;
                match mode {
                    Some(mode) => Ok(sftp.set_mode(path, mode | WHILE_COPIED).await?),
                    None => Ok(()),
                }
            }
        }
    }

    /// Removes the owner's permissions that the mode of a created directory does not include.
    pub(crate) async fn close_directory(&self, mode: u32) -> Result<(), TransferError> {
        match mode & WHILE_COPIED {
            WHILE_COPIED => Ok(()),
            _ => self.set_mode(mode).await,
        }
    }

    async fn set_mode(&self, mode: u32) -> Result<(), TransferError> {
        match self {
            Self::Local(path) => {
                let mode = std::fs::Permissions::from_mode(mode);
                let set = fs::set_permissions(path, mode).await;
                set.map_err(|error| self.failed(error))
            }
            Self::Remote(sftp, path) => Ok(sftp.set_mode(path, mode).await?),
        }
    }

    pub(crate) async fn read(&self) -> Result<Box<dyn AsyncRead + Send + Unpin>, TransferError> {
        match self {
            Self::Local(path) => match fs::File::open(path).await {
                Ok(file) => Ok(Box::new(file)),
                Err(error) => Err(self.failed(error)),
            },
            Self::Remote(sftp, path) => Ok(Box::new(sftp.read(path).await?)),
        }
    }

    pub(crate) async fn write(
        &self,
        mode: u32,
    ) -> Result<Box<dyn AsyncWrite + Send + Unpin>, TransferError> {
        let path = match self {
            Self::Remote(sftp, path) => return Ok(Box::new(sftp.write(path, mode).await?)),
            Self::Local(path) => path,
        };
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        // Same as scp(1): the owner can write a local copy.
        options.mode(mode | 0o200);
        match fs::OpenOptions::from(options).open(path).await {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Returns an error for this path.
    pub(crate) fn failed(&self, source: io::Error) -> TransferError {
        match self {
            Self::Local(path) => TransferError::Local {
                path: path.clone(),
                source,
            },
            Self::Remote(sftp, path) => sftp.failed_open(path, &source).into(),
        }
    }
}

/// Permissions of a directory's owner while the directory is filled.
const WHILE_COPIED: u32 = 0o300;

fn not_utf8() -> io::Error {
    io::Error::other("the name is not UTF-8")
}

fn local_entry(found: &std::fs::Metadata) -> Entry {
    let kind = match (found.is_dir(), found.is_file()) {
        (true, _) => EntryKind::Directory,
        (_, true) => EntryKind::File,
        _ => EntryKind::Other,
    };
    Entry {
        kind,
        size: found.len(),
        mode: found.permissions().mode() & 0o777,
    }
}
