//! `docker-machine start`.

use async_trait::async_trait;

use super::{ls, targets};
use crate::cli::Arguments;
use crate::cli::argv::Flag;
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
            details: "Waits until Docker answers. The address may be another one afterwards: certificates are renewed then, and 'docker-machine env' has to be run again. Without a name or a filter, the machine 'default'. Filters: docker-machine help ls.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "docker-machine start m1 m2",
            "docker-machine start --filter state=Stopped",
        ]
    }

    fn flags(&self) -> Vec<Flag> {
        vec![ls::filter()]
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let names = targets::filtered(cx, &arguments).await?;
        targets::each(&names, |name| libmachine::start(&cx.library, name)).await
    }
}
