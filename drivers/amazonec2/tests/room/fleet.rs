//! A launch template, and machines made by fleets of it.

use std::collections::BTreeMap;

use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{ACCOUNT, Builder, Instance, Lab};
use machine_driver::{Driver, DriverKind};

use super::{AMI, REGION, Room, options};

/// A room with a launch template, the key pair that it names, and the key's file.
pub struct Fleet {
    pub room: Room,
    key: String,
}

impl Fleet {
    pub async fn new() -> Self {
        Self::with(Lab::builder()).await
    }

    pub async fn with(builder: Builder) -> Self {
        let room = Room::with(builder).await;
        // Any machine's key pair will do as the user's own.
        room.created(&[]).await;
        room.lab.add_launch_template(
            ACCOUNT,
            REGION,
            "workers",
            &[
                ("ImageId", AMI),
                ("InstanceType", "c5.large"),
                ("KeyName", "e1"),
                ("SubnetId", &room.subnets[&'a']),
            ],
        );
        room.lab.clear_calls();
        let key = room.store.path().join("key");
        std::fs::write(&key, "private").unwrap();
        Self {
            key: key.display().to_string(),
            room,
        }
    }

    pub fn machine(&self, more: &[(&str, &str)]) -> Box<dyn Driver> {
        self.named("f1", more)
    }

    pub fn named(&self, name: &str, more: &[(&str, &str)]) -> Box<dyn Driver> {
        let mut flags = vec![
            ("use-fleet", "true"),
            ("launch-template", "workers"),
            ("ssh-keypath", &self.key),
        ];
        flags.extend(more);
        let options = options(&self.room.flags(&flags));
        AmazonEc2
            .configure(&self.room.base(name), &options)
            .unwrap()
    }

    /// The parameters of the first fleet.
    pub fn sent(&self) -> BTreeMap<String, String> {
        let calls = self.room.lab.calls();
        let call = calls.iter().find(|call| call.action == "CreateFleet");
        call.unwrap().params.clone()
    }

    /// The instances of the fleet's machine.
    pub fn live(&self) -> Vec<Instance> {
        let all = self.room.lab.live_instances().into_iter();
        all.filter(|i| self.room.lab.tags(&i.id).contains_key("aws:ec2:fleet-id"))
            .collect()
    }
}
