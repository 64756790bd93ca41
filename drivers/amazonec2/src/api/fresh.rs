//! EC2 is eventually consistent: what was just made may be unknown to the next call for a moment.

use std::error::Error as StdError;
use std::future::Future;
use std::time::Duration;

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use machine_ops::{Cancel, Cx, Look, WaitPolicy, wait_until_ready};

use crate::api::call::{CallError, Probe};
use crate::api::client::Api;

/// How long EC2 may not know an id that it just handed out, to be on the safe side (EC2 API Reference,
/// "Eventual consistency", advises to back off for up to five minutes).
pub(crate) const CONSISTENCY_WINDOW: Duration = Duration::from_secs(300);

/// How long a call waits for what this create has made to be known.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells whether a call failed for what this create itself has made or found a moment ago.
pub(crate) fn is_not_yet_known(error: &CallError) -> bool {
    matches!(
        error.code(),
        "InvalidGroup.NotFound" | "InvalidGroupId.NotFound" | "InvalidKeyPair.NotFound"
    )
}

/// Makes a call again while it says that a group or key pair of this create is unknown.
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
    until(api, cx, action, is_not_yet_known, send).await
}

/// Makes a call again while it fails for a reason that passes.
pub(crate) async fn until<O, E, F, Fut>(
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
    let policy =
        WaitPolicy::backing_off(Duration::from_millis(500), Duration::from_secs(4), PATIENCE);
    let what = format!("{action} to be accepted: {}", refused.code());
    // What was sent is waited for: a wait that is cancelled would drop a launch in flight as one not made.
    let steady = cx.with_cancel(Cancel::new());
    let again = wait_until_ready(&steady, &what, policy, || async {
        match api.call(cx, action, &send).await {
            Err(error) if passes(&error) && cx.cancel.reason().is_none() => {
                Ok(Look::Pending(error.to_string()))
            }
            result => result.map(Look::Ready),
        }
    });
    again.await.map_err(|error| match error {
        machine_ops::WaitError::Failed(error) => error,
        machine_ops::WaitError::Cancelled(reason) => CallError::Cancelled { action, reason },
        machine_ops::WaitError::TimedOut { .. } => refused,
    })
}
