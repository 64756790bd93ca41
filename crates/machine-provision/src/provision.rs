//! The use cases: provision, upgrade, replace certificates, run a custom script.
//!
//! One remote command does all the work. If the host needs an answer from this machine, the script ends with a
//! question and is run again; no completed change is repeated.

use std::path::Path;
use std::time::Duration;

use machine_ops::Cx;

use crate::engine::Engine;
use crate::flags::{Flag, command_line};
use crate::parameters::Parameters;
use crate::plan::{is_default_install_url, shown};
use crate::progress::{Progress, Question};
use crate::{
    EngineConfig, Exit, InstallSource, Job, Plan, ProvisionError, Remote, Report, answer,
    daemon_json, host_name, script, unit,
};

/// The timeout of one run: ten minutes for cloud-init, five for locks, five for the engine's start, and time for a
/// slow mirror.
const WITHIN: Duration = Duration::from_secs(45 * 60);

/// The maximum number of runs: one, plus one for each question, plus repetitions because the file may have changed in
/// between.
const ROUNDS: usize = 7;

/// Brings a host to the plan's state: changes only what differs, and restarts the engine only if something changed.
/// Uses one remote command; a second one if the host's `daemon.json` or its missing network access needs an answer
/// from this machine.
///
/// # Errors
/// [`ProvisionError`]. Completed changes stay; a repeated call continues from there. A cancellation ends the call
/// soon; commands on the host may run on for a while.
pub async fn provision(
    remote: &dyn Remote,
    plan: &Plan,
    cx: &Cx,
) -> Result<Report, ProvisionError> {
    let report = carry_out(remote, plan, "provision", cx).await?;
    if let Some(asked) = &plan.engine_version
        && !report.installed
        && !is_release(&report.docker_version, asked)
    {
        cx.warn(format!(
            "{:?} has Docker {} already, and keeps it: upgrade moves it to {asked}",
            plan.machine, report.docker_version
        ));
    }
    Ok(report)
}

/// Changes the host's Docker to the newest release, or to the plan's, then provisions it.
///
/// # Errors
/// Same as [`provision`].
pub async fn upgrade(remote: &dyn Remote, plan: &Plan, cx: &Cx) -> Result<Report, ProvisionError> {
    carry_out(remote, plan, "upgrade", cx).await
}

/// Writes the certificates to the host and restarts the engine with them; changes nothing else.
///
/// # Errors
/// Same as [`provision`]; also if the host was never provisioned, so that nothing would use the certificates.
pub async fn replace_certificates(
    remote: &dyn Remote,
    plan: &Plan,
    cx: &Cx,
) -> Result<Report, ProvisionError> {
    carry_out(remote, plan, "certificates", cx).await
}

/// Runs a script of the user instead of provisioning: only the host's name is set in addition. `machine` is for
/// errors; `script` is a file on this machine.
///
/// # Errors
/// Same as [`provision`].
pub async fn run_custom_script(
    remote: &dyn Remote,
    machine: &str,
    hostname: &str,
    script: &Path,
    cx: &Cx,
) -> Result<Report, ProvisionError> {
    let mut parameters = Parameters::default();
    for (name, value) in [
        ("p_mode", "custom"),
        ("p_hostname", &checked_host_name(hostname)?),
        ("p_engine_version", ""),
        ("p_install_script", &answer::read_script(script).await?),
    ] {
        parameters.set(name, value);
    }
    let mut progress = Progress::new(cx);
    round(remote, machine, &parameters, &mut progress, cx).await?;
    Ok(progress.report)
}

/// Checks the options of a plan before the host exists. Returns a warning for each value that is read differently
/// than typed.
///
/// # Errors
/// The first option with which dockerd would not start, an invalid host name, or an unreadable script.
pub async fn check(
    options: &EngineConfig,
    hostname: &str,
    scripts: &[&Path],
) -> Result<Vec<String>, ProvisionError> {
    Engine::read(options).check()?;
    checked_host_name(hostname)?;
    for script in scripts {
        answer::read_script(script).await?;
    }
    Ok(warnings(options))
}

/// Returns a warning for each option that is read differently than typed.
pub fn warnings(options: &EngineConfig) -> Vec<String> {
    let mut warnings = Engine::read(options).warnings;
    if let InstallSource::Shell(_) = InstallSource::parse(&options.install_url) {
        warnings.push(
            "--engine-install-url is a line of shell: bash runs it on the host; --engine-version pins a release without it".to_owned(),
        );
    }
    warnings
}

async fn carry_out(
    remote: &dyn Remote,
    plan: &Plan,
    mode: &str,
    cx: &Cx,
) -> Result<Report, ProvisionError> {
    let engine = Engine::read(&plan.engine);
    let all = engine.dockerd_flags(plan);
    let mut parameters = parameters(plan, mode, &engine, &all)?;
    let mut progress = Progress::new(cx);
    for _ in 0..ROUNDS {
        progress.start_over();
        round(remote, &plan.machine, &parameters, &mut progress, cx).await?;
        match progress.question {
            None => return Ok(progress.report),
            Some(Question::InstallScript) => {
                answer::install_script(plan, &mut parameters, &progress.said(), cx).await?;
            }
            Some(Question::DaemonJson) => {
                answer::daemon_json(plan, &mut parameters, &all, &progress.file, cx)?;
            }
            Some(Question::Unit) => {
                let environment = &engine.environment;
                answer::unit(&mut parameters, &all, environment, &progress.file, cx)?;
            }
        }
    }
    Err(ProvisionError::DaemonJson {
        machine: plan.machine.clone(),
        path: daemon_json::PATH,
        reason: "it changes all the time".to_owned(),
    })
}

fn parameters(
    plan: &Plan,
    mode: &str,
    engine: &Engine,
    all: &[Flag],
) -> Result<Parameters, ProvisionError> {
    let hostname = checked_host_name(&plan.hostname)?;
    let environment = unit::environment(&engine.environment)?;
    let storage_driver = all.iter().rfind(|flag| flag.key == "storage-driver");
    let (install, url) = match &plan.install {
        InstallSource::Url(url) => ("url", url.as_str()),
        InstallSource::File(path) => ("ask", path.to_str().unwrap_or("install script")),
        InstallSource::Shell(line) => ("shell", line.as_str()),
    };
    let is_default = is_default_install_url(url);
    let mut parameters = Parameters::default();
    for (name, value) in [
        ("p_mode", mode),
        ("p_machine", &plan.machine),
        ("p_hostname", &hostname),
        ("p_port", &plan.engine_port.to_string()),
        (
            "p_open_firewall",
            if plan.open_firewall { "yes" } else { "" },
        ),
        ("p_install", install),
        ("p_install_url", url),
        ("p_install_name", &shown(url)),
        ("p_install_default", if is_default { "yes" } else { "" }),
        ("p_install_script", ""),
        (
            "p_engine_version",
            plan.engine_version.as_deref().unwrap_or_default(),
        ),
        ("p_flags", &command_line(all)?),
        ("p_environment", &environment),
        (
            "p_storage_driver",
            storage_driver.map_or("", |flag| flag.value.as_str()),
        ),
        ("p_unit_seen", ""),
        ("p_inherited", ""),
        ("p_daemon_json_seen", ""),
        ("p_daemon_json", ""),
        ("p_daemon_json_original", ""),
    ] {
        parameters.set(name, value);
    }
    let certificates = plan.certificates.as_ref();
    parameters.set("p_tls", certificates.map_or("", |_| "yes"));
    parameters.set("p_ca", certificates.map_or("", |these| &these.ca));
    parameters.set("p_server", certificates.map_or("", |these| &these.server));
    parameters.set("p_key", certificates.map_or("", |these| these.key.expose()));
    Ok(parameters)
}

/// Returns the valid host name for a machine's name.
fn checked_host_name(name: &str) -> Result<String, ProvisionError> {
    let hostname = host_name(name);
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if hostname.starts_with(|c: char| c.is_ascii_alphanumeric()) && hostname.chars().all(allowed) {
        return Ok(hostname);
    }
    Err(ProvisionError::HostName(hostname))
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
    let job = Job {
        title: "provision",
        command: script::COMMAND,
        input: &script::input(&text, parameters),
        within: WITHIN,
    };
    let exit = remote.run(&job, &mut |line| progress.line(line), cx).await;
    if exit.is_err()
        && let Some(reason) = cx.cancel.reason()
    {
        return Err(ProvisionError::Cancelled(reason));
    }
    if let Some(what) = progress.flood {
        return Err(ProvisionError::Flood {
            machine: machine.to_owned(),
            stage: progress.stage,
            what,
        });
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
    if !progress.begun {
        return Err(ProvisionError::NoScript {
            machine,
            exit,
            said: progress.said(),
        });
    }
    let said = progress.said();
    let hint = progress.hint.clone().or_else(|| {
        // Not every shell reports a failed write, or its cause.
        let full = progress.running.starts_with("write ") && said.is_empty();
        let full = full.then_some("check the host's disk: it is full or broken");
        progress.way_out().or(full).map(str::to_owned)
    });
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
            said,
            hint,
        });
    }
    if progress.done || progress.question.is_some() {
        return Ok(());
    }
    Err(ProvisionError::NoWord { machine, said })
}

/// Returns whether a release is the requested one, or one of its release line: 24.0.7 of 24.0.
fn is_release(version: &str, asked: &str) -> bool {
    let rest = version.strip_prefix(asked.trim_start_matches('v'));
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}
