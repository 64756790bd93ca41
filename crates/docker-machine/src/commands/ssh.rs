//! `docker-machine ssh`.

use std::error::Error as StdError;
use std::io::ErrorKind;

use async_trait::async_trait;
use libmachine::{Error, Login, Pty, RemoteExit};
use machine_types::MachineState;

use super::{About, Command, targets};
use crate::cli::Arguments;
use crate::context::Context;
use crate::failure::Failure;
use crate::terminal::{self, RawMode};

/// Logs in to a machine, or runs a command there.
pub(crate) struct Ssh;

#[async_trait(?Send)]
impl Command for Ssh {
    fn about(&self) -> About {
        About {
            name: "ssh",
            arguments: "[NAME [COMMAND...]]",
            summary: "Log in to a machine, or run a command there",
            details: "The words of the command are joined by spaces and read by the machine's shell. Nothing behind NAME is an option of this program. Without a name, the machine 'default'.",
        }
    }

    fn takes_words_as_they_are(&self) -> bool {
        true
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    fn only_looks(&self) -> bool {
        false
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let name = targets::first(cx, &arguments.words)?;
        let command = match arguments.words.get(1..).unwrap_or_default() {
            [dashes, command @ ..] if dashes == "--" => command,
            command => command,
        };
        let command = command.join(" ");
        let login = match cx.library.log_in(&name).await {
            Ok(login) => login,
            Err(error) => return Err(why(cx, &name, error).await),
        };
        let status = if command.is_empty() && terminal::is_interactive() {
            interactive(cx, login).await?
        } else {
            // No terminal and no command: the login shell reads its commands from standard input.
            let shell = "exec \"${SHELL:-/bin/sh}\" -l".to_owned();
            let command = if command.is_empty() { shell } else { command };
            let (stdin, stdout) = (tokio::io::stdin(), tokio::io::stdout());
            let ran = login.run(&command, stdin, stdout, tokio::io::stderr());
            match ran.await {
                // `ssh m1 journalctl | head -1`: who has read enough need not be told.
                Err(error) if is_closed_pipe(&error) => return Err(Failure::new("")),
                ran => ran?,
            }
        };
        match status.success() {
            true => Ok(()),
            false => Err(Failure::new(status.to_string())),
        }
    }
}

async fn interactive(cx: &Context, login: Login) -> Result<RemoteExit, Error> {
    let pty = Pty {
        term: cx
            .world
            .environment
            .get("TERM")
            .unwrap_or("dumb")
            .to_owned(),
        size: terminal::size(),
    };
    let resizes = terminal::resizes();
    // Not before somebody is logged in: until then Control-C is an interrupt. Left when it is dropped,
    // on a second signal and on a panic.
    let _raw = RawMode::enter();
    let (stdin, stdout) = (tokio::io::stdin(), tokio::io::stdout());
    login.shell(&pty, stdin, stdout, resizes).await
}

fn is_closed_pipe(error: &Error) -> bool {
    let mut link: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = link {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == ErrorKind::BrokenPipe) {
            return true;
        }
        link = error.source();
    }
    false
}

/// Says so if the reason is that the machine does not run.
async fn why(cx: &Context, name: &str, error: Error) -> Failure {
    let cancelled = cx.world.cancel.reason().is_some();
    if cancelled || !matches!(error, Error::Login { .. }) {
        return error.into();
    }
    match cx.library.state(name).await {
        Ok(state) if state != MachineState::Running => Failure::new(format!(
            "Error: Cannot run SSH command: Host {name:?} is not running"
        )),
        _ => error.into(),
    }
}
