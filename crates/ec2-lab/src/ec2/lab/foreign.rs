//! Actions of people and other services in the account of the client under test.

use std::collections::BTreeMap;

use crate::ec2::lab::core::Lab;
use crate::ec2::resources::instances::InstanceState;
use crate::ec2::resources::keys::KeyPair;
use crate::ec2::resources::state::{Region, Shared};
use crate::ec2::resources::volumes::Volume;

impl Lab {
    /// Adds a running instance with a root volume, a copy of another one except for its launch and its tags; returns
    /// its id. No host answers at its address. `tags` may include tags of the original: AWS Backup copies them when
    /// it restores an instance (AWS Backup Developer Guide, "Copy tags during a restore"), and so does the console's
    /// "Launch more like this". Only AWS's services set tags that begin with `aws:`: `aws:autoscaling:groupName`,
    /// `aws:backup:…`.
    ///
    /// Returns `None` if there is no such instance.
    pub fn launch_like(
        &self,
        instance: &str,
        client_token: &str,
        tags: &BTreeMap<String, String>,
    ) -> Option<String> {
        let id = self.within(instance, |region, shared| {
            let mut made = region.instances.get(instance)?.clone();
            made.id = shared.ids.id("i-");
            made.reservation = shared.ids.id("r-");
            made.client_token = Some(client_token.to_owned());
            made.state = InstanceState::Running;
            (made.due, made.fate, made.reason) = (None, None, None);
            (made.private_ip, made.public_ip, made.spot_request) = (None, None, None);
            made.host_on = false;
            made.ipv6.clear();
            made.interfaces.clear();
            let roots = std::mem::take(&mut made.volumes);
            for (device, volume) in roots {
                let copied = region.volumes.get(&volume)?.clone();
                let id = shared.ids.id("vol-");
                region.tags.insert(id.clone(), tags.clone());
                made.volumes.insert(device.clone(), id.clone());
                let attached = Some((made.id.clone(), device));
                let copied = Volume {
                    id: id.clone(),
                    attached,
                    ..copied
                };
                region.volumes.insert(id, copied);
            }
            let id = made.id.clone();
            region.tags.insert(id.clone(), tags.clone());
            region.instances.insert(id.clone(), made);
            Some(id)
        });
        self.core.notify();
        id
    }

    /// Detaches the root volume of an instance, as DetachVolume does for a stopped one, and as
    /// CreateReplaceRootVolumeTask leaves the old one behind ("the original volume is detached … not deleted", EC2
    /// User Guide, "Replace the root volume"). Returns the volume's id.
    pub fn detach_root_volume(&self, instance: &str) -> Option<String> {
        self.within(instance, |region, _| {
            let instance = region.instances.get_mut(instance)?;
            let id = instance.volumes.remove(&instance.root_device)?;
            region.volumes.get_mut(&id)?.attached = None;
            Some(id)
        })
    }

    /// Adds a volume that was restored from a snapshot of an instance's root volume, with the tags of the original:
    /// AWS Backup copies them when it restores (AWS Backup Developer Guide, "Copy tags during a restore"). Returns its
    /// id.
    pub fn restore_root_volume(&self, instance: &str) -> Option<String> {
        self.within(instance, |region, shared| {
            let instance = region.instances.get(instance)?;
            let original = instance.volumes.get(&instance.root_device)?.clone();
            let restored = Volume {
                id: shared.ids.id("vol-"),
                attached: None,
                snapshot: Some(shared.ids.id("snap-")),
                ..region.volumes.get(&original)?.clone()
            };
            let id = restored.id.clone();
            let tags = region.tags.get(&original).cloned().unwrap_or_default();
            region.tags.insert(id.clone(), tags);
            region.volumes.insert(id.clone(), restored);
            Some(id)
        })
    }

    /// Imports a key pair that has no tags. Returns its id.
    pub fn add_key_pair(&self, account: &str, region: &str, name: &str, public: &str) -> String {
        let now = self.clock().now();
        let mut inner = self.core.lock();
        let (region, shared) = inner.world.region(account, region);
        let id = shared.ids.id("key-");
        let pair = KeyPair {
            id: id.clone(),
            name: name.to_owned(),
            fingerprint: String::new(),
            key_type: "ed25519".to_owned(),
            public_key: public.to_owned(),
            created: now,
        };
        region.keys.insert(name.to_owned(), pair);
        id
    }

    /// Removes a key pair, whosever it is.
    pub fn remove_key_pair(&self, account: &str, region: &str, name: &str) {
        let mut inner = self.core.lock();
        inner.world.region(account, region).0.keys.remove(name);
    }

    /// Adds a fleet of type `instant` with a client token, and says that it launched an instance. Returns its id.
    pub fn launched_by_fleet(&self, instance: &str, client_token: &str) -> Option<String> {
        self.within(instance, |region, shared| {
            let id = shared.ids.id("fleet-");
            region
                .fleets
                .insert(id.clone(), Some(client_token.to_owned()));
            let tags = region.tags.entry(instance.to_owned()).or_default();
            tags.insert("aws:ec2:fleet-id".to_owned(), id.clone());
            Some(id)
        })
    }

    /// Attaches a volume to an instance.
    pub fn attach_volume(&self, volume: &str, instance: &str, device: &str) -> Option<()> {
        self.within(instance, |region, _| {
            let attached = (instance.to_owned(), device.to_owned());
            region.volumes.get_mut(volume)?.attached = Some(attached);
            let volumes = &mut region.instances.get_mut(instance)?.volumes;
            volumes.insert(device.to_owned(), volume.to_owned());
            Some(())
        })
    }

    /// Detaches a volume.
    pub fn detach_volume(&self, volume: &str) -> Option<()> {
        let mut inner = self.core.lock();
        let mut all = inner.world.regions.values_mut();
        let region = all.find(|region| region.volumes.contains_key(volume))?;
        let (instance, device) = region.volumes.get_mut(volume)?.attached.take()?;
        region.instances.get_mut(&instance)?.volumes.remove(&device);
        Some(())
    }

    /// Executes a function on the region of an instance.
    fn within<T>(
        &self,
        instance: &str,
        act: impl FnOnce(&mut Region, &mut Shared) -> Option<T>,
    ) -> Option<T> {
        let mut inner = self.core.lock();
        let world = &mut inner.world;
        let mut all = world.regions.values_mut();
        let region = all.find(|region| region.instances.contains_key(instance))?;
        act(region, &mut world.shared)
    }
}
