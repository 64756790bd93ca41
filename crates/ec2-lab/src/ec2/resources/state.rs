//! The complete state of the lab's EC2: the resources per account and region, and the state that the whole lab shares
//! (ids, addresses, the orders for the hosts).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::ec2::faults::capacity::Shortages;
use crate::ec2::faults::consistency::{Freshness, Kind};
use crate::ec2::faults::tokens::Tokens;
use crate::ec2::resources::addresses::Addresses;
use crate::ec2::resources::config::Config;
use crate::ec2::resources::groups::SecurityGroup;
use crate::ec2::resources::images::Image;
use crate::ec2::resources::instances::Instance;
use crate::ec2::resources::interfaces::Interface;
use crate::ec2::resources::keys::KeyPair;
use crate::ec2::resources::life::HostOrder;
use crate::ec2::resources::spot::{self, SpotRequest};
use crate::ec2::resources::templates::LaunchTemplate;
use crate::ec2::resources::volumes::Volume;
use crate::ec2::resources::vpc::{Subnet, Vpc};

pub(crate) type Tags = BTreeMap<String, String>;

/// The whole state, behind one lock.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) regions: BTreeMap<(String, String), Region>,
    pub(crate) shared: Shared,
}

/// The state that accounts and regions share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) ids: Ids,
    pub(crate) addresses: Addresses,
    pub(crate) orders: Vec<HostOrder>,
    /// Whether hosts answer at the addresses.
    pub(crate) has_hosts: bool,
    pub(crate) shortages: Shortages,
    /// Dollars an hour, for every type and zone.
    pub(crate) spot_price: f64,
}

/// One account's resources in one region.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) account: String,
    pub(crate) name: String,
    pub(crate) vpcs: BTreeMap<String, Vpc>,
    pub(crate) subnets: BTreeMap<String, Subnet>,
    pub(crate) groups: BTreeMap<String, SecurityGroup>,
    /// The owners of resources that other accounts share with this one, by resource id.
    pub(crate) owners: BTreeMap<String, String>,
    /// By name.
    pub(crate) keys: BTreeMap<String, KeyPair>,
    pub(crate) images: BTreeMap<String, Image>,
    pub(crate) instances: BTreeMap<String, Instance>,
    pub(crate) volumes: BTreeMap<String, Volume>,
    pub(crate) interfaces: BTreeMap<String, Interface>,
    pub(crate) spot_requests: BTreeMap<String, SpotRequest>,
    pub(crate) templates: BTreeMap<String, LaunchTemplate>,
    /// The client tokens of the fleets, by fleet id.
    pub(crate) fleets: BTreeMap<String, Option<String>>,
    pub(crate) tags: BTreeMap<String, Tags>,
    pub(crate) tokens: Tokens,
    pub(crate) fresh: Freshness,
}

/// The context of one call.
pub(crate) struct Cx<'a> {
    pub(crate) region: &'a mut Region,
    pub(crate) shared: &'a mut Shared,
    pub(crate) now: SystemTime,
    /// The call's sequence number, which distinguishes reads.
    pub(crate) call: u64,
    pub(crate) access_key: &'a str,
}

impl World {
    pub(crate) fn new(config: Arc<Config>, seed: u64, has_hosts: bool) -> Self {
        Self {
            regions: BTreeMap::new(),
            shared: Shared {
                ids: Ids(seed),
                addresses: Addresses::new(config.reuse_addresses),
                spot_price: config.spot_price,
                config,
                orders: Vec::new(),
                has_hosts,
                shortages: Shortages::default(),
            },
        }
    }

    /// Returns the account's region, with its default VPC; creates it on first use.
    pub(crate) fn region(&mut self, account: &str, name: &str) -> (&mut Region, &mut Shared) {
        let key = (account.to_owned(), name.to_owned());
        let shared = &mut self.shared;
        let region = self.regions.entry(key).or_insert_with(|| {
            let mut region = Region::empty(account, name, &shared.config);
            crate::ec2::resources::vpc::furnish(&mut region, shared);
            region
        });
        (region, shared)
    }
}

impl World {
    /// Fulfils open spot requests as far as capacity allows now.
    pub(crate) fn fulfil_spot_requests(&mut self, now: SystemTime) {
        for region in self.regions.values_mut() {
            spot::fulfil(&mut Cx {
                region,
                shared: &mut self.shared,
                now,
                call: 0,
                access_key: "",
            });
        }
    }
}

impl Region {
    fn empty(account: &str, name: &str, config: &Config) -> Self {
        Self {
            account: account.to_owned(),
            name: name.to_owned(),
            vpcs: BTreeMap::new(),
            subnets: BTreeMap::new(),
            groups: BTreeMap::new(),
            owners: BTreeMap::new(),
            keys: BTreeMap::new(),
            images: crate::ec2::resources::images::of_region(&config.images, name),
            instances: BTreeMap::new(),
            volumes: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            spot_requests: BTreeMap::new(),
            templates: BTreeMap::new(),
            fleets: BTreeMap::new(),
            tags: BTreeMap::new(),
            tokens: Tokens::default(),
            fresh: Freshness::default(),
        }
    }

    /// Returns the account that owns a VPC, subnet or security group that this account sees.
    pub(crate) fn owner(&self, id: &str) -> &str {
        self.owners.get(id).unwrap_or(&self.account)
    }

    pub(crate) fn arn(&self, kind: &str, id: &str) -> String {
        format!(
            "arn:{}:ec2:{}:{}:{kind}/{id}",
            crate::ec2::protocol::arn::partition(&self.name),
            self.name,
            self.account
        )
    }
}

impl Cx<'_> {
    /// Returns whether this call can see a resource: eventual consistency may hide a fresh one.
    pub(crate) fn sees(&self, kind: Kind, id: &str) -> bool {
        self.region.fresh.sees(kind, id, self.now, self.call)
    }

    /// Returns the tags of a resource, as far as this call can see them.
    pub(crate) fn tags(&self, id: &str) -> Tags {
        match self.region.tags.get(id) {
            Some(tags) if self.sees(Kind::Tags, id) => tags.clone(),
            _ => Tags::new(),
        }
    }

    /// Records the creation of a resource.
    pub(crate) fn born(&mut self, kind: Kind, id: &str) {
        self.region.fresh.born(kind, id, self.now, self.call);
    }

    /// Sets the tags of a new resource.
    pub(crate) fn tag_new(&mut self, id: &str, tags: Tags) {
        if !tags.is_empty() {
            self.born(Kind::Tags, id);
            self.region.tags.insert(id.to_owned(), tags);
        }
    }
}

/// A source of ids that never repeats within a lab.
#[derive(Debug)]
pub(crate) struct Ids(u64);

impl Ids {
    /// Returns 64 pseudo-random bits (splitmix64, Steele et al. 2014).
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns an id of EC2's long form, 17 hexadecimal digits.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        format!("{prefix}0{:016x}", self.next())
    }

    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    }
}

/// Writes a `tagSet`.
pub(crate) fn tag_set(xml: &mut crate::ec2::protocol::xml::Xml, tags: &Tags) {
    xml.list("tagSet", tags, |xml, (key, value)| {
        xml.leaf("key", key);
        xml.leaf("value", value);
    });
}
