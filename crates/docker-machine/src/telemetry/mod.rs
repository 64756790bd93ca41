//! Routes the events of running operations to their outputs.
//!
//! Lines go to the console; durations to the live line of a terminal, to `--debug`, to the log of `MACHINE_LOG=json`,
//! to the trace of `MACHINE_TRACE` and to the metrics of `MACHINE_METRICS_FILE`. A failing output does not fail an
//! operation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use libmachine::{
    Ambient, Cx, Event, Events, LARGEST_LOG, MemoryJournal, Span, SpanKind, SpanOutcome, Waiting,
};
use machine_types::{one_line, printable, shown};

use crate::failure::Failure;
use crate::output::console::{Console, Stream};

mod live;
mod metrics;
mod record;
pub(crate) mod timeline;
mod trace;

use live::Live;
pub use metrics::Metrics;
use trace::Trace;

/// Enabled outputs, from flags and environment.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// `--debug`.
    pub debug: bool,
    /// Programs read standard output: lines go to standard error.
    pub evaluated: bool,
    /// Whether the command is a create, whose log the store keeps.
    pub create_log: bool,
    /// `MACHINE_LOG=json`.
    pub json_log: bool,
    /// `MACHINE_TRACE`.
    pub trace: Option<PathBuf>,
    /// `MACHINE_METRICS_FILE`.
    pub metrics: Option<PathBuf>,
}

/// Minimum duration of a wait that is logged: most waits of a create are shorter.
const WORTH_A_LINE: Duration = Duration::from_secs(5);

/// The same at a terminal without a live line: nobody should wonder for more than two seconds.
const WORTH_A_LINE_ON_DUMB: Duration = Duration::from_secs(1);

/// Interval at which an unchanged reason is repeated at a terminal without a live line.
const REPEATED: Duration = Duration::from_secs(10);

/// Maximum number of waits and reasons that are logged: a reason may contain a number that changes each time.
const MOST_LINES: usize = 50;

/// The log of a create.
enum CreateLog {
    /// The command is none.
    Off,
    /// The records before, up to a maximum number.
    Before(Vec<String>),
    Open(Trace),
}

/// Maximum number of records before a create.
const MOST_BEFORE: usize = 200;

impl CreateLog {
    fn add(&mut self, record: impl FnOnce() -> String) {
        match self {
            Self::Open(log) => log.write(&record()),
            Self::Before(records) if records.len() < MOST_BEFORE => records.push(record()),
            Self::Before(_) | Self::Off => {}
        }
    }

    fn open(&mut self, path: &Path) -> std::io::Result<()> {
        let log = Trace::open(path, LARGEST_LOG)?;
        if let Self::Before(records) = self {
            records.iter().for_each(|record| log.write(record));
        }
        *self = Self::Open(log);
        Ok(())
    }
}

/// Receives all events of a process.
pub struct Telemetry {
    wanted: Wanted,
    console: Arc<Console>,
    ambient: Arc<dyn Ambient>,
    live: Live,
    /// The waits and reasons that are already logged.
    told: Mutex<BTreeMap<String, u64>>,
    trace: Option<Trace>,
    /// The log of a create, in the store.
    log: Mutex<CreateLog>,
    metrics: Mutex<Metrics>,
    /// Start of the command, by the wall clock and by the monotonic clock.
    begun: (SystemTime, Duration),
}

impl Telemetry {
    /// Opens the enabled outputs. If the trace cannot be opened, warns and continues without it.
    pub fn new(wanted: Wanted, console: Arc<Console>, ambient: Arc<dyn Ambient>) -> Self {
        let trace = wanted.trace.as_deref().and_then(|path| {
            Trace::open(path, u64::MAX)
                .inspect_err(|error| {
                    let path = path.display();
                    console.line(
                        Stream::Err,
                        &format!("WARNING: no trace: {path}: {}", one_line(error)),
                    );
                })
                .ok()
        });
        Self {
            live: Live::new(console.clone()),
            told: Mutex::default(),
            trace,
            log: Mutex::new(match wanted.create_log {
                true => CreateLog::Before(Vec::new()),
                false => CreateLog::Off,
            }),
            metrics: Mutex::new(Metrics::default()),
            begun: (ambient.now(), ambient.monotonic()),
            wanted,
            console,
            ambient,
        }
    }

    /// Reports how a command ended, removes the live line and writes the metrics.
    pub async fn finish(&self, command: &str, failure: Option<&Failure>) {
        self.live.end();
        if let Some(failure) = failure.filter(|failure| !failure.text().is_empty()) {
            match self.wanted.json_log {
                true => self.line(Stream::Err, "error", &failure.text()),
                false => self.console.failure(failure),
            }
        }
        let cause = failure.map(Failure::cause);
        let took = self.ambient.monotonic().saturating_sub(self.begun.1);
        let work = || record::work("command", command, (self.begun.0, took), cause);
        if self.wanted.json_log {
            self.console.line(Stream::Err, &work());
        }
        if let CreateLog::Open(log) = &*self.create_log() {
            if let Some(failure) = failure {
                log.end(&record::message(
                    self.ambient.now(),
                    "error",
                    &failure.text(),
                ));
            }
            log.end(&work());
        }
        let Some(path) = &self.wanted.metrics else {
            return;
        };
        let mut metrics = {
            let mut counted = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *counted)
        };
        metrics.command(command, cause);
        // Discards events: waiting for other writers of the file is not part of the command.
        let cx = Cx {
            ambient: self.ambient.clone(),
            ..Cx::new(Arc::new(MemoryJournal::default()))
        };
        if let Err(error) = metrics.add_to(path, &cx).await {
            let path = path.display();
            self.line(
                Stream::Err,
                "warning",
                &format!("WARNING: no metrics: {path}: {}", one_line(error)),
            );
        }
    }

    /// Prints a warning on the stream of ordinary lines, as the Go binary does: GitLab Runner logs each line of
    /// standard error as an error of its own.
    pub fn warn(&self, text: &str) {
        let stream = match self.wanted.json_log {
            true => Stream::Err,
            false => self.telling(),
        };
        self.line(stream, "warning", text);
    }

    /// Prints a line that only `--debug` shows.
    pub fn debug(&self, text: &str) {
        if self.wanted.debug {
            self.line(Stream::Err, "debug", text);
        }
    }

    /// Returns the stream for lines that are not errors.
    fn telling(&self) -> Stream {
        match self.wanted.evaluated {
            true => Stream::Err,
            false => Stream::Out,
        }
    }

    fn line(&self, stream: Stream, level: &str, text: &str) {
        if self.wanted.json_log && stream == Stream::Err {
            let record = record::message(self.ambient.now(), level, text);
            self.console.line(stream, &record);
        } else {
            // This is a message and not data, also on standard output.
            self.console.line(stream, &shown(text));
        }
    }

    /// Logs a long wait, and logs it again if its reason changes. Used where there is no live line.
    fn waiting(&self, waiting: &Waiting) {
        let terminals = self.console.terminals();
        let (is_shown, worth_a_line) = match terminals.dumb {
            true => (true, WORTH_A_LINE_ON_DUMB),
            false => (!terminals.err && !self.wanted.evaluated, WORTH_A_LINE),
        };
        if !is_shown || waiting.waited < worth_a_line {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let machine = waiting.machine.as_deref().unwrap_or_default();
        let text = format!("{}: {}", waiting.what, waiting.why);
        // Somebody watches a terminal: there, the line is repeated.
        let round = match terminals.dumb {
            true => waiting.waited.as_secs() / REPEATED.as_secs(),
            false => 0,
        };
        let key = format!("{machine} {text}");
        match told.get(&key) {
            Some(last) if *last >= round => return,
            None if told.len() >= MOST_LINES => return,
            _ => told.insert(key, round),
        };
        let machine = match machine {
            "" => String::new(),
            machine => format!("({machine}) "),
        };
        let (waited, within) = (waiting.waited.as_secs(), waiting.within.as_secs());
        let text = format!("{machine}Waiting for {text} ({waited} s of {within} s)");
        self.line(self.telling(), "info", &printable(text.as_bytes()));
    }

    fn create_log(&self) -> MutexGuard<'_, CreateLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message to the log of a create.
    fn keep(&self, level: &str, text: &str) {
        self.create_log()
            .add(|| record::message(self.ambient.now(), level, text));
    }

    fn ended(&self, span: &Span) {
        if self.wanted.json_log {
            self.console.line(Stream::Err, &record::span(span));
        } else if self.wanted.debug {
            self.console.line(Stream::Err, &debug_line(span));
        }
        if let Some(trace) = &self.trace {
            trace.write(&record::span(span));
        }
        self.create_log().add(|| record::span(span));
        if self.wanted.metrics.is_some() {
            let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
            metrics.span(span);
        }
    }
}

impl Events for Telemetry {
    fn emit(&self, event: Event) {
        match &event {
            Event::Say(text) => self.keep("info", text),
            Event::Warn(text) | Event::Alert(text) => self.keep("warning", text),
            _ => {}
        }
        match event {
            Event::Say(text) => {
                self.line(self.telling(), "info", &text);
                // A line that ends in "..." names the new phase; any other line clears it.
                self.live
                    .phase(text.strip_suffix("...").unwrap_or_default());
            }
            Event::Warn(text) => self.warn(&text),
            Event::Alert(text) => self.line(Stream::Err, "warning", &text),
            Event::Debug(text) => self.debug(&text),
            Event::Phase(what) => self.live.phase(what.strip_suffix("...").unwrap_or(&what)),
            Event::Waiting(waiting) => {
                self.live.waiting(&waiting);
                self.waiting(&waiting);
            }
            Event::Ended(span) => {
                if span.kind == SpanKind::Wait {
                    let machine = span.fields.get("machine");
                    self.live.waited(machine, &span.name);
                }
                self.ended(&span);
            }
            Event::Counted(machines) if self.wanted.metrics.is_some() => {
                let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
                metrics.machines(&machines, self.ambient.now());
            }
            Event::Counted(_) => {}
            Event::Log(path) => {
                if let Err(error) = self.create_log().open(&path) {
                    self.debug(&format!("no log of this create: {error}"));
                }
            }
        }
    }
}

fn debug_line(span: &Span) -> String {
    let outcome = match &span.outcome {
        SpanOutcome::Ok => String::new(),
        SpanOutcome::Failed(why) => format!(", failed: {why}"),
    };
    let fields: String = span
        .fields
        .iter()
        .map(|(name, value)| format!(" {name}={value}"))
        .collect();
    let seconds = span.took.as_secs_f64();
    format!(
        "{} {} {seconds:.3}s{outcome}{fields}",
        kind(span.kind),
        span.name
    )
}

/// Returns the name of a kind of operation in logs, traces and metrics.
fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Step => "step",
        SpanKind::Api => "api",
        SpanKind::Ssh => "ssh",
        SpanKind::Wait => "wait",
        SpanKind::Phase => "phase",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::console::Terminals;
    use crate::output::console::tests::taped;
    use libmachine::SystemAmbient;

    fn telemetry(
        wanted: Wanted,
    ) -> (
        Telemetry,
        crate::output::console::tests::Tape,
        crate::output::console::tests::Tape,
    ) {
        let (console, out, err) = taped(Terminals::default());
        let ambient = Arc::new(SystemAmbient::new());
        (Telemetry::new(wanted, Arc::new(console), ambient), out, err)
    }

    fn api_call() -> Span {
        Span {
            kind: SpanKind::Api,
            name: "RunInstances".into(),
            started: SystemTime::UNIX_EPOCH,
            took: Duration::from_millis(1500),
            outcome: SpanOutcome::Failed("RequestLimitExceeded".into()),
            fields: [("machine", "n1".to_owned())].into(),
        }
    }

    #[test]
    fn lines_go_to_the_stream_they_are_for() {
        let (telemetry, out, err) = telemetry(Wanted::default());
        telemetry.emit(Event::Say("a".into()));
        telemetry.emit(Event::Warn("b".into()));
        telemetry.emit(Event::Debug("c".into()));
        telemetry.emit(Event::Phase("d".into()));
        telemetry.emit(Event::Ended(api_call()));
        assert_eq!((out.text().as_str(), err.text().as_str()), ("a\nb\n", ""));
    }

    #[test]
    fn in_a_log_a_wait_that_lasts_has_a_line_for_each_reason() {
        let (telemetry, out, err) = telemetry(Wanted::default());
        let wait = |why: &str, waited| {
            Event::Waiting(Waiting {
                machine: Some("m1".into()),
                what: "SSH".into(),
                why: why.into(),
                waited: Duration::from_secs(waited),
                within: Duration::from_secs(900),
            })
        };
        for (why, waited) in [
            ("no answer", 1),
            ("no answer", 5),
            ("no answer", 6),
            ("refused", 7),
        ] {
            telemetry.emit(wait(why, waited));
        }
        assert_eq!(
            out.text(),
            "(m1) Waiting for SSH: no answer (5 s of 900 s)\n(m1) Waiting for SSH: refused (7 s of 900 s)\n"
        );
        assert_eq!(err.text(), "");
    }

    #[test]
    fn a_dumb_terminal_gets_a_line_soon_and_again() {
        let (console, out, err) = taped(Terminals {
            out: true,
            dumb: true,
            ..Terminals::default()
        });
        let wanted = Wanted {
            evaluated: true,
            ..Wanted::default()
        };
        let telemetry = Telemetry::new(wanted, Arc::new(console), Arc::new(SystemAmbient::new()));
        for waited in [0, 1, 2, 9, 10, 11] {
            telemetry.emit(Event::Waiting(Waiting {
                machine: None,
                what: "SSH".into(),
                why: "refused".into(),
                waited: Duration::from_secs(waited),
                within: Duration::from_secs(900),
            }));
        }
        assert_eq!(
            err.text(),
            "Waiting for SSH: refused (1 s of 900 s)\nWaiting for SSH: refused (10 s of 900 s)\n"
        );
        assert_eq!(out.text(), "");
    }

    #[test]
    fn what_a_shell_evaluates_stays_clean() {
        let (telemetry, out, err) = telemetry(Wanted {
            evaluated: true,
            debug: true,
            ..Wanted::default()
        });
        telemetry.emit(Event::Say("a".into()));
        telemetry.emit(Event::Ended(api_call()));
        assert_eq!(out.text(), "");
        assert_eq!(
            err.text(),
            "a\napi RunInstances 1.500s, failed: RequestLimitExceeded machine=n1\n"
        );
    }

    #[tokio::test]
    async fn the_log_is_one_object_a_line() {
        let (telemetry, _, err) = telemetry(Wanted {
            json_log: true,
            ..Wanted::default()
        });
        telemetry.emit(Event::Ended(api_call()));
        telemetry.emit(Event::Warn("careful".into()));
        telemetry
            .finish("create", Some(&Failure::new("broken")))
            .await;
        let lines: Vec<serde_json::Value> = err
            .text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["name"], "RunInstances");
        assert_eq!(lines[0]["duration_ms"], 1500.0);
        assert_eq!(lines[0]["outcome"], "RequestLimitExceeded");
        assert_eq!(lines[0]["time"], "1970-01-01T00:00:00Z");
        assert_eq!(lines[0]["machine"], "n1");
        assert_eq!(
            (&lines[1]["level"], &lines[2]["message"]),
            (&"warning".into(), &"broken".into())
        );
        assert_eq!(lines[3]["kind"], "command");
        assert_eq!(
            (&lines[3]["name"], &lines[3]["outcome"]),
            (&"create".into(), &"other".into())
        );
    }
}
