//! A machine that is coming up, watched for its end.

use std::sync::Arc;
use std::time::Duration;

use machine_ops::{Cx, Look, WaitError, WaitPolicy, WithoutWaits, wait_until};

use crate::machine::Machine;
use crate::{Error, Library};

/// When to look: a launch that fails does so within seconds, and most machines are up before the third
/// look. Each one costs a call, which hundreds of machines have to share.
const LOOKS: WaitPolicy = WaitPolicy {
    first: Duration::from_secs(8),
    longest: Duration::from_secs(45),
    factor: 3.0,
    jitter: 0.3,
    within: Duration::from_secs(24 * 3600),
};

/// How long the last look may take: it can only explain an error that is there already.
const LAST_LOOK: Duration = Duration::from_secs(15);

impl Library {
    /// Does something with a machine, unless it ends meanwhile: then that is the error, with the
    /// cloud's reason. So is it where the work fails because the machine has ended.
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

/// Returns when the machine has ended, and never where it does not.
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
        // The work itself obeys a cancellation.
        Err(WaitError::Cancelled(_) | WaitError::TimedOut { .. }) => std::future::pending().await,
    }
}
