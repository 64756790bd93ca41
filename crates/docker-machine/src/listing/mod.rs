//! What `ls` shows: which machines, in which order, in which format. Pure, but for nothing.

use std::time::Duration;

use machine_driver::Options;

pub(crate) mod filter;
pub(crate) mod format;
pub(crate) mod order;
mod pattern;

/// Returns `--timeout`, which is in seconds; a negative one is no time at all.
pub(crate) fn timeout(options: &Options) -> Duration {
    Duration::from_secs(u64::try_from(options.int("timeout")).unwrap_or(0))
}
