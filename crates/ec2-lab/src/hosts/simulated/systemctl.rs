//! `systemctl` of a simulated host.
//!
//! Owns the verbs and properties of Docker's service that provisioning uses, and their messages. Any other service is
//! inactive. Called by stubs through [`programs`](super::programs). Real hosts show everything else.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::calls::{Answer, Call};
use super::docker_service::{StartError, State, Status, UNIT};
use super::host::Host;

/// Returns the name with its suffix.
pub(super) fn unit_name(name: &str) -> String {
    if name.contains('.') {
        name.to_owned()
    } else {
        format!("{name}.service")
    }
}

/// Runs `systemctl` with those arguments.
pub(super) async fn run(host: &Arc<Host>, call: &Call) -> Answer {
    let mut words = Vec::new();
    let mut properties = Vec::new();
    let mut args = call.args.iter().map(String::as_str);
    while let Some(word) = args.next() {
        match word {
            "-p" => properties.extend(args.next()),
            option if option.starts_with('-') => {}
            word => words.push(word),
        }
    }
    let (verb, unit) = match words[..] {
        ["daemon-reload"] => ("daemon-reload", UNIT.to_owned()),
        [verb, unit] => (verb, unit_name(unit)),
        _ => return Answer::fails(1, format!("not simulated: systemctl {}", words.join(" "))),
    };
    if !["is-active", "show"].contains(&verb) && !call.is_root() {
        return Answer::fails(
            1,
            format!("Failed to {verb} {unit}: Interactive authentication required."),
        );
    }
    if unit == UNIT {
        let quiet = call.args.iter().any(|word| word == "-q");
        return docker(host, verb, quiet, &properties).await;
    }
    match verb {
        "is-active" => Answer {
            status: 3,
            ..Answer::says("inactive\n")
        },
        _ => missing(verb, &unit),
    }
}

async fn docker(host: &Arc<Host>, verb: &str, quiet: bool, properties: &[&str]) -> Answer {
    let status = host.docker.status(host).await;
    match verb {
        "daemon-reload" => host.docker.reload_files(host).await,
        "start" => return started(verb, &status, host.docker.start(host).await),
        "restart" => return started(verb, &status, host.docker.restart(host).await),
        "stop" => host.docker.stop().await,
        "reset-failed" => host.docker.reset_failed().await,
        "enable" if status.unit.is_some() => host.docker_enabled.store(true, Ordering::Relaxed),
        "is-active" => {
            let text = format!("{}\n", status.state.name());
            return Answer {
                status: if status.state == State::Active { 0 } else { 3 },
                ..Answer::says(if quiet { String::new() } else { text })
            };
        }
        "show" => return show(host, &status, properties),
        "enable" => return missing(verb, UNIT),
        _ => return Answer::fails(1, format!("not simulated: systemctl {verb} {UNIT}")),
    }
    Answer::default()
}

fn missing(verb: &str, unit: &str) -> Answer {
    Answer::fails(
        5,
        format!("Failed to {verb} {unit}: Unit {unit} not found."),
    )
}

fn started(verb: &str, before: &Status, result: Result<(), StartError>) -> Answer {
    let mut answer = match result {
        Ok(()) => Answer::default(),
        Err(StartError::NotFound) => missing(verb, UNIT),
        Err(StartError::BadSetting) => Answer::fails(
            1,
            format!(
                "Failed to {verb} {UNIT}: Unit {UNIT} has a bad unit file setting.\nSee system logs and 'systemctl status {UNIT}' for details."
            ),
        ),
        Err(StartError::Exited | StartError::Hangs) => Answer::fails(
            1,
            format!(
                "Job for {UNIT} failed because the control process exited with error code.\nSee \"systemctl status {UNIT}\" and \"journalctl -xeu {UNIT}\" for details."
            ),
        ),
    };
    if before.stale {
        let mut warning = format!("Warning: The unit file, source configuration file or drop-ins of {UNIT} changed on disk. Run 'systemctl daemon-reload' to reload units.\n").into_bytes();
        warning.append(&mut answer.err);
        answer.err = warning;
    }
    answer
}

fn show(host: &Host, status: &Status, asked: &[&str]) -> Answer {
    let unit = status.unit.as_ref();
    let shown = |path: &std::path::PathBuf| {
        let path = path.strip_prefix(&host.root).unwrap_or(path);
        format!("/{}", path.display())
    };
    let drop_ins = unit.map(|unit| unit.drop_ins.iter().map(shown).collect::<Vec<_>>());
    let load = match unit {
        Some(_) => "loaded",
        None => "not-found",
    };
    let file_state = match (unit, host.docker_enabled.load(Ordering::Relaxed)) {
        (None, _) => "",
        (Some(_), true) => "enabled",
        (Some(_), false) => "disabled",
    };
    let fragment = unit.map(|unit| shown(&unit.fragment));
    let stale = if status.stale { "yes" } else { "no" };
    let mut text = String::new();
    for (name, value) in [
        ("LoadState", load.to_owned()),
        ("ActiveState", status.state.name().to_owned()),
        ("UnitFileState", file_state.to_owned()),
        ("FragmentPath", fragment.unwrap_or_default()),
        ("DropInPaths", drop_ins.unwrap_or_default().join(" ")),
        ("NeedDaemonReload", stale.to_owned()),
    ] {
        if asked.contains(&name) {
            let _ = writeln!(text, "{name}={value}");
        }
    }
    Answer::says(text)
}
