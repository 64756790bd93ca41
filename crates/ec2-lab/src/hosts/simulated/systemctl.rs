//! `systemctl` of a simulated host.
//!
//! Owns the verbs and properties of Docker's service that provisioning uses. Any other service is inactive. Reads the
//! unit's files at every start, so that `daemon-reload` has no effect. Called by stubs through
//! [`programs`](super::programs). Real hosts show everything else.

use std::sync::Arc;

use super::calls::{Answer, Call};
use super::disk::within;
use super::host::Host;
use super::systemd_unit::{FRAGMENT, drop_ins};

/// Runs `systemctl` with those arguments.
pub(super) async fn run(host: &Arc<Host>, call: &Call) -> Answer {
    let words = call.args.iter().map(String::as_str);
    let (options, words): (Vec<&str>, Vec<&str>) = words.partition(|word| word.starts_with('-'));
    let is_docker = |unit: &str| matches!(unit, "docker" | "docker.service");
    match words[..] {
        ["is-active", unit] => {
            let runs = is_docker(unit) && host.docker.version().await.is_some();
            let text = if runs { "active\n" } else { "inactive\n" };
            Answer {
                status: if runs { 0 } else { 3 },
                ..Answer::says(if options.contains(&"-q") { "" } else { text })
            }
        }
        ["show", ref properties @ .., unit] if is_docker(unit) => show(host, properties).await,
        [verb, ..] if !call.is_root() => Answer::fails(
            1,
            format!("Failed to {verb}: Interactive authentication required."),
        ),
        ["daemon-reload"] => Answer::default(),
        ["enable" | "reset-failed", unit] if is_docker(unit) => Answer::default(),
        ["stop", unit] if is_docker(unit) => {
            host.docker.stop().await;
            Answer::default()
        }
        ["start", unit] if is_docker(unit) => started(host.docker.start(host).await),
        ["restart", unit] if is_docker(unit) => started(host.docker.restart(host).await),
        _ => Answer::fails(1, format!("not simulated: systemctl {}", words.join(" "))),
    }
}

fn started(runs: bool) -> Answer {
    if runs {
        return Answer::default();
    }
    Answer::fails(
        1,
        "Job for docker.service failed because the control process exited with error code.\n\
         See \"systemctl status docker.service\" and \"journalctl -xeu docker.service\" for details.",
    )
}

/// Prints properties, in the order of the request.
async fn show(host: &Host, properties: &[&str]) -> Answer {
    let is_loaded = within(&host.root, FRAGMENT).exists();
    let when_loaded = |value: &str| if is_loaded { value } else { "" }.to_owned();
    let mut text = String::new();
    for name in properties {
        let value = match *name {
            "LoadState" if is_loaded => "loaded".to_owned(),
            "LoadState" => "not-found".to_owned(),
            "ActiveState" if host.docker.version().await.is_some() => "active".to_owned(),
            "ActiveState" => "inactive".to_owned(),
            "UnitFileState" => when_loaded("enabled"),
            "FragmentPath" => when_loaded(FRAGMENT),
            "DropInPaths" => drop_ins(&host.root).join(" "),
            "NeedDaemonReload" => "no".to_owned(),
            _ => continue,
        };
        text.push_str(&format!("{name}={value}\n"));
    }
    Answer::says(text)
}
