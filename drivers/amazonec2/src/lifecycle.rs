//! A launched machine: address, state, start, stop, kill, restart, and its end.

use std::time::Duration;

use aws_sdk_ec2::types::Instance;
use machine_driver::{DriverError, DriverErrorKind};
use machine_flow::{Cx, Look, Phase, WaitPolicy, open_resources, wait_until_ready};
use machine_types::MachineState;

use crate::call::CallError;
use crate::client::Api;
use crate::fresh::CONSISTENCY_WINDOW;
use crate::lookup::{instance, machine_state, reason, state_name};
use crate::saved::Saved;

/// How long a launched or started instance may take to run and have its address.
const RUNNING: Duration = Duration::from_secs(300);

/// How long a stop is waited for: the runner kills the command after 60 s.
const STOPPED: Duration = Duration::from_secs(40);

/// How much of the console's end is worth quoting.
const CONSOLE_LINES: usize = 20;

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
            LifecycleError::Ended { .. } => DriverErrorKind::Ended,
            LifecycleError::SpotStop { .. } => DriverErrorKind::Unsupported,
        };
        Self::new(kind, error)
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
        .filter(|r| r.intent.kind == crate::launch::KIND)
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

fn ended(instance: &Instance) -> Option<LifecycleError> {
    matches!(
        state_name(instance),
        "terminated" | "shutting-down" | "stopped" | "stopping"
    )
    .then(|| LifecycleError::Ended {
        instance: instance.instance_id().unwrap_or_default().to_owned(),
        state: state_name(instance).to_owned(),
        reason: reason(instance),
    })
}

/// Waits until the instance has the address that the machine is spoken to at.
pub(crate) async fn await_address(
    api: &Api,
    cx: &Cx,
    saved: &mut Saved,
) -> Result<(), DriverError> {
    let policy = WaitPolicy::backing_off(Duration::from_secs(1), Duration::from_secs(6), RUNNING);
    let snapshot = saved.clone();
    let found = wait_until_ready(cx, "the machine to have an address", policy, || async {
        let Some(instance) = look(api, cx, &snapshot).await? else {
            return Ok(Look::Pending("not known to EC2 yet".into()));
        };
        if let Some(ended) = ended(&instance) {
            return Err(DriverError::from(ended));
        }
        let state = state_name(&instance).to_owned();
        Ok(match address(&snapshot, &instance) {
            Some(_) => Look::Ready(instance),
            None => Look::Pending(state),
        })
    });
    let found = found.await?;
    take_addresses(saved, &found);
    Ok(())
}

/// Watches a starting machine: first after some seconds, then seldom. Errors of the watch itself
/// say nothing about the machine.
pub(crate) async fn until_ended(api: &Api, cx: &Cx, saved: &Saved) -> DriverError {
    let day = Duration::from_secs(86_400);
    let mut looks = 0;
    let policy = WaitPolicy::backing_off(Duration::from_secs(6), Duration::from_secs(30), day);
    let watched = wait_until_ready(cx, "the instance to end", policy, || {
        looks += 1;
        let first = looks == 1;
        async move {
            if first {
                return Ok(Look::Pending("just launched".into()));
            }
            match look(api, cx, saved).await {
                Ok(Some(instance)) => match ended(&instance) {
                    Some(ended) => Err(DriverError::from(ended)),
                    None => Ok(Look::<std::convert::Infallible>::Pending(
                        state_name(&instance).to_owned(),
                    )),
                },
                Ok(None) => Ok(Look::Pending("not known to EC2 yet".into())),
                Err(error) if error.kind == DriverErrorKind::NotFound => Err(error),
                Err(error) => Ok(Look::Pending(error.to_string())),
            }
        }
    });
    match watched.await {
        Ok(never) => match never {},
        Err(error) => error.into(),
    }
}

/// Returns the end of the console's text. Who may not read it, or has none, gets nothing.
pub(crate) async fn diagnose(api: &Api, cx: &Cx, saved: &Saved) -> Option<String> {
    use base64::Engine as _;
    let id = instance_id(saved).ok()?;
    let answer = api
        .ask(cx, "GetConsoleOutput", |probe| {
            api.ec2
                .get_console_output()
                .instance_id(id)
                .customize()
                .interceptor(probe)
                .send()
        })
        .await
        .ok()?;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(answer.output?.trim())
        .ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let tail = lines.get(lines.len().saturating_sub(CONSOLE_LINES)..)?;
    (!tail.is_empty()).then(|| tail.join("\n"))
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
            "terminated" | "shutting-down" => Err(ended(&instance).map_or_else(
                || {
                    LifecycleError::Gone {
                        instance: id.clone(),
                        region: api.region.clone(),
                    }
                    .into()
                },
                DriverError::from,
            )),
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
