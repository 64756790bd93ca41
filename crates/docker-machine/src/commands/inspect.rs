//! `docker-machine inspect`.

use async_trait::async_trait;
use go_template::{Functions, Template};
use machine_driver::FlagSpec;

use super::targets;
use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::console::Stream;
use crate::output::go_json;

/// Prints a machine's configuration, or the result of a template.
pub(crate) struct Inspect;

#[async_trait(?Send)]
impl Command for Inspect {
    fn about(&self) -> About {
        About {
            name: "inspect",
            arguments: "[NAME]",
            summary: "Print the configuration of a machine",
            details: "As JSON, secrets included; with --format json on one line; or by a Go template, for instance {{.Driver.IPAddress}} or {{json .HostOptions}}. Makes no network call. Without a name, of the machine 'default'.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "docker-machine inspect m1",
            "docker-machine inspect --format '{{.Driver.IPAddress}}' m1",
        ]
    }

    fn flags(&self) -> Vec<Flag> {
        let format = FlagSpec::string("format", "Print what this Go template makes of it");
        vec![Flag::new(format).short("f").values(["json"])]
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        if arguments.words.len() > 1 {
            return Err(arguments.usage.failure(targets::ONE_MACHINE));
        }
        let name = targets::first(cx, &arguments)?;
        let machine = libmachine::inspect(&cx.library, &name).await?;
        let format = arguments.options.string("format");
        if format.is_empty() {
            cx.print(&go_json::pretty(&machine));
            return Ok(());
        }
        // The default of `docker inspect`; the Go binary prints the word.
        if format == "json" {
            cx.print(&go_json::line(&machine));
            return Ok(());
        }
        let template = Template::parse_with("", &format, Functions::with_json())
            .map_err(|error| Failure::new(format!("template parsing error: {error}")))?;
        template
            .execute_to(&machine.into(), &mut cx.pieces())
            .map_err(|error| Failure::new(error.to_string()))?;
        cx.world.console.write(Stream::Out, b"\n");
        Ok(())
    }
}
