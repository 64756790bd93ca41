//! A launched machine: waits for its address, queries its state, and starts, stops, kills, restarts and terminates it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_ec2::types::{Instance, InstanceState, InstanceStateChange, InstanceStateName};
use machine_driver::{DriverError, DriverErrorKind, Status};
use machine_ops::{Cx, Look, Phase, WaitPolicy, wait_until_ready};
use machine_types::MachineState;

use crate::api::account;
use crate::api::call_error::CallError;
use crate::api::consistency::{age, is_young};
use crate::api::ec2::Ec2;
use crate::api::lookup::instance;
use crate::config::saved::Saved;
use crate::instance::{
    LifecycleError, address, end_of, ended_as, instance_id, state_name, status, take_addresses,
};

/// Timeout for a launched or started instance to run and have its address.
const RUNNING: Duration = Duration::from_secs(300);

/// Number of polls after which a running instance without an address counts as having none.
const WITHOUT_ADDRESS: u32 = 3;

/// Number of polls after which an instance that is still `stopped` counts as failed to start: an older state may be
/// shown for a few seconds after StartInstances.
const STILL_STOPPED: u32 = 4;

/// Timeout of a stop: GitLab Runner kills the command after 60 s.
const STOPPED: Duration = Duration::from_secs(40);

/// Queries the machine's instance; returns `None` while EC2 may not know it yet.
async fn look(Ec2 { api, cx, saved }: Ec2<'_>) -> Result<Option<Instance>, DriverError> {
    let id = instance_id(saved)?;
    match instance(api, cx, id).await? {
        Some(instance) => Ok(Some(instance)),
        None if is_young(cx) => Ok(None),
        None => Err(LifecycleError::Gone {
            instance: id.to_owned(),
            region: api.region.clone(),
        }
        .into()),
    }
}

/// Waits until the instance has the address that the machine is reached at. Returns the configuration with it.
///
/// An address is assigned seconds after the launch. The first poll comes only then, and the intervals of the next polls
/// increase.
pub(crate) async fn await_address(ec2: Ec2<'_>) -> Result<Saved, DriverError> {
    let Ec2 { api, cx, saved } = ec2;
    let policy = WaitPolicy {
        factor: 2.0,
        ..WaitPolicy::backing_off(Duration::from_secs(2), Duration::from_secs(15), RUNNING)
    };
    let mut begun = false;
    let running = &AtomicU32::new(0);
    let what = format!("address of {}", instance_id(saved)?);
    let found = wait_until_ready(cx, &what, policy, || {
        let begins = !std::mem::replace(&mut begun, true);
        async move {
            if begins {
                return Ok(Look::Pending("just launched".into()));
            }
            let Some(instance) = look(ec2).await? else {
                return Ok(Look::Pending("not known to EC2 yet".into()));
            };
            if let Some(ended) = end_of(&instance) {
                return Err(ended);
            }
            if address(saved, &instance)?.is_some() {
                return Ok(Look::Ready(instance));
            }
            let state = state_name(&instance);
            if state == "running" && running.fetch_add(1, Ordering::Relaxed) >= WITHOUT_ADDRESS {
                return Err(no_address(saved, &instance));
            }
            Ok(Look::Pending(format!(
                "{} {} is {state}",
                saved.instance_type,
                saved.zone_name()
            )))
        }
    });
    let found = found.await?;
    account::put_on_record(api, cx, instance_id(saved)?)?;
    let mut saved = saved.clone();
    take_addresses(&mut saved, &found)?;
    if saved.use_fleet {
        crate::launch::fleet::take_facts(&mut saved, &found);
    }
    Ok(saved)
}

/// Returns the error of an instance that will not get the expected address.
fn no_address(saved: &Saved, instance: &Instance) -> DriverError {
    let (what, hint) = if saved.ipv6_address_only {
        (
            "IPv6",
            "its subnet has none to give: launch in one that has, or without --amazonec2-ipv6-address-only",
        )
    } else {
        (
            "public",
            "its subnet gives none: launch in one that does, or with --amazonec2-use-private-address",
        )
    };
    let error = LifecycleError::NoAddress {
        instance: instance.instance_id().unwrap_or_default().to_owned(),
        what,
    };
    DriverError::from(error).with_hint(hint)
}

/// Checks whether the instance has terminated. Ignores a query error, which says nothing about the instance.
pub(crate) async fn ended(ec2: Ec2<'_>) -> Option<DriverError> {
    match look(ec2).await {
        Ok(instance) => instance.and_then(|instance| end_of(&instance)),
        Err(error) if error.kind == DriverErrorKind::NotFound => Some(error),
        Err(_) => None,
    }
}

/// Queries the machine's state.
pub(crate) async fn state(ec2: Ec2<'_>) -> Result<Status, DriverError> {
    let found = look(ec2).await?;
    Ok(found.map_or(MachineState::Starting.into(), |found| status(&found)))
}

/// Returns the state of a machine without a recorded instance: starting, if its journal says so.
pub(crate) fn state_without_instance(cx: &Cx) -> Result<Status, DriverError> {
    let entries = cx.journal.entries()?;
    let under_way = entries.last().is_some_and(|last| {
        !matches!(last.phase, Phase::NotMade | Phase::Undone)
            && age(cx, last.at) < Duration::from_secs(3600)
    });
    Ok(match under_way {
        true => MachineState::Starting,
        false => MachineState::Error,
    }
    .into())
}

/// Starts the machine and waits until it runs. Returns the configuration with its addresses, which may have changed.
///
/// # Errors
/// Returns [`LifecycleError::Ended`] with the reason if the start leads back to `stopped`.
pub(crate) async fn start(ec2: Ec2<'_>) -> Result<Saved, DriverError> {
    let Ec2 { api, cx, saved } = ec2;
    let id = instance_id(saved)?;
    let policy = WaitPolicy::backing_off(Duration::from_secs(2), Duration::from_secs(10), RUNNING);
    wait_until_ready(cx, "the instance to be startable", policy, || async {
        let answer = api
            .call(cx, "StartInstances", |probe| {
                api.ec2
                    .start_instances()
                    .instance_ids(id)
                    .customize()
                    .interceptor(probe)
                    .send()
            })
            .await;
        match answer {
            Ok(_) => Ok(Look::Ready(())),
            // "…is not in a state from which it can be started": the state itself is not named.
            Err(error) if error.code() == "IncorrectInstanceState" => {
                match look(ec2).await?.as_ref().map(state_name) {
                    Some(state @ ("stopping" | "stopped")) => Ok(Look::Pending(state.to_owned())),
                    _ => Err(DriverError::from(error)),
                }
            }
            Err(error) => Err(error.into()),
        }
    })
    .await?;
    let (was_pending, polls) = (&AtomicBool::new(false), &AtomicU32::new(0));
    let running = wait_until_ready(cx, "the instance to run", policy, || async {
        let polled = polls.fetch_add(1, Ordering::Relaxed);
        let Some(instance) = look(ec2).await? else {
            return Ok(Look::Pending("not known to EC2 yet".into()));
        };
        let has_begun = was_pending.load(Ordering::Relaxed) || polled >= STILL_STOPPED;
        match state_name(&instance) {
            "running" => Ok(Look::Ready(instance)),
            "terminated" | "shutting-down" => Err(ended_as(&instance)),
            "stopped" if has_begun => Err(ended_as(&instance)),
            state => {
                was_pending.fetch_or(state == "pending", Ordering::Relaxed);
                Ok(Look::Pending(state.to_owned()))
            }
        }
    });
    let running = running.await?;
    let mut saved = saved.clone();
    if !take_addresses(&mut saved, &running)? {
        // The old address may belong to another machine by now.
        saved.base.ip_address.clear();
    }
    Ok(saved)
}

/// Stops the machine, with an immediate power-off if `force` is set, and waits for it.
pub(crate) async fn stop(ec2: Ec2<'_>, force: bool) -> Result<(), DriverError> {
    let Ec2 { api, cx, saved } = ec2;
    let id = instance_id(saved)?;
    let answer = api
        .call(cx, "StopInstances", |probe| {
            api.ec2
                .stop_instances()
                .instance_ids(id)
                .force(force)
                .customize()
                .interceptor(probe)
                .send()
        })
        .await;
    match answer {
        Ok(answer) => {
            let now = answer
                .stopping_instances()
                .first()
                .and_then(|change| change.current_state());
            if now
                .and_then(|state| state.name())
                .is_some_and(|name| name.as_str() == "stopped")
            {
                return Ok(());
            }
        }
        Err(source) if source.code() == "UnsupportedOperation" && saved.request_spot_instance => {
            return Err(LifecycleError::SpotStop {
                instance: id.to_owned(),
                source,
            }
            .into());
        }
        Err(error) => return Err(error.into()),
    }
    let policy = WaitPolicy::backing_off(Duration::from_secs(1), Duration::from_secs(5), STOPPED);
    wait_until_ready(cx, "the instance to stop", policy, || async {
        let Some(instance) = look(ec2).await? else {
            return Ok(Look::Pending("not known to EC2 yet".into()));
        };
        Ok::<_, DriverError>(match state_name(&instance) {
            "stopped" | "terminated" => Look::Ready(()),
            state => Look::Pending(state.to_owned()),
        })
    })
    .await?;
    Ok(())
}

/// Restarts the machine through EC2.
pub(crate) async fn restart(Ec2 { api, cx, saved }: Ec2<'_>) -> Result<(), DriverError> {
    let id = instance_id(saved)?;
    api.call(cx, "RebootInstances", |probe| {
        api.ec2
            .reboot_instances()
            .instance_ids(id)
            .customize()
            .interceptor(probe)
            .send()
    })
    .await?;
    Ok(())
}

/// Terminates an instance. Does not wait for its end.
///
/// # Errors
/// Returns EC2's error. A response that does not say that the instance is ending counts as missing.
pub(crate) async fn terminate(Ec2 { api, cx, .. }: Ec2<'_>, id: &str) -> Result<(), CallError> {
    let answer = api
        .call(cx, "TerminateInstances", |probe| {
            api.ec2
                .terminate_instances()
                .instance_ids(id)
                .customize()
                .interceptor(probe)
                .send()
        })
        .await?;
    let changes = answer.terminating_instances();
    match changes
        .iter()
        .any(|it| it.instance_id() == Some(id) && is_ending(it))
    {
        true => Ok(()),
        false => Err(api.no_answer(
            "TerminateInstances",
            "the answer does not say that the instance is ending",
        )),
    }
}

/// Returns whether an instance is ending or has ended, by the answer to TerminateInstances.
pub(crate) fn is_ending(change: &InstanceStateChange) -> bool {
    let state = change.current_state().and_then(InstanceState::name);
    matches!(
        state,
        Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated)
    )
}
