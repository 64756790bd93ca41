//! Changes to a launch that AWS refused: a required session token for instance metadata, and fewer tags.

use crate::api::ec2::Ec2;
use crate::api::permissions::denied_on;
use crate::config::saved::Saved;
use crate::launch::tags::{LaunchTags, Tagging};

/// The changes to the launches of a create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Concessions {
    pub tagging: Tagging,
    /// Whether the instance metadata service requires a session token (IMDSv2).
    pub requires_tokens: bool,
    /// Whether AWS reported that it must.
    is_demanded: bool,
}

/// The change for the next launch.
#[derive(Debug)]
pub(crate) struct Next {
    pub concessions: Concessions,
    /// Description, such as `with fewer tags`.
    pub how: &'static str,
}

impl Concessions {
    /// Returns the tags of the next launch.
    pub(crate) fn tags(&self, saved: &Saved, store_id: &str) -> LaunchTags {
        self.tagging.at_birth(saved, store_id)
    }

    /// Returns the change after a refusal; `None` if no change can help.
    ///
    /// A policy that requires session tokens, and one that checks a launch's tags, deny the same action with the same
    /// message (github.com/runs-on/runs-on/issues/22). Session tokens are tried first, since AWS's tools support them.
    pub(crate) fn after(&self, saved: &Saved, code: &str, message: &str) -> Option<Next> {
        // A fleet's template determines the metadata options.
        let has_service = saved.http_endpoint != "disabled" && !saved.use_fleet;
        let may_require =
            has_service && !self.requires_tokens && saved.metadata_token_setting != "required";
        let is_demanded = is_enforced(code, message);
        let may_be_demanded = code == "UnauthorizedOperation"
            && matches!(
                denied_on(message),
                None | Some(("ec2:RunInstances", Some("instance")))
            );
        if may_require && (is_demanded || may_be_demanded) {
            return Some(Next {
                concessions: Self {
                    tagging: self.tagging.clone(),
                    requires_tokens: true,
                    is_demanded,
                },
                how: "with session tokens for instance metadata (HttpTokens=required)",
            });
        }
        Some(Next {
            concessions: Self {
                tagging: self.tagging.less(saved, code, message)?,
                // The tokens were not the reason.
                requires_tokens: self.requires_tokens && (self.is_demanded || !may_be_demanded),
                is_demanded: self.is_demanded,
            },
            how: "with fewer tags",
        })
    }

    /// Saves the options of the launched instance.
    pub(crate) fn adopt(&self, saved: &mut Saved) {
        if self.requires_tokens {
            "required".clone_into(&mut saved.metadata_token_setting);
        }
    }
}

impl Next {
    /// Reports that a launch is repeated.
    pub(crate) fn tell(&self, ec2: Ec2<'_>, refused: &dyn std::fmt::Display) {
        let (name, how) = (&ec2.saved.base.machine_name, self.how);
        ec2.cx.warn(format!("({name}) launching {how}: {refused}"));
    }
}

/// Returns whether the account enforces session tokens (EC2 User Guide, "Troubleshoot instance launch issues",
/// "Launching an IMDSv1-enabled instance fails").
fn is_enforced(code: &str, message: &str) -> bool {
    code == "UnsupportedOperation" && message.contains("httpTokensEnforced")
}
