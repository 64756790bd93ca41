//! `docker-machine ip`.

use async_trait::async_trait;

use super::targets;
use crate::cli::Arguments;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;

/// Prints the saved addresses of machines.
pub(crate) struct Ip;

#[async_trait(?Send)]
impl Command for Ip {
    fn about(&self) -> About {
        About {
            name: "ip",
            arguments: "[NAME...]",
            summary: "Print the addresses of machines",
            details: "One address a line, in the order of the names. A stopped machine keeps the address it had. Without a name, the machine 'default'.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &["docker-machine ip m1 m2"]
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let mut failures = Vec::new();
        for name in targets::all(cx, &arguments).await? {
            match cx.library.open(&name).await?.address() {
                Some(address) => cx.print(&address),
                None => failures.push(Failure::new(format!(
                    "Error getting IP address: machine {name:?} has none yet"
                ))),
            }
        }
        match failures.is_empty() {
            true => Ok(()),
            false => Err(Failure::joined(failures)),
        }
    }
}
