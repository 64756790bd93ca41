//! `ls` and the filters of other commands: what the cloud reports about machines, order, terminals.

use ec2_lab::ec2::Fault;
use machine_tests::flows::{Flow, Home};
use machine_tests::terminal::Terminal;
use serde_json::Value;

/// Creates a machine of the driver `none`, whose engine does not exist.
async fn with_none(home: &Home, name: &str) {
    let create = ["create", "-d", "none", "--url", "tcp://127.0.0.1:1", name];
    home.run(create).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_come_with_the_call_that_is_made_anyway() {
    let flow = Flow::start().await;
    let home = &flow.home;
    flow.create("m1", &["--amazonec2-request-spot-instance"])
        .await
        .ok();
    with_none(home, "n1").await;
    let id = flow.lab.live_instances().remove(0).id;
    let calls = flow.lab.calls().len();
    let wide = home.run(["ls", "--wide", "m1"]).await.ok();
    assert_eq!(flow.lab.calls().len(), calls + 1, "{wide}");
    let (headers, row) = (wide.table().remove(0), wide.table().remove(1));
    let cell = |header| {
        // No swarm: one column without a word.
        let at = headers.iter().position(|it| *it == header).unwrap() - 1;
        row[at]
    };
    assert_eq!(cell("INSTANCE"), id, "{wide}");
    assert_eq!(cell("ZONE"), "us-east-1a", "{wide}");
    assert_eq!(cell("SPOT"), "yes", "{wide}");
    let object = home.run(["ls", "--format", "json"]).await.ok();
    let objects: Vec<Value> = object
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (m1, n1) = (&objects[0], &objects[1]);
    assert_eq!(
        (&m1["spot"], &m1["zone"]),
        (&true.into(), &"us-east-1a".into())
    );
    assert_eq!(m1["instance_id"], id.as_str());
    assert_eq!(m1["instance_type"], cell("TYPE"));
    assert!(m1["age_seconds"].as_u64().unwrap() < 600, "{m1}");
    assert_eq!(
        (&n1["age_seconds"], &n1["zone"]),
        (&Value::Null, &"".into())
    );
    let fields = "{{.InstanceType}} {{.Zone}} {{.Spot}} {{.InstanceID}}";
    let templated = home.run(["ls", "--format", fields, "m1"]).await.ok();
    assert_eq!(
        templated.out,
        format!("{} us-east-1a true {id}\n", cell("TYPE"))
    );
    // A stop and a start change the time of the launch, not of the creation.
    let older = home.run(["ls", "-q", "--filter", "age>1d"]).await.ok();
    assert_eq!(older.out, "");
    let younger = home.run(["ls", "-q", "--filter", "age<1d"]).await.ok();
    assert_eq!(younger.out, "m1\n");
    let combined = home.run(["ls", "--wide", "--json"]).await;
    combined.failed(1, &["cannot combine --wide and --format"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_is_by_a_key() {
    let home = Home::new();
    for name in ["n10", "n2"] {
        with_none(&home, name).await;
    }
    let names = ["ls", "--format", "{{.Name}}", "--sort", "driver"];
    assert_eq!(home.run(names).await.ok().out, "n2\nn10\n");
    assert_eq!(home.run(["ls", "-q"]).await.ok().out, "n10\nn2\n");
    let unknown = home.run(["ls", "--sort", "size"]).await;
    unknown.failed(
        1,
        &[
            "unknown sort key \"size\"",
            "the keys are name, state, driver, age, type, zone",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_are_removed_by_a_filter() {
    let flow = Flow::start().await;
    let home = &flow.home;
    for name in ["m1", "m2"] {
        flow.create(name, &[]).await.ok();
    }
    let state = ["--filter", "state=Error"];
    let none = home.run(["rm", "-y"].iter().chain(&state)).await.ok();
    assert!(
        none.err.contains("no machine matches the filters"),
        "{none}"
    );
    assert_eq!(none.out, "", "{none}");
    home.run(["stop", "--filter", "name=m2"]).await.ok();
    let stopped = home.run(["ls", "-q", "--filter", "state=Stopped"]).await;
    assert_eq!(stopped.ok().out, "m2\n");
    home.run(["start", "--filter", "state=Stopped"]).await.ok();
    let young = ["rm", "-y", "--filter", "age<1h", "--filter", "name=m2"];
    let removed = home.run(young).await.ok();
    assert!(removed.out.starts_with("About to remove m2\n"), "{removed}");
    // The instance ends outside docker-machine.
    let id = flow.lab.live_instances().remove(0).id;
    assert!(flow.lab.reclaim(&id));
    let has_ended = |lab: &ec2_lab::ec2::Lab| {
        let instance = lab.instance(&id);
        instance.is_some_and(|it| it.state == ec2_lab::ec2::InstanceState::Terminated)
    };
    flow.lab.until(has_ended).await;
    let removed = home.run(["rm", "-y"].iter().chain(&state)).await.ok();
    assert!(removed.out.contains("Successfully removed m1"), "{removed}");
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_whose_state_cannot_be_queried_is_not_removed_by_its_state() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let denied = Fault::error("DescribeInstances", "UnauthorizedOperation");
    flow.lab.inject(denied.always());
    let listed = flow.home.run(["ls"]).await.ok();
    assert!(listed.out.contains("Error"), "{listed}");
    let remove = ["rm", "-y", "--filter", "state=Error"];
    let kept = flow.home.run(remove).await;
    kept.failed(1, &["m1: left out: ", "no machine matches"]);
    flow.lab.heal();
    assert_eq!(flow.home.run(["status", "m1"]).await.ok().out, "Running\n");
    flow.home.run(["rm", "-y", "m1"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_leaves_out_machines_in_use_and_broken_ones() {
    let flow = Flow::start().await;
    let home = &flow.home;
    with_none(home, "broken").await;
    let config = home.machine("broken").join("config.json");
    let whole = std::fs::read(&config).unwrap();
    std::fs::write(&config, "{").unwrap();
    let gate = flow.lab.hold("RunInstances");
    let mut create = home.start(flow.creating("m1", &[]));
    gate.arrived(1).await;
    for filter in ["name=m", "state=Starting", "age<1h"] {
        let kept = home.run(["rm", "-y", "--filter", filter]).await;
        let m1 = "m1: left out: another process is at work";
        kept.failed(1, &["broken: left out: ", m1]);
    }
    let mistyped = home.run(["rm", "-y", "--filter", "state=Eror"]).await;
    mistyped.failed(1, &["unknown state \"Eror\"", "Running, Paused"]);
    gate.open();
    assert!(create.wait().await.unwrap().success());
    let removed = home.run(["rm", "-y", "--filter", "name=m1"]).await.ok();
    assert!(removed.out.contains("Successfully removed m1"), "{removed}");
    std::fs::write(&config, whole).unwrap();
    home.run(["rm", "-y", "broken"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_changes_during_the_question_is_not_removed() {
    let flow = Flow::start().await;
    let home = &flow.home;
    flow.create("m1", &[]).await.ok();
    home.run(["stop", "m1"]).await.ok();
    let remove = ["rm", "--filter", "state=Stopped"];
    let mut asking = Terminal::start(home, remove, (80, 24));
    asking.expect("Are you sure?").await;
    home.run(["start", "m1"]).await.ok();
    asking.keys("y\n").await;
    let ended = asking.end().await;
    assert!(
        !ended.shown.contains("Successfully removed"),
        "{}",
        ended.shown
    );
    assert_eq!(home.run(["status", "m1"]).await.ok().out, "Running\n");
    home.run(["rm", "-y", "m1"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_terminal_has_colours_and_no_empty_columns() {
    let mut home = Home::new();
    with_none(&home, "n1").await;
    home.set("TERM", "xterm");
    let shown = Terminal::start(&home, ["ls"], (60, 24)).end().await.shown;
    assert!(shown.contains("\x1b[32mRunning\x1b[0m"), "{shown:?}");
    assert!(!shown.contains("SWARM"), "{shown:?}");
    assert!(shown.contains("\nn1: "), "{shown:?}");
    home.set("NO_COLOR", "1");
    let shown = Terminal::start(&home, ["ls"], (60, 24)).end().await.shown;
    assert!(!shown.contains('\x1b'), "{shown:?}");
    home.unset("NO_COLOR");
    let mut watching = Terminal::start(&home, ["ls", "--watch"], (160, 24));
    watching.expect("\x1b[2J").await;
    watching.expect("n1 ").await;
    // In a pipe, the listings follow each other, and the end of the reader ends them.
    let piped = home.shell("docker-machine ls --watch --format '{{.Name}}' | head -n 1");
    assert_eq!(piped.await.ok().out, "n1\n");
}
