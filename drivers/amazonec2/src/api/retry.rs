//! Retries calls whose response was lost or came too early, and disables the SDK's own retries where they would hide a
//! response.

use std::error::Error as StdError;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use aws_sdk_ec2::config::Builder;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use machine_ops::{Cancel, Cx, Look, WaitPolicy, wait_until_ready};

use crate::api::call::Probe;
use crate::api::call_error::CallError;
use crate::api::client::Api;

/// Retry period of a call whose response was lost.
const LOST: Duration = Duration::from_secs(60);

/// Retry period of a call that does not know a new resource of this create yet.
const NOT_YET_KNOWN: Duration = Duration::from_secs(30);

/// Returns a context without cancellation, to wait for the response of a sent call.
pub(crate) fn steady(cx: &Cx) -> Cx {
    cx.with_cancel(Cancel::new())
}

/// Retries a call until its result is certain, `cx` is cancelled, or a minute has passed. In the latter cases returns
/// `None` or the last result.
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
    let policy = WaitPolicy::backing_off(Duration::from_secs(1), Duration::from_secs(8), LOST);
    repeat(cx, what, policy, is_uncertain, ask).await
}

/// Retries a call while it reports a group or key pair of this create as unknown.
///
/// # Errors
/// Same as [`until_accepted`].
pub(crate) async fn until_known<O, E, F, Fut>(
    api: &Api,
    cx: &Cx,
    action: &'static str,
    send: F,
) -> Result<O, CallError>
where
    O: RequestId + Send,
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    F: Fn(Probe) -> Fut + Sync,
    Fut: Future<Output = Result<O, SdkError<E, HttpResponse>>> + Send,
{
    until_accepted(api, cx, action, CallError::is_not_yet_known, send).await
}

/// Retries a call while it fails with a transient error.
///
/// # Errors
/// Returns the first permanent error; if there is none within 30 s, the first error of all.
pub(crate) async fn until_accepted<O, E, F, Fut>(
    api: &Api,
    cx: &Cx,
    action: &'static str,
    passes: impl Fn(&CallError) -> bool + Sync,
    send: F,
) -> Result<O, CallError>
where
    O: RequestId + Send,
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    F: Fn(Probe) -> Fut + Sync,
    Fut: Future<Output = Result<O, SdkError<E, HttpResponse>>> + Send,
{
    let first = api.call(cx, action, &send).await;
    let Err(refused) = first else { return first };
    if !passes(&refused) {
        return Err(refused);
    }
    let policy = WaitPolicy::backing_off(
        Duration::from_millis(500),
        Duration::from_secs(4),
        NOT_YET_KNOWN,
    );
    let what = format!("{action} to be accepted: {}", refused.code());
    let again = || api.call(cx, action, &send);
    let accepted = repeat(cx, &what, policy, passes, again).await;
    accepted.unwrap_or(Err(refused))
}

/// Retries a call while it fails with a transient error. Waits for the response of a sent call even if `cx` is
/// cancelled: dropping it would lose the created resource.
async fn repeat<T, E, F, Fut>(
    cx: &Cx,
    what: &str,
    policy: WaitPolicy,
    passes: impl Fn(&E) -> bool,
    ask: F,
) -> Option<Result<T, E>>
where
    E: Display,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let (steady, passes) = (steady(cx), &passes);
    let answered = wait_until_ready(&steady, what, policy, || {
        let asked = ask();
        async move {
            Ok::<_, std::convert::Infallible>(match asked.await {
                Err(error) if passes(&error) && cx.cancel.reason().is_none() => {
                    Look::Pending(error.to_string())
                }
                answer => Look::Ready(answer),
            })
        }
    });
    answered.await.ok()
}

/// Limits an operation to one attempt. The SDK returns only the last response of its own attempts, and a refusal of the
/// second does not show whether the first one launched. The caller retries.
pub(crate) fn one_attempt() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}
