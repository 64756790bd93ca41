//! Address allocation. One pool for the whole lab: hosts of all accounts and regions share one loopback, so no two
//! instances ever have the same address at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::ec2::resources::config::Cidr;

/// EC2 reserves the first four addresses of a subnet, and the last.
const RESERVED_FIRST: u32 = 4;

/// The addresses in use.
#[derive(Debug)]
pub(crate) struct Addresses {
    used: BTreeSet<Ipv4Addr>,
    cursors: BTreeMap<Cidr, u32>,
    /// Whether to assign the lowest free address, so that a released one is reused at once.
    reuse: bool,
    ipv6: u64,
}

impl Addresses {
    pub(crate) fn new(reuse: bool) -> Self {
        Self {
            used: BTreeSet::new(),
            cursors: BTreeMap::new(),
            reuse,
            ipv6: 0,
        }
    }

    /// Takes a free address of the block, if there is one.
    pub(crate) fn take(&mut self, block: Cidr) -> Option<Ipv4Addr> {
        let room = block.size().saturating_sub(RESERVED_FIRST + 1);
        let start = if self.reuse {
            0
        } else {
            self.cursors.get(&block).copied().unwrap_or(0)
        };
        let (n, address) = (0..room)
            .map(|i| (start + i) % room)
            .map(|n| (n, block.at(RESERVED_FIRST + n)))
            .find(|(_, a)| !self.used.contains(a))?;
        self.cursors.insert(block, n + 1);
        self.used.insert(address);
        Some(address)
    }

    pub(crate) fn release(&mut self, address: Ipv4Addr) {
        self.used.remove(&address);
    }

    /// Returns the number of free addresses of the block.
    pub(crate) fn free(&self, block: Cidr) -> u32 {
        let used = self.used.range(block.at(0)..=block.at(block.size() - 1));
        block
            .size()
            .saturating_sub(RESERVED_FIRST + 1)
            .saturating_sub(u32::try_from(used.count()).unwrap_or(u32::MAX))
    }

    /// Returns a new address of the documentation prefix (RFC 3849).
    pub(crate) fn ipv6(&mut self) -> Ipv6Addr {
        self.ipv6 += 1;
        Ipv6Addr::from((0x2001_0db8_u128 << 96) | u128::from(self.ipv6 + 0xf))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_distinct_until_the_subnet_is_full() {
        let mut book = Addresses::new(false);
        let block = Cidr::new(Ipv4Addr::new(10, 0, 0, 0), 28);
        let first = book.take(block).unwrap();
        assert_eq!(first, Ipv4Addr::new(10, 0, 0, 4));
        assert_eq!((1..20).filter_map(|_| book.take(block)).count(), 10);
        assert_eq!(book.free(block), 0);
        book.release(first);
        assert_eq!(book.take(block), Some(first));
    }
}
