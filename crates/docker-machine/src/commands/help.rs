//! `docker-machine help`.

use async_trait::async_trait;
use machine_driver::FlagSpec;

use crate::cli::argv::Flag;
use crate::cli::{About, Arguments, Cli, Command};
use crate::context::Context;
use crate::failure::Failure;

/// Prints the help of the program or of one command.
pub(crate) struct Help;

#[async_trait(?Send)]
impl Command for Help {
    fn about(&self) -> About {
        About {
            name: "help",
            arguments: "[COMMAND]",
            summary: "Print the help of this program, or of one command",
            details: "The options of a driver: docker-machine help create --driver NAME.",
        }
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::new(FlagSpec::string(
                "driver",
                "Print the options of this driver, too",
            ))
            .short("d")
            .values(crate::drivers::names()),
        ]
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    fn works_without_store(&self) -> bool {
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
        let name = arguments.options.string("driver");
        let driver = match drivers.iter().find(|kind| kind.name() == name) {
            None if !name.is_empty() => {
                let known = crate::drivers::names().join(", ");
                let failure = Failure::new(format!("Driver {name:?} not found"));
                return Err(failure.with_hint(format!("the drivers are {known}")));
            }
            found => found.filter(|_| command.is_some_and(|it| it.takes_driver_flags())),
        };
        cx.print(&cli.help(command, driver.map(|kind| &**kind)));
        Ok(())
    }
}
