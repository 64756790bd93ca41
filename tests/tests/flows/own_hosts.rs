//! The user's own hosts (drivers `generic` and `none`): keys, host keys, early failures.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use machine_tests::flows::{Ended, Flow, Home};
use machine_tests::sshd::{Agent, free_address, new_key};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Returns a host of the lab that accepts a key of the user, and that key.
async fn host_and_key(flow: &Flow) -> (String, PathBuf) {
    let key = flow.home.path().join("work_key");
    new_key(&key);
    let flag = format!("--amazonec2-ssh-keypath={}", key.display());
    flow.create("m1", &[&flag]).await.ok();
    let address = flow.home.run(["ip", "m1"]).await.ok().out;
    (address.trim().to_owned(), key)
}

async fn create(home: &Home, name: &str, address: &str, more: &[&str]) -> Ended {
    let address = format!("--generic-ip-address={address}");
    let mut argv = vec!["create", "--driver=generic", &address];
    argv.extend(["--generic-ssh-port=2222", "--generic-ssh-user=ubuntu"]);
    argv.extend(more);
    argv.push(name);
    home.run(argv).await
}

/// Sets a passphrase for a key.
fn encrypt(key: &Path) {
    let encrypted = Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", "geheim", "-f"])
        .arg(key)
        .status();
    assert!(encrypted.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_key_needs_an_agent_that_holds_it() {
    let mut flow = Flow::start().await;
    let (address, key) = host_and_key(&flow).await;
    let plain = flow.home.path().join("plain_key");
    std::fs::copy(&key, &plain).unwrap();
    encrypt(&key);

    // Without an agent, nothing is launched, and no directory is created.
    let launches = || {
        let changes = flow.changes();
        changes
            .iter()
            .filter(|call| *call == "RunInstances")
            .count()
    };
    let before = launches();
    let path = format!("--amazonec2-ssh-keypath={}", key.display());
    for refused in [
        flow.create("m2", &[&path]).await,
        flow.create("m2", &[&path, "--dry-run"]).await,
        create(
            &flow.home,
            "g1",
            &address,
            &[&format!("--generic-ssh-key={}", key.display())],
        )
        .await,
    ] {
        refused.failed(
            1,
            &[
                "is encrypted, and no agent holds it",
                "ssh-add",
                key.to_str().unwrap(),
            ],
        );
    }
    assert_eq!(launches(), before);
    assert_eq!(flow.home.directories(), ["m1"]);
    // The same applies to files that are not private keys.
    for name in ["work_key.pub", "."] {
        let path = format!(
            "--amazonec2-ssh-keypath={}/{name}",
            flow.home.path().display()
        );
        let refused = flow.create("m2", &[&path]).await;
        assert_ne!(refused.code, Some(0), "{refused}");
    }
    assert_eq!(launches(), before);

    // The agent signs, in this and in every later command.
    let _agent = Agent::start(&mut flow.home, &[plain]);
    let home = &flow.home;
    let given = format!("--generic-ssh-key={}", key.display());
    create(home, "g1", &address, &[&given]).await.ok();
    assert_eq!(home.run(["ssh", "g1", "hostname"]).await.ok().out, "g1\n");
    home.run(["provision", "g1"]).await.ok();
    let flag = format!("--amazonec2-ssh-keypath={}", key.display());
    flow.create("m3", &[&flag]).await.ok();
    // With OpenSSH, too.
    let passed = home
        .run(["ssh", "m3", "-o", "Compression=yes", "hostname"])
        .await;
    assert_eq!(passed.ok().out, "m3\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_host_key_is_taken_over_by_a_flag() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let home = &flow.home;
    let pins = home.machine("m1").join(".known_hosts");
    let pinned = std::fs::read_to_string(&pins).unwrap();
    let (host, rest) = pinned.split_once(' ').unwrap();
    let other = home.path().join("other");
    new_key(&other);
    let other = std::fs::read_to_string(other.with_extension("pub")).unwrap();
    let set_up_anew = || std::fs::write(&pins, format!("{host} {other}")).unwrap();

    for command in [
        vec!["provision", "m1"],
        vec!["regenerate-certs", "-f", "m1"],
        vec!["upgrade", "m1"],
    ] {
        set_up_anew();
        let refused = home.run(&command).await;
        refused.failed(
            1,
            &[
                "has changed: it shows ssh-ed25519 SHA256:",
                "docker-machine provision --accept-new-host-key m1",
            ],
        );
        let mut accepting = command.clone();
        accepting.insert(1, "--accept-new-host-key");
        let accepted = home.run(&accepting).await.ok();
        let line = accepted.out.lines().find(|line| line.contains("host key"));
        let line = line.unwrap_or_else(|| panic!("{accepted}"));
        assert_eq!(line.matches("ssh-ed25519 SHA256:").count(), 2, "{line}");
        let now = std::fs::read_to_string(&pins).unwrap();
        assert!(now.contains(rest.trim()), "{now}");
        home.run(["ssh", "m1", "true"]).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waiting_does_not_change_ends_a_create() {
    let flow = Flow::start().await;
    let (address, key) = host_and_key(&flow).await;
    let home = &flow.home;
    let right = format!("--generic-ssh-key={}", key.display());
    let soon = |ended: &Ended| assert!(ended.took < Duration::from_secs(60), "{ended}");

    // Invalid addresses and unknown names create nothing.
    let user = create(home, "g1", "dev@host", &[&right]).await;
    user.failed(1, &["\"dev@host\"", "--generic-ssh-user"]);
    let port = create(home, "g1", "host:22", &[&right]).await;
    port.failed(1, &["\"host:22\"", "--generic-ssh-port"]);
    let unknown = create(home, "g1", "no-such-host.invalid", &[&right]).await;
    soon(&unknown);
    unknown.failed(3, &["cannot resolve no-such-host.invalid"]);

    // Connections that are refused for 10 s.
    let nobody = format!("--generic-ssh-port={}", free_address().port());
    let refused = create(home, "g1", "127.0.0.1", &[&right, &nobody]).await;
    soon(&refused);
    refused.failed(
        1,
        &["refuses connections", "nothing listens on the SSH port"],
    );
    // Logins that are refused three times.
    let stranger = home.path().join("stranger");
    new_key(&stranger);
    let stranger = format!("--generic-ssh-key={}", stranger.display());
    for wrong in [&stranger, "--generic-ssh-user=nobody-else"] {
        let refused = create(home, "g1", &address, &[&right, wrong]).await;
        soon(&refused);
        refused.failed(1, &["refuses to log in", "check the user name"]);
    }
    assert_eq!(home.directories(), ["m1"]);
}

/// The machine's directory in two stores, one of which provisions the host again.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_provisioned_from_elsewhere_is_explained() {
    let flow = Flow::start().await;
    let (address, key) = host_and_key(&flow).await;
    let home = &flow.home;
    let given = format!("--generic-ssh-key={}", key.display());
    create(home, "g1", &address, &[&given]).await.ok();
    flow.create("m2", &[]).await.ok();
    let mut copy = Home::new();
    copy.set("MACHINE_STORAGE_PATH", copy.path().join("copy"));
    let line = format!(
        "cp -a {}/. {}",
        home.store().display(),
        copy.store().display()
    );
    home.shell(&line).await.ok();
    for name in ["g1", "m2"] {
        copy.run(["config", name]).await.ok();
        home.run(["regenerate-certs", "-f", name]).await.ok();
        for command in ["config", "version"] {
            let refused = copy.run([command, name]).await;
            let refused = refused.failed(
                1,
                &[
                    "provisioned again from elsewhere",
                    "docker-machine regenerate-certs",
                ],
            );
            assert!(
                !refused.err.contains("another machine has its address"),
                "{refused}"
            );
        }
        let filter = format!("name=^{name}$");
        for command in [&["ls", "--filter", &filter][..], &["doctor", name]] {
            let told = copy.run(command).await;
            assert!(
                told.out.contains("provisioned again from elsewhere"),
                "{told}"
            );
        }
        copy.run(["regenerate-certs", "-f", name]).await.ok();
        copy.run(["config", name]).await.ok();
    }
}

/// An engine of this computer (driver `none`).
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_at_a_socket_tells_its_version() {
    let home = Home::new();
    let socket = home.path().join("docker.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let engine = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /version HTTP/1."));
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"Version\":\"29.0.1\"}";
            stream.write_all(answer).await.unwrap();
        }
    });
    let url = format!("--url=unix://{}", socket.display());
    home.run(["create", "--driver=none", &url, "n1"]).await.ok();
    let listed = home.run(["ls"]).await.ok();
    let line = listed.table().pop().unwrap();
    assert_eq!(line[line.len() - 1], "v29.0.1", "{listed}");
    let version = home.run(["version", "n1"]).await.ok();
    assert_eq!(version.out, "29.0.1\n");
    engine.abort();
    // The task's end closes the socket.
    let _ = engine.await;
    let listed = home.run(["ls"]).await.ok();
    assert!(listed.out.contains("Unknown"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_logs_in_and_leaves_nothing() {
    let flow = Flow::start().await;
    let (address, key) = host_and_key(&flow).await;
    let key_flag = format!("--generic-ssh-key={}", key.display());
    let planned = create(&flow.home, "g1", &address, &[&key_flag, "--dry-run"]).await;
    let planned = planned.ok();
    let step = format!("  use the host {address} and log in as ubuntu at port 2222\n");
    assert!(planned.out.contains(&step), "{planned}");
    assert!(
        planned.out.contains(&format!("address:       {address}\n")),
        "{planned}"
    );
    assert_eq!(flow.home.directories(), ["m1"]);

    let other = flow.home.path().join("other_key");
    new_key(&other);
    let other_flag = format!("--generic-ssh-key={}", other.display());
    let refused = create(&flow.home, "g1", &address, &[&other_flag, "--dry-run"]).await;
    refused.failed(1, &["ubuntu", other.to_str().unwrap()]);
    let closed = ["--generic-ssh-port=9", &key_flag, "--dry-run"];
    let closed = create(&flow.home, "g1", &address, &closed).await;
    closed.failed(1, &["refuses connections"]);
    assert_eq!(flow.home.directories(), ["m1"]);
}
