//! Reads the machine's data from its instance: addresses, state, and the reason of its termination.

use std::net::IpAddr;

use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::{
    Instance, InstanceLifecycleType, InstanceStateName, InstanceType, Placement,
};
use machine_driver::{Addresses, DriverError, DriverErrorKind, Facts, Status};
use machine_types::{MachineState, printable};

use crate::api::call_error::{CallError, readable};
use crate::api::codes;
use crate::api::permissions::KMS_GRANTS;
use crate::config::saved::Saved;

/// The machine is in an unexpected state.
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
    #[error(
        "cannot use the address {address:?} of the instance {instance}: expected an IP address"
    )]
    BadAddress { instance: String, address: String },
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
            LifecycleError::NoAddress { .. } | LifecycleError::BadAddress { .. } => {
                DriverErrorKind::Other
            }
            LifecycleError::SpotStop { .. } => DriverErrorKind::Unsupported,
        };
        let hint = hint(&error);
        let error = Self::new(kind, error);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

/// Returns a hint that EC2's reason for a termination leaves out.
fn hint(error: &LifecycleError) -> Option<&'static str> {
    let LifecycleError::Ended { code, .. } = error else {
        return None;
    };
    codes::is_of_kms_key(code).then_some(KMS_GRANTS)
}

/// Returns EC2's code for a termination, if the error is about one.
pub(crate) fn code_of(error: &DriverError) -> Option<&str> {
    match error.cause().downcast_ref() {
        Some(LifecycleError::Ended { code, .. }) => Some(code),
        _ => None,
    }
}

/// Returns whether the machine is reached at its private address.
pub(crate) fn speaks_private(saved: &Saved) -> bool {
    (saved.use_private_ip || saved.private_ip_only) && !saved.ipv6_address_only
}

/// Returns the machine's instance ID.
pub(crate) fn instance_id(saved: &Saved) -> Result<&str, DriverError> {
    if saved.instance_id.is_empty() {
        return Err(LifecycleError::NoInstance {
            machine: saved.base.machine_name.clone(),
        }
        .into());
    }
    Ok(&saved.instance_id)
}

/// Returns the address to connect to, if the instance has it already.
pub(crate) fn address(saved: &Saved, instance: &Instance) -> Result<Option<String>, DriverError> {
    parse(instance, to_connect_to(saved, &addresses(instance)))
}

/// Returns the addresses in EC2's response.
fn addresses(instance: &Instance) -> Addresses {
    let text = |address: Option<&str>| address.map(str::to_owned);
    let interfaces = instance.network_interfaces().iter();
    let ipv6 = interfaces.flat_map(|interface| interface.ipv6_addresses());
    let first = instance.ipv6_address();
    let others = ipv6.filter_map(|address| address.ipv6_address());
    Addresses {
        public: text(instance.public_ip_address()),
        private: text(instance.private_ip_address()),
        ipv6: first
            .into_iter()
            .chain(others.filter(|other| Some(*other) != first))
            .map(str::to_owned)
            .collect(),
    }
}

/// Returns the address to connect to among the machine's addresses. Of several IPv6 addresses prefers the saved one.
fn to_connect_to<'a>(saved: &Saved, addresses: &'a Addresses) -> Option<&'a str> {
    let address = if saved.ipv6_address_only {
        let mut all = addresses.ipv6.iter();
        let saved = all.find(|address| **address == saved.base.ip_address);
        saved.or(addresses.ipv6.first())
    } else if speaks_private(saved) {
        addresses.private.as_ref()
    } else {
        addresses.public.as_ref()
    };
    address.map(String::as_str)
}

/// Converts a time to Unix time in milliseconds.
pub(crate) fn millis(time: &DateTime) -> Option<u64> {
    u64::try_from(time.to_millis().ok()?).ok()
}

/// Returns the state of an instance as EC2 names it.
pub(crate) fn state_name(instance: &Instance) -> &str {
    let name = instance.state().and_then(|state| state.name());
    name.map_or("unknown", InstanceStateName::as_str)
}

/// Converts EC2's state.
fn machine_state(instance: &Instance) -> MachineState {
    match state_name(instance) {
        "pending" => MachineState::Starting,
        "running" => MachineState::Running,
        "stopping" | "shutting-down" => MachineState::Stopping,
        "stopped" => MachineState::Stopped,
        _ => MachineState::Error,
    }
}

/// Returns the code of the state reason of an instance without its prefix: `InsufficientInstanceCapacity` for
/// `Server.InsufficientInstanceCapacity`.
fn reason_code(instance: &Instance) -> &str {
    let code = instance.state_reason().and_then(|reason| reason.code());
    let code = code.unwrap_or_default();
    code.strip_prefix("Server.").unwrap_or(code)
}

/// Returns the state reason of an instance in EC2's words.
fn reason(instance: &Instance) -> String {
    let reason = instance.state_reason();
    let message = reason
        .and_then(|reason| reason.message())
        .unwrap_or_default();
    let message = if message.is_empty() {
        instance.state_transition_reason().unwrap_or_default()
    } else {
        message
    };
    if message.is_empty() {
        "EC2 gives no reason".to_owned()
    } else {
        readable(message)
    }
}

/// Returns the machine's status from its instance. Ignores invalid IP addresses.
pub(crate) fn status(instance: &Instance) -> Status {
    let is_ip = |address: &String| address.parse::<IpAddr>().is_ok();
    let told = addresses(instance);
    Status {
        state: machine_state(instance),
        addresses: Some(Addresses {
            public: told.public.filter(is_ip),
            private: told.private.filter(is_ip),
            ipv6: told.ipv6.into_iter().filter(is_ip).collect(),
        }),
        facts: Some(facts(instance)),
    }
}

/// Returns what a listing shows of an instance.
fn facts(instance: &Instance) -> Facts {
    let text = |value: Option<&str>| printable(value.unwrap_or_default().as_bytes());
    // "The time that the instance was last launched. To determine the time that instance was first launched, see the
    // attachment time of the primary network interface." (EC2 API Reference, Instance, launchTime)
    let attached = instance.network_interfaces().iter().find_map(|interface| {
        let attachment = interface.attachment()?;
        (attachment.device_index() == Some(0)).then_some(attachment.attach_time())?
    });
    let created = attached.or(instance.launch_time());
    Facts {
        instance_type: text(instance.instance_type().map(InstanceType::as_str)),
        zone: text(instance.placement().and_then(Placement::availability_zone)),
        is_spot: instance.instance_lifecycle() == Some(&InstanceLifecycleType::Spot),
        created: created.and_then(millis),
    }
}

/// Saves the address to connect to if it differs from the saved one; returns whether it does.
pub(crate) fn adopt(saved: &mut Saved, addresses: &Addresses) -> bool {
    let parsed = |text: &str| text.parse::<IpAddr>().ok();
    let found = to_connect_to(saved, addresses).and_then(parsed);
    let Some(found) = found.filter(|found| parsed(&saved.base.ip_address) != Some(*found)) else {
        return false;
    };
    saved.base.ip_address = found.to_string();
    if let Some(private) = &addresses.private {
        saved.private_ip_address.clone_from(private);
    }
    true
}

/// Returns the saved addresses.
pub(crate) fn saved_addresses(saved: &Saved) -> Addresses {
    let some = |address: &String| Some(address.clone()).filter(|address| !address.is_empty());
    let main = some(&saved.base.ip_address);
    let mut addresses = Addresses {
        public: None,
        private: some(&saved.private_ip_address),
        ipv6: Vec::new(),
    };
    if saved.ipv6_address_only {
        addresses.ipv6.extend(main);
    } else if !speaks_private(saved) {
        addresses.public = main;
    }
    addresses
}

/// Parses an address from EC2: it is stored, and becomes part of command lines and URLs.
pub(crate) fn parse(
    instance: &Instance,
    address: Option<&str>,
) -> Result<Option<String>, DriverError> {
    let Some(address) = address.filter(|address| !address.is_empty()) else {
        return Ok(None);
    };
    match address.parse::<IpAddr>() {
        Ok(parsed) => Ok(Some(parsed.to_string())),
        Err(_) => Err(LifecycleError::BadAddress {
            instance: instance.instance_id().unwrap_or_default().to_owned(),
            address: address.to_owned(),
        }
        .into()),
    }
}

/// Saves the addresses of an instance; returns whether the one to connect to is known.
pub(crate) fn take_addresses(saved: &mut Saved, instance: &Instance) -> Result<bool, DriverError> {
    if let Some(private) = parse(instance, instance.private_ip_address())? {
        saved.private_ip_address = private;
    }
    let address = address(saved, instance)?;
    let is_known = address.is_some();
    if let Some(address) = address {
        saved.base.ip_address = address;
    }
    Ok(is_known)
}

pub(crate) fn end_of(instance: &Instance) -> Option<DriverError> {
    matches!(
        state_name(instance),
        "terminated" | "shutting-down" | "stopped" | "stopping"
    )
    .then(|| ended_as(instance))
}

pub(crate) fn ended_as(instance: &Instance) -> DriverError {
    let error = LifecycleError::Ended {
        instance: instance.instance_id().unwrap_or_default().to_owned(),
        state: state_name(instance).to_owned(),
        reason: reason(instance),
        code: reason_code(instance).to_owned(),
    };
    error.into()
}
