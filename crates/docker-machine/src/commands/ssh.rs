//! `docker-machine ssh`.

use std::error::Error as StdError;
use std::io::ErrorKind;

use async_trait::async_trait;
use libmachine::{Error, Login, Pty, RemoteExit};
use machine_driver::DriverErrorKind;
use tokio::io::AsyncRead;

use super::targets;
use crate::cli::Arguments;
use crate::cli::usage::UsageError;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::quote::go_quote;
use crate::output::terminal::{self, RawMode};
use crate::remote::location;
use crate::remote::ssh_options::{OptionError, SshOptions, Terminal};

/// Logs in to a machine, or runs a command there.
pub(crate) struct Ssh;

#[async_trait(?Send)]
impl Command for Ssh {
    fn about(&self) -> About {
        About {
            name: "ssh",
            arguments: "[NAME [OPTION...] [COMMAND...]]",
            summary: "Log in to a machine, or run a command there",
            details: "The words of the command are joined by spaces and read by the machine's shell. Behind NAME may stand -t, -tt, -T, -n, -l USER and -p PORT, as of ssh(1); -q, -v, -A, -C, -4 and -6 change nothing. Without a name, the machine 'default'.",
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
        let words = arguments.words.get(1..).unwrap_or_default();
        let (options, command) = match SshOptions::take(words) {
            Ok(taken) => taken,
            Err(error) => return Err(refused(cx, &name, &error).await),
        };
        if options.forward_agent {
            cx.complain("WARNING: -A: the agent of this computer cannot be used from the machine");
        }
        let command = command.join(" ");
        let (user, port) = (options.user.as_deref(), options.port);
        let login = match cx.library.log_in(&name, user, port).await {
            Ok(login) => login,
            Err(error) => return Err(why(&name, error)),
        };
        let somebody_types = terminal::is_interactive() && !options.no_input;
        let on_terminal = match options.terminal {
            None => command.is_empty() && somebody_types,
            Some(Terminal::Wanted) => somebody_types,
            Some(Terminal::Forced) => true,
            Some(Terminal::None) => false,
        };
        let stdin: Box<dyn AsyncRead + Send + Unpin> = match options.no_input {
            true => Box::new(tokio::io::empty()),
            false => Box::new(tokio::io::stdin()),
        };
        let ran = if on_terminal {
            on_a_terminal(cx, login, &command, stdin, somebody_types).await
        } else {
            // No terminal and no command: the login shell reads its commands from standard input.
            let shell = "exec \"${SHELL:-/bin/sh}\" -l".to_owned();
            let command = if command.is_empty() { shell } else { command };
            let (stdout, stderr) = (tokio::io::stdout(), tokio::io::stderr());
            login.run(&command, stdin, stdout, stderr).await
        };
        let status = match ran {
            // `ssh m1 journalctl | head -1`: who has read enough need not be told.
            Err(error) if is_closed_pipe(&error) => return Err(Failure::new("")),
            ran => ran?,
        };
        match status.success() {
            true => Ok(()),
            // A signal is told as ssh(1) tells it, which the Go binary runs.
            false => Err(Failure::new(format!(
                "exit status {}",
                status.code().unwrap_or(255)
            ))),
        }
    }
}

async fn on_a_terminal(
    cx: &Context,
    login: Login,
    command: &str,
    stdin: Box<dyn AsyncRead + Send + Unpin>,
    somebody_types: bool,
) -> Result<RemoteExit, Error> {
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
    let _raw = somebody_types.then(RawMode::enter);
    let command = Some(command).filter(|command| !command.is_empty());
    let stdout = tokio::io::stdout();
    login
        .on_terminal(&pty, command, stdin, stdout, resizes)
        .await
}

/// Names the option, and what does with OpenSSH what was wanted.
async fn refused(cx: &Context, name: &str, error: &OptionError) -> Failure {
    let hint = match (error, cx.library.saved_ssh_details(name).await) {
        (_, Err(unknown)) => return unknown.into(),
        (OptionError::Unsupported(_), Ok(details)) => {
            let options = match location::openssh_options(&details) {
                Ok(options) => options,
                Err(failure) => return failure,
            };
            let options: Vec<String> = options
                .iter()
                .map(|option| format!("-o {}", go_quote(option)))
                .collect();
            Some(format!(
                "OpenSSH itself can be told: ssh {} OPTIONS {}@{} COMMAND; a word that begins with a dash and is no option stands behind '--'",
                options.join(" "),
                details.user,
                details.host
            ))
        }
        _ => None,
    };
    let message = error.to_string();
    UsageError {
        message,
        hint,
        help: None,
    }
    .into()
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

/// Says so if the reason is that the machine does not run, or is not there any more.
fn why(name: &str, error: Error) -> Failure {
    match error {
        Error::NotRunning { .. } => {
            let failure = Failure::new(format!(
                "Error: Cannot run SSH command: Host {name:?} is not running"
            ));
            failure.with_hint(error.hint().unwrap_or_default())
        }
        Error::Driver(gone) if gone.kind == DriverErrorKind::NotFound => {
            Failure::of("Error: Cannot run SSH command", &gone.into())
        }
        error => error.into(),
    }
}
