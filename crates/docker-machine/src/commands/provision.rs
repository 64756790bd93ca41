//! `docker-machine provision`.

use async_trait::async_trait;

use super::{About, Command, targets};
use crate::cli::Arguments;
use crate::context::Context;
use crate::failure::Failure;

/// Provisions machines again.
pub(crate) struct Provision;

#[async_trait(?Send)]
impl Command for Provision {
    fn about(&self) -> About {
        About {
            name: "provision",
            arguments: "[NAME...]",
            summary: "Provision machines again",
            details: "Changes what differs from what 'create' was asked for, and restarts Docker only if something did. Without a name, the machine 'default'.",
        }
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let names = targets::all(cx, &arguments.words).await?;
        targets::each(&names, |name| cx.library.provision(name)).await
    }
}
