//! `doctor`: checks each prerequisite of a create separately. Read-only.

use std::sync::Arc;

use aws_sdk_ec2::types::SecurityGroup;
use machine_driver::{Check, DriverError};
use machine_types::one_line;

use crate::api::call_error::CallError;
use crate::api::credentials::SourcesError;
use crate::api::ec2::Ec2;
use crate::api::lookup::filter;
use crate::api::{account, codes};
use crate::config::create_options::CreateOptions;
use crate::config::saved::Saved;
use crate::launch::{image, key_pair, root_volume};
use crate::network::{security_groups, subnets};

/// Checks everything that a create queries before it makes anything.
pub(crate) async fn plan(ec2: Ec2<'_>, create_options: &CreateOptions) -> Vec<Check> {
    let saved = ec2.saved;
    let mut checks = access(ec2).await;
    if checks
        .iter()
        .any(|check| check.verdict == machine_driver::Verdict::Wrong)
    {
        // Every further query would fail for the same reason.
        return checks;
    }
    let of_image = image::check(ec2, &saved.ami, &create_options.instance_types);
    let (network, of_image, of_pair) =
        tokio::join!(of_network(ec2, create_options), of_image, of_key_pair(ec2));
    checks.extend(network);
    checks.push(match of_image {
        Ok(facts) => match root_volume::size(saved, create_options, &facts) {
            // A fleet's image comes from its launch template.
            Err(error) if !saved.use_fleet => {
                Check::failed("image", &error.into(), "correct --amazonec2-root-size")
            }
            _ => {
                let types = create_options.instance_types.join(", ");
                let found = format!("{} is available, and fits {types}", facts.id);
                Check::right("image", found)
            }
        },
        Err(error) => Check::failed("image", &error, "correct --amazonec2-ami, or leave it out"),
    });
    checks.extend(of_pair);
    checks
}

/// Checks the credentials and the region of a machine.
pub(crate) async fn access(ec2: Ec2<'_>) -> Vec<Check> {
    let Ec2 { api, cx, saved } = ec2;
    let whose = match saved.access_key.as_str() {
        "" => "the provider chain's",
        _ => "those given",
    };
    let subject = "credentials";
    let caller = match account::identity(api, cx).await {
        Ok(identity) => Check::right(
            subject,
            format!(
                "{whose}, of account {}, {}",
                identity.account().unwrap_or("unknown"),
                identity.arn().unwrap_or("unknown identity")
            ),
        ),
        // The errors of all sources in the chain fill several lines and are rarely useful.
        Err(error @ CallError::NoCredentials { .. }) => {
            cx.debug(one_line(&error));
            let found = of_one_source(&error).unwrap_or_else(|| {
                "the provider chain finds none; --debug tells what each of its sources says"
                    .to_owned()
            });
            let hint = DriverError::from(error).hint.unwrap_or_default();
            return vec![Check::wrong(subject, found, hint)];
        }
        Err(error) => match account::proven(api, cx).await {
            Ok(Some(account)) => Check::right(
                subject,
                format!("{whose}, of account {account}; {}", one_line(&error)),
            ),
            _ => {
                let remedy = "check the network's way to AWS's STS";
                return vec![Check::failed(subject, &error.into(), remedy)];
            }
        },
    };
    let subject = "region";
    let place = match saved.endpoint.as_str() {
        "" => api.region.clone(),
        endpoint => format!("{} at {endpoint}", api.region),
    };
    // Any query that every user may make shows whether the region is enabled for the account.
    let region = match subnets::default_vpc(ec2).await {
        // The credentials are valid, but the region rejects them.
        Err(error) if account::are_credentials_refused(&error) => {
            let remedy = format!("enable {place} for the account");
            Check::wrong(subject, one_line(error.cause()), remedy)
        }
        Err(error) if !is_refusal_of_the_question(&error) && error.cause().is::<CallError>() => {
            Check::failed(subject, &error, format!("enable {place} for the account"))
        }
        _ => Check::right(subject, place),
    };
    vec![caller, region]
}

/// Returns the reason for missing credentials if one source is to blame: a broken file, a profile that does not exist, an
/// expired login session.
fn of_one_source(error: &CallError) -> Option<String> {
    let CallError::NoCredentials { source, .. } = error else {
        return None;
    };
    match &**source.downcast_ref::<Arc<SourcesError>>()? {
        SourcesError::None(_) => None,
        of_one => Some(one_line(of_one)),
    }
}

/// Returns whether the query was denied. Other queries may still be permitted: the region exists.
fn is_refusal_of_the_question(error: &DriverError) -> bool {
    let call = error.cause().downcast_ref::<CallError>();
    call.is_some_and(|call| {
        codes::is_denied(call.code()) && !codes::is_bad_credentials(call.code())
    })
}

async fn of_network(ec2: Ec2<'_>, create_options: &CreateOptions) -> Vec<Check> {
    let saved = ec2.saved;
    let mut checks = Vec::new();
    let mut vpc = saved.vpc_id.clone();
    if !vpc.is_empty() {
        checks.push(of_vpc(ec2, &vpc).await);
    } else if create_options.subnets.is_empty() {
        match subnets::default_vpc(ec2).await {
            Ok(default) => {
                checks.push(Check::right(
                    "VPC",
                    format!("{default}, the account's default"),
                ));
                vpc = default;
            }
            Err(error) => {
                checks.push(Check::failed(
                    "VPC",
                    &error,
                    "name one with --amazonec2-vpc-id or --amazonec2-subnet-id",
                ));
                return checks;
            }
        }
    }
    let saved_in_vpc = Saved {
        vpc_id: vpc.clone(),
        ..saved.clone()
    };
    let in_vpc = Ec2 {
        saved: &saved_in_vpc,
        ..ec2
    };
    match subnets::places(in_vpc, create_options).await {
        Ok(places) => {
            for place in &places {
                let found = format!("{} in {}, {}", place.subnet, place.zone, place.vpc);
                checks.push(Check::right("subnet", found));
            }
            if let (true, Some(place)) = (vpc.is_empty(), places.first()) {
                vpc.clone_from(&place.vpc);
            }
        }
        Err(error) => checks.push(Check::failed(
            "subnet",
            &error,
            "make --amazonec2-subnet-id, --amazonec2-zone, --amazonec2-vpc-id and the region fit each other",
        )),
    }
    match security_groups::find(ec2, &vpc).await {
        Ok(found) => checks.extend(of_groups(saved, &found)),
        Err(error) => checks.push(Check::failed(
            "security group",
            &error,
            "correct --amazonec2-security-group",
        )),
    }
    checks
}

async fn of_vpc(Ec2 { api, cx, .. }: Ec2<'_>, vpc: &str) -> Check {
    let answer = api
        .ask(cx, "DescribeVpcs", |probe| {
            let call = api
                .ec2
                .describe_vpcs()
                .filters(filter("vpc-id", [vpc.to_owned()]));
            call.customize().interceptor(probe).send()
        })
        .await;
    match answer {
        Ok(answer) if answer.vpcs().is_empty() => Check::wrong(
            "VPC",
            format!("there is no {vpc} in region {}", api.region),
            "correct --amazonec2-vpc-id or --amazonec2-region",
        ),
        Ok(_) => Check::right("VPC", vpc),
        // A create does not make this query, since the subnet determines the VPC.
        Err(error) if error.is_denied() => Check::notable(
            "VPC",
            format!("{vpc} cannot be looked at: {error}"),
            "allow ec2:DescribeVpcs, or go by the subnet's line",
        ),
        Err(error) => Check::failed("VPC", &error.into(), "try again"),
    }
}

fn of_groups(saved: &Saved, found: &[SecurityGroup]) -> Vec<Check> {
    let subject = "security group";
    let wanted = saved.security_group_names.iter().flatten();
    wanted
        .map(|name| {
            let known = found.iter().find(|group| {
                [group.group_id(), group.group_name()].contains(&Some(name.as_str()))
            });
            let Some(group) = known else {
                return match security_groups::is_id(name) {
                    true => Check::right(subject, format!("{name}, taken as it is")),
                    false => Check::notable(
                        subject,
                        format!("there is no {name} yet"),
                        "the create makes it; allow ec2:CreateSecurityGroup, or make it by hand",
                    ),
                };
            };
            let closed: Vec<String> = security_groups::ports(saved)
                .into_iter()
                .filter(|(port, protocol)| {
                    let mut rules = group.ip_permissions().iter();
                    let id = group.group_id().unwrap_or_default();
                    !rules.any(|rule| security_groups::covers(id, rule, *port, protocol))
                })
                .map(|(port, protocol)| format!("{port}/{protocol}"))
                .collect();
            let closed = closed.join(", ");
            if closed.is_empty() {
                Check::right(subject, format!("{name} opens every port that is needed"))
            } else if saved.security_group_read_only {
                Check::notable(
                    subject,
                    format!("{name} does not open {closed}, and is read-only"),
                    "open the ports there, unless another of the groups does",
                )
            } else {
                Check::notable(
                    subject,
                    format!("{name} does not open {closed} yet"),
                    "the create opens them; --amazonec2-security-group-cidr says for whom",
                )
            }
        })
        .collect()
}

async fn of_key_pair(ec2: Ec2<'_>) -> Option<Check> {
    let saved = ec2.saved;
    // A fleet's key pair comes from its launch template.
    if !saved.existing_key || saved.use_fleet {
        return None;
    }
    let subject = "key pair";
    Some(match key_pair::check_existing(ec2).await {
        Ok(()) => Check::right(subject, saved.key_name.clone()),
        Err(error) => Check::failed(subject, &error.into(), "correct --amazonec2-keypair-name"),
    })
}
