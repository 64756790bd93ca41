//! A `docker-machine` under measurement, its lab, and its runs.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use ec2_lab::ec2::{Builder, Lab};
use ec2_lab::hosts::{HostOptions, SimulatedHosts};
use machine_tests::flows::{Flow, Home};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::measure::Sample;

/// The result of a benchmark.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Starts a lab, and a home directory in which the given `docker-machine` runs.
pub(crate) async fn flow(
    binary: &Path,
    options: HostOptions,
    change: impl FnOnce(Builder) -> Builder,
) -> Result<Flow> {
    let hosts = Arc::new(SimulatedHosts::new(options)?);
    let lab = change(Lab::builder().loopback().hosts(hosts.clone()));
    Ok(Flow {
        lab: lab.start().await?,
        hosts,
        home: Home::of(binary.to_owned()),
    })
}

/// Returns the arguments of a create with all ids given.
pub(crate) fn create(flow: &Flow, name: &str) -> Vec<String> {
    let mut argv = vec!["create".to_owned()];
    argv.extend(flow.flags_with_ids());
    argv.push(name.to_owned());
    argv
}

/// Runs `docker-machine` this many times in a home directory. Every run must succeed.
pub(crate) async fn runs(home: &Home, argv: &[String], runs: u32) -> Result<Vec<Sample>> {
    of(home, home.binary(), argv, runs).await
}

/// Same as [`runs`], for any program.
pub(crate) async fn of(
    home: &Home,
    program: &Path,
    argv: &[String],
    runs: u32,
) -> Result<Vec<Sample>> {
    let mut started = Started::new(home, program, argv, runs)?;
    let mut samples = Vec::new();
    while started.next_id().await?.is_some() {
        samples.push(started.sample().await?);
    }
    started.end().await?;
    match samples.iter().find(|sample| sample.status != 0) {
        Some(sample) => Err(format!("{argv:?} ended with {}", sample.status).into()),
        None => Ok(samples),
    }
}

/// Runs in progress.
pub(crate) struct Started {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Started {
    pub(crate) fn new(home: &Home, program: &Path, argv: &[String], runs: u32) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("measure")
            .arg(runs.to_string())
            .arg("--")
            .arg(program)
            .args(argv)
            .env_clear()
            .envs(home.environment())
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let out = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self {
            child,
            lines: BufReader::new(out).lines(),
        })
    }

    /// Returns the process of the next run, `None` after the last.
    pub(crate) async fn next_id(&mut self) -> Result<Option<u32>> {
        let line = self.lines.next_line().await?;
        Ok(line.map(|line| line.parse()).transpose()?)
    }

    pub(crate) async fn sample(&mut self) -> Result<Sample> {
        let line = self.lines.next_line().await?.unwrap_or_default();
        Sample::parse(&line).ok_or_else(|| format!("{line:?} is no sample").into())
    }

    async fn end(mut self) -> Result<()> {
        match self.child.wait().await?.success() {
            true => Ok(()),
            false => Err("a program does not run".into()),
        }
    }
}

/// Returns the median of the figures; the upper of two.
pub(crate) fn median<T: Ord + Copy + Default>(figures: impl IntoIterator<Item = T>) -> T {
    let mut figures: Vec<T> = figures.into_iter().collect();
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// Returns the median time of some runs.
pub(crate) fn wall(samples: &[Sample]) -> Duration {
    median(samples.iter().map(|sample| sample.wall))
}

/// Returns the median peak memory of some runs in MiB.
pub(crate) fn peak(samples: &[Sample]) -> f64 {
    median(samples.iter().map(|sample| sample.peak_kib)) as f64 / 1024.0
}

/// Returns the path of the release executable, where `cargo static` writes it.
pub(crate) fn shipped() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    target.join("x86_64-unknown-linux-gnu/release/docker-machine")
}
