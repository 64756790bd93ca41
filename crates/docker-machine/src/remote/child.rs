//! External programs: rsync, sshfs, fusermount, ssh. They inherit the three standard streams.

use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::context::Context;
use crate::failure::Failure;

/// Runs a program and waits for it; ends it if the command is cancelled. Fails with `missing` if the program is not
/// installed.
pub(crate) async fn run(cx: &Context, command: &mut Command, missing: &str) -> Result<(), Failure> {
    let failed = |command: &Command, error| not_started(command.as_std(), &error, missing);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Err(failed(command, error)),
    };
    let status = match cx.world.cancel.or(child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            terminate(&child);
            child.wait().await
        }
    };
    let status = status.map_err(|error| failed(command, error))?;
    match (status.success(), status.code()) {
        (true, _) => Ok(()),
        (false, Some(code)) => Err(Failure::new(format!("exit status {code}"))),
        (false, None) => Err(Failure::new(status.to_string())),
    }
}

/// Sends SIGTERM, at which ssh restores the terminal.
fn terminate(child: &Child) {
    let id = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    if let Some(id) = id {
        // A program that has ended meanwhile is waited for all the same.
        let _ = kill_process(id, Signal::TERM);
    }
}

/// Replaces this process by a program, which keeps the streams, the terminal and the signals, and whose exit status
/// becomes the process's. Returns the error if that fails; `missing` if the program is not installed.
pub(crate) fn replace_by(command: &mut std::process::Command, missing: &str) -> Failure {
    let error = command.exec();
    not_started(command, &error, missing)
}

fn not_started(command: &std::process::Command, error: &std::io::Error, missing: &str) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => Failure::new(missing),
        _ => Failure::new(format!(
            "{}: {error}",
            command.get_program().to_string_lossy()
        )),
    }
}
