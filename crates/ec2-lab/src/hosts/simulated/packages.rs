//! The package managers of a simulated host: they support only the installation of Docker.

use std::sync::Arc;

use super::calls::{Answer, Call};
use super::host::{Host, lock};
use super::options::DockerAtBoot;
use super::programs::on_console;

/// Executes `apt-get install` and `dnf install`. Other verbs have no effect.
pub(super) async fn install(host: &Arc<Host>, call: &Call) -> Answer {
    let words = call.args.iter().map(String::as_str);
    let words: Vec<&str> = words.filter(|word| !word.starts_with('-')).collect();
    if !call.is_root() {
        return Answer::fails(100, "E: Permission denied: are you root?");
    }
    on_console(host, &format!("{} {}", call.program, call.args.join(" ")));
    if let ["install", packages @ ..] = &words[..] {
        for package in packages {
            if let Err(failure) = one(host, package).await {
                return Answer::fails(100, failure);
            }
        }
    }
    Answer::default()
}

/// Installs and starts Docker if the package is `docker-ce`, `docker` or `docker.io`, with or without a version.
async fn one(host: &Arc<Host>, package: &str) -> Result<(), String> {
    // apt writes NAME=VERSION, rpm's tools NAME-VERSION with a digit first.
    let digit = package.find(|c: char| c.is_ascii_digit());
    let (name, version) = package.split_at(digit.unwrap_or(package.len()));
    let docker = match name.trim_end_matches(['-', '=']) {
        "docker-ce" | "docker" => DockerAtBoot::DockerCe,
        "docker.io" => DockerAtBoot::DockerIo,
        _ => return Ok(()),
    };
    if let Some(reason) = host.options().install_fails.clone() {
        return Err(reason);
    }
    // 5:28.0.4-1~lab has an epoch and a revision.
    let version = version.rsplit(':').next().unwrap_or_default();
    let upstream = version.split('-').next().unwrap_or_default();
    if !upstream.is_empty() {
        host.options().docker_version = upstream.to_owned();
    }
    host.shelf
        .install_docker(&host.root, docker)
        .map_err(|error| format!("E: {error}"))?;
    lock(&host.counts).installations += 1;
    // A package is installed even if its service does not start.
    host.docker.start(host).await;
    Ok(())
}
