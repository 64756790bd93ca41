//! A terminal for a command or shell on a simulated host.
//!
//! Owns the pseudo-terminal: opening it, making it the controlling terminal of a new session,
//! its size, and the bytes on its master side. Called by [`exec`](super::exec).

#![allow(
    unsafe_code,
    reason = "two ioctls and the step between fork and exec have no safe form among our libraries"
)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{ExitStatus, Stdio};

use bytes::Bytes;
use russh::Sig;
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::Command;
use tokio::sync::mpsc::UnboundedReceiver;

use super::exec::{Control, Output, process_id, send_signal};
use super::host::Host;

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    columns: u16,
    rows: u16,
}

impl Size {
    /// Converts a size of the protocol, limited to the kernel's maximum.
    pub(super) fn new(columns: u32, rows: u32) -> Self {
        let fit = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        Self {
            columns: fit(columns),
            rows: fit(rows),
        }
    }

    fn apply(self, terminal: &File) -> io::Result<()> {
        let size = Winsize {
            ws_col: self.columns,
            ws_row: self.rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        Ok(tcsetwinsize(terminal, size)?)
    }
}

/// Runs a command on a new terminal until it ends or the client disconnects, which hangs the terminal up.
pub(super) async fn run(
    host: &Host,
    mut command: Command,
    size: Size,
    output: &Output,
    mut orders: UnboundedReceiver<Control>,
) -> io::Result<ExitStatus> {
    let (master, user_side) = open()?;
    size.apply(&master)?;
    command
        .stdin(Stdio::from(user_side.try_clone()?))
        .stdout(Stdio::from(user_side.try_clone()?))
        .stderr(Stdio::from(user_side));
    // SAFETY: signal, setsid and ioctl are async-signal-safe, and no memory is allocated. Descriptor 0 is the
    // terminal by then.
    unsafe {
        command.pre_exec(|| {
            // Restores the signals that the lab's own shell ignores: shells ignore these two for background
            // processes, and a program that inherits them ignored cannot trap them.
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            libc::signal(libc::SIGQUIT, libc::SIG_DFL);
            if libc::setsid() == -1 || libc::ioctl(0, libc::TIOCSCTTY, 0) == -1 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let mut child = command.spawn()?;
    // Its copies of the slave side would keep the terminal open.
    drop(command);
    let group = process_id(child.id());
    group.inspect(|group| host.started(*group));
    // SAFETY: the File owns its descriptor and stays inside the AsyncFd for the AsyncFd's lifetime.
    let master = unsafe { AsyncFd::register(master) }?;
    let mut connected = true;
    let status = loop {
        tokio::select! {
            bytes = read(&master) => match bytes {
                Some(bytes) => {
                    if output.data_bytes(bytes).await.is_err() {
                        send_signal(group, &Sig::HUP);
                    }
                }
                // The last process on the terminal has closed it.
                None => break child.wait().await?,
            },
            status = child.wait() => {
                // The last output is still in the terminal.
                while let Some(bytes) = read_now(&master) {
                    let _ = output.data_bytes(bytes).await;
                }
                break status?;
            }
            order = orders.recv(), if connected => match order {
                Some(Control::Input(bytes)) => write(&master, &bytes).await?,
                Some(Control::Signal(signal)) => send_signal(group, &signal),
                Some(Control::Resize(size)) => size.apply(master.get_ref())?,
                Some(Control::EndOfInput) => {}
                None => {
                    connected = false;
                    send_signal(group, &Sig::HUP);
                }
            },
        }
    };
    group.inspect(|group| host.ended(*group));
    Ok(status)
}

/// Opens a pair: the lab's side, and the side for the process. Both close on exec, so that no other child that starts
/// meanwhile keeps the terminal open.
fn open() -> io::Result<(File, File)> {
    let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
    let master = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open("/dev/ptmx")?;
    let unlocked: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int, which lives until the call returns.
    if unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) } == -1 {
        return Err(io::Error::last_os_error());
    }
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes flags by value and returns a new descriptor or -1.
    let user_side = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    if user_side == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just created this descriptor, and it has no other owner.
    let user_side = unsafe { OwnedFd::from_raw_fd(user_side) };
    Ok((master, File::from(user_side)))
}

/// Returns the next output; none once the terminal is closed (EIO on Linux).
async fn read(master: &AsyncFd<File>) -> Option<Bytes> {
    let mut buffer = vec![0; 16 * 1024];
    let count = master
        .async_io(Interest::READABLE, |mut file| {
            io::Read::read(&mut file, &mut buffer)
        })
        .await
        .ok()
        .filter(|count| *count > 0)?;
    buffer.truncate(count);
    Some(Bytes::from(buffer))
}

/// Returns the output that can be read without waiting.
fn read_now(master: &AsyncFd<File>) -> Option<Bytes> {
    let mut buffer = vec![0; 16 * 1024];
    let mut file = master.get_ref();
    let count = io::Read::read(&mut file, &mut buffer)
        .ok()
        .filter(|count| *count > 0)?;
    buffer.truncate(count);
    Some(Bytes::from(buffer))
}

async fn write(master: &AsyncFd<File>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = master
            .async_io(Interest::WRITABLE, |mut file| {
                io::Write::write(&mut file, bytes)
            })
            .await?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}
