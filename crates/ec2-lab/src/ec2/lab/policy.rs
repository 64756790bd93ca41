//! Permissions: accounts by access key, and a small part of IAM.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::ec2::lab::iam::{self, Document};
use crate::ec2::protocol::arn::partition;
use crate::ec2::protocol::envelope::is_of_sts;
use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::query::{Params, wildcard};
use crate::ec2::resources::state::Region;

/// The state of an access key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Valid.
    Active,
    /// Expired temporary credentials: `RequestExpired`, from STS `ExpiredToken`.
    Expired,
    /// Deactivated: treated as unknown.
    Inactive,
}

/// A denial. Without further conditions it affects every access key.
#[derive(Debug, Clone, Deserialize)]
pub struct Denial {
    action: String,
    access_key: Option<String>,
    resource: Option<String>,
    tag_key: Option<String>,
    without_tag_key: Option<String>,
    unless: Option<(String, String)>,
}

impl Denial {
    /// Denies an action, `ec2:CreateTags` or `ec2:Describe*`.
    pub fn of(action: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            access_key: None,
            resource: None,
            tag_key: None,
            without_tag_key: None,
            unless: None,
        }
    }

    /// Restricts it to one access key.
    #[must_use]
    pub fn to_key(mut self, access_key: impl Into<String>) -> Self {
        self.access_key = Some(access_key.into());
        self
    }

    /// Restricts it to one type of resource, `volume`; for CreateTags on launch.
    #[must_use]
    pub fn on_resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// Restricts it to calls with a tag of that key; organizations restrict tag keys this way.
    #[must_use]
    pub fn with_tag_key(mut self, tag_key: impl Into<String>) -> Self {
        self.tag_key = Some(tag_key.into());
        self
    }

    /// Restricts it to calls that create a resource without a tag of that key: a `Null` condition on
    /// `aws:RequestTag/KEY`, with which organizations require tags (AWS Organizations User Guide, "Require a tag on
    /// specified created resources").
    #[must_use]
    pub fn without_tag_key(mut self, tag_key: impl Into<String>) -> Self {
        self.without_tag_key = Some(tag_key.into());
        self
    }

    /// Exempts calls that have a parameter with this value: `MetadataOptions.HttpTokens`, `required`, for a policy
    /// with `StringNotEquals` on `ec2:MetadataHttpTokens` (EC2 User Guide, "Example policies: work with instance
    /// metadata").
    #[must_use]
    pub fn unless(mut self, parameter: impl Into<String>, value: impl Into<String>) -> Self {
        self.unless = Some((parameter.into(), value.into()));
        self
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    pub(crate) keys: BTreeMap<String, KeyState>,
    pub(crate) denials: Vec<Denial>,
    /// The allowed actions by access key. A key without an entry may do everything.
    pub(crate) allowed: BTreeMap<String, Vec<String>>,
    /// The policy documents by access key, in addition to `allowed`.
    pub(crate) documents: BTreeMap<String, Document>,
}

/// One permission that a call needs.
struct Need<'a> {
    action: &'a str,
    resource: &'a str,
    tag_keys: Vec<&'a str>,
}

impl Policy {
    /// Rejects a call that the caller has no permission for.
    pub(crate) fn authorize(
        &self,
        (access_key, account, region): (&str, &str, &str),
        action: &str,
        params: &Params,
    ) -> Result<(), ApiError> {
        if action == "GetCallerIdentity" {
            return Ok(());
        }
        let service = if is_of_sts(action) { "sts" } else { "ec2" };
        let own_action = format!("{service}:{action}");
        let specs = params.structs("TagSpecification");
        let mut needs = Vec::new();
        for resource in created(action, params) {
            let given = specs.iter().filter(|spec| kind_of(spec) == resource);
            needs.push(Need {
                action: match (action, resource) {
                    ("CreateFleet", "instance" | "volume" | "network-interface") => {
                        "ec2:RunInstances"
                    }
                    _ => &own_action,
                },
                resource,
                tag_keys: given.flat_map(tag_keys).chain(tag_keys(params)).collect(),
            });
        }
        // EC2 User Guide, "Grant permission to tag Amazon EC2 resources during creation".
        for spec in &specs {
            needs.push(Need {
                action: "ec2:CreateTags",
                resource: kind_of(spec),
                tag_keys: tag_keys(spec),
            });
        }
        if params
            .below("IamInstanceProfile")
            .map()
            .values()
            .any(|v| !v.is_empty())
        {
            needs.push(Need {
                action: "iam:PassRole",
                resource: "role",
                tag_keys: Vec::new(),
            });
        }
        for need in needs {
            if let Some(why) = self.refuses(access_key, &need, params) {
                return Err(refusal(&need, why, account, region));
            }
        }
        Ok(())
    }

    /// Rejects a call that the caller's policy document does not allow on one of its resources.
    pub(crate) fn judge(
        &self,
        access_key: &str,
        action: &str,
        params: &Params,
        region: &Region,
    ) -> Result<(), ApiError> {
        let Some(document) = self.documents.get(access_key) else {
            return Ok(());
        };
        let mut all = iam::permissions(action, params, region).into_iter();
        let Some(missing) = all.find(|asked| !document.allows(asked)) else {
            return Ok(());
        };
        let need = Need {
            action: &missing.action,
            resource: &missing.resource,
            tag_keys: Vec::new(),
        };
        let why = format!(
            "because no identity-based policy allows the {} action.",
            missing.action
        );
        Err(refusal(&need, why, &region.account, &region.name))
    }

    /// Returns AWS's message for a missing permission.
    fn refuses(&self, access_key: &str, need: &Need<'_>, params: &Params) -> Option<String> {
        let is_tagged = |pattern: &String| need.tag_keys.iter().any(|key| wildcard(pattern, key));
        let has = |(name, value): &(String, String)| params.get(name) == Some(value);
        let denied = self.denials.iter().find(|d| {
            wildcard(&d.action, need.action)
                && d.access_key.as_deref().is_none_or(|k| k == access_key)
                && d.resource.as_deref().is_none_or(|r| r == need.resource)
                && d.tag_key.as_ref().is_none_or(is_tagged)
                && !d.without_tag_key.as_ref().is_some_and(is_tagged)
                && !d.unless.as_ref().is_some_and(has)
        });
        // As reported in github.com/aws/karpenter-provider-aws/issues/7370 and 5270.
        if denied.is_some_and(|d| d.without_tag_key.is_some() || d.unless.is_some()) {
            return Some("with an explicit deny in a service control policy.".to_owned());
        }
        let allowed = self.allowed.get(access_key);
        let is_allowed = allowed.is_none_or(|all| all.iter().any(|a| wildcard(a, need.action)));
        (denied.is_some() || !is_allowed).then(|| {
            let action = need.action;
            format!("because no identity-based policy allows the {action} action.")
        })
    }
}

fn kind_of(spec: &Params) -> &str {
    spec.get("ResourceType").unwrap_or("instance")
}

fn tag_keys(params: &Params) -> Vec<&str> {
    let tags = params.map().iter();
    tags.filter(|(name, _)| name.starts_with("Tag.") && name.ends_with(".Key"))
        .map(|(_, value)| value.as_str())
        .collect()
}

/// Returns the resource types on which a call is authorized: those that it creates, with their tags as conditions
/// (Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2"), or the type that it
/// operates on.
fn created(action: &str, params: &Params) -> Vec<&'static str> {
    let launched = ["instance", "volume", "network-interface"];
    match action {
        "RunInstances" => {
            let is_spot = params.get("InstanceMarketOptions.MarketType") == Some("spot");
            let request = is_spot.then_some("spot-instances-request");
            launched.into_iter().chain(request).collect()
        }
        "CreateFleet" => ["fleet"].into_iter().chain(launched).collect(),
        "ImportKeyPair" | "CreateKeyPair" | "DeleteKeyPair" => vec!["key-pair"],
        "CreateSecurityGroup" | "AuthorizeSecurityGroupIngress" => vec!["security-group"],
        "CancelSpotInstanceRequests" => vec!["spot-instances-request"],
        _ => vec!["instance"],
    }
}

fn refusal(need: &Need<'_>, why: String, account: &str, region: &str) -> ApiError {
    let aws = partition(region);
    let (action, resource) = (need.action, need.resource);
    let on = if action.starts_with("iam:") {
        format!("arn:{aws}:iam::{account}:role/lab")
    } else {
        format!("arn:{aws}:ec2:{region}:{account}:{resource}/*")
    };
    // A placeholder for the blob that sts:DecodeAuthorizationMessage decodes.
    let encoded = URL_SAFE_NO_PAD.encode(format!("{action} on {on} is not allowed").repeat(6));
    ApiError::new(
        "UnauthorizedOperation",
        format!(
            "You are not authorized to perform this operation. User: arn:{aws}:iam::{account}:user/lab is not authorized to perform: {action} on resource: {on} {why} Encoded authorization failure message: {encoded}"
        ),
    )
}
