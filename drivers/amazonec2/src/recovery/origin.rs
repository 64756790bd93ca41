//! Determines the origin of a resource with docker-machine's tags. Tags can be copied: by AWS Backup in a restore, by
//! the console in "Launch more like this", by users who copy a volume. The client token of a launch is not copied.

use std::collections::{BTreeSet, HashMap, HashSet};

use aws_sdk_ec2::types::{FleetData, FleetType, Instance, Tag};

use crate::api::call_error::CallError;
use crate::api::ec2::Ec2;
use crate::api::lookup::value_of;
use crate::launch::client_token;

/// The tag with the fleet that launched an instance (EC2 User Guide, "Tag an EC2 Fleet"). Only EC2 can set it: the
/// prefix
/// `aws:` is reserved.
const FLEET_ID: &str = "aws:ec2:fleet-id";

/// Maximum number of IDs in one DescribeFleets.
const MOST_FLEETS: usize = 100;

/// Returns the id of the fleet that launched an instance.
fn fleet_of(instance: &Instance) -> Option<&str> {
    value_of(instance.tags(), FLEET_ID)
}

/// Returns the tag of another service that manages the resource: `aws:autoscaling:groupName`,
/// `aws:cloudformation:stack-id`. EC2's own tags only describe the launch.
pub(crate) fn manager(tags: &[Tag]) -> Option<&str> {
    let mut keys = tags.iter().filter_map(Tag::key);
    keys.find(|key| key.starts_with("aws:") && !key.starts_with("aws:ec2"))
}

/// Returns the instances that this program launched: with a client token of its own, or through a fleet with one.
///
/// # Errors
/// Fails if the query of fleets fails for another reason than a denial: the origin is then unknown.
pub(crate) async fn launched_by_us(
    ec2: Ec2<'_>,
    found: &[Instance],
) -> Result<HashSet<String>, CallError> {
    let id = |instance: &Instance| instance.instance_id().map(str::to_owned);
    let has_token =
        |instance: &&Instance| instance.client_token().is_some_and(client_token::is_ours);
    let mut ours: HashSet<String> = found.iter().filter(has_token).filter_map(id).collect();
    let others = found.iter().filter(|instance| !has_token(instance));
    let of_fleets: HashMap<String, &str> = others
        .filter_map(|instance| Some((id(instance)?, fleet_of(instance)?)))
        .collect();
    let ids: BTreeSet<&str> = of_fleets.values().copied().collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let mut fleets = Vec::new();
    for some in ids.chunks(MOST_FLEETS) {
        match describe(ec2, some).await {
            Ok(found) => fleets.extend(found),
            // One unknown ID fails the whole call: a deleted fleet is listed only for a while.
            Err(error) if some.len() > 1 && is_unknown(&error) => {
                for one in some {
                    match describe(ec2, &[one]).await {
                        Err(error) if is_unknown(&error) => {}
                        found => fleets.extend(found?),
                    }
                }
            }
            Err(error) if is_unknown(&error) => {}
            Err(error) if error.code() == "UnauthorizedOperation" => {
                ec2.cx
                    .warn(format!("machines of fleets are left alone: {error}"));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    for fleet in fleets.iter().filter(|fleet| is_ours(fleet)) {
        let launched = fleet.instances().iter().flat_map(|set| set.instance_ids());
        // The instance must name the fleet, and the fleet the instance.
        ours.extend(
            launched
                .filter(|id| of_fleets.get(*id).copied() == fleet.fleet_id())
                .cloned(),
        );
    }
    Ok(ours)
}

/// Whether an instance with a machine's tags was launched for the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    ThisLaunch,
    Others,
    /// Unknown, with the reason.
    Unknown(String),
}

/// Returns for each instance whether it comes from the launch with a client token: by its own token, or by that of its
/// fleet.
///
/// # Errors
/// Fails if the query of fleets fails for another reason than a denial.
pub(crate) async fn of_launch<'a>(
    ec2: Ec2<'_>,
    found: &[&'a Instance],
    token: &str,
    is_fleets: bool,
) -> Result<Vec<(&'a Instance, Origin)>, CallError> {
    let own = |instance: &Instance| instance.client_token().unwrap_or_default().to_owned();
    let shows_tokens = ec2.api.endpoint.is_empty() || found.iter().any(|one| own(one) == token);
    let mut told = Vec::new();
    for instance in found {
        let origin = match (is_fleets, fleet_of(instance)) {
            (false, _) if own(instance) == token => Origin::ThisLaunch,
            (false, _) if own(instance).is_empty() && !shows_tokens => {
                Origin::Unknown("EC2 shows no client token".to_owned())
            }
            (false, _) => Origin::Others,
            // The other tags may have been copied; only EC2 sets this one.
            (true, None) if !ec2.api.endpoint.is_empty() => {
                Origin::Unknown(format!("not the tag {FLEET_ID} of a fleet's"))
            }
            (true, None) => Origin::Others,
            (true, Some(id)) => match describe(ec2, &[id]).await {
                Ok(fleets) => {
                    let is_its = |fleet: &FleetData| {
                        fleet.fleet_id() == Some(id) && fleet.client_token() == Some(token)
                    };
                    match fleets.iter().any(is_its) {
                        true => Origin::ThisLaunch,
                        false => Origin::Others,
                    }
                }
                Err(error) if is_unknown(&error) => {
                    Origin::Unknown(format!("EC2 does not know its fleet {id} any more"))
                }
                Err(error) if error.code() == "UnauthorizedOperation" => {
                    Origin::Unknown(format!("its fleet {id} cannot be looked up: {error}"))
                }
                Err(error) => return Err(error),
            },
        };
        told.push((*instance, origin));
    }
    Ok(told)
}

fn is_unknown(error: &CallError) -> bool {
    error.is_not_found() || error.code().starts_with("InvalidFleet")
}

fn is_ours(fleet: &FleetData) -> bool {
    fleet.r#type() == Some(&FleetType::Instant)
        && fleet.client_token().is_some_and(client_token::is_ours)
}

/// Queries fleets by their IDs: a fleet of type `instant` is listed only by its ID (EC2 API Reference, DescribeFleets).
async fn describe(Ec2 { api, cx, .. }: Ec2<'_>, ids: &[&str]) -> Result<Vec<FleetData>, CallError> {
    let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    let answer = api
        .ask(cx, "DescribeFleets", |probe| {
            let call = api.ec2.describe_fleets();
            call.set_fleet_ids(Some(ids.clone()))
                .customize()
                .interceptor(probe)
                .send()
        })
        .await?;
    Ok(answer.fleets.unwrap_or_default())
}
