//! Creates: one with a ready host, one with a pending instance, fifty at once.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ec2_lab::hosts::HostOptions;
use machine_tests::flows::Flow;
use serde_json::Value;

use crate::bench::{Result, Started, create, flow, median, runs};
use crate::measure::Sample;
use crate::table::{Row, time};

/// The number of measured creates.
const RUNS: u32 = 5;

/// How long an instance is pending; its sshd answers once it runs.
const PENDING: Duration = Duration::from_secs(6);

/// The number of concurrent creates.
const MANY: usize = 50;

/// A create, and the host's work for it.
struct Created {
    sample: Sample,
    /// The duration of its commands.
    host: Duration,
}

async fn created(flow: &Flow, name: &str) -> Result<Created> {
    let trace = flow.home.path().join("trace");
    let _ = std::fs::remove_file(&trace);
    let sample = runs(&flow.home, &create(flow, name), 1).await?[0];
    // The Go binary writes none.
    let text = std::fs::read_to_string(&trace).unwrap_or_default();
    let spans = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let commands = spans.filter(|span: &Value| span["kind"] == "ssh");
    let host = commands
        .filter_map(|span| span["duration_ms"].as_f64())
        .map(|milliseconds| Duration::from_secs_f64(milliseconds / 1000.0))
        .sum();
    Ok(Created { sample, host })
}

async fn several(flow: &mut Flow, runs: u32) -> Result<Vec<Created>> {
    let trace = flow.home.path().join("trace");
    flow.home.set("MACHINE_TRACE", trace);
    let mut all = Vec::new();
    for number in 0..runs {
        all.push(created(flow, &format!("m{number}")).await?);
    }
    Ok(all)
}

pub(crate) async fn ready(binary: &Path) -> Result<Row> {
    let mut flow = flow(binary, HostOptions::default(), |lab| lab).await?;
    let all = several(&mut flow, RUNS).await?;
    let above = median(
        all.iter()
            .map(|one| one.sample.wall.saturating_sub(one.host)),
    );
    let calls = flow.lab.calls().len() / all.len();
    let asked = flow.lab.count("DescribeInstances") / all.len();
    let host = flow.hosts.hosts().first().ok_or("no host")?.counts();
    Ok(Row {
        what: "`create`, host ready, every id given",
        goal: "≤ 1.5 s above the host's work, ≤ 0.1 s CPU, ≤ 16 MiB; ≤ 5 calls, 1 connection, 1 restart",
        is: format!(
            "{} above the host's {}, {} CPU, {:.1} MiB; {calls} calls, {asked} DescribeInstances, {} connection, {} restart",
            time(above),
            time(median(all.iter().map(|one| one.host))),
            time(median(all.iter().map(|one| one.sample.cpu))),
            median(all.iter().map(|one| one.sample.peak_kib)) as f64 / 1024.0,
            host.ssh_connections,
            host.docker_restarts,
        ),
        time: median(all.iter().map(|one| one.sample.wall)),
    })
}

pub(crate) async fn pending(binary: &Path) -> Result<Row> {
    let mut flow = flow(binary, HostOptions::default(), |lab| lab.pending(PENDING)).await?;
    let all = several(&mut flow, 3).await?;
    let above = all
        .iter()
        .map(|one| one.sample.wall.saturating_sub(PENDING + one.host));
    let above = median(above);
    Ok(Row {
        what: "`create`, instance pending for 6 s",
        goal: "≤ 1 s after sshd answers, above the host's work; ≤ 2 DescribeInstances",
        is: format!(
            "{} above the host's {}, {} DescribeInstances",
            time(above),
            time(median(all.iter().map(|one| one.host))),
            flow.lab.count("DescribeInstances") / all.len(),
        ),
        time: median(all.iter().map(|one| one.sample.wall)),
    })
}

/// Measures concurrent creates. Only the figures of the processes matter here: hosts and endpoint share this machine
/// with them.
pub(crate) async fn at_once(binary: &Path) -> Result<Row> {
    let flow = flow(binary, HostOptions::default(), |lab| lab).await?;
    let ids = Arc::new(Mutex::new(Vec::new()));
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let watched = ids.clone();
    let watch = std::thread::spawn(move || most_memory(&watched, stopped));
    let mut started = Vec::new();
    for number in 0..MANY {
        let argv = create(&flow, &format!("m{number}"));
        started.push(Started::new(&flow.home, flow.home.binary(), &argv, 1)?);
    }
    for run in &mut started {
        let id = run.next_id().await?;
        ids.lock().map_err(|_| "the watcher died")?.extend(id);
    }
    let mut samples = Vec::new();
    for run in &mut started {
        samples.push(run.sample().await?);
    }
    let _ = stop.send(());
    let most = watch.join().map_err(|_| "the watcher died")?;
    let failed = samples.iter().filter(|sample| sample.status != 0).count();
    let wall = samples.iter().map(|sample| sample.wall).max();
    let wall = wall.unwrap_or_default();
    let cpu: Duration = samples.iter().map(|sample| sample.cpu).sum();
    Ok(Row {
        what: "50 creates at once",
        goal: "≤ 12 MB each (PSS), ≤ 6 s CPU in all",
        is: format!(
            "{:.1} MB each, {} CPU in all, {} on the clock, {failed} failed",
            most as f64 * 1024.0 / 1e6,
            time(cpu),
            time(wall),
        ),
        time: wall,
    })
}

/// Samples processes until stopped; returns the maximum over time of their average memory: private memory plus the
/// proportional share of shared memory (PSS), in KiB. Samples with fewer than half of the processes do not count: the
/// last processes share with no others.
fn most_memory(ids: &Mutex<Vec<u32>>, mut stop: tokio::sync::oneshot::Receiver<()>) -> u64 {
    let mut most = 0;
    while let Err(tokio::sync::oneshot::error::TryRecvError::Empty) = stop.try_recv() {
        let ids = ids.lock().map_or_else(|_| Vec::new(), |ids| ids.clone());
        let sizes: Vec<u64> = ids.into_iter().filter_map(memory).collect();
        if sizes.len() >= MANY / 2 {
            most = most.max(sizes.iter().sum::<u64>() / sizes.len() as u64);
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    most
}

/// Returns a process's proportional set size in KiB (proc(5), `smaps_rollup`); none after its end.
fn memory(id: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let size = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    size.split_whitespace().next()?.parse().ok()
}
