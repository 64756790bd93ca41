//! The context of an operation.

use std::sync::Arc;
use std::time::Duration;

use crate::{Ambient, Cancel, Events, Hook, Journal, SystemAmbient};

/// How long an operation that only reads may wait in a queue of all processes: the user of `status` waits for it.
const READER_QUEUES: Duration = Duration::from_secs(2);

/// The context of an operation on one machine: clock and random numbers, cancellation, events, the journal, and the
/// hook at which tests inject faults. Cheap to clone.
#[derive(Clone)]
pub struct Cx {
    /// Clock and random numbers.
    pub ambient: Arc<dyn Ambient>,
    /// The flag that ends the operation early.
    pub cancel: Cancel,
    /// The receiver of the events.
    pub events: Arc<dyn Events>,
    /// The machine's journal.
    pub journal: Arc<dyn Journal>,
    /// Called at every cut point of every step; does nothing outside tests.
    pub hook: Arc<dyn Hook>,
    /// How long each call may wait for the calls of other processes; `None`: as long as its own timeout allows.
    pub queues: Option<Duration>,
}

impl Cx {
    /// Creates a context with the system's clock, which drops all events.
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self {
            ambient: Arc::new(SystemAmbient::new()),
            cancel: Cancel::new(),
            events: Arc::new(()),
            journal,
            hook: Arc::new(()),
            queues: None,
        }
    }

    /// Returns the same context for an operation that only reads: its calls wait at most two seconds for those of
    /// other processes, and are then made regardless.
    pub fn for_reading(&self) -> Self {
        Self {
            queues: Some(READER_QUEUES),
            ..self.clone()
        }
    }

    /// Returns the same context with a separate flag: for an undo, which continues after the operation itself was
    /// cancelled.
    pub fn with_cancel(&self, cancel: Cancel) -> Self {
        Self {
            cancel,
            ..self.clone()
        }
    }

    /// Prints a line for the user on standard output.
    pub fn say(&self, line: impl Into<String>) {
        self.events.emit(crate::Event::Say(line.into()));
    }

    /// Prints a warning among the other lines.
    pub fn warn(&self, line: impl Into<String>) {
        self.events.emit(crate::Event::Warn(line.into()));
    }

    /// Prints an important line for the user on standard error.
    pub fn alert(&self, line: impl Into<String>) {
        self.events.emit(crate::Event::Alert(line.into()));
    }

    /// Prints a line for `--debug`.
    pub fn debug(&self, line: impl Into<String>) {
        self.events.emit(crate::Event::Debug(line.into()));
    }

    /// Sets the current wait in a terminal's live line.
    pub fn phase(&self, what: impl Into<String>) {
        self.events.emit(crate::Event::Phase(what.into()));
    }
}
