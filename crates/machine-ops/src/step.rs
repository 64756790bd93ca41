//! A step. All resources outside this computer are created by steps.

use std::error::Error as StdError;
use std::future::Future;
use std::time::{Duration, SystemTime};

use crate::{Cx, Entry, Event, Intent, JournalError, Phase, Scope, Span, SpanKind, SpanOutcome};

/// The result of a step's call.
#[derive(Debug)]
pub struct Made<T> {
    /// The value for the caller.
    pub value: T,
    /// The resource's id, if it has one besides its key.
    pub id: Option<String>,
    /// The location from the answer.
    pub scope: Scope,
}

impl<T> Made<T> {
    /// Makes the result of a resource that is found by its key alone.
    pub fn plain(value: T) -> Self {
        Self {
            value,
            id: None,
            scope: Scope::default(),
        }
    }

    /// Makes the result of a resource with an id.
    pub fn with_id(value: T, id: impl Into<String>) -> Self {
        Self {
            value,
            id: Some(id.into()),
            scope: Scope::default(),
        }
    }
}

/// A failed call: whether the resource may exist nevertheless.
#[derive(Debug)]
pub enum StepFailure<E> {
    /// Refused: the resource was certainly not created.
    NotMade(E),
    /// No answer, or an ambiguous one: the resource may have been created, and stays in the journal.
    Unknown(E),
}

/// The cause of a failed step.
#[derive(Debug, thiserror::Error)]
pub enum StepError<E: StdError + 'static> {
    /// The call itself failed.
    #[error(transparent)]
    Call(E),
    /// The journal could not be written. Before the call: no resource was created.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The operation was cancelled.
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
    /// A test's hook made it fail here.
    #[error(transparent)]
    Injected(#[from] Injected),
}

/// A moment of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Nothing is in the journal.
    BeforeIntent,
    /// The intent is in the journal, the call has not been made.
    AfterIntent,
    /// The call has returned, and its outcome is not in the journal.
    AfterCall,
    /// The outcome is in the journal.
    AfterRecord,
}

impl Moment {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [
        Self::BeforeIntent,
        Self::AfterIntent,
        Self::AfterCall,
        Self::AfterRecord,
    ];
}

/// A cut point: a point at which tests can interrupt an operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cut {
    /// The step's name.
    pub step: String,
    /// The moment within the step.
    pub moment: Moment,
}

/// Called at every cut point; tests inject faults with it. The binary uses `()`, which does nothing.
pub trait Hook: Send + Sync {
    /// Handles one cut point; may cancel the context, end the process, or return an error.
    ///
    /// # Errors
    /// [`Injected`] makes the step fail at this point.
    fn at(&self, cut: &Cut) -> Result<(), Injected>;
}

impl Hook for () {
    fn at(&self, _cut: &Cut) -> Result<(), Injected> {
        Ok(())
    }
}

/// The error of a test's hook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("injected {moment:?} of step {step:?}")]
pub struct Injected {
    /// The step's name.
    pub step: String,
    /// The moment within the step.
    pub moment: Moment,
}

impl Cx {
    /// Creates a resource: writes the intent, makes the call, writes the outcome, reports the duration.
    ///
    /// A cancellation takes effect before the call and after it, never in between: a call that was sent is awaited
    /// (it has its own timeout), so that its answer reaches the journal.
    ///
    /// # Errors
    /// [`StepError::Call`] with the call's own error. After [`StepFailure::Unknown`], and after any error that
    /// follows the call, the resource stays in the journal, to be found and undone.
    pub async fn step<T, E, F>(
        &self,
        name: &str,
        intent: Intent,
        call: F,
    ) -> Result<T, StepError<E>>
    where
        E: StdError + 'static,
        F: Future<Output = Result<Made<T>, StepFailure<E>>>,
    {
        let begun = (self.ambient.now(), self.ambient.monotonic());
        let result = self.run_step(name, intent, call).await;
        let outcome = match &result {
            Ok(_) => SpanOutcome::Ok,
            Err(StepError::Call(_)) => SpanOutcome::Failed("call".into()),
            Err(StepError::Journal(_)) => SpanOutcome::Failed("journal".into()),
            Err(StepError::Cancelled(_)) => SpanOutcome::Failed("cancelled".into()),
            Err(StepError::Injected(_)) => SpanOutcome::Failed("injected".into()),
        };
        self.ended(SpanKind::Step, name, begun, outcome);
        result
    }

    async fn run_step<T, E, F>(
        &self,
        name: &str,
        intent: Intent,
        call: F,
    ) -> Result<T, StepError<E>>
    where
        E: StdError + 'static,
        F: Future<Output = Result<Made<T>, StepFailure<E>>>,
    {
        let cut = |moment| {
            self.hook.at(&Cut {
                step: name.to_owned(),
                moment,
            })
        };
        let step = self.ambient.random() >> 1;
        cut(Moment::BeforeIntent)?;
        self.obey()?;
        self.record(step, name, Phase::Intent { intent })?;
        cut(Moment::AfterIntent)?;
        self.obey()?;
        let outcome = call.await;
        cut(Moment::AfterCall)?;
        let value = match outcome {
            Ok(made) => {
                let (id, scope) = (made.id, made.scope);
                self.record(step, name, Phase::Made { id, scope })?;
                made.value
            }
            Err(StepFailure::NotMade(error)) => {
                self.record(step, name, Phase::NotMade)?;
                return Err(StepError::Call(error));
            }
            Err(StepFailure::Unknown(error)) => return Err(StepError::Call(error)),
        };
        cut(Moment::AfterRecord)?;
        self.obey()?;
        Ok(value)
    }

    /// Writes one entry of the journal, with the current time.
    ///
    /// # Errors
    /// [`JournalError`] names the file.
    pub fn record(&self, step: u64, name: &str, phase: Phase) -> Result<(), JournalError> {
        self.journal.append(&Entry {
            step,
            name: name.to_owned(),
            at: unix_millis(self.ambient.now()),
            phase,
        })
    }

    /// Emits the end of a span that began at the given wall-clock and monotonic time.
    pub fn ended(
        &self,
        kind: SpanKind,
        name: &str,
        begun: (SystemTime, Duration),
        outcome: SpanOutcome,
    ) {
        self.events.emit(Event::Ended(Span {
            kind,
            name: name.to_owned(),
            started: begun.0,
            took: self.ambient.monotonic().saturating_sub(begun.1),
            outcome,
            fields: Default::default(),
        }));
    }

    fn obey<E: StdError + 'static>(&self) -> Result<(), StepError<E>> {
        match self.cancel.reason() {
            Some(reason) => Err(StepError::Cancelled(reason)),
            None => Ok(()),
        }
    }
}

fn unix_millis(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
        .unwrap_or_default()
}
