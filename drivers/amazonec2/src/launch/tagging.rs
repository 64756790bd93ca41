//! How a launch is tagged where tagging is refused: with less, and at last afterwards.

use machine_driver::{DriverError, DriverErrorKind};
use machine_ops::Cx;

use crate::api::call::CallError;
use crate::api::client::Api;
use crate::config::saved::Saved;
use crate::launch::request::sdk_tags;
use crate::launch::tags::{Tag, owner_key, owner_tags, users_tags, within_limit};
use crate::lifecycle::instance_id;

/// Which tags a launch carries: fewer, where an organisation refuses more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tagging {
    /// The user's and our own, on everything that is made.
    #[default]
    All,
    /// The user's only, on everything that is made.
    UsersOnly,
    /// None in the launch: the instance is tagged afterwards, as the Go fork tags spot instances.
    Afterwards,
}

impl Tagging {
    /// Returns the tags of a launch, ours last, and only where there is room for them.
    pub(crate) fn at_birth(self, saved: &Saved, store_id: &str) -> Vec<Tag> {
        match self {
            Self::All => within_limit(users_tags(saved), owner_tags(saved, store_id)),
            Self::UsersOnly => users_tags(saved),
            Self::Afterwards => Vec::new(),
        }
    }

    /// Returns how to tag where this much was refused with a code and a text; `None` where tags are
    /// not the trouble.
    pub(crate) fn less(self, code: &str, message: &str) -> Option<Self> {
        let by_policy = code == "UnauthorizedOperation";
        let by_rule = code == "TagPolicyViolation"
            || (code == "InvalidParameterValue" && message.contains("tag"));
        match self {
            Self::All if by_policy || by_rule => Some(Self::UsersOnly),
            // AWS says which action it was unless it hides it: a refusal that names another is final.
            Self::UsersOnly if by_policy && !names_another_action(message) => {
                Some(Self::Afterwards)
            }
            _ => None,
        }
    }
}

fn names_another_action(message: &str) -> bool {
    message.contains("not authorized to perform: ") && !message.contains("ec2:CreateTags")
}

/// Tags the instance as the Go fork tags spot instances. A refusal costs the tags, not the machine.
pub(crate) async fn tag_afterwards(api: &Api, cx: &Cx, saved: &Saved) {
    let answer = api
        .call(cx, "CreateTags", |probe| {
            let call = api.ec2.create_tags().resources(&saved.instance_id);
            call.set_tags(Some(sdk_tags(&users_tags(saved))))
                .customize()
                .interceptor(probe)
                .send()
        })
        .await;
    if let Err(error) = answer {
        cx.warn(format!(
            "({}) the instance stays without tags: {error}",
            saved.base.machine_name
        ));
    }
}

/// A tag that rm and prune go by.
#[derive(Debug, thiserror::Error)]
#[error("the tag {key} is docker-machine's own: rm and prune find the machine by it")]
struct OwnTag {
    key: String,
}

/// Tags the instance: what the user or the runner wants to have said of it.
pub(crate) async fn set_labels(
    api: &Api,
    cx: &Cx,
    saved: &Saved,
    labels: &[Tag],
) -> Result<(), DriverError> {
    let own = [
        "Name".to_owned(),
        owner_key(saved, "store"),
        owner_key(saved, "id"),
    ];
    if let Some((key, _)) = labels.iter().find(|(key, _)| own.contains(key)) {
        let own = OwnTag { key: key.clone() };
        return Err(DriverError::new(DriverErrorKind::Configuration, own));
    }
    let id = instance_id(saved)?;
    api.call(cx, "CreateTags", |probe| {
        let call = api.ec2.create_tags().resources(id);
        call.set_tags(Some(sdk_tags(labels)))
            .customize()
            .interceptor(probe)
            .send()
    })
    .await?;
    Ok(())
}

/// Says that a launch is repeated with fewer tags.
pub(crate) fn tell_fewer(cx: &Cx, saved: &Saved, error: &dyn std::fmt::Display) {
    cx.warn(format!(
        "({}) launching with fewer tags: {error}",
        saved.base.machine_name
    ));
}

/// Returns code and text of a refusal, both empty for other errors.
pub(crate) fn refusal(error: &CallError) -> (&str, &str) {
    match error {
        CallError::Refused { code, message, .. } => (code, message),
        _ => ("", ""),
    }
}
