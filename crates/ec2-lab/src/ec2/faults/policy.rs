//! Who may do what: accounts by access key, and a small part of IAM.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::ec2::lab::config::partition;
use crate::ec2::protocol::actions::is_of_sts;
use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::query::{Params, wildcard};

/// What EC2 makes of an access key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Good.
    Active,
    /// Temporary credentials whose time is over: `RequestExpired`, from STS `ExpiredToken`.
    Expired,
    /// Deactivated: as if unknown.
    Inactive,
}

/// A denial. Without further conditions it meets every access key.
#[derive(Debug, Clone, Deserialize)]
pub struct Denial {
    action: String,
    access_key: Option<String>,
    resource: Option<String>,
    tag_key: Option<String>,
}

impl Denial {
    /// Denies an action, `ec2:CreateTags` or `ec2:Describe*`.
    pub fn of(action: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            access_key: None,
            resource: None,
            tag_key: None,
        }
    }

    /// Only to one access key.
    #[must_use]
    pub fn to_key(mut self, access_key: impl Into<String>) -> Self {
        self.access_key = Some(access_key.into());
        self
    }

    /// Only for one type of resource, `volume`; for CreateTags on launch.
    #[must_use]
    pub fn on_resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// Only where a tag with such a key is given, as organisations restrict them.
    #[must_use]
    pub fn with_tag_key(mut self, tag_key: impl Into<String>) -> Self {
        self.tag_key = Some(tag_key.into());
        self
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    pub(crate) keys: BTreeMap<String, KeyState>,
    pub(crate) denials: Vec<Denial>,
    /// By access key: all that it may do. Without an entry it may do everything.
    pub(crate) allowed: BTreeMap<String, Vec<String>>,
}

/// One permission that a call needs.
struct Need<'a> {
    action: &'a str,
    resource: &'a str,
    tag_keys: Vec<&'a str>,
}

impl Policy {
    /// Refuses what the caller may not do.
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
        let mut needs = vec![Need {
            action: &own_action,
            resource: resource_of(action),
            tag_keys: tag_keys(params),
        }];
        if action == "CreateFleet" {
            needs.push(Need {
                action: "ec2:RunInstances",
                resource: "instance",
                tag_keys: Vec::new(),
            });
        }
        let specs = params.structs("TagSpecification");
        for spec in &specs {
            needs.push(Need {
                action: "ec2:CreateTags",
                resource: spec.get("ResourceType").unwrap_or("instance"),
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
            if !self.permits(access_key, &need) {
                return Err(refusal(&need, account, region));
            }
        }
        Ok(())
    }

    fn permits(&self, access_key: &str, need: &Need<'_>) -> bool {
        let denied = self.denials.iter().any(|d| {
            wildcard(&d.action, need.action)
                && d.access_key.as_deref().is_none_or(|k| k == access_key)
                && d.resource.as_deref().is_none_or(|r| r == need.resource)
                && d.tag_key
                    .as_deref()
                    .is_none_or(|t| need.tag_keys.iter().any(|k| wildcard(t, k)))
        });
        let allowed = self.allowed.get(access_key);
        !denied && allowed.is_none_or(|all| all.iter().any(|a| wildcard(a, need.action)))
    }
}

fn tag_keys(params: &Params) -> Vec<&str> {
    let tags = params.map().iter();
    tags.filter(|(name, _)| name.starts_with("Tag.") && name.ends_with(".Key"))
        .map(|(_, value)| value.as_str())
        .collect()
}

fn resource_of(action: &str) -> &'static str {
    match action {
        "ImportKeyPair" | "CreateKeyPair" | "DeleteKeyPair" => "key-pair",
        "CreateSecurityGroup" | "AuthorizeSecurityGroupIngress" => "security-group",
        "CreateFleet" => "fleet",
        "CancelSpotInstanceRequests" => "spot-instances-request",
        _ => "instance",
    }
}

fn refusal(need: &Need<'_>, account: &str, region: &str) -> ApiError {
    let aws = partition(region);
    let (action, resource) = (need.action, need.resource);
    let on = if action.starts_with("iam:") {
        format!("arn:{aws}:iam::{account}:role/lab")
    } else {
        format!("arn:{aws}:ec2:{region}:{account}:{resource}/*")
    };
    // Stands for the blob that sts:DecodeAuthorizationMessage would open.
    let encoded = URL_SAFE_NO_PAD.encode(format!("{action} on {on} is not allowed").repeat(6));
    ApiError::new(
        "UnauthorizedOperation",
        format!(
            "You are not authorized to perform this operation. User: arn:{aws}:iam::{account}:user/lab is not authorized to perform: {action} on resource: {on} because no identity-based policy allows the {action} action. Encoded authorization failure message: {encoded}"
        ),
    )
}
