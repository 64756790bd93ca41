//! What an operation carries with it.

use std::sync::Arc;

use crate::{Ambient, Cancel, Events, Hook, Journal, SystemAmbient};

/// The context of an operation on one machine: clock and dice, cancellation, events, the journal,
/// and the hook at which tests inject faults. Cheap to clone.
#[derive(Clone)]
pub struct Cx {
    /// Clock and dice.
    pub ambient: Arc<dyn Ambient>,
    /// The flag that ends the operation early.
    pub cancel: Cancel,
    /// Where to tell what happens.
    pub events: Arc<dyn Events>,
    /// The machine's journal.
    pub journal: Arc<dyn Journal>,
    /// Called at every cut of every step; does nothing outside tests.
    pub hook: Arc<dyn Hook>,
}

impl Cx {
    /// Makes a context with the system's clock and nobody listening.
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self {
            ambient: Arc::new(SystemAmbient::new()),
            cancel: Cancel::new(),
            events: Arc::new(()),
            journal,
            hook: Arc::new(()),
        }
    }

    /// Returns the same context with a flag of its own: for an undo, which goes on after the
    /// operation itself was cancelled.
    pub fn with_cancel(&self, cancel: Cancel) -> Self {
        Self {
            cancel,
            ..self.clone()
        }
    }

    /// Returns the same context over another journal.
    pub fn with_journal(&self, journal: Arc<dyn Journal>) -> Self {
        Self {
            journal,
            ..self.clone()
        }
    }

    /// Tells the user on standard output.
    pub fn say(&self, line: impl Into<String>) {
        self.events.emit(crate::Event::Say(line.into()));
    }

    /// Warns the user, among the other lines.
    pub fn warn(&self, line: impl Into<String>) {
        self.events.emit(crate::Event::Warn(line.into()));
    }

    /// Tells the user on standard error, for what must not be overlooked.
    pub fn alert(&self, line: impl Into<String>) {
        self.events.emit(crate::Event::Alert(line.into()));
    }

    /// Tells whoever asked for `--debug`.
    pub fn debug(&self, line: impl Into<String>) {
        self.events.emit(crate::Event::Debug(line.into()));
    }

    /// Names what is being waited for, on a terminal's live line.
    pub fn phase(&self, what: impl Into<String>) {
        self.events.emit(crate::Event::Phase(what.into()));
    }
}
