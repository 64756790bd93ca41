//! `docker-machine create`.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use libmachine::{
    CREATE_LIMIT, CreateRequest, CreateTimes, EngineOptions, Error, Provisioning, SwarmOptions,
};
use machine_driver::{FlagKind, FlagSpec, Options, Plan};
use machine_types::{MachineName, masked, unquoted};

use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command, no_driver};
use crate::context::{Context, World};
use crate::failure::Failure;
use crate::output::console::Stream;
use crate::output::go_json;

/// Creates a machine.
pub(crate) struct Create;

#[async_trait(?Send)]
impl Command for Create {
    fn about(&self) -> About {
        About {
            name: "create",
            arguments: "NAME",
            summary: "Create a machine",
            details: "Launches an instance, installs Docker on it and makes it answer over TLS. If that fails, whatever was made is removed again.",
        }
    }

    fn flags(&self) -> Vec<Flag> {
        let text = FlagSpec::string;
        let list = |name, help| Flag::new(FlagSpec::list(name, help));
        let swarm = |spec: FlagSpec| Flag::new(spec.group("Classic swarm (recorded, not set up)"));
        vec![
            Flag::new(text("driver", "Which driver makes the machine").env("MACHINE_DRIVER"))
                .short("d")
                .values(crate::drivers::names()),
            Flag::new(
                text(
                    "engine-install-url",
                    "Where Docker's installation script comes from",
                )
                .default_text("https://get.docker.com")
                .env("MACHINE_DOCKER_INSTALL_URL"),
            ),
            Flag::new(text(
                "engine-version",
                "Which release of Docker to install, instead of the newest",
            )),
            list(
                "engine-opt",
                "An option of dockerd, as FLAG=VALUE without dashes",
            ),
            list(
                "engine-insecure-registry",
                "A registry to be used without checking its certificate",
            ),
            Flag::new(
                FlagSpec::list("engine-registry-mirror", "A registry mirror")
                    .env("ENGINE_REGISTRY_MIRROR"),
            ),
            list("engine-label", "A label of the engine, as KEY=VALUE"),
            Flag::new(text("engine-storage-driver", "Docker's storage driver")),
            list(
                "engine-env",
                "An environment variable of dockerd, as NAME=VALUE",
            ),
            list(
                "tls-san",
                "Another name or address for the server's certificate",
            ),
            Flag::new(FlagSpec::bool(
                "open-firewall",
                "Let Docker's port through firewalld or ufw on the machine",
            )),
            Flag::new(text(
                "custom-install-script",
                "A script to run instead of installing and configuring Docker",
            )),
            Flag::new(text(
                "hostname-override",
                "The host's name, instead of the machine's",
            )),
            Flag::new(FlagSpec::bool(
                "dry-run",
                "Check everything, print what would be made, and make nothing",
            )),
            Flag::new(text("format", "With --dry-run: 'json' for one object")).values(["json"]),
            swarm(FlagSpec::bool(
                "swarm",
                "Record the machine as a member of a classic swarm",
            )),
            swarm(FlagSpec::bool(
                "swarm-master",
                "Record it as the swarm's master",
            )),
            swarm(
                text("swarm-image", "The image of the swarm's agent")
                    .default_text("swarm:latest")
                    .env("MACHINE_SWARM_IMAGE"),
            ),
            swarm(text(
                "swarm-discovery",
                "The swarm's discovery service, as SCHEME://...",
            )),
            swarm(text("swarm-strategy", "The swarm's scheduling strategy").default_text("spread")),
            swarm(FlagSpec::list(
                "swarm-opt",
                "An option of the swarm's master",
            )),
            swarm(FlagSpec::list(
                "swarm-join-opt",
                "An option of the swarm's agent",
            )),
            swarm(
                text("swarm-host", "Where the swarm's master listens")
                    .default_text("tcp://0.0.0.0:3376"),
            ),
            swarm(text("swarm-addr", "The address that the swarm is told")),
            swarm(FlagSpec::bool(
                "swarm-experimental",
                "Record the swarm's experimental features as on",
            )),
        ]
    }

    fn takes_driver_flags(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let is_dry = arguments.options.bool("dry-run");
        let json = match arguments.options.string("format").as_str() {
            "" => false,
            "json" if is_dry => true,
            "json" => return Err(Failure::new("--format requires --dry-run")),
            other => {
                let failure = Failure::new(format!("unknown format {other:?}"));
                return Err(failure.with_hint("the format is json, or none for text"));
            }
        };
        let request = request(&cx.world, arguments)?;
        let name = request.name.clone();
        if is_dry {
            let plan = libmachine::rehearse(&cx.library, &request).await?;
            cx.print(&match json {
                true => plan_as_json(&name, &request.driver, &plan),
                false => plan_as_text(&name, &plan),
            });
            return Ok(());
        }
        let begun = cx.world.ambient.monotonic();
        let times = libmachine::create(&cx.library, request).await?;
        let program = cx
            .world
            .args
            .first()
            .map_or("docker-machine", String::as_str);
        cx.print(&format!(
            "To see how to connect your Docker Client to the Docker Engine running on this virtual machine, run: {program} env {name}"
        ));
        // A driver that creates no machine (`none`) takes too little time for a breakdown.
        if times.ssh > Duration::ZERO {
            let total = cx.world.ambient.monotonic().saturating_sub(begun);
            cx.print(&closing_line(total, &times));
        }
        Ok(())
    }
}

/// Returns the request of a command line.
///
/// # Errors
/// The command line is incomplete, or a value is invalid.
pub(crate) fn request(world: &World, arguments: Arguments) -> Result<CreateRequest, Failure> {
    let name = match arguments.words.as_slice() {
        [name] if !name.is_empty() => name.clone(),
        [_, extra @ ..] if !extra.is_empty() => {
            let extra = extra.join(" ");
            let failure = Failure::new(format!(
                "Invalid command line. Found extra arguments [{extra}]"
            ));
            return Err(match switch_with_a_word(&world.args) {
                Some(switch) => {
                    failure.with_hint(format!("a switch takes its value after '=': {switch}"))
                }
                None => failure,
            });
        }
        _ => {
            return Err(arguments.usage.failure("Error: No machine name specified"));
        }
    };
    name.parse::<MachineName>()
        .map_err(|invalid| Failure::from(Error::from(invalid)))?;
    if arguments.driver_name.is_empty() {
        return Err(no_driver(&crate::drivers::names()).into());
    }
    let options = arguments.options;
    let discovery = options.string("swarm-discovery");
    if !discovery.is_empty() && !discovery.contains("://") {
        return Err(Failure::new(format!(
            "Error parsing swarm discovery: Swarm Discovery URL was in the wrong format: {discovery}"
        )));
    }
    Ok(CreateRequest {
        name,
        driver: arguments.driver_name.to_owned(),
        options: arguments.driver,
        engine: engine(world, &options)?,
        swarm: swarm(&options),
        tls_sans: options
            .list("tls-san")
            .iter()
            .map(|san| bare(world, "tls-san", san))
            .collect(),
        hostname_override: bare(
            world,
            "hostname-override",
            &options.string("hostname-override"),
        ),
        custom_install_script: match bare(
            world,
            "custom-install-script",
            &options.string("custom-install-script"),
        )
        .as_str()
        {
            "" => String::new(),
            url if url.contains("://") => {
                return Err(Failure::new(format!(
                    "invalid value {url:?} for --custom-install-script: expected a path; a URL is for --engine-install-url"
                )));
            }
            path => absolute(world, path),
        },
        provisioning: Provisioning::new(options.bool("open-firewall")),
        pool: None,
        limit: CREATE_LIMIT,
    })
}

/// Formats the plan of a dry run for people.
fn plan_as_text(name: &str, plan: &Plan) -> String {
    let mut text = format!("Nothing was made. To create {name} is to");
    for step in &plan.steps {
        text.push_str(&format!("\n  {}", masked(step)));
    }
    for (key, value) in &plan.facts {
        let key = key.replace('_', " ") + ":";
        text.push_str(&format!("\n{key:<15}{}", masked(value)));
    }
    text
}

/// Formats the plan of a dry run as one JSON object. The keys are stable.
fn plan_as_json(name: &str, driver: &str, plan: &Plan) -> String {
    let steps: Vec<_> = plan.steps.iter().map(|step| masked(step)).collect();
    let mut object = serde_json::json!({ "name": name, "driver": driver, "steps": steps });
    for (key, value) in &plan.facts {
        object[*key] = masked(value).into();
    }
    go_json::line(&object)
}

/// Returns the intended form of a switch that is followed by its value, which Go's syntax takes for a machine's name.
fn switch_with_a_word(args: &[String]) -> Option<String> {
    let kinds = crate::drivers::table();
    let specs: Vec<FlagSpec> = kinds.iter().flat_map(|kind| kind.flags()).collect();
    let takes = |flag: &str, word: &str| {
        let name = flag.trim_start_matches('-');
        let known = specs.iter().find(|spec| spec.name == name);
        matches!(word, "true" | "false")
            || known.is_some_and(|spec| {
                matches!(spec.kind, FlagKind::Switch { .. }) && spec.values.contains(&word)
            })
    };
    args.windows(2).find_map(|pair| match pair {
        [flag, word] if flag.starts_with('-') && !flag.contains('=') && takes(flag, word) => {
            Some(format!("{flag}={word}"))
        }
        _ => None,
    })
}

fn engine(world: &World, options: &Options) -> Result<EngineOptions, Failure> {
    Ok(EngineOptions {
        arbitrary_flags: Some(options.list("engine-opt")),
        env: Some(options.list("engine-env")),
        insecure_registry: Some(options.list("engine-insecure-registry")),
        labels: Some(options.list("engine-label")),
        registry_mirror: Some(options.list("engine-registry-mirror")),
        storage_driver: options.string("engine-storage-driver"),
        tls_verify: true,
        install_url: install_url(world, options.string("engine-install-url")),
        engine_version: engine_version(world, options)?,
        ..EngineOptions::default()
    })
}

/// Returns the release of `--engine-version`.
///
/// # Errors
/// Fails for a value that is no release: it becomes part of a package's name on the host.
pub(super) fn engine_version(world: &World, options: &Options) -> Result<String, Failure> {
    let version = bare(world, "engine-version", &options.string("engine-version"));
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".:~+_-".contains(c);
    match version.chars().all(allowed) && !version.starts_with('-') {
        true => Ok(version),
        false => Err(Failure::new(format!(
            "invalid value {version:?} for --engine-version: expected a release, such as 27.5.1"
        ))),
    }
}

/// Returns a value without quotes that were meant for a shell, with a warning.
fn bare(world: &World, option: &str, typed: &str) -> String {
    let bare = unquoted(typed);
    if bare != typed {
        let line = format!(
            "WARNING: --{option} {bare}: the quotes around the value are removed, as a shell would"
        );
        world.console.line(Stream::Err, &line);
    }
    bare
}

fn swarm(options: &Options) -> SwarmOptions {
    let master = options.bool("swarm-master");
    let agent = options.bool("swarm");
    SwarmOptions {
        is_swarm: agent || master,
        address: options.string("swarm-addr"),
        discovery: options.string("swarm-discovery"),
        agent,
        master,
        host: options.string("swarm-host"),
        image: options.string("swarm-image"),
        strategy: options.string("swarm-strategy"),
        arbitrary_flags: Some(options.list("swarm-opt")),
        arbitrary_join_flags: Some(options.list("swarm-join-opt")),
        is_experimental: options.bool("swarm-experimental"),
        ..SwarmOptions::default()
    }
}

/// Returns the location of the script, independent of the working directory: a path becomes absolute. A text without a
/// scheme is a path if that file exists, else it is passed to curl unchanged.
fn install_url(world: &World, given: String) -> String {
    let bare = unquoted(given.trim());
    let is_path = bare.starts_with(['/', '.'])
        || !bare.is_empty() && !bare.contains("://") && world.directory.join(&bare).is_file();
    if is_path {
        absolute(world, &bare)
    } else {
        given
    }
}

fn absolute(world: &World, path: &str) -> String {
    let path = world.directory.join(path);
    // Removes the dot of ./install.sh.
    path.components().collect::<PathBuf>().display().to_string()
}

/// Returns the line that shows the duration of each phase.
fn closing_line(total: Duration, times: &CreateTimes) -> String {
    let seconds = |time: Duration| format!("{:.1}s", time.as_secs_f64());
    format!(
        "Created in {}: launch {}, boot {}, ssh {}, docker {}",
        seconds(total),
        seconds(times.launch),
        seconds(times.boot),
        seconds(times.ssh),
        seconds(times.docker),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_says_where_the_time_went() {
        let times = CreateTimes {
            launch: Duration::from_millis(1100),
            boot: Duration::from_secs(6),
            ssh: Duration::from_millis(160),
            docker: Duration::from_millis(1900),
        };
        assert_eq!(
            closing_line(Duration::from_millis(9160), &times),
            "Created in 9.2s: launch 1.1s, boot 6.0s, ssh 0.2s, docker 1.9s"
        );
    }
}
