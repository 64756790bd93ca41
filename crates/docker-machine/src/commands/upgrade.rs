//! `docker-machine upgrade`.

use async_trait::async_trait;

use super::{About, Command, targets};
use crate::cli::Arguments;
use crate::context::Context;
use crate::failure::Failure;

/// Upgrades Docker on machines.
pub(crate) struct Upgrade;

#[async_trait(?Send)]
impl Command for Upgrade {
    fn about(&self) -> About {
        About {
            name: "upgrade",
            arguments: "[NAME...]",
            summary: "Upgrade Docker on machines",
            details: "Moves the engine to the newest release of its channel. Without a name, the machine 'default'.",
        }
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let names = targets::all(cx, &arguments.words).await?;
        targets::each(&names, |name| cx.library.upgrade(name, None)).await
    }
}
