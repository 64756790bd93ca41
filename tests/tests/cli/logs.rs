//! `logs` and `trace`: what a create did, and where its time went.

use machine_tests::flows::Flow;

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_create_stays_while_it_is_of_use() {
    let mut flow = Flow::start().await;
    let trace = flow.home.path().join("trace.jsonl");
    flow.home.set("MACHINE_TRACE", &trace);
    flow.create("m1", &[]).await.ok();
    flow.home.unset("MACHINE_TRACE");
    let log = flow.home.run(["logs", "m1"]).await.ok();
    for line in [
        "Creating machine...",
        "api RunInstances",
        "step import key pair",
        "phase boot",
        "phase docker",
        "command create",
    ] {
        assert!(log.out.contains(line), "{line}: {log}");
    }
    let last = log.out.lines().last().unwrap();
    assert!(last.contains("command create"), "{last}");
    // Only --debug shows the scripts that run on the host.
    assert!(!log.out.contains("#!/bin/sh"), "{log}");
    assert!(!log.out.contains("debug: "), "{log}");
    // The instance has only a private address: the wait for its state is the boot, too.
    let shown = flow.home.run(["trace", "trace.jsonl"]).await.ok();
    assert!(shown.out.starts_with("m1 · "), "{shown}");
    assert!(shown.out.contains("phase launch"), "{shown}");
    let json = flow.home.run(["logs", "--format", "json", "m1"]).await.ok();
    flow.home.file("log.jsonl", &json.out);
    let same = flow.home.run(["trace", "log.jsonl"]).await.ok();
    assert!(same.out.contains("phase launch"), "{same}");
    let piped = flow
        .home
        .shell("docker-machine logs --format json m1 | docker-machine trace -");
    assert_eq!(piped.await.ok().out, same.out);

    // The log of a machine that exists is not replaced by a create that fails for its name.
    flow.create("m1", &[]).await.failed(1, &["already exists"]);
    assert_eq!(flow.home.run(["logs", "m1"]).await.ok().out, log.out);
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    let gone = flow.home.run(["logs", "m1"]).await;
    gone.failed(1, &["no log of a create of \"m1\""]);

    let failed = flow.create("m2", &["--amazonec2-ami=ami-0123456789"]).await;
    failed.failed(3, &["there is no image"]);
    let log = flow.home.run(["logs", "m2"]).await.ok();
    assert!(log.out.contains("api DescribeImages"), "{log}");
    assert!(
        log.out.contains("error: Error with pre-create check"),
        "{log}"
    );
    flow.assert_clean();

    // A create that finds its name taken by a running one does not touch the log of that one.
    let gate = flow.lab.hold("RunInstances");
    let mut create = flow.home.start(flow.creating("m3", &[]));
    gate.arrived(1).await;
    flow.create("m3", &[]).await.failed(1, &["already exists"]);
    gate.open();
    assert!(create.wait().await.unwrap().success());
    let log = flow.home.run(["logs", "m3"]).await.ok();
    assert!(log.out.contains("api RunInstances"), "{log}");

    let none = flow.home.run(["trace", "nowhere"]).await;
    none.failed(1, &["cannot read nowhere"]);
    flow.home.file("empty", "");
    let empty = flow.home.run(["trace", "empty"]).await;
    empty.failed(1, &["empty has no records", "MACHINE_TRACE=FILE"]);
}
