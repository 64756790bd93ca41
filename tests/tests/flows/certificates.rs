//! Certificates that expire: warnings, reissue and replacement. No machine becomes unreachable.

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

/// A store whose certificates expire in this many days.
async fn with_days(days: i64) -> Flow {
    let flow = Flow::start().await;
    std::fs::create_dir_all(certs(&flow)).unwrap();
    let ca = authority(days);
    ca.write(&certs(&flow), "ca", "ca-key");
    client(&ca, days).write(&certs(&flow), "cert", "key");
    flow
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_about_expiry_is_printed_once_a_day_on_standard_error() {
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

    // Standard output contains only the result of the command.
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
async fn certificates_far_from_expiry_cause_no_warning() {
    let flow = with_days(61).await;
    let ended = flow.home.run(["ls", "-q"]).await.ok();
    assert_eq!(ended.err, "");
    assert!(!flow.home.store().join(".marks").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_ca_reissues_an_expired_client_certificate() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let (certs, machine) = (certs(&flow), flow.home.machine("m1"));
    let ca = Pair::read(&certs, "ca", "ca-key");
    let ended = client(&ca, -1);
    ended.write(&certs, "cert", "key");
    ended.write(&machine, "cert", "key");

    // Concurrent calls, as the runner makes them.
    let configs = (0..8).map(|_| flow.home.run(["config", "m1"]));
    for config in futures_util::future::join_all(configs).await {
        let config = config.ok();
        assert!(config.out.starts_with("--tlsverify\n"), "{config}");
    }
    let new = Pair::read(&certs, "cert", "key");
    assert_ne!(new, ended);
    assert_eq!(Pair::read(&machine, "cert", "key"), new);
    assert_eq!(Pair::read(&certs, "ca", "ca-key"), ca);

    // A create detects it, too.
    client(&ca, -1).write(&certs, "cert", "key");
    flow.create("m2", &[]).await.ok();
    let newer = Pair::read(&certs, "cert", "key");
    assert_eq!(Pair::read(&flow.home.machine("m2"), "cert", "key"), newer);
    assert_eq!(Pair::read(&certs, "ca", "ca-key"), ca);
    flow.home.run(["config", "m1"]).await.ok();
    flow.home.run(["config", "m2"]).await.ok();

    // So does provision.
    client(&ca, -1).write(&certs, "cert", "key");
    flow.home.run(["provision", "m1"]).await.ok();
    let newest = Pair::read(&certs, "cert", "key");
    assert_eq!(Pair::read(&machine, "cert", "key"), newest);
    flow.home.run(["config", "m1"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_reissues_an_expired_client_certificate() {
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

/// A crash between the two writes leaves a new file beside an old one.
#[tokio::test(flavor = "multi_thread")]
async fn a_mismatched_client_certificate_and_key_are_repaired() {
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
    // The shared certificate is reissued.
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
async fn a_machine_gets_a_client_certificate_of_any_ca_that_it_trusts() {
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
    assert_eq!(
        text(machine.join("ca.pem")),
        both,
        "the machine's trusted CAs changed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_ca_is_reported_and_the_old_one_stays_trusted_while_machines_use_it() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let certs = certs(&flow);
    let old = aged_authority(&text(certs.join("ca-key.pem")), 20);
    old.write(&certs, "ca", "ca-key");
    let m1 = text(flow.home.machine("m1").join("server.pem"));

    // Two concurrent commands: one of them creates the CA.
    let (two, three) = tokio::join!(flow.create("m2", &[]), flow.create("m3", &[]));
    let (two, three) = (two.ok(), three.ok());
    let loud = |ended: &Ended| ended.err.matches("a NEW CA was made").count();
    assert_eq!(loud(&two) + loud(&three), 1, "{two}\n{three}");
    let trusted = text(certs.join("ca.pem"));
    assert_eq!(blocks(&trusted).len(), 2, "{trusted}");
    assert_eq!(blocks(&trusted)[1], old.certificate);
    assert_eq!(text(certs.join("ca-key-old.pem")), old.key);
    assert_ne!(text(certs.join("ca-key.pem")), old.key);

    // Every machine stays reachable, and m1 is unchanged.
    for name in ["m1", "m2", "m3"] {
        flow.home.run(["config", name]).await.ok();
    }
    assert_eq!(text(flow.home.machine("m1").join("server.pem")), m1);
    // m1 can change to the new CA.
    flow.home.run(["regenerate-certs", "-f", "m1"]).await.ok();
    assert_ne!(text(flow.home.machine("m1").join("server.pem")), m1);
    flow.home.run(["config", "m1"]).await.ok();

    // With its last machine, the old CA is removed.
    flow.create("m4", &[]).await.ok();
    assert_eq!(text(certs.join("ca.pem")), blocks(&trusted)[0]);
    flow.home.run(["config", "m4"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_moves_all_certificates_of_a_machine_to_the_new_ca() {
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
async fn a_host_that_rejects_a_new_ca_stays_reachable_with_the_old_certificates() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let (certs, machine) = (certs(&flow), flow.home.machine("m1"));
    let before = Pair::read(&machine, "cert", "key");
    // A CA that the engine does not know, for example one that the user supplied.
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
async fn a_ca_that_the_user_supplied_is_never_replaced() {
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
