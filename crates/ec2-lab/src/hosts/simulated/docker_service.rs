//! `docker.service` of a simulated host, as systemd runs it: dockerd with the command line of its unit.
//!
//! Owns the state and the endpoints of a started dockerd, and the flags on which its endpoints depend. Accepts every
//! other flag, and does not read `daemon.json`: real hosts show their effect. Called by the host at boot and by its
//! `systemctl`.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::disk::within;
use super::docker_api;
use super::host::{Host, lock};
use super::systemd_unit;

/// The service.
#[derive(Debug, Default)]
pub(super) struct DockerService(Mutex<Option<Daemon>>);

/// A running dockerd.
#[derive(Debug)]
struct Daemon {
    version: String,
    endpoints: Vec<JoinHandle<()>>,
}

impl Daemon {
    async fn stop(self) {
        for endpoint in self.endpoints {
            endpoint.abort();
            // The port is free once the task has ended.
            let _ = endpoint.await;
        }
    }
}

impl DockerService {
    /// Returns the release of the running dockerd, which may be older than the installed one.
    pub(super) async fn version(&self) -> Option<String> {
        let daemon = self.0.lock().await;
        daemon.as_ref().map(|daemon| daemon.version.clone())
    }

    /// Starts dockerd unless it runs. Returns whether it runs; the cause of a failure is in the journal.
    pub(super) async fn start(&self, host: &Arc<Host>) -> bool {
        let mut daemon = self.0.lock().await;
        if daemon.is_none() {
            *daemon = start(host);
        }
        daemon.is_some()
    }

    /// Stops dockerd if it runs, and starts it. Returns whether it runs.
    pub(super) async fn restart(&self, host: &Arc<Host>) -> bool {
        let mut daemon = self.0.lock().await;
        if let Some(running) = daemon.take() {
            lock(&host.counts).docker_restarts += 1;
            running.stop().await;
        }
        *daemon = start(host);
        daemon.is_some()
    }

    /// Stops dockerd if it runs.
    pub(super) async fn stop(&self) {
        if let Some(daemon) = self.0.lock().await.take() {
            daemon.stop().await;
        }
    }
}

/// Starts dockerd, and writes the result to the journal.
fn start(host: &Arc<Host>) -> Option<Daemon> {
    lock(&host.counts).docker_starts += 1;
    let mut journal =
        String::from("Starting docker.service - Docker Application Container Engine...\n");
    let started = run(host);
    journal.push_str(&match &started {
        Ok(_) => "Started docker.service - Docker Application Container Engine.\n".to_owned(),
        Err(reason) => format!(
            "{reason}\n\
             docker.service: Main process exited, code=exited, status=1/FAILURE\n\
             docker.service: Failed with result 'exit-code'.\n"
        ),
    });
    lock(&host.journal).push_str(&journal);
    started.ok()
}

/// Runs dockerd until it is ready.
///
/// # Errors
/// The line with which it exits, or systemd's if it cannot run it.
fn run(host: &Arc<Host>) -> Result<Daemon, String> {
    let command = systemd_unit::command(&host.root)?;
    let (program, arguments) = command
        .split_first()
        .ok_or("docker.service: ExecStart= has no program")?;
    // exists() follows the link: a dangling link counts as missing.
    if !within(&host.root, program).exists() {
        return Err(format!(
            "docker.service: Failed to locate executable {program}: No such file or directory"
        ));
    }
    if let Some(reason) = host.options().docker_start_fails.clone() {
        return Err(reason);
    }
    let mut listeners = Vec::new();
    for address in addresses(host.spec().address, arguments)? {
        let tls = tls(&host.root, arguments)?;
        listeners.push((docker_api::listen(address)?, tls));
    }
    let version = host.options().docker_version.clone();
    let serve = |(listener, tls)| {
        host.sockets.add(&listener);
        tokio::spawn(docker_api::serve(listener, tls, version.clone()))
    };
    let endpoints = listeners.into_iter().map(serve).collect();
    Ok(Daemon { version, endpoints })
}

/// Returns the addresses of the TCP sockets. `0.0.0.0` and `[::]` mean the host's own address.
fn addresses(own: IpAddr, arguments: &[String]) -> Result<Vec<SocketAddr>, String> {
    let mut addresses = Vec::new();
    for socket in values(arguments, "-H").chain(values(arguments, "--host")) {
        let Some(place) = socket.strip_prefix("tcp://") else {
            continue;
        };
        let failed = |reason| format!("failed to load listeners: listen tcp {place}: {reason}");
        let address: SocketAddr = place.parse().map_err(|_| failed("invalid address"))?;
        if !address.ip().is_unspecified() && address.ip() != own {
            return Err(failed("bind: cannot assign requested address"));
        }
        addresses.push(SocketAddr::new(own, address.port()));
    }
    Ok(addresses)
}

/// Reads the TLS files that the flags name.
fn tls(root: &Path, arguments: &[String]) -> Result<TlsAcceptor, String> {
    if !arguments.iter().any(|word| word == "--tlsverify") {
        return Err("not simulated: a TCP socket without --tlsverify".to_owned());
    }
    let [ca, certificate, key] = ["--tlscacert", "--tlscert", "--tlskey"].map(|flag| {
        let path = values(arguments, flag).last();
        within(root, path.unwrap_or_default())
    });
    docker_api::tls(&ca, &certificate, &key)
        .map_err(|error| format!("failed to create TLS configuration: {error}"))
}

/// Returns the values of a flag: the next word, or the text after an equals sign.
fn values<'a>(arguments: &'a [String], flag: &'a str) -> impl Iterator<Item = &'a str> {
    let words = arguments.iter().enumerate();
    words.filter_map(move |(place, word)| match word.strip_prefix(flag)? {
        "" => arguments.get(place + 1).map(String::as_str),
        rest => rest.strip_prefix('='),
    })
}
