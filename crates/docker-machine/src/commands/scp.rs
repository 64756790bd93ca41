//! `docker-machine scp`.

use async_trait::async_trait;
use libmachine::{Copy, Error, Location};
use machine_driver::FlagSpec;

use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::progress::Progress;
use crate::remote::known_hosts::KnownHostsFile;
use crate::remote::location;

/// Copies files between this computer and machines.
pub(crate) struct Scp;

#[async_trait(?Send)]
impl Command for Scp {
    fn about(&self) -> About {
        About {
            name: "scp",
            arguments: "[[USER@]MACHINE:]PATH... DESTINATION",
            summary: "Copy files between here and machines",
            details: "DESTINATION is [[USER@]MACHINE:]PATH, too. Over SFTP, or with --delta by rsync. Between two machines the bytes come by here. 'localhost' is this computer.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "docker-machine scp m1:/etc/os-release .",
            "docker-machine scp -r ./site ubuntu@m1:/srv",
        ]
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::new(FlagSpec::bool(
                "recursive",
                "Copy directories with all that is in them",
            ))
            .short("r"),
            Flag::new(FlagSpec::bool("delta", "Send differences only, by rsync")).short("d"),
            Flag::new(FlagSpec::bool("quiet", "Show no progress")).short("q"),
        ]
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        if arguments.words.len() < 2 {
            return Err(arguments.usage.failure("Improper number of arguments"));
        }
        let mut places = Vec::new();
        for place in &arguments.words {
            if place.strip_prefix("localhost:").unwrap_or(place).is_empty() {
                return Err(Failure::new(
                    "an empty path names no file: the directory one is in is '.'",
                ));
            }
            places.push(location::parse(place, &cx.world.directory)?);
        }
        for place in &places {
            if let Location::Machine { name, .. } = place {
                cx.library
                    .open(name)
                    .await
                    .map_err(|error| unknown(&error))?;
            }
        }
        let recursive = arguments.options.bool("recursive");
        let quiet = arguments.options.bool("quiet");
        if arguments.options.bool("delta") {
            return rsync(cx, &places, recursive, quiet).await;
        }
        let Some((to, from)) = places.split_last() else {
            return Ok(());
        };
        let progress = Progress::new(&cx.world.console, quiet);
        let mut tell = |path: &str, done, total| progress.tell(path, done, total);
        let console = &cx.world.console;
        let mut left_out = |error| console.failure(&Error::Copy(error).into());
        let options = Copy {
            recursive,
            progress: &mut tell,
            left_out: &mut left_out,
        };
        let copied = libmachine::copy(&cx.library, from, to, options).await;
        progress.end();
        Ok(copied?)
    }
}

fn unknown(error: &Error) -> Failure {
    Failure::of("Error loading host: Error loading host", error)
}

async fn rsync(
    cx: &Context,
    places: &[Location],
    recursive: bool,
    quiet: bool,
) -> Result<(), Failure> {
    let mut ssh = "ssh".to_owned();
    let mut operands = Vec::new();
    let mut known: Vec<(&str, KnownHostsFile)> = Vec::new();
    for place in places {
        match place {
            Location::Local(path) => operands.push(path.to_string_lossy().into_owned()),
            Location::Machine { name, user, path } => {
                let details = libmachine::ssh_details(&cx.library, name).await?;
                if !known.iter().any(|(known, _)| known == name) {
                    let file = KnownHostsFile::of(cx, &details)?;
                    for option in location::openssh_options(&details, &file)? {
                        // rsync splits this line itself; in single quotes, a doubled single quote stands for one
                        // (rsync(1), --rsh).
                        ssh.push_str(&format!(" -o '{}'", option.replace('\'', "''")));
                    }
                    known.push((name, file));
                }
                operands.push(location::remote(&details, user.as_deref(), path)?);
            }
        }
    }
    let mut rsync = tokio::process::Command::new("rsync");
    rsync.arg("-e").arg(ssh);
    // Links are followed, as without --delta. rsync leaves them out by default.
    rsync.arg("--copy-links");
    if !quiet {
        rsync.arg("--progress");
    }
    if recursive {
        rsync.arg("-r");
    }
    rsync.arg("--").args(operands);
    crate::remote::child::run(
        cx,
        &mut rsync,
        "You must have a copy of the rsync binary locally to use the --delta option",
    )
    .await
}
