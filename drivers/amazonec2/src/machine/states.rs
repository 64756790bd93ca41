//! Queries the states of many machines of one place: by their IDs with one call for each 200 of them, or by the tag of
//! their store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_ec2::types::Instance;
use machine_driver::{DriverError, DriverErrorKind, Status};
use machine_ops::Cx;
use machine_types::MachineState;

use crate::api::call_error::CallError;
use crate::api::client::Api;
use crate::api::codes::is_bad_credentials;
use crate::api::journal::is_young;
use crate::api::lookup::{MOST_VALUES, filter, instances, state_name};
use crate::config::tags::owner_key;
use crate::instance::{LifecycleError, ended_as, status};
use crate::machine::Machine;

/// A call failed for a whole group of machines.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Shared(Arc<CallError>);

/// Returns the states of instances in their order, queried from one machine's place.
pub(crate) async fn states(
    machine: &Machine,
    ids: &[String],
    cx: &Cx,
) -> Vec<Result<Status, DriverError>> {
    let mut states = Vec::with_capacity(ids.len());
    for some in ids.chunks(MOST_VALUES) {
        let wanted = vec![filter("instance-id", some.to_vec())];
        let mut answer = instances(machine.api(), cx, wanted.clone()).await;
        if let Err(error) = &answer
            && is_bad_credentials(error.code())
            && machine.renew(cx, None).await
        {
            answer = instances(machine.api(), cx, wanted).await;
        }
        match answer {
            Ok(found) => {
                let known: HashMap<&str, &Instance> = found
                    .iter()
                    .filter_map(|(found, _)| Some((found.instance_id()?, found)))
                    .collect();
                let state = |id: &String| match known.get(id.as_str()) {
                    Some(found) => state(found),
                    None if is_young(cx) => Ok(MachineState::Starting.into()),
                    None => Err(DriverError::from(LifecycleError::Gone {
                        instance: id.clone(),
                        region: machine.api().region.clone(),
                    })),
                };
                states.extend(some.iter().map(state));
            }
            Err(error) => {
                let error = Arc::new(error);
                let failed = |_| {
                    let shared = Shared(error.clone());
                    Err(DriverError::new(DriverErrorKind::Unavailable, shared))
                };
                states.extend(some.iter().map(failed));
            }
        }
    }
    states
}

/// Returns the states of all instances with the tag of the machine's store; none if its resources carry no tag.
pub(crate) async fn of_store(
    machine: &Machine,
    cx: &Cx,
) -> Result<BTreeMap<String, Result<Status, DriverError>>, DriverError> {
    let (saved, store_id) = (&machine.saved, &machine.base.store_id);
    if saved.no_owner_tags || store_id.is_empty() {
        return Ok(BTreeMap::new());
    }
    let by_tag = |api: Api| async move {
        let tag = format!("tag:{}", owner_key(saved, "store"));
        let of_store = vec![filter(tag, [store_id.clone()])];
        Ok(instances(&api, cx, of_store).await?)
    };
    let found = machine.renewing(cx, None, by_tag).await?;
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
