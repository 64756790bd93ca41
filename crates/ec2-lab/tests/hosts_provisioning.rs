//! A simulated host from a provisioning script's point of view: files under `MACHINE_ROOT`, sudo, systemctl,
//! installation, and Docker's endpoint with the uploaded certificates.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "test helpers may panic and print"
)]

mod hosts_client;

use std::net::SocketAddr;
use std::sync::Arc;

use ec2_lab::hosts::{DockerAtBoot, HostOptions, Hosts, SimulatedHosts};
use hosts_client::{Client, connect, spec};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Certificates of one authority: PEM texts.
struct Certificates {
    ca: String,
    server: (String, String),
    client: (String, String),
}

fn certificates(address: &str) -> Certificates {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    let issue = |names: &[&str], usage| {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())
                .unwrap();
        params.extended_key_usages = vec![usage];
        (
            params.signed_by(&key, &issuer).unwrap().pem(),
            key.serialize_pem(),
        )
    };
    Certificates {
        ca: ca_pem,
        server: issue(&[address, "localhost"], ExtendedKeyUsagePurpose::ServerAuth),
        client: issue(&[], ExtendedKeyUsagePurpose::ClientAuth),
    }
}

/// Writes the server's files to the paths of the drop-in, as root.
async fn upload(client: &Client, certificates: &Certificates) {
    for (name, text) in [
        ("ca.pem", &certificates.ca),
        ("server.pem", &certificates.server.0),
        ("server-key.pem", &certificates.server.1),
    ] {
        let command = format!(
            "sudo -n mkdir -p \"$MACHINE_ROOT/etc/docker\" && sudo -n tee \"$MACHINE_ROOT/etc/docker/{name}\" >/dev/null"
        );
        let output = client.run(&command, text.as_bytes()).await;
        assert_eq!((output.status, output.err().as_str()), (Some(0), ""));
    }
}

const DROP_IN: &str = r#"[Service]
ExecStart=
ExecStart=/usr/bin/dockerd -H tcp://0.0.0.0:2376 -H unix:///var/run/docker.sock --tlsverify --tlscacert /etc/docker/ca.pem --tlscert /etc/docker/server.pem --tlskey /etc/docker/server-key.pem --label "note=-H tcp://0.0.0.0:1 \"it\""
Environment="X=a b" HTTP_PROXY=http://p:1
"#;

async fn drop_in(client: &Client, text: &str) {
    let command = r#"d="$MACHINE_ROOT/etc/systemd/system/docker.service.d"; sudo install -d -m 0755 -o root -g root "$d" && sudo tee "$d/10-machine.conf" >/dev/null && sudo systemctl daemon-reload"#;
    let output = client.run(command, text.as_bytes()).await;
    assert_eq!((output.status, output.err().as_str()), (Some(0), ""));
}

/// Makes one GET over TLS with a client certificate, if there is one; returns the response's text.
async fn get(
    address: SocketAddr,
    path: &str,
    trust: &str,
    identity: Option<&(String, String)>,
) -> std::io::Result<String> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(trust.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    let stream = tokio::net::TcpStream::connect(address).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector
        .connect(ServerName::from(address.ip()), stream)
        .await?;
    stream
        .write_all(
            format!("GET {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn docker_answers_with_the_uploaded_certificates_and_only_to_their_authority() {
    let hosts = SimulatedHosts::new(HostOptions::default()).unwrap();
    let spec = spec("i-1");
    hosts.boot(spec.clone()).await.unwrap();
    let client = connect(&spec, 2222).await;
    let ours = certificates(&spec.address.to_string());
    let address = SocketAddr::new(spec.address, 2376);
    assert!(
        tokio::net::TcpStream::connect(address).await.is_err(),
        "nothing listens before"
    );

    upload(&client, &ours).await;
    drop_in(&client, DROP_IN).await;
    let output = client
        .run(
            "sudo systemctl restart docker && systemctl is-active docker",
            b"",
        )
        .await;
    assert_eq!(
        (output.status, output.out().as_str()),
        (Some(0), "active\n"),
        "{}",
        output.err()
    );

    for path in ["/version", "/v1.44/version"] {
        let version = get(address, path, &ours.ca, Some(&ours.client))
            .await
            .unwrap();
        assert!(
            version.starts_with("HTTP/1.1 200") && version.contains(r#""Version":"29.1.2""#),
            "{version}"
        );
    }
    assert!(
        get(address, "/_ping", &ours.ca, Some(&ours.client))
            .await
            .unwrap()
            .ends_with("OK")
    );

    let other = certificates("127.0.0.1");
    assert!(get(address, "/_ping", &ours.ca, None).await.is_err());
    assert!(
        get(address, "/_ping", &ours.ca, Some(&other.client))
            .await
            .is_err()
    );
    assert!(
        get(address, "/_ping", &other.ca, Some(&other.client))
            .await
            .is_err()
    );

    let counts = hosts.host("i-1").unwrap().counts();
    assert_eq!((counts.docker_starts, counts.docker_restarts), (2, 1));

    // It starts again by itself, with the same files.
    hosts.reboot("i-1").await;
    let client = connect(&spec, 2222).await;
    assert_eq!(
        client.run("sudo systemctl start docker", b"").await.status,
        Some(0)
    );
    assert!(
        get(address, "/_ping", &ours.ca, Some(&ours.client))
            .await
            .unwrap()
            .ends_with("OK")
    );
    hosts.stop("i-1").await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_wrong_unit_fails_the_restart_and_the_journal_says_why() {
    let hosts = SimulatedHosts::new(HostOptions::default()).unwrap();
    let spec = spec("i-1");
    hosts.boot(spec.clone()).await.unwrap();
    let client = connect(&spec, 2222).await;
    let restart = "sudo systemctl restart docker; s=$?; journalctl -u docker.service -n 20 --no-pager -o cat; exit $s";

    let cases = [
        (DROP_IN.to_owned(), "failed to create TLS configuration: "),
        (
            DROP_IN.replace("--tlsverify ", ""),
            "a TCP socket without --tlsverify",
        ),
        (
            DROP_IN.replace("0.0.0.0:2376", "192.0.2.1:2376"),
            "listen tcp 192.0.2.1:2376: bind: cannot assign requested address",
        ),
        (
            "[Service]\nExecStart=\nExecStart=/opt/dockerd\n".to_owned(),
            "Failed to locate executable /opt/dockerd",
        ),
        (
            "[Service]\nExecStart=/usr/bin/dockerd\n".to_owned(),
            "more than one ExecStart=",
        ),
        (
            "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd \"--label=a\n".to_owned(),
            "Unbalanced quoting",
        ),
    ];
    for (text, reason) in cases {
        drop_in(&client, &text).await;
        let output = client.run(restart, b"").await;
        assert_eq!(output.status, Some(1), "{reason}");
        assert!(output.out().contains(reason), "{reason}: {}", output.out());
        assert!(output.err().contains("docker.service"), "{}", output.err());
        assert_eq!(
            client.run("systemctl is-active docker", b"").await.out(),
            "inactive\n"
        );
    }
}

#[tokio::test]
async fn docker_is_installed_by_the_script_of_the_install_url() {
    let options = HostOptions {
        docker: DockerAtBoot::Missing,
        ..HostOptions::default()
    };
    let hosts = SimulatedHosts::new(options).unwrap();
    let spec = spec("i-1");
    hosts.boot(spec.clone()).await.unwrap();
    let client = connect(&spec, 2222).await;
    assert_eq!(
        client.run("command -v dockerd", b"").await.status,
        Some(127)
    );
    assert_eq!(
        client
            .run("sudo systemctl restart docker", b"")
            .await
            .status,
        Some(1)
    );
    let output = client
        .run(
            "curl -fsSL https://get.docker.com -o \"$TMPDIR/get.sh\" && VERSION=28.0.4 sh \"$TMPDIR/get.sh\"",
            b"",
        )
        .await;
    assert_eq!(output.status, Some(0), "{}", output.err());
    let found = client
        .run(
            "command -v dockerd; systemctl show -p UnitFileState docker; dockerd --version",
            b"",
        )
        .await
        .out();
    let root = hosts.host("i-1").unwrap().root().display().to_string();
    assert_eq!(
        found,
        format!(
            "{root}/usr/bin/dockerd\nUnitFileState=enabled\nDocker version 28.0.4, build 0000000\n"
        )
    );
    assert_eq!(hosts.host("i-1").unwrap().counts().installations, 1);
    // The internet is unreachable.
    assert_eq!(
        client.run("curl -sS https://example.com", b"").await.status,
        Some(6)
    );
}

#[tokio::test]
async fn names_and_permissions_match_a_host_with_sudo() {
    let hosts = SimulatedHosts::new(HostOptions::default()).unwrap();
    let spec = spec("i-1");
    hosts.boot(spec.clone()).await.unwrap();
    let client = connect(&spec, 2222).await;
    let ids = client
        .run(
            "id -u; id -un; sudo -n id -u; sudo -u nobody whoami; sudo FOO='a b' sh -c 'echo $FOO'",
            b"",
        )
        .await;
    assert_eq!(ids.out(), "1000\nadmin\n0\nnobody\na b\n", "{}", ids.err());
    assert_eq!(
        client.run("hostnamectl set-hostname m1", b"").await.status,
        Some(1)
    );
    let names = client.run("sudo hostnamectl set-hostname m1 && hostname && uname -n && cat \"$MACHINE_ROOT/etc/hostname\"", b"").await;
    assert_eq!(names.out(), "m1\nm1\nm1\n");
    let owners = client.run("echo x >f && sudo chown root:root f && sudo install -o root -g root -m 0600 f g && stat -c %a g && sudo chown root nope", b"").await;
    assert_eq!((owners.out().as_str(), owners.status), ("600\n", Some(1)));
    assert_eq!(
        client.run("systemctl restart docker", b"").await.err(),
        "Failed to restart: Interactive authentication required.\n"
    );
    assert_eq!(
        client
            .run(
                ". \"$MACHINE_ROOT/etc/os-release\"; echo $ID $VERSION_ID",
                b""
            )
            .await
            .out(),
        "debian 12\n"
    );

    hosts
        .host("i-1")
        .unwrap()
        .change(|options| options.sudo_refuses = Some("sudo: a password is required".to_owned()));
    hosts.reboot("i-1").await;
    let client = connect(&spec, 2222).await;
    let refused = client.run("sudo -n true", b"").await;
    assert_eq!(
        (refused.status, refused.err().as_str()),
        (Some(1), "sudo: a password is required\n")
    );
}

#[tokio::test]
async fn a_failed_docker_start_is_reported() {
    let hosts = SimulatedHosts::new(HostOptions::default()).unwrap();
    let spec = spec("i-1");
    hosts.boot(spec.clone()).await.unwrap();
    let client = connect(&spec, 2222).await;
    let reason = "failed to start daemon: no space left on device";
    hosts
        .host("i-1")
        .unwrap()
        .change(|options| options.docker_start_fails = Some(reason.to_owned()));
    let output = client
        .run(
            "sudo systemctl restart docker; sudo journalctl -u docker -n 5 -o cat",
            b"",
        )
        .await;
    assert!(output.out().contains(reason), "{}", output.out());
}
