//! Tags of all resources with an id: at creation by `TagSpecification`, later by CreateTags.

use crate::ec2::faults::consistency::Kind;
use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::filters::{Filters, IdKind, page};
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::xml::Xml;
use crate::ec2::resources::state::{Cx, Region, Tags};

/// EC2's limit of tags on a resource.
const MAX_TAGS: usize = 50;

/// The resources that can be tagged: the prefix of their ids, their name in answers, their name in errors.
const KINDS: [(&str, &str, &str); 10] = [
    ("i-", "instance", "InvalidInstanceID"),
    ("vol-", "volume", "InvalidVolume"),
    ("eni-", "network-interface", "InvalidNetworkInterfaceID"),
    ("sg-", "security-group", "InvalidGroup"),
    ("key-", "key-pair", "InvalidKeyPair"),
    (
        "sir-",
        "spot-instances-request",
        "InvalidSpotInstanceRequestID",
    ),
    ("vpc-", "vpc", "InvalidVpcID"),
    ("subnet-", "subnet", "InvalidSubnetID"),
    ("lt-", "launch-template", "InvalidLaunchTemplateId"),
    ("ami-", "image", "InvalidAMIID"),
];

/// Ends a call that requested only a check: all checks come before it.
pub(crate) fn dry_run(params: &Params) -> Result<(), ApiError> {
    if params.flag("DryRun")? == Some(true) {
        return Err(ApiError::new(
            "DryRunOperation",
            "Request would have succeeded, but DryRun flag is set.",
        ));
    }
    Ok(())
}

/// Returns the tags that a creating call gives to one type of resource, among those that it can tag. The error
/// message is reported in github.com/aws/aws-sdk-go/issues/1815 and github.com/aws/aws-sdk-ruby/issues/1718.
pub(crate) fn of_new(params: &Params, resource: &str, taggable: &[&str]) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for spec in params.structs("TagSpecification") {
        let kind = spec.need("ResourceType")?;
        if !taggable.contains(&kind) {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("'{kind}' is not a valid taggable resource type for this operation."),
            ));
        }
        let new = read(&spec)?;
        if kind == resource {
            tags.extend(new);
        }
    }
    check_count(&tags)?;
    Ok(tags)
}

/// Parses `Tag.N.Key` and `Tag.N.Value`.
fn read(params: &Params) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for tag in params.structs("Tag") {
        let key = tag.need("Key")?;
        let value = tag.get("Value").unwrap_or_default();
        if key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("Tag key or value exceeds the maximum length: {key}"),
            ));
        }
        if key.starts_with("aws:") {
            return Err(ApiError::new(
                "InvalidParameterValue",
                // Reported in github.com/jcjorel/ec2-spot-converter/issues/13.
                "Tag keys starting with 'aws:' are reserved for internal use",
            ));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("Duplicate tag key '{key}' specified."),
            ));
        }
    }
    Ok(tags)
}

fn check_count(tags: &Tags) -> Result<(), ApiError> {
    if tags.keys().filter(|k| !k.starts_with("aws:")).count() > MAX_TAGS {
        return Err(ApiError::new(
            "TagLimitExceeded",
            format!("More than {MAX_TAGS} tags specified"),
        ));
    }
    Ok(())
}

fn exists(region: &Region, id: &str) -> bool {
    region.instances.contains_key(id)
        || region.volumes.contains_key(id)
        || region.interfaces.contains_key(id)
        || region.groups.contains_key(id)
        || region.keys.values().any(|k| k.id == id)
        || region.spot_requests.contains_key(id)
        || region.vpcs.contains_key(id)
        || region.subnets.contains_key(id)
        || region.templates.contains_key(id)
        || region.images.contains_key(id)
}

fn resources(cx: &Cx<'_>, params: &Params) -> Result<Vec<String>, ApiError> {
    let ids = params.list("ResourceId");
    if ids.is_empty() {
        return Err(ApiError::missing("resourceIdSet"));
    }
    for id in &ids {
        let Some((_, name, code)) = KINDS.iter().find(|(prefix, _, _)| id.starts_with(prefix))
        else {
            return Err(ApiError::new(
                "InvalidID",
                format!("The ID '{id}' is not valid"),
            ));
        };
        let seen = match *name {
            "instance" => cx.sees(Kind::Instance, id),
            "security-group" => cx.sees(Kind::SecurityGroup, id),
            _ => true,
        };
        if !seen || !exists(cx.region, id) {
            let kind = IdKind {
                prefix: "",
                code,
                noun: "ID",
            };
            return Err(kind.not_found(&[id]));
        }
    }
    Ok(ids.into_iter().map(str::to_owned).collect())
}

pub(crate) fn create(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let ids = resources(cx, params)?;
    let new = read(params)?;
    if new.is_empty() {
        return Err(ApiError::missing("tagSet"));
    }
    let merged: Vec<(String, Tags)> = ids
        .into_iter()
        .map(|id| {
            let mut tags = cx.region.tags.get(&id).cloned().unwrap_or_default();
            tags.extend(new.clone());
            (id, tags)
        })
        .collect();
    for (_, tags) in &merged {
        check_count(tags)?;
    }
    dry_run(params)?;
    for (id, tags) in merged {
        cx.tag_new(&id, tags);
    }
    Ok(Xml::done())
}

pub(crate) fn delete(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let ids = resources(cx, params)?;
    dry_run(params)?;
    let doomed = params.structs("Tag");
    for id in ids {
        let Some(tags) = cx.region.tags.get_mut(&id) else {
            continue;
        };
        if doomed.is_empty() {
            tags.retain(|key, _| key.starts_with("aws:"));
        }
        for tag in &doomed {
            let key = tag.need("Key")?;
            // A value, even an empty one, restricts the deletion to tags with that value.
            let value = tag.map().get("Value");
            if tags.get(key).is_some_and(|v| value.is_none_or(|w| w == v)) {
                tags.remove(key);
            }
        }
    }
    Ok(Xml::done())
}

pub(crate) fn describe(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let filters = Filters::parse(params, &["key", "resource-id", "resource-type", "value"])?;
    let mut found: Vec<(String, String, &str, String, String)> = Vec::new();
    for id in cx.region.tags.keys() {
        let kind = KINDS.iter().find(|(prefix, _, _)| id.starts_with(prefix));
        let kind = kind.map_or("fleet", |(_, name, _)| name);
        for (key, value) in cx.tags(id) {
            let one = Tags::from([(key.clone(), value.clone())]);
            let passes = filters.pass(&one, |name| {
                vec![match name {
                    "key" => key.clone(),
                    "resource-id" => id.clone(),
                    "resource-type" => kind.to_owned(),
                    _ => value.clone(),
                }]
            });
            if passes {
                found.push((format!("{id} {key}"), id.clone(), kind, key, value));
            }
        }
    }
    let (found, next) = page(params, found, |t| t.0.as_str())?;
    let mut xml = Xml::new();
    xml.list("tagSet", found, |xml, (_, id, kind, key, value)| {
        xml.leaf("resourceId", id);
        xml.leaf("resourceType", kind);
        xml.leaf("key", key);
        xml.leaf("value", value);
    });
    xml.leaf_if("nextToken", next);
    Ok(xml)
}
