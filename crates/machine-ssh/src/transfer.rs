//! Copies files and directories between this computer and machines, and between two machines.

use machine_ops::Cx;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::place::Spot;
use crate::transfer_error::{DEEPEST, MOST_FAILURES};
use crate::{Entry, EntryKind, Place, SftpError, TransferError};

/// Size of one read.
const CHUNK: usize = 256 << 10;

/// Maximum memory for the names of pending entries: that of one and a half full listings. All names in a directory are
/// read before its first file is copied, and directories are nested.
const WAITING: usize = 16 << 20;

/// Memory of a pending name besides its bytes.
const NAME: usize = 96;

/// How many bytes more than its size a file may have: it may grow during the copy.
const GROWTH: u64 = 64 << 20;

/// Minimum size of a file for which the free space is checked: the check of a smaller one would take longer than its
/// copy.
const CHECKED: u64 = 1 << 20;

/// Options of a copy.
pub struct Copy<'a> {
    /// Whether to copy directories recursively.
    pub recursive: bool,
    /// Receives the progress of each file: the source's path, the bytes copied, the size.
    pub progress: &'a mut (dyn FnMut(&str, u64, u64) + Send),
    /// Receives each entry that is not copied, while the copy continues.
    pub left_out: &'a mut (dyn FnMut(TransferError) + Send),
}

/// Copies as scp(1) does over SFTP: into `to` if that is a directory, else to `to`. For a source that ends in `.` or
/// `..`, copies its content.
///
/// - Several sources need a directory. On a machine, it is created if missing. A pattern in a machine's path stands
///   for all paths that match it there; for a pattern, a local directory is created, too.
/// - Existing files are replaced and keep their mode; links are followed.
/// - New files get the source's mode less the umask's bits, and so do new local directories; new directories on a
///   machine get the source's mode. The mode of existing files and directories does not change.
///
/// # Errors
/// An entry that cannot be copied does not end the copy: each is passed to `left_out`, and the result is
/// [`TransferError::Incomplete`]. A device or a socket in a directory is left out without an error. A single source
/// that cannot be copied at all, a lost connection and a cancellation end the copy. Everything copied so far remains,
/// including a truncated file.
pub async fn copy(
    from: &[Place<'_>],
    to: Place<'_>,
    options: Copy<'_>,
    cx: &Cx,
) -> Result<(), TransferError> {
    let copier = Copier {
        options,
        is_alone: from.len() == 1,
        failures: 0,
        waiting: 0,
    };
    match cx.cancel.or(copier.copy(from, to)).await {
        Ok(result) => result,
        Err(reason) => Err(SftpError::Cancelled(reason).into()),
    }
}

/// Pending steps; the last one is next.
enum Step<'a> {
    Copy {
        from: Spot<'a>,
        to: Spot<'a>,
        depth: usize,
    },
    /// Names in a directory that are still to be copied.
    Rest {
        from: Spot<'a>,
        to: Spot<'a>,
        names: std::vec::IntoIter<Result<String, TransferError>>,
        depth: usize,
    },
    /// Sets a new directory's own mode once it is filled: the mode may forbid writing.
    Close { directory: Spot<'a>, mode: u32 },
}

struct Copier<'a> {
    options: Copy<'a>,
    /// Whether there is one source: its error is the error of the copy.
    is_alone: bool,
    failures: usize,
    /// Memory of the names in all [`Step::Rest`].
    waiting: usize,
}

impl Copier<'_> {
    async fn copy(mut self, from: &[Place<'_>], to: Place<'_>) -> Result<(), TransferError> {
        let to = Spot::of(to).await?;
        let mut sources = Vec::new();
        for place in from {
            let expanded = async { Spot::of(*place).await?.expanded().await };
            match expanded.await {
                Ok(found) => sources.extend(found),
                Err(error) => self.go_on_after(error)?,
            }
        }
        let is_directory = self.target_is_directory(&to, sources.len()).await?;
        self.is_alone &= sources.len() == 1;
        for from in sources {
            if let Err(error) = self.copy_source(from, &to, is_directory).await {
                self.go_on_after(error)?;
            }
        }
        match self.failures {
            0 => Ok(()),
            failures => Err(TransferError::Incomplete { failures }),
        }
    }

    /// Returns whether sources are copied into the target. Creates the target if they need a directory.
    async fn target_is_directory(
        &self,
        to: &Spot<'_>,
        sources: usize,
    ) -> Result<bool, TransferError> {
        let is_directory = match to.entry_if_any().await? {
            Some(entry) => entry.kind == EntryKind::Directory,
            None if self.is_alone && sources < 2 => return Ok(false),
            // scp(1) requires an existing directory here, so that a mistyped name does not become a directory.
            None if !self.is_alone && to.is_local() => to.entry().await.map(|_| true)?,
            None => {
                to.make_directory(None).await?;
                true
            }
        };
        match is_directory || (self.is_alone && sources < 2) {
            true => Ok(is_directory),
            false => Err(TransferError::NotADirectory { path: to.name() }),
        }
    }

    async fn copy_source<'a>(
        &mut self,
        from: Spot<'a>,
        to: &Spot<'a>,
        is_directory: bool,
    ) -> Result<(), TransferError> {
        let to = match from.base_name()? {
            Some(name) if is_directory => to.child(&name)?,
            _ => to.clone(),
        };
        if to.is_in(&from).await {
            return Err(TransferError::IntoItself {
                path: from.name(),
                to: to.name(),
            });
        }
        let mut steps = Vec::new();
        self.copy_entry(from, to, 0, &mut steps).await?;
        while let Some(step) = steps.pop() {
            let done = match step {
                Step::Copy { from, to, depth } => {
                    self.copy_entry(from, to, depth, &mut steps).await
                }
                Step::Rest {
                    from,
                    to,
                    mut names,
                    depth,
                } => {
                    let Some(name) = names.next() else {
                        continue;
                    };
                    self.waiting = self.waiting.saturating_sub(memory(&name));
                    let child = name.and_then(|name| Ok((from.child(&name)?, to.child(&name)?)));
                    steps.push(Step::Rest {
                        from,
                        to,
                        names,
                        depth,
                    });
                    child.map(|(from, to)| steps.push(Step::Copy { from, to, depth }))
                }
                Step::Close { directory, mode } => directory.close_directory(mode).await,
            };
            if let Err(error) = done {
                self.leave_out(error)?;
            }
        }
        Ok(())
    }

    /// Copies a file, or creates a directory and adds its entries to the pending steps.
    async fn copy_entry<'a>(
        &mut self,
        from: Spot<'a>,
        to: Spot<'a>,
        depth: usize,
        steps: &mut Vec<Step<'a>>,
    ) -> Result<(), TransferError> {
        let entry = from.entry().await?;
        match entry.kind {
            EntryKind::File => return self.copy_file(&from, &to, entry).await,
            EntryKind::Directory if self.options.recursive => {}
            EntryKind::Other if depth > 0 => {
                (self.options.left_out)(TransferError::NotAFile {
                    path: from.name(),
                    is_directory: false,
                });
                return Ok(());
            }
            EntryKind::Directory | EntryKind::Other => {
                return Err(TransferError::NotAFile {
                    path: from.name(),
                    is_directory: entry.kind == EntryKind::Directory,
                });
            }
        }
        if depth == DEEPEST {
            return Err(TransferError::TooDeep { path: from.name() });
        }
        // Listed before the target is created, which may be inside this directory.
        let names = from.names().await;
        match to.entry_if_any().await? {
            None => {
                to.make_directory(Some(entry.mode)).await?;
                steps.push(Step::Close {
                    directory: to.clone(),
                    mode: entry.mode,
                });
            }
            Some(found) if found.kind == EntryKind::Directory => {}
            Some(_) => return Err(TransferError::NotADirectory { path: to.name() }),
        }
        let names = names?;
        self.waiting += names.iter().map(memory).sum::<usize>();
        if self.waiting > WAITING {
            return Err(TransferError::TooMany { path: from.name() });
        }
        steps.push(Step::Rest {
            from,
            to,
            names: names.into_iter(),
            depth: depth + 1,
        });
        Ok(())
    }

    async fn copy_file(
        &mut self,
        from: &Spot<'_>,
        to: &Spot<'_>,
        entry: Entry,
    ) -> Result<(), TransferError> {
        let name = from.name();
        if to.ends_in_slash() {
            return Err(TransferError::NoDirectory { path: to.name() });
        }
        check_space(from, to, entry.size).await?;
        let most = entry.size.saturating_add(entry.size / 8 + GROWTH);
        let mut reader: Box<dyn AsyncRead + Send + Unpin> = from.read().await?;
        let mut chunk = vec![0; CHUNK];
        let mut done = 0;
        (self.options.progress)(&name, done, entry.size);
        // Read before the target is truncated: by a link, the target may be the source.
        let mut read = reader.read(&mut chunk).await;
        let mut writer = to.write(entry.mode).await?;
        loop {
            let length = read.map_err(|error| from.failed(error))?;
            let Some(data) = chunk.get(..length).filter(|data| !data.is_empty()) else {
                break;
            };
            if done > most {
                return Err(TransferError::Endless {
                    path: name,
                    size: entry.size,
                    copied: done,
                });
            }
            let written = writer.write_all(data).await;
            written.map_err(|error| to.failed(error))?;
            done += data.len() as u64;
            (self.options.progress)(&name, done, entry.size);
            read = reader.read(&mut chunk).await;
        }
        let finished = writer.shutdown().await;
        finished.map_err(|error| to.failed(error))?;
        // Files of the kernel announce a page and have less.
        if done < entry.size && entry.size > CHUNK as u64 {
            return Err(TransferError::Short {
                path: name,
                size: entry.size,
                copied: done,
            });
        }
        Ok(())
    }

    /// Continues with the next source if there are several.
    fn go_on_after(&mut self, error: TransferError) -> Result<(), TransferError> {
        match self.is_alone {
            true => Err(error),
            false => self.leave_out(error),
        }
    }

    /// Reports an entry that is not copied. Returns the error if all further entries would fail, too.
    fn leave_out(&mut self, error: TransferError) -> Result<(), TransferError> {
        if error.ends_the_copy() {
            return Err(error);
        }
        (self.options.left_out)(error);
        self.failures += 1;
        match self.failures {
            MOST_FAILURES => Err(TransferError::Incomplete {
                failures: self.failures,
            }),
            _ => Ok(()),
        }
    }
}

/// Refuses a file for which the target's file system has no space. Called before the target is truncated.
async fn check_space(from: &Spot<'_>, to: &Spot<'_>, size: u64) -> Result<(), TransferError> {
    if size < CHECKED {
        return Ok(());
    }
    let (place, replaced) = match to.entry_if_any().await? {
        None => (to.parent(), 0),
        Some(found) if found.kind == EntryKind::File => (to.clone(), found.size),
        // A device takes any number of bytes.
        Some(_) => return Ok(()),
    };
    match place.free_space().await {
        Some(free) if size > free.saturating_add(replaced) => Err(TransferError::NoSpace {
            path: from.name(),
            size,
            to: to.name(),
            free,
        }),
        _ => Ok(()),
    }
}

/// Returns the memory that a name takes.
fn memory(name: &Result<String, TransferError>) -> usize {
    NAME + name.as_ref().map_or(0, String::len)
}
