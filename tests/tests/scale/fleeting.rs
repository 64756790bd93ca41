//! The fleeting plugin with fifty instances: time, calls, memory. Uses the executable that ships if `tests/run` has
//! built it; the limits are for that one.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ec2_lab::hosts::HostOptions;
use machine_tests::fleeting::{self, FleetingHost, States};
use machine_tests::flows::{Flow, Home};
use machine_tests::tell;
use serde_json::json;

const INSTANCES: usize = 50;

/// Returns a flow, and the factor by which a build for tests may be slower.
async fn flow() -> (Flow, u32) {
    let mut flow = Flow::with_hosts(HostOptions::default()).await;
    match std::env::var_os("DOCKER_MACHINE_STATIC") {
        Some(binary) => {
            flow.home = Home::of(PathBuf::from(binary).canonicalize().unwrap());
            (flow, 1)
        }
        None => (flow, 6),
    }
}

#[track_caller]
fn assert_within(what: &str, took: Duration, limit: Duration) {
    tell(&format!("{what}: {:.1} ms", took.as_secs_f64() * 1000.0));
    assert!(took <= limit, "{what}: {took:?}, {limit:?} at most");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_instances_run_within_five_seconds() {
    let (flow, factor) = flow().await;
    let plugin = fleeting::plugin(&flow.home);
    let config = fleeting::config(&flow.flags_with_ids(), json!({}));
    let what = "fifty instances";
    let Some(host) = FleetingHost::start(&flow.home, &plugin, &config, what).await else {
        return;
    };
    let milliseconds = |number| Duration::from_millis(number) * factor;
    assert_within("handshake", host.handshake, milliseconds(20));
    let init = host.init().await;
    assert_within("Init", init.took, milliseconds(100));
    init.ok();

    let begun = Instant::now();
    let increase = host.increase(INSTANCES).await;
    assert_within("Increase of 50", increase.took, milliseconds(50));
    assert_eq!(increase.ok(), INSTANCES);
    let running = host.until_running(INSTANCES).await;
    assert_within("50 instances running", begun.elapsed(), milliseconds(5000));
    let memory = proportional(host.plugin.as_raw_nonzero().get().unsigned_abs());
    tell(&format!("memory of the front: {memory} KiB"));
    assert!(factor > 1 || memory <= 12 * 1024, "{memory} KiB");

    let connections = running.keys().map(|id| host.run(id, "echo x"));
    for answer in futures_util::future::join_all(connections).await {
        assert_eq!(answer.ok()["stdout"], "x\n");
    }
    let begun = Instant::now();
    host.decrease(running.keys()).await.ok();
    host.until_none().await;
    assert_within("50 instances deleted", begun.elapsed(), milliseconds(1000));
    let calls = flow.lab.calls().len();
    tell(&format!(
        "{:.1} calls an instance",
        calls as f64 / INSTANCES as f64
    ));
    assert!(calls <= 6 * INSTANCES, "{:?}", flow.lab.counts());
    host.stop().await;
    fleeting::all_gone(&flow.home).await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_five_hundred_instances_is_fast() {
    let (flow, factor) = flow().await;
    let more = json!({ "max_concurrent_creates": 1 });
    let Some(host) = fleeting::pool(&flow, more).await else {
        return;
    };
    let gate = flow.lab.hold("*");
    host.increase(500).await.ok();
    gate.arrived(1).await;
    let update = host.call("update", json!({})).await;
    assert_within(
        "Update of 500",
        update.took,
        Duration::from_millis(20) * factor,
    );
    let states: States = host.update().await;
    assert_eq!(states.len(), 500);
    gate.open();
    host.call("shutdown", json!({})).await.ok();
    host.stop().await;
    fleeting::all_gone(&flow.home).await;
    flow.assert_clean();
}

/// Returns a process's private memory plus its share of shared memory, in KiB (proc(5), `smaps_rollup`).
fn proportional(id: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap();
    let size = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let size = size.unwrap().split_whitespace().next().unwrap();
    size.parse().unwrap()
}
