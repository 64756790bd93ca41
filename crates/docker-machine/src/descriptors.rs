//! Number of connections that this process may have open at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors reserved for other uses: the streams, the store's files, cloud connections, the reactor.
const RESERVED: u64 = 64;

/// Upper limit if the process has no lower one. A waiting line of `ls` takes about 50 KB.
const MOST: u64 = 10_000;

/// Raises the soft limit of open files to the hard limit, but not above `MOST` (getrlimit(2)). Returns the number of
/// connections that this allows, at least one. Not for commands that start programs, because these would inherit the
/// limit.
pub(crate) fn room_for_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(MOST).min(MOST);
    let mut allowed = limit.current.unwrap_or(MOST);
    if allowed < most {
        let raised = Rlimit {
            current: Some(most),
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            allowed = most;
        }
    }
    let room = allowed.min(MOST).saturating_sub(RESERVED).max(1);
    usize::try_from(room).unwrap_or(1)
}
