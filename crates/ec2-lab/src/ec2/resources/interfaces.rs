//! Network interfaces: created by launches, removed with their instances.

use std::time::SystemTime;

use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::filters::{Filters, IdKind, page};
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::time::iso;
use crate::ec2::protocol::xml::Xml;
use crate::ec2::resources::describe_instances::{group, private_dns, public_dns};
use crate::ec2::resources::instances::Instance;
use crate::ec2::resources::state::{Cx, tag_set};

const INTERFACE: IdKind = IdKind {
    prefix: "eni-",
    code: "InvalidNetworkInterfaceID",
    noun: "networkInterface ID",
};

/// A network interface. Its addresses are its instance's.
#[derive(Debug, Clone)]
pub struct Interface {
    /// `eni-…`.
    pub id: String,
    /// The instance that it is attached to.
    pub instance: String,
    /// Whether its first IPv6 address is the primary one.
    pub primary_ipv6: bool,
    /// Its description.
    pub description: String,
    /// Whether it is removed with its instance.
    pub delete_on_termination: bool,
    /// The time of its attachment: the instance's first launch.
    pub attached: SystemTime,
}

/// Writes an interface as part of an instance, or on its own.
pub(crate) fn write(cx: &Cx<'_>, xml: &mut Xml, n: &Interface, within_instance: bool) {
    let Some(i) = cx.region.instances.get(&n.instance) else {
        return;
    };
    xml.leaf("networkInterfaceId", &n.id);
    xml.leaf("subnetId", &i.subnet);
    xml.leaf("vpcId", &i.vpc);
    if !within_instance {
        xml.leaf("availabilityZone", &i.zone);
        tag_set(xml, &cx.tags(&n.id));
    }
    xml.leaf("description", &n.description);
    xml.leaf("ownerId", &cx.region.account);
    xml.leaf("status", "in-use");
    let mac: Vec<&str> =
        n.id.as_bytes()
            .rchunks(2)
            .take(5)
            .filter_map(|b| std::str::from_utf8(b).ok())
            .collect();
    xml.leaf("macAddress", format!("0a:{}", mac.join(":")));
    let region = cx.region.name.as_str();
    xml.leaf_if("privateIpAddress", i.private_ip);
    xml.leaf_if(
        "privateDnsName",
        i.private_ip.map(|a| private_dns(region, a)),
    );
    xml.leaf("sourceDestCheck", true);
    xml.list("groupSet", &i.groups, |xml, id| group(cx, xml, id));
    xml.node("attachment", |xml| {
        xml.leaf("attachmentId", n.id.replace("eni-", "eni-attach-"));
        if !within_instance {
            xml.leaf("instanceId", &i.id);
        }
        xml.leaf("deviceIndex", 0);
        xml.leaf("status", "attached");
        xml.leaf("attachTime", iso(n.attached));
        xml.leaf("deleteOnTermination", n.delete_on_termination);
        xml.leaf("networkCardIndex", 0);
    });
    association(cx, xml, i);
    xml.list("privateIpAddressesSet", i.private_ip, |xml, address| {
        xml.leaf("privateIpAddress", address);
        xml.leaf("privateDnsName", private_dns(region, address));
        xml.leaf("primary", true);
        association(cx, xml, i);
    });
    xml.list(
        "ipv6AddressesSet",
        (0..).zip(&i.ipv6),
        |xml, (k, address)| {
            xml.leaf("ipv6Address", address);
            xml.leaf("isPrimaryIpv6", n.primary_ipv6 && k == 0);
        },
    );
    xml.leaf("interfaceType", "interface");
}

fn association(cx: &Cx<'_>, xml: &mut Xml, i: &Instance) {
    if let Some(address) = i.public_ip {
        xml.node("association", |xml| {
            xml.leaf("publicIp", address);
            xml.leaf("publicDnsName", public_dns(&cx.region.name, address));
            xml.leaf("ipOwnerId", "amazon");
        });
    }
}

pub(crate) fn describe(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let known = [
        "network-interface-id",
        "attachment.instance-id",
        "subnet-id",
        "vpc-id",
        "group-id",
        "private-ip-address",
        "status",
    ];
    let filters = Filters::parse(params, &known)?;
    let ids = params.list("NetworkInterfaceId");
    INTERFACE.check(ids.iter().copied(), |id| {
        cx.region.interfaces.contains_key(id)
    })?;
    let found: Vec<&Interface> = cx
        .region
        .interfaces
        .values()
        .filter(|n| ids.is_empty() || ids.contains(&n.id.as_str()))
        .filter(|n| {
            let Some(i) = cx.region.instances.get(&n.instance) else {
                return false;
            };
            filters.pass(&cx.tags(&n.id), |name| match name {
                "network-interface-id" => vec![n.id.clone()],
                "attachment.instance-id" => vec![i.id.clone()],
                "subnet-id" => vec![i.subnet.clone()],
                "vpc-id" => vec![i.vpc.clone()],
                "group-id" => i.groups.clone(),
                "status" => vec!["in-use".to_owned()],
                _ => i.private_ip.iter().map(ToString::to_string).collect(),
            })
        })
        .collect();
    let (found, next) = page(params, found, |n| n.id.as_str())?;
    let mut xml = Xml::new();
    xml.list("networkInterfaceSet", found, |xml, n| {
        write(cx, xml, n, false)
    });
    xml.leaf_if("nextToken", next);
    Ok(xml)
}
