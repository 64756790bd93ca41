//! Security groups, which machines share: finds or creates them and opens ports. Never removes them.

use aws_sdk_ec2::operation::create_security_group::builders::CreateSecurityGroupFluentBuilder;
use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroup};
use machine_driver::{DriverError, DriverErrorKind};
use machine_ops::{Intent, Made, Ownership, StepFailure, UndoOrder};
use machine_types::DOCKER_PORT;

use crate::api::account;
use crate::api::call_error::CallError;
use crate::api::client::Api;
use crate::api::ec2::Ec2;
use crate::api::lookup::{self, DEFAULT_GROUP, filter};
use crate::config::create_options::CreateOptions;
use crate::config::flag_values::{port_and_protocol, swarm_port};
use crate::config::saved::Saved;
use crate::launch::preflight_cache::{PreflightResult, Turn};
use crate::launch::tags::{self, Tag};

const EVERYWHERE: &str = "0.0.0.0/0";
const EVERYWHERE_V6: &str = "::/0";

/// The flags name a group by an ID that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("there is no security group {group} in region {region}")]
struct NoSuchGroup {
    group: String,
    region: String,
}

/// The group cannot be used for the machine, and must not be changed for it.
#[derive(Debug, thiserror::Error)]
#[error("the security group {group} is of {own}, and the machine's VPC is {vpc}")]
struct OfAnotherVpc {
    group: String,
    own: String,
    vpc: String,
}

/// Finds the groups that the flags name, in one call for names and one for IDs.
///
/// Without a VPC, names are not looked up.
pub(crate) async fn find(
    Ec2 { api, cx, saved }: Ec2<'_>,
    vpc: &str,
) -> Result<Vec<SecurityGroup>, DriverError> {
    let wanted = saved.security_group_names.clone().unwrap_or_default();
    let (ids, names): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|group| is_id(group));
    // Rules that are not changed need not be read.
    let ids_matter = !ids.is_empty() && !saved.security_group_read_only;
    let by_id = async {
        match ids_matter {
            true => lookup::security_groups(api, cx, vec![filter("group-id", ids.clone())]).await,
            false => Ok(Vec::new()),
        }
    };
    let by_name = async {
        if names.is_empty() {
            account::learn(api, cx).await;
            return Ok(Vec::new());
        }
        // Also the VPC's default group: it proves the account, without a further call.
        let besides =
            (!names.iter().any(|name| name == DEFAULT_GROUP)).then(|| DEFAULT_GROUP.to_owned());
        let asked = names.iter().cloned().chain(besides.clone());
        let filters = vec![
            filter("group-name", asked),
            filter("vpc-id", [vpc.to_owned()]),
        ];
        let mut found = lookup::security_groups(api, cx, filters).await?;
        found.retain(|group| besides.is_none() || group.group_name() != Some(DEFAULT_GROUP));
        Ok(found)
    };
    let (by_id, by_name) = tokio::try_join!(by_id, by_name)?;
    let missing = ids
        .iter()
        .find(|id| ids_matter && !by_id.iter().any(|group| group.group_id() == Some(id)));
    if let Some(group) = missing {
        let error = NoSuchGroup {
            group: group.clone(),
            region: api.region.clone(),
        };
        return Err(DriverError::new(DriverErrorKind::Configuration, error));
    }
    // EC2 allows no such name, so a create could not make the group (EC2 API Reference, CreateSecurityGroup).
    let impossible = names.iter().find(|name| {
        let is_found = by_name
            .iter()
            .any(|group| group.group_name() == Some(name.as_str()));
        name.starts_with("sg-") && !is_found
    });
    if let Some(group) = impossible.filter(|_| !vpc.is_empty()) {
        let error = NoSuchGroup {
            group: group.clone(),
            region: api.region.clone(),
        };
        let hint = "a name of a group cannot begin with sg-, and an ID is sg- with hexadecimal digits: correct --amazonec2-security-group";
        return Err(DriverError::new(DriverErrorKind::Configuration, error).with_hint(hint));
    }
    let of_another = by_id
        .iter()
        .filter_map(|group| Some((group.group_id()?, group.vpc_id()?)))
        .find(|(_, own)| !vpc.is_empty() && *own != vpc);
    if let Some((group, own)) = of_another {
        let error = OfAnotherVpc {
            group: group.to_owned(),
            own: own.to_owned(),
            vpc: vpc.to_owned(),
        };
        return Err(DriverError::new(DriverErrorKind::Configuration, error));
    }
    Ok(by_id.into_iter().chain(by_name).collect())
}

/// Creates missing groups, opens missing ports, and returns the IDs in the order of the flags. Of several parallel
/// creates one does this, and the others use its results.
pub(crate) async fn ensure(
    ec2: Ec2<'_>,
    store_id: &str,
    create_options: &CreateOptions,
    preflight_result: &PreflightResult,
) -> Result<Vec<String>, DriverError> {
    let saved = ec2.saved;
    let is_done = |found: &[SecurityGroup]| are_open(saved, create_options, found);
    let mut found = preflight_result.groups.clone();
    let mut turn = Turn::Alone;
    if !is_done(&found) {
        turn = preflight_result.turn(ec2.cx, is_done).await;
        if let Turn::Known(facts) = &turn {
            found = facts.groups();
        }
    }
    let (mut ids, mut done) = (Vec::new(), Vec::new());
    for name in saved.security_group_names.iter().flatten() {
        let (id, mut rules) = match known(&found, name) {
            Some(group) => (
                group.group_id().unwrap_or_default().to_owned(),
                group.ip_permissions().to_vec(),
            ),
            None if is_id(name) => (name.clone(), Vec::new()),
            None => create(ec2, store_id, name).await?,
        };
        if !saved.security_group_read_only {
            rules.extend(open(ec2, create_options, &id, &rules).await?);
        }
        let group = SecurityGroup::builder().group_id(&id).group_name(name);
        done.push(group.set_ip_permissions(Some(rules)).build());
        ids.push(id);
    }
    preflight_result.share(ec2.cx, &turn, &done);
    Ok(ids)
}

/// Returns whether all groups exist with all ports open.
fn are_open(saved: &Saved, create_options: &CreateOptions, found: &[SecurityGroup]) -> bool {
    let mut names = saved.security_group_names.iter().flatten();
    names.all(|name| match known(found, name) {
        Some(group) => {
            saved.security_group_read_only
                || closed(
                    saved,
                    create_options,
                    group.group_id().unwrap_or_default(),
                    group.ip_permissions(),
                )
                .is_empty()
        }
        None => is_id(name) && saved.security_group_read_only,
    })
}

/// Returns the group with this name or ID.
pub(crate) fn known<'a>(found: &'a [SecurityGroup], name: &str) -> Option<&'a SecurityGroup> {
    found.iter().find(|group| {
        let field = if is_id(name) {
            group.group_id()
        } else {
            group.group_name()
        };
        field == Some(name)
    })
}

/// Adds the parameters to the call that creates a group.
pub(crate) fn create_call(
    Ec2 { api, saved, .. }: Ec2<'_>,
    name: &str,
    tags: &[Tag],
) -> CreateSecurityGroupFluentBuilder {
    api.ec2
        .create_security_group()
        .group_name(name)
        .description("Docker Machine")
        .vpc_id(&saved.vpc_id)
        .set_tag_specifications(tags::specifications(ResourceType::SecurityGroup, tags))
}

async fn create(
    ec2: Ec2<'_>,
    store_id: &str,
    name: &str,
) -> Result<(String, Vec<IpPermission>), DriverError> {
    let Ec2 { api, cx, saved } = ec2;
    cx.debug(format!(
        "creating the security group {name} in {}",
        saved.vpc_id
    ));
    let made = cx.step(
        "create security group",
        borrowed(api, "security-group", name),
        async {
            let create = |tags: Vec<Tag>| async move {
                api.call(cx, "CreateSecurityGroup", |probe| {
                    create_call(ec2, name, &tags)
                        .customize()
                        .interceptor(probe)
                        .send()
                })
                .await
            };
            let tags = tags::of_group(saved, store_id, name);
            let failed = match tags::with_fewer(tags, create).await {
                Ok(answer) => {
                    // arn:aws:ec2:REGION:ACCOUNT:security-group/ID
                    let arn = answer.security_group_arn.unwrap_or_default();
                    api.learn_account(arn.split(':').nth(4));
                    let id = answer.group_id.unwrap_or_default();
                    return Ok(Made::with_id((id.clone(), Vec::new()), id));
                }
                Err(error) => error,
            };
            if failed.code() != "InvalidGroup.Duplicate" && !failed.is_ambiguous() {
                return Err(StepFailure::NotMade(failed));
            }
            // Another create was faster, or the response was lost: the group exists now.
            let filters = vec![
                filter("group-name", [name.to_owned()]),
                filter("vpc-id", [saved.vpc_id.clone()]),
            ];
            match lookup::security_groups(api, cx, filters).await {
                Ok(groups) => match groups.into_iter().next() {
                    Some(group) => {
                        let id = group.group_id.unwrap_or_default();
                        Ok(Made::with_id(
                            (id.clone(), group.ip_permissions.unwrap_or_default()),
                            id,
                        ))
                    }
                    None => Err(StepFailure::Unknown(failed)),
                },
                Err(_) => Err(StepFailure::Unknown(failed)),
            }
        },
    );
    Ok(made.await?)
}

fn borrowed(api: &Api, kind: &str, key: &str) -> Intent {
    Intent {
        driver: crate::NAME.into(),
        kind: kind.into(),
        key: key.into(),
        ownership: Ownership::Borrowed,
        undo: UndoOrder::Reverse,
        scope: api.scope(),
        detail: serde_json::Value::Null,
    }
}

/// Returns the rules that are missing from a group.
pub(crate) fn closed(
    saved: &Saved,
    create_options: &CreateOptions,
    group: &str,
    rules: &[IpPermission],
) -> Vec<IpPermission> {
    let networks = networks(saved, create_options);
    ports(saved)
        .into_iter()
        .filter(|(port, protocol)| {
            !rules
                .iter()
                .any(|rule| covers(group, rule, *port, protocol))
        })
        .map(|(port, protocol)| permission(port, protocol, &networks))
        .collect()
}

/// Opens the ports that no rule covers yet, and returns the new rules.
async fn open(
    ec2: Ec2<'_>,
    create_options: &CreateOptions,
    group: &str,
    rules: &[IpPermission],
) -> Result<Vec<IpPermission>, DriverError> {
    let Ec2 { api, cx, saved } = ec2;
    let closed = closed(saved, create_options, group, rules);
    if closed.is_empty() {
        return Ok(closed);
    }
    if create_options.cidrs.is_empty() {
        cx.warn(format!(
            "({}) WARNING: the security group {group} is being opened to {}; \
             --amazonec2-security-group-cidr narrows it",
            saved.base.machine_name,
            networks(saved, create_options).join(" and ")
        ));
    }
    let opened = cx.step("open ports", borrowed(api, "security-group-rule", group), async {
        let answer = match authorize(ec2, group, &closed).await {
            Err(error) if error.code() == "InvalidPermission.Duplicate" && closed.len() > 1 => {
                one_by_one(ec2, group, &closed).await
            }
            answer => answer,
        };
        match answer {
            Ok(()) => Ok(Made::plain(())),
            Err(error) if error.code() == "InvalidPermission.Duplicate" => Ok(Made::plain(())),
            // If opening ports is denied, an administrator may open them elsewhere; the SSH login shows it.
            Err(error) if error.is_denied() => {
                cx.warn(format!(
                    "({}) cannot open ports in the security group {group}, going on without: {error}",
                    saved.base.machine_name
                ));
                Ok(Made::plain(()))
            }
            Err(error) if error.is_ambiguous() => Err(StepFailure::Unknown(error)),
            Err(error) => Err(StepFailure::NotMade(error)),
        }
    });
    opened.await?;
    Ok(closed)
}

/// Adds the rules one by one: one existing rule fails a call for several, and the others are not added.
async fn one_by_one(ec2: Ec2<'_>, group: &str, closed: &[IpPermission]) -> Result<(), CallError> {
    for permission in closed {
        match authorize(ec2, group, std::slice::from_ref(permission)).await {
            Err(error) if error.code() != "InvalidPermission.Duplicate" => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

async fn authorize(
    Ec2 { api, cx, .. }: Ec2<'_>,
    group: &str,
    permissions: &[IpPermission],
) -> Result<(), CallError> {
    api.call_until_known(cx, "AuthorizeSecurityGroupIngress", |probe| {
        api.ec2
            .authorize_security_group_ingress()
            .group_id(group)
            .set_ip_permissions(Some(permissions.to_vec()))
            .customize()
            .interceptor(probe)
            .send()
    })
    .await
    .map(|_| ())
}

pub(crate) fn ports(saved: &Saved) -> Vec<(i32, &str)> {
    let mut ports = vec![(i32::from(saved.base.ssh_port), "tcp")];
    if !saved.no_engine_port {
        ports.push((i32::from(DOCKER_PORT), "tcp"));
    }
    let swarm = swarm_port(saved).filter(|_| saved.base.swarm_master);
    let swarm = swarm.map(|port| (i32::from(port), "tcp"));
    let open = saved.open_ports.iter().flatten();
    // EC2 rejects a duplicate rule.
    for port in swarm
        .into_iter()
        .chain(open.filter_map(|text| port_and_protocol(text)))
    {
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports
}

/// Returns whether a group's rule opens a port to other sources than the group itself, which the manager is not in.
pub(crate) fn covers(group: &str, rule: &IpPermission, port: i32, protocol: &str) -> bool {
    let groups = rule.user_id_group_pairs();
    let from_itself_alone = rule.ip_ranges().is_empty()
        && rule.ipv6_ranges().is_empty()
        && rule.prefix_list_ids().is_empty()
        && groups.iter().all(|pair| pair.group_id() == Some(group));
    if from_itself_alone {
        return false;
    }
    match rule.ip_protocol() {
        Some("-1") => true,
        Some(own) if own == protocol => {
            let from = rule.from_port().unwrap_or(0);
            let to = rule.to_port().unwrap_or(65_535);
            (from..=to).contains(&port) || from == -1
        }
        _ => false,
    }
}

/// Returns the networks for which ports are opened. The default is the Go binary's, and its IPv6 equivalent if the
/// machine is reached only over IPv6.
fn networks(saved: &Saved, create_options: &CreateOptions) -> Vec<String> {
    match (create_options.cidrs.is_empty(), saved.ipv6_address_only) {
        (false, _) => create_options.cidrs.clone(),
        (true, false) => vec![EVERYWHERE.to_owned()],
        (true, true) => vec![EVERYWHERE.to_owned(), EVERYWHERE_V6.to_owned()],
    }
}

fn permission(port: i32, protocol: &str, cidrs: &[String]) -> IpPermission {
    let (v6, v4): (Vec<_>, Vec<_>) = cidrs.iter().partition(|cidr| cidr.contains(':'));
    let mut permission = IpPermission::builder()
        .ip_protocol(protocol)
        .from_port(port)
        .to_port(port);
    for cidr in v4 {
        permission = permission.ip_ranges(IpRange::builder().cidr_ip(cidr).build());
    }
    for cidr in v6 {
        permission = permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(cidr).build());
    }
    permission.build()
}

pub(crate) fn is_id(group: &str) -> bool {
    let hex = group.strip_prefix("sg-");
    hex.is_some_and(|hex| !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::UserIdGroupPair;

    use super::*;

    fn rule(protocol: &str, from: i32, to: i32) -> IpPermission {
        IpPermission::builder()
            .ip_protocol(protocol)
            .from_port(from)
            .to_port(to)
            .ip_ranges(IpRange::builder().cidr_ip("10.0.0.0/8").build())
            .build()
    }

    #[test]
    fn a_rule_that_covers_the_port_is_enough() {
        let covers = |rule| covers("sg-1", &rule, 22, "tcp");
        assert!(covers(rule("tcp", 0, 65_535)));
        assert!(covers(rule("-1", -1, -1)));
        assert!(!covers(rule("udp", 0, 65_535)));
        assert!(!covers(rule("tcp", 23, 65_535)));
    }

    #[test]
    fn a_rule_that_lets_in_the_group_itself_alone_opens_nothing() {
        let from = |groups: &[&str]| {
            let pairs = groups
                .iter()
                .map(|group| UserIdGroupPair::builder().group_id(*group).build());
            let rule = IpPermission::builder().ip_protocol("-1");
            rule.set_user_id_group_pairs(Some(pairs.collect())).build()
        };
        assert!(!covers("sg-1", &from(&["sg-1"]), 22, "tcp"));
        assert!(covers("sg-1", &from(&["sg-1", "sg-2"]), 22, "tcp"));
    }

    #[test]
    fn ids_are_told_from_names() {
        assert!(is_id("sg-0a1b2c3d"));
        assert!(!is_id("sg-") && !is_id("sg-workers") && !is_id("docker-machine"));
    }
}
