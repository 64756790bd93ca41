//! DescribeInstances: its filters, and the format of an instance, here and in the answers of other calls.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::ec2::faults::consistency::Kind;
use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::filters::{Filters, page};
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::time::iso;
use crate::ec2::protocol::xml::Xml;
use crate::ec2::resources::instances::{self, Instance, InstanceState};
use crate::ec2::resources::interfaces;
use crate::ec2::resources::state::{Cx, tag_set};

pub(crate) fn describe(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let filters = Filters::parse(params, &FILTERS)?;
    let ids = params.list("InstanceId");
    if !ids.is_empty() && params.get("MaxResults").is_some() {
        return Err(ApiError::combination(
            "The parameter instancesSet cannot be used with the parameter maxResults",
        ));
    }
    instances::check(cx, &ids)?;
    let found: Vec<&Instance> = cx
        .region
        .instances
        .values()
        .filter(|i| ids.is_empty() || ids.contains(&i.id.as_str()))
        .filter(|i| filters.pass(&cx.tags(&i.id), |name| field(cx, i, name)))
        .filter(|i| cx.sees(Kind::Instance, &i.id))
        .collect();
    let (found, next) = page(params, found, |i| i.id.as_str())?;
    let mut launches: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
    for instance in found {
        launches
            .entry(&instance.reservation)
            .or_default()
            .push(instance);
    }
    let mut xml = Xml::new();
    xml.list("reservationSet", launches, |xml, (id, mut instances)| {
        instances.sort_by_key(|i| i.index);
        reservation(cx, xml, id, &instances);
    });
    xml.leaf_if("nextToken", next);
    Ok(xml)
}

/// Writes a reservation's own elements, as RunInstances and DescribeInstances show them.
pub(crate) fn reservation(cx: &Cx<'_>, xml: &mut Xml, id: &str, instances: &[&Instance]) {
    xml.leaf("reservationId", id);
    xml.leaf("ownerId", &cx.region.account);
    xml.list("groupSet", Vec::<()>::new(), |_, ()| ());
    xml.list("instancesSet", instances, |xml, i| instance(cx, xml, i));
}

fn instance(cx: &Cx<'_>, xml: &mut Xml, i: &Instance) {
    xml.leaf("instanceId", &i.id);
    xml.leaf("imageId", &i.image);
    state(xml, "instanceState", i.state);
    let private_dns = i.private_ip.map(|a| private_dns(&cx.region.name, a));
    xml.leaf("privateDnsName", private_dns.clone().unwrap_or_default());
    let public_dns = i.public_ip.map(|a| public_dns(&cx.region.name, a));
    xml.leaf("dnsName", public_dns.unwrap_or_default());
    let reason = i.reason.as_ref();
    xml.leaf("reason", reason.map_or("", |r| r.message.as_str()));
    xml.leaf_if("keyName", i.key_name.as_ref());
    xml.leaf("amiLaunchIndex", i.index);
    xml.list("productCodes", Vec::<()>::new(), |_, ()| ());
    xml.leaf("instanceType", &i.instance_type);
    xml.leaf("launchTime", iso(i.launched));
    xml.node("placement", |xml| {
        xml.leaf("availabilityZone", &i.zone);
        xml.leaf("groupName", "");
        xml.leaf("tenancy", "default");
    });
    let monitoring = if i.monitoring { "enabled" } else { "disabled" };
    xml.node("monitoring", |xml| xml.leaf("state", monitoring));
    if i.state != InstanceState::Terminated {
        xml.leaf("subnetId", &i.subnet);
        xml.leaf("vpcId", &i.vpc);
        xml.leaf("sourceDestCheck", true);
    }
    xml.leaf_if("privateIpAddress", i.private_ip);
    xml.leaf_if("ipAddress", i.public_ip);
    xml.leaf_if("ipv6Address", i.ipv6.first());
    xml.list("groupSet", &i.groups, |xml, id| group(cx, xml, id));
    if let Some(reason) = reason {
        xml.node("stateReason", |xml| {
            xml.leaf("code", &reason.code);
            xml.leaf("message", &reason.message);
        });
    }
    xml.leaf("architecture", &i.architecture);
    xml.leaf("rootDeviceType", "ebs");
    xml.leaf("rootDeviceName", &i.root_device);
    let volumes = i.volumes.iter().filter_map(|(device, id)| {
        let volume = cx.region.volumes.get(id)?;
        Some((device, volume))
    });
    xml.list("blockDeviceMapping", volumes, |xml, (device, volume)| {
        xml.leaf("deviceName", device);
        xml.node("ebs", |xml| {
            xml.leaf("volumeId", &volume.id);
            xml.leaf("status", "attached");
            xml.leaf("attachTime", iso(volume.created));
            xml.leaf("deleteOnTermination", volume.delete_on_termination);
        });
    });
    xml.leaf("virtualizationType", "hvm");
    if let Some(request) = &i.spot_request {
        xml.leaf("instanceLifecycle", "spot");
        xml.leaf("spotInstanceRequestId", request);
    }
    xml.leaf("clientToken", i.client_token.as_deref().unwrap_or_default());
    tag_set(xml, &cx.tags(&i.id));
    xml.leaf("hypervisor", "xen");
    let interfaces = i
        .interfaces
        .iter()
        .filter_map(|id| cx.region.interfaces.get(id));
    xml.list("networkInterfaceSet", interfaces, |xml, n| {
        interfaces::write(cx, xml, n, true);
    });
    if let Some(profile) = &i.profile {
        xml.node("iamInstanceProfile", |xml| {
            xml.leaf("arn", profile_arn(cx, profile));
            xml.leaf("id", "AIPA0000000000000LAB");
        });
    }
    xml.leaf("ebsOptimized", i.ebs_optimized);
    xml.leaf("enaSupport", true);
    xml.node("metadataOptions", |xml| {
        let m = &i.metadata;
        xml.leaf("state", "applied");
        xml.leaf("httpTokens", &m.http_tokens);
        xml.leaf("httpPutResponseHopLimit", m.hop_limit);
        xml.leaf("httpEndpoint", &m.http_endpoint);
        xml.leaf("httpProtocolIpv6", &m.http_protocol_ipv6);
        xml.leaf("instanceMetadataTags", &m.instance_metadata_tags);
    });
    xml.leaf("platformDetails", "Linux/UNIX");
    xml.leaf("usageOperation", "RunInstances");
}

pub(crate) fn group(cx: &Cx<'_>, xml: &mut Xml, id: &str) {
    let group = cx.region.groups.get(id);
    xml.leaf("groupId", id);
    xml.leaf("groupName", group.map_or("", |g| g.name.as_str()));
}

/// Writes an instance state under the name that a call gives it.
pub(crate) fn state(xml: &mut Xml, element: &str, state: InstanceState) {
    xml.node(element, |xml| {
        xml.leaf("code", state.code());
        xml.leaf("name", state.name());
    });
}

pub(crate) fn profile_arn(cx: &Cx<'_>, profile: &str) -> String {
    if profile.starts_with("arn:") {
        return profile.to_owned();
    }
    format!(
        "arn:{}:iam::{}:instance-profile/{profile}",
        crate::ec2::protocol::arn::partition(&cx.region.name),
        cx.region.account
    )
}

pub(crate) fn private_dns(region: &str, address: Ipv4Addr) -> String {
    let name = address.to_string().replace('.', "-");
    if region == "us-east-1" {
        format!("ip-{name}.ec2.internal")
    } else {
        format!("ip-{name}.{region}.compute.internal")
    }
}

pub(crate) fn public_dns(region: &str, address: Ipv4Addr) -> String {
    let name = address.to_string().replace('.', "-");
    if region == "us-east-1" {
        format!("ec2-{name}.compute-1.amazonaws.com")
    } else {
        format!("ec2-{name}.{region}.compute.amazonaws.com")
    }
}

const FILTERS: [&str; 29] = [
    "architecture",
    "availability-zone",
    "client-token",
    "dns-name",
    "iam-instance-profile.arn",
    "image-id",
    "instance-id",
    "instance-lifecycle",
    "instance-state-code",
    "instance-state-name",
    "instance-type",
    "instance.group-id",
    "instance.group-name",
    "ip-address",
    "ipv6-address",
    "key-name",
    "launch-index",
    "launch-time",
    "metadata-options.http-tokens",
    "monitoring-state",
    "network-interface.network-interface-id",
    "owner-id",
    "private-dns-name",
    "private-ip-address",
    "reservation-id",
    "root-device-name",
    "spot-instance-request-id",
    "subnet-id",
    "vpc-id",
];

fn field(cx: &Cx<'_>, i: &Instance, name: &str) -> Vec<String> {
    let text = |value: Option<&String>| value.cloned().into_iter().collect::<Vec<_>>();
    let region = cx.region.name.as_str();
    match name {
        "architecture" => vec![i.architecture.clone()],
        "availability-zone" => vec![i.zone.clone()],
        "client-token" => text(i.client_token.as_ref()),
        "dns-name" => text(i.public_ip.map(|a| public_dns(region, a)).as_ref()),
        "iam-instance-profile.arn" => text(i.profile.as_ref().map(|p| profile_arn(cx, p)).as_ref()),
        "image-id" => vec![i.image.clone()],
        "instance-id" => vec![i.id.clone()],
        "instance-lifecycle" => text(i.spot_request.as_ref().map(|_| "spot".to_owned()).as_ref()),
        "instance-state-code" => vec![i.state.code().to_string()],
        "instance-state-name" => vec![i.state.name().to_owned()],
        "instance-type" => vec![i.instance_type.clone()],
        "instance.group-id" => i.groups.clone(),
        "instance.group-name" => {
            let groups = i.groups.iter().filter_map(|id| cx.region.groups.get(id));
            groups.map(|g| g.name.clone()).collect()
        }
        "ip-address" => text(i.public_ip.map(|a| a.to_string()).as_ref()),
        "ipv6-address" => i.ipv6.iter().map(ToString::to_string).collect(),
        "key-name" => text(i.key_name.as_ref()),
        "launch-index" => vec![i.index.to_string()],
        "launch-time" => vec![iso(i.launched)],
        "metadata-options.http-tokens" => vec![i.metadata.http_tokens.clone()],
        "monitoring-state" if i.monitoring => vec!["enabled".to_owned()],
        "monitoring-state" => vec!["disabled".to_owned()],
        "network-interface.network-interface-id" => i.interfaces.clone(),
        "owner-id" => vec![cx.region.account.clone()],
        "private-dns-name" => text(i.private_ip.map(|a| private_dns(region, a)).as_ref()),
        "private-ip-address" => text(i.private_ip.map(|a| a.to_string()).as_ref()),
        "reservation-id" => vec![i.reservation.clone()],
        "root-device-name" => vec![i.root_device.clone()],
        "spot-instance-request-id" => text(i.spot_request.as_ref()),
        "subnet-id" => vec![i.subnet.clone()],
        "vpc-id" => vec![i.vpc.clone()],
        _ => Vec::new(),
    }
}
