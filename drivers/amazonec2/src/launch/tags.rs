//! Tags of a launch: chooses the tags of each request, and drops those that AWS refuses.

use std::future::Future;

use aws_sdk_ec2::types::{ResourceType, TagSpecification};
use serde::{Deserialize, Serialize};

use crate::api::call_error::CallError;
use crate::api::permissions::denied_on;
use crate::config::saved::Saved;
pub(crate) use crate::config::tags::{
    Tag, all_tags, machine_id, of_group, of_key_pair, owner_key, pairs, users_tags,
};

/// The tags of a launch request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LaunchTags {
    tags: Vec<Tag>,
    /// The resource types without tags, such as `spot-instances-request`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    untagged: Vec<String>,
}

impl LaunchTags {
    /// Returns the tags of the instance.
    pub(crate) fn of_instance(&self) -> &[Tag] {
        self.of(INSTANCE)
    }

    /// Returns the tags of the instance's spot request.
    pub(crate) fn of_spot_request(&self) -> &[Tag] {
        self.of(ResourceType::SpotInstancesRequest.as_str())
    }

    fn of(&self, kind: &str) -> &[Tag] {
        match self.is_untagged(kind) {
            true => &[],
            false => &self.tags,
        }
    }

    /// Returns the tag specifications of a launch for each of these resource types.
    pub(crate) fn specifications(
        &self,
        types: impl IntoIterator<Item = ResourceType>,
    ) -> Option<Vec<TagSpecification>> {
        let tagged = types
            .into_iter()
            .filter(|kind| !self.tags.is_empty() && !self.is_untagged(kind.as_str()));
        let all: Vec<_> = tagged.map(|kind| specification(kind, &self.tags)).collect();
        (!all.is_empty()).then_some(all)
    }

    fn is_untagged(&self, kind: &str) -> bool {
        self.untagged.iter().any(|untagged| untagged == kind)
    }
}

impl std::fmt::Display for LaunchTags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys: Vec<_> = self.tags.iter().map(|(key, _)| key.as_str()).collect();
        match (keys.is_empty(), self.untagged.is_empty()) {
            (true, _) => write!(f, "tag the instance afterwards"),
            (false, true) => write!(f, "tag all of it with {}", keys.join(", ")),
            (false, false) => {
                let (untagged, keys) = (self.untagged.join(", "), keys.join(", "));
                write!(f, "tag all but {untagged} with {keys}")
            }
        }
    }
}

/// Returns the tag specifications for the creation of one resource.
pub(crate) fn specifications(kind: ResourceType, tags: &[Tag]) -> Option<Vec<TagSpecification>> {
    (!tags.is_empty()).then(|| vec![specification(kind, tags)])
}

fn specification(kind: ResourceType, tags: &[Tag]) -> TagSpecification {
    TagSpecification::builder()
        .resource_type(kind)
        .set_tags(Some(sdk_tags(tags)))
        .build()
}

/// Converts tags to the SDK's type.
pub(crate) fn sdk_tags(tags: &[Tag]) -> Vec<aws_sdk_ec2::types::Tag> {
    let tag = |(key, value): &Tag| {
        aws_sdk_ec2::types::Tag::builder()
            .key(key)
            .value(value)
            .build()
    };
    tags.iter().map(tag).collect()
}

/// Resource type of an instance.
const INSTANCE: &str = "instance";

/// The part of the tags that a refusal is about.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// Resources of this type may not be tagged.
    Type(String),
    /// A key, a value or the number of tags is refused.
    Tags,
    /// AWS hides the refused action.
    Hidden,
}

/// Returns the part of the tags that EC2's refusal is about; `None` if it is about something else.
///
/// Codes: EC2 API Reference, "Error codes". Messages, as reported on GitHub: aws/karpenter-provider-aws#5270 (a type,
/// denied), aws/aws-sdk-ruby#1718 (a type, invalid), runs-on/runs-on#485 (a tag policy), seek-oss/aec#411 (a key,
/// where the metadata service shows tags), jcjorel/ec2-spot-converter#13 (a key),
/// iriusrisk/GoCD-EC2-Elastic-Agent-Plugin#24 (a length).
fn refusal(code: &str, message: &str) -> Option<Refusal> {
    match code {
        "UnauthorizedOperation" => match denied_on(message) {
            None | Some(("ec2:CreateTags", None)) => Some(Refusal::Hidden),
            Some(("ec2:CreateTags", Some(kind))) => Some(Refusal::Type(kind.to_owned())),
            // A policy may check the tags of a new resource (`aws:RequestTag`, `aws:TagKeys`).
            Some((action, _)) => action.starts_with("ec2:").then_some(Refusal::Tags),
        },
        "TagPolicyViolation" | "TagLimitExceeded" | "InvalidTagKey.Malformed" => {
            Some(Refusal::Tags)
        }
        "InvalidParameterValue" => {
            if let Some((quoted, _)) = message.split_once("' is not a valid taggable resource type")
            {
                let kind = quoted.rsplit('\'').next().unwrap_or(quoted);
                return Some(Refusal::Type(kind.to_owned()));
            }
            let of_tags = message.starts_with("Tag key")
                || message.starts_with("Tag value")
                || message.contains("' is not a valid tag key");
            of_tags.then_some(Refusal::Tags)
        }
        _ => None,
    }
}

/// Returns whether EC2 refused a call because of its tags.
pub(crate) fn is_refusal(error: &CallError) -> bool {
    refusal(error.code(), error.message()).is_some()
}

/// The tags that the launches of a create carry; fewer if AWS refuses some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tagging {
    keys: Keys,
    untagged: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Keys {
    /// The user's and docker-machine's own tags.
    #[default]
    All,
    Users,
    /// No tags: the instance is tagged afterwards, as the Go fork tags spot instances.
    None,
}

impl Tagging {
    /// Returns the tags of the next launch. docker-machine's own come last, up to the maximum number.
    pub(crate) fn at_birth(&self, saved: &Saved, store_id: &str) -> LaunchTags {
        let tags = match self.keys {
            Keys::All => all_tags(saved, store_id),
            Keys::Users => users_tags(saved),
            Keys::None => Vec::new(),
        };
        LaunchTags {
            tags,
            untagged: self.untagged.clone(),
        }
    }

    /// Returns the tagging after a refusal with this code and message. Returns `None` if tags are not the reason, or if
    /// a tag of the user's is, which the launch requires.
    pub(crate) fn less(&self, saved: &Saved, code: &str, message: &str) -> Option<Self> {
        let names_one_of_the_users = || {
            let users = users_tags(saved);
            let mut keys = users.iter().map(|(key, _)| format!("'{key}'"));
            keys.any(|key| message.contains(&key))
        };
        match refusal(code, message)? {
            Refusal::Type(kind) => self.without(kind),
            Refusal::Tags if self.keys != Keys::All || names_one_of_the_users() => None,
            Refusal::Tags => Some(self.with(Keys::Users)),
            Refusal::Hidden => match self.keys {
                Keys::All => Some(self.with(Keys::Users)),
                Keys::Users => Some(self.with(Keys::None)),
                Keys::None => None,
            },
        }
    }

    fn with(&self, keys: Keys) -> Self {
        Self {
            keys,
            untagged: self.untagged.clone(),
        }
    }

    /// Omits the tags of a resource type. If the instance's tags are refused, first drops docker-machine's own keys,
    /// since the instance's tags matter most and the own keys may be the reason: AWS names the type in either case.
    fn without(&self, kind: String) -> Option<Self> {
        let instance_is_untagged = self.untagged.iter().any(|untagged| untagged == INSTANCE);
        let (keys, untagged) = match self.keys {
            Keys::None => return None,
            _ if instance_is_untagged || self.untagged.contains(&kind) => (Keys::None, Vec::new()),
            Keys::All if kind == INSTANCE => (Keys::Users, Vec::new()),
            Keys::Users if kind == INSTANCE => (Keys::All, vec![kind]),
            keys => (keys, [self.untagged.as_slice(), &[kind]].concat()),
        };
        Some(Self { keys, untagged })
    }
}

/// Creates one resource with all tags. If AWS refuses them, retries with the user's tags, and finally without tags.
///
/// # Errors
/// Returns the error of the last attempt, or the first refusal if creation without tags is not permitted either.
pub(crate) async fn with_fewer<T, Fut>(
    [all, users]: [Vec<Tag>; 2],
    create: impl Fn(Vec<Tag>) -> Fut,
) -> Result<T, CallError>
where
    Fut: Future<Output = Result<T, CallError>>,
{
    let mut fewer = vec![users, Vec::new()];
    fewer.retain(|tags| *tags != all);
    let mut result = create(all).await;
    for tags in fewer {
        match &result {
            Err(error) if is_refusal(error) => {}
            _ => return result,
        }
        match create(tags).await {
            Err(error) if error.is_denied() => {}
            again => result = again,
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(tags: &str) -> Saved {
        let mut saved = Saved {
            tags: tags.into(),
            id: "m".into(),
            ..Saved::default()
        };
        saved.base.machine_name = "e1".into();
        saved
    }

    #[test]
    fn ours_come_last_and_yield_first() {
        let all = |saved: &Saved| all_tags(saved, "s");
        let tags = all(&saved("a,b"));
        let keys: Vec<_> = tags.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(
            keys,
            ["Name", "a", "docker-machine:store", "docker-machine:id"]
        );
        let many: Vec<_> = (0..48).map(|n| format!("k{n},v")).collect();
        let tags = all(&saved(&many.join(",")));
        assert_eq!(tags.len(), 50);
        assert_eq!(tags[49].0, "docker-machine:store");
    }

    #[test]
    fn an_odd_list_loses_its_last_word() {
        assert_eq!(pairs("a,b,c"), (vec![("a".into(), "b".into())], Some(3)));
        assert_eq!(pairs(""), (vec![], None));
    }

    #[test]
    fn a_name_of_the_users_replaces_ours() {
        assert_eq!(
            users_tags(&saved("Name,x")),
            [("Name".to_owned(), "x".to_owned())]
        );
    }

    #[test]
    fn what_aws_says_of_tags_is_told_from_what_it_says_of_other_things() {
        let refused = |code, message| refusal(code, message);
        let tagged = |kind: &str| Some(Refusal::Type(kind.into()));
        let denied = |action: &str, on: &str| {
            format!(
                "You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/r/1 is not \
                 authorized to perform: {action} on resource: arn:aws:{on} because no identity-based policy allows \
                 the {action} action."
            )
        };
        let on_request = denied("ec2:CreateTags", "ec2:us-east-1:1:spot-instances-request/*");
        let on_instance = denied("ec2:RunInstances", "ec2:us-east-1:1:instance/*");
        let on_role = denied("iam:PassRole", "iam::1:role/worker");
        for (code, message, expected) in [
            (
                "UnauthorizedOperation",
                on_request.as_str(),
                tagged("spot-instances-request"),
            ),
            ("UnauthorizedOperation", &on_instance, Some(Refusal::Tags)),
            ("UnauthorizedOperation", &on_role, None),
            (
                "UnauthorizedOperation",
                "You are not authorized to perform this operation.",
                Some(Refusal::Hidden),
            ),
            (
                "InvalidParameterValue",
                "'spot-instances-request' is not a valid taggable resource type for this operation.",
                tagged("spot-instances-request"),
            ),
            (
                "InvalidParameterValue",
                "'Patch Group' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{1,255}), \
                 and must not be a reserved name ('.', '..', '_index')",
                Some(Refusal::Tags),
            ),
            (
                "InvalidParameterValue",
                "Value (staging-runner) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance \
                 Profile name",
                None,
            ),
            (
                "InvalidParameterValue",
                "Invalid value 'tagged.large' for InstanceType.",
                None,
            ),
            ("TagPolicyViolation", "", Some(Refusal::Tags)),
            (
                "InvalidAMIID.NotFound",
                "The image id '[ami-tag]' does not exist",
                None,
            ),
        ] {
            assert_eq!(refused(code, message), expected, "{code}: {message}");
        }
    }

    #[test]
    fn a_tag_of_the_users_that_is_refused_is_not_left_out() {
        let saved = saved("Project,x");
        let of = |key: &str| {
            format!(
                "The tag policy does not allow the specified value for the following tag key: '{key}'."
            )
        };
        let less = |key| Tagging::default().less(&saved, "TagPolicyViolation", &of(key));
        assert_eq!(less("Project"), None);
        assert_eq!(less("docker-machine:id").unwrap().keys, Keys::Users);
    }

    #[test]
    fn the_instance_is_the_last_to_go_without() {
        let saved = saved("a,b");
        let refused = |tagging: Tagging, kind: &str| {
            let message = format!("'{kind}' is not a valid taggable resource type");
            tagging.less(&saved, "InvalidParameterValue", &message)
        };
        let mut tagging = Tagging::default();
        let mut seen = Vec::new();
        for kind in ["volume", "instance", "volume", "instance", "volume"] {
            tagging = refused(tagging, kind).unwrap();
            seen.push(tagging.clone());
        }
        let state = |keys, untagged: &[&str]| Tagging {
            keys,
            untagged: untagged.iter().map(|kind| (*kind).to_owned()).collect(),
        };
        assert_eq!(
            seen,
            [
                state(Keys::All, &["volume"]),
                state(Keys::Users, &[]),
                state(Keys::Users, &["volume"]),
                state(Keys::All, &["instance"]),
                state(Keys::None, &[]),
            ]
        );
        assert_eq!(refused(tagging, "volume"), None);
    }
}
