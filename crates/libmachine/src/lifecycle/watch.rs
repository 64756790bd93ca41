//! Watches a booting machine for termination.

use std::sync::Arc;
use std::time::Duration;

use machine_ops::{Cx, Look, WaitError, WaitPolicy, WithoutWaits, wait_until};

use crate::machine::Machine;
use crate::{Error, Library};

/// Poll intervals. A launch that fails does so within seconds, and most machines are up before the third poll. Each
/// poll costs a call, and hundreds of machines share the rate limit.
const LOOKS: WaitPolicy = WaitPolicy {
    first: Duration::from_secs(8),
    longest: Duration::from_secs(45),
    factor: 3.0,
    jitter: 0.3,
    within: Duration::from_secs(24 * 3600),
};

/// Timeout of the last poll, which can only explain an existing error.
const LAST_LOOK: Duration = Duration::from_secs(15);

impl Library {
    /// Runs an operation on a machine until it completes or the machine terminates. If the machine terminated, returns
    /// that as the error, with the cloud's reason, even if the operation failed first.
    pub(crate) async fn while_it_lives<T>(
        &self,
        machine: &Machine,
        cx: &Cx,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let result = tokio::select! {
            result = work => result,
            ended = until_ended(machine, cx) => return Err(ended),
        };
        let Err(error) = result else { return result };
        if error.is_cancelled() {
            return Err(error);
        }
        match tokio::time::timeout(LAST_LOOK, machine.driver.ended(cx)).await {
            Ok(Some(ended)) => Err(ended.into()),
            _ => Err(error),
        }
    }
}

/// Returns when the machine has terminated; otherwise never.
async fn until_ended(machine: &Machine, cx: &Cx) -> Error {
    let watching = &Cx {
        events: Arc::new(WithoutWaits(cx.events.clone())),
        ..cx.clone()
    };
    let mut begun = false;
    let ended = wait_until(watching, "the machine to end", LOOKS, async || {
        if !std::mem::replace(&mut begun, true) {
            return Ok(Look::<std::convert::Infallible>::Pending("launched".into()));
        }
        match machine.driver.ended(cx).await {
            Some(ended) => Err(ended),
            None => Ok(Look::Pending("it has not ended".into())),
        }
    });
    match ended.await {
        Ok(never) => match never {},
        Err(WaitError::Failed(ended)) => ended.into(),
        // The operation itself handles a cancellation.
        Err(WaitError::Cancelled(_) | WaitError::TimedOut { .. }) => std::future::pending().await,
    }
}
