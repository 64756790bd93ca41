//! `docker-machine url`.

use async_trait::async_trait;

use super::targets;
use crate::cli::Arguments;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;

/// Prints `DOCKER_HOST` for a machine.
pub(crate) struct Url;

#[async_trait(?Send)]
impl Command for Url {
    fn about(&self) -> About {
        About {
            name: "url",
            arguments: "[NAME]",
            summary: "Print the URL of a machine's Docker",
            details: "The value for $DOCKER_HOST, as tcp://ADDRESS:2376. Without a name, of the machine 'default'.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &["docker-machine url m1"]
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let name = targets::only(cx, &arguments)?;
        cx.print(&libmachine::url(&cx.library, &name).await?);
        Ok(())
    }
}
