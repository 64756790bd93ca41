//! Building blocks of long operations: clock, cancellation, events, the waiter, the journal and its step, the undo.
//!
//! Owns the mechanics, small shared files ([`files`]) and the format of journal entries. Does not own storage:
//! `machine-store` determines the journal's location, and a driver defines its resources. Does not read the
//! environment: time and random numbers come through [`Ambient`]. Called by every crate that waits, writes files or
//! creates resources.
//!
//! ```
//! use std::convert::Infallible;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use machine_ops::{Cx, Look, MemoryJournal, WaitPolicy, wait_until};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let cx = Cx::new(Arc::new(MemoryJournal::default()));
//! let policy = WaitPolicy::every(Duration::from_millis(1), Duration::from_secs(5));
//! let mut polls = 0;
//! let polled = wait_until(&cx, "the third poll", policy, async || {
//!     polls += 1;
//!     Ok::<_, Infallible>(match polls {
//!         3 => Look::Ready(polls),
//!         _ => Look::Pending("not yet".to_owned()),
//!     })
//! });
//! assert_eq!(polled.await.unwrap(), 3);
//! # });
//! ```

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
pub use wait::{Look, WaitError, WaitPolicy, report_pending, wait_until, wait_until_ready, within};
