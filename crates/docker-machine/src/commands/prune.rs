//! `docker-machine prune`.

use std::time::Duration;

use async_trait::async_trait;
use go_template::tabwriter::{Layout, align};
use libmachine::{PruneOptions, Pruned};
use machine_driver::FlagSpec;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{About, Command};
use crate::argv::Flag;
use crate::cli::Arguments;
use crate::console::Stream;
use crate::context::Context;
use crate::failure::Failure;

/// Lists, or removes, what no machine of the store owns.
pub(crate) struct Prune;

#[async_trait(?Send)]
impl Command for Prune {
    fn about(&self) -> About {
        About {
            name: "prune",
            arguments: "",
            summary: "List or remove cloud resources that no machine owns",
            details: "Finds by this store's tags, wherever its machines are, what its machines do not own: instances, key pairs, spot requests and volumes of creates that were killed. Lists them; with --force it removes them. Never touches what does not carry the tags.",
        }
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::new(FlagSpec::bool("force", "Remove what is found")).short("f"),
            Flag::new(
                FlagSpec::string("older-than", "How old something must be, as 90m, 2h or 1d")
                    .default_text("2h"),
            ),
        ]
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        if !arguments.words.is_empty() {
            return Err(Failure::usage(
                "Error: Too many arguments given",
                &arguments.usage,
            ));
        }
        let age = arguments.options.string("older-than");
        let older_than = duration(&age).ok_or_else(|| {
            Failure::usage(
                &format!("invalid value {age:?} for flag -older-than: parse error"),
                &arguments.usage,
            )
        })?;
        let force = arguments.options.bool("force");
        let pruned = cx
            .library
            .prune(&PruneOptions { force, older_than })
            .await?;
        cx.world.console.write(Stream::Out, &table(&pruned));
        if !force {
            if !pruned.found.is_empty() {
                cx.print("Nothing was removed: say --force to remove them.");
            }
            return Ok(());
        }
        cx.print(&format!("Removed {}", pruned.removed));
        for left in &pruned.left {
            cx.complain(&format!("  left behind: {} ({})", left.what, left.why));
        }
        match pruned.left.is_empty() {
            true => Ok(()),
            false => Err(Failure::new("some of it could not be removed")),
        }
    }
}

fn table(pruned: &Pruned) -> Vec<u8> {
    let mut text = "RESOURCE\tMACHINE\tSTATE\tCREATED\n".to_owned();
    for found in &pruned.found {
        let created = i64::try_from(found.created / 1000).unwrap_or_default();
        let created = OffsetDateTime::from_unix_timestamp(created).ok();
        let created = created
            .and_then(|at| at.format(&Rfc3339).ok())
            .unwrap_or_default();
        text.push_str(&format!(
            "{}\t{}\t{}\t{created}\n",
            found.what, found.machine, found.state
        ));
    }
    align(text.as_bytes(), Layout::LS)
}

/// Reads `90s`, `30m`, `2h`, `1d`, or several of them in a row.
fn duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (0u64, text);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = rest.split_at(end);
        let seconds = match unit.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(seconds)?)?;
        rest = &unit[1..];
    }
    (!text.is_empty()).then(|| Duration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn ages_are_read() {
        let seconds = |text| duration(text).map(|age| age.as_secs());
        assert_eq!(seconds("2h"), Some(7200));
        assert_eq!(seconds("1d2h3m4s"), Some(93_784));
        assert_eq!(seconds("0s"), Some(0));
        for bad in [
            "",
            "2",
            "h",
            "-1h",
            "2w",
            "2é",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert_eq!(seconds(bad), None, "{bad:?}");
        }
    }
}
