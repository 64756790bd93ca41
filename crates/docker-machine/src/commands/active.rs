//! `docker-machine active`.

use async_trait::async_trait;
use libmachine::{Active as Pointed, ListOptions};
use machine_driver::FlagSpec;
use machine_types::MachineState;

use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::descriptors::room_for_connections;
use crate::failure::Failure;
use crate::listing::{self, order};

/// Prints the machine that `DOCKER_HOST` points at.
pub(crate) struct Active;

#[async_trait(?Send)]
impl Command for Active {
    fn about(&self) -> About {
        About {
            name: "active",
            arguments: "",
            summary: "Print which machine is active",
            details: "The one whose Docker, or whose swarm, $DOCKER_HOST points at.",
        }
    }

    fn flags(&self) -> Vec<Flag> {
        let timeout = FlagSpec::int(
            "timeout",
            10,
            "How many seconds a machine may take to answer",
        );
        vec![Flag::new(timeout).short("t")]
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        if !arguments.words.is_empty() {
            return Err(arguments
                .usage
                .bare_failure("Error: Too many arguments given"));
        }
        let options = ListOptions {
            at_once: room_for_connections(),
            timeout: listing::timeout(&arguments.options)?,
            docker_host: cx.world.environment.get("DOCKER_HOST").map(str::to_owned),
        };
        let machines = cx.library.machines().await;
        let machines =
            machines.map_err(|error| Failure::of("Error getting active host", &error))?;
        let mut items = libmachine::list(&cx.library, machines, &options).await;
        items.sort_by(|a, b| order::natural(&a.name, &b.name));
        let is_active = |active| matches!(active, Pointed::Host | Pointed::Swarm);
        if let Some(item) = items.iter().find(|item| is_active(item.active)) {
            cx.print(&item.name);
            return Ok(());
        }
        // A machine that did not answer in time may be the active one.
        let silent = items.iter().any(|item| item.state == MachineState::Timeout);
        Err(Failure::new(match silent {
            true => "Error getting active host: timeout",
            false => "No active host found",
        }))
    }
}
