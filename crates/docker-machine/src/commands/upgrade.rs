//! `docker-machine upgrade`.

use async_trait::async_trait;
use machine_driver::FlagSpec;

use super::create::engine_version;
use super::provision::{accept_new_host_key, host_key_policy};
use super::targets;
use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command};
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
            details: "Moves the engine to the newest release of its channel, or to the one asked for, and checks the connection. Without a name, the machine 'default'.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &["docker-machine upgrade m1"]
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::new(FlagSpec::string(
                "engine-version",
                "Which release of Docker to move to, instead of the newest",
            )),
            accept_new_host_key(),
        ]
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let names = targets::all(cx, &arguments).await?;
        let version = engine_version(&cx.world, &arguments.options)?;
        let version = Some(version).filter(|version| !version.is_empty());
        let host_key = host_key_policy(&arguments);
        targets::each(&names, |name| {
            libmachine::upgrade(&cx.library, name, version.clone(), host_key)
        })
        .await
    }
}
