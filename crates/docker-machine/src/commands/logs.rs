//! `docker-machine logs`.

use async_trait::async_trait;
use machine_driver::FlagSpec;

use super::targets;
use crate::cli::argv::Flag;
use crate::cli::{About, Arguments, Command};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::console::Stream;
use crate::telemetry::timeline;

/// Prints what the last create of a machine did.
pub(crate) struct Logs;

#[async_trait(?Send)]
impl Command for Logs {
    fn about(&self) -> About {
        About {
            name: "logs",
            arguments: "NAME",
            summary: "Print what the last create of a machine did",
            details: "Prints each message, step, API call, SSH command and wait of the last create of this name, with the time since its start. The log of a failed create stays when its machine is removed: the store keeps those of the last 20. 'docker-machine rm' removes the log with its machine.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &["docker-machine logs m1"]
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::new(FlagSpec::string(
                "format",
                "'json' for the records, as MACHINE_TRACE writes them",
            ))
            .short("f")
            .values(["json"]),
        ]
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let [name] = arguments.words.as_slice() else {
            return Err(arguments.usage.failure(targets::ONE_MACHINE));
        };
        let Some(log) = libmachine::create_log(&cx.library, name)? else {
            let failure = Failure::new(format!("no log of a create of {name:?}"));
            return Err(failure.with_hint("a create by this program writes one, and rm removes it"));
        };
        let text = match arguments.options.string("format").as_str() {
            "json" => log,
            "" => timeline::log(&timeline::parse(&log)),
            other => {
                let failure = Failure::new(format!("unknown format {other:?}"));
                return Err(failure.with_hint("the format is json, or none for text"));
            }
        };
        cx.world.console.write(Stream::Out, text.as_bytes());
        Ok(())
    }
}
