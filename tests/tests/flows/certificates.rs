//! Certificates that come to their end: warned of, issued anew, replaced, and nobody cut off.

use std::path::PathBuf;

use machine_tests::certificates::{Pair, aged_authority, authority, client};
use machine_tests::flows::{Ended, Flow};

fn certs(flow: &Flow) -> PathBuf {
    flow.home.store().join("certs")
}

fn text(path: PathBuf) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn warnings(ended: &Ended) -> Vec<&str> {
    let lines = ended.err.lines();
    lines
        .filter(|line| line.starts_with("WARNING: the "))
        .collect()
}

/// The certificates of a PEM text.
fn blocks(pem: &str) -> Vec<&str> {
    pem.split_inclusive("-----END CERTIFICATE-----\n").collect()
}

/// A store with certificates of which so many days are left.
async fn with_days(days: i64) -> Flow {
    let flow = Flow::start().await;
    std::fs::create_dir_all(certs(&flow)).unwrap();
    let ca = authority(days);
    ca.write(&certs(&flow), "ca", "ca-key");
    client(&ca, days).write(&certs(&flow), "cert", "key");
    flow
}

#[tokio::test(flavor = "multi_thread")]
async fn their_end_is_warned_of_once_a_day_on_standard_error() {
    let flow = with_days(45).await;
    let home = &flow.home;
    let first = home.run(["ls", "-q"]).await.ok();
    assert_eq!(first.out, "");
    let said = warnings(&first);
    assert_eq!(said.len(), 2, "{first}");
    assert!(
        said[0].contains("CA") && said[0].contains("ends in 44 days"),
        "{first}"
    );
    assert!(
        said[1].contains("client certificate") && said[1].contains("cert.pem"),
        "{first}"
    );
    let second = home.run(["ls", "-q"]).await.ok();
    assert_eq!(second.err, "", "{second}");

    // A day later.
    let marks = home.store().join(".marks");
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(90_000);
    for mark in std::fs::read_dir(&marks).unwrap() {
        let file = std::fs::File::options()
            .write(true)
            .open(mark.unwrap().path())
            .unwrap();
        file.set_modified(yesterday).unwrap();
    }
    let third = home.run(["ls", "-q"]).await.ok();
    assert_eq!(warnings(&third).len(), 2, "{third}");

    // Whoever reads standard output gets nothing but what was asked for.
    std::fs::remove_dir_all(&marks).unwrap();
    let created = home
        .run(["create", "--driver=none", "--url=tcp://127.0.0.1:1", "n"])
        .await
        .ok();
    assert_eq!(warnings(&created).len(), 2, "{created}");
    std::fs::remove_dir_all(&marks).unwrap();
    let url = home.run(["url", "n"]).await.ok();
    assert_eq!(url.out, "tcp://127.0.0.1:1\n", "{url}");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_before_their_end_nobody_is_bothered() {
    let flow = with_days(61).await;
    let ended = flow.home.run(["ls", "-q"]).await.ok();
    assert_eq!(ended.err, "");
    assert!(!flow.home.store().join(".marks").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_client_certificate_is_issued_anew_by_the_same_ca() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let (certs, machine) = (certs(&flow), flow.home.machine("m1"));
    let ca = Pair::read(&certs, "ca", "ca-key");
    let ended = client(&ca, -1);
    ended.write(&certs, "cert", "key");
    ended.write(&machine, "cert", "key");

    // As the runner calls it, several at once.
    let configs = (0..8).map(|_| flow.home.run(["config", "m1"]));
    for config in futures_util::future::join_all(configs).await {
        let config = config.ok();
        assert!(config.out.starts_with("--tlsverify\n"), "{config}");
    }
    let new = Pair::read(&certs, "cert", "key");
    assert_ne!(new, ended);
    assert_eq!(Pair::read(&machine, "cert", "key"), new);
    assert_eq!(Pair::read(&certs, "ca", "ca-key"), ca);

    // A create finds it out, too.
    client(&ca, -1).write(&certs, "cert", "key");
    flow.create("m2", &[]).await.ok();
    let newer = Pair::read(&certs, "cert", "key");
    assert_eq!(Pair::read(&flow.home.machine("m2"), "cert", "key"), newer);
    assert_eq!(Pair::read(&certs, "ca", "ca-key"), ca);
    flow.home.run(["config", "m1"]).await.ok();
    flow.home.run(["config", "m2"]).await.ok();

    // And so does whoever provisions.
    client(&ca, -1).write(&certs, "cert", "key");
    flow.home.run(["provision", "m1"]).await.ok();
    let newest = Pair::read(&certs, "cert", "key");
    assert_eq!(Pair::read(&machine, "cert", "key"), newest);
    flow.home.run(["config", "m1"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_issues_an_ended_client_certificate_anew() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    flow.create("m2", &[]).await.ok();
    let ended = client(&Pair::read(&certs(&flow), "ca", "ca-key"), -1);
    let machines = ["m1", "m2"].map(|name| flow.home.machine(name));
    for directory in machines.iter().chain([&certs(&flow)]) {
        ended.write(directory, "cert", "key");
    }
    let listed = flow.home.run(["ls"]).await.ok();
    assert_eq!(listed.out.matches(" v2").count(), 2, "{listed}");
    let new = Pair::read(&certs(&flow), "cert", "key");
    assert_ne!(new, ended);
    for directory in &machines {
        assert_eq!(Pair::read(directory, "cert", "key"), new);
    }
}

/// A crash between the two writes leaves a new half beside an old one.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_client_certificate_is_made_whole_again() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let (certs, machine) = (certs(&flow), flow.home.machine("m1"));
    let ca = Pair::read(&certs, "ca", "ca-key");
    let whole = Pair::read(&certs, "cert", "key");
    let newer = client(&ca, 900);
    for (half, command) in [("cert.pem", "config"), ("key.pem", "ls")] {
        let text = match half {
            "cert.pem" => &newer.certificate,
            _ => &newer.key,
        };
        std::fs::write(machine.join(half), text).unwrap();
        let argv = [command, "m1"];
        let argv = if command == "ls" { &argv[..1] } else { &argv };
        let ended = flow.home.run(argv).await.ok();
        assert!(!ended.err.contains("certificate"), "{ended}");
        assert_eq!(Pair::read(&machine, "cert", "key"), whole, "{half}");
    }
    // The shared one is issued anew.
    for command in [["config", "m1"], ["provision", "m1"]] {
        std::fs::write(certs.join("key.pem"), &client(&ca, 900).key).unwrap();
        if command[0] == "config" {
            std::fs::write(machine.join("key.pem"), &newer.key).unwrap();
        }
        flow.home.run(command).await.ok();
        let new = Pair::read(&certs, "cert", "key");
        assert_ne!(new.certificate, whole.certificate);
        assert_eq!(Pair::read(&machine, "cert", "key"), new);
        flow.home.run(["config", "m1"]).await.ok();
    }
    assert_eq!(Pair::read(&certs, "ca", "ca-key"), ca);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_of_any_ca_that_the_machine_trusts_is_brought_to_it() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let (certs, machine) = (certs(&flow), flow.home.machine("m1"));
    let ca = Pair::read(&certs, "ca", "ca-key");
    let both = authority(900).certificate + &ca.certificate;
    std::fs::write(machine.join("ca.pem"), &both).unwrap();
    let ended = client(&ca, -1);
    ended.write(&certs, "cert", "key");
    ended.write(&machine, "cert", "key");
    flow.home.run(["config", "m1"]).await.ok();
    let new = Pair::read(&certs, "cert", "key");
    assert_ne!(new, ended);
    assert_eq!(Pair::read(&machine, "cert", "key"), new);
    assert_eq!(text(machine.join("ca.pem")), both, "it trusts whom it did");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_ca_is_made_loudly_and_the_old_one_trusted_while_it_has_machines() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let certs = certs(&flow);
    let old = aged_authority(&text(certs.join("ca-key.pem")), 20);
    old.write(&certs, "ca", "ca-key");
    let m1 = text(flow.home.machine("m1").join("server.pem"));

    // Two at once: one of them makes it.
    let (two, three) = tokio::join!(flow.create("m2", &[]), flow.create("m3", &[]));
    let (two, three) = (two.ok(), three.ok());
    let loud = |ended: &Ended| ended.err.matches("a NEW CA was made").count();
    assert_eq!(loud(&two) + loud(&three), 1, "{two}\n{three}");
    let trusted = text(certs.join("ca.pem"));
    assert_eq!(blocks(&trusted).len(), 2, "{trusted}");
    assert_eq!(blocks(&trusted)[1], old.certificate);
    assert_eq!(text(certs.join("ca-key-old.pem")), old.key);
    assert_ne!(text(certs.join("ca-key.pem")), old.key);

    // Nobody is cut off, and m1 is as it was.
    for name in ["m1", "m2", "m3"] {
        flow.home.run(["config", name]).await.ok();
    }
    assert_eq!(text(flow.home.machine("m1").join("server.pem")), m1);
    // m1 may come over to the new one.
    flow.home.run(["regenerate-certs", "-f", "m1"]).await.ok();
    assert_ne!(text(flow.home.machine("m1").join("server.pem")), m1);
    flow.home.run(["config", "m1"]).await.ok();

    // With its last machine the old one goes.
    flow.create("m4", &[]).await.ok();
    assert_eq!(text(certs.join("ca.pem")), blocks(&trusted)[0]);
    flow.home.run(["config", "m4"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_brings_a_machine_to_the_new_ca_with_all_its_certificates() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let (certs, machine) = (certs(&flow), flow.home.machine("m1"));
    let old = aged_authority(&text(certs.join("ca-key.pem")), 20);
    old.write(&certs, "ca", "ca-key");
    flow.create("m2", &[]).await.ok();
    assert_ne!(text(certs.join("ca-key.pem")), old.key);

    flow.home.run(["upgrade", "m1"]).await.ok();
    let shared = Pair::read(&certs, "cert", "key");
    assert_eq!(Pair::read(&machine, "cert", "key"), shared);
    assert_eq!(text(machine.join("ca.pem")), text(certs.join("ca.pem")));
    flow.home.run(["config", "m1"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_refuses_a_new_ca_is_reached_with_the_old_certificates() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let (certs, machine) = (certs(&flow), flow.home.machine("m1"));
    let before = Pair::read(&machine, "cert", "key");
    // A CA of which the engine has never heard, as when somebody has brought one.
    let other = authority(900);
    other.write(&certs, "ca", "ca-key");
    client(&other, 900).write(&certs, "cert", "key");
    let host = flow.host();
    let docker = host.root().join("etc/docker");
    std::fs::remove_dir_all(&docker).unwrap();
    std::fs::write(&docker, "").unwrap();
    let ended = flow.home.run(["provision", "m1"]).await;
    assert_ne!(ended.code, Some(0), "{ended}");
    assert_eq!(Pair::read(&machine, "cert", "key"), before);
    flow.home.run(["config", "m1"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_of_the_users_is_never_replaced() {
    let flow = with_days(10).await;
    let own = flow.home.path().join("own");
    std::fs::create_dir(&own).unwrap();
    let ca = Pair::read(&certs(&flow), "ca", "ca-key");
    ca.write(&own, "ca", "ca-key");
    std::fs::remove_dir_all(certs(&flow)).unwrap();
    let flags = ["ca-cert=own/ca.pem", "ca-key=own/ca-key.pem"].map(|f| format!("--tls-{f}"));
    let argv = flags.iter().map(String::as_str);
    let create = ["create", "--driver=none", "--url=tcp://127.0.0.1:1", "n"];
    let created = flow.home.run(argv.chain(create)).await.ok();
    assert!(created.err.contains("replace it"), "{created}");
    assert_eq!(Pair::read(&own, "ca", "ca-key"), ca);
}
