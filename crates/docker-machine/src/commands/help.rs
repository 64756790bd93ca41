//! `docker-machine help`.

use async_trait::async_trait;

use crate::cli::{About, Arguments, Cli, Command};
use crate::context::Context;
use crate::failure::Failure;

/// Prints the help of this program, or of one command.
pub(crate) struct Help;

#[async_trait(?Send)]
impl Command for Help {
    fn about(&self) -> About {
        About {
            name: "help",
            arguments: "[COMMAND]",
            summary: "Print the help of this program, or of one command",
            details: "The options of a driver: docker-machine create --driver NAME --help.",
        }
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let drivers = crate::drivers::table();
        let cli = Cli {
            commands: super::TABLE,
            drivers: &drivers,
            environment: &cx.world.environment,
            columns: cx.world.console.terminals().help_width(),
        };
        let command = match arguments.words.first() {
            Some(name) => Some(cli.find(name).ok_or_else(|| cli.unknown_command(name))?),
            None => None,
        };
        cx.print(&cli.help(command, None));
        Ok(())
    }
}
