//! `docker-machine stop`.

use async_trait::async_trait;

use super::targets;
use crate::cli::Arguments;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;

/// Shuts machines down.
pub(crate) struct Stop;

#[async_trait(?Send)]
impl Command for Stop {
    fn about(&self) -> About {
        About {
            name: "stop",
            arguments: "[NAME...]",
            summary: "Stop machines",
            details: "Shuts the instance down and waits for it. Without a name, the machine 'default'.",
        }
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let names = targets::all(cx, &arguments.words).await?;
        targets::each(&names, |name| libmachine::stop(&cx.library, name)).await
    }
}
