//! The lab's command line: an EC2 endpoint for experiments, and a demo.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the binary prints for people"
)]

mod demo;
mod serve;

use std::error::Error;
use std::process::ExitCode;

use clap::Command;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let matches = Command::new("ec2-lab")
        .about("An EC2 endpoint with state, time and faults")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(demo::command())
        .subcommand(serve::command())
        .get_matches();
    let result: Result<(), Box<dyn Error>> = match matches.subcommand() {
        Some(("demo", options)) => demo::run(options).await.map_err(Into::into),
        Some(("serve", options)) => serve::run(options).await,
        _ => Ok(()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ec2-lab: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  caused by: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

/// Waits for Control-C, SIGTERM, or the end of the terminal.
async fn interrupted() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended,
        _ = terminate.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    }
}
