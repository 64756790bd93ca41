//! Operating a fleet: machine-readable logs, metrics that add up, and the prune timer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use machine_tests::flows::Flow;
use serde_json::Value;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_json_and_names_the_machine_the_call_and_its_request() {
    let mut flow = Flow::start().await;
    flow.home.set("MACHINE_LOG", "json");
    let created = flow.create("m1", &[]).await.ok();
    let records: Vec<Value> = created
        .err
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let find = |kind: &str, name: &str| {
        let mut found = records
            .iter()
            .filter(|r| r["kind"] == kind && r["name"] == name);
        found
            .next()
            .unwrap_or_else(|| panic!("no {kind} {name}: {created}"))
            .clone()
    };
    let launch = find("api", "RunInstances");
    assert_eq!(
        (&launch["machine"], &launch["outcome"]),
        (&"m1".into(), &"ok".into())
    );
    assert!(
        launch["request_id"].as_str().is_some_and(|id| id.len() > 8),
        "{launch}"
    );
    let import = find("step", "import key pair");
    assert_eq!(import["machine"], "m1", "{import}");
    for phase in ["launch", "boot", "ssh", "docker"] {
        find("phase", phase);
    }
    let command = find("command", "create");
    assert_eq!(command["outcome"], "ok");
    for record in records.iter().filter(|record| record["kind"].is_string()) {
        assert!(record["duration_ms"].is_number(), "{record}");
        let time = record["time"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.contains('T'), "{record}");
    }
    // The lines on standard output do not change.
    assert!(
        created.out.contains("Docker is up and running!\n"),
        "{created}"
    );
    assert!(!created.err.contains("SECRETEXAMPLE"));

    // An invalid command line also ends with a record of the command.
    let usage = flow
        .home
        .run(["create", "--driver=none", "--no-such-flag"])
        .await
        .failed(1, &["no-such-flag"]);
    for line in usage.err.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
    let failed = flow.create("m1", &[]).await.failed(1, &["already exists"]);
    let last: Value = serde_json::from_str(failed.err.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["kind"], &last["outcome"]),
        (&"command".into(), &"usage".into())
    );
}

/// Parses a metrics file with Prometheus' own Python client if it is installed, otherwise with this test's parser.
async fn read(flow: &Flow, path: &Path) -> BTreeMap<String, f64> {
    let program = r#"
import sys
from prometheus_client.parser import text_string_to_metric_families
for family in text_string_to_metric_families(open(sys.argv[1]).read()):
    for s in family.samples:
        labels = ",".join(f"{k}={v}" for k, v in sorted(s.labels.items()))
        print(f"{s.name}{{{labels}}} {s.value}")
"#;
    let python = std::env::var_os("EC2_LAB_PYTHON").unwrap_or_else(|| "python3".into());
    let mut parser = Command::new(python);
    parser.args(["-c", program]).arg(path);
    let parsed = flow.home.end(parser, b"").await;
    if parsed.code != Some(0) {
        machine_tests::left_out("Prometheus' own parser", &parsed.err);
        return BTreeMap::new();
    }
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    };
    parsed.out.lines().map(sample).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_of_many_processes_add_up() {
    let mut flow = Flow::start().await;
    let path = flow.home.path().join("docker_machine.prom");
    flow.home.set("MACHINE_METRICS_FILE", &path);
    let names = ["m1", "m2", "m3", "m4"];
    let creates = names.map(|name| flow.create(name, &[]));
    for created in futures_util::future::join_all(creates).await {
        created.ok();
    }
    flow.create("m1", &[]).await.failed(1, &["already exists"]);
    flow.home.run(["stop", "m4"]).await.ok();
    flow.home.run(["ls"]).await.ok();
    let metrics = read(&flow, &path).await;
    if metrics.is_empty() {
        return;
    }
    let of = |series: &str| metrics.get(series).copied();
    let phase = "docker_machine_phase_seconds";
    for (series, value) in [
        (
            "docker_machine_commands_total{command=create,outcome=ok}",
            4.0,
        ),
        (
            "docker_machine_commands_total{command=create,outcome=failed}",
            1.0,
        ),
        (
            "docker_machine_failures_total{cause=usage,command=create}",
            1.0,
        ),
        (
            "docker_machine_api_calls_total{action=RunInstances,outcome=ok}",
            4.0,
        ),
        (&format!("{phase}_count{{phase=boot}}"), 4.0),
        (&format!("{phase}_bucket{{le=+Inf,phase=boot}}"), 4.0),
        ("docker_machine_machines{state=Running}", 3.0),
        ("docker_machine_machines{state=Stopped}", 1.0),
        ("docker_machine_machines{state=Error}", 0.0),
    ] {
        assert_eq!(of(series), Some(value), "{series}: {metrics:#?}");
    }
    assert!(
        of("docker_machine_counted_timestamp_seconds{}") > Some(1.0e9),
        "{metrics:#?}"
    );
    // Another user than the writer reads the file.
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o444, 0o444);
    for name in names {
        flow.home.run(["rm", "-y", name]).await.ok();
    }
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_succeeds_without_writable_metrics() {
    let mut flow = Flow::start().await;
    flow.home
        .set("MACHINE_METRICS_FILE", "/nowhere/docker_machine.prom");
    let listed = flow.home.run(["ls", "-q"]).await.ok();
    assert!(listed.err.contains("no metrics: /nowhere/"), "{listed}");
}

fn contrib() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/systemd")
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_accepts_the_timer_and_its_service() {
    let flow = Flow::start().await;
    let units = flow.home.path().join("units");
    std::fs::create_dir(&units).unwrap();
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]);
    for name in ["docker-machine-prune.service", "docker-machine-prune.timer"] {
        let text = std::fs::read_to_string(contrib().join(name)).unwrap();
        std::fs::write(units.join(name), text).unwrap();
        verify.arg(units.join(name));
    }
    if !["/usr/bin/systemd-analyze", "/bin/systemd-analyze"]
        .iter()
        .any(|p| Path::new(p).exists())
    {
        machine_tests::left_out("systemd's units", "no systemd-analyze");
        return;
    }
    let verified = flow.home.end(verify, b"").await.ok();
    assert_eq!(verified.err, "", "{verified}");
}

/// The service's value of `KEY=`.
fn of_service(key: &str) -> String {
    let service = std::fs::read_to_string(contrib().join("docker-machine-prune.service")).unwrap();
    let mut lines = service.lines();
    let line = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timer_does_not_fail_without_machines() {
    let flow = Flow::start().await;
    // systemd doubles the shell's dollar sign.
    let condition = of_service("ExecCondition").replace("$$", "$");
    assert_ne!(flow.home.shell(&condition).await.code, Some(0));
    flow.create("m1", &[]).await.ok();
    flow.home.shell(&condition).await.ok();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    assert_ne!(flow.home.shell(&condition).await.code, Some(0));
    // A tombstone that rm left is a reason to run prune.
    let tombstone = flow.home.store().join(".tombstones/m1-0123456789abcdef");
    std::fs::create_dir_all(tombstone).unwrap();
    flow.home.shell(&condition).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_of_the_timer_removes_orphans() {
    let flow = Flow::start().await;
    let command = of_service("ExecStart");
    let script = command.strip_prefix("/bin/sh -c '").unwrap();
    let script = script.strip_suffix('\'').unwrap();
    // A store with a machine, and an orphaned instance with the store's tags.
    flow.create("m1", &[]).await.ok();
    flow.create("m2", &[]).await.ok();
    std::fs::remove_dir_all(flow.home.machine("m2")).unwrap();
    assert_eq!(flow.lab.live_instances().len(), 2);
    let script = format!("{script} --older-than=0s");
    let pruned = flow.home.shell(&script).await.ok();
    assert!(pruned.out.contains("m2"), "{pruned}");
    flow.lab.until(|lab| lab.live_instances().len() == 1).await;
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}
