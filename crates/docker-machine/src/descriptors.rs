//! How many connections this process may have at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What else is open: the streams, the store's files, the connections to the cloud, the reactor.
const RESERVED: u64 = 64;

/// Where nothing limits a process. A line of `ls` that waits costs some 50 KB.
const MOST: u64 = 10_000;

/// Raises the limit of open files to what this process may raise it to (getrlimit(2)), and returns for how many
/// connections there is room: one at least. Not for commands that start programs, which would inherit it.
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
