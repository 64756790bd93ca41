//! The network placement of a launch: its subnet, its security groups, its addresses.

use crate::ec2::faults::consistency::Kind;
use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::query::Params;
use crate::ec2::resources::groups::GROUP;
use crate::ec2::resources::state::Cx;
use crate::ec2::resources::vpc::{SUBNET, Subnet, bad_zone};

/// The network parameters of a launch.
pub(crate) struct Network {
    pub(crate) subnet: Subnet,
    pub(crate) groups: Vec<String>,
    pub(crate) public_ip: bool,
    pub(crate) ipv6_count: u32,
    pub(crate) primary_ipv6: bool,
    pub(crate) interface_stays: bool,
    pub(crate) description: String,
}

/// Returns the subnet of a launch.
pub(crate) fn place(cx: &Cx<'_>, params: &Params) -> Result<Subnet, ApiError> {
    let zone = params.get("Placement.AvailabilityZone");
    if let Some(zone) = zone
        && !cx
            .shared
            .config
            .zone_names(&cx.region.name)
            .any(|z| z == zone)
    {
        return Err(bad_zone(zone));
    }
    let interface = params.structs("NetworkInterface").into_iter().next();
    let asked = interface.as_ref().and_then(|n| n.get("SubnetId"));
    if let Some(id) = asked.or(params.get("SubnetId")) {
        SUBNET.check([id], |id| cx.region.subnets.contains_key(id))?;
        let subnet = cx
            .region
            .subnets
            .get(id)
            .ok_or_else(|| SUBNET.not_found(&[id]))?;
        if zone.is_some_and(|z| z != subnet.zone) {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!(
                    "The availability zone '{}' does not match the zone of subnet '{id}', '{}'",
                    zone.unwrap_or_default(),
                    subnet.zone
                ),
            ));
        }
        return Ok(subnet.clone());
    }
    let mut defaults = cx
        .region
        .subnets
        .values()
        .filter(|s| s.default)
        .collect::<Vec<_>>();
    defaults.sort_by(|a, b| a.zone.cmp(&b.zone));
    defaults
        .into_iter()
        .find(|s| zone.is_none_or(|z| z == s.zone))
        .cloned()
        .ok_or_else(|| {
            ApiError::new(
                "MissingInput",
                "No subnets found for the default VPC. Please specify a subnet.",
            )
        })
}

/// Parses the network parameters of a launch.
pub(crate) fn network(cx: &Cx<'_>, params: &Params) -> Result<Network, ApiError> {
    let subnet = place(cx, params)?;
    let interface = params.structs("NetworkInterface").into_iter().next();
    let top_groups = params.has_below("SecurityGroupId") || params.has_below("SecurityGroup");
    if interface.is_some() && (top_groups || params.get("SubnetId").is_some()) {
        return Err(ApiError::combination(
            "Network interfaces and an instance-level subnet ID or security groups may not be specified on the same request",
        ));
    }
    let from = interface.as_ref().unwrap_or(params);
    let mut groups: Vec<String> = from
        .list("SecurityGroupId")
        .into_iter()
        .map(str::to_owned)
        .collect();
    GROUP.check(groups.iter().map(String::as_str), |id| {
        cx.region.groups.contains_key(id) && cx.sees(Kind::SecurityGroup, id)
    })?;
    for name in params.list("SecurityGroup") {
        let mut all = cx.region.groups.values();
        let group = all.find(|g| g.vpc == subnet.vpc && g.name == name);
        let group = group.filter(|g| cx.sees(Kind::SecurityGroup, &g.id));
        groups.push(group.ok_or_else(|| GROUP.not_found(&[name]))?.id.clone());
    }
    if groups.is_empty() {
        let mut all = cx.region.groups.values();
        let default = all.find(|g| g.vpc == subnet.vpc && g.name == "default");
        groups.extend(default.map(|g| g.id.clone()));
    }
    for id in &groups {
        if cx
            .region
            .groups
            .get(id)
            .is_some_and(|g| g.vpc != subnet.vpc)
        {
            return Err(ApiError::new(
                "InvalidParameter",
                format!(
                    "Security group {id} and subnet {} belong to different networks.",
                    subnet.id
                ),
            ));
        }
    }
    let public_ip = from
        .flag("AssociatePublicIpAddress")?
        .unwrap_or(subnet.public);
    Ok(Network {
        groups,
        public_ip,
        ipv6_count: from.number("Ipv6AddressCount")?.unwrap_or(0),
        primary_ipv6: from
            .flag("PrimaryIpv6")?
            .or(params.flag("EnablePrimaryIpv6")?)
            == Some(true),
        interface_stays: from.flag("DeleteOnTermination")? == Some(false),
        description: from.text("Description").unwrap_or_default(),
        subnet,
    })
}
