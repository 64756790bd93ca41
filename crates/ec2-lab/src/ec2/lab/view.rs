//! Snapshots of the lab's state for tests: copies, over all accounts and regions, regardless of eventual consistency.

use std::collections::BTreeMap;

use crate::ec2::lab::core::Lab;
use crate::ec2::resources::groups::SecurityGroup;
use crate::ec2::resources::instances::Instance;
use crate::ec2::resources::interfaces::Interface;
use crate::ec2::resources::keys::KeyPair;
use crate::ec2::resources::spot::SpotRequest;
use crate::ec2::resources::state::Region;
use crate::ec2::resources::volumes::Volume;
use crate::ec2::resources::vpc::{Subnet, Vpc};

impl Lab {
    fn gather<T>(&self, of: impl Fn(&Region) -> Vec<T>) -> Vec<T> {
        self.core
            .lock()
            .world
            .regions
            .values()
            .flat_map(of)
            .collect()
    }

    /// Returns all instances, including terminated ones while EC2 remembers them.
    pub fn instances(&self) -> Vec<Instance> {
        self.gather(|r| r.instances.values().cloned().collect())
    }

    /// Returns the instances that are neither terminated nor terminating.
    pub fn live_instances(&self) -> Vec<Instance> {
        let mut all = self.instances();
        all.retain(|i| !i.state.is_ending());
        all
    }

    /// Returns one instance.
    pub fn instance(&self, id: &str) -> Option<Instance> {
        self.instances().into_iter().find(|i| i.id == id)
    }

    /// Returns all key pairs.
    pub fn key_pairs(&self) -> Vec<KeyPair> {
        self.gather(|r| r.keys.values().cloned().collect())
    }

    /// Returns all security groups.
    pub fn security_groups(&self) -> Vec<SecurityGroup> {
        self.gather(|r| r.groups.values().cloned().collect())
    }

    /// Returns all volumes.
    pub fn volumes(&self) -> Vec<Volume> {
        self.gather(|r| r.volumes.values().cloned().collect())
    }

    /// Returns all network interfaces.
    pub fn interfaces(&self) -> Vec<Interface> {
        self.gather(|r| r.interfaces.values().cloned().collect())
    }

    /// Returns all spot requests, including closed ones.
    pub fn spot_requests(&self) -> Vec<SpotRequest> {
        self.gather(|r| r.spot_requests.values().cloned().collect())
    }

    /// Returns an account's VPCs in a region, its default one first.
    pub fn vpcs(&self, account: &str, region: &str) -> Vec<Vpc> {
        let mut inner = self.core.lock();
        let (region, _) = inner.world.region(account, region);
        let mut all: Vec<Vpc> = region.vpcs.values().cloned().collect();
        all.sort_by_key(|v| !v.default);
        all
    }

    /// Returns an account's subnets in a region, by zone.
    pub fn subnets(&self, account: &str, region: &str) -> Vec<Subnet> {
        let mut inner = self.core.lock();
        let (region, _) = inner.world.region(account, region);
        let mut all: Vec<Subnet> = region.subnets.values().cloned().collect();
        all.sort_by(|a, b| a.zone.cmp(&b.zone));
        all
    }

    /// Returns the tags of a resource.
    pub fn tags(&self, id: &str) -> BTreeMap<String, String> {
        let inner = self.core.lock();
        let mut all = inner.world.regions.values();
        all.find_map(|r| r.tags.get(id))
            .cloned()
            .unwrap_or_default()
    }

    /// Describes the remaining resources of machines: instances that are not ending, key pairs, volumes and
    /// interfaces without them, open spot requests. VPCs, subnets, images, groups and launch templates do not count.
    pub fn left_over(&self) -> Vec<String> {
        let inner = self.core.lock();
        let mut left = Vec::new();
        for ((account, name), region) in &inner.world.regions {
            let live = |id: &str| {
                region
                    .instances
                    .get(id)
                    .is_some_and(|i| !i.state.is_ending())
            };
            let known = |id: &str| region.instances.contains_key(id);
            let mut add =
                |what: &str, id: &str| left.push(format!("{what} {id} in {account} {name}"));
            region
                .instances
                .values()
                .filter(|i| live(&i.id))
                .for_each(|i| {
                    add(&format!("{} instance", i.state.name()), &i.id);
                });
            region.keys.values().for_each(|k| add("key pair", &k.name));
            let kept = |v: &&Volume| {
                v.attached
                    .as_ref()
                    .is_none_or(|(i, _)| live(i) || !known(i))
            };
            region
                .volumes
                .values()
                .filter(kept)
                .for_each(|v| add("volume", &v.id));
            region
                .interfaces
                .values()
                .filter(|n| live(&n.instance) || !known(&n.instance))
                .for_each(|n| {
                    add("network interface", &n.id);
                });
            let open = |s: &&SpotRequest| {
                let has_instance = || s.instance.as_deref().is_some_and(live);
                s.state == "open" || s.state == "active" && has_instance()
            };
            region
                .spot_requests
                .values()
                .filter(open)
                .for_each(|s| add("spot request", &s.id));
        }
        left
    }

    /// Returns whether no resource is left over.
    pub fn clean(&self) -> bool {
        self.left_over().is_empty()
    }
}
