//! Security groups. No packets are filtered: clients only read the rules back.

use crate::ec2::faults::consistency::Kind;
use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::filters::{Filters, IdKind, page};
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::xml::Xml;
use crate::ec2::resources::rules::{self, Rule, Source};
use crate::ec2::resources::state::{Cx, tag_set};
use crate::ec2::resources::tags;
use crate::ec2::resources::vpc::VPC;

pub(crate) const GROUP: IdKind = IdKind {
    prefix: "sg-",
    code: "InvalidGroup",
    noun: "security group",
};

/// EC2's default quota of inbound rules per group.
const MAX_RULES: usize = 60;

/// A security group.
#[derive(Debug, Clone)]
pub struct SecurityGroup {
    /// `sg-…`.
    pub id: String,
    /// Unique within its VPC.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Its VPC.
    pub vpc: String,
    /// Its ingress rules.
    pub ingress: Vec<Rule>,
}

pub(crate) fn create(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let name = params.need("GroupName")?;
    let description = params.need("GroupDescription")?;
    if name.len() > 255 || name.starts_with("sg-") {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!(
                "Value ({name}) for parameter GroupName is invalid. Group names may not be in the format sg-*."
            ),
        ));
    }
    // EC2 API Reference, "Error codes".
    if name == "default" {
        return Err(ApiError::new(
            "InvalidGroup.Reserved",
            "The security group 'default' is reserved",
        ));
    }
    let vpc = match params.get("VpcId") {
        Some(id) => {
            VPC.check([id], |id| cx.region.vpcs.contains_key(id))?;
            id.to_owned()
        }
        None => cx
            .region
            .vpcs
            .values()
            .find(|v| v.default)
            .map(|v| v.id.clone())
            .ok_or_else(|| ApiError::new("VPCIdNotSpecified", "No default VPC for this user"))?,
    };
    if cx
        .region
        .groups
        .values()
        .any(|g| g.vpc == vpc && g.name == name)
    {
        return Err(ApiError::new(
            "InvalidGroup.Duplicate",
            format!("The security group '{name}' already exists for VPC '{vpc}'"),
        ));
    }
    let tags = tags::of_new(params, "security-group", &["security-group"])?;
    tags::dry_run(params)?;
    let id = cx.shared.ids.id("sg-");
    let group = SecurityGroup {
        id: id.clone(),
        name: name.to_owned(),
        description: description.to_owned(),
        vpc,
        ingress: Vec::new(),
    };
    cx.region.groups.insert(id.clone(), group);
    cx.born(Kind::SecurityGroup, &id);
    cx.tag_new(&id, tags.clone());
    let mut xml = Xml::new();
    xml.leaf("groupId", &id);
    xml.leaf("securityGroupArn", cx.region.arn("security-group", &id));
    tag_set(&mut xml, &tags);
    Ok(xml)
}

/// Returns the id of the group that a call names by `GroupId`, or by `GroupName` in the default VPC.
fn named(cx: &Cx<'_>, params: &Params) -> Result<String, ApiError> {
    if let Some(id) = params.get("GroupId") {
        GROUP.check([id], |id| {
            cx.region.groups.contains_key(id) && cx.sees(Kind::SecurityGroup, id)
        })?;
        return Ok(id.to_owned());
    }
    let name = params
        .get("GroupName")
        .ok_or_else(|| ApiError::missing("groupName or groupId"))?;
    let vpc = cx.region.vpcs.values().find(|v| v.default);
    cx.region
        .groups
        .values()
        .find(|g| g.name == name && vpc.is_some_and(|v| v.id == g.vpc))
        .filter(|g| cx.sees(Kind::SecurityGroup, &g.id))
        .map(|g| g.id.clone())
        .ok_or_else(|| GROUP.not_found(&[name]))
}

pub(crate) fn authorize_ingress(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let id = named(cx, params)?;
    let rules = rules::read(params)?;
    tags::dry_run(params)?;
    let Some(group) = cx.region.groups.get_mut(&id) else {
        return Err(GROUP.not_found(&[&id]));
    };
    if let Some(rule) = rules.iter().find(|r| group.ingress.contains(r)) {
        return Err(ApiError::new(
            "InvalidPermission.Duplicate",
            format!(
                "the specified rule \"peer: {}, {}, from port: {}, to port: {}, ALLOW\" already exists",
                rule.source.text(),
                rule.protocol.to_uppercase(),
                rule.from,
                rule.to
            ),
        ));
    }
    if group.ingress.len() + rules.len() > MAX_RULES {
        return Err(ApiError::new(
            "RulesPerSecurityGroupLimitExceeded",
            "The maximum number of rules per security group has been reached.",
        ));
    }
    group.ingress.extend(rules.iter().cloned());
    let mut xml = Xml::done();
    xml.list("securityGroupRuleSet", &rules, |xml, rule| {
        xml.leaf("securityGroupRuleId", cx.shared.ids.id("sgr-"));
        xml.leaf("groupId", &id);
        xml.leaf("groupOwnerId", &cx.region.account);
        xml.leaf("isEgress", false);
        xml.leaf("ipProtocol", &rule.protocol);
        xml.leaf("fromPort", rule.from);
        xml.leaf("toPort", rule.to);
        match &rule.source {
            Source::Ipv4(cidr) => xml.leaf("cidrIpv4", cidr),
            Source::Ipv6(cidr) => xml.leaf("cidrIpv6", cidr),
            Source::PrefixList(id) => xml.leaf("prefixListId", id),
            Source::Group(id) => xml.node("referencedGroupInfo", |xml| xml.leaf("groupId", id)),
        }
    });
    Ok(xml)
}

pub(crate) fn describe(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let known = [
        "group-id",
        "group-name",
        "vpc-id",
        "description",
        "owner-id",
        "ip-permission.cidr",
        "ip-permission.from-port",
        "ip-permission.to-port",
        "ip-permission.protocol",
    ];
    let filters = Filters::parse(params, &known)?;
    let (ids, names) = (params.list("GroupId"), params.list("GroupName"));
    let seen = |g: &SecurityGroup| cx.sees(Kind::SecurityGroup, &g.id);
    GROUP.check(ids.iter().copied(), |id| {
        cx.region.groups.get(id).is_some_and(seen)
    })?;
    let by_name = |name: &str| cx.region.groups.values().any(|g| g.name == name && seen(g));
    if let Some(unknown) = names.iter().find(|n| !by_name(n)) {
        return Err(GROUP.not_found(&[unknown]));
    }
    let found: Vec<&SecurityGroup> = cx
        .region
        .groups
        .values()
        .filter(|g| ids.is_empty() || ids.contains(&g.id.as_str()))
        .filter(|g| names.is_empty() || names.contains(&g.name.as_str()))
        .filter(|g| {
            filters.pass(&cx.tags(&g.id), |name| {
                field(cx.region.owner(&g.id), g, name)
            })
        })
        .filter(|g| seen(g))
        .collect();
    let (found, next) = page(params, found, |g| g.id.as_str())?;
    let mut xml = Xml::new();
    xml.list("securityGroupInfo", found, |xml, g| {
        xml.leaf("ownerId", cx.region.owner(&g.id));
        xml.leaf("groupId", &g.id);
        xml.leaf("groupName", &g.name);
        xml.leaf("groupDescription", &g.description);
        xml.leaf("vpcId", &g.vpc);
        xml.leaf("securityGroupArn", cx.region.arn("security-group", &g.id));
        rules::permissions(xml, &cx.region.account, &g.ingress);
        xml.list("ipPermissionsEgress", [()], |xml, ()| {
            xml.leaf("ipProtocol", "-1");
            xml.list("groups", Vec::<()>::new(), |_, ()| ());
            xml.list("ipRanges", ["0.0.0.0/0"], |xml, c| xml.leaf("cidrIp", c));
            xml.list("ipv6Ranges", Vec::<()>::new(), |_, ()| ());
            xml.list("prefixListIds", Vec::<()>::new(), |_, ()| ());
        });
        tag_set(xml, &cx.tags(&g.id));
    });
    xml.leaf_if("nextToken", next);
    Ok(xml)
}

fn field(account: &str, g: &SecurityGroup, name: &str) -> Vec<String> {
    match name {
        "group-id" => vec![g.id.clone()],
        "group-name" => vec![g.name.clone()],
        "vpc-id" => vec![g.vpc.clone()],
        "description" => vec![g.description.clone()],
        "owner-id" => vec![account.to_owned()],
        rule => g
            .ingress
            .iter()
            .map(|r| match rule {
                "ip-permission.from-port" => r.from.to_string(),
                "ip-permission.to-port" => r.to.to_string(),
                "ip-permission.protocol" => r.protocol.clone(),
                _ => r.source.text().to_owned(),
            })
            .collect(),
    }
}

/// DeleteSecurityGroup: rejects a group that an instance uses.
pub(crate) fn delete(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let id = named(cx, params)?;
    let used = |i: &&crate::ec2::resources::instances::Instance| {
        !i.state.is_ending() && i.groups.contains(&id)
    };
    if cx.region.instances.values().find(used).is_some() {
        return Err(ApiError::new(
            "DependencyViolation",
            format!("resource {id} has a dependent object"),
        ));
    }
    tags::dry_run(params)?;
    cx.region.groups.remove(&id);
    cx.region.tags.remove(&id);
    let mut xml = Xml::done();
    xml.leaf("groupId", &id);
    Ok(xml)
}
