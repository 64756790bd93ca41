//! `docker-machine prune`.

use async_trait::async_trait;
use go_template::tabwriter::{Layout, align};
use libmachine::{PruneOptions, Pruned, StoreOrigin, confirmation_hint};
use machine_driver::FlagSpec;

use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::age;
use crate::output::console::Stream;

/// Lists or removes resources that no machine of the store owns.
pub(crate) struct Prune;

#[async_trait(?Send)]
impl Command for Prune {
    fn about(&self) -> About {
        About {
            name: "prune",
            arguments: "",
            summary: "List or remove cloud resources that no machine owns",
            details: "Finds by this store's tags, wherever its machines are, what its machines do not own: instances, key pairs, spot requests and volumes of creates that were killed. Lists them; with --force it removes them. Never touches what does not carry the tags, what carries the ID of a machine of this store, or an instance that something else launched. With --all-stores it looks for what any store left, a manager's that is gone for one, and takes a driver's flags to say where. A store that was copied or moved since it was made removes nothing until --store-moved or --store-copied says which.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "docker-machine prune",
            "docker-machine prune --force --older-than 1d",
        ]
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::new(FlagSpec::bool("force", "Remove what is found")).short("f"),
            Flag::new(
                FlagSpec::string(
                    "older-than",
                    "How long something must have been unused, as 90m, 2h or 1d",
                )
                .default_text("2h"),
            ),
            Flag::new(FlagSpec::bool(
                "all-stores",
                "Look for the resources of every store but for those of this store's machines; wants --tag",
            )),
            Flag::new(FlagSpec::list(
                "tag",
                "Only what carries this tag as well, as KEY=VALUE; no wildcards",
            )),
            Flag::new(FlagSpec::string(
                "driver",
                "A driver whose flags name a place to look in, besides those of the machines",
            ))
            .short("d"),
            Flag::new(FlagSpec::bool(
                "store-moved",
                "Confirm that the store was moved here: its id is its own, and prune goes on",
            )),
            Flag::new(FlagSpec::bool(
                "store-copied",
                "Confirm that the store is a copy: new machines get an id of its own",
            )),
        ]
    }

    fn takes_driver_flags(&self) -> bool {
        true
    }

    fn needs_driver(&self) -> bool {
        false
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        if !arguments.words.is_empty() {
            return Err(arguments.usage.failure("Error: Too many arguments given"));
        }
        let limit = arguments.options.string("older-than");
        let older_than = age::parse(&limit).ok_or_else(|| {
            let failure = arguments.usage.failure(format!(
                "invalid value {limit:?} for flag -older-than: parse error"
            ));
            failure.with_hint("--older-than takes a time with its unit, such as 90m, 2h or 1d")
        })?;
        let force = arguments.options.bool("force");
        if let Some(origin) = origin(&arguments)? {
            return confirm(cx, origin).await;
        }
        let mut tags = Vec::new();
        for tag in arguments.options.list("tag") {
            let Some((key, value)) = tag.split_once('=') else {
                return Err(arguments.usage.failure(format!(
                    "invalid value {tag:?} for flag -tag: expected KEY=VALUE"
                )));
            };
            tags.push((key.to_owned(), value.to_owned()));
        }
        // $MACHINE_DRIVER applies to create: it does not name a place by itself.
        let place = arguments
            .options
            .is_given("driver")
            .then(|| (arguments.driver_name.to_owned(), arguments.driver));
        let pruned = libmachine::prune(
            &cx.library,
            &PruneOptions {
                force,
                older_than,
                all_stores: arguments.options.bool("all-stores"),
                tags,
                place,
            },
        )
        .await?;
        cx.world.console.write(Stream::Out, &table(&pruned));
        if let Some(unconfirmed) = &pruned.unconfirmed {
            cx.complain(&format!("Nothing would be removed: {unconfirmed}."));
            cx.complain(&format!(
                "What carries its id may be in use; {}.",
                confirmation_hint(unconfirmed)
            ));
        } else if force {
            cx.print(&format!("Removed {}", pruned.removed));
        } else if !pruned.found.is_empty() {
            cx.print("Nothing was removed: say --force to remove them.");
        }
        if pruned.young > 0 {
            cx.print(&format!(
                "Left alone: {} used, or first seen detached, within the last {limit}",
                pruned.young
            ));
        }
        for left in &pruned.left {
            cx.complain(&format!("  left behind: {} ({})", left.what, left.why));
        }
        match (pruned.left.is_empty(), force) {
            (true, _) => Ok(()),
            (false, true) => Err(Failure::new("some of it could not be removed")),
            (false, false) => Err(Failure::new("not every place could be asked")),
        }
    }
}

/// Reads the flags for a store that was created elsewhere.
fn origin(arguments: &Arguments) -> Result<Option<StoreOrigin>, Failure> {
    let given = ["store-moved", "store-copied"].map(|flag| arguments.options.bool(flag));
    let origin = match given {
        [false, false] => return Ok(None),
        [true, false] => StoreOrigin::Moved,
        [false, true] => StoreOrigin::Copied,
        [true, true] => {
            return Err(arguments
                .usage
                .failure("cannot combine --store-moved and --store-copied"));
        }
    };
    // A scheduled job with both flags would confirm every copy.
    if arguments.options.bool("force") {
        return Err(arguments
            .usage
            .failure("cannot combine --force and --store-moved or --store-copied: confirm first"));
    }
    Ok(Some(origin))
}

async fn confirm(cx: &Context, origin: StoreOrigin) -> Result<(), Failure> {
    let recorded = libmachine::confirm_origin(&cx.library, origin).await?;
    cx.print(match (recorded, origin) {
        (false, _) => "Nothing to confirm: the store is where it was made.",
        (true, StoreOrigin::Moved) => {
            "The store was moved: what carries its former id is its own, and new machines carry a new one."
        }
        (true, StoreOrigin::Copied) => {
            "The store is a copy: what carries the former id is left to the other store."
        }
    });
    Ok(())
}

fn table(pruned: &Pruned) -> Vec<u8> {
    let mut text = "RESOURCE\tNAME\tMACHINE\tSTATE\tAGE\tREASON\n".to_owned();
    for found in &pruned.found {
        let age = age::text(found.age);
        text.push_str(&format!(
            "{}\t{}\t{}\t{}\t{age}\t{}\n",
            found.what, found.name, found.machine, found.state, found.why
        ));
    }
    align(text.as_bytes(), Layout::LS)
}
