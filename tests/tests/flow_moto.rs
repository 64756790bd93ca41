//! The life of a machine at moto, a second EC2, on a real Debian host with stock docker clients.

use std::path::Path;

use machine_tests::flows::{Home, endpoint_flags};
use machine_tests::moto::Moto;
use machine_tests::real_hosts::RealHosts;
use machine_tests::tell;

const WHAT: &str = "the flow at moto";

/// Prints who it is, without any library: a container image needs no more than that.
const PROGRAM: &str = r#"
#include <stdio.h>
int main(void) { puts("hello from a container"); return 0; }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_of_another_ec2_runs_containers() {
    let Some(moto) = Moto::start(WHAT).await else {
        return;
    };
    let Some(hosts) = RealHosts::prepare(WHAT).await else {
        return;
    };
    let home = Home::new();
    tokio::select! {
        () = moto.follow(&hosts, &home) => {}
        () = life(&moto, &home) => {}
    }
}

async fn life(moto: &Moto, home: &Home) {
    let mut create = vec!["create".to_owned()];
    create.extend(endpoint_flags(&moto.endpoint()));
    create.extend(["--amazonec2-ami=ami-1e749f67", "m1"].map(str::to_owned));
    let created = home.run(create).await.ok();
    let last = created
        .out
        .lines()
        .find(|line| line.starts_with("Created in"));
    tell(&format!(
        "create at moto on a real host: {:.1} s, its boot included ({})",
        created.took.as_secs_f64(),
        last.unwrap_or("no closing line")
    ));

    let listed = home.run(["ls"]).await.ok();
    let table = listed.table();
    let row = &table[1];
    assert_eq!(row[..4], ["m1", "-", "amazonec2", "Running"], "{listed}");
    assert!(row[4].starts_with("tcp://172.31."), "{listed}");
    assert!(row[5].starts_with("v20.10"), "{listed}");

    assert!(run_container(home).await > 0, "there is no docker client");

    // The instance's own stop and start: its disk survives.
    home.run(["stop", "m1"]).await.ok();
    assert_eq!(home.run(["status", "m1"]).await.ok().out, "Stopped\n");
    // The host goes off when the watcher has seen what moto says; then nobody answers any more.
    let mut looks = 0;
    while home.run(["config", "m1"]).await.code == Some(0) {
        looks += 1;
        assert!(looks < 200, "a stopped machine goes on answering");
    }
    home.run(["config", "m1"])
        .await
        .failed(1, &["Host is not running"]);
    home.run(["start", "m1"]).await.ok();
    assert_eq!(home.run(["status", "m1"]).await.ok().out, "Running\n");
    run_container(home).await;

    home.run(["rm", "-y", "m1"]).await.ok();
    for instance in moto.instances().await {
        assert!(
            matches!(instance.state.as_str(), "terminated" | "shutting-down"),
            "{instance:?}"
        );
    }
    let keys = moto.call("DescribeKeyPairs").await;
    assert!(!keys.contains("<keyName>"), "{keys}");
    assert_eq!(home.directories(), Vec::<String>::new());
    assert_eq!(home.tombstones(), 0);
}

/// Runs a container with every docker client that is here, from an image that no registry knows.
async fn run_container(home: &Home) -> usize {
    home.file("hello.c", PROGRAM);
    home.shell("cc -static -O1 -o hello hello.c && tar -cf hello.tar hello")
        .await
        .ok();
    let clients = ["/usr/local/bin/docker", "/usr/bin/docker"];
    let mut ran = 0;
    for client in clients.iter().filter(|client| Path::new(client).is_file()) {
        let line = format!(
            "eval $(docker-machine env m1); {client} version >&2; {client} import hello.tar hello >/dev/null; {client} run --rm --network none hello /hello"
        );
        let ended = home.shell(&line).await.ok();
        assert_eq!(ended.out, "hello from a container\n", "{ended}");
        ran += 1;
    }
    ran
}
