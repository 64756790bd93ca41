//! `docker-machine ls`.

use async_trait::async_trait;
use libmachine::{Active, Error, ListItem, ListOptions, StoredMachine};
use machine_driver::FlagSpec;

use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::descriptors::room_for_connections;
use crate::failure::Failure;
use crate::listing::filter::{FilterError, Filters};
use crate::listing::format::{Format, fields};
use crate::listing::{self, order};

/// Lists machines.
pub(crate) struct Ls;

#[async_trait(?Send)]
impl Command for Ls {
    fn about(&self) -> About {
        About {
            name: "ls",
            arguments: "[NAME...]",
            summary: "List machines",
            details: "Filters: driver=NAME, state=STATE, name=REGEXP, label=KEY[=VALUE], swarm=MASTER. Values of one key are alternatives, different keys must all match. Formats: a Go template with the fields .Name .Active .ActiveHost .ActiveSwarm .DriverName .State .URL .SwarmOptions .Swarm .EngineOptions .Error .DockerVersion .ResponseTime; aligned, with headers, where it begins with 'table'; or 'json', one object a line. With names, lists those machines only.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "docker-machine ls --filter state=Running",
            "docker-machine ls --format '{{.Name}} {{.URL}}'",
        ]
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::new(FlagSpec::bool(
                "quiet",
                "Print names only, without contacting any machine",
            ))
            .short("q"),
            Flag::new(FlagSpec::list("filter", "Which machines, as KEY=VALUE")),
            Flag::new(FlagSpec::int(
                "timeout",
                10,
                "How many seconds a machine may take to answer",
            ))
            .short("t"),
            Flag::new(FlagSpec::string("format", "How to show them")).short("f"),
            Flag::new(FlagSpec::bool("json", "The same as --format json")),
        ]
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    fn works_without_store(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let no_filter = |error: FilterError| Failure::new(error.to_string());
        let filters = Filters::parse(&arguments.options.list("filter")).map_err(no_filter)?;
        let quiet = arguments.options.bool("quiet");
        let wanted = Wanted::of(&arguments.words);
        if quiet && filters.is_empty() {
            let mut names = libmachine::sound_names(&cx.library).await?;
            names.retain(|name| wanted.contains(name));
            print_names(cx, &names);
            return wanted.all_known(cx);
        }
        let mut machines = cx.library.machines().await?;
        let is_empty = machines.is_empty();
        let records: Vec<_> = machines.iter().filter_map(StoredMachine::record).collect();
        let mut names = filters.select(&records).map_err(no_filter)?;
        names.retain(|name| wanted.contains(name));
        // Whether a broken machine matches is unknown: the table always shows it, a list of names never does.
        machines.retain(|machine| match machine.record() {
            Some(record) => names.contains(&record.name),
            None => !quiet && wanted.contains(machine.name()),
        });
        if quiet {
            if filters.ask_for_states() {
                let items = list(cx, &arguments, &filters, machines).await;
                names = items.into_iter().map(|item| item.name).collect();
            }
            print_names(cx, &names);
            return wanted.all_known(cx);
        }
        let format = match arguments.options.bool("json") {
            true => "json".to_owned(),
            false => arguments.options.string("format"),
        };
        let format = Format::parse(&format).map_err(unfit)?;
        if is_empty {
            explain_no_store(cx);
        }
        let mut items = list(cx, &arguments, &filters, machines).await;
        items.sort_by(|a, b| order::natural(&a.name, &b.name));
        format.write(&items, &mut cx.pieces()).map_err(unfit)?;
        wanted.all_known(cx)
    }
}

/// The machines that are named on the command line.
struct Wanted<'a>(Vec<&'a String>);

impl<'a> Wanted<'a> {
    /// Reads the words. The Go binary ignores them: `ls -q true` is a mistyped `ls -q=true`.
    fn of(words: &'a [String]) -> Self {
        let is_name = |word: &&String| !matches!(word.as_str(), "true" | "false");
        Self(words.iter().filter(is_name).collect())
    }

    fn contains(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|word| *word == name)
    }

    /// Fails for names that the store does not know.
    fn all_known(&self, cx: &Context) -> Result<(), Failure> {
        let unknown = self
            .0
            .iter()
            .filter(|name| libmachine::is_unknown(&cx.library, name));
        let mut failures: Vec<Failure> = unknown
            .map(|name| Error::NotFound((*name).clone()).into())
            .collect();
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => Err(Failure::joined(failures)),
        }
    }
}

fn unfit(error: go_template::Error) -> Failure {
    let text = error.to_string();
    let is_of_field = text.contains("in type commands.HostListItem");
    let failure = Failure::new(text);
    match is_of_field {
        true => failure.with_hint(format!("the fields are {}", fields().join(" "))),
        false => failure,
    }
}

/// Prints the path of the store at a terminal: the user may expect another user's store.
fn explain_no_store(cx: &Context) {
    let store = cx.library.store_root();
    if cx.world.console.terminals().err && !store.exists() {
        cx.complain(&format!(
            "no machines: there is no store at {}; for the machines of another user: sudo -H docker-machine ls, or --storage-path",
            store.display()
        ));
    }
}

/// Prints names, one per line, in a single write.
fn print_names(cx: &Context, names: &[String]) {
    if !names.is_empty() {
        cx.print(&names.join("\n"));
    }
}

async fn list(
    cx: &Context,
    arguments: &Arguments,
    filters: &Filters,
    machines: Vec<StoredMachine>,
) -> Vec<ListItem> {
    let options = ListOptions {
        at_once: room_for_connections(),
        timeout: listing::timeout(&arguments.options),
        docker_host: cx.world.environment.get("DOCKER_HOST").map(str::to_owned),
    };
    let mut items = libmachine::list(&cx.library, machines, &options).await;
    let is_broken = |item: &ListItem| item.active == Active::Unknown;
    items.retain(|item| is_broken(item) || filters.wants_state(item.state));
    items
}
