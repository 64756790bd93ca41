//! `docker-machine version`.

use async_trait::async_trait;

use super::targets;
use crate::cli::Arguments;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;

/// Prints the version of this program, or of a machine's Docker.
pub(crate) struct Version;

#[async_trait(?Send)]
impl Command for Version {
    fn about(&self) -> About {
        About {
            name: "version",
            arguments: "[NAME]",
            summary: "Print the version of this program, or of a machine's Docker",
            details: "",
        }
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    fn needs_store(&self, arguments: &Arguments) -> bool {
        !arguments.words.is_empty()
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        match arguments.words.as_slice() {
            [] => cx.print(&crate::version::line()),
            [name] => cx.print(&libmachine::docker_version(&cx.library, name).await?),
            _ => return Err(Failure::new(targets::ONE_MACHINE)),
        }
        Ok(())
    }
}
