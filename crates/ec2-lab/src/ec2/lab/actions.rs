//! The table of actions.

use crate::ec2::faults::throttle::Class;
use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::xml::Xml;
use crate::ec2::resources::state::Cx;
use crate::ec2::resources::{
    describe_instances, fleet, groups, images, interfaces, keys, launch, power, spot, tags,
    templates, types, volumes, vpc,
};

type Handler = fn(&mut Cx<'_>, &Params) -> Result<Xml, ApiError>;

/// A supported action.
pub(crate) struct Action {
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    pub(crate) handler: Handler,
}

const fn action(name: &'static str, class: Class, handler: Handler) -> Action {
    Action {
        name,
        class,
        handler,
    }
}

/// A placeholder for a host without output: GetConsoleOutput is called separately, because it asks the host first.
fn silent_console(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    power::console(cx, params, "")
}

const ACTIONS: [Action; 40] = [
    action(
        "AssociateIamInstanceProfile",
        Class::Mutating,
        power::associate_profile,
    ),
    action(
        "AuthorizeSecurityGroupIngress",
        Class::Mutating,
        groups::authorize_ingress,
    ),
    action("CancelSpotInstanceRequests", Class::Mutating, spot::cancel),
    action("CreateFleet", Class::Mutating, fleet::create),
    action("CreateKeyPair", Class::Mutating, keys::create),
    action("CreateLaunchTemplate", Class::Mutating, templates::create),
    action("CreateSecurityGroup", Class::Mutating, groups::create),
    action("CreateTags", Class::Mutating, tags::create),
    action("DeleteKeyPair", Class::Mutating, keys::delete),
    action("DeleteLaunchTemplate", Class::Mutating, templates::delete),
    action("DeleteSecurityGroup", Class::Mutating, groups::delete),
    action("DeleteTags", Class::Mutating, tags::delete),
    action("DeleteVolume", Class::Mutating, volumes::delete),
    action(
        "DescribeAccountAttributes",
        Class::Describe,
        vpc::account_attributes,
    ),
    action(
        "DescribeAvailabilityZones",
        Class::Describe,
        vpc::describe_zones,
    ),
    action("DescribeFleets", Class::Describe, fleet::describe),
    action("DescribeImages", Class::Describe, images::describe),
    action("DescribeInstanceStatus", Class::Describe, power::status),
    action("DescribeInstanceTypes", Class::Describe, types::describe),
    action(
        "DescribeInstances",
        Class::Describe,
        describe_instances::describe,
    ),
    action("DescribeKeyPairs", Class::Describe, keys::describe),
    action(
        "DescribeLaunchTemplates",
        Class::Describe,
        templates::describe,
    ),
    action(
        "DescribeLaunchTemplateVersions",
        Class::Describe,
        templates::describe_versions,
    ),
    action(
        "DescribeNetworkInterfaces",
        Class::Describe,
        interfaces::describe,
    ),
    action("DescribeRegions", Class::Describe, vpc::describe_regions),
    action("DescribeSecurityGroups", Class::Describe, groups::describe),
    action(
        "DescribeSpotInstanceRequests",
        Class::Describe,
        spot::describe,
    ),
    action("DescribeSubnets", Class::Describe, vpc::describe_subnets),
    action("DescribeTags", Class::Describe, tags::describe),
    action("DescribeVolumes", Class::Describe, volumes::describe),
    action("DescribeVpcs", Class::Describe, vpc::describe_vpcs),
    action("GetAccessKeyInfo", Class::Free, access_key_info),
    action("GetCallerIdentity", Class::Free, caller_identity),
    action("GetConsoleOutput", Class::Describe, silent_console),
    action("ImportKeyPair", Class::Mutating, keys::import),
    action("RebootInstances", Class::Mutating, power::reboot),
    action("RunInstances", Class::Launch, launch::run),
    action("StartInstances", Class::Launch, power::start),
    action("StopInstances", Class::Mutating, power::stop),
    action("TerminateInstances", Class::Mutating, power::terminate),
];

/// Looks an action up.
pub(crate) fn find(name: &str) -> Option<&'static Action> {
    ACTIONS.iter().find(|a| a.name == name)
}

fn caller_identity(cx: &mut Cx<'_>, _params: &Params) -> Result<Xml, ApiError> {
    let aws = crate::ec2::protocol::arn::partition(&cx.region.name);
    let mut xml = Xml::new();
    xml.leaf(
        "Arn",
        format!("arn:{aws}:iam::{}:user/lab", cx.region.account),
    );
    xml.leaf("UserId", cx.access_key);
    xml.leaf("Account", &cx.region.account);
    Ok(xml)
}

fn access_key_info(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let key = params.get("AccessKeyId").unwrap_or_default();
    let account = cx.shared.config.access_keys.get(key);
    let account = account
        .ok_or_else(|| ApiError::new("ValidationError", "The access key id is not valid."))?;
    let mut xml = Xml::new();
    xml.leaf("Account", account);
    Ok(xml)
}
