//! The parts of every long operation: clock, cancellation, events, the waiter, the journal and its step, and undo.
//!
//! Owns the mechanics, small shared files ([`files`]) and the record's format, but no storage: `machine-store` owns
//! the journal's location, a driver defines its resources. Does not read the environment: clock and random numbers
//! come through [`Ambient`].

mod ambient;
mod cancel;
mod context;
mod event;
pub mod files;
mod journal;
mod scope;
mod step;
mod undo;
mod wait;

pub use ambient::{Ambient, SystemAmbient};
pub use cancel::Cancel;
pub use context::Cx;
pub use event::{Event, Events, OfMachine, Span, SpanKind, SpanOutcome, Waiting, WithoutWaits};
pub use journal::{
    Entry, Intent, Journal, JournalError, MemoryJournal, Ownership, Phase, Resource, UndoOrder,
    open_resources,
};
pub use scope::Scope;
pub use step::{Cut, Hook, Injected, Made, Moment, StepError, StepFailure};
pub use undo::{Leftover, Undo, UndoReport, Undone, undo_all};
pub use wait::{Look, WaitError, WaitPolicy, wait_until, wait_until_ready, within};
