//! Simulated hosts, through a real SSH client.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "test helpers may panic and print"
)]

mod hosts_client;

use ec2_lab::hosts::{HostOptions, Hosts, SimulatedHosts};
use hosts_client::{connect, key, login, spec};
use std::net::SocketAddr;

#[tokio::test]
async fn a_command_gets_its_input_and_returns_both_streams_and_its_status() {
    let hosts = SimulatedHosts::new(HostOptions::default()).unwrap();
    let spec = spec("i-1");
    hosts.boot(spec.clone()).await.unwrap();
    let client = connect(&spec, 2222).await;
    let output = client.run("echo out; echo err >&2; exit 7", b"").await;
    assert_eq!(
        (output.out().as_str(), output.err().as_str(), output.status),
        ("out\n", "err\n", Some(7))
    );

    let megabyte: Vec<u8> = (0..1 << 20)
        .map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let output = client.run("cat", &megabyte).await;
    assert!(
        output.stdout == megabyte,
        "{} bytes came back",
        output.stdout.len()
    );
    assert_eq!(output.status, Some(0));

    let output = client.run("kill -TERM $$", b"").await;
    assert_eq!(
        (output.status, output.signal.as_deref()),
        (None, Some("TERM"))
    );
    assert_eq!(hosts.host("i-1").unwrap().counts().execs.len(), 3);
}

#[tokio::test]
async fn only_the_key_pairs_key_is_accepted_and_only_for_the_login_user() {
    let hosts = SimulatedHosts::new(HostOptions::default()).unwrap();
    let spec = spec("i-1");
    hosts.boot(spec.clone()).await.unwrap();
    let address = SocketAddr::new(spec.address, 2222);
    assert!(login(address, "admin", key(2)).await.unwrap().is_none());
    assert!(login(address, "ubuntu", key(1)).await.unwrap().is_none());
    assert!(login(address, "admin", key(1)).await.unwrap().is_some());
}
