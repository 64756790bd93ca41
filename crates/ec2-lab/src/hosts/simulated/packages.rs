//! The package managers of a simulated host: they support only the installation of Docker.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::calls::{Answer, Call};
use super::counters::count;
use super::host::Host;
use super::options::DockerAtBoot;
use super::programs::on_console;

/// Executes `apt-get update|install`, and the equivalents of dnf, yum and zypper.
pub(super) async fn install(host: &Arc<Host>, call: &Call) -> Answer {
    let words: Vec<&str> = call
        .args
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let apt = call.program == "apt-get";
    let Some((verb, names)) = words.split_first() else {
        return Answer::says(format!("{} of a simulated host\n", call.program));
    };
    if !call.is_root() {
        return if apt {
            Answer::fails(
                100,
                "E: Could not open lock file /var/lib/dpkg/lock-frontend - open (13: Permission denied)",
            )
        } else {
            Answer::fails(
                1,
                "Error: This command has to be run with superuser privileges.",
            )
        };
    }
    if !matches!(
        *verb,
        "install" | "in" | "upgrade" | "update" | "localinstall"
    ) {
        return Answer::default();
    }
    on_console(host, &format!("{} {}", call.program, call.args.join(" ")));
    for name in names {
        if let Err(unknown) = one(host, name).await {
            return unknown;
        }
    }
    Answer::default()
}

/// Installs one package: `docker-ce`, `docker.io`, `docker`, each with or without a version.
async fn one(host: &Arc<Host>, word: &str) -> Result<(), Answer> {
    // apt writes NAME=VERSION, rpm's tools NAME-VERSION with a digit first.
    let (name, version) = match word.split_once('=') {
        Some((name, version)) => (name, Some(version)),
        None => match word
            .rfind("-")
            .and_then(|_| word.find(|c: char| c.is_ascii_digit()))
        {
            Some(digit) => (word[..digit].trim_end_matches('-'), Some(&word[digit..])),
            None => (word, None),
        },
    };
    let package = match name {
        "docker-ce" | "docker" | "moby-engine" => DockerAtBoot::DockerCe,
        "docker.io" => DockerAtBoot::DockerIo,
        _ => return Ok(()),
    };
    if let Some(reason) = host.options().install_fails.clone() {
        return Err(Answer::fails(100, reason));
    }
    if let Some(version) = version {
        let version = version
            .split_once(':')
            .map_or(version, |(_epoch, rest)| rest);
        let upstream = version.split(['-', '~']).next().unwrap_or(version);
        host.options().docker_version = upstream.to_owned();
    }
    host.shelf
        .install_docker(&host.root, package)
        .map_err(|error| Answer::fails(100, format!("E: {error}")))?;
    count(&host.counters.installations);
    host.docker.reload_files(host).await;
    // Debian's packages enable and start their services; the others' do not.
    if host.options().starts_what_it_installs() {
        host.docker_enabled.store(true, Ordering::Relaxed);
        // A package is installed even if its service does not start.
        let _ = host.docker.start(host).await;
    }
    Ok(())
}

/// Executes `dpkg-query -W NAME` and `rpm -q NAME`: returns whether a package is installed.
pub(super) fn query(host: &Host, call: &Call) -> Answer {
    let installed = fs::metadata(host.root.join("usr/bin/dockerd")).is_ok()
        || fs::metadata(host.root.join("usr/sbin/dockerd")).is_ok();
    let name = call.args.last().map(String::as_str).unwrap_or_default();
    if installed && name.starts_with("docker") {
        Answer::says(format!("{name}\t{}\n", host.options().docker_version))
    } else {
        Answer::fails(1, format!("package {name} is not installed"))
    }
}
