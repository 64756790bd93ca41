//! The metrics: a file for the textfile collector of Prometheus' node exporter.
//!
//! A process lives for seconds, its counters must not: each adds its own to those in the file, under a
//! lock, and replaces the file by rename. What is no metric of ours in it is dropped.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use libmachine::{Span, SpanKind, SpanOutcome};
use rustix::fs::{FlockOperation, flock};

/// The upper bounds of the phases' histogram, in seconds: a boot takes 5 to 60, an installation minutes.
const BOUNDS: [f64; 10] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0];

/// Each metric's name, type and help.
const METRICS: [(&str, &str, &str); 4] = [
    (
        "docker_machine_commands_total",
        "counter",
        "Commands by name and outcome.",
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
];

/// Counters, by their series: `name{label="value"}`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Counts a command.
    pub(super) fn command(&mut self, name: &str, succeeded: bool) {
        let outcome = if succeeded { "ok" } else { "failed" };
        let labels = [("command", name), ("outcome", outcome)];
        self.add("docker_machine_commands_total", &labels, 1.0);
    }

    /// Counts a piece of work.
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
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{}\"", escape(value)))
            .collect();
        let series = format!("{name}{{{}}}", labels.join(","));
        *self.0.entry(series).or_default() += value;
    }

    /// Adds these counters to those of a file. Others that do the same wait for it.
    pub(super) fn add_to(&self, path: &Path) -> std::io::Result<()> {
        // The file itself is replaced, so the lock is another one. The collector reads `*.prom` only.
        let lock = File::options()
            .append(true)
            .create(true)
            .open(beside(path, ".lock"))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let mut all = match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(error),
        };
        for (series, value) in &self.0 {
            *all.0.entry(series.clone()).or_default() += value;
        }
        let new = beside(path, ".new");
        let mut file = File::create(&new)?;
        file.write_all(all.text().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    }

    fn parse(text: &str) -> Self {
        let ours = |line: &&str| METRICS.iter().any(|(name, ..)| line.starts_with(name));
        let series = text.lines().filter(ours).filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(series.collect())
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, kind, help) in METRICS {
            text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
            for (series, value) in self.0.iter().filter(|(series, _)| series.starts_with(name)) {
                text.push_str(&format!("{series} {value}\n"));
            }
        }
        text
    }
}

/// Returns a dot-named file beside another.
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
    use std::time::{Duration, SystemTime};

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

    #[test]
    fn counters_outlive_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dm.prom");
        let mut metrics = Metrics::default();
        metrics.command("create", true);
        metrics.span(&span(SpanKind::Api, "RunInstances"));
        metrics.span(&span(SpanKind::Phase, "boot"));
        metrics.span(&span(SpanKind::Wait, "ssh"));
        metrics.add_to(&path).unwrap();
        metrics.add_to(&path).unwrap();
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
    fn labels_are_escaped_and_strangers_dropped() {
        let mut metrics = Metrics::default();
        metrics.command("a\"b\\c\nd", false);
        assert_eq!(Metrics::parse(&metrics.text()), metrics);
        assert_eq!(
            Metrics::parse("other 1\ndocker_machine_commands_total{} x"),
            Metrics::default()
        );
    }
}
