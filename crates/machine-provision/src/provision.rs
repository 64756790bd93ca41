//! The use-cases: provision, upgrade, detect.
//!
//! One command over the remote does it all. Where the host needs an answer from here, the script
//! ends with its question and is run once more: nothing of what it did is done twice.

use std::io;
use std::time::Duration;

use machine_flow::Cx;
use machine_types::printable;

use crate::daemon_json::{self, reconcile};
use crate::flags::{Flag, flags};
use crate::parameters::Parameters;
use crate::plan::DEFAULT_INSTALL_URL;
use crate::progress::{Progress, Question};
use crate::{
    Exit, InstallSource, Job, Os, Plan, ProvisionError, Remote, Report, host_name, script, unit,
};

/// How long one run may take: ten minutes for cloud-init, five for locks, five for the engine's
/// start, and time for a slow mirror.
const WITHIN: Duration = Duration::from_secs(45 * 60);

/// How often the script may be run: once, and once more for each question that it has, where the
/// file may have changed in between.
const ROUNDS: usize = 5;

/// Makes a host into what the plan says: what differs is changed, and the engine is restarted only
/// if something did. One command over the remote; a second one where the host's `daemon.json` or
/// its lack of a way out asks for an answer from here.
///
/// # Errors
/// [`ProvisionError`]. What was done before stays; a repeated call goes on from there. A
/// cancellation ends it soon; what runs on the host may go on for a while.
pub async fn provision(
    remote: &dyn Remote,
    plan: &Plan,
    cx: &Cx,
) -> Result<Report, ProvisionError> {
    let report = carry_out(remote, plan, "provision", cx).await?;
    if let Some(asked) = &plan.engine_version
        && !report.installed
        && !is_release(&report.docker_version, asked)
        && !matches!(plan.install, InstallSource::Custom(_))
    {
        cx.warn(format!(
            "{:?} has Docker {} already, and keeps it: upgrade moves it to {asked}",
            plan.machine, report.docker_version
        ));
    }
    Ok(report)
}

/// Moves the host's Docker to the newest release, or to the plan's, then provisions it.
///
/// # Errors
/// As [`provision`].
pub async fn upgrade(remote: &dyn Remote, plan: &Plan, cx: &Cx) -> Result<Report, ProvisionError> {
    carry_out(remote, plan, "upgrade", cx).await
}

/// Finds out what a host runs, and changes nothing. `machine` is for errors.
///
/// # Errors
/// As [`provision`].
pub async fn detect(remote: &dyn Remote, machine: &str, cx: &Cx) -> Result<Os, ProvisionError> {
    let mut parameters = Parameters::default();
    parameters.set("p_mode", "detect");
    let mut progress = Progress::new(cx);
    round(remote, machine, &parameters, &mut progress, cx).await?;
    Ok(progress.report.os)
}

async fn carry_out(
    remote: &dyn Remote,
    plan: &Plan,
    mode: &str,
    cx: &Cx,
) -> Result<Report, ProvisionError> {
    let all = flags(plan);
    let mut parameters = parameters(plan, mode, &all)?;
    if let InstallSource::Custom(path) = &plan.install {
        let text = read_script(path).await?;
        parameters.set("p_mode", "custom");
        parameters.set("p_install_script", &text);
    }
    let mut progress = Progress::new(cx);
    for _ in 0..ROUNDS {
        progress.start_over();
        round(remote, &plan.machine, &parameters, &mut progress, cx).await?;
        match progress.question {
            None => return Ok(progress.report),
            Some(Question::InstallScript) => {
                answer_script(plan, &mut parameters, &progress.said(), cx).await?;
            }
            Some(Question::DaemonJson) => {
                let seen = progress.file.join("\n");
                answer_daemon_json(plan, &mut parameters, &all, &seen, cx)?;
            }
        }
    }
    Err(ProvisionError::DaemonJson {
        machine: plan.machine.clone(),
        path: daemon_json::PATH,
        reason: "it changes all the time".to_owned(),
    })
}

fn parameters(plan: &Plan, mode: &str, all: &[Flag]) -> Result<Parameters, ProvisionError> {
    let hostname = host_name(&plan.hostname);
    if !hostname.starts_with(|c: char| c.is_ascii_alphanumeric())
        || !hostname
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
    {
        return Err(ProvisionError::Option {
            option: hostname,
            reason: "is no host name: letters, digits, dots and dashes make one",
        });
    }
    let engine = &plan.engine;
    let environment = unit::environment(engine.env.as_deref().unwrap_or_default())?;
    let (install, url) = match &plan.install {
        InstallSource::Url(url) => ("url", url.as_str()),
        InstallSource::File(path) => ("ask", path.to_str().unwrap_or("install script")),
        InstallSource::Custom(_) => ("", ""),
    };
    let is_default = url.trim_end_matches('/') == DEFAULT_INSTALL_URL;
    let mut parameters = Parameters::default();
    for (name, value) in [
        ("p_mode", mode),
        ("p_hostname", &hostname),
        ("p_port", &plan.engine_port.to_string()),
        (
            "p_open_firewall",
            if plan.open_firewall { "yes" } else { "" },
        ),
        ("p_install", install),
        ("p_install_url", url),
        ("p_install_default", if is_default { "yes" } else { "" }),
        ("p_install_script", ""),
        (
            "p_engine_version",
            plan.engine_version.as_deref().unwrap_or_default(),
        ),
        ("p_flags", &command_line(all)?),
        ("p_environment", &environment),
        ("p_daemon_json_seen", ""),
        ("p_daemon_json", ""),
        ("p_ca", &plan.certificates.ca),
        ("p_server", &plan.certificates.server),
        ("p_key", plan.certificates.key.expose()),
    ] {
        parameters.set(name, value);
    }
    Ok(parameters)
}

fn command_line(flags: &[Flag]) -> Result<String, ProvisionError> {
    let words: Vec<String> = flags.iter().flat_map(|flag| flag.words.clone()).collect();
    unit::arguments(&words)
}

/// Runs the script once, to its end or to a question.
async fn round(
    remote: &dyn Remote,
    machine: &str,
    parameters: &Parameters,
    progress: &mut Progress<'_>,
    cx: &Cx,
) -> Result<(), ProvisionError> {
    let text = script::text();
    cx.debug(text.clone());
    parameters.show(cx);
    let command = script::command(&text);
    let job = Job {
        title: "provision",
        command: &command,
        input: &parameters.input(),
        within: WITHIN,
    };
    let exit = remote.run(&job, &mut |line| progress.line(line), cx).await;
    if exit.is_err()
        && let Some(reason) = cx.cancel.reason()
    {
        return Err(ProvisionError::Cancelled(reason));
    }
    judge(machine, exit, progress)
}

fn judge(
    machine: &str,
    exit: Result<Exit, crate::RemoteError>,
    progress: &Progress<'_>,
) -> Result<(), ProvisionError> {
    let machine = machine.to_owned();
    let exit = exit.map_err(|source| ProvisionError::Remote {
        machine: machine.clone(),
        stage: progress.stage,
        source,
    })?;
    let hint = progress.hint.clone().or_else(|| known_trouble(progress));
    if exit != Exit::Code(0) {
        let what = progress.failure.clone().unwrap_or_else(|| {
            if progress.running.is_empty() {
                "the script".to_owned()
            } else {
                progress.running.clone()
            }
        });
        return Err(ProvisionError::Failed {
            machine,
            stage: progress.stage,
            what,
            exit,
            said: progress.said(),
            hint,
        });
    }
    if progress.done || progress.question.is_some() {
        return Ok(());
    }
    Err(ProvisionError::NoWord {
        machine,
        said: progress.said(),
    })
}

/// What to do about troubles that are known by their words.
fn known_trouble(progress: &Progress<'_>) -> Option<String> {
    let known = [
        (
            "No space left on device",
            "make room on the host's disk, or use a larger root volume",
        ),
        ("I/O error", "look at the host's disk: it is full or broken"),
        ("File too large", "make room on the host's disk"),
        (
            "Read-only file system",
            "the host's root file system cannot be written to",
        ),
        (
            "unknown flag",
            "this release of Docker does not know an --engine-opt: leave it out",
        ),
        (
            "specified both as a flag and in the configuration file",
            "take the key out of /etc/docker/daemon.json, or leave the flag out",
        ),
        (
            "address already in use",
            "something else on the host listens on the engine's port",
        ),
        (
            "Could not resolve",
            "the host cannot resolve names: look at its resolver and its routes",
        ),
        (
            "nsupported distribution",
            "use an image with Docker, or give an --engine-install-url that knows this system",
        ),
        (
            "prior storage driver",
            "the host has images of another storage driver: leave --engine-storage-driver out",
        ),
    ];
    let full = progress
        .running
        .starts_with("write ")
        .then_some("look at the host's disk: it is full or broken");
    known
        .iter()
        .find(|(words, _)| progress.mentions(words))
        .map(|(_, hint)| *hint)
        .or(full)
        .map(str::to_owned)
}

/// Sends the install script from here; where there is none, the distribution's package is next.
async fn answer_script(
    plan: &Plan,
    parameters: &mut Parameters,
    why: &str,
    cx: &Cx,
) -> Result<(), ProvisionError> {
    let url = match &plan.install {
        InstallSource::Url(url) => url,
        InstallSource::File(path) | InstallSource::Custom(path) => {
            let text = read_script(path).await?;
            parameters.set("p_install", "script");
            parameters.set("p_install_script", &text);
            return Ok(());
        }
    };
    let fetched = match &plan.fetch {
        Some(fetch) => fetch.fetch(url).await.and_then(|bytes| Ok(text_of(bytes)?)),
        None => Err("nobody here fetches it".into()),
    };
    match fetched {
        Ok(text) => {
            cx.debug("the host cannot fetch the install script: it is sent from here");
            parameters.set("p_install", "script");
            parameters.set("p_install_script", &text);
        }
        Err(error) => {
            cx.warn(format!(
                "the install script {url} cannot be fetched by the host{}\nnor from here ({}): the distribution's package is installed",
                why,
                printable(error.to_string().as_bytes()),
            ));
            parameters.set("p_install", "package");
        }
    }
    Ok(())
}

async fn read_script(path: &std::path::Path) -> Result<String, ProvisionError> {
    let text = match tokio::fs::read(path).await {
        Ok(bytes) => text_of(bytes),
        Err(error) => Err(error),
    };
    text.map_err(|source| ProvisionError::InstallScript {
        path: path.to_owned(),
        source,
    })
}

/// A script that a shell variable can hold.
fn text_of(bytes: Vec<u8>) -> io::Result<String> {
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it is not text")),
    }
}

fn answer_daemon_json(
    plan: &Plan,
    parameters: &mut Parameters,
    all: &[Flag],
    seen: &str,
    cx: &Cx,
) -> Result<(), ProvisionError> {
    let seen = seen.trim_end_matches('\n');
    let done = reconcile(seen, all.to_vec()).map_err(|reason| ProvisionError::DaemonJson {
        machine: plan.machine.clone(),
        path: daemon_json::PATH,
        reason: printable(reason.as_bytes()),
    })?;
    for warning in done.warnings {
        cx.warn(printable(warning.as_bytes()));
    }
    parameters.set("p_flags", &command_line(&done.flags)?);
    parameters.set("p_daemon_json_seen", seen);
    parameters.set("p_daemon_json", &done.text);
    Ok(())
}

/// Whether a release is the one asked for, or one of its line: 24.0.7 of 24.0.
fn is_release(version: &str, asked: &str) -> bool {
    let rest = version.strip_prefix(asked.trim_start_matches('v'));
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}
