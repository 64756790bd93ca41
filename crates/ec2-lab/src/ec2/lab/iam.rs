//! IAM policies as the lab reads them: statements that allow, with conditions on tags.
//!
//! Sources: IAM User Guide, "IAM JSON policy elements"; Service Authorization Reference, "Actions, resources, and
//! condition keys for Amazon EC2"; EC2 User Guide, "Grant permission to tag Amazon EC2 resources during creation";
//! Karpenter's policy, which allows CreateFleet and RunInstances by tags (karpenter.sh/docs/reference/cloudformation).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::ec2::protocol::envelope::is_of_sts;
use crate::ec2::protocol::query::{Params, wildcard};
use crate::ec2::resources::state::Region;

/// A policy document.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Document {
    statement: Vec<Statement>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Sid")]
    _sid: String,
    effect: Effect,
    action: Vec<String>,
    resource: Vec<String>,
    #[serde(default)]
    condition: Condition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
}

/// The conditions that the lab can judge; others are refused when the document is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
struct Condition {
    /// Whether a key is absent from the request.
    null: BTreeMap<String, String>,
    string_equals: BTreeMap<String, Vec<String>>,
}

/// One permission that a call needs.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) action: String,
    /// The type of the resource; empty for an action without one.
    pub(crate) resource: String,
    /// The condition keys of the request, with their values.
    keys: BTreeMap<String, String>,
}

impl Document {
    pub(crate) fn allows(&self, asked: &Asked) -> bool {
        self.statement
            .iter()
            .any(|statement| statement.allows(asked))
    }
}

impl Statement {
    fn allows(&self, asked: &Asked) -> bool {
        // arn:PARTITION:ec2:REGION:ACCOUNT:TYPE/ID
        let kind = |arn: &str| {
            arn.split(':')
                .nth(5)
                .and_then(|r| r.split('/').next().map(str::to_owned))
        };
        let is_on = |arn: &String| {
            arn == "*" || kind(arn).is_some_and(|kind| wildcard(&kind, &asked.resource))
        };
        let null = self.condition.null.iter();
        let equals = self.condition.string_equals.iter();
        self.effect == Effect::Allow
            && self
                .action
                .iter()
                .any(|action| wildcard(action, &asked.action))
            && self.resource.iter().any(is_on)
            && null
                .map(|(key, is_null)| (asked.keys.contains_key(key), is_null == "true"))
                .all(|(is_there, is_null)| is_there != is_null)
            && equals
                .map(|(key, values)| (asked.keys.get(key), values))
                .all(|(value, values)| value.is_some_and(|value| values.contains(value)))
    }
}

/// Lists the permissions that a call needs.
pub(crate) fn permissions(action: &str, params: &Params, region: &Region) -> Vec<Asked> {
    if action == "GetCallerIdentity" {
        // It requires no permission.
        return Vec::new();
    }
    let service = if is_of_sts(action) { "sts" } else { "ec2" };
    let own = format!("{service}:{action}");
    let specs = params.structs("TagSpecification");
    let mut all = Vec::new();
    for resource in created(action, params) {
        let given = specs
            .iter()
            .filter(|s| s.get("ResourceType") == Some(resource));
        let keys: BTreeMap<String, String> = given.flat_map(request_tags).collect();
        // A fleet launches with the permissions of its caller.
        let launch = (action == "CreateFleet" && resource != "fleet").then_some("ec2:RunInstances");
        for action in [own.as_str()].into_iter().chain(launch) {
            all.push(Asked {
                action: action.to_owned(),
                resource: resource.to_owned(),
                keys: keys.clone(),
            });
        }
    }
    for spec in &specs {
        let create_action = ("ec2:CreateAction".to_owned(), action.to_owned());
        all.push(Asked {
            action: "ec2:CreateTags".to_owned(),
            resource: spec.get("ResourceType").unwrap_or("instance").to_owned(),
            keys: request_tags(spec).chain([create_action]).collect(),
        });
    }
    for (resource, ids) in used(action, params, region) {
        for id in ids {
            let tags = region.tags.get(&id).into_iter().flatten();
            let tags = tags.map(|(key, value)| (format!("aws:ResourceTag/{key}"), value.clone()));
            all.push(Asked {
                action: own.clone(),
                resource: resource.to_owned(),
                keys: tags.chain(request_tags(params)).collect(),
            });
        }
    }
    if all.is_empty() {
        all.push(Asked {
            action: own,
            resource: String::new(),
            keys: BTreeMap::new(),
        });
    }
    all
}

fn request_tags(params: &Params) -> impl Iterator<Item = (String, String)> {
    let tags = params.structs("Tag").into_iter();
    tags.filter_map(|tag| {
        let value = tag.get("Value").unwrap_or_default().to_owned();
        Some((format!("aws:RequestTag/{}", tag.get("Key")?), value))
    })
}

/// The types of resources that a call creates.
fn created(action: &str, params: &Params) -> Vec<&'static str> {
    let launched = ["instance", "network-interface", "volume"];
    match action {
        "RunInstances" => {
            let is_spot = params.get("InstanceMarketOptions.MarketType") == Some("spot");
            let request = is_spot.then_some("spot-instances-request");
            launched.into_iter().chain(request).collect()
        }
        "CreateFleet" => {
            let target = params.get("TargetCapacitySpecification.DefaultTargetCapacityType");
            let request = (target == Some("spot")).then_some("spot-instances-request");
            launched
                .into_iter()
                .chain(["fleet"])
                .chain(request)
                .collect()
        }
        "ImportKeyPair" => vec!["key-pair"],
        "CreateSecurityGroup" => vec!["security-group"],
        "CreateLaunchTemplate" => vec!["launch-template"],
        _ => Vec::new(),
    }
}

/// The existing resources that a call uses or changes, by type.
fn used(action: &str, params: &Params, region: &Region) -> Vec<(&'static str, Vec<String>)> {
    let list = |name: &str| params.list(name).into_iter().map(str::to_owned).collect();
    let one = |name: &str| params.text(name).into_iter().collect::<Vec<String>>();
    let key_id = |name: &String| {
        region
            .keys
            .get(name)
            .map_or_else(String::new, |pair| pair.id.clone())
    };
    match action {
        "RunInstances" => {
            let interface = params.below("NetworkInterface.1");
            let groups = interface.list("SecurityGroupId").into_iter();
            vec![
                ("image", one("ImageId")),
                ("key-pair", one("KeyName").iter().map(key_id).collect()),
                ("subnet", interface.text("SubnetId").into_iter().collect()),
                ("security-group", groups.map(str::to_owned).collect()),
            ]
        }
        "CreateFleet" => vec![("launch-template", vec![String::new()])],
        "CreateSecurityGroup" => vec![("vpc", one("VpcId"))],
        "AuthorizeSecurityGroupIngress" => vec![("security-group", one("GroupId"))],
        "StartInstances" | "StopInstances" | "RebootInstances" | "TerminateInstances"
        | "GetConsoleOutput" => {
            let mut ids: Vec<String> = list("InstanceId");
            ids.extend(one("InstanceId"));
            vec![("instance", ids)]
        }
        "DeleteKeyPair" => {
            let named = one("KeyName").iter().map(key_id).collect::<Vec<_>>();
            vec![(
                "key-pair",
                named.into_iter().chain(one("KeyPairId")).collect(),
            )]
        }
        "DeleteVolume" => vec![("volume", one("VolumeId"))],
        "CancelSpotInstanceRequests" => {
            vec![("spot-instances-request", list("SpotInstanceRequestId"))]
        }
        "CreateTags" => {
            let ids: Vec<String> = list("ResourceId");
            let kind = |id: &String| match id.split('-').next() {
                Some("vol") => "volume",
                Some("eni") => "network-interface",
                Some("sir") => "spot-instances-request",
                _ => "instance",
            };
            ids.into_iter().map(|id| (kind(&id), vec![id])).collect()
        }
        _ => Vec::new(),
    }
}
