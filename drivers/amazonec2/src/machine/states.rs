//! Queries the states of many machines of one place, with one call for each 200 of them.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_ec2::types::Instance;
use machine_driver::{DriverError, DriverErrorKind, Status};
use machine_ops::Cx;
use machine_types::MachineState;

use crate::api::call::CallError;
use crate::api::codes::is_bad_credentials;
use crate::api::journal::is_young;
use crate::api::lookup::{MOST_VALUES, filter, instances, state_name};
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
                    // Shown with the reason for as long as EC2 lists it.
                    Some(found) if state_name(found) == "terminated" => Err(ended_as(found)),
                    Some(found) => Ok(status(found)),
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
