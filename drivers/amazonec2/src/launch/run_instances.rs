//! The launch of one candidate: a RunInstances that is repeated until its outcome is certain.

use std::time::Duration;

use aws_sdk_ec2::operation::run_instances::RunInstancesOutput;
use aws_sdk_ec2::types::Instance;
use machine_ops::{
    Cx, Intent, Look, Made, Ownership, StepError, StepFailure, UndoOrder, WaitPolicy,
    wait_until_ready,
};

use crate::api::call::CallError;
use crate::api::client::Api;
use crate::api::lookup::{self, filter};
use crate::api::retry::one_attempt;
use crate::api::settle::until_certain;
use crate::config::saved::Saved;
use crate::launch::candidates::{Candidate, Place};
use crate::launch::request::LaunchRequest;

/// The kind of its journal entries.
pub(crate) const KIND: &str = "instance";

/// How long a launch whose answer was lost, and that nobody answers again, is looked for by its token.
const LOOK_UP: Duration = Duration::from_secs(10);

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
        let (instance, account) = settle(api, cx, saved, request).await?;
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
) -> Result<(Instance, Option<String>), StepFailure<CallError>> {
    let mut answer = send(api, cx, saved, request).await;
    if let Err(lost) = &answer
        && lost.is_ambiguous()
    {
        let replayed = until_certain(
            cx,
            "the launch to be answered",
            CallError::is_ambiguous,
            || send(api, cx, saved, request),
        );
        // Who may not ask any more has not heard what became of the first request.
        if let Some(settled) = replayed.await
            && settled.as_ref().err().is_none_or(CallError::is_verdict)
        {
            answer = settled;
        }
    }
    let lost = match answer {
        Ok(output) => {
            let account = output.owner_id;
            let instance = output.instances.unwrap_or_default().into_iter().next();
            return instance
                .map(|instance| (instance, account))
                .ok_or_else(|| StepFailure::Unknown(empty(api)));
        }
        Err(error) if error.is_ambiguous() => error,
        Err(error) => return Err(StepFailure::NotMade(error)),
    };
    by_token(api, cx, &request.token)
        .await
        .ok_or(StepFailure::Unknown(lost))
}

async fn send(
    api: &Api,
    cx: &Cx,
    saved: &Saved,
    request: &LaunchRequest,
) -> Result<RunInstancesOutput, CallError> {
    crate::api::fresh::until_known(api, cx, "RunInstances", |probe| {
        request
            .fill(api.ec2.run_instances(), saved)
            .customize()
            .interceptor(probe)
            .config_override(one_attempt())
            .send()
    })
    .await
}

async fn by_token(api: &Api, cx: &Cx, token: &str) -> Option<(Instance, Option<String>)> {
    let policy = WaitPolicy::every(Duration::from_secs(2), LOOK_UP);
    let found = wait_until_ready(
        cx,
        "the launch to be found by its token",
        policy,
        || async {
            let filters = vec![filter("client-token", [token.to_owned()])];
            Ok::<_, std::convert::Infallible>(match lookup::instances(api, cx, filters).await {
                Ok(found) => found
                    .into_iter()
                    .next()
                    .map_or_else(|| Look::Pending("nothing".into()), Look::Ready),
                Err(error) => Look::Pending(error.to_string()),
            })
        },
    );
    found.await.ok()
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
    saved.private_ip_address = instance.private_ip_address().unwrap_or_default().to_owned();
    if crate::lifecycle::speaks_private(saved) {
        saved.base.ip_address.clone_from(&saved.private_ip_address);
    }
}

/// Makes a client token: 128 bits of chance, in hexadecimal.
pub(crate) fn token(cx: &Cx) -> String {
    format!("{:016x}{:016x}", cx.ambient.random(), cx.ambient.random())
}
