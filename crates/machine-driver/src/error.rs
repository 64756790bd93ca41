//! The errors of a driver, as the use cases see them.

use std::error::Error as StdError;

use machine_ops::{Injected, JournalError, StepError, WaitError};

/// The kind of an error. The use cases and the exit code depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverErrorKind {
    /// Invalid flags; no call was made.
    Configuration,
    /// A pre-create check failed: no resource was created. Exit code 3.
    PreCreate,
    /// The machine, or a resource that it needs, certainly does not exist.
    NotFound,
    /// Credentials are missing, wrong or expired, or lack permission.
    Denied,
    /// No capacity in any of the requested options.
    Capacity,
    /// No answer, throttling, or a server error: a retry may succeed.
    Unavailable,
    /// The driver, or this machine, does not support the operation.
    Unsupported,
    /// The machine ended by itself: terminated, reclaimed, failed.
    Ended,
    /// The operation was cancelled by a signal.
    Cancelled,
    /// A file of the store could not be read or written.
    Store,
    /// Any other error.
    Other,
}

/// A driver's error. The text comes from the driver; `hint` is the remedy, printed on a separate line.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct DriverError {
    /// The kind.
    pub kind: DriverErrorKind,
    /// The remedy for the user.
    pub hint: Option<String>,
    /// The cause. Its own sources follow it; this wrapper is not part of the printed chain.
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

    /// Adds the remedy.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the cause, the first error of the printed chain.
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

/// An operation that was cancelled before it completed.
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
