//! `docker-machine config`.

use async_trait::async_trait;
use libmachine::{Connection, Error, Machine};
use machine_driver::FlagSpec;

use super::targets;
use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::quote::go_quote;

/// Checks that a machine's engine answers, and prints the options that connect `docker` to it.
pub(crate) struct Config;

/// Prefix of the error if a machine fails the check, as in the Go binary.
fn failure(doing: &str, error: &Error) -> Failure {
    match error {
        Error::NotFound(_) | Error::StoredDriver { .. } | Error::Store(_) => Failure::of("", error),
        Error::Endpoint { .. } => Failure::of(
            &format!("{doing}: Error checking and/or regenerating the certs"),
            error,
        ),
        _ => Failure::of(doing, error),
    }
}

/// Opens a machine and checks that its engine answers.
pub(crate) async fn connect(
    cx: &Context,
    name: &str,
    swarm: bool,
    doing: &str,
) -> Result<(Machine, Connection), Failure> {
    let failed = |error: Error| failure(doing, &error);
    let mut machine = cx.library.open(name).await.map_err(failed)?;
    let connected = libmachine::connection(&cx.library, &mut machine, swarm).await;
    let connection = connected.map_err(failed)?;
    Ok((machine, connection))
}

#[async_trait(?Send)]
impl Command for Config {
    fn about(&self) -> About {
        About {
            name: "config",
            arguments: "[NAME]",
            summary: "Print the connection options of a machine's Docker",
            details: "For use as: docker $(docker-machine config NAME) ps. Fails where Docker does not answer with this machine's certificate. Without a name, of the machine 'default'.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &["docker $(docker-machine config m1) ps"]
    }

    fn flags(&self) -> Vec<Flag> {
        vec![Flag::new(FlagSpec::bool(
            "swarm",
            "Those of the swarm that the machine is the master of",
        ))]
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let name = targets::first(cx, &arguments)?;
        let swarm = arguments.options.bool("swarm");
        let doing = "Error running connection boilerplate";
        let (_, connection) = connect(cx, &name, swarm, doing).await?;
        cx.print("--tlsverify");
        for (flag, path) in [
            ("tlscacert", &connection.ca),
            ("tlscert", &connection.cert),
            ("tlskey", &connection.key),
        ] {
            cx.print(&format!("--{flag}={}", go_quote(&path.to_string_lossy())));
        }
        cx.print(&format!("-H={}", connection.url));
        Ok(())
    }
}
