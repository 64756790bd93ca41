//! Finds VPC, subnets and zones for a launch.

use aws_sdk_ec2::types::{AccountAttributeName, Filter, Subnet};
use machine_driver::{DriverError, DriverErrorKind};
use machine_types::printable;

use crate::api::call_error::CallError;
use crate::api::ec2::Ec2;
use crate::api::lookup::filter;
use crate::config::create_options::CreateOptions;
use crate::config::region::{self, Meant};
use crate::config::saved::Saved;
use crate::launch::candidates::Place;

/// There is no subnet for the machine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error(
        "amazonec2 driver requires either the --amazonec2-subnet-id or --amazonec2-vpc-id option or an AWS Account with a default vpc-id"
    )]
    NoDefaultVpc,
    #[error(
        "The desired subnet could not be located in this region. Is '--amazonec2-subnet-id' or AWS_SUBNET_ID configured correctly? ({subnet} in {region})"
    )]
    NoSuchSubnet { subnet: String, region: String },
    #[error("SubnetId: {subnet} does not belong to VpcId: {vpc}")]
    OtherVpc { subnet: String, vpc: String },
    #[error("SubnetId: {subnet} is not in the availability zone: {zone}")]
    OtherZone { subnet: String, zone: String },
    #[error(
        "unable to find a subnet that is both in the zone {zone} and belonging to VPC ID {vpc}"
    )]
    NoSubnetInZone {
        zone: String,
        vpc: String,
        /// The way out.
        hint: String,
    },
    #[error("there is no VPC {vpc} in region {region}")]
    NoSuchVpc { vpc: String, region: String },
}

impl From<NetworkError> for DriverError {
    fn from(error: NetworkError) -> Self {
        let kind = match error {
            NetworkError::NoSubnetInZone { .. } | NetworkError::NoSuchVpc { .. } => {
                DriverErrorKind::PreCreate
            }
            _ => DriverErrorKind::Configuration,
        };
        let hint = match &error {
            NetworkError::NoSuchVpc { .. } => {
                Some("check --amazonec2-vpc-id, --amazonec2-region and the account".to_owned())
            }
            NetworkError::NoSubnetInZone { hint, .. } => Some(hint.clone()),
            _ => None,
        };
        let error = Self::new(kind, error);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

/// Finds the account's default VPC: by the account attribute, a cheap call, else among its VPCs.
pub(crate) async fn default_vpc(Ec2 { api, cx, .. }: Ec2<'_>) -> Result<String, DriverError> {
    let attributes = api
        .ask(cx, "DescribeAccountAttributes", |probe| {
            let call = api.ec2.describe_account_attributes();
            call.attribute_names(AccountAttributeName::DefaultVpc)
                .customize()
                .interceptor(probe)
                .send()
        })
        .await?;
    let mut values = attributes
        .account_attributes()
        .iter()
        .flat_map(|attribute| attribute.attribute_values());
    if let Some(vpc) = values.find_map(|value| {
        value
            .attribute_value()
            .filter(|value| value.starts_with("vpc-"))
    }) {
        return Ok(vpc.to_owned());
    }
    let answer = api
        .ask(cx, "DescribeVpcs", |probe| {
            let call = api
                .ec2
                .describe_vpcs()
                .filters(filter("is-default", ["true".to_owned()]));
            call.customize().interceptor(probe).send()
        })
        .await?;
    let found = answer.vpcs().iter().find_map(|vpc| vpc.vpc_id());
    Ok(found.ok_or(NetworkError::NoDefaultVpc)?.to_owned())
}

/// Finds the subnets to launch in, in the order of the attempts.
pub(crate) async fn places(
    ec2: Ec2<'_>,
    create_options: &CreateOptions,
) -> Result<Vec<Place>, DriverError> {
    let saved = ec2.saved;
    if create_options.subnets.is_empty() {
        let in_zone = filter("availability-zone", [saved.zone_name()]);
        let in_vpc = filter("vpc-id", [saved.vpc_id.clone()]);
        let mut subnets = subnets(ec2, vec![in_zone, in_vpc]).await?;
        subnets.sort_by_key(|subnet| !subnet.default_for_az().unwrap_or(false));
        let Some(first) = subnets.iter().find_map(place) else {
            return Err(no_subnet(ec2).await.into());
        };
        return Ok(vec![first]);
    }
    let by_id = filter("subnet-id", create_options.subnets.clone());
    let found = subnets(ec2, vec![by_id]).await?;
    let mut places = Vec::new();
    for wanted in &create_options.subnets {
        let known = found
            .iter()
            .find(|subnet| subnet.subnet_id() == Some(wanted));
        let place = known
            .and_then(place)
            .ok_or_else(|| NetworkError::NoSuchSubnet {
                subnet: wanted.clone(),
                region: ec2.api.region.clone(),
            })?;
        if !saved.vpc_id.is_empty() && place.vpc != saved.vpc_id {
            return Err(NetworkError::OtherVpc {
                subnet: place.subnet,
                vpc: saved.vpc_id.clone(),
            }
            .into());
        }
        places.push(place);
    }
    // Each of several subnets determines its own zone; a single one must not contradict the flag.
    if let [only] = places.as_slice()
        && create_options.zone_given
        && only.zone != saved.zone_name()
    {
        return Err(NetworkError::OtherZone {
            subnet: only.subnet.clone(),
            zone: saved.zone_name(),
        }
        .into());
    }
    Ok(places)
}

/// Distinguishes a VPC that does not exist from one without a subnet in the zone.
async fn no_subnet(ec2: Ec2<'_>) -> NetworkError {
    let Ec2 { api, cx, saved } = ec2;
    let (zone, vpc) = (saved.zone_name(), saved.vpc_id.clone());
    let in_vpc = filter("vpc-id", [vpc.clone()]);
    let others = subnets(ec2, vec![in_vpc.clone()]).await;
    let mut zones: Vec<String> = others.iter().flatten().filter_map(zone_of).collect();
    zones.sort_unstable();
    zones.dedup();
    if zones.is_empty() {
        let answer = api
            .ask(cx, "DescribeVpcs", |probe| {
                let call = api.ec2.describe_vpcs().filters(in_vpc.clone());
                call.customize().interceptor(probe).send()
            })
            .await;
        // The policy may not allow the query.
        if answer.is_ok_and(|answer| answer.vpcs().is_empty()) {
            let region = api.region.clone();
            return NetworkError::NoSuchVpc { vpc, region };
        }
    }
    let hint = zone_hint(saved, &zones);
    NetworkError::NoSubnetInZone { zone, vpc, hint }
}

fn zone_of(subnet: &Subnet) -> Option<String> {
    let zone = subnet.availability_zone()?;
    Some(printable(zone.as_bytes()))
}

/// Returns what is wrong with the zone, and which zones the VPC has subnets in.
fn zone_hint(saved: &Saved, zones: &[String]) -> String {
    let zone = &saved.zone;
    let wrong = match region::meant(zone) {
        Some(Meant::ZoneOf(other)) if other != saved.region => format!(
            "{zone} is a zone of the region {other}, and --amazonec2-region is {}; ",
            saved.region
        ),
        _ => String::new(),
    };
    match zones {
        [] => {
            format!("{wrong}the VPC has no subnet: create one, or give another --amazonec2-vpc-id")
        }
        zones => format!(
            "{wrong}the VPC has subnets in {}: give one of these as --amazonec2-zone",
            zones.join(", ")
        ),
    }
}

async fn subnets(
    Ec2 { api, cx, .. }: Ec2<'_>,
    filters: Vec<Filter>,
) -> Result<Vec<Subnet>, CallError> {
    let answer = api
        .ask(cx, "DescribeSubnets", |probe| {
            let call = api
                .ec2
                .describe_subnets()
                .set_filters(Some(filters.clone()));
            call.customize().interceptor(probe).send()
        })
        .await?;
    Ok(answer.subnets.unwrap_or_default())
}

fn place(subnet: &Subnet) -> Option<Place> {
    Some(Place {
        subnet: subnet.subnet_id()?.to_owned(),
        zone: subnet.availability_zone()?.to_owned(),
        vpc: subnet.vpc_id().unwrap_or_default().to_owned(),
    })
}
