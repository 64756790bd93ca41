//! VPCs and subnets, and the defaults of each region.

use std::collections::BTreeMap;

use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::filters::{Filters, IdKind, page};
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::xml::Xml;
use crate::ec2::resources::config::Cidr;
use crate::ec2::resources::groups::SecurityGroup;
use crate::ec2::resources::rules::{Rule, Source};
use crate::ec2::resources::state::{Cx, Region, Shared, tag_set};

pub(crate) const VPC: IdKind = IdKind {
    prefix: "vpc-",
    code: "InvalidVpcID",
    noun: "vpc ID",
};
pub(crate) const SUBNET: IdKind = IdKind {
    prefix: "subnet-",
    code: "InvalidSubnetID",
    noun: "subnet ID",
};

/// A VPC.
#[derive(Debug, Clone)]
pub struct Vpc {
    /// `vpc-…`.
    pub id: String,
    /// The addresses of its subnets.
    pub cidr: Cidr,
    /// Whether it is the account's default VPC in this region.
    pub default: bool,
}

/// A subnet.
#[derive(Debug, Clone)]
pub struct Subnet {
    /// `subnet-…`.
    pub id: String,
    /// Its VPC.
    pub vpc: String,
    /// Its zone, `us-east-1a`.
    pub zone: String,
    /// The addresses of its instances.
    pub cidr: Cidr,
    /// Whether it is its zone's default subnet.
    pub default: bool,
    /// Whether instances get a public address if the launch does not specify it.
    pub public: bool,
}

/// Adds the default VPC, with a `/20`-like subnet per zone, to a new region.
pub(crate) fn furnish(region: &mut Region, shared: &mut Shared) {
    let config = shared.config.clone();
    let vpc = add_vpc(region, shared, config.vpc_cidr, true);
    // EC2's default subnets are /20 in a /16.
    let prefix = (config.vpc_cidr.prefix + 4).min(30);
    for (n, zone) in (0..).zip(config.zone_names(&region.name.clone())) {
        let cidr = config.vpc_cidr.part(prefix, n);
        let id = add_subnet(region, shared, &vpc, &zone, cidr);
        if let Some(subnet) = region.subnets.get_mut(&id) {
            subnet.default = true;
            subnet.public = true;
        }
    }
}

/// Adds a VPC with its default security group; returns its id.
pub(crate) fn add_vpc(
    region: &mut Region,
    shared: &mut Shared,
    cidr: Cidr,
    default: bool,
) -> String {
    let id = shared.ids.id("vpc-");
    let vpc = Vpc {
        id: id.clone(),
        cidr,
        default,
    };
    region.vpcs.insert(id.clone(), vpc);
    let group = shared.ids.id("sg-");
    let group = SecurityGroup {
        name: "default".to_owned(),
        description: "default VPC security group".to_owned(),
        vpc: id.clone(),
        // Amazon VPC User Guide, "Default security groups for your VPCs": all traffic from itself.
        ingress: vec![Rule {
            protocol: "-1".to_owned(),
            from: -1,
            to: -1,
            source: Source::Group(group.clone()),
        }],
        id: group,
    };
    region.groups.insert(group.id.clone(), group);
    id
}

/// Adds a subnet that is not a default one; returns its id.
pub(crate) fn add_subnet(
    region: &mut Region,
    shared: &mut Shared,
    vpc: &str,
    zone: &str,
    cidr: Cidr,
) -> String {
    let id = shared.ids.id("subnet-");
    let subnet = Subnet {
        id: id.clone(),
        vpc: vpc.to_owned(),
        zone: zone.to_owned(),
        cidr,
        default: false,
        public: false,
    };
    region.subnets.insert(id.clone(), subnet);
    id
}

pub(crate) fn describe_vpcs(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let known = [
        "vpc-id",
        "isDefault",
        "is-default",
        "state",
        "cidr",
        "owner-id",
    ];
    let filters = Filters::parse(params, &known)?;
    let ids = params.list("VpcId");
    VPC.check(ids.iter().copied(), |id| cx.region.vpcs.contains_key(id))?;
    let mut xml = Xml::new();
    let found: Vec<&Vpc> = cx
        .region
        .vpcs
        .values()
        .filter(|v| ids.is_empty() || ids.contains(&v.id.as_str()))
        .filter(|v| {
            filters.pass(&cx.tags(&v.id), |name| {
                vec![match name {
                    "vpc-id" => v.id.clone(),
                    "isDefault" | "is-default" => v.default.to_string(),
                    "state" => "available".to_owned(),
                    "cidr" => v.cidr.to_string(),
                    _ => cx.region.owner(&v.id).to_owned(),
                }]
            })
        })
        .collect();
    let (found, next) = page(params, found, |v| v.id.as_str())?;
    xml.list("vpcSet", found, |xml, v| {
        xml.leaf("vpcId", &v.id);
        xml.leaf("ownerId", cx.region.owner(&v.id));
        xml.leaf("state", "available");
        xml.leaf("cidrBlock", v.cidr);
        xml.leaf("dhcpOptionsId", "dopt-00000000000000001");
        xml.leaf("instanceTenancy", "default");
        xml.leaf("isDefault", v.default);
        tag_set(xml, &cx.tags(&v.id));
    });
    xml.leaf_if("nextToken", next);
    Ok(xml)
}

pub(crate) fn describe_subnets(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let known = [
        "subnet-id",
        "vpc-id",
        "availability-zone",
        "availabilityZone",
        "default-for-az",
        "defaultForAz",
        "state",
        "cidr-block",
        "owner-id",
    ];
    let filters = Filters::parse(params, &known)?;
    let ids = params.list("SubnetId");
    SUBNET.check(ids.iter().copied(), |id| cx.region.subnets.contains_key(id))?;
    let found: Vec<&Subnet> = cx
        .region
        .subnets
        .values()
        .filter(|s| ids.is_empty() || ids.contains(&s.id.as_str()))
        .filter(|s| {
            filters.pass(&cx.tags(&s.id), |name| {
                vec![match name {
                    "subnet-id" => s.id.clone(),
                    "vpc-id" => s.vpc.clone(),
                    "availability-zone" | "availabilityZone" => s.zone.clone(),
                    "default-for-az" | "defaultForAz" => s.default.to_string(),
                    "state" => "available".to_owned(),
                    "cidr-block" => s.cidr.to_string(),
                    _ => cx.region.owner(&s.id).to_owned(),
                }]
            })
        })
        .collect();
    let (found, next) = page(params, found, |s| s.id.as_str())?;
    let mut xml = Xml::new();
    xml.list("subnetSet", found, |xml, s| {
        xml.leaf("subnetId", &s.id);
        xml.leaf("subnetArn", cx.region.arn("subnet", &s.id));
        xml.leaf("state", "available");
        xml.leaf("ownerId", cx.region.owner(&s.id));
        xml.leaf("vpcId", &s.vpc);
        xml.leaf("cidrBlock", s.cidr);
        xml.list("ipv6CidrBlockAssociationSet", Vec::<()>::new(), |_, ()| ());
        xml.leaf("availableIpAddressCount", cx.shared.addresses.free(s.cidr));
        xml.leaf("availabilityZone", &s.zone);
        xml.leaf("defaultForAz", s.default);
        xml.leaf("mapPublicIpOnLaunch", s.public);
        xml.leaf("assignIpv6AddressOnCreation", false);
        tag_set(xml, &cx.tags(&s.id));
    });
    xml.leaf_if("nextToken", next);
    Ok(xml)
}

pub(crate) fn describe_regions(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let names = params.list("RegionName");
    let filters = Filters::parse(params, &["region-name"])?;
    let config = cx.shared.config.clone();
    if let Some(unknown) = names
        .iter()
        .find(|n| !config.regions.iter().any(|r| r == *n))
    {
        return Err(ApiError::invalid("RegionName", unknown));
    }
    let found = config
        .regions
        .iter()
        .filter(|r| names.is_empty() || names.contains(&r.as_str()))
        .filter(|r| filters.pass(&BTreeMap::new(), |_| vec![(*r).clone()]));
    let mut xml = Xml::new();
    xml.list("regionInfo", found, |xml, r| {
        xml.leaf("regionName", r);
        xml.leaf("regionEndpoint", format!("ec2.{r}.amazonaws.com"));
        xml.leaf("optInStatus", "opt-in-not-required");
    });
    Ok(xml)
}

pub(crate) fn describe_zones(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let names = params.list("ZoneName");
    let filters = Filters::parse(params, &["zone-name", "region-name", "state"])?;
    let region = cx.region.name.clone();
    let zones: Vec<String> = cx.shared.config.zone_names(&region).collect();
    if let Some(unknown) = names.iter().find(|n| !zones.iter().any(|z| z == *n)) {
        return Err(bad_zone(unknown));
    }
    let found = zones
        .iter()
        .filter(|z| names.is_empty() || names.contains(&z.as_str()))
        .filter(|z| {
            filters.pass(&BTreeMap::new(), |name| {
                vec![match name {
                    "zone-name" => (*z).clone(),
                    "region-name" => region.clone(),
                    _ => "available".to_owned(),
                }]
            })
        });
    let mut xml = Xml::new();
    xml.list("availabilityZoneInfo", found, |xml, z| {
        xml.leaf("zoneName", z);
        xml.leaf("zoneState", "available");
        xml.leaf("regionName", &region);
        xml.leaf("zoneType", "availability-zone");
        xml.leaf("optInStatus", "opt-in-not-required");
        xml.leaf("groupName", &region);
        xml.list("messageSet", Vec::<()>::new(), |_, ()| ());
    });
    Ok(xml)
}

pub(crate) fn bad_zone(zone: &str) -> ApiError {
    ApiError::new(
        "InvalidParameterValue",
        format!("Invalid availability zone: [{zone}]"),
    )
}

pub(crate) fn account_attributes(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let wanted = params.list("AttributeName");
    let default = cx.region.vpcs.values().find(|v| v.default);
    let attributes = [
        ("default-vpc", default.map_or("none", |v| v.id.as_str())),
        ("supported-platforms", "VPC"),
        ("max-instances", "20"),
        ("vpc-max-security-groups-per-interface", "5"),
    ];
    let mut xml = Xml::new();
    let found = attributes
        .iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.contains(name));
    xml.list("accountAttributeSet", found, |xml, (name, value)| {
        xml.leaf("attributeName", name);
        xml.list("attributeValueSet", [value], |xml, v| {
            xml.leaf("attributeValue", v);
        });
    });
    Ok(xml)
}
