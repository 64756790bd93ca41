//! `docker-machine restart`.

use async_trait::async_trait;

use super::targets;
use crate::cli::Arguments;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;

/// Restarts machines.
pub(crate) struct Restart;

#[async_trait(?Send)]
impl Command for Restart {
    fn about(&self) -> About {
        About {
            name: "restart",
            arguments: "[NAME...]",
            summary: "Restart machines",
            details: "Waits until Docker answers again. Without a name, the machine 'default'.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &["docker-machine restart m1"]
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let names = targets::all(cx, &arguments).await?;
        targets::each(&names, |name| libmachine::restart(&cx.library, name)).await
    }
}
