//! Runs a launch to a certain outcome: records it, sends it, and resends it until the outcome is known.

use machine_ops::{Intent, Made, Ownership, StepError, StepFailure, UndoOrder};
use serde::Serialize;

use crate::api::call::{steady, until_certain};
use crate::api::ec2::Ec2;
use crate::api::scope;
use crate::config::saved::Saved;
use crate::launch::error::LaunchError;
use crate::launch::fleet::FleetRequest;
use crate::launch::key_pair;
use crate::launch::launched::Launched;
use crate::launch::lost::{Lost, is_living, living_first};
use crate::launch::run_instances::{KIND, LaunchRequest};
use crate::launch::spot_requests::{self, By};
use crate::launch::tags::{self, LaunchTags};

/// The request, in the form that the journal keeps.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Request {
    /// RunInstances with one candidate.
    Instance(LaunchRequest),
    /// CreateFleet with all candidates of a market.
    Fleet(FleetRequest),
}

impl Request {
    fn token(&self) -> &str {
        match self {
            Self::Instance(request) => &request.token,
            Self::Fleet(request) => &request.token,
        }
    }

    fn tags(&self) -> &LaunchTags {
        match self {
            Self::Instance(request) => &request.tags,
            Self::Fleet(request) => &request.tags,
        }
    }

    async fn send(&self, ec2: Ec2<'_>) -> Result<Launched, LaunchError> {
        match self {
            Self::Instance(request) => Ok(request.send(ec2).await?),
            Self::Fleet(request) => request.send(ec2).await,
        }
    }

    /// Resends the request until its result is certain. Searches for a fleet's instance first: only its replay finds
    /// one that EC2 does not list.
    async fn replay(&self, ec2: Ec2<'_>, lost: &Lost<'_>) -> Option<Result<Launched, LaunchError>> {
        let (steady, is_fleet) = (&steady(ec2.cx), matches!(self, Self::Fleet(_)));
        let what = "the launch to be answered";
        until_certain(ec2.cx, what, LaunchError::is_ambiguous, || async {
            if is_fleet {
                let found = lost.find(Ec2 { cx: steady, ..ec2 }).await;
                let found = found.unwrap_or_default();
                let mut living = found.into_iter().filter(|(found, _)| is_living(found));
                if let Some(launched) = living.find_map(Launched::found) {
                    return Ok(launched);
                }
            }
            self.send(ec2).await
        })
        .await
    }
}

/// Launches the machine and determines the outcome. Reports it as not made only if that is certain.
///
/// `adopted` returns the configuration with the launched instance. It is saved at once, even after a cancellation,
/// since the Go binary reads nothing else.
pub(crate) async fn launch(
    ec2: Ec2<'_>,
    request: &Request,
    adopted: impl Fn(&Launched) -> Saved,
) -> Result<Launched, StepError<LaunchError>> {
    let Ec2 { api, cx, .. } = ec2;
    let intent = Intent {
        driver: crate::NAME.into(),
        kind: KIND.into(),
        key: request.token().to_owned(),
        ownership: Ownership::Ours,
        undo: UndoOrder::Reverse,
        scope: api.scope(),
        detail: serde_json::to_value(request).unwrap_or_default(),
    };
    let name = match request {
        Request::Instance(_) => "launch instance",
        Request::Fleet(_) => "launch instance by fleet",
    };
    cx.step(name, intent, async {
        // Boxed: it contains instances of two kilobytes each.
        let launched = Box::pin(settle(ec2, request)).await?;
        // A disk error is reported when the outcome is recorded.
        let driver = serde_json::to_value(adopted(&launched)).unwrap_or_default();
        let _ = cx.journal.save_driver(&driver);
        Ok(Made {
            id: Some(launched.instance.clone()),
            scope: scope::of_account(launched.account.clone()),
            value: launched,
        })
    })
    .await
}

/// Sends the same request until EC2 reports its outcome.
async fn settle(ec2: Ec2<'_>, request: &Request) -> Result<Launched, StepFailure<LaunchError>> {
    let refused = match request.send(ec2).await {
        Ok(launched) => return Ok(launched),
        Err(refused) => refused,
    };
    let was_lost = refused.is_ambiguous();
    let may_stay_open = |refused: &LaunchError| match request {
        Request::Instance(request) => request.spot && refused.may_stay_open(),
        // "Synchronous one-time request" (EC2 API Reference, CreateFleet, Type).
        Request::Fleet(_) => false,
    };
    if !was_lost && !may_stay_open(&refused) {
        return Err(StepFailure::NotMade(refused));
    }
    let (tag, is_fleet) = (
        tags::machine_id(request.tags().of_instance()),
        matches!(request, Request::Fleet(_)),
    );
    let Ok(launch) = Lost::new(ec2.cx, request.token(), tag, is_fleet) else {
        return Err(StepFailure::Unknown(refused));
    };
    let refused = match was_lost {
        false => refused,
        true => match request.replay(ec2, &launch).await {
            Some(Ok(launched)) => return Ok(launched),
            Some(Err(verdict)) if verdict.is_verdict() => verdict,
            // If retries are exhausted or not permitted, the outcome of the first request stays unknown.
            _ => refused,
        },
    };
    let steady = Ec2 {
        cx: &steady(ec2.cx),
        ..ec2
    };
    let is_closed = !may_stay_open(&refused) || close_spot_request(steady, request).await;
    let found = match was_lost {
        // A refusal of the second request does not prove that the first one failed: the first one's instance may have
        // used up the quota, the addresses or the capacity, or may have terminated already.
        true => Ok(launch.await_found(ec2).await),
        // The request may have been fulfilled before it was cancelled.
        false => launch.find(steady).await.map(living_first),
    };
    match found {
        Ok(None) if !was_lost && is_closed => Err(StepFailure::NotMade(refused)),
        // Not found proves nothing so soon after a launch: the launch stays on record.
        Ok(None) | Err(_) => Err(StepFailure::Unknown(refused)),
        Ok(Some(found)) => Launched::found(found).ok_or(StepFailure::Unknown(refused)),
    }
}

/// Cancels the spot request of a refused launch, which may be open and launch later. Returns `false` if it may still be
/// cancelled later; warns if the call is denied.
async fn close_spot_request(ec2: Ec2<'_>, request: &Request) -> bool {
    let Ec2 { cx, saved, .. } = ec2;
    let name = &saved.base.machine_name;
    let tag = tags::machine_id(request.tags().of_spot_request());
    let by = match &tag {
        Some(tag) => Some(By::Tag(tag)),
        None => key_pair::imported(cx, &saved.key_name).then_some(By::KeyPair(&saved.key_name)),
    };
    let why = match by {
        None => "it carries no tag to find it by".to_owned(),
        Some(by) => match spot_requests::cancel_open(ec2, by, true).await {
            Ok(()) => return true,
            Err(error) if error.is_denied() => error.to_string(),
            Err(error) => {
                cx.debug(format!("cannot cancel the spot request yet: {error}"));
                return false;
            }
        },
    };
    cx.warn(format!(
        "({name}) cannot cancel the refused spot request, which may be open still: {why}; cancel it in the EC2 console"
    ));
    true
}
