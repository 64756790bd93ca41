//! The programs of a simulated host that depend on the host: one function each.
//!
//! Called by [`calls`](super::calls) for every stub that is a link to `host-call`. The larger programs have separate
//! modules.

use std::sync::Arc;

use super::calls::{Answer, Call};
use super::host::{Host, lock};
use super::{packages, systemctl, web};

/// Runs the program of a stub.
pub(super) async fn run(host: &Arc<Host>, call: &Call) -> Answer {
    match call.program.as_str() {
        "systemctl" => systemctl::run(host, call).await,
        "journalctl" => journalctl(host),
        "apt-get" | "dnf" => packages::install(host, call).await,
        "curl" | "wget" => web::fetch(host, call),
        "dockerd" => dockerd(host, call),
        other => Answer::fails(127, format!("{other}: not found")),
    }
}

/// Executes `journalctl -u docker.service -o cat`: all lines, with any options.
fn journalctl(host: &Host) -> Answer {
    Answer::says(lock(&host.journal).clone())
}

/// Executes `dockerd --version`; only systemd starts a daemon.
fn dockerd(host: &Host, call: &Call) -> Answer {
    if call.args == ["--version"] {
        let version = host.options().docker_version.clone();
        return Answer::says(format!("Docker version {version}, build 0000000\n"));
    }
    Answer::fails(1, "dockerd: this host runs it by systemctl only")
}

/// Adds a line to the console, where tests look for events.
pub(super) fn on_console(host: &Host, line: &str) {
    let mut console = lock(&host.console);
    console.push_str(line);
    console.push('\n');
}
