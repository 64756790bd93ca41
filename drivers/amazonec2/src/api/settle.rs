//! A call whose answer was lost: asked about again, until somebody says what became of it.

use std::fmt::Display;
use std::time::Duration;

use machine_ops::{Cancel, Cx, Look, WaitPolicy, wait_until_ready};

/// How long an answer that was lost is asked for again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns a context that nobody cancels: what was sent is waited for, and just ends earlier.
pub(crate) fn steady(cx: &Cx) -> Cx {
    cx.with_cancel(Cancel::new())
}

/// Asks again, until the answer is certain, `cx` is cancelled or the patience is over; then `None`, or the
/// answer of the last time.
pub(crate) async fn until_certain<T, E, F, Fut>(
    cx: &Cx,
    what: &str,
    is_uncertain: impl Fn(&E) -> bool,
    ask: F,
) -> Option<Result<T, E>>
where
    E: Display,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let policy = WaitPolicy::backing_off(Duration::from_secs(1), Duration::from_secs(8), PATIENCE);
    let (steady, is_uncertain) = (steady(cx), &is_uncertain);
    let certain = wait_until_ready(&steady, what, policy, || {
        let asked = ask();
        async move {
            Ok::<_, std::convert::Infallible>(match asked.await {
                Err(error) if is_uncertain(&error) && cx.cancel.reason().is_none() => {
                    Look::Pending(error.to_string())
                }
                answer => Look::Ready(answer),
            })
        }
    });
    certain.await.ok()
}
