//! `docker-machine update-labels`.

use async_trait::async_trait;
use machine_driver::FlagSpec;
use machine_types::masked;

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

    fn examples(&self) -> &'static [&'static str] {
        &["docker-machine update-labels --label team=ci m1"]
    }

    fn flags(&self) -> Vec<Flag> {
        vec![Flag::new(FlagSpec::list("label", "KEY=VALUE to set"))]
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let name = targets::only(cx, &arguments)?;
        let given = arguments.options.list("label");
        let mut labels = Vec::new();
        for label in &given {
            labels.push(key_and_value(label).ok_or_else(|| {
                let label = masked(label);
                arguments.usage.failure(format!(
                    "invalid value {label:?} for flag -label: expected KEY=VALUE"
                ))
            })?);
        }
        if labels.is_empty() {
            return Err(arguments
                .usage
                .failure("at least one --label KEY=VALUE is required"));
        }
        Ok(libmachine::update_labels(&cx.library, &name, &labels).await?)
    }
}

fn key_and_value(label: &str) -> Option<(String, String)> {
    let (key, value) = label.split_once('=')?;
    (!key.is_empty()).then(|| (key.to_owned(), value.to_owned()))
}
