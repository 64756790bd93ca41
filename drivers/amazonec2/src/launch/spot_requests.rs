//! Open spot requests: lists them, and cancels those that a refused launch leaves behind.

use std::time::Duration;

use aws_sdk_ec2::types::{Filter, SpotInstanceRequest, SpotInstanceState};
use machine_ops::{Look, WaitError, WaitPolicy, wait_until_ready};

use crate::api::call_error::CallError;
use crate::api::ec2::Ec2;
use crate::api::lookup::{Pages, check, filter, unfiltered};
use crate::config::tags::Tag;

/// Filter name from the EC2 API Reference, DescribeSpotInstanceRequests, `Filter.N`.
const KEY_NAME: &str = "launch.key-name";

/// Time for which a request that was just refused may not be listed yet.
const LISTED: Duration = Duration::from_secs(3);

/// Identifies a machine's spot requests.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By<'a> {
    /// The tag with the machine's ID.
    Tag(&'a Tag),
    /// The name of the key pair that this machine imported for itself, used if AWS refused the tags.
    KeyPair(&'a str),
}

/// Cancels the machine's open spot requests, if there are any. Looks for them once, or for a few seconds if
/// `just_refused` is set, since they may not be listed yet.
///
/// An instance that was launched from one meanwhile keeps running: "Canceling a Spot Instance request does not
/// terminate running Spot Instances associated with the request" (EC2 API Reference, CancelSpotInstanceRequests).
pub(crate) async fn cancel_open(
    ec2: Ec2<'_>,
    by: By<'_>,
    just_refused: bool,
) -> Result<(), CallError> {
    let Ec2 { api, cx, .. } = ec2;
    let open = match just_refused {
        false => open(ec2, by).await?,
        true => await_open(ec2, by).await?,
    };
    if open.is_empty() {
        return Ok(());
    }
    let answer = api
        .call(cx, "CancelSpotInstanceRequests", |probe| {
            let call = api.ec2.cancel_spot_instance_requests();
            call.set_spot_instance_request_ids(Some(open.clone()))
                .customize()
                .interceptor(probe)
                .send()
        })
        .await;
    match answer {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

async fn await_open(ec2: Ec2<'_>, by: By<'_>) -> Result<Vec<String>, CallError> {
    let policy =
        WaitPolicy::backing_off(Duration::from_millis(500), Duration::from_secs(2), LISTED);
    let what = "the refused spot request to be listed";
    let open = wait_until_ready(ec2.cx, what, policy, || async {
        let open = open(ec2, by).await?;
        Ok(match open.is_empty() {
            true => Look::Pending("nothing".into()),
            false => Look::Ready(open),
        })
    });
    match open.await {
        Ok(open) => Ok(open),
        // EC2 has closed the request.
        Err(WaitError::TimedOut { .. }) => Ok(Vec::new()),
        Err(WaitError::Failed(error)) => Err(error),
        Err(WaitError::Cancelled(reason)) => Err(CallError::Cancelled {
            action: "DescribeSpotInstanceRequests",
            reason,
        }),
    }
}

async fn open(ec2: Ec2<'_>, by: By<'_>) -> Result<Vec<String>, CallError> {
    let asked = match by {
        By::Tag((key, id)) => filter(format!("tag:{key}"), [id.clone()]),
        By::KeyPair(name) => filter(KEY_NAME, [name.to_owned()]),
    };
    let mut open = Vec::new();
    for request in list_open(ec2, &[asked]).await? {
        let launch = request.launch_specification();
        let key = launch.and_then(|launch| launch.key_name());
        if let By::KeyPair(name) = by
            && key != Some(name)
        {
            let (action, id) = (
                "DescribeSpotInstanceRequests",
                request.spot_instance_request_id(),
            );
            return Err(unfiltered(ec2.api, action, id, KEY_NAME));
        }
        open.extend(request.spot_instance_request_id);
    }
    Ok(open)
}

/// Lists the open spot requests that match the filters. Omits active ones: their instances are listed and removed.
pub(crate) async fn list_open(
    Ec2 { api, cx, .. }: Ec2<'_>,
    filters: &[Filter],
) -> Result<Vec<SpotInstanceRequest>, CallError> {
    let action = "DescribeSpotInstanceRequests";
    let mut open = Vec::new();
    let mut pages = Pages::begin(api, cx, action);
    loop {
        let answer = api
            .ask(cx, action, |probe| {
                let call = api.ec2.describe_spot_instance_requests();
                call.set_filters(Some(filters.to_vec()))
                    .filters(filter("state", ["open".to_owned()]))
                    .set_next_token(pages.token.clone())
                    .customize()
                    .interceptor(probe)
                    .send()
            })
            .await?;
        for request in answer.spot_instance_requests.unwrap_or_default() {
            let id = request.spot_instance_request_id();
            check(api, action, filters, id, request.tags(), None)?;
            if request.state() == Some(&SpotInstanceState::Open) {
                open.push(request);
            }
        }
        if !pages.turn(answer.next_token, open.len())? {
            return Ok(open);
        }
    }
}
