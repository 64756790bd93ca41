//! `systemctl` of a simulated host.
//!
//! Owns its verbs, its options and its messages, for Docker's service; the few other services are always active.
//! Called by stubs through [`programs`](super::programs).

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::calls::{Answer, Call};
use super::docker_service::{StartError, State, Status, UNIT};
use super::host::Host;
use super::systemd_unit::Unit;

/// Services that run on every host.
const ALWAYS_ACTIVE: &[&str] = &[
    "ssh.service",
    "sshd.service",
    "cron.service",
    "dbus.service",
];

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
    let mut options = Options::default();
    let mut words = Vec::new();
    let mut args = call.args.iter();
    while let Some(word) = args.next() {
        match word.as_str() {
            "-q" | "--quiet" => options.quiet = true,
            "--now" => options.now = true,
            "--value" => options.value = true,
            "-p" | "--property" => options.properties.extend(args.next().cloned()),
            "-n" | "-o" | "-t" => {
                args.next();
            }
            "--version" => return Answer::says("systemd 252 (252.39-1~deb12u1)\n"),
            other => {
                if let Some(name) = other
                    .strip_prefix("--property=")
                    .or(other.strip_prefix("-p"))
                {
                    options.properties.push(name.to_owned());
                } else if !other.starts_with('-') {
                    words.push(other.to_owned());
                }
            }
        }
    }
    let verb = if words.is_empty() {
        "list-units".to_owned()
    } else {
        words.remove(0)
    };
    if verb == "is-system-running" {
        return Answer::says("running\n");
    }
    let reads = [
        "is-active",
        "is-enabled",
        "is-failed",
        "show",
        "cat",
        "status",
        "list-units",
    ];
    if !reads.contains(&verb.as_str()) && !call.is_root() {
        let what = words.first().map_or("reload daemon".to_owned(), |unit| {
            format!("{verb} {}", unit_name(unit))
        });
        return Answer::fails(
            1,
            format!("Failed to {what}: Interactive authentication required."),
        );
    }
    if verb == "daemon-reload" {
        host.docker.reload_files(host).await;
        return Answer::default();
    }
    let mut answer = Answer::default();
    for unit in words.iter().map(|word| unit_name(word)) {
        let one = if unit == UNIT {
            docker(host, &verb, &options).await
        } else {
            other(host, &verb, &unit, &options).await
        };
        answer.out.extend(one.out);
        answer.err.extend(one.err);
        answer.status = answer.status.max(one.status);
    }
    answer
}

#[derive(Debug, Default)]
struct Options {
    quiet: bool,
    now: bool,
    value: bool,
    properties: Vec<String>,
}

async fn docker(host: &Arc<Host>, verb: &str, options: &Options) -> Answer {
    let status = host.docker.status(host).await;
    if status.unit.is_none() && !matches!(verb, "is-active" | "is-failed" | "show") {
        return missing(verb, UNIT);
    }
    match verb {
        "start" => started(verb, &status, host.docker.start(host).await),
        "restart" | "reload-or-restart" => started(verb, &status, host.docker.restart(host).await),
        "try-restart" if status.state == State::Active => {
            started(verb, &status, host.docker.restart(host).await)
        }
        "stop" => {
            host.docker.stop().await;
            Answer::default()
        }
        "reset-failed" => {
            host.docker.reset_failed().await;
            Answer::default()
        }
        "enable" | "disable" => {
            host.docker_enabled
                .store(verb == "enable", Ordering::Relaxed);
            match (options.now, verb) {
                (true, "enable") => started("start", &status, host.docker.start(host).await),
                (true, _) => {
                    host.docker.stop().await;
                    Answer::default()
                }
                (false, _) => Answer::default(),
            }
        }
        "is-active" => state(status.state, State::Active, options),
        "is-failed" => state(status.state, State::Failed, options),
        "is-enabled" => {
            let enabled = host.docker_enabled.load(Ordering::Relaxed);
            word(
                if enabled { "enabled" } else { "disabled" },
                u8::from(!enabled),
                options,
            )
        }
        "cat" => cat(host, status.unit.as_ref()),
        "show" => show(host, &status, options),
        "status" => report(host, &status),
        "try-restart" | "unmask" | "preset" => Answer::default(),
        other => Answer::fails(1, format!("Unknown command verb {other}.")),
    }
}

/// Handles a unit other than Docker's: one that always runs, or a part of Docker.
async fn other(host: &Arc<Host>, verb: &str, unit: &str, options: &Options) -> Answer {
    let part = matches!(unit, "docker.socket" | "containerd.service")
        && host.docker.status(host).await.unit.is_some();
    let known = part || ALWAYS_ACTIVE.contains(&unit);
    match verb {
        "is-active" if known => word("active", 0, options),
        "is-active" => word("inactive", 3, options),
        "is-failed" => word(if known { "active" } else { "inactive" }, 1, options),
        "is-enabled" if known => word("enabled", 0, options),
        "show" => {
            let load = if known { "loaded" } else { "not-found" };
            let active = if known { "active" } else { "inactive" };
            properties(
                &[
                    ("Id", unit.to_owned()),
                    ("LoadState", load.to_owned()),
                    ("ActiveState", active.to_owned()),
                ],
                options,
            )
        }
        _ if known => Answer::default(),
        _ => missing(verb, unit),
    }
}

fn missing(verb: &str, unit: &str) -> Answer {
    match verb {
        "cat" => Answer::fails(1, format!("No files found for {unit}.")),
        "status" => Answer::fails(4, format!("Unit {unit} could not be found.")),
        "is-enabled" => Answer::fails(
            1,
            format!("Failed to get unit file state for {unit}: No such file or directory"),
        ),
        "enable" | "disable" => Answer::fails(
            1,
            format!("Failed to {verb} unit: Unit file {unit} does not exist."),
        ),
        _ => Answer::fails(
            5,
            format!("Failed to {verb} {unit}: Unit {unit} not found."),
        ),
    }
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

fn state(is: State, asked: State, options: &Options) -> Answer {
    let status = match (is == asked, asked) {
        (true, _) => 0,
        (false, State::Active) => 3,
        (false, _) => 1,
    };
    word(is.name(), status, options)
}

fn word(word: &str, status: u8, options: &Options) -> Answer {
    let out = if options.quiet {
        Vec::new()
    } else {
        format!("{word}\n").into_bytes()
    };
    Answer {
        status,
        out,
        err: Vec::new(),
    }
}

fn cat(host: &Host, unit: Option<&Unit>) -> Answer {
    let mut text = String::new();
    for file in unit
        .into_iter()
        .flat_map(|unit| std::iter::once(&unit.fragment).chain(&unit.drop_ins))
    {
        let shown = file.strip_prefix(&host.root).unwrap_or(file);
        let body = fs::read_to_string(file).unwrap_or_default();
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = write!(text, "{gap}# /{}\n{body}", shown.display());
    }
    Answer::says(text)
}

fn show(host: &Host, status: &Status, options: &Options) -> Answer {
    let unit = status.unit.as_ref();
    let shown = |path: &std::path::PathBuf| {
        format!(
            "/{}",
            path.strip_prefix(&host.root).unwrap_or(path).display()
        )
    };
    let exec = unit.and_then(|unit| unit.exec_start().first().map(|line| {
        let path = line.split_whitespace().next().unwrap_or_default();
        format!("{{ path={path} ; argv[]={line} ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }}")
    }));
    let environment = unit
        .and_then(|unit| unit.environment(&host.root).ok())
        .unwrap_or_default();
    let environment: Vec<String> = environment
        .iter()
        .map(|(name, value)| {
            if value.contains(' ') {
                format!("\"{name}={value}\"")
            } else {
                format!("{name}={value}")
            }
        })
        .collect();
    let active = status.state == State::Active;
    let enabled = host.docker_enabled.load(Ordering::Relaxed);
    let drop_ins: Vec<String> = unit
        .map(|unit| unit.drop_ins.iter().map(shown).collect())
        .unwrap_or_default();
    properties(
        &[
            ("Id", UNIT.to_owned()),
            (
                "LoadState",
                if unit.is_some() {
                    "loaded"
                } else {
                    "not-found"
                }
                .to_owned(),
            ),
            ("ActiveState", status.state.name().to_owned()),
            (
                "SubState",
                match status.state {
                    State::Active => "running",
                    State::Activating => "start",
                    State::Failed => "failed",
                    State::Inactive => "dead",
                }
                .to_owned(),
            ),
            (
                "Result",
                if status.state == State::Failed {
                    "exit-code"
                } else {
                    "success"
                }
                .to_owned(),
            ),
            (
                "UnitFileState",
                match (unit.is_some(), enabled) {
                    (false, _) => "",
                    (true, true) => "enabled",
                    (true, false) => "disabled",
                }
                .to_owned(),
            ),
            (
                "FragmentPath",
                unit.map(|unit| shown(&unit.fragment)).unwrap_or_default(),
            ),
            ("DropInPaths", drop_ins.join(" ")),
            (
                "NeedDaemonReload",
                if status.stale { "yes" } else { "no" }.to_owned(),
            ),
            ("MainPID", if active { "812" } else { "0" }.to_owned()),
            ("Environment", environment.join(" ")),
            ("ExecStart", exec.unwrap_or_default()),
        ],
        options,
    )
}

fn properties(all: &[(&str, String)], options: &Options) -> Answer {
    let asked: Vec<&str> = options
        .properties
        .iter()
        .flat_map(|names| names.split(','))
        .collect();
    let mut text = String::new();
    for (name, value) in all {
        if asked.is_empty() || asked.contains(name) {
            let _ = match options.value {
                true => writeln!(text, "{value}"),
                false => writeln!(text, "{name}={value}"),
            };
        }
    }
    Answer::says(text)
}

fn report(host: &Host, status: &Status) -> Answer {
    let mut text = format!(
        "* {UNIT} - Docker Application Container Engine\n     Loaded: loaded\n     Active: {}\n\n",
        status.state.name()
    );
    let name = host.name();
    for entry in host.journal.tail(Some(UNIT), Some(10)) {
        let _ = writeln!(text, "{}", entry.short(&name));
    }
    Answer {
        status: if status.state == State::Active { 0 } else { 3 },
        out: text.into_bytes(),
        err: Vec::new(),
    }
}
