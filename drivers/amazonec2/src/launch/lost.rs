//! Finds a launch whose response was lost, by the machine's tag and by its client token.

use std::convert::Infallible;
use std::time::Duration;

use aws_sdk_ec2::types::Instance;
use machine_ops::{Cx, Entry, JournalError, Look, Phase, WaitPolicy, wait_until_ready};

use crate::api::call_error::CallError;
use crate::api::ec2::Ec2;
use crate::api::lookup::{self, filter};
use crate::config::tags::Tag;
use crate::instance::state_name;
use crate::launch::launched::Found;

/// Timeout of the search for an instance that may have been launched.
pub(crate) const LOOK_UP: Duration = Duration::from_secs(10);

/// A launch whose response was lost, and the data that distinguishes its instance from the machine's others. An
/// instance that terminated while it was booting is listed for an hour with the same tags.
#[derive(Debug)]
pub(crate) struct Lost<'a> {
    token: &'a str,
    is_fleets: bool,
    /// The tag with the machine's ID, if the launch may have carried it.
    tag: Option<Tag>,
    /// The instances of the machine's other launches.
    others: Vec<String>,
}

impl<'a> Lost<'a> {
    pub(crate) fn new(
        cx: &Cx,
        token: &'a str,
        tag: Option<Tag>,
        is_fleets: bool,
    ) -> Result<Self, JournalError> {
        Ok(Self {
            token,
            is_fleets,
            tag,
            others: launched(&cx.journal.entries()?),
        })
    }

    /// Queries once for the instances of this launch, including terminated ones.
    ///
    /// First by tag, then by client token: a launch whose tags were refused still has its token. The instances of a
    /// fleet have tokens of EC2's own.
    pub(crate) async fn find(&self, Ec2 { api, cx, .. }: Ec2<'_>) -> Result<Vec<Found>, CallError> {
        if let Some((key, id)) = &self.tag {
            let by_tag = vec![filter(format!("tag:{key}"), [id.clone()])];
            let found = self.of_this(lookup::instances(api, cx, by_tag).await?);
            if !found.is_empty() {
                return Ok(found);
            }
        }
        if self.is_fleets {
            return Ok(Vec::new());
        }
        let by_token = vec![filter("client-token", [self.token.to_owned()])];
        Ok(self.of_this(lookup::instances(api, cx, by_token).await?))
    }

    /// Polls until the launch is found. Returns `None` after [`LOOK_UP`] or a cancellation. Treats an error as not
    /// found, since it proves nothing.
    pub(crate) async fn await_found(&self, ec2: Ec2<'_>) -> Option<Found> {
        if self.is_fleets && self.tag.is_none() {
            return None;
        }
        let policy =
            WaitPolicy::backing_off(Duration::from_millis(500), Duration::from_secs(3), LOOK_UP);
        let found = wait_until_ready(ec2.cx, "the launch to be found", policy, || async {
            Ok::<_, Infallible>(match self.find(ec2).await.map(living_first) {
                Ok(Some(found)) => Look::Ready(found),
                Ok(None) => Look::Pending("nothing".into()),
                Err(error) => Look::Pending(error.to_string()),
            })
        });
        found.await.ok()
    }

    fn of_this(&self, mut found: Vec<Found>) -> Vec<Found> {
        found.retain(|(instance, _)| {
            let id = instance.instance_id().unwrap_or_default();
            // A third-party EC2 may return no token.
            let token = instance.client_token().unwrap_or_default();
            let has_token = self.is_fleets || token.is_empty() || token == self.token;
            has_token && !self.others.iter().any(|other| other == id)
        });
        found
    }
}

/// Returns one of the instances found, preferably one that is not terminated.
pub(crate) fn living_first(found: Vec<Found>) -> Option<Found> {
    found
        .into_iter()
        .max_by_key(|(instance, _)| is_living(instance))
}

/// Returns whether an instance is neither terminated nor shutting down.
pub(crate) fn is_living(instance: &Instance) -> bool {
    !matches!(state_name(instance), "shutting-down" | "terminated")
}

/// Returns the IDs of all instances in the journal, including removed ones.
fn launched(entries: &[Entry]) -> Vec<String> {
    let ids = entries.iter().filter_map(|entry| match &entry.phase {
        Phase::Made { id, .. } => id.clone(),
        _ => None,
    });
    ids.filter(|id| id.starts_with("i-")).collect()
}
