//! The lifecycle of a machine, through the binary, on simulated hosts.

use std::os::unix::fs::PermissionsExt as _;

use machine_tests::flows::{Flow, REGION};

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_works_from_create_to_rm() {
    let flow = Flow::start().await;
    flow.suite().life().await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_of_several_kinds_work_in_one_store() {
    let flow = Flow::start().await;
    flow.suite().variety().await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_create_leaves_nothing() {
    let flow = Flow::start().await;
    flow.suite().refusals().await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_has_the_layout_of_the_go_binary_and_private_modes() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let mode = |path: &std::path::Path| {
        let metadata = std::fs::metadata(path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        metadata.permissions().mode() & 0o777
    };
    let machine = flow.home.machine("m1");
    assert_eq!(mode(&machine), 0o700);
    for file in ["config.json", "id_rsa", "key.pem", "server-key.pem"] {
        assert_eq!(mode(&machine.join(file)), 0o600, "{file}");
    }
    for file in ["id_rsa.pub", "ca.pem", "cert.pem", "server.pem"] {
        assert!(machine.join(file).is_file(), "{file}");
    }
    let certs = flow.home.store().join("certs");
    assert_eq!(mode(&certs), 0o700);
    for file in ["ca-key.pem", "key.pem"] {
        assert_eq!(mode(&certs.join(file)), 0o600, "{file}");
    }
    assert_eq!(
        mode(&flow.host().root().join("etc/docker/server-key.pem")),
        0o600
    );
    let text = std::fs::read_to_string(machine.join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["ConfigVersion"], 3);
    assert_eq!(config["DriverName"], "amazonec2");
    assert_eq!(config["Driver"]["Region"], REGION);
    assert_eq!(
        config["Driver"]["InstanceId"],
        flow.lab.live_instances()[0].id
    );
    flow.home.run(["rm", "-f", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_passes_streams_and_the_exit_status_through() {
    let flow = Flow::start().await;
    flow.suite().streams().await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn provisioning_again_restarts_nothing() {
    let flow = Flow::start().await;
    flow.create("m1", &["--engine-label=a=b", "--engine-opt=mtu=1400"])
        .await
        .ok();
    let (before, pem) = (flow.host().counts(), server_pem(&flow));
    flow.home.run(["provision", "m1"]).await.ok();
    flow.home.run(["provision", "m1"]).await.ok();
    let after = flow.host().counts();
    assert_eq!(after.docker_starts, before.docker_starts);
    assert_eq!(after.installations, before.installations);
    assert_eq!(server_pem(&flow), pem);

    // A manual change on the host is reverted once.
    let drop_in = "etc/systemd/system/docker.service.d/10-machine.conf";
    let drop_in = flow.host().root().join(drop_in);
    let text = std::fs::read_to_string(&drop_in).unwrap();
    std::fs::write(&drop_in, text.replace("a=b", "a=c")).unwrap();
    flow.home.run(["provision", "m1"]).await.ok();
    assert_eq!(std::fs::read_to_string(&drop_in).unwrap(), text);
    assert_eq!(flow.host().counts().docker_starts, after.docker_starts + 1);
}

fn server_pem(flow: &Flow) -> String {
    std::fs::read_to_string(flow.home.machine("m1").join("server.pem")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn regenerated_certificates_are_used() {
    let flow = Flow::start().await;
    flow.create("m1", &["--tls-san=build.example.org"])
        .await
        .ok();
    let pem = server_pem(&flow);
    flow.home.run(["regenerate-certs", "-f", "m1"]).await.ok();
    assert_ne!(server_pem(&flow), pem);
    flow.home.run(["config", "m1"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_of_driver_none_creates_the_certificates() {
    let flow = Flow::start().await;
    let home = &flow.home;
    home.run([
        "create",
        "--driver",
        "none",
        "--url",
        "localhost",
        "dummy-machine",
    ])
    .await
    .ok();
    assert!(home.store().join("certs/ca.pem").is_file());
    home.run(["rm", "-y", "dummy-machine"]).await.ok();
    assert!(home.store().join("certs/ca.pem").is_file());
    flow.assert_clean();
    assert!(flow.lab.calls().is_empty());
}
