//! `docker-machine kill`.

use async_trait::async_trait;

use super::targets;
use crate::cli::Arguments;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;

/// Forces machines to power off immediately.
pub(crate) struct Kill;

#[async_trait(?Send)]
impl Command for Kill {
    fn about(&self) -> About {
        About {
            name: "kill",
            arguments: "[NAME...]",
            summary: "Kill machines",
            details: "Ends the instance without asking its system to shut down. Without a name, the machine 'default'.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &["docker-machine kill m1"]
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let names = targets::all(cx, &arguments).await?;
        targets::each(&names, |name| libmachine::kill(&cx.library, name)).await
    }
}
