//! Logins: keys of all kinds, the agent, and refusals.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use machine_ssh::{
    ConnectError, Credentials, HostKeys, KeyError, Layer, WaitForSshError, check_private_key,
    connect, public_key_line, wait_for_ssh,
};

use crate::need_openssh;
use crate::server::{Server, TIMEOUT, cx, keygen, told, tool};

/// An SSH agent for one test, killed when dropped.
struct Agent {
    socket: PathBuf,
    child: Child,
}

impl Agent {
    fn start(server: &Server) -> Self {
        let socket = server.path("agent");
        let mut child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The agent prints its socket once it listens.
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        Self { socket, child }
    }

    fn add(&self, key: &Path) {
        let status = Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .status()
            .unwrap();
        assert!(status.success());
    }

    fn stop(&mut self) {
        // An agent that has exited cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Sets a passphrase for a key.
fn encrypt(key: &Path, format: &str) {
    let key = key.to_str().unwrap();
    tool(
        "ssh-keygen",
        &[
            "-q", "-p", "-P", "", "-N", "geheim", "-m", format, "-f", key,
        ],
    );
}

async fn log_in(server: &Server, credentials: Credentials) -> Result<(), ConnectError> {
    connect(
        &server.endpoint,
        &credentials,
        &HostKeys::AcceptAny,
        &cx(),
        TIMEOUT,
    )
    .await
    .map(drop)
}

#[tokio::test]
async fn the_agent_signs_for_an_encrypted_key_that_it_holds() {
    need_openssh!();
    let server = Server::started();
    let agent = Agent::start(&server);
    for (name, format, options) in [
        ("ed25519", "RFC4716", ["-t", "ed25519", "-b", "0"]),
        ("rsa", "PEM", ["-t", "rsa", "-b", "2048"]),
        ("rsa8", "PKCS8", ["-t", "rsa", "-b", "2048"]),
    ] {
        let options = if options[3] == "0" {
            &options[..2]
        } else {
            &options[..]
        };
        let key = keygen(server.directory.path(), name, options);
        let public = key.with_extension("pub");
        server.authorize(&public);
        encrypt(&key, format);
        let credentials = Credentials::KeyFileWithAgent {
            file: key.clone(),
            agent: agent.socket.clone(),
        };
        // A different key from the one that the agent may hold already.
        let refused = log_in(&server, credentials.clone()).await.unwrap_err();
        assert_eq!(refused.layer(), None);
        assert!(
            told(&refused).contains("is encrypted, and no agent holds it"),
            "{}",
            told(&refused)
        );
        let checked = check_private_key(&key, Some(&agent.socket)).await;
        assert!(
            matches!(checked, Err(KeyError::Encrypted { .. })),
            "{checked:?}"
        );

        tool(
            "ssh-keygen",
            &[
                "-q",
                "-p",
                "-P",
                "geheim",
                "-N",
                "",
                "-f",
                key.to_str().unwrap(),
            ],
        );
        agent.add(&key);
        encrypt(&key, format);
        check_private_key(&key, Some(&agent.socket)).await.unwrap();
        check_private_key(&key, None).await.unwrap_err();
        log_in(&server, credentials.clone()).await.unwrap();
        let line = std::fs::read_to_string(&public).unwrap();
        assert_eq!(public_key_line(&key).unwrap().trim(), line.trim());
        // OpenSSH's header contains the public half; for the other formats it is in the `.pub` file.
        std::fs::remove_file(&public).unwrap();
        match (log_in(&server, credentials).await, format) {
            (Ok(()), "RFC4716") => {}
            (Err(error), "PEM" | "PKCS8") => {
                let text = told(&error);
                let command = format!("ssh-keygen -y -f '{0}' > '{0}'.pub", key.display());
                assert!(text.ends_with(&command), "{text}");
            }
            (ended, _) => panic!("{name}: {ended:?}"),
        }
    }
}

#[tokio::test]
async fn more_keys_than_the_server_takes_in_one_connection() {
    need_openssh!();
    let mut server = Server::prepared();
    server.option("MaxAuthTries 3");
    server.start();
    let agent = Agent::start(&server);
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        agent.add(&keygen(server.directory.path(), name, &["-t", "ed25519"]));
    }
    let of_agent = |files: Vec<PathBuf>| Credentials::AgentThenKeyFiles {
        agent: Some(agent.socket.clone()),
        files,
    };
    server.authorize(&server.path("h.pub"));
    log_in(&server, of_agent(vec![])).await.unwrap();
    // The ninth of all keys, on the third connection.
    server.authorize(&server.path("id.pub"));
    log_in(&server, of_agent(vec![server.path("id")]))
        .await
        .unwrap();
    // The named key is offered first, and one key needs one connection.
    let stranger = keygen(server.directory.path(), "stranger", &["-t", "ed25519"]);
    let refused = log_in(&server, of_agent(vec![stranger])).await.unwrap_err();
    assert_eq!(refused.layer(), Some(Layer::Authentication));
    assert!(
        refused
            .to_string()
            .ends_with("with 8 keys of the agent, nor with 1 key file")
            || refused
                .to_string()
                .contains("8 keys of the agent, nor with the key"),
        "{refused}"
    );
    drop(agent);

    let mut strict = Server::prepared();
    strict.option("MaxAuthTries 2");
    strict.start();
    let agent = Agent::start(&strict);
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        agent.add(&keygen(strict.directory.path(), name, &["-t", "ed25519"]));
    }
    strict.authorize(&strict.path("h.pub"));
    let of_agent = |files: Vec<PathBuf>| Credentials::AgentThenKeyFiles {
        agent: Some(agent.socket.clone()),
        files,
    };
    let refused = log_in(&strict, of_agent(vec![])).await.unwrap_err();
    assert!(
        refused.to_string().contains(
            "with 6 keys of the agent; the server closes the connection after a few keys (MaxAuthTries), 2 more were not offered"
        ),
        "{refused}"
    );
    // The key of a named file is first, and the session names that file.
    let files = vec![strict.path("g"), strict.path("h")];
    let session = connect(
        &strict.endpoint,
        &of_agent(files),
        &HostKeys::AcceptAny,
        &cx(),
        TIMEOUT,
    )
    .await
    .unwrap();
    assert_eq!(session.key(), Some(strict.path("h").as_path()));
}

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
        ("id.pub", "is a public key: give the private key,"),
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
    let mut agent = Agent::start(&server);
    let socket = agent.socket.clone();
    let of_agent = |files: Vec<_>| Credentials::AgentThenKeyFiles {
        agent: Some(socket.clone()),
        files,
    };
    let log_in = async |credentials| log_in(&server, credentials).await;

    let empty = log_in(of_agent(vec![])).await.unwrap_err();
    for said in ["the agent has none", "--generic-ssh-key"] {
        assert!(empty.to_string().contains(said), "{empty}");
    }
    let stranger = keygen(server.directory.path(), "stranger", &["-t", "ed25519"]);
    agent.add(&stranger);
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
    agent.add(&rsa);
    log_in(of_agent(vec![])).await.unwrap();
    agent.stop();
    // An agent that is gone counts as absent.
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
