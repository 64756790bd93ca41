//! `start` and `restart`: their output and errors. Commands that need a running machine report stopped and missing
//! instances.

use machine_tests::flows::Flow;

const READS: &str = "DescribeInstances";
const UNKNOWN: &str = "i-0123456789abcdef0";

/// Creates `m1`, whose instance EC2 no longer describes.
async fn vanished() -> Flow {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    std::fs::remove_file(flow.home.machine("m1").join(".journal")).unwrap();
    let id = flow.lab.live_instances().remove(0).id;
    assert!(flow.lab.reclaim(&id));
    flow.lab.until(|lab| lab.live_instances().is_empty()).await;
    flow.lab
        .until(|_| flow.hosts.hosts().iter().all(|host| !host.is_on()))
        .await;
    // EC2 describes an ended instance for an hour. This id is unknown to EC2.
    let config = flow.home.machine("m1").join("config.json");
    let saved = std::fs::read_to_string(&config).unwrap();
    std::fs::write(config, saved.replace(&id, UNKNOWN)).unwrap();
    flow
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_ec2_no_longer_knows_is_reported() {
    let flow = vanished().await;
    for (argv, said) in [
        (
            &["config", "m1"][..],
            "Error running connection boilerplate: ",
        ),
        (&["env", "m1"], "Error checking TLS connection: "),
        (&["version", "m1"], "Unable to query docker version: "),
        (&["ssh", "m1", "true"], "Error: Cannot run SSH command: "),
    ] {
        let ended = flow.home.run(argv).await;
        let ended = ended.failed(1, &[&format!("{said}there is no instance {UNKNOWN}")]);
        assert!(!ended.err.contains("regenerate-certs"), "{ended}");
    }
    let removed = flow.home.run(["rm", "-y", "m1"]).await.ok();
    let line = "(m1) Remote instance does not exist, proceeding with removing local reference\n";
    assert!(removed.out.contains(line), "{removed}");
    assert_eq!(flow.home.directories(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_machine_starts_again() {
    let flow = Flow::start().await;
    let home = &flow.home;
    flow.create("m1", &[]).await.ok();
    let running = home.run(["version", "m1"]).await.ok();
    assert!(!running.out.is_empty());

    home.run(["stop", "m1"]).await.ok();
    let before = flow.lab.count(READS);
    let version = home.run(["version", "m1"]).await;
    version.failed(1, &["Unable to query docker version: Host is not running"]);
    assert_eq!(flow.lab.count(READS), before + 1);
    // A machine that never had an address gets the same error.
    let config = home.machine("m1").join("config.json");
    let saved = std::fs::read_to_string(&config).unwrap();
    let address = flow.host().spec().address.to_string();
    let without = saved.replace(
        &format!("\"IPAddress\": \"{address}\""),
        "\"IPAddress\": \"\"",
    );
    assert_ne!(without, saved);
    std::fs::write(&config, without).unwrap();
    let version = home.run(["version", "m1"]).await;
    version.failed(1, &["Unable to query docker version: Host is not running"]);
    std::fs::write(&config, saved).unwrap();

    const ADDRESSES: &str = "machines may have new IP addresses. You may need to re-run the \
                             `docker-machine env` command.\n";
    let restarted = home.run(["restart", "m1"]).await.ok();
    let begin = "Restarting \"m1\"...\nStarting \"m1\"...\nMachine \"m1\" was started.\n";
    assert!(restarted.out.starts_with(begin), "{restarted}");
    let end = format!("Restarted {ADDRESSES}");
    assert!(restarted.out.ends_with(&end), "{restarted}");
    let restarted = home.run(["restart", "m1"]).await.ok();
    assert!(restarted.out.ends_with(&end), "{restarted}");
    assert!(!restarted.out.contains("Starting"), "{restarted}");
    home.run(["stop", "m1"]).await.ok();
    let started = home.run(["start", "m1"]).await.ok();
    let end = format!("Started {ADDRESSES}");
    assert!(started.out.ends_with(&end), "{started}");

    let renewed = home.run(["regenerate-certs", "-f", "--client-certs", "m1"]);
    let renewed = renewed.await.ok();
    let begin = "Regenerating TLS certificates\nRegenerating local certificates\n";
    assert!(renewed.out.starts_with(begin), "{renewed}");
}

/// A user's own host whose sudo asks for a password: restart fails there.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_the_host_refuses_is_an_error() {
    let flow = Flow::start().await;
    let home = &flow.home;
    flow.create("m1", &[]).await.ok();
    let key = home.path().join("key");
    std::fs::copy(home.machine("m1").join("id_rsa"), &key).unwrap();
    let spec = flow.host().spec();
    let created = home
        .run([
            "create",
            "--driver=generic",
            &format!("--generic-ip-address={}", spec.address),
            "--generic-ssh-port=2222",
            &format!("--generic-ssh-user={}", spec.user),
            &format!("--generic-ssh-key={}", key.display()),
            "g1",
        ])
        .await
        .ok();
    let line = format!(
        "(g1) Couldn't copy SSH public key : open {}.pub: no such file or directory\n",
        key.display()
    );
    assert!(created.out.contains(&line), "{created}");

    let refuses = flow.host().root().join("run/lab/sudo-refuses");
    std::fs::write(&refuses, "sudo: a password is required\n").unwrap();
    let restarted = home.run(["restart", "g1"]).await;
    restarted.failed(1, &["exit status 1", "sudo: a password is required"]);
    std::fs::remove_file(refuses).unwrap();
    home.run(["config", "g1"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_in_a_missing_directory_are_an_error() {
    let flow = Flow::start().await;
    let nowhere = flow.home.path().join("c");
    let flag = |name: &str, file: &str| format!("--tls-{name}={}/{file}", nowhere.display());
    let argv = [
        flag("ca-cert", "ca.pem"),
        flag("ca-key", "ca-key.pem"),
        flag("client-cert", "cert.pem"),
        flag("client-key", "key.pem"),
    ];
    let create = ["create", "-d=none", "--url=tcp://127.0.0.1:1", "a"].map(str::to_owned);
    let ended = flow.home.run(argv.iter().chain(&create)).await;
    let ended = ended.failed(
        1,
        &[
            "Error generating certificates: cannot create ",
            "/c/ca-key.pem\n  caused by: there is no directory ",
        ],
    );
    assert!(!ended.err.contains(".writing"), "{ended}");
    assert!(!nowhere.exists());
}
