//! External programs: rsync, sshfs, fusermount, ssh. They inherit the three standard streams.

use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;

use tokio::process::Command;

use crate::failure::Failure;

/// Runs a program and waits for it. Fails with `missing` if the program is not installed.
pub(crate) async fn run(command: &mut Command, missing: &str) -> Result<(), Failure> {
    let status = match command.status().await {
        Ok(status) => status,
        Err(error) => return Err(not_started(command.as_std(), &error, missing)),
    };
    match (status.success(), status.code()) {
        (true, _) => Ok(()),
        (false, Some(code)) => Err(Failure::new(format!("exit status {code}"))),
        (false, None) => Err(Failure::new(status.to_string())),
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
