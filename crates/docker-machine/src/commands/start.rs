//! `docker-machine start`.

use async_trait::async_trait;

use super::targets;
use crate::cli::Arguments;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;

/// Starts stopped machines.
pub(crate) struct Start;

#[async_trait(?Send)]
impl Command for Start {
    fn about(&self) -> About {
        About {
            name: "start",
            arguments: "[NAME...]",
            summary: "Start machines",
            details: "Waits until Docker answers. The address may be another one afterwards: certificates are renewed then, and 'docker-machine env' has to be run again. Without a name, the machine 'default'.",
        }
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let names = targets::all(cx, &arguments.words).await?;
        targets::each(&names, |name| libmachine::start(&cx.library, name)).await
    }
}
