//! Programs of others: rsync, sshfs, fusermount. They share our three streams.

use std::io::ErrorKind;

use tokio::process::Command;

use crate::failure::Failure;

/// Runs a program to its end. `missing` is said where there is no such program.
pub(crate) async fn run(command: &mut Command, missing: &str) -> Result<(), Failure> {
    let status = command.status().await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::new(missing),
        _ => Failure::new(format!(
            "{}: {error}",
            command.as_std().get_program().to_string_lossy()
        )),
    })?;
    match (status.success(), status.code()) {
        (true, _) => Ok(()),
        (false, Some(code)) => Err(Failure::new(format!("exit status {code}"))),
        (false, None) => Err(Failure::new(status.to_string())),
    }
}
