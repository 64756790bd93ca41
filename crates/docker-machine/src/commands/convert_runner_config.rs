//! `docker-machine convert-runner-config`.

use std::sync::PoisonError;

use async_trait::async_trait;

use super::runner_checks;
use crate::cli::{About, Arguments, Command};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::console::Stream;
use crate::runner_config::{self, RunnerConfig};

/// Prints the settings of GitLab Runner's docker+machine executor as those of docker-autoscaler.
pub(crate) struct ConvertRunnerConfig;

/// Where GitLab Runner looks for its configuration if root starts it.
const DEFAULT: &str = "/etc/gitlab-runner/config.toml";

#[async_trait(?Send)]
impl Command for ConvertRunnerConfig {
    fn about(&self) -> About {
        About {
            name: "convert-runner-config",
            arguments: "[FILE]",
            summary: "Convert a GitLab Runner configuration to the docker-autoscaler executor",
            details: "Reads /etc/gitlab-runner/config.toml, or FILE, or standard input for '-'. Prints, for each runner with the executor docker+machine, the lines that replace 'executor' and [runners.machine], and names the settings without a counterpart. Prints no tokens, and changes nothing.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "docker-machine convert-runner-config",
            "docker-machine convert-runner-config - < config.toml",
        ]
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    fn leaves_no_trace(&self) -> bool {
        true
    }

    fn works_without_store(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let file = match arguments.words.as_slice() {
            [] => DEFAULT,
            [file] => file.as_str(),
            _ => return Err(arguments.usage.failure("Error: Too many arguments given")),
        };
        let read = match file {
            "-" => {
                let mut input = cx
                    .world
                    .input
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                RunnerConfig::read(&mut *input, "standard input")
            }
            file => RunnerConfig::open(&cx.world.directory.join(file), file),
        };
        let config = read.map_err(|error| Failure::chained("", &error))?;
        let sections = runner_config::autoscaler_sections(&config, &|settings, option| {
            runner_checks::mistake(cx, &settings.machine_driver, option)
        });
        if sections.is_empty() {
            cx.complain(&format!(
                "{file}: no [[runners]] section has the executor {:?}: nothing to convert",
                runner_config::EXECUTOR
            ));
            return Ok(());
        }
        let mut text = HEAD.to_owned();
        for section in &sections {
            text.push('\n');
            text.push_str(&section.toml);
            for note in &section.notes {
                cx.complain(&format!("runner {}: {note}", section.runner));
            }
        }
        cx.world.console.write(Stream::Out, text.as_bytes());
        Ok(())
    }
}

const HEAD: &str = "\
# In each [[runners]] section of this name, replace the line 'executor' and the
# table [runners.machine], with its subtables, by the lines from 'executor' on.
# Keep everything else: url, token, limit, [runners.docker], [runners.cache].
";
