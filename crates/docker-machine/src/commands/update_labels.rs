//! `docker-machine update-labels`.

use async_trait::async_trait;
use machine_driver::FlagSpec;

use super::targets;
use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;

/// Sets labels on a machine. GitLab Runner writes its heartbeat this way.
pub(crate) struct UpdateLabels;

#[async_trait(?Send)]
impl Command for UpdateLabels {
    fn about(&self) -> About {
        About {
            name: "update-labels",
            arguments: "[NAME]",
            summary: "Set labels on a machine in the cloud",
            details: "In a cloud they are the tags of the machine's instance. Those that it has stay; one of the same key gets the new value. Without a name, the machine 'default'.",
        }
    }

    fn flags(&self) -> Vec<Flag> {
        vec![Flag::new(FlagSpec::list("label", "KEY=VALUE to set"))]
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let name = targets::only(cx, &arguments.words)?;
        let given = arguments.options.list("label");
        let labels: Option<Vec<_>> = given.iter().map(|label| key_and_value(label)).collect();
        match labels {
            Some(labels) if !labels.is_empty() => {
                Ok(libmachine::update_labels(&cx.library, &name, &labels).await?)
            }
            _ => Err(arguments
                .usage
                .failure("at least one --label KEY=VALUE is required")),
        }
    }
}

fn key_and_value(label: &str) -> Option<(String, String)> {
    let (key, value) = label.split_once('=')?;
    (!key.is_empty()).then(|| (key.to_owned(), value.to_owned()))
}
