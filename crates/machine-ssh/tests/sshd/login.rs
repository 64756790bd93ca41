//! Logins: keys of all kinds, the agent, and refusals.

use std::process::{Command, Stdio};
use std::time::Duration;

use machine_ssh::{
    ConnectError, Credentials, HostKeys, Layer, WaitForSshError, connect, wait_for_ssh,
};

use crate::need_openssh;
use crate::server::{Server, TIMEOUT, cx, keygen, told, tool};

#[tokio::test]
async fn keys_of_all_kinds_and_formats_log_in() {
    need_openssh!();
    let server = Server::started();
    let kinds: [(&str, &[&str]); 9] = [
        ("ed25519", &["-t", "ed25519"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("rsa-pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("rsa-pkcs8", &["-t", "rsa", "-b", "3072", "-m", "PKCS8"]),
        ("p256", &["-t", "ecdsa", "-b", "256"]),
        ("p256-pem", &["-t", "ecdsa", "-b", "256", "-m", "PEM"]),
        ("p384-pkcs8", &["-t", "ecdsa", "-b", "384", "-m", "PKCS8"]),
        ("p521", &["-t", "ecdsa", "-b", "521"]),
        ("p384-pem", &["-t", "ecdsa", "-b", "384", "-m", "PEM"]),
    ];
    for (name, options) in kinds {
        let key = keygen(server.directory.path(), name, options);
        server.authorize(&key.with_extension("pub"));
        let credentials = Credentials::KeyFile(key);
        let session = connect(
            &server.endpoint,
            &credentials,
            &HostKeys::AcceptAny,
            &cx(),
            TIMEOUT,
        )
        .await;
        if let Err(error) = session {
            panic!("{name}: {}", told(&error));
        }
    }
}

#[tokio::test]
async fn refusals_name_user_and_key() {
    need_openssh!();
    let server = Server::started();
    let other = keygen(server.directory.path(), "other", &["-t", "ed25519"]);
    let credentials = Credentials::KeyFile(other.clone());
    let error = connect(
        &server.endpoint,
        &credentials,
        &HostKeys::AcceptAny,
        &cx(),
        TIMEOUT,
    )
    .await
    .err()
    .unwrap();
    assert_eq!(error.layer(), Some(Layer::Authentication));
    let (host, user) = (
        format!("127.0.0.1:{}", server.endpoint.port),
        &server.endpoint.user,
    );
    assert_eq!(
        error.to_string(),
        format!(
            "{host} refuses to log in {user} with the key {}",
            other.display()
        )
    );

    let mut unknown_user = server.endpoint.clone();
    unknown_user.user = "no-such-user".into();
    let error = connect(
        &unknown_user,
        &server.credentials(),
        &HostKeys::AcceptAny,
        &cx(),
        TIMEOUT,
    )
    .await
    .err()
    .unwrap();
    assert!(
        matches!(error, ConnectError::Authentication { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("no-such-user"));
}

#[tokio::test]
async fn unusable_keys_are_reported_without_waiting() {
    need_openssh!();
    let server = Server::prepared();
    let locked = server.path("locked");
    let locked = locked.to_str().unwrap();
    let mut cases = vec![
        ("no-such-file", "No such file"),
        ("id.pub", "is not a private key"),
    ];
    for (name, format) in [
        ("enc-openssh", "RFC4716"),
        ("enc-pem", "PEM"),
        ("enc-pkcs8", "PKCS8"),
    ] {
        let path = server.path(name);
        let options = [
            "-q", "-t", "rsa", "-b", "2048", "-m", format, "-N", "geheim", "-f",
        ];
        let mut arguments = options.to_vec();
        arguments.push(path.to_str().unwrap());
        tool("ssh-keygen", &arguments);
        cases.push((name, "is encrypted"));
    }
    std::fs::create_dir(locked).unwrap();
    cases.push(("locked", "cannot read the private key"));
    for (name, words) in cases {
        let key = server.path(name);
        let credentials = Credentials::KeyFile(key.clone());
        // Without a listener, a wait would last until its timeout.
        let error = wait_for_ssh(
            &server.endpoint,
            &credentials,
            &HostKeys::AcceptAny,
            &cx(),
            TIMEOUT,
        )
        .await
        .err()
        .unwrap();
        let text = told(&error);
        assert!(matches!(error, WaitForSshError::Hopeless(_)), "{text}");
        assert!(
            text.contains(words) && text.contains(key.to_str().unwrap()),
            "{name}: {text}"
        );
    }
}

#[tokio::test]
async fn the_agent_is_tried_before_key_files() {
    need_openssh!();
    let server = Server::started();
    let socket = server.path("agent");
    let mut agent = Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The agent prints its socket as soon as it listens.
    let mut line = String::new();
    let stdout = agent.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();

    let of_agent = |files: Vec<_>| Credentials::AgentThenKeyFiles {
        agent: Some(socket.clone()),
        files,
    };
    let add = |key: &std::path::Path| {
        let status = Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &socket)
            .status()
            .unwrap();
        assert!(status.success());
    };
    let log_in = async |credentials: Credentials| {
        connect(
            &server.endpoint,
            &credentials,
            &HostKeys::AcceptAny,
            &cx(),
            TIMEOUT,
        )
        .await
        .map(drop)
    };

    let empty = log_in(of_agent(vec![])).await.unwrap_err();
    assert!(empty.to_string().contains("the agent has none"), "{empty}");
    let other = keygen(server.directory.path(), "other", &["-t", "ed25519"]);
    add(&other);
    let refused = log_in(of_agent(vec![])).await.unwrap_err();
    assert!(
        refused.to_string().ends_with("with 1 key of the agent"),
        "{refused}"
    );
    // Key files are next, and missing ones are skipped.
    log_in(of_agent(vec![server.path("none"), server.path("id")]))
        .await
        .unwrap();
    let rsa = keygen(server.directory.path(), "rsa", &["-t", "rsa", "-b", "2048"]);
    server.authorize(&server.path("rsa.pub"));
    add(&rsa);
    log_in(of_agent(vec![])).await.unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
    // A stopped agent is treated as no agent.
    server.authorize(&server.path("id.pub"));
    log_in(of_agent(vec![server.path("id")])).await.unwrap();
}

#[tokio::test]
async fn a_cancellation_ends_an_attempt() {
    let cx = cx();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("id");
    let pair = machine_ssh::generate_key_pair(machine_ssh::KeyType::Ed25519).unwrap();
    std::fs::write(&key, pair.private.expose()).unwrap();
    let endpoint = machine_types::SshEndpoint {
        host: "127.0.0.1".into(),
        port: silent.local_addr().unwrap().port(),
        user: "u".into(),
        key: None,
    };
    let credentials = Credentials::KeyFile(key);
    let attempt = connect(&endpoint, &credentials, &HostKeys::AcceptAny, &cx, TIMEOUT);
    let cancel = async {
        let accepted = silent.accept();
        cx.cancel.cancel("SIGINT");
        accepted
    };
    let begun = std::time::Instant::now();
    let (result, _) = tokio::join!(attempt, cancel);
    assert!(matches!(result, Err(ConnectError::Cancelled("SIGINT"))));
    assert!(begun.elapsed() < Duration::from_secs(10));
}
