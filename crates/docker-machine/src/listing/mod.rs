//! Output of `ls`: selection, order and format of the machines. Performs no I/O of its own.

use std::time::Duration;

use machine_driver::Options;

pub(crate) mod filter;
pub(crate) mod format;
pub(crate) mod order;
mod pattern;

/// Returns `--timeout`, which is in seconds; a negative value is zero.
pub(crate) fn timeout(options: &Options) -> Duration {
    Duration::from_secs(u64::try_from(options.int("timeout")).unwrap_or(0))
}
