//! Provisioning over real SSH, on simulated hosts of the lab.

#![allow(clippy::unwrap_used, clippy::panic)] // Helpers outside test functions may panic.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use ec2_lab::hosts::{DockerAtBoot, HostOptions, HostSpec, HostView, Hosts, SimulatedHosts};
use machine_ops::{Cx, MemoryJournal};
use machine_provision::{
    Certificates, EngineConfig, InstallSource, Plan, ProvisionError, provision, upgrade,
};
use machine_ssh::{Credentials, HostKeys, KeyType, Session, generate_key_pair, wait_for_ssh};
use machine_types::SshEndpoint;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

struct Lab {
    _hosts: SimulatedHosts,
    _key: tempfile::NamedTempFile,
    host: HostView,
    session: Session,
    plan: Plan,
    cx: Cx,
}

/// Boots a host and logs in. `number` gives each test of this file its own address.
async fn lab(number: u8, options: HostOptions) -> Lab {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let address = IpAddr::V4(Ipv4Addr::new(127, 128 | (high & 0x3f), low, number));
    let pair = generate_key_pair(KeyType::Ed25519).unwrap();
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), pair.private.expose()).unwrap();
    let hosts = SimulatedHosts::new(options).unwrap();
    let spec = HostSpec {
        instance_id: "i-1".to_owned(),
        address,
        user: "admin".to_owned(),
        public_key: Some(pair.public),
        user_data: Vec::new(),
    };
    hosts.boot(spec).await.unwrap();
    let endpoint = SshEndpoint {
        host: address.to_string(),
        port: 2222,
        user: "admin".to_owned(),
        key: Some(key.path().to_owned()),
    };
    let cx = Cx::new(Arc::new(MemoryJournal::default()));
    let credentials = Credentials::KeyFile(key.path().to_owned());
    let within = Duration::from_secs(30);
    let session = wait_for_ssh(&endpoint, &credentials, &HostKeys::AcceptAny, &cx, within)
        .await
        .unwrap();
    Lab {
        host: hosts.host("i-1").unwrap(),
        _hosts: hosts,
        _key: key,
        session,
        plan: plan(&address.to_string()),
        cx,
    }
}

fn plan(address: &str) -> Plan {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec![address.to_owned()]).unwrap();
    Plan {
        machine: "m1".to_owned(),
        hostname: "m1".to_owned(),
        provider: "amazonec2".to_owned(),
        engine: EngineConfig {
            labels: vec!["note=50% of \"it\"".to_owned()],
            env: vec!["X=a b".to_owned()],
            ..EngineConfig::default()
        },
        engine_port: 2376,
        ipv6: false,
        engine_version: None,
        install: InstallSource::parse(""),
        fetch: None,
        certificates: Some(Certificates {
            ca: ca_pem,
            server: server.signed_by(&key, &issuer).unwrap().pem(),
            key: key.serialize_pem().into(),
        }),
        open_firewall: false,
    }
}

#[tokio::test]
async fn a_bare_host_needs_one_command_and_one_restart() {
    let lab = lab(
        1,
        HostOptions {
            docker: DockerAtBoot::Missing,
            ..HostOptions::default()
        },
    )
    .await;
    let report = provision(&lab.session, &lab.plan, &lab.cx).await.unwrap();
    assert!(report.installed && report.restarted);
    assert_eq!(report.docker_version, "29.1.2");
    let counts = lab.host.counts();
    assert_eq!(
        (
            counts.execs.len(),
            counts.ssh_connections,
            counts.installations
        ),
        (1, 1, 1)
    );
    assert_eq!(counts.docker_restarts, 1);
    assert!(!counts.execs[0].contains("PRIVATE KEY"));

    let report = provision(&lab.session, &lab.plan, &lab.cx).await.unwrap();
    assert!(!report.changed && !report.restarted, "{report:?}");
    assert_eq!(lab.host.counts().docker_restarts, 1);
    let name = std::fs::read_to_string(lab.host.root().join("etc/hostname")).unwrap();
    assert_eq!(name, "m1\n");
}

#[tokio::test]
async fn debians_own_docker_is_found() {
    let lab = lab(
        2,
        HostOptions {
            docker: DockerAtBoot::DockerIo,
            docker_version: "20.10.24+dfsg1".to_owned(),
            ..HostOptions::default()
        },
    )
    .await;
    let report = provision(&lab.session, &lab.plan, &lab.cx).await.unwrap();
    assert!(!report.installed);
    assert_eq!(report.docker_version, "20.10.24+dfsg1");
    assert_eq!(lab.host.counts().installations, 0);
}

#[tokio::test]
async fn a_failed_start_quotes_the_daemon() {
    let lab = lab(
        3,
        HostOptions {
            docker_start_fails: Some("failed to start daemon: no such fuse".to_owned()),
            ..HostOptions::default()
        },
    )
    .await;
    let error = provision(&lab.session, &lab.plan, &lab.cx)
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("docker.service does not start") && text.contains("no such fuse"),
        "{text}"
    );
}

#[tokio::test]
async fn a_full_disk_and_a_refusing_sudo_are_errors() {
    let full = lab(
        4,
        HostOptions {
            // Enough for the host's own files, too little for the received ones.
            file_size_limit: Some(1),
            ..HostOptions::default()
        },
    )
    .await;
    let error = provision(&full.session, &full.plan, &full.cx)
        .await
        .unwrap_err();
    assert!(matches!(&error, ProvisionError::Failed { .. }), "{error}");
    assert!(error.to_string().contains("write /etc/docker/"), "{error}");
    let refused = lab(
        5,
        HostOptions {
            sudo_refuses: Some("sudo: a password is required".to_owned()),
            ..HostOptions::default()
        },
    )
    .await;
    let error = provision(&refused.session, &refused.plan, &refused.cx)
        .await
        .unwrap_err();
    assert!(
        error.to_string().ends_with("sudo: a password is required"),
        "{error}"
    );
}

#[tokio::test]
async fn a_lost_connection_names_the_stage() {
    let lab = lab(6, HostOptions::default()).await;
    lab.host.change(|options| {
        options
            .exec_faults
            .insert(1, ec2_lab::hosts::ExecFault::DropBeforeStatus);
    });
    let error = provision(&lab.session, &lab.plan, &lab.cx)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "setting the host's name did not complete on \"m1\""
    );
}

#[tokio::test]
async fn a_pinned_release_is_installed_by_an_upgrade() {
    let lab = lab(
        7,
        HostOptions {
            os_release: "ID=\"amzn\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"2023\"\n".to_owned(),
            docker_version: "24.0.5".to_owned(),
            ..HostOptions::default()
        },
    )
    .await;
    provision(&lab.session, &lab.plan, &lab.cx).await.unwrap();
    let plan = Plan {
        engine_version: Some("25.0.3".to_owned()),
        ..lab.plan.clone()
    };
    let report = upgrade(&lab.session, &plan, &lab.cx).await.unwrap();
    assert!(report.installed && report.restarted);
    assert_eq!(report.docker_version, "25.0.3");
}
