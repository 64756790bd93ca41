//! The waiter: every pause in the workspace is a turn of [`wait_until`] (or of its `Send` form), or reports that an
//! operation is pending.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use crate::{Cx, Event, Span, SpanKind, SpanOutcome, Waiting};

/// The polling interval and the overall timeout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WaitPolicy {
    /// The pause after the first poll.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// The ratio of a pause to the one before it; 1.0 keeps them equal.
    pub factor: f64,
    /// The random share of each pause, 0.0 to 1.0, so that many processes spread out.
    pub jitter: f64,
    /// Overall timeout, measured from the first poll.
    pub within: Duration,
}

impl WaitPolicy {
    /// Polls at a fixed interval.
    pub fn every(pause: Duration, within: Duration) -> Self {
        Self {
            first: pause,
            longest: pause,
            factor: 1.0,
            jitter: 0.0,
            within,
        }
    }

    /// Polls with exponential backoff; half of each pause is random.
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

/// The result of a poll.
#[derive(Debug)]
pub enum Look<T> {
    /// The awaited value.
    Ready(T),
    /// Not ready yet; the text is the observed state, for the error of a timeout.
    Pending(String),
    /// Not ready yet, and the next poll must not be sooner than this (a server's Retry-After, an sshd that penalizes
    /// frequent clients).
    PendingFor(String, Duration),
}

/// The cause of a failed wait.
#[derive(Debug, thiserror::Error)]
pub enum WaitError<E: std::error::Error + 'static> {
    /// The timeout expired.
    #[error("{what} did not happen within {} s (last seen: {last})", within.as_secs())]
    TimedOut {
        /// The condition.
        what: String,
        /// The timeout.
        within: Duration,
        /// The result of the last poll.
        last: String,
    },
    /// The operation was cancelled.
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
    /// The condition can no longer be met.
    #[error(transparent)]
    Failed(E),
}

/// Polls until the value is ready, the timeout expires, the operation is cancelled, or a poll fails.
///
/// Level-triggered: each poll sees the whole state, so a missed change is seen by the next poll. The timeout does not
/// interrupt a poll (it has its own timeout); cancellation does.
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
    let mut turns = Turns::begin(cx, what, policy);
    loop {
        // Boxed: waits contain waits, and a future of its own for each would overflow a small stack.
        let seen = turns.poll(Box::pin(cx.cancel.or(look()))).await;
        if let Some(result) = turns.after(seen).await {
            return turns.end(result);
        }
    }
}

/// Waits as [`wait_until`] does, with a closure that returns a future instead of an async closure.
///
/// For methods of traits whose futures must be `Send`: the compiler cannot prove that yet for an async closure that
/// borrows (rust-lang/rust#110338).
///
/// # Errors
/// Same as [`wait_until`].
pub async fn wait_until_ready<T, E, F, Fut>(
    cx: &Cx,
    what: &str,
    policy: WaitPolicy,
    mut look: F,
) -> Result<T, WaitError<E>>
where
    E: std::error::Error + 'static,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Look<T>, E>>,
{
    let mut turns = Turns::begin(cx, what, policy);
    loop {
        // Boxed: waits contain waits, and a future of its own for each would overflow a small stack.
        let seen = turns.poll(Box::pin(cx.cancel.or(look()))).await;
        if let Some(result) = turns.after(seen).await {
            return turns.end(result);
        }
    }
}

/// The state of a wait in progress, without the polling itself.
struct Turns<'a> {
    cx: &'a Cx,
    what: &'a str,
    policy: WaitPolicy,
    begun: Duration,
    started: SystemTime,
    looks: u32,
}

impl<'a> Turns<'a> {
    fn begin(cx: &'a Cx, what: &'a str, policy: WaitPolicy) -> Self {
        Self {
            begun: cx.ambient.monotonic(),
            started: cx.ambient.now(),
            looks: 0,
            cx,
            what,
            policy,
        }
    }

    fn waited(&self) -> Duration {
        self.cx.ambient.monotonic().saturating_sub(self.begun)
    }

    /// Reports why the wait goes on.
    fn tell(&self, why: String) {
        self.cx.events.emit(Event::Waiting(Waiting {
            machine: None,
            what: self.what.to_owned(),
            why,
            waited: self.waited(),
            within: self.policy.within,
        }));
    }

    /// Awaits a poll. If the first one takes long, reports that there is no result yet; later, the reason of the poll
    /// before is on record.
    #[expect(
        clippy::disallowed_methods,
        reason = "the context's clock may stand still, or be ahead, while an answer is under way"
    )]
    async fn poll<T>(&self, mut look: Pin<Box<impl Future<Output = T>>>) -> T {
        if self.looks == 0 {
            tokio::select! {
                biased;
                seen = &mut look => return seen,
                () = tokio::time::sleep(REPORT) => self.tell("no answer yet".into()),
            }
        }
        look.await
    }

    /// Evaluates the result of a poll; pauses before the next one.
    async fn after<T, E: std::error::Error + 'static>(
        &mut self,
        seen: Result<Result<Look<T>, E>, &'static str>,
    ) -> Option<Result<T, WaitError<E>>> {
        let (last, at_least) = match seen {
            Err(reason) => return Some(Err(WaitError::Cancelled(reason))),
            Ok(Err(error)) => return Some(Err(WaitError::Failed(error))),
            Ok(Ok(Look::Ready(value))) => return Some(Ok(value)),
            Ok(Ok(Look::Pending(last))) => (last, Duration::ZERO),
            Ok(Ok(Look::PendingFor(last, at_least))) => (last, at_least),
        };
        let left = self.policy.within.saturating_sub(self.waited());
        if left.is_zero() {
            return Some(Err(WaitError::TimedOut {
                what: self.what.to_owned(),
                within: self.policy.within,
                last,
            }));
        }
        self.tell(last);
        let ambient = &self.cx.ambient;
        let chance = (ambient.random() >> 11) as f64 / (1u64 << 53) as f64;
        let pause = self
            .policy
            .pause(self.looks, chance)
            .max(at_least)
            .min(left);
        self.looks += 1;
        let slept = self.cx.cancel.or(ambient.sleep(pause)).await;
        slept.err().map(|reason| Err(WaitError::Cancelled(reason)))
    }

    fn end<T, E: std::error::Error + 'static>(
        self,
        result: Result<T, WaitError<E>>,
    ) -> Result<T, WaitError<E>> {
        self.cx.events.emit(Event::Ended(Span {
            kind: SpanKind::Wait,
            name: self.what.to_owned(),
            started: self.started,
            took: self.waited(),
            outcome: match &result {
                Ok(_) => SpanOutcome::Ok,
                Err(WaitError::TimedOut { .. }) => SpanOutcome::Failed("timeout".into()),
                Err(WaitError::Cancelled(_)) => SpanOutcome::Failed("cancelled".into()),
                Err(WaitError::Failed(_)) => SpanOutcome::Failed("error".into()),
            },
            fields: [("looks", (self.looks + 1).to_string())].into(),
        }));
        result
    }
}

/// The time after which a pending operation is reported, and the pause between reports. A terminal must not be silent
/// for two seconds.
const REPORT: Duration = Duration::from_millis(1500);

/// Awaits an operation, such as a call, and reports as long as it is pending. `within` is the operation's own timeout.
#[expect(
    clippy::disallowed_methods,
    reason = "the context's clock may stand still, or be ahead, while an answer is under way"
)]
pub async fn report_pending<T>(
    cx: &Cx,
    (what, why): (&str, &str),
    within: Duration,
    operation: impl Future<Output = T>,
) -> T {
    let turns = Turns::begin(cx, what, WaitPolicy::every(REPORT, within));
    let mut operation = std::pin::pin!(operation);
    let mut is_reported = false;
    loop {
        tokio::select! {
            biased;
            value = &mut operation => {
                if is_reported {
                    let _ = turns.end::<(), Infallible>(Ok(()));
                }
                return value;
            }
            () = tokio::time::sleep(REPORT) => {}
        }
        is_reported = true;
        turns.tell(why.to_owned());
    }
}

/// Sets a timeout for a whole operation. When it expires, the context's flag is set, and the operation itself is
/// still awaited: a call that was sent writes its answer to the journal, and every wait in it ends at once.
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
