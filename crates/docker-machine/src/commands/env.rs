//! `docker-machine env`.

use async_trait::async_trait;
use machine_driver::FlagSpec;
use machine_types::nearest;

use super::{config, targets};
use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::env_output::{Language, NoProxy, set, unset, usage_hint};

/// The shells whose syntax is supported by name.
const SHELLS: [&str; 8] = [
    "bash",
    "zsh",
    "sh",
    "fish",
    "tcsh",
    "cmd",
    "powershell",
    "emacs",
];

/// Other shells that understand sh syntax.
const LIKE_SH: [&str; 8] = [
    "dash", "ash", "ksh", "mksh", "oksh", "yash", "posh", "rbash",
];

/// Prints the commands that point a shell's `docker` at a machine.
pub(crate) struct Env;

#[async_trait(?Send)]
impl Command for Env {
    fn about(&self) -> About {
        About {
            name: "env",
            arguments: "[NAME]",
            summary: "Print the commands that point a shell's docker at a machine",
            details: "For use as: eval $(docker-machine env NAME). The last lines say how in the shell at hand. Fails where Docker does not answer with this machine's certificate. Without a name, for the machine 'default'.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "eval $(docker-machine env m1)",
            "eval $(docker-machine env -u)",
        ]
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::new(FlagSpec::bool(
                "swarm",
                "Point at the swarm that the machine is the master of",
            )),
            Flag::new(FlagSpec::string(
                "shell",
                "Which shell it is for: bash, zsh, sh, fish, tcsh, cmd, powershell or emacs; $SHELL where not given",
            ))
            .values(SHELLS),
            Flag::new(FlagSpec::bool("unset", "Unset the variables")).short("u"),
            Flag::new(FlagSpec::bool(
                "no-proxy",
                "Add the machine's address to $NO_PROXY",
            )),
        ]
    }

    fn is_evaluated(&self) -> bool {
        true
    }

    fn needs_store(&self, arguments: &Arguments) -> bool {
        !arguments.options.bool("unset")
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let text = match arguments.options.bool("unset") {
            true => unset_script(cx, &arguments)?,
            false => set_script(cx, &arguments).await?,
        };
        cx.pieces()
            .console
            .write(crate::output::console::Stream::Out, text.as_bytes());
        Ok(())
    }
}

async fn set_script(cx: &Context, arguments: &Arguments) -> Result<String, Failure> {
    let name = targets::only(cx, arguments)?;
    let swarm = arguments.options.bool("swarm");
    let doing = "Error checking TLS connection";
    let (machine, connection) = config::connect(cx, &name, swarm, doing).await?;
    let shell = shell_name(cx, arguments)?;
    let no_proxy = match arguments.options.bool("no-proxy") {
        true => {
            let address = machine.address().unwrap_or_default();
            Some(NoProxy::of(&cx.world.environment).with(&address))
        }
        false => None,
    };
    let mut variables = vec![
        ("DOCKER_TLS_VERIFY", "1".to_owned()),
        ("DOCKER_HOST", connection.url),
        (
            "DOCKER_CERT_PATH",
            connection.directory.to_string_lossy().into_owned(),
        ),
        ("DOCKER_MACHINE_NAME", name),
    ];
    variables.extend(no_proxy.map(|no_proxy| (no_proxy.variable, no_proxy.value)));
    let script = set(Language::called(&shell), &variables);
    let script = script.map_err(|unfit| {
        let hint = "use another shell with --shell, or another path with --storage-path";
        Failure::new(unfit.to_string()).with_hint(hint)
    })?;
    Ok(script + &usage_hint(Language::called(&shell), &cx.world.args))
}

fn unset_script(cx: &Context, arguments: &Arguments) -> Result<String, Failure> {
    if !arguments.words.is_empty() {
        return Err(arguments
            .usage
            .bare_failure("Error: Expected no machine name when the -u flag is present"));
    }
    let shell = shell_name(cx, arguments)?;
    let no_proxy = arguments
        .options
        .bool("no-proxy")
        .then(|| NoProxy::of(&cx.world.environment));
    let script = unset(Language::called(&shell), no_proxy.as_ref());
    Ok(script + &usage_hint(Language::called(&shell), &cx.world.args))
}

fn shell_name(cx: &Context, arguments: &Arguments) -> Result<String, Failure> {
    let named = arguments.options.string("shell");
    if !named.is_empty() {
        if is_mistyped(&named) {
            cx.complain(&format!(
                "unknown shell {named:?}: the lines are for sh. The shells are {}",
                SHELLS.join(", ")
            ));
        }
        return Ok(named);
    }
    detect(&cx.world.environment).ok_or_else(|| {
        cx.print("The default lines below are for a sh/bash shell, you can specify the shell you're using, with the --shell flag.\n");
        Failure::new("Error: Unknown shell").with_hint(format!(
            "$SHELL is not set: give the shell, --shell sh for instance. The shells are {}",
            SHELLS.join(", ")
        ))
    })
}

/// Returns whether a shell's name is probably a misspelled known one, whose shell would not understand the sh lines
/// that it gets. Any other name may be that of a shell with sh syntax.
fn is_mistyped(shell: &str) -> bool {
    let is_known = |known: &str| known.eq_ignore_ascii_case(shell);
    let mut known = SHELLS.into_iter().chain(LIKE_SH);
    !known.any(is_known) && nearest(shell, SHELLS).is_some()
}

/// Returns the user's shell, the file name in `$SHELL`.
fn detect(environment: &Environment) -> Option<String> {
    let shell = environment.get("SHELL")?.trim_end_matches('/');
    Some(shell.rsplit('/').next().unwrap_or(shell).to_owned())
}
