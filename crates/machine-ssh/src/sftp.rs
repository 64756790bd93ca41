//! Files of a machine, by SFTP (draft-ietf-secsh-filexfer-02, version 3, as OpenSSH implements it).

use std::fmt;
use std::sync::Arc;

use machine_ops::Cx;
use machine_types::printable;
use russh_sftp::client::error::Error;
use russh_sftp::client::rawsession::Limits;
use russh_sftp::client::{Config, RawSftpSession};
use russh_sftp::extensions;
use russh_sftp::protocol::{FileAttributes, OpenFlags, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::SshError;
use crate::heard::Heard;
use crate::listing::Listing;
use crate::pump::{PumpError, subsystem};
use crate::session::Connection;
use crate::sftp_stream::{OpenFile, Reader, Writer};

/// Timeout for one response, including the queued ones before it on a slow connection.
const ANSWER: u64 = 60;

/// Size of a write request, and of a read request if the server does not announce its limits: all servers accept it
/// (draft 02, section 3).
const BLOCK: u32 = 32 << 10;

/// Maximum size of a read request: OpenSSH's server returns at most 255 KB.
const LARGEST_READ: u32 = 255 << 10;

/// Files of a machine. Paths are relative to the login directory, and an empty path is that directory. `~` has no
/// special meaning (see `without_tilde`). Keeps the connection open until dropped.
pub struct Sftp {
    files: Arc<RawSftpSession>,
    connection: Arc<Connection>,
    /// Precedes paths in errors: empty, or the machine's name and a colon.
    machine: String,
    read: u32,
    write: u32,
    expands_paths: bool,
    tells_free_space: bool,
}

/// Metadata of a path; links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Type of the entry.
    pub kind: EntryKind,
    /// Length in bytes.
    pub size: u64,
    /// Permissions, the lower nine bits of the mode.
    pub mode: u32,
}

/// Type of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A device, a socket, a pipe.
    Other,
}

impl Sftp {
    pub(crate) async fn start(connection: Arc<Connection>, cx: &Cx) -> Result<Self, SftpError> {
        let title = "sftp";
        let work = async {
            let channel = connection.open(title).await?;
            match subsystem(channel, title).await {
                Err(PumpError::Refused) => Ok(None),
                Err(error) => Err(connection.explain(title, error)),
                Ok(channel) => Ok(Some(channel)),
            }
        };
        let started = connection.bounded(title, None, cx, work).await;
        let channel = started.map_err(SftpError::Start)?;
        let channel = channel.ok_or_else(|| SftpError::NoSubsystem {
            host: connection.host.clone(),
        })?;
        let config = Config {
            request_timeout_secs: ANSWER,
            ..Config::default()
        };
        let (stream, first_bytes) = Heard::new(channel.into_stream());
        let mut files = RawSftpSession::new_with_config(stream, config);
        let able = match cx.cancel.or(begin(&files)).await {
            Ok(Ok(able)) => able,
            Ok(Err(error)) => {
                let host = || connection.host.clone();
                return Err(match first_bytes.text() {
                    Some(said) => SftpError::ShellOutput { host: host(), said },
                    None if matches!(error, Error::Timeout) || connection.is_closed() => {
                        answer(&connection, title, &error)
                    }
                    None if first_bytes.is_empty() => SftpError::NoServer { host: host() },
                    None => answer(&connection, title, &error),
                });
            }
            Err(reason) => return Err(SftpError::Cancelled(reason)),
        };
        files.set_limits(able.limits);
        Ok(Self {
            files: Arc::new(files),
            connection,
            machine: String::new(),
            read: length(able.limits.read_len, BLOCK, LARGEST_READ),
            write: length(able.limits.write_len, BLOCK, BLOCK),
            expands_paths: able.expands_paths,
            tells_free_space: able.tells_free_space,
        })
    }

    /// Names the machine, for errors: `m1:path` in place of the path alone.
    #[must_use]
    pub fn named(mut self, machine: &str) -> Self {
        self.machine = format!("{machine}:");
        self
    }

    /// Returns a path for messages.
    pub(crate) fn shown(&self, path: &str) -> String {
        let path = if path.is_empty() { "~" } else { path };
        format!("{}{path}", self.machine)
    }

    /// Returns `HOST:PORT` of the machine.
    pub(crate) fn host(&self) -> &str {
        &self.connection.host
    }

    /// Returns the metadata of a path.
    ///
    /// # Errors
    /// Returns a [`SftpError::Remote`] that names the path, also if it does not exist.
    pub async fn entry(&self, path: &str) -> Result<Entry, SftpError> {
        let found = self.files.stat(or_here(path)).await;
        found
            .map(|found| Entry::from(found.attrs))
            .map_err(|e| self.failed(path, &e))
    }

    /// Returns the metadata of a path, or `None` if it does not exist.
    ///
    /// # Errors
    /// Returns [`SftpError::Remote`] if the machine cannot tell.
    pub async fn entry_if_any(&self, path: &str) -> Result<Option<Entry>, SftpError> {
        match self.files.stat(or_here(path)).await {
            Ok(found) => Ok(Some(Entry::from(found.attrs))),
            Err(Error::Status(status)) if status.status_code == StatusCode::NoSuchFile => Ok(None),
            Err(error) => Err(self.failed(path, &error)),
        }
    }

    /// Returns the number of free bytes in the file system of a path, or `None` if the server does not tell.
    pub(crate) async fn free_space(&self, path: &str) -> Option<u64> {
        if !self.tells_free_space {
            return None;
        }
        let found = self.files.statvfs(or_here(path)).await.ok()?;
        (found.blocks > 0).then(|| found.blocks_free.saturating_mul(found.fragment_size))
    }

    /// Expands a path that begins with `~`, as scp(1) does: `~` and `~/…` are the login directory, and the server
    /// resolves `~user`.
    ///
    /// # Errors
    /// Returns [`SftpError::Remote`] if the server does not know the user, or cannot expand paths.
    pub(crate) async fn without_tilde(&self, path: &str) -> Result<String, SftpError> {
        match path.strip_prefix('~') {
            None => return Ok(path.to_owned()),
            Some("") => return Ok(String::new()),
            Some(rest) if rest.starts_with('/') => {
                return Ok(rest.trim_start_matches('/').to_owned());
            }
            Some(_) => {}
        }
        let refused = |reason: &str| SftpError::Remote {
            path: self.shown(path),
            reason: reason.to_owned(),
        };
        if !self.expands_paths {
            let reason = "the SFTP server does not support ~USER paths: use an absolute path";
            return Err(refused(reason));
        }
        let names = match self.files.expand_path(path).await {
            Ok(expanded) => expanded.files,
            Err(Error::Status(status)) if status.status_code == StatusCode::NoSuchFile => {
                return Err(refused("the machine has no such user"));
            }
            Err(error) => return Err(self.failed(path, &error)),
        };
        let first = names.into_iter().next().map(|name| name.filename);
        first.ok_or_else(|| refused("the SFTP server does not tell what it stands for"))
    }

    /// Returns the absolute path without links; the last component need not exist. Returns `None` if the machine cannot
    /// tell.
    pub(crate) async fn real_path(&self, path: &str) -> Option<String> {
        let names = self.files.realpath(or_here(path)).await.ok()?.files;
        names.into_iter().next().map(|name| name.filename)
    }

    /// Lists the names in a directory, except `.` and `..`, unchanged. The names are untrusted input: the caller must
    /// check a name before using it in a path.
    ///
    /// # Errors
    /// Returns a [`SftpError::Remote`] that names the directory, also if it has more entries than the limit.
    pub async fn names(&self, directory: &str) -> Result<Vec<String>, SftpError> {
        let opened = self.files.opendir(or_here(directory)).await;
        let handle = opened.map_err(|e| self.failed(directory, &e))?.handle;
        let names = self.listed(directory, &handle).await;
        // Closing the directory does not change the result.
        let _ = self.files.close(handle).await;
        names
    }

    async fn listed(&self, directory: &str, handle: &str) -> Result<Vec<String>, SftpError> {
        let mut listing = Listing::default();
        loop {
            match self.files.readdir(handle).await {
                Ok(answer) => {
                    let names = answer.files.into_iter().map(|entry| entry.filename);
                    let added = listing.add(names);
                    added.map_err(|reason| SftpError::Remote {
                        path: self.shown(directory),
                        reason,
                    })?;
                }
                Err(Error::Status(status)) if status.status_code == StatusCode::Eof => {
                    return Ok(listing.names());
                }
                Err(error) => return Err(self.failed(directory, &error)),
            }
        }
    }

    /// Opens a file for reading, with read-ahead.
    ///
    /// # Errors
    /// Returns a [`SftpError::Remote`] that names the path. A later read fails with the machine's message.
    pub async fn read(
        &self,
        path: &str,
    ) -> Result<impl AsyncRead + Send + Unpin + use<>, SftpError> {
        let file = self.open(path, OpenFlags::READ, FileAttributes::empty());
        Ok(Reader::new(file.await?, self.read))
    }

    /// Opens a file for writing from its start. Truncates it if it exists, else creates it with `mode` less the
    /// umask's bits. The data is on the machine after `shutdown` has succeeded.
    ///
    /// # Errors
    /// Returns a [`SftpError::Remote`] that names the path. A later write fails with the machine's message.
    pub async fn write(
        &self,
        path: &str,
        mode: u32,
    ) -> Result<impl AsyncWrite + Send + Unpin + use<>, SftpError> {
        let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::WRITE;
        let file = self.open(path, flags, permissions(mode)).await?;
        Ok(Writer::new(file, self.write as usize))
    }

    /// Creates a directory.
    ///
    /// # Errors
    /// Returns a [`SftpError::Remote`] that names the path, also if it exists.
    pub async fn make_directory(&self, path: &str) -> Result<(), SftpError> {
        let made = self.files.mkdir(path, FileAttributes::empty()).await;
        made.map(drop).map_err(|error| self.failed(path, &error))
    }

    /// Sets the permissions of a path.
    ///
    /// # Errors
    /// Returns a [`SftpError::Remote`] that names the path.
    pub async fn set_mode(&self, path: &str, mode: u32) -> Result<(), SftpError> {
        let set = self.files.setstat(or_here(path), permissions(mode)).await;
        set.map(drop).map_err(|error| self.failed(path, &error))
    }

    async fn open(
        &self,
        path: &str,
        flags: OpenFlags,
        attributes: FileAttributes,
    ) -> Result<OpenFile, SftpError> {
        match self.files.open(path, flags, attributes).await {
            Ok(opened) => Ok(OpenFile::new(self.files.clone(), opened.handle)),
            Err(error) => Err(self.failed(path, &error)),
        }
    }

    fn failed(&self, path: &str, error: &Error) -> SftpError {
        answer(&self.connection, &self.shown(path), error)
    }

    /// Returns the error for a failed read or write of an open file.
    pub(crate) fn failed_open(&self, path: &str, error: &std::io::Error) -> SftpError {
        let path = self.shown(path);
        match self.connection.is_closed() {
            true => SftpError::Lost {
                path,
                reason: LOST.to_owned(),
            },
            false => SftpError::Remote {
                path,
                reason: printable(error.to_string().as_bytes()),
            },
        }
    }
}

impl fmt::Debug for Sftp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sftp").finish_non_exhaustive()
    }
}

/// Capabilities that a server announces.
pub(crate) struct Able {
    pub(crate) limits: Limits,
    expands_paths: bool,
    tells_free_space: bool,
}

/// Initializes the session.
pub(crate) async fn begin(files: &RawSftpSession) -> Result<Able, Error> {
    let version = files.init().await?;
    let has = |name, number| version.extensions.get(name).is_some_and(|v| v == number);
    Ok(Able {
        limits: match has(extensions::LIMITS, "1") {
            true => files.limits().await?.into(),
            false => Limits::default(),
        },
        expands_paths: has(extensions::EXPAND_PATH, "1"),
        tells_free_space: has(extensions::STATVFS, "2"),
    })
}

/// Returns the request size that the server allows, or the default if it does not announce one.
fn length(allowed: Option<u64>, default: u32, largest: u32) -> u32 {
    let allowed = allowed.map(|allowed| u32::try_from(allowed).unwrap_or(largest));
    allowed.unwrap_or(default).clamp(1, largest)
}

impl From<FileAttributes> for Entry {
    fn from(found: FileAttributes) -> Self {
        let kind = match (found.is_dir(), found.is_regular()) {
            (true, _) => EntryKind::Directory,
            (_, true) => EntryKind::File,
            _ => EntryKind::Other,
        };
        Self {
            kind,
            size: found.size.unwrap_or_default(),
            mode: found.permissions.unwrap_or_default() & 0o777,
        }
    }
}

fn or_here(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

fn permissions(mode: u32) -> FileAttributes {
    FileAttributes {
        permissions: Some(mode & 0o777),
        ..FileAttributes::empty()
    }
}

const LOST: &str = "the connection was lost";

fn answer(connection: &Connection, path: &str, error: &Error) -> SftpError {
    let path = path.to_owned();
    let reason = match error {
        // The operating system's messages, as scp prints them.
        Error::Status(status) => {
            let reason = match status.status_code {
                StatusCode::NoSuchFile => "No such file or directory".to_owned(),
                StatusCode::PermissionDenied => "Permission denied".to_owned(),
                _ => printable(status.error_message.as_bytes()),
            };
            return SftpError::Remote { path, reason };
        }
        Error::Timeout => format!("no answer for {ANSWER} s"),
        _ if connection.is_closed() => LOST.to_owned(),
        other => printable(other.to_string().as_bytes()),
    };
    SftpError::Lost { path, reason }
}

/// Reason why an operation on the machine's files failed.
#[derive(Debug, thiserror::Error)]
pub enum SftpError {
    /// The session has no SFTP.
    #[error("cannot start SFTP")]
    Start(#[source] SshError),
    /// The machine's error for one path.
    #[error("{path}: {reason}")]
    Remote {
        /// The path as it was given, behind the machine's name if that is known.
        path: String,
        /// `No such file or directory`, `Permission denied`, or the server's message, printable.
        reason: String,
    },
    /// The SFTP session has ended or does not respond: every further request fails, too.
    #[error("{path}: {reason}")]
    Lost {
        /// The path as it was given, behind the machine's name if that is known.
        path: String,
        /// Reason why there is no response.
        reason: String,
    },
    /// sshd refuses to start the subsystem.
    #[error(
        "cannot start SFTP on {host}: its sshd has no SFTP: install the package openssh-sftp-server, and check the line \
         'Subsystem sftp' of sshd_config"
    )]
    NoSubsystem {
        /// `HOST:PORT`.
        host: String,
    },
    /// The SFTP server, the login shell that starts it, or a forced command has ended first.
    #[error(
        "cannot start SFTP on {host}: its server ended at once: check that the program of 'Subsystem sftp' in \
         sshd_config exists (package openssh-sftp-server), that the startup files of the login shell (~/.bashrc) do \
         not exit, and that authorized_keys forces no command"
    )]
    NoServer {
        /// `HOST:PORT`.
        host: String,
    },
    /// The login shell, which starts the SFTP server, has printed text.
    #[error(
        "the login shell of {host} prints {said:?} before SFTP starts: change its startup files (~/.bashrc) to print \
         only in interactive sessions"
    )]
    ShellOutput {
        /// `HOST:PORT`.
        host: String,
        /// The beginning of the text, printable.
        said: String,
    },
    /// The operation was cancelled.
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
}
