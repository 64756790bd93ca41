//! The configuration of a lab: accounts, addresses, durations, limits.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::ec2::faults::throttle::Throttling;
use crate::ec2::resources::images::Image;

/// The durations of an instance's states. All zero by default: the next call sees the next state.
#[derive(Debug, Clone)]
pub struct Durations {
    /// `pending` until `running`.
    pub pending: Duration,
    /// `stopping` until `stopped`.
    pub stopping: Duration,
    /// `shutting-down` until `terminated`.
    pub shutting_down: Duration,
    /// `terminated` until EC2 forgets the id; an hour by default, as on EC2.
    pub remembered: Duration,
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            pending: Duration::ZERO,
            stopping: Duration::ZERO,
            shutting_down: Duration::ZERO,
            remembered: Duration::from_secs(3600),
        }
    }
}

/// A block of IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr {
    /// The first address.
    pub base: Ipv4Addr,
    /// The length of the network's prefix in bits.
    pub prefix: u8,
}

impl Cidr {
    /// Makes a block; bits below the prefix are cleared.
    pub fn new(base: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        Self {
            base: Ipv4Addr::from(u32::from(base) & mask),
            prefix,
        }
    }

    /// Parses `172.31.0.0/16`.
    pub fn parse(text: &str) -> Option<Self> {
        let (base, prefix) = text.split_once('/')?;
        let prefix = prefix.parse().ok().filter(|p| *p <= 32)?;
        Some(Self::new(base.parse().ok()?, prefix))
    }

    /// Returns the number of its addresses.
    pub fn size(self) -> u32 {
        1u32.checked_shl(32 - u32::from(self.prefix))
            .unwrap_or(u32::MAX)
    }

    /// Returns the address at an offset from the first.
    pub fn at(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base).wrapping_add(offset))
    }

    /// Returns the `n`-th block of a longer prefix within this one.
    pub fn part(self, prefix: u8, n: u32) -> Self {
        let step = 1u32.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        Self::new(self.at(step.wrapping_mul(n)), prefix)
    }

    /// Returns whether the address lies within.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        Self::new(address, self.prefix).base == self.base
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Access key to account id.
    pub(crate) access_keys: BTreeMap<String, String>,
    pub(crate) regions: Vec<String>,
    pub(crate) zones: u8,
    pub(crate) vpc_cidr: Cidr,
    pub(crate) public: Vec<Cidr>,
    pub(crate) ipv6_loopback: bool,
    pub(crate) reuse_addresses: bool,
    pub(crate) durations: Durations,
    pub(crate) images: Vec<Image>,
    pub(crate) instance_profiles: Option<Vec<String>>,
    pub(crate) spot_price: f64,
    pub(crate) throttling: Option<Throttling>,
}

/// The regions that the lab supports.
const REGIONS: [&str; 22] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "sa-east-1",
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-north-1",
    "eu-south-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "us-gov-west-1",
    "us-gov-east-1",
    "cn-north-1",
    "cn-northwest-1",
];

impl Default for Config {
    fn default() -> Self {
        let documentation = ["203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24"];
        Self {
            access_keys: BTreeMap::new(),
            regions: REGIONS.iter().map(|r| (*r).to_owned()).collect(),
            zones: 6,
            vpc_cidr: Cidr::new(Ipv4Addr::new(172, 31, 0, 0), 16),
            public: documentation
                .iter()
                .filter_map(|c| Cidr::parse(c))
                .collect(),
            ipv6_loopback: false,
            reuse_addresses: false,
            durations: Durations::default(),
            images: crate::ec2::resources::images::catalogue(),
            instance_profiles: None,
            spot_price: 0.01,
            throttling: None,
        }
    }
}

impl Config {
    pub(crate) fn zone_names<'a>(&self, region: &'a str) -> impl Iterator<Item = String> + 'a {
        (b'a'..b'a'.saturating_add(self.zones)).map(move |z| format!("{region}{}", char::from(z)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_divided_into_parts() {
        let vpc = Cidr::parse("172.31.7.0/16").unwrap();
        assert_eq!(vpc.part(20, 2).to_string(), "172.31.32.0/20");
        assert_eq!(vpc.size(), 65536);
        assert!(vpc.contains(vpc.part(20, 2).at(9)));
        assert_eq!(Cidr::parse("1.2.3.4/33"), None);
    }
}
