//! Resources that one account shares with another by AWS RAM: a VPC's subnets, and security groups in it.
//!
//! Sources, in the Amazon VPC User Guide:
//! - "Share your VPC subnets with other accounts": the participant sees VPC and subnets with the owner's account
//!   ID, and cannot view other resources of the owner, such as the VPC's default security group. Default subnets
//!   cannot be shared.
//! - "Share security groups with AWS Organizations": the account that shares a group owns both VPC and group.
//!   Default security groups cannot be shared.

use crate::ec2::lab::core::Lab;

impl Lab {
    /// Shares all subnets of an account's VPC with another account. False for the default VPC.
    pub fn share_vpc(&self, owner: &str, region: &str, vpc: &str, with: &str) -> bool {
        let mut inner = self.core.lock();
        let (from, _) = inner.world.region(owner, region);
        let shared = from.vpcs.get(vpc).filter(|vpc| !vpc.default).cloned();
        let Some(shared) = shared else { return false };
        let subnets = from.subnets.values().filter(|subnet| subnet.vpc == vpc);
        let subnets: Vec<_> = subnets.cloned().collect();
        let (to, _) = inner.world.region(with, region);
        to.owners.insert(vpc.to_owned(), owner.to_owned());
        to.vpcs.insert(vpc.to_owned(), shared);
        for subnet in subnets {
            to.owners.insert(subnet.id.clone(), owner.to_owned());
            to.subnets.insert(subnet.id.clone(), subnet);
        }
        true
    }

    /// Shares a security group with another account. False for a VPC's default one.
    pub fn share_security_group(&self, owner: &str, region: &str, id: &str, with: &str) -> bool {
        let mut inner = self.core.lock();
        let (from, _) = inner.world.region(owner, region);
        let shared = from.groups.get(id).filter(|group| group.name != "default");
        let Some(shared) = shared.cloned() else {
            return false;
        };
        let (to, _) = inner.world.region(with, region);
        to.owners.insert(id.to_owned(), owner.to_owned());
        to.groups.insert(id.to_owned(), shared);
        true
    }
}
