//! A launched machine: address, state, start, stop, kill, restart, and its end.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_ec2::types::Instance;
use machine_driver::{DriverError, DriverErrorKind};
use machine_ops::{Cx, Look, Phase, WaitPolicy, open_resources, wait_until_ready};
use machine_types::MachineState;

use crate::api::account;
use crate::api::call::CallError;
use crate::api::client::Api;
use crate::api::codes;
use crate::api::lookup::{instance, machine_state, reason, reason_code, state_name};
use crate::api::retry::CONSISTENCY_WINDOW;
use crate::config::saved::Saved;

/// How long a launched or started instance may take to run and have its address.
const RUNNING: Duration = Duration::from_secs(300);

/// After so many looks at a running instance without an address it will not get one any more.
const WITHOUT_ADDRESS: u32 = 3;

/// How long a stop is waited for: the runner kills the command after 60 s.
const STOPPED: Duration = Duration::from_secs(40);

/// The machine is not as it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LifecycleError {
    #[error("the machine {machine} has no instance: its create did not get that far")]
    NoInstance { machine: String },
    #[error("there is no instance {instance} in region {region}")]
    Gone { instance: String, region: String },
    #[error("the instance {instance} is {state}: {reason}")]
    Ended {
        instance: String,
        state: String,
        reason: String,
        code: String,
    },
    #[error("the instance {instance} is running, and has no {what} address")]
    NoAddress {
        instance: String,
        what: &'static str,
    },
    #[error("the spot instance {instance} cannot be stopped, only removed")]
    SpotStop {
        instance: String,
        #[source]
        source: CallError,
    },
}

impl From<LifecycleError> for DriverError {
    fn from(error: LifecycleError) -> Self {
        let kind = match error {
            LifecycleError::NoInstance { .. } | LifecycleError::Gone { .. } => {
                DriverErrorKind::NotFound
            }
            LifecycleError::Ended { ref code, .. } if codes::is_capacity(code) => {
                DriverErrorKind::Capacity
            }
            LifecycleError::Ended { .. } => DriverErrorKind::Ended,
            LifecycleError::NoAddress { .. } => DriverErrorKind::Other,
            LifecycleError::SpotStop { .. } => DriverErrorKind::Unsupported,
        };
        Self::new(kind, error)
    }
}

/// Returns EC2's code for why an instance ended, where that is what an error is about.
pub(crate) fn code_of(error: &DriverError) -> Option<&str> {
    match error.cause().downcast_ref() {
        Some(LifecycleError::Ended { code, .. }) => Some(code),
        _ => None,
    }
}

/// Tells whether the machine is spoken to at its private address.
pub(crate) fn speaks_private(saved: &Saved) -> bool {
    (saved.use_private_ip || saved.private_ip_only) && !saved.ipv6_address_only
}

/// Returns the machine's instance id.
pub(crate) fn instance_id(saved: &Saved) -> Result<&str, DriverError> {
    if saved.instance_id.is_empty() {
        return Err(LifecycleError::NoInstance {
            machine: saved.base.machine_name.clone(),
        }
        .into());
    }
    Ok(&saved.instance_id)
}

/// Returns the address to speak to, where the instance has it yet.
fn address(saved: &Saved, instance: &Instance) -> Option<String> {
    let found = if saved.ipv6_address_only {
        let interfaces = instance.network_interfaces().iter();
        let first = interfaces
            .flat_map(|interface| interface.ipv6_addresses())
            .find_map(|a| a.ipv6_address());
        instance.ipv6_address().or(first)
    } else if speaks_private(saved) {
        instance.private_ip_address()
    } else {
        instance.public_ip_address()
    };
    found
        .filter(|address| !address.is_empty())
        .map(str::to_owned)
}

/// Takes over what an instance tells about its addresses; true where the one to speak to is known.
pub(crate) fn take_addresses(saved: &mut Saved, instance: &Instance) -> bool {
    if let Some(private) = instance
        .private_ip_address()
        .filter(|address| !address.is_empty())
    {
        private.clone_into(&mut saved.private_ip_address);
    }
    match address(saved, instance) {
        Some(address) => {
            saved.base.ip_address = address;
            true
        }
        None => false,
    }
}

/// Tells when the launch of this machine began, where the journal knows it, and less than the
/// consistency window ago.
pub(crate) fn is_young(cx: &Cx) -> bool {
    let entries = cx.journal.entries().unwrap_or_default();
    let launched = open_resources(&entries)
        .iter()
        .filter(|r| r.intent.kind == crate::launch::run_instances::KIND)
        .map(|r| r.at)
        .max();
    launched.is_some_and(|at| age(cx, at) < CONSISTENCY_WINDOW)
}

/// Returns how long ago a moment of the journal was.
pub(crate) fn age(cx: &Cx, at: u64) -> Duration {
    let now = cx
        .ambient
        .now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH);
    now.unwrap_or_default()
        .saturating_sub(Duration::from_millis(at))
}

/// Looks at the machine's instance; `None` while EC2 need not know it yet.
async fn look(api: &Api, cx: &Cx, saved: &Saved) -> Result<Option<Instance>, DriverError> {
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

fn end_of(instance: &Instance) -> Option<DriverError> {
    matches!(
        state_name(instance),
        "terminated" | "shutting-down" | "stopped" | "stopping"
    )
    .then(|| {
        let error = LifecycleError::Ended {
            instance: instance.instance_id().unwrap_or_default().to_owned(),
            state: state_name(instance).to_owned(),
            reason: reason(instance),
            code: reason_code(instance).to_owned(),
        };
        error.into()
    })
}

/// Waits until the instance has the address that the machine is spoken to at.
///
/// An address comes seconds after the launch: the first look is worth it only then, and the ones
/// after it ever less often.
pub(crate) async fn await_address(
    api: &Api,
    cx: &Cx,
    saved: &mut Saved,
) -> Result<(), DriverError> {
    let policy = WaitPolicy {
        factor: 2.0,
        ..WaitPolicy::backing_off(Duration::from_secs(2), Duration::from_secs(15), RUNNING)
    };
    let snapshot = &*saved;
    let mut begun = false;
    let running = &AtomicU32::new(0);
    let found = wait_until_ready(cx, "the machine to have an address", policy, || {
        let begins = !std::mem::replace(&mut begun, true);
        async move {
            if begins {
                return Ok(Look::Pending("just launched".into()));
            }
            let Some(instance) = look(api, cx, snapshot).await? else {
                return Ok(Look::Pending("not known to EC2 yet".into()));
            };
            if let Some(ended) = end_of(&instance) {
                return Err(ended);
            }
            if address(snapshot, &instance).is_some() {
                return Ok(Look::Ready(instance));
            }
            let state = state_name(&instance).to_owned();
            if state == "running" && running.fetch_add(1, Ordering::Relaxed) >= WITHOUT_ADDRESS {
                return Err(no_address(snapshot, &instance));
            }
            Ok(Look::Pending(state))
        }
    });
    let found = found.await?;
    account::put_on_record(api, cx, instance_id(saved)?)?;
    take_addresses(saved, &found);
    if saved.use_fleet {
        crate::launch::fleet_launch::take_facts(saved, &found);
    }
    Ok(())
}

/// Makes the error of an instance that will never have the address that is waited for.
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

/// Looks whether the instance has ended; an error of the look says nothing about the instance.
pub(crate) async fn ended(api: &Api, cx: &Cx, saved: &Saved) -> Option<DriverError> {
    match look(api, cx, saved).await {
        Ok(instance) => instance.and_then(|instance| end_of(&instance)),
        Err(error) if error.kind == DriverErrorKind::NotFound => Some(error),
        Err(_) => None,
    }
}

/// Asks for the machine's state.
pub(crate) async fn state(api: &Api, cx: &Cx, saved: &Saved) -> Result<MachineState, DriverError> {
    Ok(look(api, cx, saved)
        .await?
        .as_ref()
        .map_or(MachineState::Starting, machine_state))
}

/// Tells the state of a machine that has no instance on record: on its way, where its journal says so.
pub(crate) fn state_without_instance(cx: &Cx) -> MachineState {
    let entries = cx.journal.entries().unwrap_or_default();
    let under_way = entries.last().is_some_and(|last| {
        !matches!(last.phase, Phase::NotMade | Phase::Undone)
            && age(cx, last.at) < Duration::from_secs(3600)
    });
    if under_way {
        MachineState::Starting
    } else {
        MachineState::Error
    }
}

/// Starts the machine, and waits until it runs. Its addresses may be others then.
pub(crate) async fn start(api: &Api, cx: &Cx, saved: &mut Saved) -> Result<(), DriverError> {
    let id = instance_id(saved)?.to_owned();
    let policy = WaitPolicy::backing_off(Duration::from_secs(2), Duration::from_secs(10), RUNNING);
    wait_until_ready(cx, "the instance to be startable", policy, || async {
        let answer = api
            .call(cx, "StartInstances", |probe| {
                api.ec2
                    .start_instances()
                    .instance_ids(&id)
                    .customize()
                    .interceptor(probe)
                    .send()
            })
            .await;
        match answer {
            Ok(_) => Ok(Look::Ready(())),
            // Still on its way down.
            Err(error) if error.code() == "IncorrectInstanceState" && says(&error, "stopping") => {
                Ok(Look::Pending("stopping".into()))
            }
            Err(error) => Err(error),
        }
    })
    .await?;
    let snapshot = saved.clone();
    let running = wait_until_ready(cx, "the instance to run", policy, || async {
        let Some(instance) = look(api, cx, &snapshot).await? else {
            return Ok(Look::Pending("not known to EC2 yet".into()));
        };
        match state_name(&instance) {
            "running" => Ok(Look::Ready(instance)),
            "terminated" | "shutting-down" => Err(end_of(&instance).unwrap_or_else(|| {
                LifecycleError::Gone {
                    instance: id.clone(),
                    region: api.region.clone(),
                }
                .into()
            })),
            state => Ok(Look::Pending(state.to_owned())),
        }
    });
    let running = running.await?;
    if !take_addresses(saved, &running) {
        // The old address is somebody else's by now.
        saved.base.ip_address.clear();
    }
    Ok(())
}

fn says(error: &CallError, word: &str) -> bool {
    matches!(error, CallError::Refused { message, .. } if message.contains(word))
}

/// Stops the machine, by pulling the plug where `force` says so, and waits for it.
pub(crate) async fn stop(
    api: &Api,
    cx: &Cx,
    saved: &Saved,
    force: bool,
) -> Result<(), DriverError> {
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
        let Some(instance) = look(api, cx, saved).await? else {
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

/// Asks EC2 to restart the machine.
pub(crate) async fn restart(api: &Api, cx: &Cx, saved: &Saved) -> Result<(), DriverError> {
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
