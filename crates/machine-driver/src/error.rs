//! The errors of a driver, as the use-cases see them.

use std::error::Error as StdError;

use machine_ops::{Injected, JournalError, StepError, WaitError};

/// What kind of trouble it is: what the use-cases and the exit code depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverErrorKind {
    /// The flags do not make sense: nothing was asked of anybody.
    Configuration,
    /// A pre-create check failed: nothing was made. Exit code 3.
    PreCreate,
    /// The machine, or something it needs, is certainly not there.
    NotFound,
    /// Credentials are missing, wrong, expired, or may not do this.
    Denied,
    /// No capacity anywhere that was asked for.
    Capacity,
    /// No answer, throttled, or a server's error: it may work later.
    Unavailable,
    /// The driver, or this machine, cannot do that at all.
    Unsupported,
    /// The machine ended by itself: terminated, reclaimed, failed.
    Ended,
    /// The operation was cancelled by a signal.
    Cancelled,
    /// A file of the store.
    Store,
    /// Anything else.
    Other,
}

/// A driver's error. Its text is the driver's own; `hint` is the way out, printed on a line of its own.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct DriverError {
    /// What kind of trouble it is.
    pub kind: DriverErrorKind,
    /// What the user can do.
    pub hint: Option<String>,
    /// What went wrong. Its own sources follow it, so this wrapper is no layer of the chain.
    source: Box<dyn StdError + Send + Sync>,
}

impl DriverError {
    /// Wraps an error of the driver.
    pub fn new(kind: DriverErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            kind,
            hint: None,
            source: source.into(),
        }
    }

    /// Adds the way out.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns what went wrong, the first link of the chain that is printed.
    pub fn cause(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.source
    }
}

impl From<JournalError> for DriverError {
    fn from(error: JournalError) -> Self {
        Self::new(DriverErrorKind::Store, error)
    }
}

impl From<Injected> for DriverError {
    fn from(error: Injected) -> Self {
        Self::new(DriverErrorKind::Other, error)
    }
}

/// An operation that was cancelled before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled by {0}")]
struct Cancelled(&'static str);

impl DriverError {
    /// Makes the error of an operation that a signal ended.
    pub fn cancelled(reason: &'static str) -> Self {
        Self::new(DriverErrorKind::Cancelled, Cancelled(reason))
    }
}

impl<E: Into<DriverError> + StdError + 'static> From<StepError<E>> for DriverError {
    fn from(error: StepError<E>) -> Self {
        match error {
            StepError::Call(error) => error.into(),
            StepError::Journal(error) => error.into(),
            StepError::Cancelled(reason) => Self::cancelled(reason),
            StepError::Injected(error) => error.into(),
        }
    }
}

impl<E: Into<DriverError> + StdError + 'static> From<WaitError<E>> for DriverError {
    fn from(error: WaitError<E>) -> Self {
        match error {
            WaitError::Failed(error) => error.into(),
            WaitError::Cancelled(reason) => Self::cancelled(reason),
            WaitError::TimedOut { .. } => {
                Self::new(DriverErrorKind::Unavailable, error.to_string())
            }
        }
    }
}
