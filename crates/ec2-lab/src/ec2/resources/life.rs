//! State transitions of instances over time, and the orders to their hosts.

use std::net::IpAddr;
use std::time::SystemTime;

use crate::hosts::HostSpec;

use crate::ec2::resources::config::Config;
use crate::ec2::resources::instances::{Instance, InstanceState, StateReason};
use crate::ec2::resources::spot;
use crate::ec2::resources::state::{Region, Shared, World};

/// The orders to a host, in the order in which they happen.
#[derive(Debug)]
pub(crate) enum HostOrder {
    Boot {
        account: String,
        region: String,
        host: HostSpec,
    },
    Stop(String),
    Reboot(String),
    Terminate(String),
}

impl HostOrder {
    pub(crate) fn instance(&self) -> &str {
        match self {
            Self::Boot { host, .. } => &host.instance_id,
            Self::Stop(id) | Self::Reboot(id) | Self::Terminate(id) => id,
        }
    }
}

/// Applies elapsed time everywhere; returns when the next change is due.
pub(crate) fn apply_time(world: &mut World, now: SystemTime) -> Option<SystemTime> {
    let World { regions, shared } = world;
    let mut next: Option<SystemTime> = None;
    for region in regions.values_mut() {
        let due: Vec<String> = region
            .instances
            .values()
            .filter(|i| is_due(i, now))
            .map(|i| i.id.clone())
            .collect();
        for id in due {
            // A state with zero duration ends in the same update.
            while region.instances.get(&id).is_some_and(|i| is_due(i, now)) {
                advance(region, shared, &id, now);
            }
        }
        let instances = region.instances.values();
        let upcoming = instances
            .filter(|i| !waits_for_host(i))
            .filter_map(|i| i.due)
            .min();
        next = [next, upcoming].into_iter().flatten().min();
    }
    next
}

fn is_due(instance: &Instance, now: SystemTime) -> bool {
    instance.due.is_some_and(|due| due <= now) && !waits_for_host(instance)
}

/// Returns whether an instance waits for its host to end: EC2 reports `stopped` or `terminated` only once the
/// instance is unreachable.
fn waits_for_host(instance: &Instance) -> bool {
    let ends = [InstanceState::Stopping, InstanceState::ShuttingDown];
    instance.host_on && ends.contains(&instance.state)
}

/// Records that an instance's host is off the network.
pub(crate) fn host_is_off(world: &mut World, id: &str) {
    for region in world.regions.values_mut() {
        if let Some(instance) = region.instances.get_mut(id) {
            instance.host_on = false;
        }
    }
}

fn advance(region: &mut Region, shared: &mut Shared, id: &str, now: SystemTime) {
    let Some(instance) = region.instances.get_mut(id) else {
        return;
    };
    let due = instance.due.take().unwrap_or(now);
    match instance.state {
        InstanceState::Pending if instance.fails_to_start.is_some() => {
            instance.state = InstanceState::Stopped;
            instance.reason = instance.fails_to_start.take();
            if let Some(address) = instance.public_ip.take() {
                shared.addresses.release(address);
            }
        }
        InstanceState::Pending => match instance.fate.take() {
            Some(reason) => end(region, shared, id, due, reason),
            None => {
                instance.state = InstanceState::Running;
                instance.reason = None;
                boot(region, shared, id);
            }
        },
        InstanceState::Stopping => {
            instance.state = InstanceState::Stopped;
            if let Some(address) = instance.public_ip.take() {
                shared.addresses.release(address);
            }
        }
        InstanceState::ShuttingDown => {
            let reason = instance.reason.clone();
            end(
                region,
                shared,
                id,
                due,
                reason.unwrap_or_else(|| StateReason::new("Client.UserInitiatedShutdown", "")),
            );
        }
        InstanceState::Terminated => forget(region, id),
        InstanceState::Running | InstanceState::Stopped => {}
    }
}

fn boot(region: &mut Region, shared: &mut Shared, id: &str) {
    let Some(instance) = region.instances.get_mut(id) else {
        return;
    };
    let Some(address) = reachable(instance, &shared.config) else {
        return;
    };
    instance.host_on = shared.has_hosts;
    shared.orders.push(HostOrder::Boot {
        account: region.account.clone(),
        region: region.name.clone(),
        host: HostSpec {
            instance_id: id.to_owned(),
            address,
            user: instance.user.clone(),
            public_key: instance.public_key.clone(),
            user_data: instance.user_data.clone(),
        },
    });
}

/// Returns the address of the host: the public one if its range was set to loopback, else the private one.
fn reachable(instance: &Instance, config: &Config) -> Option<IpAddr> {
    if config.ipv6_loopback && !instance.ipv6.is_empty() {
        return instance.ipv6.first().copied().map(IpAddr::V6);
    }
    let public = instance.public_ip.filter(std::net::Ipv4Addr::is_loopback);
    public.or(instance.private_ip).map(IpAddr::V4)
}

pub(crate) fn begin_stop(
    region: &mut Region,
    shared: &mut Shared,
    id: &str,
    now: SystemTime,
    reason: StateReason,
) {
    if let Some(instance) = region.instances.get_mut(id)
        && instance.state == InstanceState::Running
    {
        instance.state = InstanceState::Stopping;
        instance.reason = Some(reason);
        instance.due = Some(now + shared.config.durations.stopping);
        shared.orders.push(HostOrder::Stop(id.to_owned()));
    }
}

pub(crate) fn begin_start(region: &mut Region, shared: &mut Shared, id: &str, now: SystemTime) {
    if let Some(instance) = region.instances.get_mut(id)
        && instance.state == InstanceState::Stopped
    {
        instance.state = InstanceState::Pending;
        instance.reason = None;
        instance.launched = now;
        instance.due = Some(now + shared.config.durations.pending);
        if instance.wants_public_ip {
            let blocks = &shared.config.public;
            instance.public_ip = blocks.iter().find_map(|c| shared.addresses.take(*c));
        }
    }
}

pub(crate) fn begin_termination(
    region: &mut Region,
    shared: &mut Shared,
    id: &str,
    now: SystemTime,
    reason: StateReason,
) {
    let Some(instance) = region.instances.get_mut(id) else {
        return;
    };
    if instance.state.is_ending() {
        return;
    }
    instance.state = InstanceState::ShuttingDown;
    instance.reason = Some(reason);
    instance.due = Some(now + shared.config.durations.shutting_down);
    shared.orders.push(HostOrder::Terminate(id.to_owned()));
}

/// Terminates an instance: releases its addresses, interfaces and volumes.
pub(crate) fn end(
    region: &mut Region,
    shared: &mut Shared,
    id: &str,
    now: SystemTime,
    reason: StateReason,
) {
    let Some(instance) = region.instances.get_mut(id) else {
        return;
    };
    if instance.state != InstanceState::ShuttingDown {
        shared.orders.push(HostOrder::Terminate(id.to_owned()));
    }
    let status = match reason.code.as_str() {
        "Server.SpotInstanceTermination" => "instance-terminated-no-capacity",
        _ => "instance-terminated-by-user",
    };
    instance.state = InstanceState::Terminated;
    instance.reason = Some(reason);
    instance.due = Some(now + shared.config.durations.remembered);
    let addresses = [instance.private_ip.take(), instance.public_ip.take()];
    for address in addresses.into_iter().flatten() {
        shared.addresses.release(address);
    }
    instance.ipv6.clear();
    let interfaces = std::mem::take(&mut instance.interfaces);
    let volumes = std::mem::take(&mut instance.volumes);
    if let Some(request) = instance.spot_request.clone() {
        spot::instance_ended(region, &request, status);
    }
    for id in interfaces {
        region.interfaces.remove(&id);
        region.tags.remove(&id);
    }
    for id in volumes.values() {
        match region.volumes.get_mut(id) {
            Some(volume) if !volume.delete_on_termination => volume.attached = None,
            _ => {
                region.volumes.remove(id);
                region.tags.remove(id);
            }
        }
    }
}

fn forget(region: &mut Region, id: &str) {
    region.instances.remove(id);
    region.tags.remove(id);
}
