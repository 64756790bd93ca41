//! CreateFleet of type `instant`: a single launch, tried with each of a list of overrides.

use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::xml::Xml;
use crate::ec2::resources::instances::Instance;
use crate::ec2::resources::launch;
use crate::ec2::resources::state::{Cx, Tags};
use crate::ec2::resources::tags;
use crate::ec2::resources::templates::{LaunchTemplate, find, over};

/// One launch attempt of a fleet.
struct Candidate {
    template: LaunchTemplate,
    overrides: Params,
    params: Params,
}

pub(crate) fn create(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let kind = params.get("Type").unwrap_or("maintain");
    if kind != "instant" {
        return Err(ApiError::invalid("Type", kind));
    }
    if params.get("ClientToken").is_some_and(|t| t.len() > 64) {
        return Err(ApiError::invalid(
            "ClientToken",
            "longer than 64 characters",
        ));
    }
    let target = params.below("TargetCapacitySpecification");
    let count = target.number::<u32>("TotalTargetCapacity")?;
    let count = count.ok_or_else(|| ApiError::missing("TotalTargetCapacity"))?;
    let spot = target.get("DefaultTargetCapacityType") == Some("spot");
    // An instant fleet tags itself and the resources that it launches (API Reference, CreateFleet).
    let taggable = [&launch::TAGGED[..3], &["fleet"]].concat();
    let tags = tags::of_new(params, "fleet", &taggable)?;
    let candidates = candidates(cx, params, spot)?;
    tags::dry_run(params)?;
    let fleet = match cx.region.tokens.find("fleet", params)? {
        Some(known) => return Ok(answer(cx, &known, &candidates, &[])),
        None => format!("fleet-{}", cx.shared.ids.uuid()),
    };
    let (mut made, mut errors) = (0, Vec::new());
    for candidate in &candidates {
        while made < count {
            match launch::start(cx, &candidate.params) {
                Err(error) => {
                    errors.push((candidate, error));
                    break;
                }
                Ok(reservation) => {
                    adopt(cx, &reservation, &fleet);
                    made += 1;
                }
            }
        }
    }
    cx.tag_new(&fleet, tags);
    cx.region.tokens.remember("fleet", params, &fleet);
    let token = params.text("ClientToken");
    cx.region.fleets.insert(fleet.clone(), token);
    Ok(answer(cx, &fleet, &candidates, &errors))
}

fn candidates(cx: &Cx<'_>, params: &Params, spot: bool) -> Result<Vec<Candidate>, ApiError> {
    let mut candidates = Vec::new();
    for config in params.structs("LaunchTemplateConfigs") {
        let template = find(cx, &config.below("LaunchTemplateSpecification"))?.clone();
        let mut overrides = config.structs("Overrides");
        if overrides.is_empty() {
            overrides.push(Params::default());
        }
        for overrides in overrides {
            let mut p = Params::default();
            for name in ["InstanceType", "ImageId"] {
                if let Some(value) = overrides.get(name) {
                    p.set(name, value);
                }
            }
            for (name, value) in overrides.map() {
                if name.starts_with("BlockDeviceMapping.") {
                    p.set(name, value);
                }
            }
            if let Some(zone) = overrides.get("AvailabilityZone") {
                p.set("Placement.AvailabilityZone", zone);
            }
            let specs = params.structs("TagSpecification").into_iter();
            let of_launch = specs.filter(|spec| spec.get("ResourceType") != Some("fleet"));
            for (n, spec) in of_launch.enumerate() {
                for (name, value) in spec.map() {
                    p.set(format!("TagSpecification.{}.{name}", n + 1), value);
                }
            }
            let mut p = over(&template.data, &p);
            if let Some(subnet) = overrides.get("SubnetId") {
                let in_interface = p.has_below("NetworkInterface");
                p.set(
                    if in_interface {
                        "NetworkInterface.1.SubnetId"
                    } else {
                        "SubnetId"
                    },
                    subnet,
                );
            }
            p.set("MinCount", "1");
            p.set("MaxCount", "1");
            if spot {
                p.set("InstanceMarketOptions.MarketType", "spot");
                if let Some(price) = overrides.get("MaxPrice") {
                    p.set("InstanceMarketOptions.SpotOptions.MaxPrice", price);
                }
            }
            candidates.push(Candidate {
                template: template.clone(),
                overrides,
                params: p,
            });
        }
    }
    if candidates.is_empty() {
        return Err(ApiError::missing("LaunchTemplateConfigs"));
    }
    Ok(candidates)
}

/// Marks the instances of a reservation as the fleet's, as EC2 does.
fn adopt(cx: &mut Cx<'_>, reservation: &str, fleet: &str) {
    let all = cx.region.instances.values();
    let ids: Vec<String> = all
        .filter(|i| i.reservation == reservation)
        .map(|i| i.id.clone())
        .collect();
    for id in ids {
        let mut tags: Tags = cx.region.tags.get(&id).cloned().unwrap_or_default();
        tags.insert("aws:ec2:fleet-id".to_owned(), fleet.to_owned());
        cx.tag_new(&id, tags);
    }
}

fn answer(
    cx: &Cx<'_>,
    fleet: &str,
    candidates: &[Candidate],
    errors: &[(&Candidate, ApiError)],
) -> Xml {
    let mut xml = Xml::new();
    xml.leaf("fleetId", fleet);
    xml.list("errorSet", errors, |xml, (candidate, error)| {
        echo(xml, candidate);
        xml.leaf("lifecycle", lifecycle(&candidate.params));
        xml.leaf("errorCode", &error.code);
        xml.leaf("errorMessage", &error.message);
    });
    xml.list("fleetInstanceSet", launched(cx, fleet), |xml, i| {
        let is_origin = |c: &&Candidate| {
            let subnet = c.overrides.get("SubnetId");
            c.params.get("InstanceType") == Some(&i.instance_type)
                && subnet.is_none_or(|subnet| subnet == i.subnet)
        };
        let origin = candidates.iter().find(is_origin);
        if let Some(candidate) = origin {
            echo(xml, candidate);
        }
        of_fleet(xml, i);
    });
    xml
}

/// Returns the instances that a fleet has launched.
fn launched<'a>(cx: &'a Cx<'_>, fleet: &str) -> Vec<&'a Instance> {
    let of_fleet = |i: &&Instance| {
        let tags = cx.region.tags.get(&i.id);
        tags.and_then(|t| t.get("aws:ec2:fleet-id"))
            .is_some_and(|f| f == fleet)
    };
    cx.region.instances.values().filter(of_fleet).collect()
}

fn of_fleet(xml: &mut Xml, i: &Instance) {
    xml.leaf(
        "lifecycle",
        if i.spot_request.is_some() {
            "spot"
        } else {
            "on-demand"
        },
    );
    xml.list("instanceIds", [&i.id], |xml, id| xml.text(id));
    xml.leaf("instanceType", &i.instance_type);
}

/// DescribeFleets: "If a fleet is of type `instant`, you must specify the fleet ID, otherwise it does not appear in
/// the response" (EC2 API Reference), and all of the lab's fleets are. The code for an unknown id is the one that the
/// AWS provider of Terraform expects (`errCodeInvalidFleetIdNotFound`).
pub(crate) fn describe(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let ids = params.list("FleetId");
    if let Some(unknown) = ids.iter().find(|id| !cx.region.fleets.contains_key(**id)) {
        return Err(ApiError::new(
            "InvalidFleetId.NotFound",
            format!("The fleet ID '{unknown}' does not exist"),
        ));
    }
    let mut xml = Xml::new();
    xml.list("fleetSet", ids, |xml, id| {
        xml.leaf("fleetId", id);
        xml.leaf("fleetState", "active");
        xml.leaf_if("clientToken", cx.region.fleets.get(id).cloned().flatten());
        xml.leaf("type", "instant");
        xml.list("fleetInstanceSet", launched(cx, id), of_fleet);
    });
    Ok(xml)
}

fn lifecycle(params: &Params) -> &'static str {
    match params.get("InstanceMarketOptions.MarketType") {
        Some(_) => "spot",
        None => "on-demand",
    }
}

fn echo(xml: &mut Xml, candidate: &Candidate) {
    xml.node("launchTemplateAndOverrides", |xml| {
        xml.node("launchTemplateSpecification", |xml| {
            xml.leaf("launchTemplateId", &candidate.template.id);
            xml.leaf("version", 1);
        });
        xml.node("overrides", |xml| {
            xml.leaf_if("instanceType", candidate.overrides.get("InstanceType"));
            xml.leaf_if("subnetId", candidate.overrides.get("SubnetId"));
            xml.leaf_if(
                "availabilityZone",
                candidate.overrides.get("AvailabilityZone"),
            );
        });
    });
}
