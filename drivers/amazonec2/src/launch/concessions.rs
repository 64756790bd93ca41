//! What a launch gives up where AWS refuses it: instance metadata without a session token, and tags.

use machine_ops::Cx;

use crate::api::errors::denied_on;
use crate::config::saved::Saved;
use crate::launch::tags::{LaunchTags, Tagging};

/// What the launches of a create do without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Concessions {
    pub tagging: Tagging,
    /// Whether the instance metadata service demands a session token (IMDSv2).
    pub requires_tokens: bool,
    /// Whether AWS has said that it must.
    is_demanded: bool,
}

/// What the next launch does without.
#[derive(Debug)]
pub(crate) struct Next {
    pub concessions: Concessions,
    /// Such as `with fewer tags`.
    pub how: &'static str,
}

impl Concessions {
    /// Returns the tags of the next launch.
    pub(crate) fn tags(&self, saved: &Saved, store_id: &str) -> LaunchTags {
        self.tagging.at_birth(saved, store_id)
    }

    /// Returns what to do without after a refusal; `None` where nothing of it is the reason.
    ///
    /// A policy that demands session tokens, and one that judges a launch by its tags, deny the same action with the
    /// same text (github.com/runs-on/runs-on/issues/22): tokens are required first, which costs nothing that AWS's
    /// tools need.
    pub(crate) fn after(&self, saved: &Saved, code: &str, message: &str) -> Option<Next> {
        // A fleet's template decides on its own.
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
                // They were not the reason.
                requires_tokens: self.requires_tokens && (self.is_demanded || !may_be_demanded),
                is_demanded: self.is_demanded,
            },
            how: "with fewer tags",
        })
    }

    /// Saves what was launched.
    pub(crate) fn adopt(&self, saved: &mut Saved) {
        if self.requires_tokens {
            "required".clone_into(&mut saved.metadata_token_setting);
        }
    }
}

impl Next {
    /// Says that a launch is repeated.
    pub(crate) fn tell(&self, cx: &Cx, saved: &Saved, refused: &dyn std::fmt::Display) {
        let (name, how) = (&saved.base.machine_name, self.how);
        cx.warn(format!("({name}) launching {how}: {refused}"));
    }
}

/// Tells whether the account enforces session tokens (EC2 User Guide, "Troubleshoot instance launch issues",
/// "Launching an IMDSv1-enabled instance fails").
fn is_enforced(code: &str, message: &str) -> bool {
    code == "UnsupportedOperation" && message.contains("httpTokensEnforced")
}
