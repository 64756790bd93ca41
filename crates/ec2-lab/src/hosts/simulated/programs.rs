//! The programs of a simulated host that depend on the host: one function each.
//!
//! Called by [`calls`](super::calls) for every stub that is a link to `host-call`. The larger programs have separate
//! modules.

use std::sync::Arc;

use super::calls::{Answer, Call};
use super::disk::may_use_docker;
use super::host::{Host, lock};
use super::{packages, systemctl, web};

/// Runs the program of a stub.
pub(super) async fn run(host: &Arc<Host>, call: &Call) -> Answer {
    match call.program.as_str() {
        "systemctl" => systemctl::run(host, call).await,
        "journalctl" => journalctl(host, call),
        "apt-get" | "dnf" | "yum" | "zypper" => packages::install(host, call).await,
        "dpkg-query" | "rpm" => packages::query(host, call),
        "curl" | "wget" => web::fetch(host, call).await,
        "cloud-init" => cloud_init(host, call).await,
        "dockerd" => dockerd(host, call),
        "docker" => docker(host, call).await,
        other => Answer::fails(127, format!("{other}: not found")),
    }
}

/// Executes `journalctl [-u UNIT] [-n LINES] [-o cat] …`: the last lines.
fn journalctl(host: &Host, call: &Call) -> Answer {
    let (mut unit, mut lines, mut cat) = (None, None, false);
    let mut words = call.args.iter();
    while let Some(word) = words.next() {
        let (name, value) = match word
            .strip_prefix("--")
            .and_then(|long| long.split_once('='))
        {
            Some((name, value)) => (format!("--{name}"), Some(value.to_owned())),
            None => (word.clone(), None),
        };
        match name.as_str() {
            "-u" | "--unit" | "-xeu" | "-xu" | "-eu" => {
                unit = value
                    .or_else(|| words.next().cloned())
                    .map(|name| systemctl::unit_name(&name));
            }
            "-n" | "--lines" => lines = value.or_else(|| words.next().cloned()),
            "-o" | "--output" => {
                cat = value.or_else(|| words.next().cloned()).as_deref() == Some("cat")
            }
            short => {
                if let Some(count) = short.strip_prefix("-n") {
                    lines = Some(count.to_owned());
                } else if let Some(name) = short.strip_prefix("-u") {
                    unit = Some(systemctl::unit_name(name));
                } else if short == "-ocat" {
                    cat = true;
                }
            }
        }
    }
    let lines = lines.and_then(|count| count.parse().ok());
    let host_name = host.name();
    let entries = host.journal.tail(unit.as_deref(), lines);
    if entries.is_empty() {
        return Answer::says("-- No entries --\n");
    }
    let text: Vec<String> = entries
        .iter()
        .map(|entry| {
            if cat {
                entry.text.clone()
            } else {
                entry.short(&host_name)
            }
        })
        .collect();
    Answer::says(text.join("\n") + "\n")
}

/// Executes `cloud-init status [--wait]`.
async fn cloud_init(host: &Host, call: &Call) -> Answer {
    if call.args.first().is_none_or(|verb| verb != "status") {
        return Answer::says("/usr/bin/cloud-init 22.4.2\n");
    }
    let Some(gates) = host.gates() else {
        return Answer::default();
    };
    if call
        .args
        .iter()
        .any(|word| word == "--wait" || word == "-w")
    {
        gates.cloud_init_done.opened().await;
    }
    let state = if gates.cloud_init_done.is_open() {
        "done"
    } else {
        "running"
    };
    Answer::says(format!("status: {state}\n"))
}

/// Executes `dockerd --version`; starting a daemon by hand is not supported.
fn dockerd(host: &Host, call: &Call) -> Answer {
    match call.args.first().map(String::as_str) {
        Some("--version" | "-v") => Answer::says(format!(
            "Docker version {}, build 0000000\n",
            host.options().docker_version
        )),
        Some("--validate") => Answer::says("configuration OK\n"),
        _ => Answer::fails(1, "dockerd: this host runs it by systemctl only"),
    }
}

/// Executes `docker --version`, `version`, `info`, `ps`: the client with the daemon's socket.
async fn docker(host: &Host, call: &Call) -> Answer {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let version = host.options().docker_version.clone();
    if let ["--version" | "-v"] = words[..] {
        return Answer::says(format!("Docker version {version}, build 0000000\n"));
    }
    let Some(daemon) = host.docker.daemon().await else {
        return Answer::fails(
            1,
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        );
    };
    if !may_use_docker(&host.root, &call.user) {
        return Answer::fails(
            1,
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
        );
    }
    let formatted = words.iter().any(|word| word.contains("json"));
    match words.first().copied() {
        Some("version") if words.iter().any(|word| word.contains(".Server.Version")) => {
            Answer::says(format!("{}\n", daemon.version))
        }
        Some("version") => Answer::says(format!(
            "Client: Docker Engine - Community\n Version:           {version}\n\nServer: Docker Engine - Community\n Engine:\n  Version:          {}\n  API version:      {} (minimum version {})\n",
            daemon.version, daemon.api_version, daemon.min_api_version
        )),
        Some("info") if formatted => Answer::says(format!("{}\n", daemon.info())),
        Some("info") => Answer::says(format!(
            "Server:\n Server Version: {}\n Name: {}\n",
            daemon.version, daemon.host_name
        )),
        Some("ps") => {
            Answer::says("CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n")
        }
        _ => Answer::fails(1, "docker: this host has no containers"),
    }
}

/// Adds a line to the console, where tests look for events.
pub(super) fn on_console(host: &Host, line: &str) {
    let mut console = lock(&host.console);
    console.push_str(line);
    console.push('\n');
}
