//! A machine whose address changed outside docker-machine: by a stop and start in the console, or by an Elastic IP.

use machine_tests::flows::{Ended, Flow};

const READS: &str = "DescribeInstances";

/// An address of this computer without a listener.
const BEFORE: &str = "127.77.0.9";

/// Replaces the saved machine's address with an old one.
fn set_saved_address(flow: &Flow, address: &str) {
    let config = flow.home.machine("m1").join("config.json");
    let saved = std::fs::read_to_string(&config).unwrap();
    let now = flow.host().spec().address.to_string();
    let ours = format!("\"IPAddress\": \"{now}\"");
    let other = saved.replace(&ours, &format!("\"IPAddress\": \"{address}\""));
    assert_ne!(other, saved);
    std::fs::write(&config, other).unwrap();
}

/// Asserts that the old address is still saved, and replaces it with the present one.
fn restore_saved_address(flow: &Flow, before: &str) {
    let config = flow.home.machine("m1").join("config.json");
    let saved = std::fs::read_to_string(&config).unwrap();
    let now = flow.host().spec().address.to_string();
    let old = format!("\"IPAddress\": \"{before}\"");
    assert!(saved.contains(&old), "{saved}");
    let ours = format!("\"IPAddress\": \"{now}\"");
    std::fs::write(&config, saved.replace(&old, &ours)).unwrap();
}

/// Asserts that a command reported the new address once, and saved it.
async fn assert_reported_and_saved(flow: &Flow, ended: &Ended, before: &str) {
    let now = flow.host().spec().address.to_string();
    let line = match before {
        "" => format!("(m1) The machine's address is {now}"),
        before => format!("(m1) The machine's address is {now} now; it was {before}"),
    };
    let told = format!("{}{}", ended.out, ended.err);
    assert_eq!(told.matches(&line).count(), 1, "{ended}");
    let ip = flow.home.run(["ip", "m1"]).await.ok();
    assert_eq!(ip.out.trim(), now, "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_call_ec2_save_a_new_address() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let now = flow.host().spec().address.to_string();
    for before in [BEFORE, ""] {
        for argv in [
            &["ls"][..],
            &["url", "m1"],
            &["config", "m1"],
            &["env", "m1"],
            &["version", "m1"],
            &["ssh", "m1", "true"],
            &["provision", "m1"],
            &["regenerate-certs", "-f", "m1"],
            &["restart", "m1"],
        ] {
            set_saved_address(&flow, before);
            let reads = flow.lab.count(READS);
            let ended = flow.home.run(argv).await.ok();
            if matches!(argv[0], "ls" | "url" | "config" | "env") {
                assert!(ended.out.contains(&now), "{ended}");
                assert!(
                    ended.err.contains("(m1) The machine's address is"),
                    "{ended}"
                );
                assert_eq!(flow.lab.count(READS), reads + 1, "{ended}");
            }
            assert_reported_and_saved(&flow, &ended, before).await;
        }
        set_saved_address(&flow, before);
        let started = flow.home.run(["start", "m1"]).await;
        assert!(
            started.out.contains("is already running")
                || started.err.contains("is already running"),
            "{started}"
        );
        assert_reported_and_saved(&flow, &started, before).await;
    }
}

/// Another process works on the machine, so that its new address cannot be saved.
#[tokio::test(flavor = "multi_thread")]
async fn programs_get_the_new_address_of_a_locked_machine() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let ambient = std::sync::Arc::new(machine_ops::SystemAmbient::new());
    let store = machine_store::Store::new(flow.home.store(), ambient);
    let lock = store.try_lock_machine(&"m1".parse().unwrap()).unwrap();
    for before in [BEFORE, ""] {
        set_saved_address(&flow, before);
        for argv in [
            &["ssh", "m1", "-o", "Compression=yes", "true"][..],
            &["scp", "-d", "m1:/etc/hostname", "."],
            &["ssh", "m1", "true"],
            &["config", "m1"],
        ] {
            flow.home.run(argv).await.ok();
        }
        // `ls` reads the address, and does not save it.
        let ls = flow.home.run(["ls"]).await.ok();
        assert!(
            ls.out.contains(&flow.host().spec().address.to_string()),
            "{ls}"
        );
        assert!(!ls.out.contains("no address"), "{ls}");
        restore_saved_address(&flow, before);
    }
    drop(lock);
}

/// The file of host keys keeps the old address then.
#[tokio::test(flavor = "multi_thread")]
async fn openssh_gets_the_new_address_with_a_read_only_store() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let Some(unshare) = crate::bad_store::unshare(&flow.home).await else {
        return;
    };
    let now = flow.host().spec().address.to_string();
    set_saved_address(&flow, BEFORE);
    let pins = flow.home.machine("m1").join(".known_hosts");
    let pinned = std::fs::read_to_string(&pins).unwrap();
    std::fs::write(&pins, pinned.replace(&now, BEFORE)).unwrap();
    let inside = "s=$MACHINE_STORAGE_PATH; mount --bind $s $s && mount -o remount,bind,ro $s && \
                  docker-machine ssh m1 -o Compression=yes true";
    let ended = flow
        .home
        .shell(&format!("{unshare} sh -c '{inside}'"))
        .await;
    let told = format!("(m1) The machine's address is {now} now; it was {BEFORE}");
    assert!(ended.ok().err.contains(&told));
    restore_saved_address(&flow, BEFORE);
}

/// EC2 gives the address of a stopped machine to another one.
#[tokio::test(flavor = "multi_thread")]
async fn openssh_gets_the_new_address_where_another_host_has_the_old_one() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let now = flow.host().spec().address.to_string();
    flow.create("m2", &[]).await.ok();
    let hosts = flow.hosts.hosts();
    let mut addresses = hosts.iter().map(|host| host.spec().address.to_string());
    let other = addresses.find(|address| *address != now).unwrap();
    for file in ["config.json", ".known_hosts"] {
        let path = flow.home.machine("m1").join(file);
        let saved = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, saved.replace(&now, &other)).unwrap();
    }
    let ssh = flow
        .home
        .run(["ssh", "m1", "-o", "Compression=yes", "true"])
        .await
        .ok();
    let told = format!("(m1) The machine's address is {now} now; it was {other}");
    assert!(ssh.err.contains(&told), "{ssh}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_at_the_new_address_is_not_the_machine() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    flow.create("m2", &[]).await.ok();
    // The pins of m1 are now those of m2: the host at the address that EC2 reports is not the machine.
    let home = &flow.home;
    for file in [".known_hosts", "server.pem"] {
        std::fs::copy(home.machine("m2").join(file), home.machine("m1").join(file)).unwrap();
    }
    let config = home.machine("m1").join("config.json");
    let saved = std::fs::read_to_string(&config).unwrap();
    let hosts = flow.hosts.hosts();
    let saved = hosts.iter().fold(saved, |text, host| {
        text.replace(&host.spec().address.to_string(), BEFORE)
    });
    std::fs::write(&config, saved).unwrap();
    let ssh = home.run(["ssh", "m1", "true"]).await;
    ssh.failed(1, &["(m1) The machine's address is", "host key"]);
    let env = home.run(["config", "m1"]).await;
    env.failed(1, &["error validating certificates"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_reports_a_new_address_and_does_not_save_it() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    set_saved_address(&flow, BEFORE);
    let now = flow.host().spec().address.to_string();
    let doctor = flow.home.run(["doctor", "m1"]).await.ok();
    let found = format!("its address is {now}; the saved one is {BEFORE}");
    assert!(doctor.out.contains(&found), "{doctor}");
    assert!(doctor.out.contains("Docker answers"), "{doctor}");
    let ip = flow.home.run(["ip", "m1"]).await.ok();
    assert_eq!(ip.out.trim(), BEFORE);
}
