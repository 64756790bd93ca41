//! The life of a machine, through the binary, on simulated hosts.

use std::os::unix::fs::PermissionsExt as _;

use machine_tests::flows::{Flow, REGION};

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_lives_from_create_to_rm() {
    let flow = Flow::start().await;
    let home = &flow.home;
    let created = flow.create("m1", &[]).await.ok();
    assert!(created.out.contains("Created in "), "{created}");
    assert!(created.out.contains("docker-machine env m1"), "{created}");
    let address = flow.host().spec().address.to_string();
    let url = format!("tcp://{address}:2376");

    // It runs, and says which Docker.
    let listed = home.run(["ls"]).await.ok();
    let table = listed.table();
    assert_eq!(
        table[0],
        [
            "NAME", "ACTIVE", "DRIVER", "STATE", "URL", "SWARM", "DOCKER", "ERRORS"
        ]
    );
    assert_eq!(
        table[1],
        ["m1", "-", "amazonec2", "Running", &url, "v29.1.2"],
        "{listed}"
    );
    assert_eq!(home.run(["ls", "-q"]).await.ok().out, "m1\n");

    // Where it is, and how to get there.
    assert_eq!(home.run(["url", "m1"]).await.ok().out, format!("{url}\n"));
    assert_eq!(
        home.run(["ip", "m1"]).await.ok().out,
        format!("{address}\n")
    );
    assert_eq!(home.run(["status", "m1"]).await.ok().out, "Running\n");
    let directory = home.machine("m1").display().to_string();
    let environment = home.run(["env", "m1"]).await.ok().out;
    for line in [
        "export DOCKER_TLS_VERIFY=\"1\"".to_owned(),
        format!("export DOCKER_HOST=\"{url}\""),
        format!("export DOCKER_CERT_PATH=\"{directory}\""),
        "export DOCKER_MACHINE_NAME=\"m1\"".to_owned(),
    ] {
        assert!(
            environment.lines().any(|l| l == line),
            "{line}: {environment}"
        );
    }
    let unset = home.run(["env", "-u"]).await.ok().out;
    assert!(unset.contains("unset DOCKER_HOST"), "{unset}");
    let config = home.run(["config", "m1"]).await.ok().out;
    assert!(config.contains("--tlsverify"), "{config}");
    assert!(config.contains(&format!("-H={url}")), "{config}");
    let store_path = "{{.HostOptions.AuthOptions.StorePath}}";
    let inspected = home.run(["inspect", "m1", "-f", store_path]).await.ok();
    assert_eq!(inspected.out, format!("{directory}\n"));

    // Stop keeps the address, start brings it back.
    home.run(["stop", "m1"]).await.ok();
    assert_eq!(home.run(["status", "m1"]).await.ok().out, "Stopped\n");
    assert_eq!(
        home.run(["ip", "m1"]).await.ok().out,
        format!("{address}\n")
    );
    home.run(["start", "m1"]).await.ok();
    assert_eq!(home.run(["status", "m1"]).await.ok().out, "Running\n");
    home.run(["config", "m1"]).await.ok();
    home.run(["restart", "m1"]).await.ok();
    home.run(["config", "m1"]).await.ok();
    home.run(["kill", "m1"]).await.ok();
    assert_eq!(home.run(["status", "m1"]).await.ok().out, "Stopped\n");
    let listed = home
        .run(["ls", "--format", "{{.Name}} {{.State}}"])
        .await
        .ok();
    assert_eq!(listed.out, "m1 Stopped\n");

    home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
    assert_eq!(home.run(["ls", "-q"]).await.ok().out, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_laid_out_as_the_go_binary_had_it_and_closed_to_others() {
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
async fn ssh_hands_streams_and_exit_status_through() {
    let flow = Flow::start().await;
    let home = &flow.home;
    flow.create("m1", &[]).await.ok();

    let hello = home.run(["ssh", "m1", "echo out; echo err >&2"]).await.ok();
    assert_eq!((hello.out.as_str(), hello.err.as_str()), ("out\n", "err\n"));
    let seven = home.run(["ssh", "m1", "echo before; exit 7"]).await;
    let seven = seven.failed(1, &["exit status 7"]);
    assert_eq!(seven.out, "before\n");
    // Words are joined, and what looks like a flag is not ours.
    assert_eq!(
        home.run(["ssh", "m1", "printf", "%s", "-l"]).await.ok().out,
        "-l"
    );

    let binary: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let sum = home.feed(["ssh", "m1", "cksum"], &binary).await.ok();
    let mut here = tokio::process::Command::new("cksum");
    here.kill_on_drop(true);
    assert_eq!(sum.out, home.end(here, &binary).await.ok().out);

    // No word of ours on standard output, even when the name is wrong.
    let nobody = home.run(["ssh", "nobody", "true"]).await;
    assert_eq!(nobody.failed(1, &["nobody"]).out, "");
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

    // What was changed by hand is put right, once.
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
async fn new_certificates_are_taken_into_use() {
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
async fn a_dummy_of_driver_none_makes_the_certificates() {
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
