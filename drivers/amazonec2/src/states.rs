//! The states of many machines, with one call for each 200 of them in one place.

use std::collections::HashMap;

use machine_driver::{Driver, DriverError, DriverErrorKind};
use machine_ops::Cx;
use machine_types::{MachineState, Secret};

use crate::api::call::CallError;
use crate::api::codes::is_bad_credentials;
use crate::api::lookup::{MOST_VALUES, filter, instances, machine_state};
use crate::lifecycle::{LifecycleError, is_young, state_without_instance};
use crate::machine::Machine;

/// Machines that one call can ask about: same place, same credentials.
#[derive(PartialEq, Eq)]
struct Place<'a> {
    region: &'a str,
    endpoint: &'a str,
    access_key: &'a str,
    session_token: &'a Secret,
}

/// A call that failed for a whole group of machines.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Shared(std::sync::Arc<CallError>);

/// Asks for the states of machines, in their order.
pub(crate) async fn states(
    drivers: &[&dyn Driver],
    cx: &Cx,
) -> Vec<Result<MachineState, DriverError>> {
    let machines: Vec<Option<&Machine>> = drivers
        .iter()
        .map(|driver| driver.as_any().downcast_ref())
        .collect();
    let mut places: Vec<(Place<'_>, Vec<&Machine>)> = Vec::new();
    for machine in machines
        .iter()
        .flatten()
        .filter(|machine| !machine.saved.instance_id.is_empty())
    {
        let saved = &machine.saved;
        let place = Place {
            region: &saved.region,
            endpoint: &saved.endpoint,
            access_key: &saved.access_key,
            session_token: &saved.session_token,
        };
        match places.iter_mut().find(|(known, _)| *known == place) {
            Some((_, members)) => members.push(machine),
            None => places.push((place, vec![machine])),
        }
    }
    let mut known: HashMap<String, MachineState> = HashMap::new();
    let mut failed: HashMap<String, std::sync::Arc<CallError>> = HashMap::new();
    for (_, members) in &places {
        for some in members.chunks(MOST_VALUES) {
            let Some(first) = some.first() else { continue };
            let ids: Vec<String> = some
                .iter()
                .map(|machine| machine.saved.instance_id.clone())
                .collect();
            let wanted = vec![filter("instance-id", ids.clone())];
            let mut answer = instances(first.api(), cx, wanted.clone()).await;
            if let Err(error) = &answer
                && is_bad_credentials(error.code())
                && first.renew(cx, None).await
            {
                answer = instances(first.api(), cx, wanted).await;
            }
            match answer {
                Ok(found) => known.extend(found.iter().filter_map(|(instance, _)| {
                    Some((instance.instance_id()?.to_owned(), machine_state(instance)))
                })),
                Err(error) => {
                    let error = std::sync::Arc::new(error);
                    failed.extend(ids.into_iter().map(|id| (id, error.clone())));
                }
            }
        }
    }
    machines
        .into_iter()
        .map(|machine| match machine {
            None => Ok(MachineState::None),
            Some(machine) if machine.saved.instance_id.is_empty() => Ok(state_without_instance(cx)),
            Some(machine) => {
                let id = &machine.saved.instance_id;
                if let Some(error) = failed.get(id) {
                    return Err(DriverError::new(
                        DriverErrorKind::Unavailable,
                        Shared(error.clone()),
                    ));
                }
                match known.get(id) {
                    Some(state) => Ok(*state),
                    None if is_young(cx) => Ok(MachineState::Starting),
                    None => Err(LifecycleError::Gone {
                        instance: id.clone(),
                        region: machine.api().region.clone(),
                    }
                    .into()),
                }
            }
        })
        .collect()
}
