//! The events of a running operation. Only the binary prints them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A line for the user on standard output: `Creating machine...`.
    Say(String),
    /// A warning, among the other lines for the user.
    Warn(String),
    /// A line that the user must see even if the other lines are not read: on standard error, which GitLab Runner
    /// logs as an error. Rare.
    Alert(String),
    /// A line for `--debug`.
    Debug(String),
    /// The current wait, for the live line of a terminal.
    Phase(String),
    /// A poll whose condition is not met yet: for the live line, and for a log.
    Waiting(Waiting),
    /// A span that has ended: for the trace, the log, the metrics and `--debug`.
    Ended(Span),
    /// The number of machines of the whole store in each state, after a query of all of them: for the metrics.
    Counted(BTreeMap<String, usize>),
    /// The file to which the records of the rest of this operation are appended.
    Log(PathBuf),
}

/// A wait that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The machine, if the wait is about one.
    pub machine: Option<String>,
    /// The condition, as in the span of the wait.
    pub what: String,
    /// The result of the last poll.
    pub why: String,
    /// The time since the first poll.
    pub waited: Duration,
    /// The timeout, measured from the first poll.
    pub within: Duration,
}

/// A unit of work with a duration.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its kind.
    pub kind: SpanKind,
    /// Its name: the step, the cloud's action, the SSH command's title, the condition waited for.
    pub name: String,
    /// Its start time.
    pub started: SystemTime,
    /// Its duration.
    pub took: Duration,
    /// Its outcome.
    pub outcome: SpanOutcome,
    /// Additional fields: `request_id`, `machine`, `attempts`, `error`. Never a secret.
    pub fields: BTreeMap<&'static str, String>,
}

/// Kinds of spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpanKind {
    /// A journalled step.
    Step,
    /// A call of a cloud's API.
    Api,
    /// A command over SSH.
    Ssh,
    /// A wait.
    Wait,
    /// A phase of a `create` that the closing line names: launch, boot, ssh, docker.
    Phase,
}

/// The outcome of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanOutcome {
    /// Success.
    Ok,
    /// Failure; a short word or code for the error, never a secret.
    Failed(String),
}

/// Receives events. Must not block, and must not fail: the binary handles a closed pipe.
pub trait Events: Send + Sync {
    /// Receives one event.
    fn emit(&self, event: Event);
}

/// Adds a machine's name to every span, and passes all events on.
pub struct OfMachine {
    /// The machine's name.
    pub machine: String,
    /// The receiver of the events.
    pub told: Arc<dyn Events>,
}

impl Events for OfMachine {
    fn emit(&self, event: Event) {
        self.told.emit(match event {
            Event::Ended(mut span) => {
                span.fields
                    .entry("machine")
                    .or_insert_with(|| self.machine.clone());
                Event::Ended(span)
            }
            Event::Waiting(mut waiting) => {
                waiting.machine.get_or_insert_with(|| self.machine.clone());
                Event::Waiting(waiting)
            }
            other => other,
        });
    }
}

/// Passes all events on but those of waits: for a wait that watches work, which is not what the user waits for.
pub struct WithoutWaits(pub Arc<dyn Events>);

impl Events for WithoutWaits {
    fn emit(&self, event: Event) {
        if !matches!(event, Event::Waiting(_)) {
            self.0.emit(event);
        }
    }
}

/// Drops all events.
impl Events for () {
    fn emit(&self, _event: Event) {}
}
