//! Queries the states of many machines of one place: by their IDs with one call for each 200 of them, or by the tag of
//! their store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_ec2::types::Instance;
use machine_driver::{DriverError, DriverErrorKind, Status};

use crate::api::codes::is_bad_credentials;
use crate::api::ec2::Ec2;
use crate::api::lookup::{MOST_VALUES, filter, instances};
use crate::config::tags::owner_key;
use crate::instance::{LifecycleError, ended_as, state_name, status};

/// A call failed for several machines.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
struct Shared(Arc<DriverError>);

/// Returns the same error for each of several machines.
pub(crate) fn failed(error: DriverError, count: usize) -> Vec<Result<Status, DriverError>> {
    let error = Shared(Arc::new(error));
    let failed = || DriverError::new(DriverErrorKind::Unavailable, error.clone());
    std::iter::repeat_with(|| Err(failed()))
        .take(count)
        .collect()
}

/// Returns the states of instances in their order.
///
/// # Errors
/// AWS refuses the credentials. Other errors are those of the instances that a failed call was for.
pub(crate) async fn of_ids(
    Ec2 { api, cx, .. }: Ec2<'_>,
    ids: &[String],
) -> Result<Vec<Result<Status, DriverError>>, DriverError> {
    let mut states = Vec::with_capacity(ids.len());
    for some in ids.chunks(MOST_VALUES) {
        let wanted = vec![filter("instance-id", some.to_vec())];
        match instances(api, cx, wanted).await {
            Ok(found) => {
                let known: HashMap<&str, &Instance> = found
                    .iter()
                    .filter_map(|(found, _)| Some((found.instance_id()?, found)))
                    .collect();
                let state = |id: &String| match known.get(id.as_str()) {
                    Some(found) => state(found),
                    None => Err(DriverError::from(LifecycleError::Gone {
                        instance: id.clone(),
                        region: api.region.clone(),
                    })),
                };
                states.extend(some.iter().map(state));
            }
            Err(error) if is_bad_credentials(error.code()) => return Err(error.into()),
            Err(error) => states.extend(failed(error.into(), some.len())),
        }
    }
    Ok(states)
}

/// Returns the states of all instances with a store's tag, by their IDs.
pub(crate) async fn of_store(
    Ec2 { api, cx, saved }: Ec2<'_>,
    store_id: &str,
) -> Result<BTreeMap<String, Result<Status, DriverError>>, DriverError> {
    let key = owner_key(saved, "store");
    let tagged = vec![filter(format!("tag:{key}"), [store_id.to_owned()])];
    let found = instances(api, cx, tagged).await?;
    let states = found
        .iter()
        .filter_map(|(found, _)| Some((found.instance_id()?.to_owned(), state(found))));
    Ok(states.collect())
}

/// Returns the state of an instance. A terminated one is shown with the reason for as long as EC2 lists it.
fn state(instance: &Instance) -> Result<Status, DriverError> {
    match state_name(instance) {
        "terminated" => Err(ended_as(instance)),
        _ => Ok(status(instance)),
    }
}
