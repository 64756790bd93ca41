//! Journal data about the launch of a machine.

use std::time::Duration;

use machine_ops::{Cx, open_resources};

use crate::api::retry::CONSISTENCY_WINDOW;

/// Journal kind of an instance.
pub(crate) const INSTANCE: &str = "instance";

/// Returns whether the launch of this machine began less than the consistency window ago, according to the journal.
pub(crate) fn is_young(cx: &Cx) -> bool {
    let entries = cx.journal.entries().unwrap_or_default();
    let launched = open_resources(&entries)
        .iter()
        .filter(|r| r.intent.kind == INSTANCE)
        .map(|r| r.at)
        .max();
    launched.is_some_and(|at| age(cx, at) < CONSISTENCY_WINDOW)
}

/// Returns the age of a journal timestamp.
pub(crate) fn age(cx: &Cx, at: u64) -> Duration {
    let now = cx
        .ambient
        .now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH);
    now.unwrap_or_default()
        .saturating_sub(Duration::from_millis(at))
}
