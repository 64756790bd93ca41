//! The one waiter: every pause in the tree is a turn of [`wait_until`].

use std::time::Duration;

use crate::{Cx, Event, Span, SpanKind, SpanOutcome};

/// How often to look, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WaitPolicy {
    /// The pause after the first look.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// By how much a pause is longer than the one before it; 1.0 keeps them equal.
    pub factor: f64,
    /// How much of each pause is left to chance, 0.0 to 1.0, so that many processes spread out.
    pub jitter: f64,
    /// The end of all patience, counted from the first look.
    pub within: Duration,
}

impl WaitPolicy {
    /// Looks at an even pace.
    pub fn every(pause: Duration, within: Duration) -> Self {
        Self {
            first: pause,
            longest: pause,
            factor: 1.0,
            jitter: 0.0,
            within,
        }
    }

    /// Looks often at first, then ever less often, at times left half to chance.
    pub fn backing_off(first: Duration, longest: Duration, within: Duration) -> Self {
        Self {
            first,
            longest,
            factor: 1.6,
            jitter: 0.5,
            within,
        }
    }

    fn pause(&self, looks: u32, chance: f64) -> Duration {
        let grown = self.first.as_secs_f64() * self.factor.powi(looks.min(1000) as i32);
        let capped = grown.min(self.longest.as_secs_f64());
        Duration::from_secs_f64(capped * (1.0 - self.jitter * chance))
    }
}

/// What a look found.
#[derive(Debug)]
pub enum Look<T> {
    /// What was waited for.
    Ready(T),
    /// Not yet; the text says what is there instead, for the error of a wait that ran out.
    Pending(String),
    /// Not yet, and come back no sooner than this (a server's Retry-After, an sshd that
    /// punishes hasty clients).
    PendingFor(String, Duration),
}

/// Why a wait ended without what it waited for.
#[derive(Debug, thiserror::Error)]
pub enum WaitError<E: std::error::Error + 'static> {
    /// Patience ran out.
    #[error("{what} did not happen within {} s (last seen: {last})", within.as_secs())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        within: Duration,
        /// What the last look found.
        last: String,
    },
    /// The operation was cancelled.
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
    /// It can never happen any more.
    #[error(transparent)]
    Failed(E),
}

/// Looks until there is something, the time is over, the operation is cancelled, or a look fails.
///
/// Level-triggered: each look sees the whole state, so a change that was missed is seen at the
/// next one. A look is not cut short by the time limit (it bounds itself); it is by cancellation.
///
/// # Errors
/// See [`WaitError`]; an `Err` of `look` is terminal.
pub async fn wait_until<T, E, F>(
    cx: &Cx,
    what: &str,
    policy: WaitPolicy,
    mut look: F,
) -> Result<T, WaitError<E>>
where
    E: std::error::Error + 'static,
    F: AsyncFnMut() -> Result<Look<T>, E>,
{
    let begun = cx.ambient.monotonic();
    let started = cx.ambient.now();
    let mut looks = 0;
    let result = loop {
        let (last, at_least) = match cx.cancel.or(look()).await {
            Err(reason) => break Err(WaitError::Cancelled(reason)),
            Ok(Err(error)) => break Err(WaitError::Failed(error)),
            Ok(Ok(Look::Ready(value))) => break Ok(value),
            Ok(Ok(Look::Pending(last))) => (last, Duration::ZERO),
            Ok(Ok(Look::PendingFor(last, at_least))) => (last, at_least),
        };
        let left = policy
            .within
            .saturating_sub(cx.ambient.monotonic().saturating_sub(begun));
        if left.is_zero() {
            break Err(WaitError::TimedOut {
                what: what.to_owned(),
                within: policy.within,
                last,
            });
        }
        let chance = (cx.ambient.random() >> 11) as f64 / (1u64 << 53) as f64;
        let pause = policy.pause(looks, chance).max(at_least).min(left);
        looks += 1;
        if let Err(reason) = cx.cancel.or(cx.ambient.sleep(pause)).await {
            break Err(WaitError::Cancelled(reason));
        }
    };
    cx.events.emit(Event::Ended(Span {
        kind: SpanKind::Wait,
        name: what.to_owned(),
        started,
        took: cx.ambient.monotonic().saturating_sub(begun),
        outcome: match &result {
            Ok(_) => SpanOutcome::Ok,
            Err(WaitError::TimedOut { .. }) => SpanOutcome::Failed("timeout".into()),
            Err(WaitError::Cancelled(_)) => SpanOutcome::Failed("cancelled".into()),
            Err(WaitError::Failed(_)) => SpanOutcome::Failed("error".into()),
        },
        fields: [("looks", (looks + 1).to_string())].into(),
    }));
    result
}

/// Bounds a whole operation. When the time is over the context's flag is set, and the operation
/// itself is still waited for: a call that was sent gets its answer onto the record, and every
/// wait in it ends at once.
pub async fn within<T>(
    cx: &Cx,
    what: &'static str,
    limit: Duration,
    operation: impl Future<Output = T>,
) -> T {
    let mut operation = std::pin::pin!(operation);
    tokio::select! {
        biased;
        value = &mut operation => return value,
        () = cx.ambient.sleep(limit) => {}
    }
    cx.debug(format!("{what}: the time of {} s is over", limit.as_secs()));
    cx.cancel.cancel("the time limit");
    operation.await
}
