//! CreateTags on a launched instance: the tags that its launch could not carry, and the user's labels.

use machine_driver::{DriverError, DriverErrorKind};

use crate::api::call_error::CallError;
use crate::api::consistency::is_young;
use crate::api::ec2::Ec2;
use crate::config::tags::{Tag, all_tags, owner_key, owner_tags};
use crate::instance::instance_id;
use crate::launch::tags::{Tagging, is_refusal, sdk_tags};

/// The label is a tag that rm and prune depend on.
#[derive(Debug, thiserror::Error)]
#[error("the tag {key} is docker-machine's own: rm and prune find the machine by it")]
struct OwnTag {
    key: String,
}

/// Description of what is missing if only the user's tags are accepted.
const OWN_TAGS: &str = "docker-machine's own tags, by which prune finds it";

/// Writes the tags that the instance's launch could not carry. If they are refused again, keeps the machine without
/// them.
pub(crate) async fn complete(ec2: Ec2<'_>, tagging: &Tagging, store_id: &str) {
    let saved = ec2.saved;
    let launched = tagging.at_birth(saved, store_id);
    let mut missing = all_tags(saved, store_id);
    missing.retain(|tag| !launched.of_instance().contains(tag));
    if missing.is_empty() {
        return;
    }
    let (mut lost, mut error) = match write(ec2, &missing, true).await {
        Ok(()) => return,
        Err(error) => ("tags", error),
    };
    // Only docker-machine's own tags may be refused.
    let ours = owner_tags(saved, store_id);
    let users: Vec<_> = missing
        .into_iter()
        .filter(|tag| !ours.contains(tag))
        .collect();
    if users.is_empty() {
        lost = OWN_TAGS;
    } else if !ours.is_empty() && is_refusal(&error) {
        match write(ec2, &users, true).await {
            Ok(()) => lost = OWN_TAGS,
            Err(second) => error = second,
        }
    }
    let name = &saved.base.machine_name;
    ec2.cx.warn(format!(
        "({name}) the instance stays without {lost}: {error}"
    ));
}

/// Sets tags of the user's or GitLab Runner's on the instance.
pub(crate) async fn set_labels(ec2: Ec2<'_>, labels: &[Tag]) -> Result<(), DriverError> {
    let saved = ec2.saved;
    let own = [
        "Name".to_owned(),
        owner_key(saved, "store"),
        owner_key(saved, "id"),
    ];
    if let Some((key, _)) = labels.iter().find(|(key, _)| own.contains(key)) {
        let own = OwnTag { key: key.clone() };
        return Err(DriverError::new(DriverErrorKind::Configuration, own));
    }
    // Without an instance there is nothing to tag.
    instance_id(saved)?;
    Ok(write(ec2, labels, is_young(ec2.cx)).await?)
}

/// Writes tags on the machine's instance. Retries while EC2 does not know the ID yet, or another caller writes tags at
/// the same time (EC2 API Reference, "Error codes", ConcurrentTagAccess).
async fn write(
    Ec2 { api, cx, saved }: Ec2<'_>,
    tags: &[Tag],
    is_young: bool,
) -> Result<(), CallError> {
    let passes = |error: &CallError| match error.code() {
        "ConcurrentTagAccess" => true,
        code => is_young && code == "InvalidInstanceID.NotFound",
    };
    api.call_until_accepted(cx, "CreateTags", passes, |probe| {
        let call = api.ec2.create_tags().resources(&saved.instance_id);
        call.set_tags(Some(sdk_tags(tags)))
            .customize()
            .interceptor(probe)
            .send()
    })
    .await
    .map(|_| ())
}
