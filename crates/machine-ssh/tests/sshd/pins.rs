//! Host keys are pinned on first contact and checked on every later connection.

use std::sync::{Arc, Mutex};

use machine_ops::{Event, Events};
use machine_ssh::{
    ConnectError, HostKeyError, HostKeys, Layer, WaitForSshError, connect, wait_for_ssh,
};
use machine_types::SshEndpoint;

use crate::need_openssh;
use crate::server::{Server, TIMEOUT, cx, free_port, keygen, mode, told, tool};

async fn log_in(
    server: &Server,
    endpoint: &SshEndpoint,
    policy: &HostKeys,
) -> Result<(), ConnectError> {
    connect(endpoint, &server.credentials(), policy, &cx(), TIMEOUT)
        .await
        .map(drop)
}

fn new_host_key(server: &mut Server, options: &[&str]) {
    server.stop();
    std::fs::remove_file(server.path("host")).unwrap();
    std::fs::remove_file(server.path("host.pub")).unwrap();
    keygen(server.directory.path(), "host", options);
    server.start();
}

#[tokio::test]
async fn a_pin_is_written_once_and_read_by_openssh() {
    need_openssh!();
    let server = Server::started();
    let file = server.path(".known_hosts");
    let policy = HostKeys::PinAtFirstContact(file.clone());
    log_in(&server, &server.endpoint, &policy).await.unwrap();
    let public = std::fs::read_to_string(server.path("host.pub")).unwrap();
    let line = format!("[127.0.0.1]:{} {}\n", server.endpoint.port, public.trim());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), line);
    assert_eq!(mode(&file), 0o600);

    // The stock client, with this file as the only trusted one.
    let port = server.endpoint.port.to_string();
    let said = tool(
        "ssh",
        &[
            "-F",
            "/dev/null",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "BatchMode=yes",
            "-o",
            &format!("UserKnownHostsFile={}", file.display()),
            "-i",
            server.path("id").to_str().unwrap(),
            "-p",
            &port,
            &format!("{}@127.0.0.1", server.endpoint.user),
            "echo trusted",
        ],
    );
    assert_eq!(said, "trusted\n");

    std::fs::write(&file, format!("# ours\n{line}")).unwrap();
    log_in(&server, &server.endpoint, &policy).await.unwrap();
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        format!("# ours\n{line}")
    );
    let left = std::fs::read_dir(server.directory.path()).unwrap();
    let temporary = left.filter(|e| {
        e.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("tmp")
    });
    assert_eq!(temporary.count(), 0);
}

#[tokio::test]
async fn a_changed_key_is_refused_and_the_pin_stays() {
    need_openssh!();
    let mut server = Server::started();
    let file = server.path(".known_hosts");
    let policy = HostKeys::PinAtFirstContact(file.clone());
    log_in(&server, &server.endpoint, &policy).await.unwrap();
    let pinned = std::fs::read_to_string(&file).unwrap();
    for options in [["-t", "ed25519"], ["-t", "rsa"]] {
        new_host_key(&mut server, &options);
        let error = log_in(&server, &server.endpoint, &policy)
            .await
            .unwrap_err();
        assert_eq!(error.layer(), Some(Layer::HostKey));
        let text = told(&error);
        assert!(
            text.contains("has changed") && text.contains("SHA256:"),
            "{text}"
        );
        assert!(text.contains(file.to_str().unwrap()), "{text}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), pinned);
    }
    // A retry cannot help, so the wait ends.
    let waited = wait_for_ssh(
        &server.endpoint,
        &server.credentials(),
        &policy,
        &cx(),
        TIMEOUT,
    )
    .await;
    assert!(matches!(
        waited,
        Err(WaitForSshError::Hopeless(ConnectError::HostKey { .. }))
    ));
}

#[tokio::test]
async fn a_new_address_keeps_the_pin() {
    need_openssh!();
    let mut server = Server::started();
    let file = server.path(".known_hosts");
    let policy = HostKeys::PinAtFirstContact(file.clone());
    log_in(&server, &server.endpoint, &policy).await.unwrap();
    let before = std::fs::read_to_string(&file).unwrap();
    server.stop();
    let old = server.endpoint.port;
    server.endpoint.port = free_port();
    server.start();
    log_in(&server, &server.endpoint, &policy).await.unwrap();
    let after = before.replace(&old.to_string(), &server.endpoint.port.to_string());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), after);
    new_host_key(&mut server, &["-t", "ed25519"]);
    server.endpoint.host = "localhost".into();
    let error = log_in(&server, &server.endpoint, &policy)
        .await
        .unwrap_err();
    assert_eq!(error.layer(), Some(Layer::HostKey));
}

#[tokio::test]
async fn the_pinned_key_type_is_requested() {
    need_openssh!();
    let mut server = Server::prepared();
    keygen(server.directory.path(), "host-rsa", &["-t", "rsa"]);
    let rsa = server.path("host-rsa");
    server.option(&format!("HostKey {}", rsa.display()));
    server.start();
    let file = server.path(".known_hosts");
    let public = std::fs::read_to_string(rsa.with_extension("pub")).unwrap();
    std::fs::write(&file, format!("old.example {public}")).unwrap();
    let policy = HostKeys::AcceptPinnedOnly(file.clone());
    log_in(&server, &server.endpoint, &policy).await.unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.starts_with(&format!("[127.0.0.1]:{} ssh-rsa ", server.endpoint.port)),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1);
}

#[tokio::test]
async fn a_failed_login_writes_no_pin() {
    need_openssh!();
    let server = Server::started();
    let file = server.path(".known_hosts");
    let mut endpoint = server.endpoint.clone();
    endpoint.user = "no-such-user".into();
    let policy = HostKeys::PinAtFirstContact(file.clone());
    let error = log_in(&server, &endpoint, &policy).await.unwrap_err();
    assert_eq!(error.layer(), Some(Layer::Authentication));
    assert!(!file.exists());
}

#[tokio::test]
async fn damaged_and_unreadable_pins_are_errors() {
    need_openssh!();
    let server = Server::started();
    let file = server.path(".known_hosts");
    let reason = async |policy: HostKeys| match log_in(&server, &server.endpoint, &policy).await {
        Err(ConnectError::HostKey { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    let missing = reason(HostKeys::AcceptPinnedOnly(file.clone())).await;
    assert!(
        matches!(missing, HostKeyError::NotPinned { .. }),
        "{missing}"
    );
    // A damaged file must not count as a first contact.
    for damage in [
        "[127.0.0.1]:22 ssh-ed25519 AAAA!\n",
        "\u{0}\u{0}\u{0}",
        "host",
    ] {
        std::fs::write(&file, damage).unwrap();
        let damaged = reason(HostKeys::PinAtFirstContact(file.clone())).await;
        assert!(matches!(damaged, HostKeyError::Damaged { .. }), "{damaged}");
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let unreadable = reason(HostKeys::PinAtFirstContact(file.clone())).await;
    assert!(
        matches!(unreadable, HostKeyError::Io { action: "read", .. }),
        "{unreadable}"
    );
    let nowhere = server.path("no/such/.known_hosts");
    let unwritable = reason(HostKeys::PinAtFirstContact(nowhere)).await;
    assert!(
        matches!(
            unwritable,
            HostKeyError::Io {
                action: "write",
                ..
            }
        ),
        "{unwritable}"
    );
}

#[tokio::test]
async fn a_new_key_is_taken_over_where_that_is_asked_for() {
    need_openssh!();
    let mut server = Server::started();
    let file = server.path(".known_hosts");
    let (pin, accept) = (
        HostKeys::PinAtFirstContact(file.clone()),
        HostKeys::AcceptNew(file.clone()),
    );
    log_in(&server, &server.endpoint, &pin).await.unwrap();
    let fingerprint = |server: &Server| {
        let host = server.path("host.pub");
        let line = tool("ssh-keygen", &["-l", "-f", host.to_str().unwrap()]);
        line.split(' ').nth(1).unwrap().to_owned()
    };
    let old = fingerprint(&server);
    new_host_key(&mut server, &["-t", "ed25519"]);
    log_in(&server, &server.endpoint, &pin).await.unwrap_err();
    let heard = Arc::new(Heard::default());
    let mut cx = cx();
    cx.events = heard.clone();
    let said = async || {
        connect(
            &server.endpoint,
            &server.credentials(),
            &accept,
            &cx,
            TIMEOUT,
        )
        .await
        .unwrap();
        std::mem::take(&mut *heard.0.lock().unwrap())
    };
    assert_eq!(
        said().await,
        [format!(
            "The host key of 127.0.0.1:{} was ssh-ed25519 {old}. It is ssh-ed25519 {} from now on.",
            server.endpoint.port,
            fingerprint(&server)
        )]
    );
    log_in(&server, &server.endpoint, &pin).await.unwrap();
    // The same key again is nothing new.
    assert_eq!(said().await, Vec::<String>::new());
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1);
}

/// Not even root can write to /sys.
#[tokio::test]
async fn a_file_that_cannot_be_written_does_not_prevent_a_login() {
    need_openssh!();
    let server = Server::started();
    let heard = Arc::new(Heard::default());
    let mut cx = cx();
    cx.events = heard.clone();
    let policy = HostKeys::PinAtFirstContact("/sys/.known_hosts".into());
    connect(
        &server.endpoint,
        &server.credentials(),
        &policy,
        &cx,
        TIMEOUT,
    )
    .await
    .unwrap();
    let said = heard.0.lock().unwrap();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains("is not recorded: cannot write /sys/.known_hosts"),
        "{said:?}"
    );
}

/// The lines for the user.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Events for Heard {
    fn emit(&self, event: Event) {
        if let Event::Say(line) | Event::Alert(line) = event {
            self.0.lock().unwrap().push(line);
        }
    }
}

#[tokio::test]
async fn a_short_rsa_key_is_refused_and_never_pinned() {
    need_openssh!();
    let mut server = Server::prepared();
    server.option("HostKeyAlgorithms rsa-sha2-512,rsa-sha2-256");
    for (bits, accepted) in [("1024", false), ("2048", true)] {
        new_host_key(&mut server, &["-t", "rsa", "-b", bits]);
        let file = server.path(".known_hosts");
        for policy in [
            HostKeys::AcceptAny,
            HostKeys::PinAtFirstContact(file.clone()),
        ] {
            let result = log_in(&server, &server.endpoint, &policy).await;
            match result {
                Ok(()) => assert!(accepted, "{bits}"),
                Err(error) => {
                    assert_eq!(error.layer(), Some(Layer::HostKey));
                    assert!(
                        !accepted && told(&error).contains("1024 bits"),
                        "{}",
                        told(&error)
                    );
                }
            }
        }
        assert_eq!(file.exists(), accepted);
    }
}
