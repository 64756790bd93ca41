//! The window in which EC2 may not know a new resource yet, measured from the journal.

use std::time::Duration;

use machine_ops::{Cx, open_resources};

/// Time for which EC2 may not know an ID that it has just returned, with a margin (EC2 API Reference, "Eventual
/// consistency", advises to back off for up to five minutes).
pub(crate) const CONSISTENCY_WINDOW: Duration = Duration::from_secs(300);

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
