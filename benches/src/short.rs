//! The commands that the runner executes most often, each a few milliseconds long.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use ec2_lab::hosts::HostOptions;
use machine_tests::flows::{Flow, Home};
use machine_tls::{Dialer, Identity, Pins};
use machine_types::{DockerUrl, Secret};

use crate::bench::{Result, create, flow, median, of, peak, runs, wall};
use crate::table::{Row, time};

/// The number of runs: their median is stable to a few percent.
const RUNS: u32 = 60;

pub(crate) async fn rows(binary: &Path) -> Result<Vec<Row>> {
    let flow = flow(binary, HostOptions::default(), |lab| lab).await?;
    runs(&flow.home, &create(&flow, "m1"), 1).await?;
    let mut rows = vec![version(&flow.home).await?];
    for (what, goal, argv) in [
        ("`inspect`", "≤ 3 ms, ≤ 8 MiB", "inspect"),
        ("`ip`", "≤ 3 ms, ≤ 8 MiB", "ip"),
        ("`url`", "≤ 3 ms, ≤ 8 MiB", "url"),
    ] {
        let samples = runs(&flow.home, &[argv.to_owned(), "m1".to_owned()], RUNS).await?;
        rows.push(Row {
            what,
            goal,
            is: format!("{}, {:.1} MiB", time(wall(&samples)), peak(&samples)),
            time: wall(&samples),
        });
    }
    rows.push(config(&flow).await?);
    rows.push(quiet_list(&flow.home).await?);
    Ok(rows)
}

async fn version(home: &Home) -> Result<Row> {
    let mut floor = of(home, Path::new("/bin/true"), &[], RUNS).await?;
    let samples = runs(home, &["--version".to_owned()], RUNS * 2).await?;
    // Before and after: the machine's speed may have changed meanwhile.
    floor.extend(of(home, Path::new("/bin/true"), &[], RUNS).await?);
    let above = wall(&samples).saturating_sub(wall(&floor));
    Ok(Row {
        what: "`--version`, above `/bin/true`",
        goal: "≤ 1.5 ms",
        is: format!("{}, {:.1} MiB", time(above), peak(&samples)),
        time: above,
    })
}

/// Measures `config`, which checks the connection to the engine. The duration of a handshake alone is measured in
/// this process, which is already running.
async fn config(flow: &Flow) -> Result<Row> {
    let directory = flow.home.machine("m1");
    let read = |name: &str| std::fs::read_to_string(directory.join(name));
    let identity = Identity::from_pem(
        &read("ca.pem")?,
        &read("cert.pem")?,
        &Secret::new(read("key.pem")?),
    )?;
    let within = Duration::from_secs(5);
    let dialer = Dialer::tls(&identity, &Pins::none(), SystemTime::now(), within)?;
    let address = flow.host().spec().address;
    let engine = DockerUrl::parse(&format!("tcp://{address}:2376")).ok_or("no URL")?;
    let mut handshakes = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        dialer.check(&engine).await?;
        handshakes.push(begun.elapsed());
    }
    flow.lab.clear_calls();
    let samples = runs(&flow.home, &["config".to_owned(), "m1".to_owned()], RUNS).await?;
    let handshake = median(handshakes);
    let above = wall(&samples).saturating_sub(handshake);
    Ok(Row {
        what: "`config`, engine answering",
        goal: "≤ 5 ms above the TLS handshake, no EC2 call",
        is: format!(
            "{} above the handshake's {}, {} EC2 calls, {:.1} MiB",
            time(above),
            time(handshake),
            flow.lab.calls().len(),
            peak(&samples)
        ),
        time: above,
    })
}

async fn quiet_list(home: &Home) -> Result<Row> {
    let store = Home::of(home.binary().to_owned());
    for number in 0..500 {
        copy(home, &store, &format!("copy{number}"))?;
    }
    let samples = runs(&store, &["ls".to_owned(), "-q".to_owned()], RUNS).await?;
    Ok(Row {
        what: "`ls -q`, 500 machines",
        goal: "≤ 10 ms",
        is: format!("{}, {:.1} MiB", time(wall(&samples)), peak(&samples)),
        time: wall(&samples),
    })
}

/// Copies `m1` to another store as another machine.
fn copy(from: &Home, to: &Home, name: &str) -> Result<()> {
    let text = std::fs::read_to_string(from.machine("m1").join("config.json"))?;
    let mut record: serde_json::Value = serde_json::from_str(&text)?;
    record["Name"] = name.into();
    record["Driver"]["MachineName"] = name.into();
    std::fs::create_dir_all(to.machine(name))?;
    std::fs::write(to.machine(name).join("config.json"), record.to_string())?;
    Ok(())
}
