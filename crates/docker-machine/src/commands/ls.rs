//! `docker-machine ls`.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use libmachine::{
    Active, Cx, Error, ListItem, ListOptions, Look, MemoryJournal, StoredMachine, WaitPolicy,
    wait_until_ready,
};
use machine_driver::{FlagSpec, Options};
use machine_types::one_line;

use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command};
use crate::context::{Context, NO_STORE, NO_STORE_SET};
use crate::descriptors::room_for_connections;
use crate::failure::Failure;
use crate::listing::filter::{FilterError, Filters};
use crate::listing::format::{Format, fields};
use crate::listing::{self, order, table};
use crate::output::console::Stream;

/// Lists machines.
pub(crate) struct Ls;

#[async_trait(?Send)]
impl Command for Ls {
    fn about(&self) -> About {
        About {
            name: "ls",
            arguments: "[NAME...]",
            summary: "List machines",
            details: "Filters: driver=NAME, state=STATE, name=REGEXP, label=KEY[=VALUE], swarm=MASTER, age>DURATION, age<DURATION (90m, 6h, 1d). Values of one key are alternatives; different keys, and all bounds of the age, must match. Formats: a Go template with the fields .Name .Active .ActiveHost .ActiveSwarm .DriverName .State .URL .SwarmOptions .Swarm .EngineOptions .Error .DockerVersion .ResponseTime .Age .InstanceType .Zone .Spot .InstanceID; aligned, with headers, where it begins with 'table'; or 'json', one object a line. With names, lists those machines only.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "docker-machine ls --wide --sort age --filter 'age>6h'",
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
            filter(),
            Flag::new(FlagSpec::int(
                "timeout",
                10,
                "How many seconds a machine may take to answer",
            ))
            .short("t"),
            Flag::new(FlagSpec::string("format", "How to show them"))
                .short("f")
                .values(["json", "table"]),
            Flag::new(FlagSpec::bool("json", "The same as --format json")),
            Flag::new(FlagSpec::bool(
                "wide",
                "Add age, instance, type, zone and spot of each machine",
            )),
            Flag::new(FlagSpec::string("sort", "The order of the machines").default_text("name"))
                .values(order::KEYS),
            Flag::new(FlagSpec::bool(
                "watch",
                "List the machines again every 5 seconds, until Control-C",
            )),
        ]
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    fn works_without_store(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let options = &arguments.options;
        let listing = Listing {
            cx,
            filters: Filters::parse(&options.list("filter")).map_err(no_filter)?,
            wanted: Wanted::of(&arguments.words),
            timeout: listing::timeout(options)?,
        };
        if let Err(unknown) = listing.filters.check_states() {
            cx.complain(&format!("no machine has this state: {unknown}"));
        }
        let sort = options.string("sort");
        if !order::KEYS.contains(&sort.as_str()) {
            let failure = Failure::new(format!("unknown sort key {sort:?}"));
            return Err(failure.with_hint(format!("the keys are {}", order::KEYS.join(", "))));
        }
        let has_format = options.bool("json") || options.is_given("format");
        if options.bool("wide") && has_format {
            return Err(Failure::new("cannot combine --wide and --format"));
        }
        if options.bool("quiet") && options.bool("watch") {
            return Err(Failure::new("cannot combine --watch and --quiet"));
        }
        if options.bool("quiet") {
            print_names(cx, &listing.names(&sort).await?);
        } else if options.bool("watch") {
            watch(cx, async || listing.show(options, &sort).await).await?;
        } else {
            listing.show(options, &sort).await?;
        }
        listing.wanted.all_known(cx)
    }
}

fn no_filter(error: FilterError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error.hint() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// Returns the flag that selects machines.
pub(super) fn filter() -> Flag {
    Flag::new(FlagSpec::list(
        "filter",
        "Which machines, as KEY=VALUE, age>DURATION or age<DURATION",
    ))
    .values(crate::listing::filter::VALUES)
}

/// The machines that match the filters of a command that changes machines.
pub(super) struct Matching {
    /// Their names.
    pub(super) names: Vec<String>,
    /// Whether it is unknown of other machines that they match. They are reported.
    pub(super) has_left_out: bool,
}

/// Returns the machines that match the flags of a command that changes machines. A machine matches nothing if it is
/// broken, if another process is at work on it, or if its state or age matters and could not be queried.
pub(super) async fn matching(cx: &Context, arguments: &Arguments) -> Result<Matching, Failure> {
    let filters = Filters::parse(&arguments.options.list("filter")).map_err(no_filter)?;
    filters.check_states().map_err(no_filter)?;
    let listing = Listing {
        cx,
        filters,
        wanted: Wanted::of(&arguments.words),
        timeout: TIMEOUT,
    };
    listing.wanted.all_known(cx)?;
    let machines = listing.machines().await?;
    let mut left_out: Vec<(String, String)> = Vec::new();
    let mut names = Vec::new();
    let mut opened = Vec::new();
    for machine in machines {
        match machine {
            StoredMachine::Unopened { name, error, .. } => left_out.push((name, one_line(error))),
            machine if listing.filters.ask_for_states() => opened.push(machine),
            machine => names.push(machine.name().to_owned()),
        }
    }
    for item in libmachine::list(&cx.library, opened, &listing.options()).await {
        let why = match item.error.as_str() {
            "" => format!("no answer within {} s", TIMEOUT.as_secs()),
            error => error.to_owned(),
        };
        match item.is_unknown {
            true => left_out.push((item.name, why)),
            false if listing.filters.want(&item) => names.push(item.name),
            false => {}
        }
    }
    names.retain(|name| {
        let is_in_use = libmachine::is_in_use(&cx.library, name);
        if is_in_use {
            let why = "another process is at work on it".to_owned();
            left_out.push((name.clone(), why));
        }
        !is_in_use
    });
    for (name, why) in &left_out {
        cx.complain(&format!("{name}: left out: {why}"));
    }
    Ok(Matching {
        names,
        has_left_out: !left_out.is_empty(),
    })
}

/// How long a machine may take to answer a command that selects by its state.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Interval of `--watch`: each listing costs one call for all machines of a place.
const INTERVAL: Duration = Duration::from_secs(5);

/// Calls `show` every five seconds, until it fails or standard output is closed.
async fn watch(cx: &Context, show: impl AsyncFn() -> Result<(), Failure>) -> Result<(), Failure> {
    // Discards events: the pause is nothing that the user waits for.
    let silent = Cx {
        ambient: cx.world.ambient.clone(),
        ..Cx::new(Arc::new(MemoryJournal::default()))
    };
    let console = &cx.world.console;
    let policy = WaitPolicy::every(INTERVAL, Duration::MAX);
    let waited = wait_until_ready(&silent, "the next listing", policy, || async {
        let shown = show().await;
        Ok::<_, Infallible>(match shown.is_err() || console.is_closed() {
            true => Look::Ready(shown),
            false => Look::Pending("listed".into()),
        })
    });
    waited.await.unwrap_or(Ok(()))
}

/// The machines of one `ls`, and how to query them.
struct Listing<'a> {
    cx: &'a Context,
    filters: Filters,
    wanted: Wanted<'a>,
    timeout: Duration,
}

impl Listing<'_> {
    /// Reads the machines whose records match. Whether a broken machine matches is unknown: it is always included.
    async fn machines(&self) -> Result<Vec<StoredMachine>, Failure> {
        let mut machines = self.cx.library.machines().await?;
        if machines.is_empty() {
            explain_no_store(self.cx);
        }
        let records: Vec<_> = machines.iter().filter_map(StoredMachine::record).collect();
        let names = self.filters.select(&records).map_err(no_filter)?;
        machines.retain(|machine| {
            self.wanted.contains(machine.name())
                && machine
                    .record()
                    .is_none_or(|record| names.contains(&record.name))
        });
        Ok(machines)
    }

    /// Returns the names of the machines that match, without broken ones. Contacts no machine unless a filter or the
    /// order needs it.
    async fn names(&self, sort: &str) -> Result<Vec<String>, Failure> {
        let by_name = sort == order::KEYS[0];
        if self.filters.is_empty() && by_name {
            let mut names = libmachine::sound_names(&self.cx.library).await?;
            names.retain(|name| self.wanted.contains(name));
            return Ok(names);
        }
        let mut machines = self.machines().await?;
        machines.retain(|machine| machine.record().is_some());
        if by_name && !self.filters.ask_for_states() {
            return Ok(machines.iter().map(|it| it.name().to_owned()).collect());
        }
        let mut items = self.list(machines).await;
        if !by_name {
            order::sort(&mut items, sort);
        }
        Ok(items.into_iter().map(|item| item.name).collect())
    }

    /// Lists the machines once.
    async fn show(&self, options: &Options, sort: &str) -> Result<(), Failure> {
        let machines = self.machines().await?;
        let format = match options.bool("json") {
            true => "json".to_owned(),
            false => options.string("format"),
        };
        let parsed = Format::parse(&format).map_err(unfit)?;
        explain_constant(self.cx, &format);
        let mut items = self.list(machines).await;
        order::sort(&mut items, sort);
        let console = &self.cx.world.console;
        let terminals = console.terminals();
        if options.bool("watch") {
            console.clear();
        }
        let wide = options.bool("wide");
        let is_table = wide || terminals.out && format.is_empty();
        if !is_table {
            return parsed.write(&items, &mut self.cx.pieces()).map_err(unfit);
        }
        let look = table::Look {
            wide,
            columns: terminals.columns.filter(|_| terminals.out),
            colour: terminals.out && terminals.colour,
        };
        console.styled(Stream::Out, &table::table(&items, look));
        Ok(())
    }

    fn options(&self) -> ListOptions {
        ListOptions {
            at_once: room_for_connections(),
            timeout: self.timeout,
            docker_host: self
                .cx
                .world
                .environment
                .get("DOCKER_HOST")
                .map(str::to_owned),
        }
    }

    async fn list(&self, machines: Vec<StoredMachine>) -> Vec<ListItem> {
        let mut items = libmachine::list(&self.cx.library, machines, &self.options()).await;
        let is_broken = |item: &ListItem| item.active == Active::Unknown;
        items.retain(|item| is_broken(item) || self.filters.want(item));
        items
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

/// Prints a hint at a terminal for a format that prints the same word for each machine, as the Go binary does.
fn explain_constant(cx: &Context, format: &str) {
    let is_template = format.is_empty() || format.contains("{{");
    if cx.world.console.terminals().err && !is_template && !["json", "table"].contains(&format) {
        cx.complain(&format!(
            "hint: --format {format} names no field: expected json, table,\n  or a Go template such as '{{{{.Name}}}} {{{{.State}}}}'"
        ));
    }
}

/// Prints the path of the store at a terminal: the user may expect another user's store.
fn explain_no_store(cx: &Context) {
    let store = cx.library.store_root();
    if cx.world.console.terminals().err && store == Path::new(NO_STORE) {
        cx.complain(&format!("no machines: {NO_STORE_SET}"));
    } else if cx.world.console.terminals().err && !store.exists() {
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
