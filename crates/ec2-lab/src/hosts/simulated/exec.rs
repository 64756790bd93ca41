//! A command or a shell on a simulated host.
//!
//! Owns the process, its environment, its streams and the report of its end: standard input from the client, separate
//! output streams, the exit status or the signal. Passes the command's text unchanged to `sh -c`. Called by
//! [`ssh_server`](super::ssh_server).

use std::ffi::OsString;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use russh::server::{Handle, Msg};
use russh::{Channel, ChannelWriteHalf, Sig};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc::UnboundedReceiver;

use super::disk::home;
use super::host::Host;
use super::options::SSH_PORT;
use super::pty::{self, Size};

/// The client's messages to a running process.
#[derive(Debug)]
pub(super) enum Control {
    Input(Bytes),
    EndOfInput,
    Signal(Sig),
    Resize(Size),
}

/// The work to run.
#[derive(Debug)]
pub(super) enum Work {
    Shell,
    Command { command: Vec<u8>, drop_at_end: bool },
    Hang,
}

/// A request with its context.
pub(super) struct Job {
    pub(super) host: Arc<Host>,
    pub(super) user: String,
    pub(super) peer: SocketAddr,
    pub(super) environment: Vec<(String, String)>,
    pub(super) terminal: Option<(String, Size)>,
    pub(super) work: Work,
    pub(super) line: Arc<TcpStream>,
    pub(super) session: Handle,
}

/// Output to one of a channel's streams.
pub(super) type Output = ChannelWriteHalf<Msg>;

/// SSH_EXTENDED_DATA_STDERR (RFC 4254, 5.2).
const STDERR: u32 = 1;

/// Runs a job to its end and reports the result to the client.
pub(super) async fn run(job: Job, channel: Channel<Msg>, orders: UnboundedReceiver<Control>) {
    // The handler forwards requests, input and signals.
    let (_, output) = channel.split();
    if matches!(job.work, Work::Hang) {
        hang(orders).await;
        return;
    }
    process(&job, &output, orders).await;
    // The client may have disconnected by now.
    let _ = output.eof().await;
    let _ = output.close().await;
}

/// Waits until the client disconnects.
async fn hang(mut orders: UnboundedReceiver<Control>) {
    while orders.recv().await.is_some() {}
}

async fn process(job: &Job, output: &Output, orders: UnboundedReceiver<Control>) {
    let mut command = command(job);
    let status = match &job.terminal {
        Some((_, size)) => pty::run(&job.host, command, *size, output, orders).await,
        None => piped(job, &mut command, output, orders).await,
    };
    if let Err(error) = status {
        let text = format!("sshd: cannot run the command: {error}\r\n");
        let _ = output.extended_data_bytes(STDERR, Bytes::from(text)).await;
        let _ = output.exit_status(255).await;
        return;
    }
    if let (Ok(status), Some(_)) = (status, &job.terminal) {
        tell(job, output, status).await;
    }
}

/// Runs with three pipes, like a request without a terminal.
async fn piped(
    job: &Job,
    command: &mut Command,
    output: &Output,
    orders: UnboundedReceiver<Control>,
) -> std::io::Result<ExitStatus> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let group = process_id(child.id());
    group.inspect(|group| job.host.started(*group));
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let input = tokio::spawn(feed(stdin, group, orders));
    let end = async {
        let status = child.wait().await?;
        group.inspect(|group| job.host.ended(*group));
        // Like OpenSSH: the status is sent when the process ends; the channel closes when no process holds its output
        // any more.
        tell(job, output, status).await;
        std::io::Result::Ok(status)
    };
    let (status, (), ()) = tokio::join!(
        end,
        drain(stdout, None, output),
        drain(stderr, Some(STDERR), output)
    );
    input.abort();
    status
}

/// Reports the end of a process.
async fn tell(job: &Job, output: &Output, status: ExitStatus) {
    if matches!(
        job.work,
        Work::Command {
            drop_at_end: true,
            ..
        }
    ) {
        let _ = job.line.shutdown(Shutdown::Both);
        return;
    }
    let _ = match (status.code(), status.signal()) {
        (Some(code), _) => output
            .exit_status(code.unsigned_abs())
            .await
            .map_err(|_| ()),
        (None, signal) => {
            let name = signal_name(signal.unwrap_or_default());
            let core = status.core_dumped();
            job.session
                .exit_signal_request(output.id(), name, core, String::new(), String::new())
                .await
        }
    };
}

/// Copies one stream to the client until its last writer closes it.
async fn drain(from: Option<impl AsyncRead + Unpin>, kind: Option<u32>, output: &Output) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; 32 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let bytes = Bytes::copy_from_slice(buffer.get(..read).unwrap_or_default());
        let sent = match kind {
            None => output.data_bytes(bytes).await,
            Some(kind) => output.extended_data_bytes(kind, bytes).await,
        };
        if sent.is_err() {
            // The client has disconnected; closing the pipe notifies the process.
            return;
        }
    }
}

/// Forwards the client's input and signals to a process. A disconnected client only ends the input: without a
/// terminal sshd does not end the process.
async fn feed(
    mut stdin: Option<ChildStdin>,
    group: Option<Pid>,
    mut orders: UnboundedReceiver<Control>,
) {
    while let Some(order) = orders.recv().await {
        match order {
            Control::Input(bytes) => {
                if let Some(pipe) = &mut stdin
                    && pipe.write_all(&bytes).await.is_err()
                {
                    stdin = None;
                }
            }
            Control::EndOfInput => stdin = None,
            Control::Signal(signal) => send_signal(group, &signal),
            Control::Resize(_) => {}
        }
    }
}

/// Sends a signal to a process group; ignores an unknown signal, as sshd does.
pub(super) fn send_signal(group: Option<Pid>, signal: &Sig) {
    let signal = match signal {
        Sig::ABRT => Signal::ABORT,
        Sig::ALRM => Signal::ALARM,
        Sig::HUP => Signal::HUP,
        Sig::INT => Signal::INT,
        Sig::KILL => Signal::KILL,
        Sig::QUIT => Signal::QUIT,
        Sig::TERM => Signal::TERM,
        Sig::USR1 => Signal::USR1,
        _ => return,
    };
    if let Some(group) = group {
        // The process may have ended already.
        let _ = kill_process_group(group, signal);
    }
}

/// Returns the process group that a child leads.
pub(super) fn process_id(id: Option<u32>) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id?).ok()?)
}

/// Returns the signal name of RFC 4254, 6.10, for Linux's signal number, signal(7).
fn signal_name(number: i32) -> Sig {
    match number {
        1 => Sig::HUP,
        2 => Sig::INT,
        3 => Sig::QUIT,
        4 => Sig::ILL,
        6 => Sig::ABRT,
        8 => Sig::FPE,
        9 => Sig::KILL,
        10 => Sig::USR1,
        11 => Sig::SEGV,
        13 => Sig::PIPE,
        14 => Sig::ALRM,
        15 => Sig::TERM,
        other => Sig::Custom(format!("SIG{other}@lab")),
    }
}

/// Returns the command that sshd would start: `sh -c COMMAND`, or `sh` alone, in the user's home, with a separate
/// environment.
fn command(job: &Job) -> Command {
    let host = &job.host;
    let home = home(&host.root, &job.user);
    let mut command = Command::new("/bin/sh");
    if let Work::Command { command: text, .. } = &job.work {
        let text = OsString::from_vec(text.clone());
        match host.options().file_size_limit {
            // sh's children inherit ignored signals: writing then fails with EFBIG.
            Some(blocks) => command
                .arg("-c")
                .arg(format!(
                    "ulimit -S -f {blocks}; trap '' XFSZ; exec /bin/sh -c \"$1\""
                ))
                .arg("sh")
                .arg(text),
            None => command.arg("-c").arg(text),
        };
    }
    let spec = host.spec();
    let peer = job.peer;
    command
        .current_dir(&home)
        .env_clear()
        .env("HOME", &home)
        .env("USER", &job.user)
        .env("LOGNAME", &job.user)
        .env("SHELL", "/bin/sh")
        .env("PATH", &host.search_path)
        .env("TMPDIR", host.root.join("tmp"))
        .env("MACHINE_ROOT", &host.root)
        .env(
            "SSH_CLIENT",
            format!("{} {} {SSH_PORT}", peer.ip(), peer.port()),
        )
        .env(
            "SSH_CONNECTION",
            format!("{} {} {} {SSH_PORT}", peer.ip(), peer.port(), spec.address),
        )
        .envs(job.environment.iter().map(|(name, value)| (name, value)));
    if let Some((term, _)) = &job.terminal {
        command.env("TERM", term);
    }
    command
}
