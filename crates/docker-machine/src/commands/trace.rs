//! `docker-machine trace`.

use std::io::Read as _;
use std::sync::PoisonError;

use async_trait::async_trait;
use libmachine::files::{self, FileError, Links};

use crate::cli::{About, Arguments, Command};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::console::Stream;
use crate::telemetry::timeline;

/// Maximum size of a trace: a create writes some 20 KB.
const LARGEST: u64 = 256 << 20;

/// Shows a trace as a waterfall.
pub(crate) struct Trace;

#[async_trait(?Send)]
impl Command for Trace {
    fn about(&self) -> About {
        About {
            name: "trace",
            arguments: "FILE",
            summary: "Show where the time of a trace went",
            details: "Shows the records that MACHINE_TRACE or 'docker-machine logs --format json' wrote to a file, or to standard input for '-', as a waterfall: each step, API call, SSH command, wait and phase is a line with a bar from its start to its end. A pause of a minute in the records of a machine begins a new waterfall.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "docker-machine trace create.jsonl",
            "docker-machine logs --format json m1 | docker-machine trace -",
        ]
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    fn works_without_store(&self) -> bool {
        true
    }

    fn leaves_no_trace(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let [path] = arguments.words.as_slice() else {
            return Err(arguments
                .usage
                .failure("Error: Expected one file as an argument"));
        };
        let text =
            read(cx, path).map_err(|error| Failure::new(format!("cannot read {path}: {error}")))?;
        let records = timeline::parse(&text);
        if records.is_empty() {
            let failure = Failure::new(format!("{path} has no records"));
            return Err(
                failure.with_hint("MACHINE_TRACE=FILE docker-machine create ... writes them")
            );
        }
        let columns = cx.world.console.terminals().columns.unwrap_or(100);
        let shown = timeline::waterfalls(&records, columns);
        cx.world.console.write(Stream::Out, shown.as_bytes());
        Ok(())
    }
}

fn read(cx: &Context, path: &str) -> std::io::Result<String> {
    if path != "-" {
        let path = cx.world.directory.join(path);
        return files::read_text(&path, LARGEST, Links::Follow).map_err(FileError::into_io);
    }
    let input = &cx.world.input;
    let mut input = input.lock().unwrap_or_else(PoisonError::into_inner);
    let mut text = String::new();
    let read = (&mut *input).take(LARGEST + 1).read_to_string(&mut text)?;
    match read as u64 > LARGEST {
        true => Err(std::io::ErrorKind::FileTooLarge.into()),
        false => Ok(text),
    }
}
