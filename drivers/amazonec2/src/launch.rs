//! The launch itself: one RunInstances per candidate, each settled before the next.

use std::time::Duration;

use aws_sdk_ec2::operation::run_instances::RunInstancesOutput;
use aws_sdk_ec2::types::Instance;
use machine_driver::DriverError;
use machine_flow::{
    Cancel, Cx, Intent, Look, Made, Ownership, StepError, StepFailure, UndoOrder, WaitPolicy,
    wait_until_ready,
};

use crate::call::CallError;
use crate::candidates::{Candidate, Place, candidates};
use crate::client::Api;
use crate::codes;
use crate::configure::{SpotFallback, Wishes};
use crate::lookup::{self, filter};
use crate::request::{LaunchRequest, sdk_tags};
use crate::saved::Saved;
use crate::shortage::Shortages;
use crate::tags::{Tagging, launch_tags, users_tags};

/// The kind of its journal entries.
pub(crate) const KIND: &str = "instance";

/// How long a launch whose answer was lost is asked about again.
const SETTLE: Duration = Duration::from_secs(60);

/// How long a launch is looked for by its token after that.
const LOOK_UP: Duration = Duration::from_secs(10);

/// Launches the machine in the first candidate that has room for it.
///
/// # Errors
/// The last candidate's want of capacity, or the first error of any other kind.
pub(crate) async fn launch(
    api: &Api,
    cx: &Cx,
    saved: &mut Saved,
    wishes: &Wishes,
    places: &[Place],
    store: (&std::path::Path, &str),
) -> Result<Instance, DriverError> {
    let spot = saved.request_spot_instance;
    let fallback = wishes.spot_fallback != SpotFallback::Never;
    let all = candidates(&wishes.instance_types, places, spot, fallback);
    let mut shortages = Shortages::read(store.0, &api.region, cx.ambient.now());
    let order = shortages.last(all);
    let mut tagging = Tagging::All;
    let mut remaining = order.into_iter().peekable();
    while let Some(candidate) = remaining.next() {
        let error = loop {
            let tags = match tagging {
                Tagging::Afterwards => Vec::new(),
                _ => launch_tags(saved, store.1, tagging),
            };
            let request = LaunchRequest::new(saved, wishes, &candidate, token(cx), tags);
            let adopted = |instance: &Instance| {
                let mut adopted = saved.clone();
                adopt(&mut adopted, &candidate, places, instance);
                adopted
            };
            match run(api, cx, saved, &request, adopted).await {
                Ok(instance) => {
                    adopt(saved, &candidate, places, &instance);
                    cx.journal
                        .save_driver(&serde_json::to_value(&*saved).unwrap_or_default())?;
                    if tagging == Tagging::Afterwards {
                        tag_afterwards(api, cx, saved).await;
                    }
                    return Ok(instance);
                }
                Err(StepError::Call(error)) => match less_tagging(tagging, &error) {
                    Some(less) => {
                        cx.warn(format!(
                            "({}) launching with fewer tags: {error}",
                            saved.base.machine_name
                        ));
                        tagging = less;
                    }
                    None => break error,
                },
                Err(other) => return Err(other.into()),
            }
        };
        let code = error.code().to_owned();
        let price = codes::is_price(&code);
        if !codes::is_capacity(&code) || (price && wishes.spot_fallback != SpotFallback::Any) {
            return Err(error.into());
        }
        if !price {
            shortages.note(&candidate, &code);
        }
        // A price is as low for every spot candidate: only another market can help.
        if price {
            while remaining.next_if(|next| next.spot).is_some() {}
        }
        let Some(next) = remaining.peek() else {
            return Err(error.into());
        };
        cx.say(format!(
            "({}) No {}: {code}. Trying {}...",
            saved.base.machine_name,
            candidate.describe(),
            next.describe()
        ));
    }
    Err(DriverError::new(
        machine_driver::DriverErrorKind::Configuration,
        NothingToTry,
    ))
}

#[derive(Debug, thiserror::Error)]
#[error("there is no instance type or no subnet to launch in")]
struct NothingToTry;

/// Launches one candidate, and makes certain whether it was launched.
async fn run(
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
        let policy =
            WaitPolicy::backing_off(Duration::from_secs(1), Duration::from_secs(8), SETTLE);
        // What was sent is waited for, and so the wait itself cannot be cancelled; it just ends earlier.
        let steady = cx.with_cancel(Cancel::new());
        let replayed = wait_until_ready(&steady, "the launch to be answered", policy, || async {
            match send(api, cx, saved, request).await {
                Err(error) if error.is_ambiguous() && cx.cancel.reason().is_none() => {
                    Ok::<_, std::convert::Infallible>(Look::Pending(error.to_string()))
                }
                answer => Ok(Look::Ready(answer)),
            }
        });
        if let Ok(settled) = replayed.await {
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
    crate::fresh::until_known(api, cx, "RunInstances", |probe| {
        request
            .fill(api.ec2.run_instances(), saved)
            .customize()
            .interceptor(probe)
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
fn adopt(saved: &mut Saved, candidate: &Candidate, places: &[Place], instance: &Instance) {
    if let Some(place) = places.iter().find(|place| place.subnet == candidate.subnet) {
        crate::preflight::settle(saved, place);
    }
    saved.instance_type.clone_from(&candidate.instance_type);
    saved.request_spot_instance = candidate.spot;
    saved.instance_id = instance.instance_id().unwrap_or_default().to_owned();
    saved.private_ip_address = instance.private_ip_address().unwrap_or_default().to_owned();
    if crate::lifecycle::speaks_private(saved) {
        saved.base.ip_address.clone_from(&saved.private_ip_address);
    }
}

/// Returns how to tag where this much tagging was refused; `None` where tags are not the trouble.
fn less_tagging(tagging: Tagging, error: &CallError) -> Option<Tagging> {
    let CallError::Refused { code, message, .. } = error else {
        return None;
    };
    let by_policy = code == "UnauthorizedOperation";
    let by_rule = code == "TagPolicyViolation"
        || (code == "InvalidParameterValue" && message.contains("tag"));
    match tagging {
        Tagging::All if by_policy || by_rule => Some(Tagging::UsersOnly),
        // AWS says which action it was unless it hides it: a refusal that names another is final.
        Tagging::UsersOnly if by_policy && !names_another_action(message) => {
            Some(Tagging::Afterwards)
        }
        _ => None,
    }
}

fn names_another_action(message: &str) -> bool {
    message.contains("not authorized to perform: ") && !message.contains("ec2:CreateTags")
}

/// Tags the instance as the Go fork tags spot instances. A refusal costs the tags, not the machine.
async fn tag_afterwards(api: &Api, cx: &Cx, saved: &Saved) {
    let answer = api
        .call(cx, "CreateTags", |probe| {
            let call = api.ec2.create_tags().resources(&saved.instance_id);
            call.set_tags(Some(sdk_tags(&users_tags(saved))))
                .customize()
                .interceptor(probe)
                .send()
        })
        .await;
    if let Err(error) = answer {
        cx.warn(format!(
            "({}) the instance stays without tags: {error}",
            saved.base.machine_name
        ));
    }
}

/// Makes a client token: 128 bits of chance, in hexadecimal.
fn token(cx: &Cx) -> String {
    format!("{:016x}{:016x}", cx.ambient.random(), cx.ambient.random())
}
