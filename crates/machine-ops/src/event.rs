//! What an operation tells while it runs. Nobody but the binary prints.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Something worth telling.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A line for the user on standard output: `Creating machine...`.
    Say(String),
    /// A line for the user, among the others, that is a warning.
    Warn(String),
    /// A line that must be read even where nobody reads the others: on standard error, which GitLab Runner logs as
    /// an error. Seldom.
    Alert(String),
    /// A line for `--debug`.
    Debug(String),
    /// A new phase for the live line of a terminal: what is being waited for.
    Phase(String),
    /// A piece of work that has ended: for the trace, the log, the metrics and `--debug`.
    Ended(Span),
    /// How many machines the whole store has in each state, all of them having been asked: for the metrics.
    Counted(BTreeMap<String, usize>),
}

/// A piece of work that took time.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// What kind of work.
    pub kind: SpanKind,
    /// Its name: the step, the cloud's action, the SSH command's title, what was waited for.
    pub name: String,
    /// When it began.
    pub started: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: SpanOutcome,
    /// More facts: `request_id`, `machine`, `attempts`, `error`. Never a secret.
    pub fields: BTreeMap<&'static str, String>,
}

/// Kinds of work.
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
    /// A part of a `create` that the closing line names: launch, boot, ssh, docker.
    Phase,
}

/// How a piece of work ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanOutcome {
    /// As it should.
    Ok,
    /// With an error; a short word or code for it, never a secret.
    Failed(String),
}

/// Takes events. Must not block, and must not fail: a closed pipe is the binary's worry.
pub trait Events: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: Event);
}

/// Adds a machine's name to whatever work is told of it, and hands all on.
pub struct OfMachine {
    /// The machine's name.
    pub machine: String,
    /// Who is told.
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
            other => other,
        });
    }
}

/// Takes events and drops them.
impl Events for () {
    fn emit(&self, _event: Event) {}
}
