//! `docker-machine rm`.

use std::time::Duration;

use async_trait::async_trait;
use libmachine::{Error, RemoveOptions, Removed};
use machine_driver::FlagSpec;

use super::{ls, targets};
use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::drivers;
use crate::failure::Failure;

/// Removes machines.
pub(crate) struct Rm;

/// Time for which the choice of a filter holds: a machine that was started meanwhile must not be removed.
const FRESH: Duration = Duration::from_secs(2);

#[async_trait(?Send)]
impl Command for Rm {
    fn about(&self) -> About {
        About {
            name: "rm",
            arguments: "[NAME...]",
            summary: "Remove machines",
            details: "Terminates the instance, deletes the key pair that was imported for it, and forgets the machine. What is gone already is fine. What cannot be removed keeps the machine; with --force it is forgotten all the same, and what is left is kept on record for 'docker-machine prune'. Takes names, or filters as 'docker-machine ls' does. A machine whose state cannot be queried matches no state and no age.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "docker-machine rm -y m1 m2",
            "docker-machine rm -y --filter state=Error --filter 'age>6h'",
        ]
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::new(FlagSpec::bool(
                "force",
                "Forget machines even where something of them is left; implies -y",
            ))
            .short("f"),
            Flag::new(FlagSpec::bool("yes", "Do not ask")).short("y"),
            ls::filter(),
        ]
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let is_filtered = !arguments.options.list("filter").is_empty();
        let mut fresh_until = cx.world.ambient.monotonic() + FRESH;
        let names = match is_filtered {
            true => targets::filtered(cx, &arguments).await?,
            false => arguments.words.clone(),
        };
        if names.is_empty() {
            if is_filtered {
                return Ok(());
            }
            return Err(arguments
                .usage
                .failure("Error: Expected to get one or more machine names as arguments"));
        }
        let force = arguments.options.bool("force");
        let asked = !force && !arguments.options.bool("yes");
        if asked && let Some(failure) = all_unknown(cx, &names).await {
            return Err(failure);
        }
        cx.print(&format!("About to remove {}", names.join(", ")));
        cx.print("WARNING: This action will delete both local reference and remote instance.");
        for name in &names {
            if cx
                .library
                .open(name)
                .await
                .is_ok_and(|machine| machine.is_of_the_user())
            {
                cx.complain(&format!(
                    "{name}: only the local reference is deleted; the server stays as it is"
                ));
            }
        }
        if asked {
            match cx.confirm("Are you sure?").await? {
                // The answer may have taken an hour.
                Some(true) => fresh_until = Duration::ZERO,
                Some(false) => return Ok(()),
                None if is_filtered => {
                    let failure = Failure::new("no answer, nothing was removed");
                    return Err(failure.with_hint("-y removes without a question"));
                }
                None => {
                    // The Go binary prints nothing and succeeds, and scripts may rely on both.
                    if cx.world.console.terminals().err {
                        cx.complain("\n  hint: no answer, nothing was removed: -y removes without a question");
                    }
                    return Ok(());
                }
            }
        }
        let options = RemoveOptions {
            force,
            places: drivers::places(&cx.world.environment),
        };
        let mut failures = Vec::new();
        let mut still = names.clone();
        for name in &names {
            let now = cx.world.ambient.monotonic();
            if is_filtered && now > fresh_until {
                still = match targets::filtered(cx, &arguments).await {
                    Ok(still) => still,
                    Err(failure) => {
                        failures.push(failure);
                        break;
                    }
                };
                fresh_until = now + FRESH;
            }
            if is_filtered && (!still.contains(name) || libmachine::is_in_use(&cx.library, name)) {
                cx.complain(&format!(
                    "{name}: left out: it has changed since it was chosen"
                ));
                continue;
            }
            match libmachine::remove(&cx.library, name, &options).await {
                Ok(removed) => told(cx, name, &removed),
                // With --force, the Go binary ignores unknown machines.
                Err(error @ Error::NotFound(_)) if force => {
                    cx.world.console.failure(&failure(name, &error));
                    cx.complain(&format!("Can't remove {name:?}"));
                }
                Err(error) => failures.push(failure(name, &error)),
            }
        }
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => Err(Failure::joined(failures)),
        }
    }
}

/// Returns the failure if the store knows none of the names: then no question is needed.
async fn all_unknown(cx: &Context, names: &[String]) -> Option<Failure> {
    let mut unknown = Vec::new();
    for name in names {
        match libmachine::is_unknown(&cx.library, name) {
            true => unknown.push(failure(name, &Error::NotFound(name.clone()))),
            false => return None,
        }
    }
    Some(Failure::joined(unknown))
}

fn failure(name: &str, error: &Error) -> Failure {
    match error {
        // The error text already says so.
        Error::Remove { .. } => Failure::of("", error),
        _ => Failure::of(&format!("Error removing host {name:?}"), error),
    }
}

fn told(cx: &Context, name: &str, removed: &Removed) {
    if let Some(overridden) = &removed.overridden {
        cx.complain(&format!("Error removing host {name:?}: {overridden}"));
    }
    for left in &removed.left {
        cx.complain(&format!(
            "  left behind, and on record: {} ({})",
            left.what, left.why
        ));
    }
    cx.print(&format!("Successfully removed {name}"));
}
