//! The lab's own tasks: one applies elapsed time when it is due, one sends orders to the hosts.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::ec2::lab::core::{Core, IDLE};
use crate::ec2::resources::instances::{Instance, InstanceState, StateReason};
use crate::ec2::resources::life::{self, HostOrder};

/// Updates the state whenever it is due or has changed.
pub(crate) async fn drive(core: Arc<Core>) {
    let mut changed = core.changed.subscribe();
    loop {
        let now = core.clock.now();
        let next = {
            let mut inner = core.lock();
            life::apply_time(&mut inner.world, now)
        };
        let until = next.unwrap_or(now + IDLE);
        tokio::select! {
            () = core.clock.sleep_until(until) => core.notify(),
            seen = changed.changed() => if seen.is_err() { return },
        }
    }
}

/// Sends orders to the hosts: in order for each instance, concurrently between instances.
pub(crate) async fn carry_out(core: Arc<Core>, mut orders: mpsc::UnboundedReceiver<HostOrder>) {
    let mut queues: HashMap<String, mpsc::UnboundedSender<HostOrder>> = HashMap::new();
    while let Some(order) = orders.recv().await {
        let id = order.instance().to_owned();
        let last = matches!(order, HostOrder::Terminate(_));
        let queue = queues.entry(id.clone()).or_insert_with(|| {
            let (queue, waiting) = mpsc::unbounded_channel();
            tokio::spawn(carry_out_for_one(core.clone(), waiting));
            queue
        });
        // The receiver lives as long as its queue.
        let _ = queue.send(order);
        if last {
            queues.remove(&id);
        }
    }
}

async fn carry_out_for_one(core: Arc<Core>, mut orders: mpsc::UnboundedReceiver<HostOrder>) {
    while let Some(order) = orders.recv().await {
        match order {
            HostOrder::Stop(id) => {
                core.hosts.stop(&id).await;
                host_is_off(&core, &id);
            }
            HostOrder::Reboot(id) => core.hosts.reboot(&id).await,
            HostOrder::Terminate(id) => {
                core.hosts.terminate(&id).await;
                host_is_off(&core, &id);
            }
            HostOrder::Boot {
                account,
                region,
                host,
            } => {
                let id = host.instance_id.clone();
                if let Err(error) = core.hosts.boot(host).await {
                    let reason = StateReason::new("Server.InternalError", &error.to_string());
                    let mut inner = core.lock();
                    let (region, shared) = inner.world.region(&account, &region);
                    let ending = |i: &Instance| i.state.is_ending();
                    if !region.instances.get(&id).is_none_or(ending) {
                        life::end(region, shared, &id, core.clock.now(), reason);
                    }
                    core.send_orders(&mut inner);
                    drop(inner);
                    core.notify();
                }
            }
        }
    }
}

fn host_is_off(core: &Core, id: &str) {
    life::host_is_off(&mut core.lock().world, id);
    core.notify();
}

/// See [`crate::ec2::Lab::shut_down_from_inside`].
pub(crate) fn shut_down_from_inside(core: &Core, id: &str) -> bool {
    let reason = || {
        StateReason::new(
            "Client.InstanceInitiatedShutdown",
            "Instance initiated shutdown",
        )
    };
    while_running(core, id, |region, shared, terminates, now| {
        if terminates {
            life::begin_termination(region, shared, id, now, reason());
        } else {
            life::begin_stop(region, shared, id, now, reason());
        }
    })
}

/// See [`crate::ec2::Lab::reclaim`].
pub(crate) fn reclaim(core: &Core, id: &str) -> bool {
    while_running(core, id, |region, shared, _, now| {
        let reason = StateReason::new(
            "Server.SpotInstanceTermination",
            "Spot instance termination",
        );
        life::begin_termination(region, shared, id, now, reason);
    })
}

fn while_running(
    core: &Core,
    id: &str,
    act: impl FnOnce(
        &mut crate::ec2::resources::state::Region,
        &mut crate::ec2::resources::state::Shared,
        bool,
        std::time::SystemTime,
    ),
) -> bool {
    let mut inner = core.lock();
    let world = &mut inner.world;
    for region in world.regions.values_mut() {
        if let Some(instance) = region.instances.get(id)
            && instance.state == InstanceState::Running
        {
            let terminates = instance.terminates_on_shutdown;
            act(region, &mut world.shared, terminates, core.clock.now());
            core.send_orders(&mut inner);
            return true;
        }
    }
    false
}
