//! A step: the only way to create something outside this machine.

use std::error::Error as StdError;
use std::future::Future;
use std::time::{Duration, SystemTime};

use crate::{Cx, Entry, Event, Intent, JournalError, Phase, Scope, Span, SpanKind, SpanOutcome};

/// What a step's call made.
#[derive(Debug)]
pub struct Made<T> {
    /// What the caller wants to have.
    pub value: T,
    /// The resource's id, where it has one besides its key.
    pub id: Option<String>,
    /// What the answer told about where it is.
    pub scope: Scope,
}

impl<T> Made<T> {
    /// Made, and found by its key alone.
    pub fn plain(value: T) -> Self {
        Self {
            value,
            id: None,
            scope: Scope::default(),
        }
    }

    /// Made, with an id.
    pub fn with_id(value: T, id: impl Into<String>) -> Self {
        Self {
            value,
            id: Some(id.into()),
            scope: Scope::default(),
        }
    }
}

/// How a call failed: whether what it should have made can be there all the same.
#[derive(Debug)]
pub enum StepFailure<E> {
    /// Refused: it was certainly not made.
    NotMade(E),
    /// No answer, or one that does not tell: it may have been made, and stays on record.
    Unknown(E),
}

/// Why a step did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StepError<E: StdError + 'static> {
    /// The call itself failed.
    #[error(transparent)]
    Call(E),
    /// The journal could not be written. Before the call: nothing was made.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The operation was cancelled.
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
    /// A test wanted it to fail here.
    #[error(transparent)]
    Injected(#[from] Injected),
}

/// Where in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Nothing is on record.
    BeforeIntent,
    /// The intent is on record, the call has not been made.
    AfterIntent,
    /// The call has been made and answered, and its outcome is not on record.
    AfterCall,
    /// The outcome is on record.
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

/// A point at which an operation can be cut.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cut {
    /// The step's name.
    pub step: String,
    /// Where in it.
    pub moment: Moment,
}

/// What a test does at a cut. In the binary it is `()`, which does nothing.
pub trait Hook: Send + Sync {
    /// Is called at every cut; may cancel the context, end the process, or ask for an error.
    ///
    /// # Errors
    /// [`Injected`] makes the step fail there.
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
    /// Where in it.
    pub moment: Moment,
}

impl Cx {
    /// Creates something: writes the intent, calls, writes the outcome, tells the time it took.
    ///
    /// A cancellation is obeyed before the call and after it, never in between: a call that was
    /// sent is waited for (it bounds itself), so that its answer reaches the record.
    ///
    /// # Errors
    /// [`StepError::Call`] with the call's own error. After [`StepFailure::Unknown`], and after
    /// any error behind the call, the resource stays in the journal, to be found and undone.
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

    /// Writes one entry of the journal, with the time of now.
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

    /// Tells that a piece of work has ended, which began at the given wall-clock and monotonic time.
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
