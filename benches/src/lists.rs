//! `ls` of many machines.

use std::path::Path;
use std::time::Duration;

use ec2_lab::hosts::{HostOptions, Hosts as _};
use machine_tests::flows::Flow;
use tokio::net::TcpListener;

use crate::bench::{Result, Started, create, flow, peak, runs, wall};
use crate::table::{Row, time};

/// The number of creates at a time; they are not measured.
const BATCH: usize = 10;

pub(crate) async fn rows(binary: &Path) -> Result<Vec<Row>> {
    let flow = flow(binary, HostOptions::default(), |lab| lab).await?;
    make(&flow, 0..100).await?;
    flow.lab.clear_calls();
    let samples = runs(&flow.home, &["ls".to_owned()], 10).await?;
    let calls = flow.lab.calls().len() / samples.len();
    let hundred = Row {
        what: "`ls`, 100 machines, all answering",
        goal: "1 EC2 call, ≤ 0.3 s",
        is: format!(
            "{calls} EC2 call, {}, {:.1} MiB",
            time(wall(&samples)),
            peak(&samples)
        ),
        time: wall(&samples),
    };
    make(&flow, 100..500).await?;
    let _silent = silence(&flow).await?;
    flow.lab.clear_calls();
    let argv = ["ls".to_owned(), "--timeout=3".to_owned()];
    let samples = runs(&flow.home, &argv, 3).await?;
    let calls = flow.lab.calls().len() / samples.len();
    let half = Row {
        what: "`ls --timeout 3`, 500 machines, half of them silent",
        goal: "bounded by the timeout, ≤ 3 EC2 calls",
        is: format!(
            "{}, {calls} EC2 calls, {:.1} MiB",
            time(wall(&samples)),
            peak(&samples)
        ),
        time: wall(&samples),
    };
    Ok(vec![hundred, half])
}

async fn make(flow: &Flow, numbers: std::ops::Range<usize>) -> Result<()> {
    let numbers: Vec<usize> = numbers.collect();
    for batch in numbers.chunks(BATCH) {
        let mut started = Vec::new();
        for number in batch {
            let argv = create(flow, &format!("m{number}"));
            started.push(Started::new(&flow.home, flow.home.binary(), &argv, 1)?);
        }
        for mut run in started {
            run.next_id().await?;
            let status = run.sample().await?.status;
            if status != 0 {
                return Err(format!("a create ended with {status}").into());
            }
        }
    }
    Ok(())
}

/// Takes every other host off its address, and replaces it by a listener that accepts connections and sends nothing,
/// for the lifetime of the result.
async fn silence(flow: &Flow) -> Result<Vec<TcpListener>> {
    let mut silent = Vec::new();
    for host in flow.hosts.hosts().into_iter().step_by(2) {
        let spec = host.spec();
        flow.hosts.stop(&spec.instance_id).await;
        silent.push(listen(spec.address.to_string()).await?);
    }
    Ok(silent)
}

/// Listens at the address of a host that has just been removed; its accepted connections may take a moment to end.
async fn listen(address: String) -> Result<TcpListener> {
    let ended = tokio::time::Instant::now() + Duration::from_secs(5);
    loop {
        match TcpListener::bind((address.as_str(), 2376)).await {
            Ok(listener) => return Ok(listener),
            Err(error) if tokio::time::Instant::now() > ended => return Err(error.into()),
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
