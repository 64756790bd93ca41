//! `docker-machine provision`.

use async_trait::async_trait;
use libmachine::{HostKeyPolicy, Provisioning};
use machine_driver::FlagSpec;

use super::{ls, targets};
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
            details: "Changes what differs from what 'create' was asked for, and restarts Docker only if something did. Without a name or a filter, the machine 'default'. Filters: docker-machine help ls.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &["docker-machine provision m1"]
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::new(FlagSpec::bool(
                "open-firewall",
                "Let Docker's port through firewalld or ufw on the machines",
            )),
            accept_new_host_key(),
            ls::filter(),
        ]
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let names = targets::filtered(cx, &arguments).await?;
        let mut provisioning = Provisioning::new(arguments.options.bool("open-firewall"));
        provisioning.host_key = host_key_policy(&arguments);
        targets::each(&names, |name| {
            libmachine::provision(&cx.library, name, provisioning)
        })
        .await
    }
}

/// Returns the flag for hosts that were reinstalled.
pub(super) fn accept_new_host_key() -> Flag {
    Flag::new(FlagSpec::bool(
        "accept-new-host-key",
        "Pin the host key that the machine shows now, for a host that was set up anew",
    ))
}

pub(super) fn host_key_policy(arguments: &Arguments) -> HostKeyPolicy {
    match arguments.options.bool("accept-new-host-key") {
        true => HostKeyPolicy::AcceptNew,
        false => HostKeyPolicy::Pinned,
    }
}
