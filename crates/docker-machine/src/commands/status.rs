//! `docker-machine status`.

use async_trait::async_trait;

use super::targets;
use crate::cli::Arguments;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;

/// Prints the state of a machine.
pub(crate) struct Status;

#[async_trait(?Send)]
impl Command for Status {
    fn about(&self) -> About {
        About {
            name: "status",
            arguments: "[NAME]",
            summary: "Print the state of a machine",
            details: "Running, Stopped, Starting, Stopping, Paused, Saved, Error or Timeout. Without a name, of the machine 'default'.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &["docker-machine status m1"]
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let name = targets::only(cx, &arguments)?;
        let machine = cx.library.open(&name).await?;
        let state = libmachine::state(&cx.library, &machine)
            .await
            .map_err(|error| {
                Failure::of(&format!("error getting state for host {name}"), &error)
            })?;
        cx.print(state.as_str());
        Ok(())
    }
}
