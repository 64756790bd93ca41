//! Metrics: a file for the textfile collector of Prometheus' node exporter.
//!
//! A process runs for seconds, but its counters must persist: each process adds its own to those in the file, under a
//! lock, and replaces the file by rename. Unknown metrics in the file are dropped. Metrics never delay a command for
//! long: if the lock stays taken, the counts are lost, and a power failure may lose the file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::future::ready;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use libmachine::files::{self, FileError, Links};
use libmachine::{Cx, Look, Span, SpanKind, SpanOutcome, WaitError, WaitPolicy, wait_until_ready};

/// How long a command waits for other processes that write the file, each of which takes a millisecond.
const TIMEOUT: Duration = Duration::from_millis(250);

/// Maximum size of the file that is read: a few hundred series take 100 KB.
const LARGEST: u64 = 4 << 20;

/// Upper bounds of the phases' histogram, in seconds: a boot takes 5 to 60, an installation minutes.
const BOUNDS: [f64; 10] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0];

/// Name, type and help of each metric.
const METRICS: [(&str, &str, &str); 7] = [
    (
        "docker_machine_commands_total",
        "counter",
        "Commands by name and outcome.",
    ),
    (
        "docker_machine_failures_total",
        "counter",
        "Commands that failed, by name and cause.",
    ),
    (
        "docker_machine_api_calls_total",
        "counter",
        "Calls of a cloud's API by action and outcome.",
    ),
    (
        "docker_machine_api_seconds_total",
        "counter",
        "Time spent in calls of a cloud's API, by action.",
    ),
    (
        "docker_machine_phase_seconds",
        "histogram",
        "How long the parts of a create took.",
    ),
    (
        MACHINES,
        "gauge",
        "Machines of the store by state, as the last whole ls saw them.",
    ),
    (
        COUNTED,
        "gauge",
        "When the machines were counted last, in Unix time.",
    ),
];

const MACHINES: &str = "docker_machine_machines";
const COUNTED: &str = "docker_machine_counted_timestamp_seconds";

/// Counters by series: `name{label="value"}`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Counts a command, and the cause if it failed.
    pub(super) fn command(&mut self, name: &str, cause: Option<&str>) {
        let outcome = if cause.is_none() { "ok" } else { "failed" };
        let labels = [("command", name), ("outcome", outcome)];
        self.add("docker_machine_commands_total", &labels, 1.0);
        if let Some(cause) = cause {
            let labels = [("command", name), ("cause", cause)];
            self.add("docker_machine_failures_total", &labels, 1.0);
        }
    }

    /// Records the number of machines in each state.
    pub(super) fn machines(&mut self, states: &BTreeMap<String, usize>, now: SystemTime) {
        for (state, count) in states {
            let state = if state.is_empty() { "unknown" } else { state };
            let series = series(MACHINES, &[("state", state)]);
            self.0.insert(series, *count as f64);
        }
        let since = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        self.0.insert(COUNTED.to_owned(), since.as_secs() as f64);
    }

    /// Counts a finished operation.
    pub(super) fn span(&mut self, span: &Span) {
        let seconds = span.took.as_secs_f64();
        let outcome = match &span.outcome {
            SpanOutcome::Ok => "ok",
            SpanOutcome::Failed(why) => why,
        };
        match span.kind {
            SpanKind::Api => {
                let action = ("action", span.name.as_str());
                let labels = [action, ("outcome", outcome)];
                self.add("docker_machine_api_calls_total", &labels, 1.0);
                self.add("docker_machine_api_seconds_total", &[action], seconds);
            }
            SpanKind::Phase => self.phase(&span.name, seconds),
            SpanKind::Step | SpanKind::Ssh | SpanKind::Wait => {}
        }
    }

    fn phase(&mut self, name: &str, seconds: f64) {
        let phase = ("phase", name);
        for bound in BOUNDS {
            let count = if seconds <= bound { 1.0 } else { 0.0 };
            let bound = bound.to_string();
            self.add(
                "docker_machine_phase_seconds_bucket",
                &[phase, ("le", &bound)],
                count,
            );
        }
        self.add(
            "docker_machine_phase_seconds_bucket",
            &[phase, ("le", "+Inf")],
            1.0,
        );
        self.add("docker_machine_phase_seconds_sum", &[phase], seconds);
        self.add("docker_machine_phase_seconds_count", &[phase], 1.0);
    }

    fn add(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        *self.0.entry(series(name, labels)).or_default() += value;
    }

    /// Adds these counters to those of a file. Waits at most 250 ms for other processes that write it.
    pub(super) async fn add_to(&self, path: &Path, cx: &Cx) -> io::Result<()> {
        // The file itself is replaced, so the lock needs a separate file. The collector reads `*.prom` only.
        let (lock, _) =
            files::open_shared(&beside(path, ".lock"), 0o666).map_err(FileError::into_io)?;
        take(&lock, cx).await?;
        let mut all = match files::read_text(path, LARGEST, Links::Follow) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.is_missing() => Self::default(),
            Err(error) => return Err(error.into_io()),
        };
        all.merge(self);
        let text = all.text();
        files::sweep(path);
        files::replace_cache(path, text.as_bytes(), 0o666, cx.ambient.random())
            .map_err(FileError::into_io)
    }

    /// Adds counters; gauges replace the previous value.
    fn merge(&mut self, newer: &Self) {
        if newer.0.contains_key(COUNTED) {
            self.0.retain(|series, _| !is_gauge(series));
        }
        for (series, value) in &newer.0 {
            *self.0.entry(series.clone()).or_default() += value;
        }
    }

    fn parse(text: &str) -> Self {
        let series = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let is_ours = METRICS.iter().any(|(name, ..)| is_of(series, name));
            is_ours.then_some((series.to_owned(), value.parse().ok()?))
        });
        Self(series.collect())
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, kind, help) in METRICS {
            text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
            let mut series: Vec<_> = self
                .0
                .iter()
                .filter(|(series, _)| is_of(series, name))
                .collect();
            // Sorts the buckets of a histogram by their bounds.
            series.sort_by(|(one, _), (other, _)| {
                let (one, other) = (bound(one), bound(other));
                one.0.cmp(other.0).then(one.1.total_cmp(&other.1))
            });
            for (series, value) in series {
                text.push_str(&format!("{series} {value}\n"));
            }
        }
        text
    }
}

/// Returns the name of a series: `name{label="value"}`.
fn series(name: &str, labels: &[(&str, &str)]) -> String {
    let labels: Vec<String> = labels
        .iter()
        .map(|(label, value)| format!("{label}=\"{}\"", escape(value)))
        .collect();
    format!("{name}{{{}}}", labels.join(","))
}

/// Takes a lock, which is released when the file is closed.
async fn take(lock: &File, cx: &Cx) -> io::Result<()> {
    let policy =
        WaitPolicy::backing_off(Duration::from_millis(1), Duration::from_millis(10), TIMEOUT);
    let waited = wait_until_ready(cx, "lock of the metrics", policy, || {
        ready(match lock.try_lock() {
            Ok(()) => Ok(Look::Ready(())),
            Err(TryLockError::WouldBlock) => Ok(Look::Pending("held".to_owned())),
            Err(TryLockError::Error(error)) => Err(error),
        })
    });
    waited.await.map_err(|error| match error {
        WaitError::Failed(error) => error,
        other => io::Error::new(io::ErrorKind::WouldBlock, other.to_string()),
    })
}

fn is_gauge(series: &str) -> bool {
    is_of(series, MACHINES) || is_of(series, COUNTED)
}

/// Returns whether a series belongs to a metric: it has the metric's name, or one of a histogram's three.
fn is_of(series: &str, metric: &str) -> bool {
    let name = series.split('{').next().unwrap_or_default();
    let rest = name.strip_prefix(metric);
    rest.is_some_and(|rest| matches!(rest, "" | "_bucket" | "_sum" | "_count"))
}

/// Splits the bound off a bucket's series, for sorting; other series have an empty bound.
fn bound(series: &str) -> (&str, f64) {
    let split = series.rsplit_once("le=\"");
    let bound = split.and_then(|(rest, bound)| {
        let bound = bound.strip_suffix("\"}")?;
        Some((rest, bound.replace("+Inf", "inf").parse().ok()?))
    });
    bound.unwrap_or((series, 0.0))
}

/// Returns the path of a dotfile in the same directory.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(suffix);
    path.with_file_name(name)
}

/// Escapes a label's value (Prometheus' text format, 0.0.4).
fn escape(value: &str) -> String {
    value
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use libmachine::MemoryJournal;
    use std::sync::Arc;

    fn cx() -> Cx {
        Cx::new(Arc::new(MemoryJournal::default()))
    }

    fn span(kind: SpanKind, name: &str) -> Span {
        Span {
            kind,
            name: name.into(),
            started: SystemTime::UNIX_EPOCH,
            took: Duration::from_millis(1500),
            outcome: SpanOutcome::Ok,
            fields: BTreeMap::new(),
        }
    }

    #[tokio::test]
    async fn a_lock_that_stays_taken_costs_the_counts_and_holds_nobody_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dm.prom");
        let holder = File::create(beside(&path, ".lock")).unwrap();
        holder.lock().unwrap();
        let mut metrics = Metrics::default();
        metrics.command("config", None);
        let error = metrics.add_to(&path, &cx()).await.unwrap_err();
        assert!(error.to_string().contains("lock of the metrics"), "{error}");
        assert!(!path.exists());
        drop(holder);
        metrics.add_to(&path, &cx()).await.unwrap();
        assert!(path.exists());
    }

    #[tokio::test]
    async fn counters_outlive_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dm.prom");
        let mut metrics = Metrics::default();
        metrics.command("create", None);
        metrics.span(&span(SpanKind::Api, "RunInstances"));
        metrics.span(&span(SpanKind::Phase, "boot"));
        metrics.span(&span(SpanKind::Wait, "ssh"));
        metrics.add_to(&path, &cx()).await.unwrap();
        metrics.add_to(&path, &cx()).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        for line in [
            r#"docker_machine_commands_total{command="create",outcome="ok"} 2"#,
            r#"docker_machine_api_calls_total{action="RunInstances",outcome="ok"} 2"#,
            r#"docker_machine_api_seconds_total{action="RunInstances"} 3"#,
            r#"docker_machine_phase_seconds_bucket{phase="boot",le="1"} 0"#,
            r#"docker_machine_phase_seconds_bucket{phase="boot",le="2"} 2"#,
            r#"docker_machine_phase_seconds_count{phase="boot"} 2"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_was_counted_takes_the_place_of_what_was_counted_before() {
        let counted = |state: &str, count| {
            let mut metrics = Metrics::default();
            let states = [(state.to_owned(), count)].into();
            metrics.machines(&states, SystemTime::UNIX_EPOCH + Duration::from_secs(7));
            metrics
        };
        let mut all = counted("Running", 3);
        all.command("ls", None);
        all.merge(&counted("Stopped", 1));
        let text = all.text();
        assert!(!text.contains("Running"), "{text}");
        assert!(
            text.contains("docker_machine_machines{state=\"Stopped\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("docker_machine_counted_timestamp_seconds 7\n"),
            "{text}"
        );
        assert!(
            text.contains("commands_total{command=\"ls\",outcome=\"ok\"} 1\n"),
            "{text}"
        );
    }

    #[test]
    fn buckets_stand_in_the_order_of_their_bounds() {
        let mut metrics = Metrics::default();
        metrics.span(&span(SpanKind::Phase, "boot"));
        let text = metrics.text();
        let bounds: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split("le=\"").nth(1)?.split('"').next())
            .collect();
        assert_eq!(
            bounds,
            [
                "0.5", "1", "2", "5", "10", "20", "30", "60", "120", "300", "+Inf"
            ]
        );
    }

    #[test]
    fn labels_are_escaped_and_strangers_dropped() {
        let mut metrics = Metrics::default();
        metrics.command("a\"b\\c\nd", Some("ssh"));
        assert_eq!(Metrics::parse(&metrics.text()), metrics);
        assert_eq!(
            Metrics::parse("other 1\ndocker_machine_commands_total{} x"),
            Metrics::default()
        );
    }
}
