//! The resource usage of the release executable: memory, instructions, stack, disk.
//!
//! `DOCKER_MACHINE_STATIC` names it, as `cargo static` has built it; `tests/run` sets it. Test builds are larger.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ec2_lab::hosts::{ExecFault, HostOptions};
use machine_tests::flows::{Flow, Home};
use machine_tests::{built, left_out, tell};
use serde_json::Value;
use tokio::process::Command;

/// Starts a flow with the release executable; `None` if there is none.
async fn flow(what: &str, options: HostOptions) -> Option<Flow> {
    let Some(binary) = std::env::var_os("DOCKER_MACHINE_STATIC") else {
        left_out(what, "DOCKER_MACHINE_STATIC names no executable");
        return None;
    };
    let mut flow = Flow::with_hosts(options).await;
    flow.home = Home::of(PathBuf::from(binary).canonicalize().unwrap());
    Some(flow)
}

fn create(flow: &Flow, name: &str) -> Vec<String> {
    let mut argv = vec!["create".to_owned()];
    argv.extend(flow.flags_with_ids());
    argv.push(name.to_owned());
    argv
}

/// Runs a command to its end; returns its peak memory, in KiB. A small process starts it, because the kernel's figure
/// begins with that process's memory (getrusage(2)).
async fn peak(flow: &Flow, argv: &[String]) -> u64 {
    let mut measure = Command::new(built("benches"));
    measure.args(["measure", "1", "--"]);
    measure.arg(flow.home.binary()).args(argv);
    let ended = flow.home.end(measure, b"").await.ok();
    let sample: Value = serde_json::from_str(ended.out.lines().last().unwrap()).unwrap();
    assert_eq!(sample["status"], 0, "{ended}");
    let peak = sample["peak_kib"].as_u64().unwrap();
    tell(&format!("{}: {:.1} MiB", argv[0], peak as f64 / 1024.0));
    peak
}

/// All except 0.2 to 2 MiB of this are pages of the executable itself, which all processes share. How many additional
/// pages are mapped depends on the page cache, and differs by 1 MiB between two copies.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_stays_within_its_memory_limit() {
    let Some(flow) = flow("memory of one command", HostOptions::default()).await else {
        return;
    };
    let most = peak(&flow, &create(&flow, "m1")).await;
    assert!(most <= 16 * 1024, "create: {most} KiB");
    for argv in [
        &["--version"][..],
        &["inspect", "m1"],
        &["ip", "m1"],
        &["url", "m1"],
        &["ls", "-q"],
    ] {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let most = peak(&flow, &argv).await;
        assert!(most <= 10 * 1024, "{argv:?}: {most} KiB");
    }
    let most = peak(&flow, &["config".to_owned(), "m1".to_owned()]).await;
    assert!(most <= 12 * 1024, "config: {most} KiB");
}

/// The system determines the stack of the main thread: RUST_MIN_STACK is for builds without optimisation.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_stack_is_enough() {
    let Some(flow) = flow("a small stack", HostOptions::default()).await else {
        return;
    };
    let argv = create(&flow, "m1").join(" ");
    let line = format!(
        "ulimit -s 512; docker-machine {argv}; docker-machine ls; docker-machine ssh m1 true; docker-machine rm -y m1"
    );
    let ended = flow.home.shell(&line).await.ok();
    assert!(ended.out.contains("Running"), "{ended}");
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_executable_stays_within_its_size_limit() {
    if let Some(flow) = flow("the executable's size", HostOptions::default()).await {
        let bytes = flow.home.binary().metadata().unwrap().len();
        // Ownership checks and the cancellation of spot requests at EC2 exceed the first goal of 14 MB by half a
        // megabyte.
        assert!(bytes <= 14_500_000, "{bytes} bytes");
    }
}

const CREATES: usize = 20;

/// Creates that have all launched and logged in, and wait for their hosts.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creates_stay_within_their_memory_limit() {
    let options = HostOptions {
        exec_faults: BTreeMap::from([(1, ExecFault::Hang)]),
        ..HostOptions::default()
    };
    let Some(flow) = flow("memory of many creates", options).await else {
        return;
    };
    let mut creates = Vec::new();
    for number in 0..CREATES {
        creates.push(flow.home.start(create(&flow, &format!("m{number}"))));
    }
    let at_work = |host: &ec2_lab::hosts::HostView| !host.counts().execs.is_empty();
    let all_at_work = async {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        while flow
            .hosts
            .hosts()
            .iter()
            .filter(|host| at_work(host))
            .count()
            < CREATES
        {
            tick.tick().await;
            for create in &mut creates {
                assert_eq!(create.try_wait().unwrap(), None, "a create has ended");
            }
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(120), all_at_work).await;
    assert!(in_time.is_ok(), "not all creates reach their hosts");
    let sizes = creates
        .iter()
        .map(|create| proportional(create.id().unwrap()));
    let each = sizes.sum::<u64>() * 1024 / CREATES as u64;
    tell(&format!(
        "{CREATES} creates: {:.1} MB each",
        each as f64 / 1e6
    ));
    assert!(each <= 12_000_000, "{each} bytes each");
}

/// Returns a process's private memory plus its share of shared memory, in KiB (proc(5), `smaps_rollup`).
fn proportional(id: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap();
    let size = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let size = size.unwrap().split_whitespace().next().unwrap();
    size.parse().unwrap()
}

/// Runs a command under callgrind; returns the number of instructions. The number hardly depends on other load on the
/// machine (Valgrind Manual, "Callgrind").
async fn instructions(flow: &Flow, argv: &[&str]) -> u64 {
    let mut count = Command::new("valgrind");
    count.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    count.arg(flow.home.binary()).args(argv);
    let ended = flow.home.end(count, b"").await.ok();
    let collected = ended
        .err
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, number) = collected.unwrap();
    tell(&format!("{argv:?}: {number} instructions"));
    number.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn short_commands_take_few_instructions() {
    let Some(flow) = flow("instructions of short commands", HostOptions::default()).await else {
        return;
    };
    let probe = Command::new("valgrind").arg("--version").output().await;
    if probe.is_err() {
        left_out(
            "instructions of short commands",
            "valgrind is not installed",
        );
        return;
    }
    let none = ["create", "-d", "none", "--url=tcp://127.0.0.1:1", "n"];
    flow.home.run(none).await.ok();
    // A third to a half above the figures at the time of writing.
    for (argv, most) in [
        (&["--version"][..], 450_000),
        (&["inspect", "n"], 1_800_000),
        (&["url", "n"], 1_200_000),
        (&["ip", "n"], 1_200_000),
        (&["ls", "-q"], 800_000),
    ] {
        let count = instructions(&flow, argv).await;
        assert!(
            count <= most,
            "{argv:?}: {count} instructions, {most} at most"
        );
    }
}
