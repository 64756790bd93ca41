//! The launch of one candidate: a RunInstances that is repeated until its outcome is certain.

use aws_sdk_ec2::operation::run_instances::RunInstancesOutput;
use aws_sdk_ec2::types::Instance;
use machine_ops::{Cx, Intent, Made, Ownership, StepError, StepFailure, UndoOrder};

use crate::api::call::CallError;
use crate::api::client::Api;
use crate::api::codes;
use crate::api::retry::{one_attempt, steady, until_certain};
use crate::config::saved::Saved;
use crate::launch::candidates::{Candidate, Place};
use crate::launch::lost::{Found, Lost, living_first};
use crate::launch::request::LaunchRequest;
use crate::launch::{spot_requests, tags};

/// The kind of its journal entries.
pub(crate) const KIND: &str = "instance";

/// Launches one candidate, and makes certain whether it was launched.
pub(crate) async fn run(
    api: &Api,
    cx: &Cx,
    saved: &Saved,
    request: &LaunchRequest,
    adopted: impl Fn(&Instance) -> Saved,
) -> Result<Instance, StepError<CallError>> {
    let intent = Intent {
        kind: KIND.into(),
        key: request.token.clone(),
        ownership: Ownership::Ours,
        undo: UndoOrder::Reverse,
        scope: api.scope(),
        detail: serde_json::to_value(request).unwrap_or_default(),
    };
    cx.step("launch instance", intent, async {
        let (instance, account) = Box::pin(settle(api, cx, saved, request)).await?;
        // At once, whatever is cancelled meanwhile: the Go binary reads nothing but config.json. A disk that
        // refuses says so when the outcome is recorded.
        let driver = serde_json::to_value(adopted(&instance)).unwrap_or_default();
        let _ = cx.journal.save_driver(&driver);
        Ok(Made {
            id: instance.instance_id().map(str::to_owned),
            account,
            value: instance,
        })
    })
    .await
}

/// Sends the request, and the same request again, until EC2 says what became of it.
async fn settle(
    api: &Api,
    cx: &Cx,
    saved: &Saved,
    request: &LaunchRequest,
) -> Result<Found, StepFailure<CallError>> {
    let unclear = || StepFailure::Unknown(empty(api));
    let (refused, was_lost) = match send(api, cx, saved, request).await {
        Ok(output) => return launched(output).ok_or_else(unclear),
        Err(lost) if lost.is_ambiguous() => {
            let what = "the launch to be answered";
            let replayed = until_certain(cx, what, CallError::is_ambiguous, || {
                send(api, cx, saved, request)
            });
            match replayed.await {
                Some(Ok(output)) => return launched(output).ok_or_else(unclear),
                Some(Err(verdict)) if verdict.is_verdict() => (verdict, true),
                // Without leave to ask, or time, the outcome of the first request stays unknown.
                _ => (lost, true),
            }
        }
        Err(refused) => (refused, false),
    };
    let stays_open = request.spot && codes::may_stay_open(refused.code());
    if !was_lost && !stays_open {
        return Err(StepFailure::NotMade(refused));
    }
    let steady = &steady(cx);
    let is_closed = !stays_open || close_spot_request(api, steady, saved, request).await;
    let tag = tags::machine_id(request.tags.of_instance());
    let Ok(launch) = Lost::new(cx, &request.token, tag, false) else {
        return Err(StepFailure::Unknown(refused));
    };
    let found = match was_lost {
        // A refusal of the second request does not prove that the first was refused: its instance may be what
        // exhausts the quota, the addresses or the capacity, or it may have ended already.
        true => Ok(launch.await_found(api, cx).await),
        // The request may have been fulfilled before it was cancelled.
        false => launch.find(api, steady).await.map(living_first),
    };
    match found {
        Ok(Some(found)) => Ok(found),
        Ok(None) if !was_lost && is_closed => Err(StepFailure::NotMade(refused)),
        // Not found proves nothing so soon after a launch: it stays on record.
        _ => Err(StepFailure::Unknown(refused)),
    }
}

fn launched(output: RunInstancesOutput) -> Option<Found> {
    let account = output.owner_id;
    let instance = output.instances.unwrap_or_default().into_iter().next();
    Some((instance?, account))
}

/// Cancels the spot request of a refused launch, which may be open and launch later. False where it may still be
/// cancelled later; whoever may not cancel it is told.
async fn close_spot_request(api: &Api, cx: &Cx, saved: &Saved, request: &LaunchRequest) -> bool {
    let name = &saved.base.machine_name;
    let why = match tags::machine_id(request.tags.of_spot_request()) {
        None => "it carries no tag to find it by".to_owned(),
        Some(tag) => match spot_requests::cancel_open(api, cx, &tag, true).await {
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

async fn send(
    api: &Api,
    cx: &Cx,
    saved: &Saved,
    request: &LaunchRequest,
) -> Result<RunInstancesOutput, CallError> {
    crate::api::retry::until_known(api, cx, "RunInstances", |probe| {
        request
            .fill(api.ec2.run_instances(), saved)
            .customize()
            .interceptor(probe)
            .config_override(one_attempt())
            .send()
    })
    .await
}

fn empty(api: &Api) -> CallError {
    CallError::NoAnswer {
        action: "RunInstances",
        region: api.region.clone(),
        endpoint: api.endpoint.clone(),
        source: "the answer names no instance".into(),
    }
}

/// Saves what the launch decided and what its answer told.
pub(crate) fn adopt(
    saved: &mut Saved,
    candidate: &Candidate,
    places: &[Place],
    instance: &Instance,
) {
    if let Some(place) = places.iter().find(|place| place.subnet == candidate.subnet) {
        crate::inspect::preflight::settle(saved, place);
    }
    saved.instance_type.clone_from(&candidate.instance_type);
    saved.request_spot_instance = candidate.spot;
    saved.instance_id = instance.instance_id().unwrap_or_default().to_owned();
    // One that cannot be used is an error once the instance is described: its launch is not undone by it.
    let private = crate::lifecycle::parse(instance, instance.private_ip_address());
    saved.private_ip_address = private.ok().flatten().unwrap_or_default();
    if crate::lifecycle::speaks_private(saved) {
        saved.base.ip_address.clone_from(&saved.private_ip_address);
    }
}

/// Makes a client token: 128 bits of chance, in hexadecimal.
pub(crate) fn token(cx: &Cx) -> String {
    format!("{:016x}{:016x}", cx.ambient.random(), cx.ambient.random())
}
