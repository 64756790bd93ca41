//! `docker-machine stop`.

use async_trait::async_trait;

use super::{ls, targets};
use crate::cli::Arguments;
use crate::cli::argv::Flag;
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
            details: "Shuts the instance down and waits for it. Without a name or a filter, the machine 'default'. Filters: docker-machine help ls.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "docker-machine stop m1 m2",
            "docker-machine stop --filter 'age>8h'",
        ]
    }

    fn flags(&self) -> Vec<Flag> {
        vec![ls::filter()]
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let names = targets::filtered(cx, &arguments).await?;
        targets::each(&names, |name| libmachine::stop(&cx.library, name)).await
    }
}
