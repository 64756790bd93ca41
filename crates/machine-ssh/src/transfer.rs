//! Copying files and directories between here and machines, and between two machines.

use std::path::PathBuf;

use machine_ops::Cx;
use machine_types::printable;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::place::{Spot, local};
use crate::{Entry, EntryKind, Place, SftpError};

/// How deep directories may lie in each other: a link that leads upwards makes them endless.
const DEEPEST: usize = 100;

/// How much is read at once.
const CHUNK: usize = 256 << 10;

/// How to copy.
pub struct Copy<'a> {
    /// Whether directories are copied, with all that is in them.
    pub recursive: bool,
    /// Is told how far each file has come: its source's path, the bytes copied, its size.
    pub progress: &'a mut (dyn FnMut(&str, u64, u64) + Send),
}

/// Copies, as `scp` does: into `to` where that is a directory, else to `to`. A pattern in a machine's
/// path stands for all that match it there; a directory is made for them where there is none. Existing files are replaced and links are followed. New files get the source's mode less the umask's bits; with
/// `recursive` all get exactly the source's.
///
/// # Errors
/// The first error ends it; what was copied stays, a file that was cut short included. So does a
/// cancellation, at once. Of several that match a pattern, those that are no files are passed over,
/// and told of when the others are copied.
pub async fn copy(
    from: Place<'_>,
    to: Place<'_>,
    mut options: Copy<'_>,
    cx: &Cx,
) -> Result<(), TransferError> {
    let work = copy_all(Spot::of(from), Spot::of(to), &mut options);
    match cx.cancel.or(work).await {
        Ok(result) => result,
        Err(reason) => Err(SftpError::Cancelled(reason).into()),
    }
}

/// What is still to be done, the next last.
enum Step<'a> {
    Copy {
        from: Spot<'a>,
        to: Spot<'a>,
        depth: usize,
    },
    /// A directory's own mode comes when it is full: it may forbid writing.
    SetMode { of: Spot<'a>, mode: u32 },
}

async fn copy_all(
    from: Spot<'_>,
    to: Spot<'_>,
    options: &mut Copy<'_>,
) -> Result<(), TransferError> {
    let sources = from.expanded().await?;
    let target = to.entry_if_any().await?;
    let are_several = sources.len() > 1;
    let is_directory = match target {
        Some(entry) => entry.kind == EntryKind::Directory,
        None if are_several => {
            to.make_directory().await?;
            true
        }
        None => false,
    };
    if are_several && !is_directory {
        return Err(TransferError::NotADirectory { path: to.name() });
    }
    let mut passed_over = None;
    for from in sources {
        let to = match from.base_name() {
            Some(name) if is_directory => to.child(&name)?,
            _ => to.clone(),
        };
        match copy_one(from, to, options).await {
            Err(error @ TransferError::NotAFile { .. }) if are_several => {
                passed_over.get_or_insert(error);
            }
            copied => copied?,
        }
    }
    passed_over.map_or(Ok(()), Err)
}

async fn copy_one<'a>(
    from: Spot<'a>,
    to: Spot<'a>,
    options: &mut Copy<'_>,
) -> Result<(), TransferError> {
    let mut steps = vec![Step::Copy { from, to, depth: 0 }];
    while let Some(step) = steps.pop() {
        let (from, to, depth) = match step {
            Step::SetMode { of, mode } => {
                of.set_mode(mode).await?;
                continue;
            }
            Step::Copy { from, to, depth } => (from, to, depth),
        };
        let entry = from.entry().await?;
        match entry.kind {
            EntryKind::File => copy_file(&from, &to, entry, options).await?,
            EntryKind::Directory if options.recursive => {
                if depth == DEEPEST {
                    return Err(TransferError::TooDeep { path: from.name() });
                }
                if to.entry_if_any().await?.is_none() {
                    to.make_directory().await?;
                }
                steps.push(Step::SetMode {
                    of: to.clone(),
                    mode: entry.mode,
                });
                for name in from.names().await? {
                    let (from, to) = (from.child(&name)?, to.child(&name)?);
                    let depth = depth + 1;
                    steps.push(Step::Copy { from, to, depth });
                }
            }
            EntryKind::Directory | EntryKind::Other => {
                return Err(TransferError::NotAFile { path: from.name() });
            }
        }
    }
    Ok(())
}

async fn copy_file(
    from: &Spot<'_>,
    to: &Spot<'_>,
    entry: Entry,
    options: &mut Copy<'_>,
) -> Result<(), TransferError> {
    let name = from.name();
    let mut reader: Box<dyn AsyncRead + Send + Unpin> = from.read().await?;
    let mut writer = to.write(entry.mode).await?;
    let mut chunk = vec![0; CHUNK];
    let mut done = 0;
    (options.progress)(&name, done, entry.size);
    loop {
        let length = reader.read(&mut chunk).await;
        let length = length.map_err(|error| from.failed(error))?;
        let Some(data) = chunk.get(..length).filter(|data| !data.is_empty()) else {
            break;
        };
        let written = writer.write_all(data).await;
        written.map_err(|error| to.failed(error))?;
        done += data.len() as u64;
        (options.progress)(&name, done, entry.size);
    }
    let finished = writer.shutdown().await;
    finished.map_err(|error| to.failed(error))?;
    match options.recursive {
        true => to.set_mode(entry.mode).await,
        false => Ok(()),
    }
}

/// Looks at a name that a directory's listing gave: a machine that means harm could list
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

/// Why a copy ended early.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// On a machine.
    #[error(transparent)]
    Remote(#[from] SftpError),
    /// Here.
    #[error("{}", local(path))]
    Local {
        /// The path.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A directory that was not asked for, or a device.
    #[error("{path}: not a regular file")]
    NotAFile {
        /// The path.
        path: String,
    },
    /// Where several were to be copied.
    #[error("{path}: not a directory, and several files are to be copied there")]
    NotADirectory {
        /// The path.
        path: String,
    },
    /// Directories in directories without an end.
    #[error(
        "{path}: directories lie deeper than {DEEPEST} in each other; is there a link that leads upwards?"
    )]
    TooDeep {
        /// The path.
        path: String,
    },
    /// A listing names a file in a way that leads out of the directory.
    #[error("{path}: its listing has {name:?}, which is not a file's name")]
    BadName {
        /// The directory.
        path: String,
        /// The name, printable.
        name: String,
    },
}
