//! Two hundred concurrent creates and removals, on one manager and one store, against an EC2 that throttles like the
//! real one.
//!
//! The token buckets alone allow two launches a second after the first five: 200 take 98 s for any client; and of 200
//! deletions of key pairs all except 50 are limited to five a second, which takes 30 s. Asserts that no command fails
//! and that few calls are made and throttled. Prints the time and memory, because machines differ, and asserts
//! generous limits for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ec2_lab::ec2::Throttling;
use ec2_lab::hosts::HostOptions;
use machine_tests::flows::{Ended, Flow, Home};
use machine_tests::tell;
use tokio::task::JoinSet;

const MACHINES: usize = 200;

/// The sampling interval of the commands' memory and processor time.
const SAMPLE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_creates_and_removals_at_once_all_succeed() {
    let flow = flow(Throttling::documented()).await;
    create_all(&flow).await.assert(3, 195.0);
    let removed = at_once(&flow, "removals", remove).await;
    flow.assert_clean();
    removed.assert(3, 60.0);
}

/// The limiter finds a raised quota without a setting. The buckets alone allow all launches in 8 s.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_creates_make_use_of_ten_times_the_quota() {
    let flow = flow(Throttling::documented().times(10.0)).await;
    create_all(&flow).await.assert(4, 95.0);
}

/// Starts an EC2 that throttles. Uses the executable that ships if `tests/run` has built it.
async fn flow(throttling: Throttling) -> Arc<Flow> {
    let mut flow = Flow::with(HostOptions::default(), |lab| lab.throttling(throttling)).await;
    if let Some(binary) = std::env::var_os("DOCKER_MACHINE_STATIC") {
        flow.home = Home::of(binary.into());
    }
    Arc::new(flow)
}

async fn create_all(flow: &Arc<Flow>) -> Taken {
    let created = at_once(flow, "creates", create).await;
    assert_eq!(flow.lab.live_instances().len(), MACHINES);
    assert_eq!(flow.home.directories().len(), MACHINES);
    created
}

async fn create(flow: Arc<Flow>, name: String) -> Ended {
    flow.create(&name, &[]).await
}

async fn remove(flow: Arc<Flow>, name: String) -> Ended {
    flow.home.run(["rm", "-y", &name]).await
}

/// The resource usage of two hundred commands.
#[derive(Debug)]
struct Taken {
    seconds: f64,
    calls: usize,
    refused: usize,
}

impl Taken {
    /// Checks the number of calls per command, that few of them were throttled, and, roughly, the time.
    fn assert(&self, calls: usize, seconds: f64) {
        assert!(self.calls <= calls * MACHINES, "{self:?}");
        assert!(self.refused <= MACHINES / 2, "{self:?}");
        assert!(self.seconds < seconds, "{self:?}");
    }
}

/// Runs a command for each machine, all at once, and prints their resource usage.
async fn at_once<F>(flow: &Arc<Flow>, what: &str, command: impl Fn(Arc<Flow>, String) -> F) -> Taken
where
    F: Future<Output = Ended> + Send + 'static,
{
    flow.lab.clear_calls();
    let begun = Instant::now();
    let mut commands = JoinSet::new();
    for n in 0..MACHINES {
        commands.spawn(command(flow.clone(), format!("m{n}")));
    }
    let mut usage = Usage::default();
    let mut tick = tokio::time::interval(SAMPLE);
    let mut failed = Vec::new();
    loop {
        tokio::select! {
            ended = commands.join_next() => match ended {
                None => break,
                Some(ended) => {
                    let ended = ended.unwrap();
                    if ended.code != Some(0) {
                        failed.push(ended.to_string());
                    }
                }
            },
            _ = tick.tick() => usage.sample(),
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    assert!(
        failed.is_empty(),
        "{} of {MACHINES} {what} failed, the first of them:\n{}",
        failed.len(),
        failed[0]
    );
    let calls = flow.lab.calls();
    let is_refused = |error: Option<&str>| error == Some("RequestLimitExceeded");
    let refused = calls
        .iter()
        .filter(|call| is_refused(call.error.as_deref()));
    let taken = Taken {
        seconds,
        calls: calls.len(),
        refused: refused.count(),
    };
    tell(&format!(
        "{MACHINES} {what} in {seconds:.1} s, {:.1} calls each, {} calls refused; {usage}",
        taken.calls as f64 / MACHINES as f64,
        taken.refused,
    ));
    for (action, count) in flow.lab.counts() {
        tell(&format!("  {action}: {count}"));
    }
    taken
}

/// The resource usage of the `docker-machine` processes that this process has started, from `/proc`.
#[derive(Default)]
struct Usage {
    /// At the time of maximum memory: the number of processes, and their own memory in MiB.
    peak: (usize, f64),
    /// The last known processor time of each, in ticks.
    ticks: BTreeMap<u32, u64>,
}

impl Usage {
    fn sample(&mut self) {
        let me = std::process::id().to_string();
        let mut now = (0, 0.0);
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            // A process may end at any time.
            let read = |file| std::fs::read_to_string(entry.path().join(file)).unwrap_or_default();
            let stat = read("stat");
            let Some((name, rest)) = stat.rsplit_once(") ") else {
                continue;
            };
            // proc(5): state, ppid, then nine more before utime and stime.
            let fields: Vec<&str> = rest.split(' ').collect();
            if !name.ends_with("(docker-machine") || fields.get(1) != Some(&me.as_str()) {
                continue;
            }
            let ticks = |n: usize| {
                fields
                    .get(n)
                    .and_then(|t| t.parse::<u64>().ok())
                    .unwrap_or(0)
            };
            self.ticks.insert(pid, ticks(11) + ticks(12));
            let status = read("status");
            let own = status
                .lines()
                .find_map(|line| line.strip_prefix("RssAnon:"));
            let own = own.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
            now = (now.0 + 1, now.1 + own.unwrap_or(0.0) / 1024.0);
        }
        if now.1 > self.peak.1 {
            self.peak = now;
        }
    }
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (processes, memory) = self.peak;
        let seconds = self.ticks.values().sum::<u64>() as f64 / 100.0;
        write!(
            f,
            "at most {memory:.0} MiB in {processes} processes, {:.2} s of processor time each",
            seconds / self.ticks.len().max(1) as f64
        )
    }
}
