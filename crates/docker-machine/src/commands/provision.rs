//! `docker-machine provision`.

use async_trait::async_trait;
use libmachine::Provisioning;
use machine_driver::FlagSpec;

use super::targets;
use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command};
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

    fn flags(&self) -> Vec<Flag> {
        vec![Flag::new(FlagSpec::bool(
            "open-firewall",
            "Let Docker's port through firewalld or ufw on the machines",
        ))]
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let names = targets::all(cx, &arguments.words).await?;
        let provisioning = Provisioning::new(arguments.options.bool("open-firewall"));
        targets::each(&names, |name| cx.library.provision(name, provisioning)).await
    }
}
