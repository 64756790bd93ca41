//! A launch from its record to its outcome: sent, and sent again until it is certain what became of it.

use machine_ops::{Cx, Intent, Made, Ownership, StepError, StepFailure, UndoOrder};
use serde::Serialize;

use crate::api::client::Api;
use crate::api::retry::{steady, until_certain};
use crate::api::scope;
use crate::config::saved::Saved;
use crate::instance::parse;
use crate::launch::error::{LaunchError, Refusal};
use crate::launch::fleet::FleetRequest;
use crate::launch::key_pair;
use crate::launch::lost::{Found, Lost, is_living, living_first};
use crate::launch::run_instances::{KIND, LaunchRequest};
use crate::launch::spot_requests::{self, By};
use crate::launch::tags::{self, LaunchTags};

/// What is sent, and what the journal keeps of it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Request {
    /// RunInstances, of one candidate.
    Instance(LaunchRequest),
    /// CreateFleet, of all candidates in a market.
    Fleet(FleetRequest),
}

/// An instance that was launched, as far as the answer tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Launched {
    pub instance: String,
    pub instance_type: Option<String>,
    pub subnet: Option<String>,
    pub private_ip: Option<String>,
    pub account: Option<String>,
    /// What EC2 said of the overrides of a fleet that it tried before.
    pub refusals: Vec<Refusal>,
}

impl Launched {
    /// Reads an instance; `None` where it has no id.
    pub(crate) fn found((instance, account): Found) -> Option<Self> {
        // One that cannot be used is an error once the instance is described: its launch is not undone by it.
        let private_ip = parse(&instance, instance.private_ip_address());
        Some(Self {
            instance: instance.instance_id?,
            instance_type: instance.instance_type.map(|t| t.as_str().to_owned()),
            subnet: instance.subnet_id,
            private_ip: private_ip.ok().flatten(),
            account,
            refusals: Vec::new(),
        })
    }
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

    async fn send(&self, api: &Api, cx: &Cx, saved: &Saved) -> Result<Launched, LaunchError> {
        match self {
            Self::Instance(request) => Ok(request.send(api, cx, saved).await?),
            Self::Fleet(request) => request.send(api, cx).await,
        }
    }

    /// Sends the request again until its answer is certain. A fleet's instance is looked for before: its replay alone
    /// would find one that EC2 does not list.
    async fn replay(
        &self,
        api: &Api,
        cx: &Cx,
        saved: &Saved,
        lost: &Lost<'_>,
    ) -> Option<Result<Launched, LaunchError>> {
        let (steady, is_fleet) = (&steady(cx), matches!(self, Self::Fleet(_)));
        let what = "the launch to be answered";
        until_certain(cx, what, LaunchError::is_ambiguous, || async {
            if is_fleet {
                let found = lost.find(api, steady).await.unwrap_or_default();
                let mut living = found.into_iter().filter(|(found, _)| is_living(found));
                if let Some(launched) = living.find_map(Launched::found) {
                    return Ok(launched);
                }
            }
            self.send(api, cx, saved).await
        })
        .await
    }
}

/// Launches, and makes certain whether anything was launched; only then it is called not made.
///
/// `adopted` returns the configuration with what was launched. It is saved at once, whatever is cancelled meanwhile:
/// the Go binary reads nothing else.
pub(crate) async fn launch(
    api: &Api,
    cx: &Cx,
    saved: &Saved,
    request: &Request,
    adopted: impl Fn(&Launched) -> Saved,
) -> Result<Launched, StepError<LaunchError>> {
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
        // Instances of two kilobytes each are in it.
        let launched = Box::pin(settle(api, cx, saved, request)).await?;
        // A disk that refuses says so when the outcome is recorded.
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

/// Sends the request, and the same request again, until EC2 says what became of it.
async fn settle(
    api: &Api,
    cx: &Cx,
    saved: &Saved,
    request: &Request,
) -> Result<Launched, StepFailure<LaunchError>> {
    let refused = match request.send(api, cx, saved).await {
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
    let Ok(launch) = Lost::new(cx, request.token(), tag, is_fleet) else {
        return Err(StepFailure::Unknown(refused));
    };
    let refused = match was_lost {
        false => refused,
        true => match request.replay(api, cx, saved, &launch).await {
            Some(Ok(launched)) => return Ok(launched),
            Some(Err(verdict)) if verdict.is_verdict() => verdict,
            // Without leave to ask, or time, the outcome of the first request stays unknown.
            _ => refused,
        },
    };
    let steady = &steady(cx);
    let is_closed =
        !may_stay_open(&refused) || close_spot_request(api, steady, saved, request).await;
    let found = match was_lost {
        // A refusal of the second request does not prove that the first was refused: its instance may be what
        // exhausts the quota, the addresses or the capacity, or it may have ended already.
        true => Ok(launch.await_found(api, cx).await),
        // The request may have been fulfilled before it was cancelled.
        false => launch.find(api, steady).await.map(living_first),
    };
    match found {
        Ok(None) if !was_lost && is_closed => Err(StepFailure::NotMade(refused)),
        // Not found proves nothing so soon after a launch: it stays on record.
        Ok(None) | Err(_) => Err(StepFailure::Unknown(refused)),
        Ok(Some(found)) => Launched::found(found).ok_or(StepFailure::Unknown(refused)),
    }
}

/// Cancels the spot request of a refused launch, which may be open and launch later. False where it may still be
/// cancelled later; whoever may not cancel it is told.
async fn close_spot_request(api: &Api, cx: &Cx, saved: &Saved, request: &Request) -> bool {
    let name = &saved.base.machine_name;
    let tag = tags::machine_id(request.tags().of_spot_request());
    let by = match &tag {
        Some(tag) => Some(By::Tag(tag)),
        None => key_pair::imported(cx, &saved.key_name).then_some(By::KeyPair(&saved.key_name)),
    };
    let why = match by {
        None => "it carries no tag to find it by".to_owned(),
        Some(by) => match spot_requests::cancel_open(api, cx, by, true).await {
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
