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
use crate::output::terminal::{self, RawMode};
use crate::remote::child;
use crate::remote::known_hosts::KnownHostsFile;
use crate::remote::location;
use crate::remote::ssh_options::{SshOptions, Terminal};

/// Logs in to a machine, or runs a command on it.
pub(crate) struct Ssh;

#[async_trait(?Send)]
impl Command for Ssh {
    fn about(&self) -> About {
        About {
            name: "ssh",
            arguments: "[[USER@]NAME [OPTION...] [COMMAND...]]",
            summary: "Log in to a machine, or run a command there",
            details: "The words of the command are joined by spaces and read by the machine's shell. Options of ssh(1) may follow NAME: -t, -tt, -T and -n are implemented; -q, -v, -a, -C, -4, -6, -l and -p have no effect (use USER@NAME for another user). With any other, such as -L, -N, -A and -o, OpenSSH's ssh runs in place of this program, with the machine's key and pinned host key. Without a name, the machine 'default'.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "docker-machine ssh m1",
            "docker-machine ssh m1 -t sudo journalctl -f -u docker",
        ]
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
        let operand = targets::first(cx, &arguments)?;
        let (user, name) = location::user_and_name(&operand)?;
        if name.starts_with('-') {
            return Err(UsageError::new(format!("no machine name before {name:?}"))
                .with_hint("options of ssh follow the machine's name".to_owned())
                .into());
        }
        let words = arguments.words.get(1..).unwrap_or_default();
        let (options, command) = match SshOptions::take(words) {
            Ok(taken) => taken,
            Err(error) => {
                // An unknown machine is reported before other errors.
                libmachine::saved_ssh_endpoint(&cx.library, name).await?;
                return Err(UsageError::new(error.to_string())
                    .with_hint(
                        "put '--' before a word that begins with a dash and is no option"
                            .to_owned(),
                    )
                    .into());
            }
        };
        if options.user.is_some() || options.port.is_some() {
            warn_of_user_and_port(cx, name, user, &options).await?;
        }
        if let Some(letter) = options.openssh {
            let options = words.get(..options.words).unwrap_or_default();
            return openssh(cx, name, user, letter, options, command).await;
        }
        let command = command.join(" ");
        let command = Some(command.as_str()).filter(|command| !command.is_empty());
        let login = match libmachine::log_in(&cx.library, name, user).await {
            Ok(login) => login,
            Err(error) => return Err(why(name, error)),
        };
        let somebody_types = terminal::is_interactive() && !options.no_input;
        let on_terminal = match options.terminal {
            None => command.is_none() && somebody_types,
            Some(Terminal::Wanted) => somebody_types,
            Some(Terminal::Forced) => true,
            Some(Terminal::None) => false,
        };
        let stdin: Box<dyn AsyncRead + Send + Unpin> = match options.no_input {
            true => Box::new(tokio::io::empty()),
            false => Box::new(tokio::io::stdin()),
        };
        let ran = if on_terminal {
            on_a_terminal(cx, login, command, stdin, somebody_types).await
        } else {
            let (stdout, stderr) = (tokio::io::stdout(), tokio::io::stderr());
            login.run(command, stdin, stdout, stderr).await
        };
        let status = match ran {
            // `ssh m1 journalctl | head -1`: a reader that closes the pipe early needs no error message.
            Err(error) if is_closed_pipe(&error) => return Err(Failure::new("")),
            ran => ran?,
        };
        match status.success() {
            true => Ok(()),
            // A signal is reported as ssh(1) does, which the Go binary runs.
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
    command: Option<&str>,
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
    // Entered only after the login: until then Control-C is an interrupt. Left when the guard is dropped, on a second
    // signal and on a panic.
    let _raw = somebody_types.then(RawMode::enter);
    let stdout = tokio::io::stdout();
    login
        .on_terminal(&pty, command, stdin, stdout, resizes)
        .await
}

/// Warns of a user or a port that differs from the machine's. OpenSSH, which the Go binary runs, uses the first value,
/// and the machine's comes first.
async fn warn_of_user_and_port(
    cx: &Context,
    name: &str,
    user: Option<&str>,
    options: &SshOptions,
) -> Result<(), Failure> {
    let saved = libmachine::saved_ssh_endpoint(&cx.library, name).await?;
    let used = user.unwrap_or(&saved.user);
    if options.user.as_deref().is_some_and(|user| user != used) {
        cx.complain(&format!(
            "WARNING: -l has no effect: the user is {used}; use USER@{name} for another user"
        ));
    }
    let port = saved.port.to_string();
    if options.port.as_ref().is_some_and(|other| *other != port) {
        cx.complain(&format!(
            "WARNING: -p has no effect: the machine's port is {port}"
        ));
    }
    Ok(())
}

/// Replaces this process by OpenSSH's ssh, for the option `letter`. Returns if that fails. With a temporary file of host
/// keys, which must be removed, waits for ssh in place of that.
async fn openssh(
    cx: &Context,
    name: &str,
    user: Option<&str>,
    letter: char,
    options: &[String],
    command: &[String],
) -> Result<(), Failure> {
    let details = libmachine::openssh_details(&cx.library, name).await;
    let details = details.map_err(|error| why(name, error))?;
    let user = user.unwrap_or(&details.user);
    location::operand("user name", user)?;
    location::operand("address", &details.host)?;
    let known_hosts = KnownHostsFile::of(cx, &details)?;
    let ours = location::openssh_options(&details, &known_hosts)?;
    let mut ssh = std::process::Command::new("ssh");
    // ssh uses the first value of each option, and the last of -F. It reads no configuration unless -F is given.
    ssh.args(["-F", "/dev/null", "-l", user]);
    for option in ours {
        ssh.arg("-o").arg(option);
    }
    ssh.args(options);
    for option in [
        "ConnectTimeout=10",
        "PasswordAuthentication=no",
        "ServerAliveInterval=60",
    ] {
        ssh.args(["-o", option]);
    }
    ssh.arg("--").arg(&details.host).args(command);
    let missing = format!(
        "option -{letter} requires OpenSSH's ssh, which is not installed: install openssh-client (Debian, Ubuntu) or \
         openssh-clients (Amazon Linux, Fedora, RHEL)"
    );
    match known_hosts {
        KnownHostsFile::Stored(_) => Err(child::replace_by(&mut ssh, &missing)),
        KnownHostsFile::Temporary(_) => child::run(cx, &mut ssh.into(), &missing).await,
    }
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

/// Names the cause if the machine is not running or no longer exists.
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
