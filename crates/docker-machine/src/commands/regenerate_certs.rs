//! `docker-machine regenerate-certs`.

use async_trait::async_trait;
use machine_driver::FlagSpec;

use super::provision::{accept_new_host_key, host_key_policy};
use super::targets;
use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;

/// Issues new certificates.
pub(crate) struct RegenerateCerts;

#[async_trait(?Send)]
impl Command for RegenerateCerts {
    fn about(&self) -> About {
        About {
            name: "regenerate-certs",
            arguments: "[NAME...]",
            summary: "Issue new TLS certificates for machines",
            details: "Replaces the certificates there, restarts Docker and changes nothing else. Without a name, for the machine 'default'.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &["docker-machine regenerate-certs -f m1"]
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::new(FlagSpec::bool("force", "Do not ask")).short("f"),
            Flag::new(FlagSpec::bool(
                "client-certs",
                "Issue a new client certificate too",
            )),
            accept_new_host_key(),
        ]
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        if !arguments.options.bool("force") {
            // No question is asked for an unknown machine.
            targets::all(cx, &arguments).await?;
            let question = "Regenerate TLS machine certs?  Warning: this is irreversible.";
            match cx.confirm(question).await? {
                Some(true) => {}
                Some(false) => return Ok(()),
                None => {
                    return Err(Failure::new(
                        "no answer to the question: give -f to skip it",
                    ));
                }
            }
        }
        cx.print("Regenerating TLS certificates");
        let names = targets::all(cx, &arguments).await?;
        let client_certs = arguments.options.bool("client-certs");
        let host_key = host_key_policy(&arguments);
        targets::each(&names, |name| {
            libmachine::regenerate_certificates(&cx.library, name, client_certs, host_key)
        })
        .await
    }
}
